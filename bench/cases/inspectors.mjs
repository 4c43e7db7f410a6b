/** What it costs a run to be watched. */
import { goal, measureRates, note, times } from './rates.mjs';
import { count, median, millis, percent } from '../lib/stats.mjs';

export const id = 'inspectors';
export const title = 'Watched runs: no-op async tasks, 64 in flight, a viewer in another process';

export async function run({ quick, rounds, tell }) {
  const n = quick ? 500 : 20_000;
  const many = quick ? 1_000 : 1_000_000;
  const few = quick ? 100 : 2_000;
  const warm = quick ? 1 : 5;
  const entry = (key, label, workload, size, extra = {}) => ({
    key, label, contender: 'inspected', workload, params: { n: size, concurrency: 64, ...extra.params }, units: size, limitMs: 60_000, ...extra,
  });
  const warmly = (size) => ({ params: { n: size, concurrency: 64, warm } });
  const measured = await measureRates({
    entries: [
      entry('plain', 'unwatched', 'unwatched', n, { short: 'unwatched' }),
      entry('own', '`connectInspector()`, its viewer open', 'own', n),
      entry('stately', '`@statelyai/inspect` by its socket, its receiver open', 'stately', n),
      entry('plain-warm', `unwatched, after ${warm} such runs`, 'unwatched', n, warmly(n)),
      entry('own-warm', `\`connectInspector()\`, after ${warm} such runs`, 'own', n, warmly(n)),
      entry('plain-many', 'unwatched', 'unwatched', many),
      entry('own-many', '`connectInspector()`, its viewer open', 'own', many),
      entry('plain-few', 'unwatched', 'unwatched', few),
      entry('own-few', '`connectInspector()`, its viewer open', 'own', few),
      entry('stately-few', '`@statelyai/inspect`, its receiver open', 'stately', few),
    ],
    reference: 'plain', unit: 'tasks', rounds, tell,
  });
  const told = measured.results.filter(({ entry: { workload } }) => workload !== 'unwatched');
  const enough = (x) => x >= 0.75;
  return {
    about: [
      'One fan-out. The time is that of the run alone, from its start to its result. The relay, or Stately\'s server, and one viewer are in a second process on the same machine, which has its share of the two cores.',
      '"Of unwatched" is taken against the first row. "Told" is when the viewer has read that the run has completed.',
      'Stately\'s inspector puts its work off until after the run, one timer per event; what it costs shows in the second table.',
    ],
    tables: [
      measured.table,
      { title: 'From the start of the run until the viewer knows its end', columns: ['', 'size', 'told after'], rows: told.map(({ entry: { label, units }, samples, failure }) => [label, count(units), samples.length === 0 ? (failure?.overLimit ? 'over its limit' : 'failed') : millis(median(samples.map(({ toldMs }) => toldMs)))]) },
    ],
    goals: [
      goal(`throughput that a run of ${count(n)} tasks keeps when it is watched`, 'at least 75%', measured.ratio('own', 'plain'), enough, percent),
      goal('the same, in a warm process', 'at least 75%', measured.ratio('own-warm', 'plain-warm'), enough, percent),
      note(`the same, ${count(many)} tasks`, measured.ratio('own-many', 'plain-many'), percent),
      note(`the same, ${count(few)} tasks`, measured.ratio('own-few', 'plain-few'), percent),
      note('to @statelyai/inspect, during the run', measured.ratio('own', 'stately'), times),
    ],
    data: measured.raw,
  };
}
