/** New files of a run, each complete before it has its name. */
import type { Claim } from './claim.ts';
import type { OpenFile } from './file-system.ts';
import { errnoOf } from './failures.ts';
import type { Sealed } from './format.ts';
import { journalName, type SnapshotKey, snapshotName, temporaryName } from './names.ts';
import { type Cut, type JournalHead, sealJournal, sealSnapshot, workflowOf } from './parts.ts';
import { pathIn, type RunFolder } from './run-folder.ts';

export interface BegunJournal {
  readonly file: OpenFile;
  readonly tip: Cut;
}

/** Begins a journal; from now on it decides what the run's state is. The file stays open for its entries. */
export async function beginJournal(folder: RunFolder, claim: Claim, number: number, head: JournalHead): Promise<BegunJournal> {
  const key = { epoch: claim.epoch, number };
  const name = journalName(key);
  const sealed = sealJournal(folder.runId, key, head);
  const file = await writeNamed(folder, claim, name, sealed);
  return { file, tip: { journal: name, bytes: sealed.bytes.length, crc: sealed.crc, revision: head.start } };
}

/** Writes a snapshot's file. It counts for nothing until a journal names it. */
export async function writeSnapshot(folder: RunFolder, claim: Claim, key: SnapshotKey, checkpoint: string): Promise<void> {
  const sealed = sealSnapshot(folder.runId, key, { workflow: workflowOf(checkpoint), savedAt: Date.now() }, checkpoint);
  await (await writeNamed(folder, claim, snapshotName(key), sealed)).close();
}

async function writeNamed(folder: RunFolder, claim: Claim, name: string, { bytes }: Sealed): Promise<OpenFile> {
  const temporary = pathIn(folder, temporaryName(name));
  const file = await createAnew(folder, temporary);
  try {
    await file.write(bytes);
    await file.sync();
    // Not into the folder of another run of this id.
    await claim.check();
    await folder.fs.rename(temporary, pathIn(folder, name));
    await folder.fs.syncFolder(folder.path);
    return file;
  } catch (thrown) {
    await file.close().catch(() => undefined);
    throw thrown;
  }
}

/** A crash may have left the temporary file of a claim whose own file was lost with the power. */
async function createAnew({ fs }: RunFolder, path: string): Promise<OpenFile> {
  try {
    return await fs.create(path);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EEXIST') throw thrown;
    await fs.unlink(path);
    return fs.create(path);
  }
}
