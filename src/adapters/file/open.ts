/**
 * Opens a run for writing.
 *
 * Invariants
 * 1. A damaged run is refused before anything is changed.
 * 2. The claim comes before the reading, and the first journal says how far the reading went: what an overtaken writer
 *    wrote is either read here, or counts for nothing for ever.
 */
import { dirname } from 'node:path';
import type { RunOwner, RunWriter } from '../../ports.ts';
import { beginJournal } from './begin.ts';
import { loadNewest, type Loaded } from './chain.ts';
import { type Claim, claimRun } from './claim.ts';
import { clearLeftovers } from './clearing.ts';
import { errnoOf, isMissing, translated } from './failures.ts';
import type { FileSystem } from './file-system.ts';
import { isThere, type RunFolder } from './run-folder.ts';
import { FileWriter } from './writer.ts';

export async function openRun(folder: RunFolder, owner: RunOwner): Promise<RunWriter> {
  const before = await loadNewest(folder);
  try {
    // Whoever began a journal there has done this.
    if (before?.tip === undefined) await makeRunFolder(folder);
    const claim = await claimRun(folder, before?.epoch ?? 0, owner);
    try {
      return await beginWriting(folder, claim, await loadNewest(folder, before));
    } catch (thrown) {
      throw await claim.reasonFor(thrown);
    }
  } catch (thrown) {
    throw translated(thrown, `Could not open run "${folder.runId}"`, isMissing(thrown) ? folder.store.path : folder.path);
  }
}

/** Makes the run's folder, and the store's where it is not there; their names are durable then. */
export async function makeRunFolder({ fs, store, path }: RunFolder): Promise<void> {
  if (!isThere(fs, path)) {
    store.unsynced ??= await fs.makeFolders(store.path);
    await makeFolder(fs, path);
  }
  // Also where another process made it: it may not have come to this.
  await fs.syncFolder(store.path);
  if (store.unsynced !== undefined) await syncAbove(fs, store.path, store.unsynced);
  store.unsynced = undefined;
}

/** Makes one folder where it is not there. */
export async function makeFolder(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.makeFolder(path);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EEXIST' || !isThere(fs, path)) throw thrown;
  }
}

/** The folders that hold the names of `path` and of those above it, up to `first`. */
async function syncAbove(fs: FileSystem, path: string, first: string): Promise<void> {
  for (let made = path; ; made = dirname(made)) {
    await fs.syncFolder(dirname(made));
    if (made === first || dirname(made) === made) return;
  }
}

async function beginWriting(folder: RunFolder, claim: Claim, found: Loaded | undefined): Promise<RunWriter> {
  const { stored, snapshot, since, tip } = found ?? nothing;
  const start = Math.max(tip?.revision ?? 0, snapshot?.key.revision ?? 0);
  const begun = await beginJournal(folder, claim, 1, { start, snapshot: snapshot?.key, from: tip });
  try {
    await claim.check();
  } catch (thrown) {
    await begun.file.close();
    throw thrown;
  }
  await clearLeftovers(folder, claim);
  const kept = snapshot === undefined || since === undefined ? undefined : { snapshot: snapshot.key, since };
  return new FileWriter(folder, claim, begun, stored, kept);
}

const nothing: Loaded = { stored: undefined, snapshot: undefined, since: undefined, tip: undefined, size: 0, epoch: 0 };
