/**
 * A Redis in one process: lists, times to live, pub/sub and clients, on a clock that may be virtual. For tests and
 * simulation: every list can be looked at, and every fault of a server, a connection or a message can be brought about.
 *
 *   const server = new SimulatedServer({ clock });
 *   const { lists, signals } = server.connect();
 *
 * Owns: the server and its faults. Does not own: what operations do (run-operations.ts, worker-operations.ts), clients
 * (client.ts), the order of calls (connection.ts).
 *
 * Invariants
 * 1. An operation is executed in one go, in a turn of its own, and whoever waits for what it brought is served with it.
 * 2. `restart(n)` keeps a prefix of what was done: all but the last n operations.
 */
import { InvariantError, TransportError } from '../../core/errors.ts';
import type { Clock } from '../../ports.ts';
import { keysOf } from '../redis/keys.ts';
import type { Keys } from '../redis/keys.ts';
import { SimulatedClient } from './client.ts';
import type { Move } from './client.ts';
import type { FaultPlan, SimulatedCall } from './connection.ts';
import { MemoryLists } from './memory.ts';
import type { Store } from './run-operations.ts';

export type { FaultPlan, SimulatedCall } from './connection.ts';
export { unreachable } from './connection.ts';
export type { SimulatedClient } from './client.ts';

export interface SimulatedServerOptions {
  readonly clock: Clock;
  readonly namespace?: string | undefined;
  readonly prefix?: string | undefined;
  /** So many operations can be lost by `restart`. Default 0. */
  readonly remember?: number | undefined;
  /** How long a client waits for a reply that does not come. Default 5,000. */
  readonly deadlineMs?: number | undefined;
}

let servers = 0;

interface Waiter extends Move {
  readonly serve: (text: string | undefined) => void;
  readonly stopTimer: () => void;
}

export class SimulatedServer {
  /** What goes wrong; may be exchanged at any time. */
  faults: FaultPlan = {};
  /** Called after each operation, and what it woke: the place to check invariants. */
  executed: ((call: SimulatedCall) => void) | undefined;
  readonly keys: Keys;
  readonly #id: string;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #remember: number;
  readonly #lists: MemoryLists;
  readonly #clients: SimulatedClient[] = [];
  readonly #listeners = new Set<{ readonly client: string; readonly heard: (text: string) => void }>();
  readonly #waiters: Waiter[] = [];
  #stalled: (() => void)[] = [];
  #paused = false;
  #up = true;

  constructor({ clock, namespace, prefix, remember = 0, deadlineMs = 5_000 }: SimulatedServerOptions) {
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
    this.#remember = remember;
    this.keys = keysOf(namespace, prefix);
    servers += 1;
    this.#id = `simulated ${servers} ${this.keys.control}`;
    this.#lists = new MemoryLists(() => clock.now(), remember);
  }

