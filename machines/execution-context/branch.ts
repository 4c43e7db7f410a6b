/**
 * A branch that is executed on behalf of another run: a context of its own, and what that run is told of it.
 *
 * Invariants
 * 1. Its first token has the path that the member has in the run, so its executions have the same keys as they would there.
 * 2. What was told once (executions, completions, channel operations) is not told again after it has come back.
 */
import type { NodeId } from '../../src/core/graph.ts';
import type { Json } from '../../src/core/json.ts';
import { cellOf } from './cells.ts';
import { initialContext, type Delayed, type ExecutionContext, type RunFacts, type Token } from './context.ts';
import type { Outcome, UnitOutcome } from './events.ts';
import type { Plan } from './plan.ts';
import { push, emptyFifo } from './queue.ts';
import { emptyVec, entries, values } from './vec.ts';

export interface BranchStart {
  readonly workflow: string;
  /** The node at which the member begins. */
  readonly entry: NodeId;
  /** The member's structural path in the run. */
  readonly path: string;
  readonly input: Json | undefined;
  readonly channel: Readonly<Record<string, Json>>;
  /** Executions that the run has left for it. */
  readonly stepsLeft?: number | undefined;
}

/** The first context of a branch. */
export function branchContext({ workflow, entry, path, input, channel, stepsLeft }: BranchStart): ExecutionContext {
  const limits = { concurrency: 1, ...(stepsLeft === undefined ? {} : { maxSteps: stepsLeft }) };
  const context = initialContext(workflow, entry, undefined, limits);
  const first: Token = { id: 1, node: entry, scope: 0, input, attempt: 1, iteration: 0, hop: 0, path, main: true };
  return { ...context, root: { ...context.root, queue: push(emptyFifo<Token>(), first) }, channel, operations: emptyVec() };
}

/**
 * A branch that comes back to be executed: with the run's present channel, and nothing of what was told. Signals that have
 * come for it are for the time before READY: a time that has passed meanwhile must not overtake them. `facts`: of the run as
 * it is now, where that may be a copy of the one in which the branch began, or its graph has grown since.
 */
export function revivedBranch(branch: ExecutionContext, channel: Readonly<Record<string, Json>>, stepsLeft: number | undefined, facts?: Pick<RunFacts, 'id' | 'graphHash'>): ExecutionContext {
  const limits = { concurrency: 1, ...(stepsLeft === undefined ? {} : { maxSteps: stepsLeft }) };
  const run = branch.run && { ...branch.run, ...facts, ...limits, maxSteps: stepsLeft };
  return { ...branch, limits, run, channel, operations: emptyVec(), completions: emptyVec(), steps: 0 };
}

/**
 * What the run is told: how the branch has ended, or, while it has not, where it stands. What is in the executor's hands then
 * is executed again, so nothing must be there that is worth keeping.
 */
export function branchOutcome(plan: Plan, context: ExecutionContext): UnitOutcome | Extract<Outcome, { kind: 'cancel' }> {
  const { verdict, operations, completions, steps, signals } = context;
  if (verdict?.kind === 'cancelled') return { kind: 'cancel', error: verdict.error };
  const nodes = [...plan.ordinal.keys()];
  const counts: Record<NodeId, number> = {};
  for (const [at, times] of entries(completions)) counts[nodes[at] as NodeId] = times;
  const channel = operations === undefined || operations.size === 0 ? undefined : [...values(operations)];
  const away = { steps, counts, ...(channel && { channel }), ...(Object.keys(signals).length > 0 && { signals }) };
  if (verdict?.kind === 'completed') return { kind: 'ended', cell: cellOf(verdict.output[0]), ...away };
  if (verdict?.kind === 'failed') return { kind: 'ended', cell: { error: verdict.error }, ...away, ...(isOver(context) && { over: true as const }) };
  const branch = { ...context, operations: emptyVec(), completions: emptyVec(), steps: 0, channel: {}, signals: {} } as unknown as Json;
  return { kind: 'parked', branch, ...waitsOf(context), ...away };
}

/** What it waits for; nothing where it could go on at once. */
function waitsOf(context: ExecutionContext): Pick<Extract<UnitOutcome, { kind: 'parked' }>, 'waits' | 'due'> {
  if (context.inFlight.size + context.openMembers > 0) return { waits: [] };
  const waits = [...values(context.waits)].map(({ token, ...wait }) => ({ ...wait, node: token.node }));
  let first: Delayed | undefined;
  for (const delayed of values(context.delayed)) if (first === undefined || delayed.dueAt < first.dueAt) first = delayed;
  if (first === undefined) return { waits };
  const { token, ...due } = first;
  return { waits, due: { ...due, node: token.node, attempt: token.attempt } };
}

/** Whether it has failed because it took all that the run had left. A task that runs another workflow fails with that one's limit. */
function isOver({ run, verdict }: ExecutionContext): boolean {
  return run?.maxSteps !== undefined && verdict?.kind === 'failed' && verdict.error.code === 'run/step-limit' && verdict.error.details?.['taskId'] === undefined;
}
