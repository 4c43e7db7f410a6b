/**
 * A run out of its files.
 *
 * Owns: which journals and snapshots count, and in which order. Does not own: the files' insides (parts.ts), writing.
 *
 * The newest journal decides: it names the newest snapshot, the journal that it goes on from, and how far that one
 * counts. So a write that came after a newer writer had opened the run, and a snapshot whose save was cut short, are
 * there but count for nothing.
 *
 * Invariants
 * 1. `loadNewest` gives the newest state whole, or refuses and names the newest revision that can be had.
 * 2. Nothing is changed by reading.
 * 3. A file that a writer cleared away while we were reading makes us read again; a missing file is damage only where
 *    the folder has not changed.
 */
import { basename } from 'node:path';
import { CheckpointError, isTaskchartError } from '../../core/errors.ts';
import type { StoredRun } from '../../ports.ts';
import { unknownRevision } from '../store-errors.ts';
import { isMissing, refusal, withUsable } from './failures.ts';
import { type JournalKey, journalName, parseName, type SnapshotKey, snapshotName } from './names.ts';
import { type Cut, type Journal, readJournal, readSnapshot, type Snapshot } from './parts.ts';
import { type Inventory, partMissing, pathIn, type RunFolder, takeInventory } from './run-folder.ts';

export interface Loaded {
  readonly stored: StoredRun | undefined;
  readonly snapshot: Snapshot | undefined;
  /** The oldest journal with entries after the snapshot. */
  readonly since: JournalKey | undefined;
  /** Where a new journal would go on; nothing in a folder without journals. */
  readonly tip: Cut | undefined;
  /** The size of the newest journal. */
  readonly size: number;
  /** The highest number of a writer so far; 0 where there was none. */
  readonly epoch: number;
}

/** The newest state; nothing where there is no such folder. What is `known` and has not changed is not read again. */
export function loadNewest(folder: RunFolder, known?: Loaded): Promise<Loaded | undefined> {
  return steadily(folder, async (inventory, again) => {
    try {
      return await newest(folder, inventory, known);
    } catch (thrown) {
      const error = again && isMissing(thrown) ? missing(folder, thrown) : thrown;
      throw error instanceof CheckpointError ? withUsable(error, (await survey(folder, inventory)).newestUsable) : error;
    }
  });
}

/** The state at one revision, refused where it is not there any more; nothing where no such run is. */
export function loadRevision(folder: RunFolder, revision: number): Promise<StoredRun | undefined> {
  return steadily(folder, async (inventory) => {
    if (inventory.journals.length === 0 && inventory.snapshots.length === 0) return undefined;
    const { at, snapshots } = await survey(folder, inventory);
    const found = at(revision);
    if (found === undefined) throw unknownRevision(folder.runId, revision, snapshots.map(({ key }) => key.revision));
    return found;
  });
}

/** The snapshots that can be loaded, newest first. */
export async function soundSnapshots(folder: RunFolder): Promise<readonly Snapshot[]> {
  return (await steadily(folder, async (inventory) => (await survey(folder, inventory)).snapshots)) ?? [];
}

async function steadily<T>(folder: RunFolder, read: (inventory: Inventory, again: boolean) => Promise<T>): Promise<T | undefined> {
  let names: string | undefined;
  for (;;) {
    const inventory = await takeInventory(folder);
    if (inventory === undefined) return undefined;
    try {
      return await read(inventory, inventory.names === names);
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown;
      if (inventory.names === names) throw missing(folder, thrown);
      names = inventory.names;
    }
  }
}

function missing(folder: RunFolder, thrown: unknown): CheckpointError {
  return partMissing(folder, basename(String((thrown as { path?: unknown }).path)), 'another file of the run goes on from it');
}

async function newest(folder: RunFolder, inventory: Inventory, known: Loaded | undefined): Promise<Loaded> {
  const key = inventory.journals.at(-1);
  const epoch = Math.max(inventory.epochs.at(-1) ?? 0, key?.epoch ?? 0);
  if (key === undefined) {
    const [stray] = inventory.snapshots;
    if (stray !== undefined) throw partMissing(folder, journalName(stray), `the snapshot ${snapshotName(stray)} was saved with it`);
    return { stored: undefined, snapshot: undefined, since: undefined, tip: undefined, size: 0, epoch };
  }
  // A journal only grows, and what it goes on from never changes.
  if (known?.tip?.journal === journalName(key) && folder.fs.facts(pathIn(folder, journalName(key)))?.bytes === known.size) return { ...known, epoch };
  const head = await soundJournal(folder, key);
  const tip: Cut = { journal: journalName(key), bytes: head.end, crc: head.crc, revision: head.revision };
  if (head.snapshot === undefined) {
    if (head.entries.length > 0) throw refusal('checkpoint/invalid', pathIn(folder, tip.journal), 'has entries, but names no snapshot');
    return { stored: undefined, snapshot: undefined, since: key, tip, size: head.size, epoch };
  }
  const journals = [head];
  for (let first = head; first.start > head.snapshot.revision; journals.unshift(first)) {
    if (first.from === undefined) throw refusal('checkpoint/invalid', pathIn(folder, journalName(first.key)), `begins at revision ${first.start} and goes on from nothing`);
    first = await soundJournal(folder, first.from);
  }
  const { revision } = head.snapshot;
  const same = known?.snapshot !== undefined && snapshotName(known.snapshot.key) === snapshotName(head.snapshot);
  const snapshot = same ? known.snapshot : await readSnapshot(folder, head.snapshot);
  const { entries } = gather(journals, revision, Infinity);
  return { stored: { checkpoint: snapshot.checkpoint, revision, journal: entries }, snapshot, since: journals[0]?.key, tip, size: head.size, epoch };
}

