/**
 * Which files of a run nobody needs any more.
 *
 * Invariants
 * 1. Nothing of a newer writer is touched.
 * 2. Clearing away never fails a write: what stays is tried again after the next save.
 */
import type { Claim } from './claim.ts';
import { byAge, epochName, type JournalKey, journalName, type SnapshotKey, snapshotName } from './names.ts';
import { type Inventory, pathIn, type RunFolder, takeInventory } from './run-folder.ts';

/** The overtaken claims, and what writers before this one left unfinished. */
export function clearLeftovers(folder: RunFolder, claim: Claim): Promise<void> {
  return clear(folder, claim, (inventory) => [...temporaries(inventory, claim.epoch - 1), ...claimsBefore(inventory, claim.epoch)]);
}

/** All snapshots but those that are kept, and the journals before `since`. */
export function clearOutdated(folder: RunFolder, claim: Claim, kept: readonly SnapshotKey[], since: JournalKey): Promise<void> {
  const { epoch } = claim;
  const keptNames = new Set(kept.map(snapshotName));
  return clear(folder, claim, (inventory) => [
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

async function clear(folder: RunFolder, claim: Claim, select: (inventory: Inventory) => readonly string[]): Promise<void> {
  try {
    const inventory = await takeInventory(folder);
    // Not in the folder of another run of this id.
    if (inventory === undefined || !claim.holds()) return;
    for (const name of select(inventory)) await folder.fs.unlink(pathIn(folder, name));
  } catch {
    // The next save tries again.
  }
}
