/** Thousands of members that wait for a retry at the same time: what due times in the context cost. */
import { rawOf } from './rates.mjs';
import { failureText, interleave } from '../lib/rounds.mjs';
import { count, fixed, median, megabytes, millis } from '../lib/stats.mjs';

export const id = 'timers';
export const title = 'Members that retry';

const VARIANTS = [
  { key: 'together', title: 'All due at about the same time', delayMs: 100, jitter: 0 },
  { key: 'spread', title: 'Due times spread at random (full jitter)', delayMs: 1_000, jitter: 1 },
];

export async function run({ quick, rounds, tell }) {
  const sizes = quick ? [50, 100] : [1_000, 10_000];
  const entries = VARIANTS.flatMap((variant) => sizes.flatMap((n) => entriesOf(variant, n, quick)));
  const results = await interleave(entries, rounds, tell);
  return {
    about: [
      'Every member fails once, waits for its backoff and then succeeds; the outputs are checked. The bare loop has a timer of the process for each member and no limit of concurrency.',
      '"Over the delay" is what the run took beyond the longest single backoff; with 64 in flight a part of it may be members that had to wait for a slot.',
    ],
    tables: VARIANTS.map((variant) => tableOf(variant, results.filter((result) => result.entry.variant === variant.key))),
    goals: [],
    data: results.map(rawOf),
  };
}

function entriesOf({ key, delayMs, jitter }, n, quick) {
  const delay = quick ? delayMs / 10 : delayMs;
  const entry = (label, contender, concurrency) => ({
    variant: key, label: `${label}, ${count(n)}`, contender, workload: 'retrying',
    params: { n, delayMs: delay, jitter, concurrency }, units: n, delayMs: delay, limitMs: 120_000,
  });
  return [entry('bare', 'bare', n), entry('taskchart, all at once', 'taskchart', n), entry('taskchart, 64 in flight', 'taskchart', 64)];
}

function tableOf(variant, results) {
  const rows = results.map(({ entry, samples, failure }) => {
    if (samples.length === 0) return [entry.label, failureText(failure), '', '', ''];
    const ms = median(samples.map((sample) => sample.ms));
    const over = ms - entry.delayMs;
    const peak = median(samples.map((sample) => sample.memory.peakRss));
    return [entry.label, millis(ms), millis(over), `${fixed((over / entry.units) * 1000, 1)} µs`, megabytes(peak)];
  });
  return { title: variant.title, columns: ['members', 'run', 'over the delay', 'per member', 'peak memory'], rows };
}