async function soundJournal(folder: RunFolder, which: JournalKey | Cut): Promise<Journal> {
  const journal = await ('journal' in which ? readJournal(folder, journalKey(which), which) : readJournal(folder, which));
  if (journal.damage !== undefined) throw journal.damage;
  return journal;
}

function journalKey(cut: Cut): JournalKey {
  const file = parseName(cut.journal);
  // Cuts are checked where they are read.
  return file?.kind === 'journal' ? file : { epoch: 0, number: 0 };
}

/**
 * The entries after a revision, up to `limit`, and the revision that is reached: less than could be where a journal is
 * damaged or a snapshot bridges what was never written.
 */
function gather(journals: readonly Journal[], after: number, limit: number): { entries: string[]; reached: number } {
  const entries: string[] = [];
  let reached = after;
  for (const journal of journals.slice(Math.max(0, journals.findLastIndex(({ start }) => start <= after)))) {
    if (journal.start > reached) break;
    let seen = 0;
    for (const mark of journal.marks) {
      if (mark.revision > limit) return { entries, reached };
      if (mark.revision > reached) {
        for (let at = seen; at < mark.entries; at++) entries.push(journal.entries[at] as string);
        reached = mark.revision;
      }
      seen = mark.entries;
    }
    if (journal.damage !== undefined) break;
  }
  return { entries, reached };
}

/** All that can be had of a run, whatever is damaged. */
interface Survey {
  readonly snapshots: readonly Snapshot[];
  readonly newestUsable: number | undefined;
  readonly at: (revision: number) => StoredRun | undefined;
}

async function survey(folder: RunFolder, inventory: Inventory): Promise<Survey> {
  const journals = await readableChain(folder, inventory);
  const damaged = new Map<number, unknown>();
  const snapshots: Snapshot[] = [];
  for (const key of namedSnapshots(journals)) {
    const snapshot = await attempt(() => readSnapshot(folder, key), (error) => damaged.set(key.revision, error));
    if (snapshot !== undefined && snapshots.at(-1)?.key.revision !== key.revision) snapshots.push(snapshot);
  }
  const usable = snapshots.map(({ key }) => gather(journals, key.revision, Infinity).reached);
  return {
    snapshots,
    newestUsable: usable.length === 0 ? undefined : Math.max(...usable),
    at: (revision) => {
      for (const { key, checkpoint } of snapshots) {
        if (key.revision > revision) continue;
        const { entries, reached } = gather(journals, key.revision, revision);
        if (reached === revision) return { checkpoint, revision: key.revision, journal: entries };
      }
      if (damaged.has(revision)) throw damaged.get(revision);
      return undefined;
    },
  };
}

/** The newest journal that can be read, and those that it goes on from, oldest first. */
async function readableChain(folder: RunFolder, inventory: Inventory): Promise<readonly Journal[]> {
  const chain: Journal[] = [];
  for (let at = inventory.journals.length - 1; at >= 0 && chain.length === 0; at--) {
    const key = inventory.journals[at] as JournalKey;
    const journal = await attempt(() => readJournal(folder, key));
    if (journal !== undefined) chain.push(journal);
  }
  for (let cut = chain[0]?.from; cut !== undefined; cut = chain[0]?.from) {
    const goesOn = cut;
    const journal = await attempt(() => readJournal(folder, journalKey(goesOn), goesOn));
    if (journal === undefined) break;
    chain.unshift(journal);
  }
  return chain;
}

function namedSnapshots(journals: readonly Journal[]): readonly SnapshotKey[] {
  const named = new Map<string, SnapshotKey>();
  for (const { snapshot } of journals.toReversed()) if (snapshot !== undefined) named.set(snapshotName(snapshot), snapshot);
  return [...named.values()];
}

/** Nothing where the part cannot be used, or is no longer there. */
async function attempt<T>(read: () => Promise<T>, refused?: (error: unknown) => void): Promise<T | undefined> {
  try {
    return await read();
  } catch (thrown) {
    if (!isMissing(thrown)) {
      if (!isTaskchartError(thrown)) throw thrown;
      refused?.(thrown);
    }
    return undefined;
  }
}
