import PQueue from 'p-queue';

const output = await new PQueue({ concurrency: 1 }).add(async () => 'hello world');
process.exitCode = output === 'hello world' ? 0 : 1;
