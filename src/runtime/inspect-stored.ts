/**
 * What a stored run is doing, read from its store alone: nothing is opened, taken over or changed.
 *
 * Owns: putting a run's newest snapshot and its journal into one picture. Does not own: the store, and whether the
 * owner that it names is still alive (only the owner's host can tell).
 *
 * Invariants
 * 1. With the workflow the journal is replayed by the machine itself, so the picture is that of the newest durable
 *    revision. Without it the picture is the last snapshot's, and `exact` says whether anything has happened since.
 * 2. `revision`, `posted`, `refused` and `lastFailure` are always those of the newest durable revision.
 */
import { parseCheckpoint } from '../core/checkpoint.ts';
import { CheckpointError, type SerializedError } from '../core/errors.ts';
import type { NodeId } from '../core/graph.ts';
import type { Json } from '../core/json-type.ts';
import { Vec, type ExecutionContext } from '../../machines/index.ts';
import type { CheckpointStore, RunNote, RunOwner, StoredRun } from '../ports.ts';
import { WorkflowCode } from './code.ts';
import { eventsOf, stateOf } from './replay.ts';
import { checkSignal } from './signals.ts';
import { whatItWaitsFor, type RunStatus } from './status.ts';
import { contextIn, replayed, sound, type StoredWorkflow } from './stored-context.ts';

export type { StoredWorkflow } from './stored-context.ts';

/** The newest failed execution that the store still knows of. */
export interface StoredFailure {
  readonly error: SerializedError;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Where the run still stands at it, or its group. */
  readonly task?: NodeId | undefined;
}

export interface StoredRunDescription {
  readonly runId: string;
  readonly workflow: string;
  /** The newest durable revision. */
  readonly revision: number;
  /** The revision that `status` shows. */
  readonly shown: number;
  /** `status` is that of the newest durable revision. */
  readonly exact: boolean;
  readonly status: RunStatus;
  /** When the latest stored event happened; in milliseconds since the epoch. */
  readonly since: number;
  /** Set when the run has ended without an output. */
  readonly error?: SerializedError | undefined;
  /** Set when the run has completed; empty where it has no output. */
  readonly output?: readonly [] | readonly [Json] | undefined;
  readonly lastFailure?: StoredFailure | undefined;
  /** The newest message of its mailbox that the run has taken in. */
  readonly posted: number;
  /** Messages that it has refused since the last snapshot. */
  readonly refused: readonly number[];
  /** Who opened it last; it may have gone since. */
  readonly owner: RunOwner | undefined;
  readonly updatedAt: number;
}

/**
 * Describes a stored run; nothing for a run that the store does not have. `run`: its id, or its entry in `store.list()`,
 * which saves looking for it. Throws CheckpointError for what cannot be read, GraphMismatchError for another graph.
 */
export async function describeStored(store: CheckpointStore, run: string | RunNote, workflow?: StoredWorkflow): Promise<StoredRunDescription | undefined> {
  const note = typeof run === 'string' ? (await store.list()).find(({ runId }) => runId === run) : run;
  if (note === undefined) return undefined;
  const stored = await store.load(note.runId);
  if (stored === undefined) return undefined;
  return sound(note.runId, () => describe(note, stored, workflow));
}

/**
 * Checks a signal for a stored run as the run itself would; returns the value as JSON. Throws `run/unknown-signal`,
 * ValueError, or `checkpoint/unknown-run`.
 */
export async function checkStoredSignal(store: CheckpointStore, runId: string, workflow: StoredWorkflow, name: string, value: unknown): Promise<Json | undefined> {
  const stored = await store.load(runId);
  if (stored === undefined) throw new CheckpointError('checkpoint/unknown-run', `the store has no run "${runId}"`, { hint: 'store.list() (or taskchart ps) shows the runs that it has' });
  return checkSignal(new WorkflowCode(workflow.definition), replayed(stored, runId, workflow).context, name, value);
}

function describe(note: RunNote, stored: StoredRun, workflow: StoredWorkflow | undefined): StoredRunDescription {
  const { runId } = note;
  const checkpoint = parseCheckpoint(stored.checkpoint);
  const last = contextIn(checkpoint);
  const after = readJournal(stored.journal, last.at, runId);
  const context = workflow === undefined ? last : replayed(stored, runId, workflow, checkpoint).context;
  const { verdict } = context;
  const lastFailure = after.failure === undefined ? failedMember(context) : { ...after.failure, task: whereIs(context, after.failure) };
  return {
    runId,
    workflow: checkpoint.workflow,
    revision: Math.max(stored.revision, after.revision),
    shown: context.revision,
    exact: workflow !== undefined || !after.moved,
    status: whatItWaitsFor(workflow === undefined && after.moved && verdict === null ? 'running' : stateOf(context), context),
    since: Math.max(context.at, after.at) || checkpoint.savedAt,
    ...(verdict === null ? {} : verdict.kind === 'completed' ? { output: verdict.output } : { error: verdict.error }),
    ...(lastFailure === undefined ? {} : { lastFailure }),
    posted: Math.max(context.posted, after.posted),
    refused: after.refused,
    owner: note.owner,
    updatedAt: note.updatedAt,
  };
}

interface AfterSnapshot {
  readonly revision: number;
  readonly at: number;
  readonly posted: number;
  readonly refused: readonly number[];
  /** Something other than a start or a refused message. */
  readonly moved: boolean;
  readonly failure: (Omit<StoredFailure, 'task'> & { readonly token?: number | undefined; readonly group?: number | undefined }) | undefined;
}

/** What the journal says without the machine. */
function readJournal(entries: readonly string[], from: number, runId: string): AfterSnapshot {
  const refused: number[] = [];
  let [revision, at, posted, moved] = [0, 0, 0, false];
  let failure: AfterSnapshot['failure'];
  for (const decoded of eventsOf(entries, from, runId)) {
    const { event } = decoded;
    revision = decoded.revision;
    if ('at' in event && event.at !== undefined) at = event.at;
    if ('post' in event && event.post !== undefined) posted = Math.max(posted, event.post);
    if (event.type === 'REFUSED') refused.push(event.post);
    else if (event.type !== 'READY') moved = true;
    if (event.type !== 'SETTLED') continue;
    for (const report of event.reports) {
      if (!('end' in report) || report.end?.kind !== 'failed') continue;
      failure = { error: report.end.error, at: event.at, ...('group' in report ? { group: report.group } : { token: report.id }) };
    }
  }
  return { revision, at, posted, refused, moved, failure };
}

/** The node of a failed execution, while the run still stands there. */
function whereIs(context: ExecutionContext, { token, group }: NonNullable<AfterSnapshot['failure']>): NodeId | undefined {
  if (group !== undefined) return Vec.get(context.groups, group)?.parent.node;
  if (token === undefined) return undefined;
  return (Vec.get(context.delayed, token)?.token ?? Vec.get(context.inFlight, token))?.node;
}

/** A failed member of a group that is still open. */
function failedMember(context: ExecutionContext): StoredFailure | undefined {
  for (const group of Vec.values(context.groups)) {
    if (group.failed === 0) continue;
    for (const cell of Vec.values(group.outcomes)) if (typeof cell === 'object' && 'error' in cell) return { error: cell.error, at: context.at, task: group.parent.node };
  }
  return undefined;
}
