/** 64 at a time: what the machine costs where outcomes come in batches. */
import { goal, measureRates, note, times } from './rates.mjs';
import { percent } from '../lib/stats.mjs';

export const id = 'concurrent';
export const title = 'Concurrency 64, no-op async tasks';

export async function run({ quick, rounds, tell }) {
  const n = quick ? 500 : 100_000;
  const few = quick ? 100 : 4_000;
  const entry = (key, label, contender, size, extra) => ({
    key, label, contender, workload: 'fanOut', params: { n: size, concurrency: 64 }, units: size, ...extra,
  });
  const measured = await measureRates({
    entries: [
      entry('bare', 'bare loop, 64 lanes', 'bare', n, { short: 'bare loop' }),
      entry('limiter', 'bare limiter, a promise per task', 'bare', n, { workload: 'fanOutLimiter' }),
      entry('taskchart', 'taskchart `each()`', 'taskchart', n),
      entry('bare-warm', 'bare loop, after 5 such runs', 'bare', n, { params: { n, concurrency: 64, warm: quick ? 1 : 5 } }),
      entry('taskchart-warm', 'taskchart `each()`, after 5 such runs', 'taskchart', n, { params: { n, concurrency: 64, warm: quick ? 1 : 5 } }),
      entry('p-queue', 'p-queue', 'p-queue', n),
      entry('xstate', 'XState, a promise child per task, stopped', 'xstate', few),
    ],
    reference: 'bare', unit: 'tasks', rounds, tell,
  });
  return {
    about: [
      'One task adds 1 to its item, asynchronously; 64 are in flight. Every contender gives all outputs back in order, and they are checked.',
      'The bare loop is 64 async loops over one cursor, the smallest thing that limits concurrency; the bare limiter gives every task a promise of its own, as p-queue does.',
      'XState has a smaller size because its cost per task grows with the run; its rate is for that size.',
    ],
    tables: [measured.table],
    goals: [
      goal('rate of taskchart to the bare loop', 'at least 40%', measured.ratio('taskchart', 'bare'), (x) => x >= 0.4, percent),
      goal('the same, after 5 such runs in the process', 'at least 40%', measured.ratio('taskchart-warm', 'bare-warm'), (x) => x >= 0.4, percent),
      note('rate of taskchart to the bare limiter', measured.ratio('taskchart', 'limiter'), percent),
      goal('taskchart to one promise child per task in XState', 'ahead', measured.ratio('taskchart', 'xstate'), (x) => x > 1, times),
    ],
    data: measured.raw,
  };
}
