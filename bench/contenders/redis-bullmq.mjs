/** BullMQ: a queue, QueueEvents for the results, one worker process. Finished jobs are removed where that can be, which is faster for it. */
import { FlowProducer, Queue, QueueEvents } from 'bullmq';
import { setTimeout as pause } from 'node:timers/promises';
import { counted, flush, redisPort } from '../lib/redis.mjs';
import { startWorker } from '../lib/worker-process.mjs';
import { jobsOf, Receipts } from '../lib/jobs.mjs';
import { timed } from '../lib/measure.mjs';

const connection = () => ({ host: '127.0.0.1', port: redisPort() });
/** Jobs that one call adds. */
const BULK = 1000;
/** Whoever waits for a job by its own promise has to find it. */
const KEPT = { removeOnComplete: 1000 };

async function setUp(concurrency) {
  await flush();
  const queue = new Queue('jobs', { connection: connection(), defaultJobOptions: { removeOnComplete: true, removeOnFail: true } });
  const events = new QueueEvents('jobs', { connection: connection() });
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  const worker = await startWorker('bullmq', { concurrency });
  return { queue, events, worker };
}

async function submit({ queue, events }, jobs) {
  const receipts = new Receipts(jobs.length);
  const heard = ({ returnvalue }) => receipts.take(Number(returnvalue));
  events.on('completed', heard);
  for (let at = 0; at < jobs.length; at += BULK) await queue.addBulk(jobs.slice(at, at + BULK).map((data) => ({ name: 'job', data })));
  await receipts.complete;
  events.off('completed', heard);
}

/** Each job by its own promise, as its documentation shows it. */
async function submitAwaited({ queue, events }, jobs) {
  const receipts = new Receipts(jobs.length);
  for (let at = 0; at < jobs.length; at += BULK) {
    const some = await queue.addBulk(jobs.slice(at, at + BULK).map((data) => ({ name: 'job', data, opts: { removeOnComplete: { age: 3600 } } })));
    for (const job of some) job.waitUntilFinished(events).then((id) => receipts.take(Number(id)), (error) => receipts.fail(error));
  }
  await receipts.complete;
}

export async function throughput({ n, bytes, concurrency, warm, awaited }) {
  const system = await setUp(concurrency);
  const send = awaited === true ? submitAwaited : submit;
  await send(system, jobsOf(warm, bytes));
  const jobs = jobsOf(n, bytes);
  const { ms } = await timed(() => send(system, jobs));
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
  const { queue, events } = await setUp(1);
  const trips = [];
  await timed(async () => {
    for (let id = 0; id < n + warm; id += 1) {
      await pause(restMs);
      const start = performance.now();
      const job = await queue.add('job', { id }, KEPT);
      await job.waitUntilFinished(events);
      if (id >= warm) trips.push(performance.now() - start);
    }
  });
  return { ms: trips.reduce((sum, trip) => sum + trip, 0), trips };
}

export async function group({ n, repeats, warm, concurrency }) {
  const { events } = await setUp(concurrency);
  const flow = new FlowProducer({ connection: connection() });
  const times = [];
  await timed(async () => {
    for (let i = 0; i < repeats + warm; i += 1) {
      const start = performance.now();
      const children = Array.from({ length: n }, (_, id) => ({ name: 'job', queueName: 'jobs', data: { id }, opts: { removeOnComplete: true } }));
      const { job } = await flow.add({ name: 'parent', queueName: 'jobs', data: { members: n }, children, opts: KEPT });
      await job.waitUntilFinished(events);
      if (i >= warm) times.push(performance.now() - start);
    }
  });
  return { ms: times.reduce((sum, time) => sum + time, 0), times };
}
