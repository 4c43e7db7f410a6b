/** `taskchart ps`: the runs of a store, newest first. */
import { failureJson, failureLine } from './failure.ts';
import { sayTo, writeLines, type Host } from './follow.ts';
import { ownerWord, ownershipOf, type Ownership } from './owner.ts';
import { asking, storeOf, type StoreFlags } from './store.ts';
import { tableLines } from './table.ts';
import { cut } from '../core/preview.ts';
import type { CheckpointStore, RunNote } from '../ports.ts';
import { describeStored, type StoredRunDescription } from '../runtime/inspect-stored.ts';
import { duration, grouped } from './text.ts';
import { exitCodes } from './usage.ts';

export interface PsFlags extends StoreFlags {
  readonly json?: boolean;
}

interface Listed {
  readonly note: RunNote;
  readonly found: StoredRunDescription | undefined;
  readonly error: unknown;
}

export async function ps(flags: PsFlags, host: Host): Promise<number> {
  const given = await storeOf(flags, host.process.env);
  const notes = [...(await asking(() => given.store.list()))].sort((a, b) => b.updatedAt - a.updatedAt);
  if (notes.length === 0 && flags.json !== true) sayTo(host)(`taskchart: the store ${cut(given.name, 200)} has no runs`);
  const now = Date.now();
  const rows = [['RUN', 'WORKFLOW', 'STATE', 'SINCE', 'REVISION', 'OWNER']];
  const damaged: string[] = [];
  // One after the other: a store may be large, and only one run of it should be in memory.
  for (const note of notes) {
    const listed = await look(given.store, note);
    if (flags.json === true) await writeLines([JSON.stringify(asJson(listed))], host);
    else rows.push(row(listed, now));
    if (listed.error !== undefined) damaged.push(`${note.runId}: ${failureLine(listed.error)}`);
  }
  if (flags.json !== true && notes.length > 0) await writeLines(tableLines(rows), host);
  if (flags.json !== true) for (const line of damaged) sayTo(host)(line);
  return exitCodes.ok;
}

async function look(store: CheckpointStore, note: RunNote): Promise<Listed> {
  try {
    return { note, found: await describeStored(store, note), error: undefined };
  } catch (error) {
    return { note, found: undefined, error };
  }
}

function row({ note, found, error }: Listed, now: number): string[] {
  if (found === undefined) return [note.runId, note.workflow, error === undefined ? 'empty' : 'unreadable', '-', '-', '-'];
  const ownership = ownershipOf(found.owner);
  return [found.runId, found.workflow, stateWord(found, ownership), `${duration(now - found.since)} ago`, grouped(found.revision), isOver(found) ? '-' : ownerWord(ownership)];
}

function asJson({ note, found, error }: Listed): object {
  if (found === undefined) return { run: note.runId, workflow: note.workflow, state: error === undefined ? 'empty' : 'unreadable', ...(error === undefined ? {} : { error: failureJson(error) }) };
  const { runId, workflow, since, revision, owner } = found;
  const ownership = ownershipOf(owner);
  return { run: runId, workflow, state: stateWord(found, ownership), since, revision, ...(owner === undefined ? {} : { owner: { ...owner, state: ownership.kind } }) };
}

export function isOver({ output, error }: StoredRunDescription): boolean {
  return output !== undefined || error !== undefined;
}

/** The run's state; one that should be running, but whose process is gone, is interrupted. */
export function stateWord({ status: { state, queued, waitsFor } }: StoredRunDescription, { kind }: Ownership): string {
  const running = state === 'running' || (state === 'waiting' && waitsFor.length === 0 && queued > 0);
  return running && (kind === 'gone' || kind === 'none') ? 'interrupted' : state;
}
