/** What it costs to save a run with many open items, and to start it again from the text. */
import { rawOf } from './rates.mjs';
import { failureText, interleave } from '../lib/rounds.mjs';
import { count, exponent, fixed, median, millis } from '../lib/stats.mjs';

export const id = 'snapshots';
export const title = 'Snapshot and resume with open items';

const SHAPES = [
  { key: 'members', title: 'Members of one fan-out: 64 in flight, the others not started', workload: 'snapshotOfMembers' },
  { key: 'queue', title: 'Tokens in the queue of a run, made by `nextTask`', workload: 'snapshotOfQueue' },
];

export async function run({ quick, rounds, tell }) {
  const sizes = quick ? [100, 300] : [1_000, 10_000, 100_000];
  const entries = SHAPES.flatMap((shape) =>
    sizes.map((n) => ({
      shape: shape.key, label: `${shape.key}, ${count(n)}`, contender: 'taskchart', workload: shape.workload,
      params: { n, concurrency: 64 }, units: n, limitMs: 120_000,
    })),
  );
  const results = await interleave(entries, rounds, tell);
  return {
    about: [
      'A run is halted with its items open, `run.snapshot()` and `JSON.stringify` give the text, the run is cancelled, and `workflow.resume(text)` starts it again in the same process.',
      '"Resume" lasts until the first open task starts again; "the rest" is the time until all of them are done. The output is checked. Nothing is written to disk.',
    ],
    tables: SHAPES.map((shape) => tableOf(shape, results.filter((result) => result.entry.shape === shape.key))),
    goals: [],
    data: results.map(rawOf),
  };
}

function tableOf(shape, results) {
  let before;
  const rows = results.map((result) => {
    const { entry, samples, failure } = result;
    if (samples.length === 0) return [count(entry.units), failureText(failure), '', '', '', '', '', ''];
    const of = (read) => median(samples.map(read));
    const ms = of((sample) => sample.ms);
    const bytes = of((sample) => sample.bytes);
    const growth = before ? fixed(exponent([before, [entry.units, ms]]), 2) : '';
    before = [entry.units, ms];
    return [
      count(entry.units), millis(of((sample) => sample.snapshotMs)), millis(of((sample) => sample.stringifyMs)), growth,
      count(bytes), fixed(bytes / entry.units, 1), millis(of((sample) => sample.resumeMs)), millis(of((sample) => sample.restMs)),
    ];
  });
  const columns = ['open items', '`snapshot()`', '`JSON.stringify`', 'growth of both', 'bytes', 'bytes per item', 'resume', 'the rest'];
  return { title: shape.title, columns, rows };
}
