/** A worker process of BullMQ. */
import { Worker } from 'bullmq';
import { redisPort } from '../lib/redis.mjs';
import { serve, workerOptions } from '../lib/worker-process.mjs';

const { concurrency } = workerOptions();
const connection = { host: '127.0.0.1', port: redisPort() };
const worker = new Worker('jobs', async ({ name, data }) => (name === 'parent' ? data.members : data.id), { connection, concurrency });
await worker.waitUntilReady();
serve();