  /** A new client. The name is what fault plans see. */
  connect(name = `client${this.#clients.length + 1}`): SimulatedClient {
    const store: Store = { lists: this.#lists, keys: this.keys, now: () => this.#clock.now(), publish: (text) => this.#publish(text) };
    const client = new SimulatedClient(name, {
      id: this.#id,
      store,
      line: {
        clock: this.#clock,
        faults: () => this.faults,
        isUp: () => this.#up,
        whenAwake: (run, fail) => this.#whenAwake(run, fail),
        execute: (call, operation) => this.#execute(call, operation),
      },
      wait: (move, timeoutMs, served) => this.#wait(move, timeoutMs, served),
      publish: (text) => this.#publish(text),
      subscribe: (listener, heard) => this.#subscribe(listener, heard),
    });
    this.#clients.push(client);
    return client;
  }

  /** The elements of a list, first to last; `[]` where there is none. */
  list(key: string): readonly string[] {
    return [...this.#lists.list(key)];
  }

  /** All lists by their keys. */
  all(): ReadonlyMap<string, readonly string[]> {
    return new Map(this.#lists.keys().map((key) => [key, this.list(key)]));
  }

  /** Milliseconds that a list has left; nothing for one that stays. */
  timeLeft(key: string): number | undefined {
    return this.#lists.timeLeft(key);
  }

  /** Puts elements in the place of a list, as another program could. */
  put(key: string, texts: readonly string[]): void {
    this.#lists.begin();
    this.#lists.set(key, texts);
    this.#serve();
  }

  /** Stops answering, as a server that was stopped with SIGSTOP: what comes in is executed after `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const run of this.#stalled.splice(0)) this.#clock.soon(run);
  }

  /** Ends the server: connections break, new calls are refused until `start`. */
  stop(): void {
    this.#up = false;
    this.#paused = false;
    this.#stalled = [];
    for (const waiter of this.#waiters.splice(0)) waiter.stopTimer();
    for (const client of this.#clients) client.cut();
  }

  /** Starts it again, without the last `lost` operations: what an append-only file has lost with a crash. */
  start(lost = 0): void {
    if (lost > this.#remember) throw new InvariantError('invariant/broken', `The simulated server remembers ${this.#remember} operations and cannot lose ${lost}.`);
    this.#lists.undo(lost);
    this.#up = true;
  }

  restart(lost = 0): void {
    this.stop();
    this.start(lost);
  }

  /** Empties it, as FLUSHALL does; connections stay. */
  flush(): void {
    this.#lists.begin();
    for (const key of this.#lists.keys()) this.#lists.remove(key);
  }

  /** Breaks the connections of every client. */
  cut(options?: { readonly zombies?: boolean }): void {
    for (const client of this.#clients) client.cut(options);
  }

  #execute(call: SimulatedCall, operation: () => unknown): unknown {
    this.#lists.begin();
    const reply = operation();
    this.#serve();
    this.executed?.(call);
    return reply;
  }

  #wait(move: Move, timeoutMs: number, served: (text: string | undefined) => void): () => void {
    const giveUp = (): boolean => {
      const at = this.#waiters.indexOf(waiter);
      if (at >= 0) this.#waiters.splice(at, 1);
      waiter.stopTimer();
      return at >= 0;
    };
    const stopTimer = this.#clock.after(timeoutMs, () => {
      if (giveUp()) this.#whenAwake(() => served(undefined), () => served(undefined));
    });
    const waiter: Waiter = { ...move, stopTimer, serve: served };
    this.#waiters.push(waiter);
    return giveUp;
  }

  /** First come, first served. */
  #serve(): void {
    for (let at = 0; at < this.#waiters.length; ) {
      const waiter = this.#waiters[at] as Waiter;
      if (!this.#lists.has(waiter.from)) {
        at += 1;
        continue;
      }
      this.#waiters.splice(at, 1);
      waiter.stopTimer();
      this.#lists.begin();
      const text = this.#lists.move(waiter.from, waiter.to);
      waiter.moved?.();
      waiter.serve(text);
    }
  }

  #whenAwake(run: () => void, fail: (error: Error) => void): void {
    if (!this.#paused) return run();
    const late = (): void => fail(new TransportError('transport/timeout', `the simulated server did not answer within ${this.#deadlineMs} ms`, { details: { retryable: true } }));
    const stopTimer = this.#clock.after(this.#deadlineMs, late);
    this.#stalled.push(() => {
      stopTimer();
      this.#whenAwake(run, fail);
    });
  }

  #publish(text: string): void {
    for (const listener of this.#listeners) {
      const deliver = (): void => {
        if (this.#listeners.has(listener)) listener.heard(text);
      };
      const times = this.faults.signal?.(listener.client, text);
      if (times === undefined) this.#clock.soon(deliver);
      else for (const delayMs of times) this.#clock.after(delayMs, deliver);
    }
  }

  #subscribe(client: string, heard: (text: string) => void): () => void {
    const listener = { client, heard };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
