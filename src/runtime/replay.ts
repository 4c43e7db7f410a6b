/** From what a store holds back to a snapshot: the pure machine takes the journal's events again. */
import { CheckpointError, isTaskchartError } from '../core/errors.ts';
import type { Json, JsonObject } from '../core/json-type.ts';
import { step, type ExecutionContext, type Plan } from '../../machines/index.ts';
import { decodeEntry, type DecodedEntry } from './journal-codec.ts';

/** Applies journal entries to a snapshot's context. Entries must follow one another without a gap. */
export function replay(plan: Plan, from: ExecutionContext, entries: readonly string[], runId: string): ExecutionContext {
  let context = from;
  let at = 0;
  for (const { revision, event } of eventsOf(entries, from.at, runId)) {
    at += 1;
    if (revision !== context.revision + 1) {
      throw damaged(runId, `entry ${at} of its journal is revision ${revision}, but revision ${context.revision + 1} comes next`);
    }
    try {
      context = step(plan, context, event).context;
    } catch (thrown) {
      throw damaged(runId, `entry ${at} of its journal (revision ${revision}) cannot be applied: ${thrown instanceof Error ? thrown.message : 'unknown'}`, thrown);
    }
  }
  return context;
}

/** The entries that say more than that an actor has started, and the revision that all of them lead to. */
export function movesIn(entries: readonly string[], from: number, runId: string): { readonly moves: number; readonly revision: number } {
  const parsed = [...eventsOf(entries, 0, runId)];
  return { moves: parsed.filter(({ event }) => event.type !== 'READY').length, revision: parsed.at(-1)?.revision ?? from };
}

/** The events of journal entries; `at` is the time of the context that they follow. */
export function* eventsOf(entries: readonly string[], at: number, runId: string): Generator<DecodedEntry> {
  let before = at;
  for (const [index, entry] of entries.entries()) {
    let decoded: DecodedEntry;
    try {
      decoded = decodeEntry(entry, before);
    } catch (thrown) {
      throw damaged(runId, `entry ${index + 1} of its journal cannot be read: ${thrown instanceof SyntaxError ? 'it is not JSON' : (thrown as Error).message}`, thrown);
    }
    if ('at' in decoded.event && decoded.event.at !== undefined) before = decoded.event.at;
    yield decoded;
  }
}

function damaged(runId: string, why: string, cause?: unknown): CheckpointError {
  return new CheckpointError('checkpoint/invalid', `run "${runId}" cannot be restored: ${why}`, {
    hint: 'load an earlier revision (store.revisions(runId) lists them), or start a new run',
    ...(isTaskchartError(cause) || cause instanceof Error ? { cause } : {}),
  });
}

/** The persisted snapshot of an actor whose context this is. */
export function persistedFrom(base: Json, context: ExecutionContext): JsonObject {
  const { verdict } = context;
  const value = stateOf(context);
  const actor = { snapshot: { status: 'active' }, syncSnapshot: false };
  const children = verdict === null ? { executor: { ...actor, src: 'executor' }, ...(context.timed ? { timers: { ...actor, src: 'timers' } } : {}) } : {};
  return {
    ...(base as JsonObject),
    status: verdict === null ? 'active' : verdict.kind === 'completed' ? 'done' : 'error',
    value,
    context: context as unknown as Json,
    children,
    ...(verdict?.kind === 'completed' && verdict.output.length === 1 ? { output: verdict.output[0] } : {}),
  };
}

/** The statechart's state for a context. */
export function stateOf(context: ExecutionContext): string {
  if (context.verdict !== null) return context.verdict.kind;
  if (context.paused) return 'paused';
  const idle = context.run !== null && context.inFlight.size === 0 && context.openMembers === 0;
  return idle ? 'waiting' : 'running';
}
