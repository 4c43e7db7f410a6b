/** Workers for the queues of redis-place.ts: one in the test's own process, one in another process. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll } from 'vitest';
import { createTaskQueue, TaskWorker } from 'taskchart/redis';
import { WorkerProcess } from '../../redis/worker-process.ts';
import { leavePlace, redisConfig } from './redis-place.ts';

/** Serves both queues with the workflows of a fixture while the tests of a file run. */
export function serveRedis(module: string): void {
  const queue = createTaskQueue({ backend: 'redis', ...redisConfig('here') });
  const here = new TaskWorker({ queue });
  let elsewhere: WorkerProcess | undefined;

  beforeAll(async () => {
    const { url, namespace } = redisConfig('elsewhere');
    elsewhere = new WorkerProcess([fileURLToPath(module)], { redis: url, namespace, queue: 'elsewhere' });
    await Promise.all([here.start(), elsewhere.registered()]);
  });

  afterAll(async () => {
    await Promise.all([here.stop(), elsewhere?.kill()]);
    await queue.close();
    await leavePlace();
  });
}
