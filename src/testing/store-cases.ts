/** What the cases of the store's contract share: checkpoints, entries, comparing. */
import { isTaskchartError } from '../core/errors.ts';
import { preview } from '../core/json.ts';
import type { CheckpointStore, RunOwner, RunWriter, StoredRun } from '../ports.ts';

export interface StoreUnderTest {
  readonly store: CheckpointStore;
  /** The same store as another process would see it. The first one stays in use. */
  reopen(): Promise<CheckpointStore>;
  dispose(): Promise<void>;
}

export type Case = (subject: StoreUnderTest) => Promise<void>;

export const owner = (pid: number): RunOwner => ({ host: 'contract.test', pid, since: 1_700_000_000_000 + pid });

/** The text of an envelope, `weight` characters heavier than it must be. */
export function checkpointOf(runId: string, revision: number, weight = 0): string {
  const context = { revision, weight: 'w'.repeat(weight), text: '"é✓\u2028😀' };
  const hash = '0123456789abcdef0123456789abcdef';
  return JSON.stringify({ format: 'taskchart/checkpoint', version: 1, workflow: 'contract', graphHash: hash, machineVersion: 1, runId, seq: revision, savedAt: 1_700_000_000_000, snapshot: { status: 'active', value: 'running', context } });
}

/** The entry that leads to a revision. */
export const entryOf = (revision: number): string => JSON.stringify([revision, { type: 'TICK', text: 'a "b" \\ é✓\u2028😀' }]);

/** The entries that lead from the revision after `from` to `to`. */
export function entriesOf(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, at) => entryOf(from + at + 1));
}

/** A new run with a snapshot of revision 0. */
export async function begin(store: CheckpointStore, runId: string, pid = 1): Promise<RunWriter> {
  const writer = await store.open(runId, owner(pid));
  await writer.save(checkpointOf(runId, 0), 0);
  return writer;
}

/** What a run looks like that was saved at `snapshot` and appended to up to `revision`. */
export function stateOf(runId: string, snapshot: number, revision: number): StoredRun {
  return { checkpoint: checkpointOf(runId, snapshot), revision: snapshot, journal: entriesOf(snapshot, revision) };
}

export function same(what: string, actual: unknown, expected: unknown): void {
  const [found, wanted] = [JSON.stringify(sorted(actual)), JSON.stringify(sorted(expected))];
  if (found === wanted) return;
  throw new Error(`${what}: expected ${preview(expected, 300)}, but found ${preview(actual, 300)}.${difference(found ?? '', wanted ?? '')}`);
}

export function holds(what: string, condition: boolean): void {
  if (!condition) throw new Error(`${what}: that is not so.`);
}

/** That the promise rejects with an error of this code. */
export async function refused(what: string, promise: Promise<unknown>, code: string): Promise<void> {
  let thrown: unknown;
  try {
    const value = await promise;
    throw new Error(`${what}: expected a refusal, but it resolved with ${preview(value, 100)}.`);
  } catch (error) {
    thrown = error;
  }
  if (isTaskchartError(thrown) && thrown.name === 'CheckpointError' && thrown.code === code) return;
  if (thrown instanceof Error && thrown.message.startsWith(`${what}:`)) throw thrown;
  throw new Error(`${what}: expected a CheckpointError ${code}, but found ${preview(thrown, 200)}.`, { cause: thrown });
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value ?? null;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function difference(found: string, wanted: string): string {
  let at = 0;
  while (at < found.length && found[at] === wanted[at]) at++;
  return ` They differ from character ${at} on (lengths ${found.length} and ${wanted.length}).`;
}
