/** Groups on worker processes over Redis, beside BullMQ and bee-queue on the same server. */
import { goal, measureRates, note, rawOf, times } from './rates.mjs';
import { withServer } from '../lib/redis.mjs';
import { failureText, interleave } from '../lib/rounds.mjs';
import { count, fixed, median, megabytes, millis, percent, spread } from '../lib/stats.mjs';

export const id = 'redis';
export const title = 'Groups over Redis: no-op tasks, one worker process, results back at the submitter';

const LEASE_MS = 1000;
const REAP_MS = 500;
const names = { taskchart: 'taskchart', bullmq: 'BullMQ with QueueEvents', 'bee-queue': 'bee-queue' };

export const run = (options) => withServer(() => measure(options));

async function measure(options) {
  const small = await rates(options, 100, options.quick ? 200 : 50_000);
  const large = await rates(options, 10_000, options.quick ? 100 : 3_000);
  const trips = await latencies(options);
  const groups = await groupTimes(options);
  const commands = await commandCounts(options);
  const journal = await journalled(options);
  const whole = await wholes(options);
  return {
    about: [
      'Submitter and worker are a process each; both and the server share the cores. Every answer is checked. Workers live for long, so what is measured is a warm process: as many jobs again come first, outside the time, for all contenders alike.',
      'Redis keeps nothing on disk. BullMQ and bee-queue remove finished jobs, add in bulks of 1,000 and hear all results by one listener, which is the fastest way for both; BullMQ is also shown with a promise for each job. A job of taskchart is a unit of one run: kept in a slot of its worker until its result is in the run\'s list.',
      'Idle round trip: the worker has waited for some milliseconds, then one job is sent. For taskchart that is one more unit of a run that is under way; a whole run of one unit is shown below it.',
    ],
    tables: [small.table, large.table, trips.table, groups.table, commands.table, journal.table, ...whole.tables],
    goals: [...small.goals, ...large.goals, ...trips.goals, ...groups.goals, ...commands.goals, ...journal.goals, ...whole.goals],
    data: [small, large, trips, groups, commands, journal, whole].flatMap(({ raw }) => raw),
  };
}

const entry = (key, workload, params, units, extra = {}) => ({ key, label: names[key] ?? key, contender: `redis-${key}`, workload, params, units, limitMs: 120_000, ...extra });
const sum = (results, key) => results.find((result) => result.entry.key === key);

async function rates({ rounds, quick, tell }, bytes, n) {
  const params = { n, bytes, concurrency: 100, warm: quick ? 20 : n };
  const others = [
    { ...entry('bullmq', 'throughput', { ...params, n: n / 10, warm: n / 10, awaited: true }, n / 10), key: 'awaited', label: 'BullMQ, each job by `waitUntilFinished`' },
    { ...entry('taskchart', 'throughput', { ...params, batches: true }, n), key: 'batches', label: 'taskchart, 20 jobs in a unit' },
  ];
  const entries = [...['taskchart', 'bullmq', 'bee-queue'].map((key) => entry(key, 'throughput', params, n)), ...(bytes === 100 ? others : [])];
  const measured = await measureRates({ entries, reference: 'bullmq', unit: 'jobs', rounds, tell });
  const [toBull, toBee] = bytes === 100 ? [8, 2.5] : [2, 1.2];
  const size = bytes === 100 ? '100 B' : '10 KB';
  return {
    table: { title: `Throughput, ${size} a job, 100 at a time`, ...measured.table },
    goals: [
      goal(`throughput, ${size}: to BullMQ`, `at least ${toBull} times`, measured.ratio('taskchart', 'bullmq'), (x) => x >= toBull, times),
      ...(bytes === 100 ? [
        note(`throughput, ${size}: to BullMQ, each job by its own promise`, measured.ratio('taskchart', 'awaited'), times),
        note(`throughput, ${size}: 20 jobs in a unit to one`, measured.ratio('batches', 'taskchart'), times),
      ] : []),
      goal(`throughput, ${size}: to bee-queue`, `at least ${toBee} times`, measured.ratio('taskchart', 'bee-queue'), (x) => x >= toBee, times),
    ],
    raw: measured.raw,
  };
}

/** The ratio of medians of two entries, round by round. */
function pairs(a, b, read) {
  const rounds = Math.min(a?.samples.length ?? 0, b?.samples.length ?? 0);
  return rounds === 0 ? NaN : median(Array.from({ length: rounds }, (_, i) => median(read(a.samples[i])) / median(read(b.samples[i]))));
}

const p95 = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.95)];

async function latencies({ rounds, quick, tell }) {
  const params = { n: quick ? 10 : 500, warm: quick ? 2 : 1_000, restMs: 2 };
  const entries = [
    ...['taskchart', 'bullmq', 'bee-queue'].map((key) => entry(key, 'roundTrip', params, params.n)),
    { ...entry('taskchart', 'runs', params, params.n), key: 'runs', label: 'taskchart, a whole run for each' },
  ];
  const results = await interleave(entries, rounds, tell);
  const rows = results.map(({ entry: { label }, samples, failure }) => samples.length === 0 ? [label, failureText(failure), ''] : [label, spread(samples.map(({ trips }) => median(trips)), millis), millis(median(samples.map(({ trips }) => p95(trips))))]);
  const read = ({ trips }) => trips;
  const against = (a, b) => pairs(sum(results, a), sum(results, b), read);
  return {
    table: { title: 'Idle round trip', columns: ['', 'p50', 'p95'], rows },
    goals: [
      goal('idle round trip, p50: to BullMQ', 'at most 0.45 times', against('taskchart', 'bullmq'), (x) => x <= 0.45, times),
      goal('idle round trip, p50: to bee-queue', 'not above', against('taskchart', 'bee-queue'), (x) => x <= 1, times),
      note('a whole run of one unit, p50: to BullMQ', against('runs', 'bullmq'), times),
    ],
    raw: results.map(rawOf),
  };
}

