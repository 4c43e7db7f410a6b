/** Time and memory over the size of the run: the order of cost. */
import { goal, rawOf } from './rates.mjs';
import { failureText, interleave } from '../lib/rounds.mjs';
import { count, exponent, fixed, median, megabytes, millis } from '../lib/stats.mjs';

export const id = 'growth';
export const title = 'Growth with the size of the run';

const LIMIT_MS = 300_000;
const SHAPES = [
  { key: 'chain', title: 'taskchart, chain of nodes (`.to`)', contender: 'taskchart', workload: 'chain' },
  { key: 'loop', title: 'taskchart, one task and `nextIteration`', contender: 'taskchart', workload: 'loop' },
  { key: 'fan-out', title: 'taskchart, fan-out (`each`, 64 in flight)', contender: 'taskchart', workload: 'fanOut', concurrency: 64 },
  { key: 'p-queue', title: 'p-queue, fan-out (64 in flight), for comparison', contender: 'p-queue', workload: 'fanOut', concurrency: 64 },
];

export async function run({ quick, rounds, tell }) {
  const sizes = quick ? [100, 300, 1_000] : [1_000, 10_000, 100_000, 1_000_000];
  const entries = SHAPES.flatMap((shape) => sizes.map((n) => entryOf(shape, n)));
  const few = Math.min(rounds, 3);
  const results = await interleave(entries, few, tell);
  const both = await together(quick, tell);
  const shapes = SHAPES.map((shape) => curve(shape, results.filter((result) => result.entry.shape === shape.key)));
  return {
    about: [
      `Each size in a fresh process, ${few} rounds, medians. "Growth" is the exponent k of time ~ size^k from the row above to this one: 1 is linear, below 1 is a fixed cost being spread.`,
      'Peak memory is the greatest resident size of the process, heap is what was used when the run ended, live is what a garbage collection then left: the graph and the output with it.',
    ],
    tables: [...shapes.map((shape) => shape.table), both.table],
    goals: [...shapes.filter((shape) => shape.key !== 'p-queue').flatMap((shape) => goalsOf(shape, sizes)), both.goal],
    data: [...results.map(rawOf), both.raw],
  };
}

function entryOf(shape, n) {
  return {
    shape: shape.key, label: `${shape.title}, ${count(n)}`, contender: shape.contender, workload: shape.workload,
    params: { n, concurrency: shape.concurrency }, units: n, limitMs: LIMIT_MS, gc: true,
  };
}

function pointOf({ entry, samples }) {
  const of = (read) => median(samples.map(read));
  return {
    n: entry.units,
    ms: of((sample) => sample.ms),
    buildMs: of((sample) => sample.buildMs ?? NaN),
    peakRss: of((sample) => sample.memory.peakRss),
    heapUsed: of((sample) => sample.memory.heapUsed),
    heapLive: of((sample) => sample.memory.heapLive),
  };
}

function curve(shape, results) {
  const points = [];
  const rows = results.map((result) => {
    if (result.samples.length === 0) return [count(result.entry.units), failureText(result.failure), '', '', '', '', '', ''];
    const before = points.at(-1);
    const point = pointOf(result);
    points.push(point);
    return [
      count(point.n), millis(point.ms), `${fixed((point.ms / point.n) * 1000, 2)} µs`,
      before ? fixed(exponent([[before.n, before.ms], [point.n, point.ms]]), 2) : '',
      millis(point.buildMs), megabytes(point.peakRss), megabytes(point.heapUsed), megabytes(point.heapLive),
    ];
  });
  const columns = ['tasks', 'run', 'per task', 'growth', 'set-up', 'peak memory', 'heap', 'live'];
  return { key: shape.key, title: shape.title, points, table: { title: shape.title, columns, rows } };
}

/** The small sizes are mostly the compiler of V8 warming up, so the exponents are taken over the upper ones. */
function goalsOf({ title, points }, sizes) {
  const upper = points.filter(({ n }) => n >= sizes[1]);
  const time = upper.length > 1 ? exponent(upper.map(({ n, ms }) => [n, ms])) : NaN;
  const room = upper.length > 1 ? exponent(upper.map(({ n, peakRss }) => [n, peakRss])) : NaN;
  const linear = (x) => x <= 1.15;
  const complete = points.length === sizes.length;
  return [
    goal(`${title}: exponent of time from ${count(sizes[1])} up`, 'linear (at most 1.15)', complete ? time : NaN, linear),
    goal(`${title}: exponent of peak memory from ${count(sizes[1])} up`, 'linear (at most 1.15)', complete ? room : NaN, linear),
  ];
}

async function together(quick, tell) {
  const [n, members] = quick ? [1_000, 300] : [1_000_000, 100_000];
  const label = `a chain of ${count(n)} and a fan-out of ${count(members)} in one run`;
  const entry = {
    label, contender: 'taskchart', workload: 'chainThenFanOut', params: { n, members, concurrency: 64 },
    units: n + members, limitMs: LIMIT_MS, gc: true,
  };
  const [result] = await interleave([entry], 1, tell);
  const columns = ['in one run', 'run', 'per task', 'set-up', 'peak memory', 'heap', 'live'];
  const raw = rawOf(result);
  if (result.failure) {
    const failed = failureText(result.failure);
    return { table: { title: 'Both together', columns, rows: [[label, failed, '', '', '', '', '']] }, goal: { what: label, target: 'completes', measured: failed, met: false }, raw };
  }
  const { ms, buildMs, peakRss, heapUsed, heapLive } = pointOf(result);
  const row = [label, millis(ms), `${fixed((ms / entry.units) * 1000, 2)} µs`, millis(buildMs), megabytes(peakRss), megabytes(heapUsed), megabytes(heapLive)];
  return { table: { title: 'Both together', columns, rows: [row] }, goal: { what: label, target: 'completes', measured: millis(ms), met: true }, raw };
}
