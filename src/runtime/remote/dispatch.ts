/** What a run and its coordinator say to each other. */
import type { Accepted, PlannedGroup, PlannedUnit } from '../../../machines/index.ts';

export type { PlannedGroup, PlannedUnit };

/** A result that was accepted: the unit was open, and is not any more. */
export type Delivered = Accepted;

/** Why a run's units do not move, or that they do. */
export interface RemoteWait {
  readonly kind: 'units';
  readonly queue: string;
  /** Open units: pushed or about to be, and without a result. */
  readonly units: number;
  /** When the oldest of them was planned, in milliseconds since the epoch. */
  readonly since: number;
  /** In words: "no live worker serves the queue", "the connection to Redis is lost: ...", "worker w1 does not know the task x". */
  readonly reason?: string | undefined;
}

/** A coordinator, as the run sees it. */
export interface Dispatcher {
  /** Units that the run's `revision` has planned. One that is open already changes nothing, so all may be told again at any time. */
  plan(revision: number, groups: readonly PlannedGroup[], units: readonly PlannedUnit[]): void;
  /** Everything up to this revision is durable: what it planned may be pushed, what it accepted may be trimmed. */
  durable(revision: number): void;
  /** The run's revision holds all deliveries up to number `delivery`. */
  accepted(delivery: number, revision: number): void;
  /** Since the run's `revision` nobody wants these any more: they are not open from now on, and are stopped wherever they are once that is durable. */
  abort(groups: readonly number[], units: readonly { readonly group: number; readonly index: number; readonly generation: number }[], revision: number): void;
  /** With the run's `revision` these groups have their verdicts: nothing more of them will be planned. */
  ended(groups: readonly number[], revision: number): void;
  waitsFor(): readonly RemoteWait[];
  /**
   * `ended`: the run is over, nothing of it stays in the lists. `left`: this process leaves it as it is, to be resumed; a run
   * without a journal is ended instead.
   */
  close(how: 'ended' | 'left'): Promise<void>;
}

/** The run, as its coordinator sees it. */
export interface DispatchHost {
  /** Deliveries are numbered from 1; the answer is `accepted`, once the run has taken them in. */
  deliver(delivery: number, results: readonly Delivered[]): void;
  /** Resolves when this process has shown that it still owns the run: its store has taken in a write that was made after this call. Absent: nobody can say. */
  readonly confirm?: (() => Promise<void>) | undefined;
  /** Another coordinator owns the run, or the lists cannot be used at all: nothing more comes. */
  failed(error: Error): void;
  /** A hint from a running unit: progress, a log line. */
  note(unit: { readonly group: number; readonly index: number }, note: unknown): void;
}
