/**
 * Was anything done twice? Compares what the store held at the kill with what the witness saw. Pure.
 *
 * What the store holds is found by looking for the results themselves in its JSON: a manifest's result has `path` and
 * `problem`, a package's result `sha256` as well. So nothing of the library decides what counts as finished.
 */
import type { Witnessed } from './crash-witness.ts';

export interface Audit {
  /** Package tasks whose result was in the store at the kill. */
  readonly acknowledged: number;
  /** Of these: done again after the kill. Must be 0. */
  readonly repeated: number;
  /** Begun before the kill and not ended; run again. */
  readonly interrupted: number;
  /** Ended before the kill, but the store did not have it yet; run again. */
  readonly unrecorded: number;
  readonly total: number;
  readonly problems: readonly string[];
}

export function audit(stored: readonly string[], witness: readonly Witnessed[], killed: number): Audit {
  const finished = new Set<string>();
  for (const text of stored) collect(JSON.parse(text), finished);
  const problems: string[] = [];
  let [repeated, interrupted, unrecorded, total] = [0, 0, 0, 0];
  for (const [task, lines] of byTask(witness)) {
    total += 1;
    const before = lines.filter((line) => line.pid === killed);
    const after = lines.filter((line) => line.pid !== killed);
    if (!lines.some((line) => line.what !== 'began')) problems.push(`${task} was never done`);
    if (finished.has(task) && !before.some((line) => line.what === 'ended')) problems.push(`${task} is in the store, but nobody saw it end`);
    if (new Set(lines.map((line) => line.key)).size > 1) problems.push(`${task} had several idempotency keys`);
    if (after.length === 0 || before.length === 0) continue;
    if (finished.has(task)) {
      repeated += 1;
      problems.push(`${task} was finished, and was done again`);
    } else if (before.every((line) => line.what === 'began')) interrupted += 1;
    else unrecorded += 1;
  }
  return { acknowledged: finished.size, repeated, interrupted, unrecorded, total, problems };
}

function byTask(witness: readonly Witnessed[]): Map<string, Witnessed[]> {
  const tasks = new Map<string, Witnessed[]>();
  for (const line of witness) {
    const name = `${line.task} of ${line.path}`;
    const lines = tasks.get(name);
    if (lines === undefined) tasks.set(name, [line]);
    else lines.push(line);
  }
  return tasks;
}

/** Every result of a package task, at whatever depth. */
function collect(value: unknown, finished: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  const { path, problem, sha256 } = value as Record<string, unknown>;
  // A broken manifest has a problem: its task failed, and was not done.
  if (typeof path === 'string' && problem === null) finished.add(`manifest of ${path}`);
  if (typeof path === 'string' && problem !== undefined && typeof sha256 === 'string') finished.add(`contents of ${path}`);
  for (const inner of Object.values(value)) collect(inner, finished);
}
