/**
 * What reaches the worker machine, and what it tells its I/O actors.
 *
 * Facts from the lists carry the number of the call that they answer: an answer to a call that was given up changes
 * nothing. Time and randomness come in with the events. One event gives at most one command for each actor.
 */
import type { SerializedError } from '../../src/core/errors.ts';

/** What is to be said of the unit in a slot. `header` is the unit's `attempt|run|id`. */
export interface SlotAck {
  readonly slot: number;
  readonly header: string;
  readonly kind: 'result' | 'drop' | 'return' | 'dead';
  readonly text: string;
}

/** A unit that is not being executed any more. */
export interface UnitEnd extends SlotAck {
  /** It goes back because its task is not known here. */
  readonly refused?: true | undefined;
}

export interface StepAnswer {
  readonly status: 'ok' | 'taken';
  readonly claimed: readonly ClaimedUnit[];
  /** Places in the step's acks. */
  readonly refused: readonly number[];
  /** By run: `*`, a group's id or a unit's id. */
  readonly cancelled: Readonly<Record<string, readonly string[]>>;
  readonly pending: number;
}

/** A slot and the text of the unit that was moved into it. */
export interface ClaimedUnit {
  readonly slot: number;
  readonly unit: string;
}

export type WorkerActorName = 'lists' | 'waiter' | 'units' | 'timers' | 'signals';

export type WorkerEvent =
  | { readonly type: 'READY'; readonly from: WorkerActorName; readonly at: number }
  | { readonly type: 'REGISTERED'; readonly at: number; readonly call: number; readonly status: 'ok' | 'taken' }
  | { readonly type: 'SLOTS_READ'; readonly at: number; readonly call: number; readonly units: readonly (string | null)[] }
  | { readonly type: 'STEPPED'; readonly at: number; readonly call: number; readonly answer: StepAnswer }
  | { readonly type: 'REAPED'; readonly at: number; readonly call: number; readonly returned: number; readonly dead: number }
  | { readonly type: 'LEFT'; readonly at: number; readonly call: number }
  /** The blocking wait has ended, with a unit or without. */
  | { readonly type: 'WAITED'; readonly at: number; readonly wait: number; readonly unit?: string | undefined }
  /** A call has failed, or its reply was lost; `number` is that of the call or the wait, `random` is 0 to 1. */
  | { readonly type: 'LOST'; readonly at: number; readonly from: 'lists' | 'waiter'; readonly number: number; readonly error: SerializedError; readonly retryable: boolean; readonly random: number }
  /** A batch of units that have ended. */
  | { readonly type: 'FINISHED'; readonly at: number; readonly ends: readonly UnitEnd[] }
  | { readonly type: 'CANCELLED'; readonly at: number; readonly run: string; readonly entry: string }
  /** The time that was armed has come. */
  | { readonly type: 'DUE'; readonly at: number }
  /** Claim nothing new, finish, leave. A second one gives back what is not finished. */
  | { readonly type: 'DRAIN'; readonly at: number }
  /** Give everything back now, and leave. */
  | { readonly type: 'STOP'; readonly at: number }
  | WorkerInternalEvent;

/** Raised by the machine for itself; guarded, so that one from outside does nothing. */
export type WorkerInternalEvent = { readonly type: 'IDLE' } | { readonly type: 'BUSY' } | { readonly type: 'CUT' } | { readonly type: 'DRAINING' } | { readonly type: 'CONCLUDED' };

/** What is asked of the lists. */
export type WorkerCall =
  | { readonly kind: 'register' | 'slots' | 'reap' | 'leave' }
  | { readonly kind: 'step'; readonly acks: readonly SlotAck[]; readonly claims: readonly number[]; readonly runs: readonly string[] };

export interface CallCommand {
  readonly type: 'CALL';
  readonly number: number;
  readonly call: WorkerCall;
}

export interface WaitCommand {
  readonly type: 'WAIT';
  readonly number: number;
  readonly slot: number;
  readonly timeoutMs: number;
}

export interface UnitsCommand {
  readonly type: 'UNITS';
  readonly start: readonly ClaimedUnit[];
  /** Slots whose units nobody wants any more: they are aborted, and nothing is said of them. */
  readonly stop: readonly number[];
  /** From now on branches that have come some way are handed back where they stand. */
  readonly handOver: boolean;
  /** Everything that is being executed is aborted and handed back. */
  readonly giveBack: boolean;
}

/** One time at a time; one that has passed is due in the next turn. */
export interface AlarmCommand {
  readonly type: 'ALARM';
  readonly dueAt: number;
}
