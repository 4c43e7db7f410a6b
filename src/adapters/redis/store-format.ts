/**
 * How a run is written into lists: `{ns}:run:<id>` holds its head and its two newest snapshots, `{ns}:log:<id>` what was
 * appended after the older of them, one element for each write.
 *
 * Owns: the elements, and what a run's elements mean together. Does not own: reading and writing them (store-scripts.ts).
 *
 * Invariants
 * 1. Writes are numbered from 1 over the run's life; the log begins after number `base` and ends with number `last`.
 * 2. A snapshot knows the last write that it covers, so nobody has to look into entries to find those after it.
 * 3. A write knows the revision that it follows, so a gap shows.
 * 4. Every body has a checksum that also covers whose it is and where it belongs.
 */
import { crc32 } from 'node:zlib';
import { CheckpointError } from '../../core/errors.ts';
import { preview } from '../../core/preview.ts';
import type { RevisionNote, RunOwner, StoredRun } from '../../ports.ts';
import { unknownRevision } from '../store-errors.ts';

export interface Head {
  readonly epoch: number;
  /** Writes so far, of entries and of snapshots. */
  readonly op: number;
  readonly base: number;
  readonly last: number;
  /** Of the last write; -1 before the first. */
  readonly revision: number;
  readonly updatedAt: number;
  readonly workflow: string;
  readonly owner: RunOwner | undefined;
  /** The revisions of the snapshots, newest first. */
  readonly snapshots: readonly number[];
}

/** What a run's lists hold: all of it, or the newest snapshot and the log behind it. */
export interface Contents {
  readonly head: Head;
  readonly snapshots: readonly string[];
  /** The number of the write before the first of `log`. */
  readonly before: number;
  readonly log: readonly string[];
}

interface Snapshot {
  readonly revision: number;
  /** The last write that it covers. */
  readonly cover: number;
  readonly savedAt: number;
  readonly bytes: number;
  /** Nothing where its checksum is wrong. */
  readonly checkpoint: string | undefined;
}

/** A snapshot of the store, as the writer that goes on needs it. */
export interface Mark {
  readonly revision: number;
  readonly cover: number;
}

const HEAD = /^taskchart\/1\|(\d+)\|\w+\|(\d+)\|(\d+)\|(\d+)\|(-?\d+)\|(\d+)\|(-?\d+)\|(-?\d+)\|([^|]*)\|(.*)$/s;
const SNAPSHOT = /^(\d+)\|(\d+)\|(\d+)\|(\d+)\|(\d+)\|/;

/** Nothing for what is none of ours. */
export function decodeHead(text: string): Head | undefined {
  const parts = HEAD.exec(text);
  if (parts === null) return undefined;
  const [epoch = 0, op = 0, base = 0, last = 0, revision = 0, updatedAt = 0, first = 0, second = 0] = parts.slice(1, 9).map(Number);
  return { epoch, op, base, last, revision, updatedAt, workflow: workflowIn(parts[9] ?? ''), owner: ownerIn(parts[10] ?? ''), snapshots: [first, second].filter((one) => one >= 0).sort((a, b) => b - a) };
}

export function encodeSnapshot(runId: string, revision: number, cover: number, savedAt: number, checkpoint: string): string {
  return `${revision}|${cover}|${savedAt}|${Buffer.byteLength(checkpoint)}|${sumOf(checkpoint, `${runId} ${cover} ${revision} snapshot`)}|${checkpoint}`;
}

/** A write: its entries lead from revision `from` to `revision`. */
export function encodeBatch(runId: string, number: number, from: number, revision: number, entries: readonly string[]): string {
  const text = entries.join('\n');
  return `${from}|${revision}|${sumOf(text, `${runId} ${number} ${from} ${revision} entries`)}|${text}`;
}

/** The revision and the size of a snapshot, from its beginning. */
export function noteOf(element: string): RevisionNote | undefined {
  const parts = SNAPSHOT.exec(element);
  return parts === null ? undefined : { revision: Number(parts[1]), savedAt: Number(parts[3]), bytes: Number(parts[4]) };
}

/** For a writer: the newest state, the snapshots, newest first, and the revisions of the writes after the newest. */
export interface Resumed {
  readonly stored: StoredRun;
  readonly marks: readonly Mark[];
  readonly writes: readonly { readonly number: number; readonly revision: number }[];
}

/** The newest state, which must be whole. `all` reads everything, for what is said when it is not. */
export async function newestOf(runId: string, contents: Contents, all: () => Promise<Contents | undefined>): Promise<Resumed | undefined> {
  const { head } = contents;
  if (head.snapshots.length === 0) return undefined;
  const [snapshot] = snapshotsOf(runId, contents);
  const state = snapshot === undefined ? undefined : reach(runId, contents, snapshot);
  if (snapshot !== undefined && state?.stored !== undefined && state.fault === undefined && state.reached === head.revision) {
    // Nothing is dropped that the older one may need.
    const older = head.snapshots.slice(1).map((revision) => ({ revision, cover: head.base }));
    return { stored: state.stored, marks: [{ revision: snapshot.revision, cover: snapshot.cover }, ...older], writes: state.writes };
  }
  throw untrusted(runId, state?.fault ?? (state === undefined ? 'its newest snapshot is missing' : 'what was written last is missing'), (await all()) ?? contents);
}

