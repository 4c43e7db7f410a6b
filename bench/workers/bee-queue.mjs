/** A worker process of bee-queue. */
import Queue from 'bee-queue';
import { redisPort } from '../lib/redis.mjs';
import { serve, workerOptions } from '../lib/worker-process.mjs';

const { concurrency } = workerOptions();
const queue = new Queue('jobs', { redis: { host: '127.0.0.1', port: redisPort() }, getEvents: false, sendEvents: true, storeJobs: false, removeOnSuccess: true });
await queue.ready();
queue.process(concurrency, async ({ data }) => data.id);
serve();
