/** One after the other: the machine's cost per task with nothing to batch. */
import { goal, measureRates, note, perSec, times } from './rates.mjs';
import { count, percent } from '../lib/stats.mjs';

export const id = 'sequential';
export const title = 'Strictly sequential chain, no-op async tasks';

const LIMIT_MS = 60_000;

function entries(n, { langgraph, xstate }) {
  const entry = (key, label, contender, workload, extra) => ({
    key, label, contender, workload, params: { n }, units: n, limitMs: LIMIT_MS, ...extra,
  });
  return [
    entry('bare', 'bare loop', 'bare', 'chain'),
    entry('chain', 'taskchart, a node per step (`.to`)', 'taskchart', 'chain'),
    entry('loop', 'taskchart, one task and `nextIteration`', 'taskchart', 'loop'),
    entry('p-queue', 'p-queue, concurrency 1, each step awaited', 'p-queue', 'chain'),
    entry('p-queue-queued', 'p-queue, concurrency 1, all queued at once', 'p-queue', 'chainQueued'),
    ...(langgraph
      ? [
          entry('langgraph', 'LangGraph, one node that leads to itself', 'langgraph', 'loop', { rounds: 3 }),
          entry('langgraph-nodes', 'LangGraph, a node per step', 'langgraph', 'chain', { rounds: 1 }),
        ]
      : []),
    ...(xstate ? [entry('xstate', 'XState, a state that invokes and re-enters', 'xstate', 'loop')] : []),
  ];
}

export async function run({ quick, rounds, tell }) {
  const sizes = quick ? [50, 100, 500] : [1_000, 10_000, 100_000];
  const bySize = [];
  for (const n of sizes) {
    const last = n === sizes.at(-1);
    tell(`  ${count(n)} steps`);
    bySize.push(await measureRates({ entries: entries(n, { langgraph: !last, xstate: !last }), reference: 'bare', unit: 'tasks', rounds, tell }));
  }
  const [small, middle, large] = bySize;
  const atLeast30 = (x) => x >= 30;
  return {
    about: [
      'Every step adds 1 to the output of the one before; the last output is checked.',
      'The bare loop is only `await`; the fewer the steps, the more of its time is the compiler of V8 warming up.',
      'LangGraph runs without a checkpointer and, because it is slow, in fewer rounds; its limit is a minute.',
    ],
    tables: bySize.map((measured, i) => ({ title: `${count(sizes[i])} steps`, ...measured.table })),
    goals: [
      goal(`taskchart chain of ${count(sizes[2])}`, 'at least 80,000 tasks/s', large.rate('chain'), (x) => x >= 80_000, perSec('tasks')),
      goal(`taskchart loop of ${count(sizes[2])}`, 'at least 80,000 tasks/s', large.rate('loop'), (x) => x >= 80_000, perSec('tasks')),
      note(`taskchart chain of ${count(sizes[2])} to the bare loop`, large.ratio('chain', 'bare'), percent),
      note(`taskchart chain of ${count(sizes[2])} to p-queue, each step awaited`, large.ratio('chain', 'p-queue'), times),
      goal(`taskchart chain of ${count(sizes[0])} to the LangGraph loop`, 'at least 30 times', small.ratio('chain', 'langgraph'), atLeast30, times),
      goal(`taskchart chain of ${count(sizes[1])} to the LangGraph loop`, 'at least 30 times', middle.ratio('chain', 'langgraph'), atLeast30, times),
    ],
    data: bySize.map((measured) => measured.raw),
  };
}
