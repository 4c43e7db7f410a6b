/**
 * What an inspector sends, a relay keeps and passes on, and a viewer (the page, `taskchart top`) reads.
 *
 * Owns: the shapes of the stream. Types and constants only, so that a browser can import it. Does not own: commands and the
 * relay's paths (protocol.ts), making messages (inspector.ts), folding them into a picture (fold.ts).
 *
 * Invariants
 * 1. Every message is plain JSON and has the fields of `MessageBase`. The types `@xstate.*` have the shapes that Stately's
 *    inspector knows; whoever does not know a type passes it by.
 * 2. A session id names one actor, uniquely over all processes: `<source>/<id of XState>`. All messages of one actor system
 *    have the session of its root actor as `rootId`.
 * 3. What a message says is absolute and replaces what was said before, field by field, except where it says "changed":
 *    those hold what is new since the message before.
 * 4. A viewer that missed something gets `@taskchart.reset` and then everything that still matters, not the gap.
 * 5. Times are milliseconds since the epoch. Texts that come from tasks are data: whoever shows them must not interpret them.
 */
import type { GraphNode, NodeId } from '../core/graph.ts';
import type { Json } from '../core/json-type.ts';

/** Of the messages, in every `_version`. */
export const STREAM_VERSION = 'taskchart-1';

export interface MessageBase {
  /** The actor that the message is about. Own messages: the ExecutionContext of the run. */
  readonly sessionId: string;
  /** The root of its actor system. */
  readonly rootId: string;
  /** Milliseconds since the epoch, in digits. */
  readonly createdAt: string;
  readonly id: string | null;
  readonly _version: string;
}

// The shapes of Stately's inspector ---------------------------------------------------------------------------------------

/** An actor has appeared. Kept for viewers that come later. */
export interface ActorMessage extends MessageBase {
  readonly type: '@xstate.actor';
  readonly name: string;
  readonly parentId?: string | undefined;
  /** The config of its machine as JSON text; absent for actors that are no machines. */
  readonly definition?: string | undefined;
  readonly snapshot: SnapshotSummary;
}

/** An event was sent to an actor: at most a few dozen per actor and frame, with its data summarised. */
export interface EventMessage extends MessageBase {
  readonly type: '@xstate.event';
  readonly event: EventSummary;
  /** Who sent it; absent: someone outside. */
  readonly sourceId?: string | undefined;
  /** As many events to this actor were left out right before this one. */
  readonly skipped?: number | undefined;
}

/** The state of an actor, once per frame at most. */
export interface SnapshotMessage extends MessageBase {
  readonly type: '@xstate.snapshot';
  /** The latest event that led to it. */
  readonly event: EventSummary;
  readonly snapshot: SnapshotSummary;
}

export interface EventSummary {
  readonly type: string;
  readonly [key: string]: Json;
}

export interface SnapshotSummary {
  readonly status: 'active' | 'done' | 'error' | 'stopped';
  /** A state's name, or nested states by region; machines only. */
  readonly value?: Json;
  /** Summarised: counts and beginnings instead of collections. */
  readonly context?: Json;
  readonly children?: Json;
  readonly historyValue?: Json;
  readonly tags?: readonly string[];
  readonly output?: Json;
  readonly error?: Json;
}

// Runs --------------------------------------------------------------------------------------------------------------------

export type RunState = 'starting' | 'running' | 'waiting' | 'paused' | 'completed' | 'failed' | 'cancelled' | 'stopped';

export type ControlKind = 'signal' | 'pause' | 'resume' | 'cancel';

/** What a list of runs shows. Sent for every run to every viewer. */
export interface RunMessage extends MessageBase {
  readonly type: '@taskchart.run';
  /** Absent until the run has begun. A run that goes on in another process has the same id and another session. */
  readonly runId?: string | undefined;
  readonly workflow: string;
  /** `stopped`: the actor was stopped before the run had ended. */
  readonly state: RunState;
  /** `checkpoint`: read from a file, no process runs it. `branch`: a worker's part of another run. */
  readonly origin: 'live' | 'checkpoint' | 'branch';
  readonly startedAt?: number | undefined;
  /** The time of the latest event that the run has accepted. */
  readonly at: number;
  readonly endedAt?: number | undefined;
  /** Counts the accepted events. */
  readonly revision: number;
  /** Executions that were started. */
  readonly steps: number;
  readonly counts: RunCounts;
  /** What can be asked of it now; empty where the run does not allow it, or has ended. */
  readonly control: readonly ControlKind[];
  /** Why it has failed or was cancelled. */
  readonly error?: ErrorSummary | undefined;
}

/** Of executions, at this moment; `done` and `failed` since the beginning. */
export interface RunCounts {
  readonly queued: number;
  readonly running: number;
  readonly waiting: number;
  readonly retrying: number;
  readonly done: number;
  readonly failed: number;
}

export interface ErrorSummary {
  readonly name: string;
  readonly code?: string | undefined;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly cause?: ErrorSummary | undefined;
}

