/** What a list shows of a run: read from its claim and from first lines alone, so that it says something of damaged runs too. */
import type { RunNote } from '../../ports.ts';
import { peek } from './format.ts';
import { epochName, journalName, parseSnapshotName, snapshotName } from './names.ts';
import { type Inventory, pathIn, readFile, readOwner, type RunFolder, takeInventory } from './run-folder.ts';
import type { FileFormat } from './format.ts';

/** A first line is shorter: two names of at most 200 characters, and numbers. */
const FIRST_LINE = 4096;

/** Nothing for a folder without a snapshot: nothing can be resumed from it yet. */
export async function noteOf(folder: RunFolder): Promise<RunNote | undefined> {
  const { runId } = folder;
  try {
    const inventory = await takeInventory(folder);
    if (inventory === undefined || (inventory.snapshots.length === 0 && inventory.journals.length === 0)) return undefined;
    const { epochs, journals, snapshots } = inventory;
    const epoch = Math.max(epochs.at(-1) ?? 0, journals.at(-1)?.epoch ?? 0);
    const named = await namedSnapshot(folder, inventory);
    if (named === null) return undefined;
    const workflow = await firstLine(folder, 'snapshot', named ?? snapshots.map(snapshotName).at(-1), 'workflow');
    const owner = epochs.length === 0 ? undefined : await readOwner(folder, epoch);
    return { runId, workflow: typeof workflow === 'string' ? workflow : '', epoch, owner, updatedAt: updatedAt(folder, inventory, epoch) };
  } catch {
    return { runId, workflow: '', epoch: 0, owner: undefined, updatedAt: 0 };
  }
}

/** The newest journal's snapshot; null where it says that there is none, nothing where it cannot be read. */
async function namedSnapshot(folder: RunFolder, { journals }: Inventory): Promise<string | null | undefined> {
  const newest = journals.at(-1);
  const name = newest && (await firstLine(folder, 'journal', journalName(newest), 'snapshot'));
  if (name === null) return null;
  return typeof name === 'string' && parseSnapshotName(name) !== undefined ? name : undefined;
}

async function firstLine(folder: RunFolder, format: FileFormat, name: string | undefined, wanted: string): Promise<unknown> {
  if (name === undefined) return undefined;
  try {
    return peek(format, await readFile(folder, name, FIRST_LINE), pathIn(folder, name))[wanted];
  } catch {
    return undefined;
  }
}

function updatedAt(folder: RunFolder, { journals }: Inventory, epoch: number): number {
  const newest = journals.at(-1);
  const names = [epochName(epoch), ...(newest === undefined ? [] : [journalName(newest)])];
  return Math.max(0, ...names.map((name) => folder.fs.facts(pathIn(folder, name))?.modifiedAt ?? 0));
}
