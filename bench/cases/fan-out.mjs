/** A fan-out of one size at equal concurrency, from a cold process: what one job of that size costs. */
import { goal, measureRates, note, times } from './rates.mjs';
import { count } from '../lib/stats.mjs';

export const id = 'fan-out';
export const title = 'Fan-out at equal concurrency';

export async function run({ quick, rounds, tell }) {
  const n = quick ? 200 : 10_000;
  const few = quick ? 20 : 1_000;
  const entry = (key, label, contender, size, extra) => ({
    key, label, contender, workload: 'fanOut', params: { n: size, concurrency: 64 }, units: size, limitMs: 60_000, ...extra,
  });
  const measured = await measureRates({
    entries: [
      entry('bare', 'bare loop, 64 lanes', 'bare', n, { short: 'bare loop' }),
      entry('taskchart', 'taskchart `each()`', 'taskchart', n),
      entry('p-queue', 'p-queue', 'p-queue', n),
      entry('xstate', 'XState, a promise child per task, stopped', 'xstate', few),
      entry('langgraph-few', 'LangGraph, a `Send` per member', 'langgraph', few, { rounds: 3 }),
      entry('langgraph', 'LangGraph, a `Send` per member', 'langgraph', n, { rounds: 1 }),
    ],
    reference: 'bare', unit: 'members', rounds, tell,
  });
  return {
    about: [
      `${count(n)} members, 64 in flight; all outputs are checked. LangGraph has a limit of a minute and is shown at ${count(few)} members too.`,
    ],
    tables: [measured.table],
    goals: [
      goal('taskchart to p-queue', 'ahead', measured.ratio('taskchart', 'p-queue'), (x) => x > 1, times),
      note(`taskchart to LangGraph at ${count(few)} members`, measured.ratio('taskchart', 'langgraph-few'), times),
    ],
    data: measured.raw,
  };
}
