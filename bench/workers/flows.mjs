/** The workflows of the Redis cases, the same file in the submitting process and in the workers. */
import { setTimeout as pause } from 'node:timers/promises';
import { each, task, workflow } from '../../dist/index.js';
import { redisUrl } from '../lib/redis.mjs';

export const connection = { url: redisUrl() };
const remote = { backend: 'redis', backendConfig: connection };

/** A job is `{ id, text }`, and its answer its id. */
export const answers = workflow('answers', each(task('answer', async ({ id }) => id)).withExecution(remote));

/** The same with several jobs in a unit, one after the other. */
export const inBatches = workflow('in-batches', each(task('batched', async ({ id }) => id), { batch: 20 }).withExecution(remote));

export const plusOne = workflow('plus-one', each(task('add', async (x) => x + 1)).withExecution(remote));

/** Groups of one member, one after the other, with a rest before each. */
export function trips(n, restMs, stamps) {
  const rest = (at) => task(`rest-${at}`, async ([x]) => {
    stamps.push(performance.now());
    await pause(restMs);
    stamps.push(performance.now());
    return [x];
  });
  let step = rest(0);
  for (let at = 1; at <= n; at += 1) step = step.to(each(task(`add-${at}`, async (x) => x + 1)).withExecution(remote)).to(rest(at));
  return workflow('trips', step);
}

/** Tells when it begins, and never ends in a process that says so. */
export const stuck = workflow('stuck', each(task('hang', async (x) => {
  process.send?.('began');
  if (process.env.BENCH_HANGS === '1') await new Promise(() => {});
  return x + 1;
})).withExecution(remote));
