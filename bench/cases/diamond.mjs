/** Many small runs: what starting and ending a run costs. */
import { goal, measureRates, perSec } from './rates.mjs';
import { count } from '../lib/stats.mjs';

export const id = 'diamond';
export const title = 'Many runs of a 5-step diamond';

export async function run({ quick, rounds, tell }) {
  const runs = quick ? 20 : 1_000;
  const entry = (key, label, contender, workload, params, extra) => ({
    key, label, contender, workload, params: { runs, ...params }, units: runs, limitMs: 60_000, ...extra,
  });
  const measured = await measureRates({
    entries: [
      entry('bare', 'bare `await` and `Promise.all`', 'bare', 'diamond', {}, { short: 'bare' }),
      entry('taskchart', 'taskchart, `.fork` and `.to`', 'taskchart', 'diamond'),
      entry('taskchart-dag', 'taskchart, `dag`', 'taskchart', 'diamondDag'),
      entry('taskchart-warm', 'taskchart, after 5,000 runs', 'taskchart', 'diamond', { warm: quick ? 20 : 5_000 }),
      entry('p-queue', 'p-queue, one queue for all runs', 'p-queue', 'diamond', { concurrency: 64 }),
      entry('xstate', 'XState, states that invoke', 'xstate', 'diamond'),
      entry('langgraph', 'LangGraph', 'langgraph', 'diamond', {}, { rounds: 3 }),
    ],
    reference: 'bare', unit: 'runs', rounds, tell,
  });
  const enough = (x) => x >= 10_000;
  return {
    about: [
      `a, then b and c side by side, then d, which joins them, then e. ${count(runs)} runs, one after the other, in a cold process; every output is checked.`,
      'The graph is made once; each run is a run of its own (p-queue has no such thing: its calls are merely awaited in that order).',
    ],
    tables: [measured.table],
    goals: [
      goal('taskchart, `.fork` and `.to`', 'at least 10,000 runs/s', measured.rate('taskchart'), enough, perSec('runs')),
      goal('taskchart, `.fork` and `.to`, after 5,000 runs', 'at least 10,000 runs/s', measured.rate('taskchart-warm'), enough, perSec('runs')),
      goal('taskchart, `dag`', 'at least 10,000 runs/s', measured.rate('taskchart-dag'), enough, perSec('runs')),
    ],
    data: measured.raw,
  };
}
