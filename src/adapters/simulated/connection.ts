/**
 * One client's ways to the simulated server: calls in order, replies in order, and everything that can go wrong on the way.
 *
 * Owns: when an operation is executed, whether its reply arrives, what a cut breaks. Does not own: what operations do,
 * which faults there are (the plan of the server).
 *
 * Invariants
 * 1. Calls of one connection are executed one after the other, each in a turn of its own; a blocking wait has its own connection.
 * 2. A call settles once: with its reply, or with a TransportError.
 * 3. A call that was given up before it reached the server is never executed, unless the plan lets it come late.
 */
import { TransportError } from '../../core/errors.ts';
import type { Clock, TaskLists } from '../../ports.ts';

/** An operation on its way, as a fault plan sees it. */
export interface SimulatedCall {
  /** The client's name. */
  readonly client: string;
  readonly name: keyof TaskLists;
  readonly request: unknown;
}

/** What becomes of a call. */
export interface Fault {
  /** It waits for so long, and what follows it on its connection too. */
  readonly delayMs?: number | undefined;
  /** The caller gets this. Before the operation: it is not executed. After it: it was. */
  readonly error?: Error | undefined;
  /** With `error`, before the operation: it is executed all the same, so much later, when nobody expects it any more. */
  readonly lateMs?: number | undefined;
}

export interface FaultPlan {
  /** Asked for each call before it is executed. */
  readonly before?: ((call: SimulatedCall) => Fault | undefined) | undefined;
  /** Asked for each call when it was executed, before its reply is sent. */
  readonly after?: ((call: SimulatedCall) => Fault | undefined) | undefined;
  /** Asked for each listener of each signal: in how many milliseconds it arrives, once for each number; `[]` for never. Absent: at once. */
  readonly signal?: ((client: string, text: string) => readonly number[] | undefined) | undefined;
}

export function unreachable(what = 'the connection to the simulated server is lost'): TransportError {
  return new TransportError('transport/unreachable', what, { details: { retryable: true } });
}

/** What a connection needs of its server. */
export interface Line {
  readonly clock: Clock;
  readonly faults: () => FaultPlan;
  /** Runs it now, or, while the server is paused, when that has ended; rejects by `fail` when it takes too long. */
  readonly whenAwake: (run: () => void, fail: (error: Error) => void) => void;
  readonly isUp: () => boolean;
  /** Runs an operation in one go, and what it wakes. */
  readonly execute: (call: SimulatedCall, operation: () => unknown) => unknown;
}

interface Pending {
  readonly call: SimulatedCall;
  /** Does its work, and hands the reply on, at once or later. */
  readonly start: (reply: (value: unknown) => void) => void;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  settled: boolean;
}

export class Connection {
  readonly #line: Line;
  #waiting: Pending[] = [];
  #current: Pending | undefined;

  constructor(line: Line) {
    this.#line = line;
  }

  get isIdle(): boolean {
    return this.#current === undefined && this.#waiting.length === 0;
  }

  call(call: SimulatedCall, start: Pending['start']): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ call, start, resolve, reject, settled: false });
      this.#next();
    });
  }

  /** Everything under way is lost: what was not executed yet never is. */
  cut(error: Error): void {
    const lost = [...(this.#current === undefined ? [] : [this.#current]), ...this.#waiting];
    this.#waiting = [];
    this.#current = undefined;
    for (const pending of lost) fail(pending, error);
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const pending = this.#waiting.shift();
    if (pending === undefined) return;
    this.#current = pending;
    const fault = this.#line.faults().before?.(pending.call);
    this.#later(fault?.delayMs, () => this.#begin(pending, fault));
  }

  #begin(pending: Pending, fault: Fault | undefined): void {
    if (pending.settled) return;
    const error = this.#line.isUp() ? fault?.error : unreachable();
    if (error === undefined) {
      this.#line.whenAwake(() => this.#run(pending), (late) => this.#end(pending, () => fail(pending, late)));
      return;
    }
    if (fault?.lateMs !== undefined && this.#line.isUp()) this.#line.clock.after(fault.lateMs, () => this.#line.isUp() && pending.start(() => undefined));
    this.#end(pending, () => fail(pending, error));
  }

  /** A paused server comes to it later, whether the caller still waits or not. */
  #run(pending: Pending): void {
    try {
      pending.start((value) => this.#reply(pending, value));
    } catch (error) {
      this.#end(pending, () => fail(pending, error as Error));
    }
  }

  #reply(pending: Pending, value: unknown): void {
    const fault = this.#line.faults().after?.(pending.call);
    const send = (): void => this.#end(pending, () => (fault?.error === undefined ? succeed(pending, value) : fail(pending, fault.error)));
    if (fault?.delayMs === undefined) send();
    else this.#line.clock.after(fault.delayMs, send);
  }

  #end(pending: Pending, settle: () => void): void {
    settle();
    if (this.#current !== pending) return;
    this.#current = undefined;
    this.#next();
  }

  #later(delayMs: number | undefined, run: () => void): void {
    if (delayMs === undefined) this.#line.clock.soon(run);
    else this.#line.clock.after(delayMs, run);
  }
}

function succeed(pending: Pending, value: unknown): void {
  if (pending.settled) return;
  pending.settled = true;
  pending.resolve(value);
}

function fail(pending: Pending, error: Error): void {
  if (pending.settled) return;
  pending.settled = true;
  pending.reject(error);
}
