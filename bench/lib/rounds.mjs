/**
 * Measurements in fresh processes, several rounds interleaved between the contenders.
 *
 * Owns: starting the processes, the time limit, the order. Does not own: what is measured, how it is written.
 *
 * Invariants
 * 1. One process at a time; each does one measurement and ends.
 * 2. In a round every entry runs once (A B C, A B C, …), so that a slow spell of the machine meets all of them.
 * 3. An entry that failed or ran over its limit is reported as such and does not run again; its earlier rounds do not count.
 * 4. No path of this machine gets into a result.
 */
import { spawn } from 'node:child_process';
import { benchDir, rootDir } from './places.mjs';

/** Every entry that broke (not: ran over its limit), over the whole bench run. */
export const broken = [];

/** The environment of a measured process: no loader, no tracing, no options that the shell happened to hold. */
export function cleanEnv() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/^(NODE_OPTIONS|NODE_PATH|npm_|LANGCHAIN_|LANGSMITH_)/i.test(name)) delete env[name];
  }
  return env;
}

/** Runs one job in a process of its own: `{ ok: true, ms, … }`, `{ ok: false, error }` or `{ ok: false, overLimit }`. */
export function runJob(job) {
  const limitMs = job.limitMs ?? 60_000;
  const flags = job.gc ? ['--expose-gc'] : [];
  const child = spawn(process.execPath, [...flags, 'child.mjs', JSON.stringify(job)], {
    cwd: benchDir,
    env: cleanEnv(),
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  return new Promise((resolve) => {
    let answer = '';
    let complaint = '';
    let overLimit = false;
    const timer = setTimeout(() => {
      overLimit = true;
      child.kill('SIGKILL');
    }, limitMs);
    child.stdio[3].on('data', (chunk) => (answer += chunk));
    child.stderr.on('data', (chunk) => (complaint = (complaint + chunk).slice(-4_000)));
    child.on('error', (error) => resolve({ ok: false, error: error.message }));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (overLimit) return resolve({ ok: false, overLimit: limitMs });
      if (answer) return resolve(JSON.parse(answer));
      resolve({ ok: false, error: lastLine(complaint) ?? `the process ended with ${signal ?? code} and no answer` });
    });
  });
}

function lastLine(text) {
  const lines = text.split('\n').filter((line) => /error|fatal/i.test(line));
  return lines.length > 0 ? lines[0].trim().slice(0, 200) : undefined;
}

/** Gives every entry its `samples` (the good rounds) and, where it broke off, its `failure`. */
export async function interleave(entries, rounds, tell, run = runJob) {
  const results = entries.map((entry) => ({ entry, samples: [], failure: undefined }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const result of results) {
      if (result.failure || round > (result.entry.rounds ?? rounds)) continue;
      const outcome = await run(result.entry);
      if (outcome.ok) result.samples.push(outcome);
      else fail(result, outcome);
      tell(`  round ${round}/${rounds}  ${result.entry.label}: ${result.failure ? failureText(result.failure) : `${outcome.ms.toFixed(1)} ms`}`);
    }
  }
  return results;
}

/** A contender that works in some rounds only has no figure to show. */
function fail(result, outcome) {
  result.samples.length = 0;
  result.failure = outcome.error ? { ...outcome, error: outcome.error.replaceAll(rootDir, '.') } : outcome;
  if (!outcome.overLimit) broken.push(result.entry.label);
}

export function failureText(failure) {
  return failure.overLimit ? `over the limit of ${failure.overLimit / 1000} s` : `failed: ${failure.error}`;
}