/** The graph of a run. Sent once, and again when the run has met steps that no graph declares. */
export interface GraphMessage extends MessageBase {
  readonly type: '@taskchart.graph';
  readonly workflow: string;
  readonly graphHash: string;
  readonly root: NodeId;
  /** Entries of steps that only `goto` and `nextTask` reach: those declared, and those met on the way. */
  readonly uses: readonly NodeId[];
  readonly nodes: Readonly<Record<NodeId, GraphNode>>;
  /** False: only ids are known (a checkpoint without its workflow): every node looks like a task without successors. */
  readonly complete: boolean;
}

/**
 * The state of one node of the graph over all its executions. Where several are under way, the first that applies:
 * running, retrying, waiting, failed, done.
 * `skipped`: the run has ended without it. `stopped`: it was under way when the run, or what it belongs to, ended.
 */
export type TaskStateName = 'pending' | 'running' | 'waiting' | 'retrying' | 'done' | 'failed' | 'skipped' | 'stopped';

export interface TaskState {
  readonly state: TaskStateName;
  /** Executions at this moment. Of a group node: groups that are open. */
  readonly running: number;
  readonly waiting: number;
  readonly retrying: number;
  /** Executions that ended with a value. Each iteration of a task counts. */
  readonly done: number;
  /** Executions that failed for good. */
  readonly failed: number;
  /** Of the latest execution; counts from 1. */
  readonly attempt: number;
  /** Of the latest execution; counts from 0. */
  readonly iteration: number;
  /** When the latest execution was first seen. Tasks that come and go within a frame may never be seen one by one. */
  readonly startedAt?: number | undefined;
  /** When the latest one that has ended was seen to have ended. */
  readonly endedAt?: number | undefined;
  /** The latest of `ctx.progress`. */
  readonly progress?: { readonly done: number; readonly total?: number | undefined; readonly note?: string | undefined } | undefined;
  /** Members of the fan-outs of this node: started ones over all its groups, and their size. Group nodes only. */
  readonly members?: { readonly size: number; readonly done: number; readonly failed: number; readonly running: number } | undefined;
}

/** Changed nodes only; what is said of a node is absolute. Nodes that were never spoken of are pending. */
export interface TasksMessage extends MessageBase {
  readonly type: '@taskchart.tasks';
  readonly nodes: Readonly<Record<NodeId, TaskState>>;
}

/** Of a member: p pending, q handed out but not begun, r running, w waiting, t tries again, d done, f failed, x stopped. */
export type MemberCode = 'p' | 'q' | 'r' | 'w' | 't' | 'd' | 'f' | 'x';

/** Members `from` up to, not including, `to`. */
export type MemberRange = readonly [from: number, to: number, state: MemberCode];

/** One group that is open, or was: a fan-out, parallel members, or the nodes of a dag. */
export interface GroupMessage extends MessageBase {
  readonly type: '@taskchart.group';
  /** Unique within the run. */
  readonly group: number;
  readonly node: NodeId;
  /** Names it within the run: `<key>.<index>` begins the key of each member. */
  readonly key: string;
  readonly size: number;
  /** Members at a time. */
  readonly limit: number;
  readonly running: number;
  readonly waiting: number;
  readonly retrying: number;
  readonly done: number;
  readonly failed: number;
  readonly open: boolean;
  readonly startedAt: number;
  readonly endedAt?: number | undefined;
  /**
   * Changed members. Before the first such message all are pending. Absent where the group has more members than
   * `MEMBERS_LISTED`: the counts are all that is streamed then, and the command `members` shows parts.
   */
  readonly members?: readonly MemberRange[] | undefined;
  /** Changed: the first failures and waits of members, by index. At most `MEMBER_NOTES` per group. */
  readonly notes?: Readonly<Record<number, MemberNote>> | undefined;
}

export interface MemberNote {
  readonly error?: ErrorSummary | undefined;
  readonly attempt?: number | undefined;
  /** When it is tried again. */
  readonly dueAt?: number | undefined;
}

export const MEMBERS_LISTED = 100_000;
export const MEMBER_NOTES = 500;

/** The queue, what is in flight, and what the run waits for: the beginnings of each list, and how long they are. */
export interface StatusMessage extends MessageBase {
  readonly type: '@taskchart.status';
  readonly queue: Listed<PlaceInQueue>;
  readonly inFlight: Listed<PlaceInFlight>;
  readonly waitsFor: Listed<Wait>;
  /** Signals that came before anyone waited for them, by name. */
  readonly keptSignals: Readonly<Record<string, number>>;
  /** The channel of the run: texts of JSON, cut. */
  readonly channel: Readonly<Record<string, ValueText>>;
}

export interface Listed<T> {
  /** At most `LISTED`. */
  readonly first: readonly T[];
  readonly total: number;
}

export const LISTED = 50;

export interface PlaceInQueue {
  readonly node: NodeId;
  /** Of the execution, unique within the run. */
  readonly key: string;
  readonly attempt: number;
}

