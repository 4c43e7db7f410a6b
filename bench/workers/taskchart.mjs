/** A worker process of taskchart. */
import { createTaskQueue, TaskWorker } from '../../dist/redis.js';
import { serve, workerOptions } from '../lib/worker-process.mjs';

const { concurrency, leaseMs, reapMs, trips, hangs } = workerOptions();
if (hangs === true) process.env.BENCH_HANGS = '1';
const flows = await import('./flows.mjs');
if (trips !== undefined) flows.trips(trips, 0, []);
const worker = new TaskWorker({ queue: createTaskQueue({ backend: 'redis', ...flows.connection }), concurrency, leaseMs, reapMs });
await worker.start();
serve();
