/**
 * A run's folder: where it is, and which files of ours are in it.
 *
 * Owns: the folder's path, the refusal of links and of what stands in the place of a file. Does not own: what is in the files.
 */
import { join } from 'node:path';
import { CheckpointError } from '../../core/errors.ts';
import type { RunOwner } from '../../ports.ts';
import type { FileKind, FileSystem } from './file-system.ts';
import { isMissing, refusal, translated } from './failures.ts';
import { checkRun, unseal } from './format.ts';
import { byAge, checkRunId, epochName, type JournalKey, parseName, type SnapshotKey } from './names.ts';

export interface StoreFolder {
  readonly fs: FileSystem;
  readonly path: string;
  /** The first of the folders above that were made and whose names are not known to be durable. */
  unsynced: string | undefined;
}

export interface RunFolder {
  readonly fs: FileSystem;
  readonly store: StoreFolder;
  readonly path: string;
  readonly runId: string;
}

/** The run's folder, whether it is there or not. Refuses ids and links that lead elsewhere. */
export function runFolder(store: StoreFolder, runId: string): RunFolder {
  checkRunId(runId);
  return { fs: store.fs, store, path: join(store.path, runId), runId };
}

export function pathIn(folder: RunFolder, name: string): string {
  return join(folder.path, name);
}

/** Whether the folder is there, and is one. */
export function isThere(fs: FileSystem, path: string): boolean {
  const kind = fs.facts(path)?.kind;
  if (kind === undefined || kind === 'folder') return kind !== undefined;
  throw misplaced(path, kind, 'folder');
}

function misplaced(path: string, kind: FileKind, expected: FileKind = 'file'): CheckpointError {
  if (kind === 'link') {
    return new CheckpointError('checkpoint/link', `${path} is a link, which might lead anywhere.`, { hint: 'Replace the link by what it points to.', details: { path } });
  }
  const found = kind === 'other' ? 'neither a file nor a folder' : `a ${kind}`;
  return new CheckpointError('checkpoint/not-a-file', `${path} is ${found}, where a ${expected} should be.`, { hint: 'Move it away, or give the store another folder.', details: { path } });
}

/** The files of ours in a run's folder; journals and snapshots from the oldest to the newest. */
export interface Inventory {
  readonly epochs: readonly number[];
  readonly journals: readonly JournalKey[];
  readonly snapshots: readonly SnapshotKey[];
  readonly temporaries: readonly { readonly name: string; readonly epoch: number }[];
  /** Everything as one text, to see whether something has changed. */
  readonly names: string;
}

/** Nothing where there is no such folder. */
export async function takeInventory(folder: RunFolder): Promise<Inventory | undefined> {
  const epochs: number[] = [];
  const journals: JournalKey[] = [];
  const snapshots: SnapshotKey[] = [];
  const temporaries: { name: string; epoch: number }[] = [];
  const names: string[] = [];
  let listed;
  try {
    if (!isThere(folder.fs, folder.path)) return undefined;
    listed = await folder.fs.list(folder.path);
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw translated(thrown, `Could not list the files of run "${folder.runId}"`, folder.path);
  }
  for (const { name } of listed) {
    const file = parseName(name);
    if (file === undefined) continue;
    names.push(name);
    if (file.kind === 'epoch') epochs.push(file.epoch);
    else if (file.kind === 'journal') journals.push(file);
    else if (file.kind === 'snapshot') snapshots.push(file);
    else temporaries.push({ name, epoch: file.epoch });
  }
  epochs.sort((a, b) => a - b);
  journals.sort(byAge);
  snapshots.sort((a, b) => byAge(a, b) || a.revision - b.revision);
  return { epochs, journals, snapshots, temporaries, names: names.sort().join() };
}

/** The bytes of a file of the run; a missing file is an error that `isMissing` knows. */
export async function readFile(folder: RunFolder, name: string, limit?: number): Promise<Buffer> {
  const path = pathIn(folder, name);
  try {
    const kind = folder.fs.facts(path)?.kind ?? 'file';
    if (kind !== 'file') throw misplaced(path, kind);
    const bytes = await folder.fs.read(path, limit);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (thrown) {
    if (isMissing(thrown)) throw thrown;
    throw translated(thrown, `Could not read run "${folder.runId}"`, path);
  }
}

/** Who opened the run as its writer number `epoch`; nothing where the claim was not written to its end. */
export async function readOwner(folder: RunFolder, epoch: number): Promise<RunOwner | undefined> {
  try {
    const name = epochName(epoch);
    const { fields } = unseal('epoch', await readFile(folder, name), pathIn(folder, name));
    checkRun(fields, folder.runId, pathIn(folder, name));
    const { host, pid, since } = fields;
    if (typeof host !== 'string' || typeof pid !== 'number' || typeof since !== 'number') return undefined;
    return { host, pid, since };
  } catch {
    return undefined;
  }
}

/** For a part of the run that another part names and that is not there. */
export function partMissing(folder: RunFolder, name: string, because: string): CheckpointError {
  return refusal('checkpoint/damaged', pathIn(folder, name), `is missing, but ${because}`, 'Bring the file back, load an earlier revision, or start a new run.');
}
