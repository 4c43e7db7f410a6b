/**
 * What reaches the machine, and what it tells its two I/O actors.
 *
 * Events are facts in the past tense (an outcome, a due time) or imperatives (PAUSE). Time and randomness come in
 * with them. One event gives at most one command for each actor.
 */
import type { Fragment, NodeId } from '../../src/core/graph.ts';
import type { Json } from '../../src/core/json.ts';
import type { SerializedError } from '../../src/core/errors.ts';
import type { Boxed, Cell, Value } from './cells.ts';
import type { ChannelOperation } from './channel-operation.ts';
import type { Delayed, Handed, RunFacts, Token, Waiting } from './context.ts';

/** A step that a task chose at run time. */
export interface Target {
  readonly node: NodeId;
  readonly input?: Json | undefined;
}

interface Effects {
  /** The task asks for a full snapshot once this is taken in. */
  readonly checkpoint?: true | undefined;
  readonly spawned?: readonly Target[] | undefined;
  readonly channel?: readonly ChannelOperation[] | undefined;
  /** Steps that no graph declares, the first time they are named. */
  readonly fragments?: Readonly<Record<string, Fragment>> | undefined;
}

/** How one execution ended. */
export type Outcome =
  | (Effects & { readonly kind: 'value'; readonly value?: Json | undefined })
  | (Effects & { readonly kind: 'goto'; readonly target: Target })
  | (Effects & { readonly kind: 'iterate'; readonly input?: Json | undefined })
  | (Effects & { readonly kind: 'terminate'; readonly output?: Json | undefined })
  /** The task needs an answer; it runs again from its top once that has come. */
  | { readonly kind: 'ask'; readonly signal: string; readonly question?: Json | undefined }
  | { readonly kind: 'cancel'; readonly error: SerializedError }
  /** `random` is 0 to 1, for the jitter of the next attempt's delay. */
  | { readonly kind: 'failed'; readonly error: SerializedError; readonly random: number }
  | UnitOutcome;

/** What a branch did while it was away, on whatever it ended. */
interface Away {
  readonly channel?: readonly ChannelOperation[] | undefined;
  /** Completed executions by node; absent: one, of the node at which the member begins. */
  readonly counts?: Readonly<Record<NodeId, number>> | undefined;
  /** Executions that were started. */
  readonly steps: number;
  /** Signals that it was given and did not use. */
  readonly signals?: Readonly<Record<string, readonly Boxed[]>> | undefined;
  readonly checkpoint?: true | undefined;
}

/** How a member comes back that was executed elsewhere as a whole. `cancel` is the third way. */
export type UnitOutcome =
  /** `over`: it took all executions that the run had left. */
  | (Away & { readonly kind: 'ended'; readonly cell: Cell; readonly over?: true | undefined })
  /** It waits, or was given back: it goes on from `branch`, the context of its own ExecutionContext, when something has come for it. */
  | (Away & { readonly kind: 'parked'; readonly branch: Json; readonly waits: readonly ParkedWait[]; readonly due?: ParkedDue | undefined });

export type ParkedWait = Omit<Waiting, 'token'> & { readonly node: NodeId };
export type ParkedDue = Omit<Delayed, 'token'> & { readonly node: NodeId; readonly attempt: number };

/**
 * What happened to one token since it was last spoken of. `moves` are the executions that it went through by itself:
 * n > 0 is n static successors, n < 0 is -n iterations of the task where it stood; `input` is what the place that it
 * reached was given. Without `end` it is still being executed there.
 */
export interface TokenReport {
  readonly id: number;
  readonly moves?: readonly number[] | undefined;
  readonly input?: Json | undefined;
  readonly end?: Outcome | undefined;
}

/** Plain values of range members, in the order in which they came. */
export interface RangeReport {
  readonly group: number;
  readonly indexes: readonly number[];
  readonly cells: readonly Value[];
}

/** A range member's outcome that is not a plain value. */
export interface MemberReport {
  readonly group: number;
  readonly index: number;
  readonly end: Outcome;
}

export type Report = TokenReport | RangeReport | MemberReport;

