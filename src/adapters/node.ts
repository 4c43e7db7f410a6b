/** The environment of Node: the system's, worker threads, and Redis. A browser that gets this file has the system's alone. */
import type { Environment } from '../ports.ts';
import { groupSettings } from './redis/settings.ts';
import { connectTransport } from './redis/transport.ts';
import { systemEnvironment } from './system.ts';
import { threads } from './threads/backend.ts';

const inNode = typeof process === 'object' && typeof process.versions?.node === 'string';

export const nodeEnvironment: Environment = inNode
  ? { ...systemEnvironment, backends: { threads }, connect: (settings) => connectTransport(groupSettings(settings)) }
  : systemEnvironment;
