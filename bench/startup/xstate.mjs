import { createActor } from 'xstate';

process.exitCode = typeof createActor === 'function' ? 0 : 1;