export interface PlaceInFlight extends PlaceInQueue {
  readonly iteration: number;
  /** When it was first seen. */
  readonly since: number;
  /** The token, for the command `value`. Absent for members of a range. */
  readonly token?: number | undefined;
  readonly group?: number | undefined;
  readonly index?: number | undefined;
}

/** Why it is waiting: everything that has to happen before the run can go on. */
export type Wait =
  | { readonly kind: 'task'; readonly node: NodeId; readonly key: string; readonly attempt: number; readonly since: number }
  | { readonly kind: 'members'; readonly node: NodeId; readonly group: number; readonly count: number }
  /** Members that workers are to execute; they belong to no one step (`node` is empty). */
  | { readonly kind: 'units'; readonly node: ''; readonly key: string; readonly queue: string; readonly count: number; readonly since: number; /** Why it takes long, where that is known. */ readonly reason?: string | undefined }
  | { readonly kind: 'retry' | 'sleep' | 'wait-timeout'; readonly node: NodeId; readonly key: string; readonly dueAt: number; readonly attempt: number; readonly error?: ErrorSummary | undefined }
  | {
      readonly kind: 'signal';
      readonly node: NodeId;
      readonly key: string;
      /** The name that a `signal` command gives. */
      readonly signal: string;
      readonly since: number;
      /** Set where a task asks (`ctx.ask`). */
      readonly asked: boolean;
      readonly question?: ValueText | undefined;
    };

/** A value as the text of its JSON. */
export interface ValueText {
  readonly text: string;
  /** The text is only the beginning; the command `value` gives more of it. */
  readonly cut?: true | undefined;
  /** Something in it was left out on purpose. */
  readonly redacted?: true | undefined;
}

/** What the latest execution of a task was given and gave, as far as it was seen. Changed nodes and fields only. */
export interface ValuesMessage extends MessageBase {
  readonly type: '@taskchart.values';
  readonly nodes: Readonly<Record<NodeId, TaskValues>>;
  /** Of the whole run. */
  readonly input?: ValueText | undefined;
  readonly output?: ValueText | undefined;
}

export interface TaskValues {
  readonly input?: ValueText | undefined;
  readonly output?: ValueText | undefined;
  /** Of the latest failed attempt. */
  readonly error?: ErrorSummary | undefined;
}

/** What tasks have logged. */
export interface LogMessage extends MessageBase {
  readonly type: '@taskchart.log';
  readonly entries: readonly LogEntry[];
  /** Entries of this frame that were left out. */
  readonly skipped: number;
}

export interface LogEntry {
  readonly at: number;
  readonly node: NodeId;
  readonly key: string;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly data?: ValueText | undefined;
}

/** The derived statechart of a run is an actor of its own in the stream, with this behind the run's session id. It is a picture: nothing executes it. */
export const TASKS_SESSION = '#tasks';

// From the relay alone -----------------------------------------------------------------------------------------------------

/** A process that sends. Sent to every viewer. `sessionId` and `rootId` are the source's id. */
export interface SourceMessage extends MessageBase {
  readonly type: '@taskchart.source';
  /** `lost`: it has gone without a word; what it ran may have crashed. It comes back under the same id if it only lost its connection. */
  readonly state: 'connected' | 'lost' | 'ended';
  readonly kind: 'node' | 'browser' | 'file';
  readonly host?: string | undefined;
  readonly pid?: number | undefined;
  /** What it calls itself. */
  readonly title?: string | undefined;
  /** Messages that it could not send in time. */
  readonly dropped: number;
}

/** An actor system, such as a run with its executor and coordinators, or a worker. Sent to every viewer. */
export interface SystemMessage extends MessageBase {
  readonly type: '@taskchart.system';
  readonly source: string;
  /** Of the root actor. */
  readonly name: string;
  /** The id of the root's machine, where it is one. */
  readonly machine?: string | undefined;
  readonly status: SnapshotSummary['status'];
  readonly value?: Json;
  /** Numbers and short texts in the root's context, for lists such as `taskchart top`. */
  readonly facts: Readonly<Record<string, number | string>>;
  readonly actors: number;
  /** Sessions of the runs in it. */
  readonly runs: readonly string[];
}

/** Forget what was said of this system (`rootId`), all that matters follows. */
export interface ResetMessage extends MessageBase {
  readonly type: '@taskchart.reset';
}

/** The relay has forgotten this system (`rootId`), to keep its memory bounded. */
export interface GoneMessage extends MessageBase {
  readonly type: '@taskchart.gone';
}

/** Everything that was known when the viewer came has been sent; from now on it is live. `sessionId` and `rootId` are empty. */
export interface LiveMessage extends MessageBase {
  readonly type: '@taskchart.live';
  /** The relay lets viewers control runs. */
  readonly control: boolean;
}

/** What an inspector makes. */
export type InspectorMessage =
  | ActorMessage | EventMessage | SnapshotMessage
  | RunMessage | GraphMessage | TasksMessage | GroupMessage | StatusMessage | ValuesMessage | LogMessage;

/** What a viewer gets. */
export type ViewerMessage = InspectorMessage | SourceMessage | SystemMessage | ResetMessage | GoneMessage | LiveMessage;