/** The state at a revision at which a write ended. */
export function stateAt(runId: string, contents: Contents, revision: number): StoredRun {
  const snapshots = snapshotsOf(runId, contents);
  let fault: string | undefined;
  for (const snapshot of snapshots) {
    if (snapshot.revision > revision) continue;
    const state = reach(runId, contents, snapshot, revision);
    if (state.stored !== undefined && state.reached === revision) return state.stored;
    fault ??= state.fault;
  }
  if (fault !== undefined) throw untrusted(runId, fault, contents);
  throw unknownRevision(runId, revision, snapshots.map((snapshot) => snapshot.revision));
}

interface State {
  readonly stored: StoredRun | undefined;
  readonly reached: number;
  readonly fault: string | undefined;
  readonly writes: readonly { readonly number: number; readonly revision: number }[];
}

/** A snapshot and what was appended after it, as far as `most`; `fault` says why it leads no further. */
function reach(runId: string, { before, log }: Contents, snapshot: Snapshot, most = Number.MAX_SAFE_INTEGER): State {
  const { checkpoint, revision: from, cover } = snapshot;
  if (checkpoint === undefined) return { stored: undefined, reached: -1, fault: `the checksum of its snapshot of revision ${from} is wrong`, writes: [] };
  const journal: string[] = [];
  const writes: { number: number; revision: number }[] = [];
  let reached = from;
  let fault = cover < before ? `its entries after revision ${from} are missing` : undefined;
  for (let number = cover + 1; fault === undefined && number <= before + log.length; number++) {
    const batch = batchOf(runId, number, log[number - before - 1] ?? '');
    if (batch === undefined) fault = `the checksum of its entries after revision ${reached} is wrong`;
    else if (batch.revision > most) break;
    // A newer snapshot was saved where nothing had been appended for a while: what follows it does not follow this one.
    else if (batch.from !== reached) fault = `its entries after revision ${reached} are missing`;
    else {
      const { revision, entries } = batch;
      for (const entry of entries) journal.push(entry);
      writes.push({ number, revision });
      reached = revision;
    }
  }
  return { stored: { checkpoint, revision: from, journal }, reached, fault, writes };
}

/** Newest first. What is no snapshot is left out. */
function snapshotsOf(runId: string, { snapshots }: Contents): readonly Snapshot[] {
  const found = snapshots.flatMap((element): Snapshot[] => {
    const parts = SNAPSHOT.exec(element);
    if (parts === null) return [];
    const [revision = 0, cover = 0, savedAt = 0, bytes = 0, sum = 0] = parts.slice(1, 6).map(Number);
    const text = element.slice(parts[0].length);
    const whole = sumOf(text, `${runId} ${cover} ${revision} snapshot`) === sum;
    return [{ revision, cover, savedAt, bytes, checkpoint: whole ? text : undefined }];
  });
  return found.sort((a, b) => b.revision - a.revision);
}

/** Nothing where the checksum is wrong. */
function batchOf(runId: string, number: number, element: string): { readonly from: number; readonly revision: number; readonly entries: readonly string[] } | undefined {
  const parts = /^(\d+)\|(\d+)\|(\d+)\|/.exec(element);
  if (parts === null) return undefined;
  const [from, revision] = [Number(parts[1]), Number(parts[2])];
  const text = element.slice(parts[0].length);
  return sumOf(text, `${runId} ${number} ${from} ${revision} entries`) === Number(parts[3]) ? { from, revision, entries: text.split('\n') } : undefined;
}

/** Names the newest revision that can be loaded. */
function untrusted(runId: string, fault: string, contents: Contents): CheckpointError {
  const snapshots = snapshotsOf(runId, contents);
  const usable = Math.max(-1, ...snapshots.map((snapshot) => reach(runId, contents, snapshot).reached));
  const which = usable < 0 ? 'no revision of it can be used' : `revision ${usable} can still be loaded`;
  return new CheckpointError('checkpoint/damaged', `What Redis holds of run "${runId}" is damaged: ${fault}; ${which}.`, {
    hint: usable < 0 ? 'Go back to a copy of the data of Redis. Nothing was changed.' : `Go on with load(runId, ${usable}) or taskchart fork --at ${usable}. Nothing was changed.`,
    details: { runId, ...(usable < 0 ? {} : { usable }) },
  });
}

export function foreign(runId: string, key: string): CheckpointError {
  return new CheckpointError('checkpoint/foreign', `What stands in Redis in place of run "${runId}" (${preview(key, 100)}) was not written by this version of taskchart.`, {
    hint: 'Choose another namespace or prefix, or use the version that wrote it.',
    details: { runId },
  });
}

function sumOf(text: string, place: string): number {
  const start = crc32(place);
  return text === '' ? start : crc32(text, start);
}

function workflowIn(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

function ownerIn(text: string): RunOwner | undefined {
  try {
    const { host, pid, since } = JSON.parse(text) as Partial<RunOwner>;
    return typeof host === 'string' && typeof pid === 'number' && typeof since === 'number' ? { host, pid, since } : undefined;
  } catch {
    return undefined;
  }
}

/** The name of the workflow as the head carries it: found at the beginning of the envelope, which may be large. */
export function workflowOf(checkpoint: string): string {
  const quoted = /"workflow":("(?:[^"\\]|\\.){0,1000}")/.exec(checkpoint.slice(0, 4000))?.[1];
  try {
    return quoted === undefined ? '' : encodeURIComponent(String(JSON.parse(quoted)));
  } catch {
    return '';
  }
}
