/** What a run that is not final waits for, since when, and who has it. Pure: it reads a context. */
import { Vec, executionKey, type Delayed, type ExecutionContext } from '../../machines/index.ts';
import type { Json } from '../core/json.ts';
import type { NodeId } from '../core/graph.ts';
import type { RemoteWait } from './remote/dispatch.ts';

export type WaitingFor =
  | { readonly kind: 'task'; readonly task: NodeId; readonly key: string; readonly attempt: number }
  | { readonly kind: 'members'; readonly group: NodeId; readonly count: number }
  | { readonly kind: 'retry' | 'sleep' | 'wait-timeout'; readonly task: NodeId; readonly dueAt: number; /** Of a retry: what the attempt before failed with. */ readonly error?: Delayed['error'] }
  | { readonly kind: 'signal'; readonly name: string; readonly since: number; /** What `ctx.ask` wants to know. */ readonly question?: Json | undefined }
  /** Members that workers are to execute. */
  | RemoteWait;

export interface RunStatus {
  readonly state: string;
  readonly steps: number;
  /** Tokens that wait for a slot. */
  readonly queued: number;
  readonly waitsFor: readonly WaitingFor[];
  /** Signals that came before anyone waited for them, by name; after the end: those that nobody has waited for. */
  readonly keptSignals: Readonly<Record<string, number>>;
}

export function whatItWaitsFor(state: string, context: ExecutionContext): RunStatus {
  const waitsFor: WaitingFor[] = [];
  for (const token of Vec.values(context.inFlight)) waitsFor.push({ kind: 'task', task: token.node, key: executionKey(token), attempt: token.attempt });
  for (const group of Vec.values(context.groups)) if (group.open > 0) waitsFor.push({ kind: 'members', group: group.parent.node, count: group.open });
  for (const wait of Vec.values(context.waits)) waitsFor.push({ kind: 'signal', name: wait.signal, since: wait.since, ...(wait.question === undefined ? {} : { question: wait.question }) });
  for (const { why, token, dueAt, error } of Vec.values(context.delayed)) waitsFor.push({ kind: why, task: token.node, dueAt, ...(error && { error }) });
  let queued = context.root.queue.size;
  for (const scope of Vec.values(context.branches)) queued += scope.queue.size;
  for (const group of Vec.values(context.groups)) queued += group.ready.size;
  const keptSignals = Object.fromEntries(Object.entries(context.signals).map(([name, values]) => [name, values.length]));
  return { state, steps: context.steps, queued, waitsFor, keptSignals };
}
