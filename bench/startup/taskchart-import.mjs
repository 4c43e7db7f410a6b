import { workflow } from '../../dist/index.js';

process.exitCode = typeof workflow === 'function' ? 0 : 1;
