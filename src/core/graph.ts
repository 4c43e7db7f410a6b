/**
 * The compiled form of a workflow: a flat, plain-JSON graph.
 *
 * Owns: the shapes. Does not own: functions (they stay in the registry, found by node id), connection settings
 * (they may hold secrets, so they stay out of anything that is printed, hashed or stored).
 *
 * Invariants
 * 1. A graph is plain JSON; `JSON.parse(JSON.stringify(graph))` is the same graph.
 * 2. `next`, `recover`, `entry`, `body` always name a node of the same graph.
 * 3. Following `next` never leaves a region (the root, a member, a body, a scope): a region ends where `next` is absent.
 * 4. Node ids are unique; a step inside an embedded workflow carries that workflow's id as `outer/inner`.
 */
import type { Json } from './json.ts';

export type NodeId = string;

export type Backoff = 'fixed' | 'linear' | 'exponential';

/** How a failed execution is tried again. Durations in milliseconds. */
export interface RetryPlan {
  /** All attempts, the first included. */
  readonly attempts: number;
  readonly backoff: Backoff;
  readonly delayMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
  /** 0 (none) to 1 (full): the share of each delay that is drawn at random. */
  readonly jitter: number;
}

/** When a finished group counts as a success. `custom` is a pure function of the definition, found by node id. */
export type PolicyPlan =
  | { readonly kind: 'strict'; readonly failFast?: true }
  | { readonly kind: 'bestEffort' }
  | { readonly kind: 'critical'; readonly ids: readonly string[]; readonly failFast?: true }
  | { readonly kind: 'atLeast'; readonly count: number; readonly failFast?: true }
  | { readonly kind: 'custom' };

export type BackendName = 'direct' | 'local' | 'threads' | 'redis';

export interface ExecutionPlan {
  readonly backend: BackendName;
  /** Members in flight at the same time. */
  readonly concurrency: number;
}

interface NodeBase {
  readonly id: NodeId;
  /** The static successor: gets this node's output as its input. */
  readonly next?: NodeId;
  /** Runs in this node's place when it has failed for good; its successor is this node's successor. */
  readonly recover?: NodeId;
}

/** How often a task may ask for its next iteration where its node does not say. */
export const defaultMaxIterations = 100;

export interface TaskNode extends NodeBase {
  readonly kind: 'task';
  readonly retry?: RetryPlan;
  readonly timeoutMs?: number;
  /** Absent: 100. */
  readonly maxIterations?: number;
}

export interface Member {
  readonly id: string;
  readonly entry: NodeId;
}

export interface ParallelNode extends NodeBase {
  readonly kind: 'parallel';
  readonly members: readonly Member[];
  readonly policy: PolicyPlan;
  readonly execution: ExecutionPlan;
}

export interface EachNode extends NodeBase {
  readonly kind: 'each';
  readonly body: NodeId;
  /** Items per unit of work. */
  readonly batch?: number;
  readonly policy: PolicyPlan;
  readonly execution: ExecutionPlan;
}

export interface DagMember extends Member {
  readonly needs: readonly string[];
}

export interface DagNode extends NodeBase {
  readonly kind: 'dag';
  readonly members: readonly DagMember[];
  readonly execution: ExecutionPlan;
}

/** A sequence with a `recover` of its own, or an embedded workflow: its own scope, so control flow stays inside it. */
export interface ScopeNode extends NodeBase {
  readonly kind: 'scope';
  readonly entry: NodeId;
  /** Set where the scope is an embedded workflow. */
  readonly workflow?: string;
}

export interface WaitNode extends NodeBase {
  readonly kind: 'wait';
  readonly signal: string;
  readonly timeoutMs?: number;
}

export interface SleepNode extends NodeBase {
  readonly kind: 'sleep';
  readonly delayMs: number;
}

export type GroupNode = ParallelNode | EachNode | DagNode;
export type GraphNode = TaskNode | GroupNode | ScopeNode | WaitNode | SleepNode;

export interface Graph {
  readonly format: 'taskchart/graph';
  readonly version: 1;
  readonly workflow: string;
  readonly root: NodeId;
  /** Entries of steps that only `goto` and `nextTask` reach, as declared by the workflow's `uses`. */
  readonly uses: readonly NodeId[];
  readonly nodes: Readonly<Record<NodeId, GraphNode>>;
}

/** Steps that a run met at run time and that no graph declares: they travel with the run. */
export interface Fragment {
  readonly entry: NodeId;
  readonly nodes: Readonly<Record<NodeId, GraphNode>>;
}

/** One member's outcome, as policies and error messages see it. */
export type MemberResult =
  | { readonly id: string; readonly ok: true; readonly value?: Json }
  | { readonly id: string; readonly ok: false; readonly error: { readonly name: string; readonly code?: string; readonly message: string } };

/** A pure function over a finished group's results: true (or nothing to complain of) lets the run go on. */
export type PolicyVerdict = boolean | { readonly ok: boolean; readonly reason?: string };
export type PolicyFunction = (results: readonly MemberResult[]) => PolicyVerdict;
