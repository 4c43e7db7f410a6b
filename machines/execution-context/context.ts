/**
 * What a run is: the plain-JSON context of the ExecutionContext machine.
 *
 * Owns: the shapes and the first context. Does not own: how they change (settle, admit, groups, scopes).
 *
 * Invariants
 * 1. Plain JSON: ids, inputs, outputs, counters. No functions, classes, clocks, definitions.
 * 2. Every open token is in exactly one place: the queue of its scope, `inFlight`, `delayed`, `waits`, or as the
 *    `parent` of a group or scope that it stands for.
 * 3. A range member (a group member of one task, or any that is executed elsewhere) has no token until it needs one: it is
 *    open from the moment the group's `cursor` passes it until `outcomes` holds it, or `apart` says that it has one now.
 * 4. `verdict` is set once; after that nothing is open.
 */
import type { Fragment, NodeId } from '../../src/core/graph.ts';
import { hashJson } from '../../src/core/hash.ts';
import { toJson, type Json } from '../../src/core/json.ts';
import type { SerializedError } from '../../src/core/errors.ts';
import type { Boxed, Cell } from './cells.ts';
import type { ChannelOperation } from './channel-operation.ts';
import { emptyFifo, push, type Fifo } from './queue.ts';
import { emptyVec, type Vec } from './vec.ts';

/** Of the context's shape. A snapshot of another version needs a migration. */
export const MACHINE_VERSION = 1;

/** One place where control stands. It keeps its id along static successors; `hop` counts the executions. */
export interface Token {
  readonly id: number;
  readonly node: NodeId;
  /** The scope that it moves in; -1 for a group member that has none of its own. */
  readonly scope: number;
  readonly input?: Json | undefined;
  /** Counts from 1; a fresh execution starts again at 1. */
  readonly attempt: number;
  readonly iteration: number;
  readonly hop: number;
  /**
   * Where in the run it began: the key of what led to it, and its place there. Ids depend on what happened first, and a
   * crash takes back what was not stored; this does not. Absent for the tokens that a run begins with: their id.
   */
  readonly path?: string | undefined;
  /** What people have answered to this execution so far, by question. */
  readonly answers?: Readonly<Record<string, Boxed>> | undefined;
  /** Tokens of `nextTask` are not on the main path: they do not make the output. */
  readonly main: boolean;
  /** Where a group member without a scope belongs. */
  readonly group?: number | undefined;
  readonly index?: number | undefined;
}

/** A token that the executor works on. With `ahead` it may go on along static successors by itself. */
export interface Running extends Token {
  readonly ahead: boolean;
}

/** Who gets the outcome when a scope is done. */
export type Owner =
  | { readonly kind: 'run' }
  | { readonly kind: 'member'; readonly group: number; readonly index: number }
  | { readonly kind: 'step'; readonly token: Token };

/** The run itself (id 0), one branch of a group, or an embedded workflow. */
export interface Scope {
  readonly id: number;
  readonly owner: Owner;
  readonly queue: Fifo<Token>;
  /** Tokens that hold a slot: being executed, or standing for an open group or inner scope. */
  readonly running: number;
  /** Tokens in a backoff, a sleep or a wait. */
  readonly parked: number;
  /** A member's branch gives its slot of the group free while it is parked. */
  readonly slot: boolean;
  /** The token that runs ahead, if one does. */
  readonly runner?: number | undefined;
  /** The nearest group around it, whose backend executes its tasks. */
  readonly within?: NodeId | undefined;
  /** The output of the last step on the main path, boxed: `[]` is "no value". */
  readonly output?: Boxed | undefined;
}

/** A group, each or dag that is under way. A fan-out is a range: items once, a cursor, the outcomes. */
export interface Group {
  readonly id: number;
  readonly parent: Token;
  readonly size: number;
  /** Set where the members are executed elsewhere, each as a whole: so many of them travel together. */
  readonly batch?: number | undefined;
  /** Members before it have been started at least once. A dag starts members by `ready` alone. */
  readonly cursor: number;
  /** Members that hold a slot. */
  readonly active: number;
  /** Those of them that the executor holds as part of a range. */
  readonly open: number;
  readonly failed: number;
  readonly outcomes: Vec<Cell>;
  /** Range members that have a token or a branch of their own now (a retry, an iteration, a goto), or came back from elsewhere. */
  readonly apart: Vec<1>;
  /** Started before, and free to go on: retries without delay, branches that were parked. Behind the range. */
  readonly ready: Fifo<Token>;
  /** Dag only: how many needs of a member are still open. */
  readonly needs?: Vec<number> | undefined;
  /** Members that came back from elsewhere unfinished: what they go on from, until they have an outcome. */
  readonly handed?: Vec<Handed> | undefined;
}

/** The branch of a member that is executed elsewhere, between two of its stays there, or in the second and later ones. */
export interface Handed {
  /** How often it has come back. */
  readonly generation: number;
  /** The context of its own ExecutionContext. */
  readonly branch: Json;
  /** What has come for it since, in order. */
  readonly signals: readonly (readonly [name: string, ...Boxed])[];
  /** The tokens in `waits` and `delayed` that stand for what it waits for; empty while it is away again. */
  readonly waiting: readonly number[];
}

