/** bee-queue: a queue with events for the results, one worker process. Finished jobs are removed, which is faster for it. */
import Queue from 'bee-queue';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { counted, flush, redisPort } from '../lib/redis.mjs';
import { startWorker } from '../lib/worker-process.mjs';
import { jobsOf, Receipts } from '../lib/jobs.mjs';
import { timed, verify } from '../lib/measure.mjs';

/** Jobs that one call adds. */
const BULK = 1000;

async function setUp(concurrency) {
  await flush();
  const queue = new Queue('jobs', { redis: { host: '127.0.0.1', port: redisPort() }, isWorker: false, getEvents: true, removeOnSuccess: true });
  await queue.ready();
  const worker = await startWorker('bee-queue', { concurrency });
  return { queue, worker };
}

async function submit({ queue }, jobs) {
  const receipts = new Receipts(jobs.length);
  // The event of a job of its own may come before the job is known to be saved, and is lost then.
  const heard = (_, answer) => receipts.take(answer);
  queue.on('job succeeded', heard);
  for (let at = 0; at < jobs.length; at += BULK) {
    const failed = await queue.saveAll(jobs.slice(at, at + BULK).map((data) => queue.createJob(data)));
    verify(failed.size === 0, `${failed.size} jobs were not saved`);
  }
  await receipts.complete;
  queue.off('job succeeded', heard);
}

export async function throughput({ n, bytes, concurrency, warm }) {
  const system = await setUp(concurrency);
  await submit(system, jobsOf(warm, bytes));
  const jobs = jobsOf(n, bytes);
  const { ms } = await timed(() => submit(system, jobs));
  return { ms, workerRss: await system.worker.peakRss() };
}

export async function commands({ n, bytes, concurrency, warm }) {
  const system = await setUp(concurrency);
  await submit(system, jobsOf(warm, bytes));
  const jobs = jobsOf(n, bytes);
  let ms;
  const counts = await counted(async () => ({ ms } = await timed(() => submit(system, jobs))));
  return { ms, counts };
}

export async function roundTrip({ n, warm, restMs }) {
  const { queue } = await setUp(1);
  const trips = [];
  await timed(async () => {
    for (let id = 0; id < n + warm; id += 1) {
      await pause(restMs);
      const start = performance.now();
      const job = queue.createJob({ id });
      const done = once(job, 'succeeded');
      await job.save();
      await done;
      if (id >= warm) trips.push(performance.now() - start);
    }
  });
  return { ms: trips.reduce((sum, trip) => sum + trip, 0), trips };
}
