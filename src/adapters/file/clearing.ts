/**
 * Which files of a run nobody needs any more.
 *
 * Invariants
 * 1. Nothing of a newer writer is touched.
 * 2. Clearing away never fails a write: what stays is tried again after the next save.
 */
import { byAge, epochName, type JournalKey, journalName, type SnapshotKey, snapshotName } from './names.ts';
import { type Inventory, pathIn, type RunFolder, takeInventory } from './run-folder.ts';

/** The overtaken claims, and what writers before this one left unfinished. */
export function clearLeftovers(folder: RunFolder, epoch: number): Promise<void> {
  return clear(folder, (inventory) => [...temporaries(inventory, epoch - 1), ...claimsBefore(inventory, epoch)]);
}

/** All snapshots but those that are kept, and the journals before `since`. */
export function clearOutdated(folder: RunFolder, epoch: number, kept: readonly SnapshotKey[], since: JournalKey): Promise<void> {
  const keptNames = new Set(kept.map(snapshotName));
  return clear(folder, (inventory) => [
    ...temporaries(inventory, epoch),
    ...inventory.snapshots.filter((key) => key.epoch <= epoch && !keptNames.has(snapshotName(key))).map(snapshotName),
    ...inventory.journals.filter((key) => key.epoch <= epoch && byAge(key, since) < 0).map(journalName),
    ...claimsBefore(inventory, epoch),
  ]);
}

function temporaries(inventory: Inventory, upTo: number): readonly string[] {
  return inventory.temporaries.filter(({ epoch }) => epoch <= upTo).map(({ name }) => name);
}

function claimsBefore(inventory: Inventory, epoch: number): readonly string[] {
  return inventory.epochs.filter((number) => number < epoch).map(epochName);
}

async function clear(folder: RunFolder, select: (inventory: Inventory) => readonly string[]): Promise<void> {
  try {
    const inventory = await takeInventory(folder);
    if (inventory === undefined) return;
    for (const name of select(inventory)) await folder.fs.unlink(pathIn(folder, name));
  } catch {
    // The next save tries again.
  }
}