export interface Delayed {
  readonly token: Token;
  /** Milliseconds since the epoch. */
  readonly dueAt: number;
  readonly why: 'retry' | 'sleep' | 'wait-timeout';
  /** What the attempt before failed with: for those who ask why the run waits. */
  readonly error?: { readonly name: string; readonly code?: string; readonly message: string } | undefined;
}

export interface Waiting {
  readonly token: Token;
  readonly signal: string;
  readonly since: number;
  /** Asked by a task, in these words; absent: a wait step. */
  readonly question?: Json | undefined;
  readonly asked?: true | undefined;
}

export type Verdict =
  | { readonly kind: 'completed'; readonly output: Boxed }
  | { readonly kind: 'failed'; readonly error: SerializedError }
  | { readonly kind: 'cancelled'; readonly error: SerializedError };

/** What a run may take; chosen before it starts, and kept by whoever resumes it. */
export interface RunLimits {
  /** Tokens in flight outside groups. */
  readonly concurrency: number;
  /** Task executions before StepLimitError; absent: no limit. */
  readonly maxSteps?: number | undefined;
}

/** What a pure context cannot make itself; it arrives with the first READY. */
export interface RunFacts extends RunLimits {
  readonly id: string;
  readonly startedAt: number;
  readonly graphHash: string;
}

export interface ExecutionContext {
  readonly workflow: string;
  /** Known before READY, so that a run that is cut before it is resumed with its own. */
  readonly limits?: RunLimits | undefined;
  readonly run: RunFacts | null;
  /** The time of the latest event that carried one, in milliseconds since the epoch. */
  readonly at: number;
  /** Counts accepted events. */
  readonly revision: number;
  readonly nextId: number;
  /** Task executions that were started. */
  readonly steps: number;
  readonly paused: boolean;
  /** The run's own scope, with the run's queue. */
  readonly root: Scope;
  readonly branches: Vec<Scope>;
  readonly groups: Vec<Group>;
  readonly inFlight: Vec<Running>;
  /** Range members in the executor's hands, over all groups. */
  readonly openMembers: number;
  readonly delayed: Vec<Delayed>;
  /** There was a due time, so the timers are running. */
  readonly timed: boolean;
  readonly waits: Vec<Waiting>;
  /** Signals that came before anyone waited, oldest first, by name. What is left at the end stays readable. */
  readonly signals: Readonly<Record<string, readonly Boxed[]>>;
  /** The number of the newest message of a store's mailbox that was taken in. */
  readonly posted: number;
  readonly channel: Readonly<Record<string, Json>>;
  /** Completed executions by node id, in the order of the graph's `nodes`. */
  readonly completions: Vec<number>;
  readonly fragments: Readonly<Record<string, Fragment>>;
  readonly verdict: Verdict | null;
  /** A branch that is executed on behalf of another run: what it did to the channel, for that run. */
  readonly operations?: Vec<ChannelOperation> | undefined;
}

/** The first context of a run: its root step queued, with the workflow's input. */
export function initialContext(workflow: string, root: NodeId, input: unknown, limits?: RunLimits): ExecutionContext {
  const first: Token = { id: 1, node: root, scope: 0, input: toJson(input, 'input'), attempt: 1, iteration: 0, hop: 0, main: true };
  return {
    workflow,
    ...(limits && { limits }),
    run: null,
    at: 0,
    revision: 0,
    nextId: 2,
    steps: 0,
    paused: false,
    root: { id: 0, owner: { kind: 'run' }, queue: push(emptyFifo<Token>(), first), running: 0, parked: 0, slot: true },
    branches: emptyVec(),
    groups: emptyVec(),
    inFlight: emptyVec(),
    openMembers: 0,
    delayed: emptyVec(),
    timed: false,
    waits: emptyVec(),
    signals: {},
    posted: 0,
    channel: {},
    completions: emptyVec(),
    fragments: {},
    verdict: null,
  };
}

/**
 * The stable part of an execution's idempotency key: the same for each retry and re-run, and for no other execution,
 * also where the run is replayed and things happen in another order.
 */
export function executionKey({ id, hop, path = String(id) }: Pick<Token, 'id' | 'hop' | 'path'>): string {
  return hop === 0 ? path : `${path}+${hop}`;
}

/** What the paths of a group's members begin with. */
export function groupKey(parent: Pick<Token, 'id' | 'hop' | 'path'>): string {
  return bounded(executionKey(parent));
}

/** The path of a group's member, or of what runs inside a scope (index 0). */
export function memberPath(parent: Pick<Token, 'id' | 'hop' | 'path'>, index: number): string {
  return `${groupKey(parent)}.${index}`;
}

/** The path of the nth token that an execution has spawned. */
export function spawnedPath(from: Pick<Token, 'id' | 'hop' | 'path'>, nth: number): string {
  return `${bounded(executionKey(from))}~${nth}`;
}

/** A path longer than this is cut to its hash: a task that spawns its own successor for ever has no longer keys than others. */
const PATH_MOST = 80;

function bounded(path: string): string {
  return path.length > PATH_MOST ? `#${hashJson(path)}` : path;
}
