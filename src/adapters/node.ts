/** The environment of Node: the system's, and worker threads. A browser that gets this file has the system's alone. */
import type { Environment } from '../ports.ts';
import { systemEnvironment } from './system.ts';
import { threads } from './threads/backend.ts';

const inNode = typeof process === 'object' && typeof process.versions?.node === 'string';

export const nodeEnvironment: Environment = { ...systemEnvironment, backends: inNode ? { threads } : {} };
