/** `taskchart checkpoints`: the revisions of a run that can be forked, newest first. */
import { writeLines, type Host } from './follow.ts';
import { asking, findNote, storeOf, type StoreFlags } from './store.ts';
import { tableLines } from './table.ts';
import { duration, grouped } from './text.ts';
import { exitCodes } from './usage.ts';

export interface CheckpointsFlags extends StoreFlags {
  readonly json?: boolean;
}

export async function checkpoints(runId: string, flags: CheckpointsFlags, host: Host): Promise<number> {
  const given = await storeOf(flags, host.process.env);
  await findNote(given, runId);
  const notes = await asking(() => given.store.revisions(runId));
  const now = Date.now();
  const rows = notes.map(({ revision, savedAt, bytes }) => [String(revision), `${new Date(savedAt).toISOString()} (${duration(now - savedAt)} ago)`, grouped(bytes)]);
  await writeLines(flags.json === true ? notes.map((note) => JSON.stringify(note)) : tableLines([['REVISION', 'SAVED', 'BYTES'], ...rows]), host);
  return exitCodes.ok;
}
