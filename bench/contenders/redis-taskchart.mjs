/** taskchart over Redis: the run and its coordinator here, one worker process or two beside it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileStore } from '../../dist/stores.js';
import { verifyAnswers, jobsOf } from '../lib/jobs.mjs';
import { range, timed, verify, verifyFanOut } from '../lib/measure.mjs';
import { workDir } from '../lib/places.mjs';
import { connect, counted, flush, info } from '../lib/redis.mjs';
import { startWorker } from '../lib/worker-process.mjs';
import * as flows from '../workers/flows.mjs';

async function setUp(options) {
  await flush();
  return startWorker('taskchart', options);
}

async function submit(jobs, flow = flows.answers) {
  verifyAnswers(await flow.run(jobs), jobs.length);
}

export async function throughput({ n, bytes, concurrency, warm, batches }) {
  const worker = await setUp({ concurrency });
  const flow = batches === true ? flows.inBatches : flows.answers;
  await submit(jobsOf(warm, bytes), flow);
  const jobs = jobsOf(n, bytes);
  const { ms } = await timed(() => submit(jobs, flow));
  return { ms, workerRss: await worker.peakRss() };
}

export async function commands({ n, bytes, concurrency, warm }) {
  await setUp({ concurrency });
  await submit(jobsOf(warm, bytes));
  const jobs = jobsOf(n, bytes);
  let ms;
  const counts = await counted(async () => ({ ms } = await timed(() => submit(jobs))));
  return { ms, counts };
}

/** One more unit of a run that is under way. */
export async function roundTrip({ n, warm, restMs }) {
  await setUp({ concurrency: 1, trips: n + warm });
  const stamps = [];
  const flow = flows.trips(n + warm, restMs, stamps);
  const { value } = await timed(() => flow.run([0]));
  verify(value[0] === n + warm, `${n + warm} trips gave ${String(value)}`);
  const trips = range(n).map((i) => stamps[(i + warm + 1) * 2] - stamps[(i + warm) * 2 + 1]);
  return { ms: trips.reduce((sum, trip) => sum + trip, 0), trips };
}

/** A whole run for each: it becomes coordinator, sends its unit, and takes its keys away. */
export async function runs({ n, warm, restMs }) {
  await setUp({ concurrency: 1 });
  const trips = [];
  await timed(async () => {
    for (let id = 0; id < n + warm; id += 1) {
      await pause(restMs);
      const start = performance.now();
      const [answer] = await flows.plusOne.run([id]);
      if (id >= warm) trips.push(performance.now() - start);
      verify(answer === id + 1, `run ${id} gave ${String(answer)}`);
    }
  });
  return { ms: trips.reduce((sum, trip) => sum + trip, 0), trips };
}

export async function group({ n, repeats, warm, concurrency }) {
  await setUp({ concurrency });
  const times = [];
  await timed(async () => {
    for (let i = 0; i < repeats + warm; i += 1) {
      const start = performance.now();
      await submit(Array.from({ length: n }, (_, id) => ({ id })));
      if (i >= warm) times.push(performance.now() - start);
    }
  });
  return { ms: times.reduce((sum, time) => sum + time, 0), times };
}

export async function journalled({ n, concurrency, warm, bytes }) {
  mkdirSync(workDir, { recursive: true });
  const folder = mkdtempSync(join(workDir, 'redis-'));
  try {
    await setUp({ concurrency });
    const store = fileStore(folder);
    const start = async (jobs, runId) => verifyAnswers(await flows.answers.start(jobs, { store, runId }).result, jobs.length);
    await start(jobsOf(warm, bytes), 'warm');
    const jobs = jobsOf(n, bytes);
    const { ms } = await timed(() => start(jobs, 'r'));
    return { ms };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One run of very many units: how long, and what it costs of memory, everywhere. */
export async function million({ n, concurrency }) {
  const worker = await setUp({ concurrency });
  const client = await connect();
  const items = range(n);
  let peak = 0;
  const looking = setInterval(() => info(client, 'memory', 'used_memory').then((bytes) => (peak = Math.max(peak, bytes)), () => {}), 50);
  const { ms, value } = await timed(() => flows.plusOne.run(items));
  clearInterval(looking);
  verifyFanOut(value, n);
  return { ms, workerRss: await worker.peakRss(), redisBytes: peak, left: await client.dbsize() };
}

/** A worker is killed while it executes: from there to the moment when another one begins the same unit. */
export async function recovery({ leaseMs, reapMs }) {
  const doomed = await setUp({ concurrency: 1, leaseMs, reapMs, hangs: true });
  const began = doomed.next();
  const result = flows.stuck.run([1]);
  await began;
  const other = await startWorker('taskchart', { concurrency: 1, leaseMs, reapMs });
  const again = other.next();
  // The lease was refreshed at any time before.
  await pause(Math.random() * leaseMs);
  const { ms } = await timed(async () => {
    await doomed.kill();
    await again;
  });
  verifyFanOut((await result).map((x) => x - 1), 1);
  return { ms };
}

/** Commands per second of a worker that has nothing to do. */
export async function idle({ forMs }) {
  await setUp({ concurrency: 16 });
  await submit(jobsOf(10, 10));
  await pause(500);
  const counts = await counted(() => pause(forMs));
  return { ms: forMs, counts };
}