async function groupTimes({ rounds, quick, tell }) {
  const params = { n: quick ? 20 : 1_000, repeats: quick ? 1 : 20, warm: quick ? 0 : 30, concurrency: 100 };
  const results = await interleave([entry('taskchart', 'group', params, params.n), { ...entry('bullmq', 'group', params, params.n), label: 'BullMQ, a flow' }], rounds, tell);
  const rows = results.map(({ entry: { label }, samples, failure }) => [label, samples.length === 0 ? failureText(failure) : spread(samples.map((sample) => median(sample.times)), millis)]);
  const ratio = pairs(sum(results, 'bullmq'), sum(results, 'taskchart'), (sample) => sample.times);
  return {
    table: { title: `A group of ${count(params.n)}, from start to the submitter's answer`, columns: ['', 'time'], rows },
    goals: [goal(`a group of ${count(params.n)}: faster than a BullMQ flow`, 'at least 8 times', ratio, (x) => x >= 8, times)],
    raw: results.map(rawOf),
  };
}

async function commandCounts({ quick, tell }) {
  const n = quick ? 200 : 20_000;
  const params = { n, bytes: 100, concurrency: 100, warm: quick ? 20 : 1_000 };
  const results = await interleave(['taskchart', 'bullmq', 'bee-queue'].map((key) => entry(key, 'commands', params, n)), 1, tell);
  const idle = await interleave([entry('taskchart', 'idle', { forMs: quick ? 1_000 : 10_000 }, 1)], 1, tell);
  const per = (result, where) => (result?.samples.length > 0 ? result.samples[0].counts[where] / n : NaN);
  const idleRate = idle[0].samples.length > 0 ? (idle[0].samples[0].counts.client / idle[0].samples[0].ms) * 1000 : NaN;
  const own = sum(results, 'taskchart');
  return {
    table: {
      title: 'Commands per job at load, counted by the server', columns: ['', 'calls of clients', 'commands in scripts'],
      rows: results.map((result) => [result.entry.label, result.failure ? failureText(result.failure) : fixed(per(result, 'client'), 3), result.failure ? '' : fixed(per(result, 'script'), 2)]),
    },
    goals: [
      goal('calls of clients per job at load', 'under 0.1', per(own, 'client'), (x) => x < 0.1, (x) => fixed(x, 3)),
      goal('commands in scripts per job at load', 'at most 6', per(own, 'script'), (x) => x <= 6),
      goal('calls per second of an idle worker', 'at most 2', idleRate, (x) => x <= 2),
    ],
    raw: [...results, ...idle].map(rawOf),
  };
}

async function journalled({ rounds, quick, tell }) {
  const n = quick ? 200 : 50_000;
  const params = { n, bytes: 100, concurrency: 100, warm: quick ? 20 : 5_000 };
  const measured = await measureRates({
    entries: [
      { ...entry('taskchart', 'throughput', params, n), key: 'plain', label: 'without a journal' },
      { ...entry('taskchart', 'journalled', params, n), key: 'journal', label: 'with a journal (file store, fsync on)' },
    ],
    reference: 'plain', unit: 'units', rounds, tell,
  });
  return {
    table: { title: 'taskchart with and without a journal', ...measured.table },
    goals: [goal('journalled coordinator to the same run without a journal', 'at least 60%', measured.ratio('journal', 'plain'), (x) => x >= 0.6, percent)],
    raw: measured.raw,
  };
}

async function wholes({ rounds, quick, tell }) {
  const n = quick ? 1_000 : 1_000_000;
  const million = await interleave([{ ...entry('taskchart', 'million', { n, concurrency: 100 }, n, { limitMs: 300_000 }), label: `one run of ${count(n)} units` }], 1, tell);
  const params = quick ? { leaseMs: 300, reapMs: 150 } : { leaseMs: LEASE_MS, reapMs: REAP_MS };
  const deaths = await interleave([{ ...entry('taskchart', 'recovery', params, 1), label: 'a worker is killed' }], quick ? 1 : Math.max(rounds, 5), tell);
  const [big] = million[0].samples;
  const worst = deaths[0].samples.length > 0 ? Math.max(...deaths[0].samples.map(({ ms }) => ms)) : NaN;
  const bound = params.leaseMs + params.reapMs;
  return {
    tables: [
      {
        title: million[0].entry.label, columns: ['time', 'units/s', 'coordinator, peak', 'worker, peak', 'Redis, greatest seen', 'keys left'],
        rows: [big === undefined ? [failureText(million[0].failure)] : [millis(big.ms), count((n / big.ms) * 1000), megabytes(big.memory.peakRss), megabytes(big.workerRss), megabytes(big.redisBytes), count(big.left)]],
      },
      {
        title: `A worker is killed in the middle of a unit (lease ${params.leaseMs} ms, looked for every ${params.reapMs} ms)`, columns: ['until another worker begins the unit'],
        rows: [[deaths[0].samples.length === 0 ? failureText(deaths[0].failure) : spread(deaths[0].samples.map(({ ms }) => ms), millis)]],
      },
    ],
    goals: [
      goal(`${count(n)} units through one run`, 'completes', big?.ms, () => true, millis),
      goal('recovery after a worker was killed, the longest', `lease + 1 look: ${bound} ms`, worst, (x) => x <= bound, millis),
    ],
    raw: [...million, ...deaths].map(rawOf),
  };
}