export type ExecutionEvent =
  | { readonly type: 'READY'; readonly from: 'executor'; readonly at: number; readonly run: RunFacts }
  | { readonly type: 'READY'; readonly from: 'timers'; readonly at: number }
  | { readonly type: 'SETTLED'; readonly at: number; readonly reports: readonly Report[] }
  | { readonly type: 'DUE'; readonly at: number; readonly ids: readonly number[] }
  | { readonly type: 'SIGNAL'; readonly at?: number | undefined; readonly name: string; readonly value?: Json | undefined; /** Its number in a store's mailbox. */ readonly post?: number | undefined }
  /** A message of a store's mailbox that cannot be used: it is passed, so that no later owner judges it again. */
  | { readonly type: 'REFUSED'; readonly post: number }
  | { readonly type: 'PAUSE' }
  /** Without a time, what it starts counts from the time of the event before. */
  | { readonly type: 'RESUME'; readonly at?: number | undefined }
  | { readonly type: 'CANCEL'; readonly reason?: string | undefined; readonly post?: number | undefined }
  | InternalEvent;

/** Raised by the machine for itself; guarded, so that one from outside does nothing. */
export type InternalEvent = { readonly type: 'CONCLUDED' } | { readonly type: 'PARKED' } | { readonly type: 'UNPARKED' };

/** An execution to start. */
export interface Start extends Pick<Token, 'id' | 'node' | 'input' | 'attempt' | 'iteration' | 'hop' | 'path' | 'answers' | 'group' | 'index'> {
  readonly ahead: boolean;
  /** For those who watch: the member that it is, or whose branch it belongs to. */
  readonly member?: { readonly id: NodeId; readonly index: number; readonly size: number } | undefined;
  /** The group whose backend executes it; absent: this process. */
  readonly within?: NodeId | undefined;
  /** Set for a member that is executed elsewhere as a whole. */
  readonly unit?: UnitStart | undefined;
}

export interface UnitStart {
  /** How often the branch was handed out before. */
  readonly generation: number;
  /** What it goes on from, and what has come for it since. */
  readonly branch?: Json | undefined;
  readonly signals?: Handed['signals'] | undefined;
  /** Of the group; a member's key is this and its index. */
  readonly key: string;
  readonly size: number;
  /** What the members of a `parallel` share: others may leave later than this one. */
  readonly input?: Json | undefined;
  /** Executions that it may start, where the run has a limit. */
  readonly stepsLeft?: number | undefined;
}

/** Members `from` up to, not including, `to` of a group: at most `limit` of them at a time. */
export interface RangeStart {
  readonly group: number;
  /** Of the group; a member's key is this and its index. */
  readonly key: string;
  readonly node: NodeId;
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  readonly size: number;
  /** The items of an `each`; members of a `parallel` share `input`. */
  readonly items?: readonly Json[] | undefined;
  readonly input?: Json | undefined;
  /** Set where the members are executed elsewhere, each as a whole: so many of them travel together, from multiples of it on. */
  readonly units?: { readonly batch: number; readonly stepsLeft?: number | undefined } | undefined;
}

export interface ExecuteCommand {
  readonly type: 'EXECUTE';
  /** The revision that planned it. */
  readonly revision: number;
  readonly start: readonly Start[];
  readonly ranges: readonly RangeStart[];
  /** Tokens that must not go on by themselves any more. */
  readonly hold: readonly number[];
  /** Tokens and groups whose executions are to be aborted; their results are not wanted. */
  readonly abort: readonly number[];
  readonly abortGroups: readonly number[];
  readonly paused: boolean;
  readonly channel: Readonly<Record<string, Json>>;
  /** With the answer to READY only. */
  readonly fragments?: Readonly<Record<string, Fragment>> | undefined;
}

export interface ArmCommand {
  readonly type: 'ARM';
  readonly revision: number;
  /** Token ids and the times, in milliseconds since the epoch, at which they are due. */
  readonly arm: readonly (readonly [id: number, dueAt: number])[];
  readonly disarm: readonly number[];
}
