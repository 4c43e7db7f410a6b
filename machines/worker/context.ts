/**
 * What a worker is: the plain-JSON context of the worker machine.
 *
 * Owns: the shapes and the first context. Does not own: how they change (step.ts and below), the units themselves: their
 * bodies are with whoever executes them, and after a restart they are read again from the lists.
 *
 * Invariants
 * 1. Plain JSON: ids, headers, times, results that are on their way.
 * 2. A place holds a unit from the moment the lists have moved it there until they have accepted what was said of it.
 * 3. At most one call is outstanding, and at most one blocking wait; a slot is never claimed by both.
 * 4. A command that was given up may still be executed: what it moves into a slot is found by the next claim of that slot.
 */
import type { SerializedError } from '../../src/core/errors.ts';
import type { SlotAck } from './events.ts';

export interface WorkerSettings {
  /** Letters, digits, `.`, `_`, `-`. */
  readonly worker: string;
  /** Tells two processes of one id apart. */
  readonly nonce: string;
  readonly queue: string;
  readonly slots: number;
  readonly leaseMs: number;
  /** How often a unit is handed out before it is given up. */
  readonly deliveries: number;
  /** How often the units of dead workers are looked for. */
  readonly reapMs: number;
  /** How long one blocking wait lasts. */
  readonly waitMs: number;
  /** How long units may go on after a drain has begun. */
  readonly drainMs: number;
}

/** A unit in a slot. One that is not in the grammar of units has an empty header. */
export interface Held {
  readonly header: string;
  readonly run: string;
  readonly id: string;
  readonly since: number;
  /** What is to be said of it; absent: it is being executed. */
  readonly ack?: SlotAck | undefined;
}

export type Place = Held | null;

/** What was asked of the lists, and not answered yet. */
export interface Outstanding {
  readonly number: number;
  readonly kind: 'register' | 'slots' | 'reap' | 'leave' | 'step';
  readonly since: number;
  /** Slots of which the step speaks, in its order, and those that it asks to fill. */
  readonly acked: readonly number[];
  readonly claims: readonly number[];
}

/** `entering`: being registered; `reading`: what the slots hold is not known for sure. */
export type Link = 'closed' | 'entering' | 'reading' | 'open' | 'lost';

export interface Drain {
  readonly since: number;
  readonly until: number;
  /** What was not finished is given back. */
  readonly over: boolean;
}

export type WorkerVerdict = { readonly kind: 'drained' } | { readonly kind: 'taken' | 'failed'; readonly error: SerializedError };

export interface WorkerContext extends WorkerSettings {
  /** The time of the latest event, in milliseconds since the epoch. */
  readonly at: number;
  /** Counts events that changed something. */
  readonly revision: number;
  readonly link: Link;
  /** Was registered before. */
  readonly known: boolean;
  /** Calls in a row that failed, and why the last one did. */
  readonly failures: number;
  readonly problem: SerializedError | null;
  readonly retryAt: number | null;
  /** One for each slot. */
  readonly places: readonly Place[];
  readonly call: Outstanding | null;
  readonly wait: { readonly number: number; readonly slot: number } | null;
  /** Calls and waits are numbered together. */
  readonly calls: number;
  /** The queue was empty when it was last looked at. */
  readonly empty: boolean;
  /** The slots must be read before anything is claimed. */
  readonly unsure: boolean;
  /** A claim waits for the end of this turn: what came with the wait may be done by then. */
  readonly soon: boolean;
  /** Somebody has said that a unit is not wanted any more: the next step tells whether that is so. */
  readonly hinted: boolean;
  /** Blocking waits in a row that failed. */
  readonly waitFailures: number;
  /** Nothing is claimed before these times: by a step, by a wait. */
  readonly claimAt: number;
  readonly waitAt: number;
  /** Batches in a row that held nothing but units whose task is not known here. */
  readonly refusals: number;
  /** When the step was sent that succeeded last; the lease counts from there. */
  readonly beatAt: number | null;
  /** When that was answered. */
  readonly steppedAt: number | null;
  readonly reapAt: number;
  /** Units that waited in the queue at the last step. */
  readonly pending: number;
  /** Results that were accepted, and units whose results were not. */
  readonly served: number;
  readonly refused: number;
  readonly drain: Drain | null;
  /** The time that the alarm is set to. */
  readonly alarm: number | null;
  readonly verdict: WorkerVerdict | null;
}

export function initialWorker(settings: WorkerSettings): WorkerContext {
  const { worker, nonce, queue, slots, leaseMs, deliveries, reapMs, waitMs, drainMs } = settings;
  return {
    worker, nonce, queue, slots, leaseMs, deliveries, reapMs, waitMs, drainMs,
    at: 0,
    revision: 0,
    link: 'closed',
    known: false,
    failures: 0,
    problem: null,
    retryAt: null,
    places: Array.from({ length: slots }, () => null),
    call: null,
    wait: null,
    calls: 0,
    empty: false,
    unsure: false,
    soon: false,
    hinted: false,
    waitFailures: 0,
    claimAt: 0,
    waitAt: 0,
    refusals: 0,
    beatAt: null,
    steppedAt: null,
    reapAt: 0,
    pending: 0,
    served: 0,
    refused: 0,
    drain: null,
    alarm: null,
    verdict: null,
  };
}

export type WorkerState = 'register' | 'claim' | 'work' | 'reconnect' | 'drain' | WorkerVerdict['kind'];

/** The statechart's state for a context. */
export function workerState(context: Pick<WorkerContext, 'verdict' | 'drain' | 'link' | 'known' | 'places'>): WorkerState {
  if (context.verdict !== null) return context.verdict.kind;
  if (context.drain !== null) return 'drain';
  if (context.link !== 'open') return context.known ? 'reconnect' : 'register';
  return context.places.some((place) => place !== null) ? 'work' : 'claim';
}
