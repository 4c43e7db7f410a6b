/** What it costs to survive the process: journal, snapshots and fsync on a real disk. */
import { goal, measureRates, note, rawOf, times } from './rates.mjs';
import { failureText, interleave } from '../lib/rounds.mjs';
import { count, fixed, median, megabytes, millis, percent } from '../lib/stats.mjs';

export const id = 'durable';
export const title = 'Durable runs (file store, fsync on)';

export async function run({ quick, rounds, tell }) {
  const members = quick ? 200 : 100_000;
  const many = quick ? 100 : 10_000;
  const few = quick ? 20 : 1_000;
  const entry = (key, label, workload, params, units, extra) => ({ key, label, contender: 'durable', workload, params, units, limitMs: 120_000, ...extra });
  const wide = await measureRates({
    entries: [
      entry('memory', 'taskchart, no store', 'fanOutInMemory', { n: members, concurrency: 64 }, members),
      entry('durable', 'taskchart, file store', 'fanOut', { n: members, concurrency: 64 }, members),
    ],
    reference: 'memory', unit: 'tasks', rounds, tell,
  });
  const steps = await measureRates({
    entries: [
      entry('append', 'bare append and fdatasync per step', 'append', { n: few }, few),
      entry('memory', 'taskchart, no store', 'stepsInMemory', { n: many }, many),
      entry('durable', 'taskchart, file store', 'steps', { n: many }, many),
      entry('langgraph', 'LangGraph, saver in memory (nothing on disk)', 'langgraph', { n: few }, few),
    ],
    reference: 'append', unit: 'steps', rounds, tell,
  });
  const sizes = quick ? [50, 200] : [1_000, 10_000, 50_000];
  const bytes = await interleave(sizes.map((n) => entry(`bytes-${n}`, `journal of ${count(n)} steps`, 'steps', { n }, n)), Math.min(rounds, 2), tell);
  const whole = [
    entry('resume', 'resume to the first task: 100,000 finished, 1,000 open', 'resume', quick ? { done: 100, open: 10 } : { done: 100_000, open: 1_000 }, 1),
    entry('million', 'durable fan-out of 1,000,000', 'fanOut', { n: quick ? 1_000 : 1_000_000, concurrency: 64 }, 1),
  ];
  const singles = await interleave(whole, Math.min(rounds, 3), tell);
  const perStep = bytes.map(({ entry: { units }, samples }) => (samples.length > 0 ? median(samples.map((sample) => sample.bytes)) / units : undefined));
  const resumeMs = singles[0].samples.length > 0 ? median(singles[0].samples.map((sample) => sample.ms)) : undefined;
  return {
    about: [
      'The file store appends batches with fdatasync and saves snapshots with fsync of file and folder. Every output is checked.',
      'In the fan-out 64 no-op tasks are in flight. In the steps each one waits for a turn of the event loop, so each is an entry of the journal; group commit gathers them while a write is on its way, which the bare append does not do.',
      'LangGraph keeps its checkpoints in memory here: its SQLite saver needs a native build and is slower than that.',
    ],
    tables: [
      { title: `Fan-out of ${count(members)}`, ...wide.table },
      { title: 'Steps, one after the other', ...steps.table },
      { title: 'Bytes of journal', columns: ['steps', 'bytes per step'], rows: sizes.map((n, at) => [count(n), perStep[at] === undefined ? failureText(bytes[at].failure) : fixed(perStep[at], 1)]) },
      {
        title: 'Whole runs', columns: ['', 'time', 'peak memory'],
        rows: singles.map(({ entry: { label }, samples, failure }) => samples.length === 0 ? [label, failureText(failure), ''] : [label, millis(median(samples.map((sample) => sample.ms))), megabytes(median(samples.map((sample) => sample.memory.peakRss)))]),
      },
    ],
    goals: [
      goal('durable fan-out to the same without a store', 'at least 50%', wide.ratio('durable', 'memory'), (x) => x >= 0.5, percent),
      goal('durable steps to LangGraph with a saver in memory', 'at least 5 times', steps.ratio('durable', 'langgraph'), (x) => x >= 5, times),
      note('durable steps to one bare append and fdatasync per step', steps.ratio('durable', 'append'), times),
      goal('bytes of journal per step', 'at most 60', perStep.at(-1), (x) => x <= 60, (x) => fixed(x, 1)),
      goal('bytes per step, longest to shortest run', 'no growth', perStep[0] === undefined ? undefined : perStep.at(-1) / perStep[0], (x) => x <= 1.15, times),
      goal('resume to the first task', 'under 500 ms', resumeMs, (x) => x < 500, millis),
    ],
    data: [wide.raw, steps.raw, ...bytes.map(rawOf), ...singles.map(rawOf)],
  };
}
