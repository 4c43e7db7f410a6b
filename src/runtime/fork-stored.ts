/**
 * A second run that goes on from where a stored one stood.
 *
 * Owns: the copy under another id. Does not own: going on with it (`workflow.resume(store, newId)`).
 *
 * Invariants
 * 1. The original is only read: it keeps its owner, its revisions and its mailbox.
 * 2. The copy has the original's history and a mailbox of its own, so it waits for its own signals. Its executions have
 *    other idempotency keys.
 */
import { serializeCheckpoint } from '../core/checkpoint.ts';
import { CheckpointError, TaskchartError } from '../core/errors.ts';
import { checkId } from '../core/ids.ts';
import type { CheckpointStore, RunOwner, StoredRun } from '../ports.ts';
import { persistedFrom } from './replay.ts';
import { replayed, type StoredWorkflow } from './stored-context.ts';

export interface ForkOptions {
  /** A revision that the store can load; default: the newest. */
  readonly at?: number | undefined;
  /** The id of the new run. */
  readonly as: string;
  readonly owner: RunOwner;
}

/** Stores a copy of a run as it stood at a revision, under another id; returns the revision. */
export async function forkStored(store: CheckpointStore, runId: string, workflow: StoredWorkflow, { at, as, owner }: ForkOptions): Promise<number> {
  checkId('run', runId);
  checkId('run', as);
  const stored = await store.load(runId, at);
  if (stored === undefined) throw new CheckpointError('checkpoint/unknown-run', `the store has no run "${runId}"`, { hint: 'store.list() (or taskchart ps) shows the runs that it has' });
  const { text, revision } = copied(stored, runId, workflow, as);
  // `open` would take the run from its owner, so it is not asked whether there is one.
  if ((await store.list()).some((note) => note.runId === as)) throw taken(as);
  const writer = await store.open(as, owner);
  try {
    if (writer.stored !== undefined) throw taken(as);
    await writer.save(text, revision);
  } finally {
    await writer.close();
  }
  return revision;
}

/** The journal is the original's; the copy begins with a snapshot of where it leads. */
function copied(stored: StoredRun, runId: string, workflow: StoredWorkflow, as: string): { readonly text: string; readonly revision: number } {
  const { checkpoint, context } = replayed(stored, runId, workflow);
  const { revision, run, verdict } = context;
  if (verdict !== null) {
    throw new TaskchartError('run/ended', `run "${runId}" had ended at revision ${revision}, so nothing can go on from there`, {
      hint: 'fork an earlier revision (taskchart checkpoints lists them), or start a new run',
    });
  }
  const snapshot = persistedFrom(checkpoint.snapshot, { ...context, run: run && { ...run, id: as }, posted: 0 });
  return { text: serializeCheckpoint({ ...checkpoint, runId: as, seq: Math.max(checkpoint.seq, revision), snapshot }), revision };
}

function taken(as: string): CheckpointError {
  return new CheckpointError('checkpoint/exists', `the store already has a run "${as}"`, { hint: 'give the new run another id' });
}
