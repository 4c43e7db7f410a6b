/** From what a store holds back to a snapshot: the pure machine takes the journal's events again. */
import { CheckpointError, isTaskchartError, reviveError } from '../core/errors.ts';
import type { Json, JsonObject } from '../core/json-type.ts';
import { step, type ExecutionContext, type ExecutionEvent, type Plan } from '../../machines/index.ts';

const events: ReadonlySet<string> = new Set(['READY', 'SETTLED', 'DUE', 'SIGNAL', 'REFUSED', 'PAUSE', 'RESUME', 'CANCEL']);

/** Applies journal entries to a snapshot's context. Entries must follow one another without a gap. */
export function replay(plan: Plan, from: ExecutionContext, entries: readonly string[], runId: string): ExecutionContext {
  let context = from;
  entries.forEach((entry, at) => {
    const [revision, event] = parseEntry(entry, at, runId);
    if (revision !== context.revision + 1) {
      throw damaged(runId, `entry ${at + 1} of its journal is revision ${revision}, but revision ${context.revision + 1} comes next`);
    }
    try {
      context = step(plan, context, event).context;
    } catch (thrown) {
      throw damaged(runId, `entry ${at + 1} of its journal (revision ${revision}) cannot be applied: ${thrown instanceof Error ? thrown.message : 'unknown'}`, thrown);
    }
  });
  return context;
}

function parseEntry(entry: string, at: number, runId: string): readonly [number, ExecutionEvent] {
  let value: unknown;
  try {
    value = JSON.parse(entry);
  } catch (thrown) {
    throw damaged(runId, `entry ${at + 1} of its journal is not JSON`, thrown);
  }
  const [revision, event] = Array.isArray(value) ? (value as readonly unknown[]) : [];
  const type = typeof event === 'object' && event !== null ? (event as { readonly type?: unknown }).type : undefined;
  if (typeof revision !== 'number' || typeof type !== 'string' || !events.has(type)) throw damaged(runId, `entry ${at + 1} of its journal is no event of a run`);
  return [revision, event as ExecutionEvent];
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

/** The error that a stored run ended with. */
export function endingOf(context: ExecutionContext): Error | undefined {
  const { verdict } = context;
  return verdict === null || verdict.kind === 'completed' ? undefined : reviveError(verdict.error);
}
