import { task, workflow } from '../../dist/index.js';

const output = await workflow('hello', task('greet', async (name) => `hello ${name}`)).run('world');
process.exitCode = output === 'hello world' ? 0 : 1;
