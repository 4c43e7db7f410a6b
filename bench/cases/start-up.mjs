/** From nothing to the end of the process: what a command-line tool or a cold function pays. */
import { spawnSync } from 'node:child_process';
import { goal, rawOf, times } from './rates.mjs';
import { cleanEnv, failureText, interleave } from '../lib/rounds.mjs';
import { benchDir } from '../lib/places.mjs';
import { fixed, median, millis, spread } from '../lib/stats.mjs';

export const id = 'start-up';
export const title = 'Start-up of a process';

const ENTRIES = [
  { key: 'empty', label: 'empty Node process' },
  { key: 'xstate', label: 'import xstate alone' },
  { key: 'taskchart-import', label: 'import taskchart alone' },
  { key: 'taskchart', label: 'import taskchart, run a one-step workflow' },
  { key: 'p-queue', label: 'import p-queue, run one task' },
  { key: 'langgraph', label: 'import LangGraph, run a one-step graph' },
];

export async function run({ quick, rounds, tell }) {
  const wanted = quick ? 2 : Math.max(20, rounds);
  // One round that is not counted: it brings the files into the cache of the system.
  const cold = await interleave(ENTRIES, 1, () => {}, start);
  tell(`  first round, not counted: ${cold.map((result) => result.entry.key + (result.failure ? ' failed' : '')).join(', ')}`);
  const results = await interleave(ENTRIES, wanted, () => {}, start);
  const byKey = new Map(results.map((result) => [result.entry.key, result]));
  return {
    about: [
      `The whole life of a process, from spawn to exit, ${wanted} interleaved rounds after one that is not counted, medians. xstate is the copy that taskchart uses.`,
      'Every program checks its result and says so by its exit code.',
    ],
    tables: [{ columns: ['process', 'time', 'of xstate', 'above the empty process'], rows: results.map((result) => row(result, byKey)) }],
    goals: [
      goal('import and run of taskchart to import of xstate', 'under 1.5 times', pairedRatio(byKey.get('taskchart'), byKey.get('xstate')), (x) => x < 1.5, times),
    ],
    data: results.map(rawOf),
  };
}

function start(entry) {
  const begin = process.hrtime.bigint();
  const child = spawnSync(process.execPath, [`startup/${entry.key}.mjs`], { cwd: benchDir, env: cleanEnv(), stdio: ['ignore', 'ignore', 'pipe'] });
  const ms = Number(process.hrtime.bigint() - begin) / 1e6;
  if (child.status === 0) return { ok: true, ms };
  const complaint = String(child.stderr).split('\n').find((line) => /error/i.test(line)) ?? `exit code ${child.status}`;
  return { ok: false, error: complaint.trim().slice(0, 200) };
}

function pairedRatio(a, b) {
  const pairs = Math.min(a.samples.length, b.samples.length);
  if (pairs === 0) return NaN;
  return median(Array.from({ length: pairs }, (_, i) => a.samples[i].ms / b.samples[i].ms));
}

function row(result, byKey) {
  if (result.samples.length === 0) return [result.entry.label, failureText(result.failure), '', ''];
  const all = result.samples.map((sample) => sample.ms);
  const floor = median(byKey.get('empty').samples.map((sample) => sample.ms));
  return [result.entry.label, spread(all, millis), `${fixed(pairedRatio(result, byKey.get('xstate')), 2)} ×`, millis(median(all) - floor)];
}
