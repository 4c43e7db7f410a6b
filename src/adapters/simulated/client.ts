/**
 * A client of the simulated server: TaskLists and Signals over connections that can fail.
 *
 * Owns: its connections (one for commands, as many for blocking waits as are under way), its subscriptions. Does not own:
 * the server, the faults.
 */
import { TransportError } from '../../core/errors.ts';
import type { Signals, TaskLists, Transport } from '../../ports.ts';
import { checkPush, checkStep } from '../redis/requests.ts';
import { Connection, unreachable } from './connection.ts';
import type { Line } from './connection.ts';
import * as runs from './run-operations.ts';
import type { Store } from './run-operations.ts';
import * as workers from './worker-operations.ts';

/** The first element of one list that has one, to the end of another; `moved` belongs to the same operation. */
export interface Move {
  readonly from: string;
  readonly to: string;
  readonly moved?: (() => void) | undefined;
}

/** The server, as its clients see it. */
export interface ServerSide {
  /** Tells it from other servers. */
  readonly id: string;
  readonly store: Store;
  readonly line: Line;
  /** Moves the next element, now or within the time, and says which; returns the way to give up. */
  wait(move: Move, timeoutMs: number, served: (text: string | undefined) => void): () => void;
  publish(text: string): void;
  subscribe(client: string, heard: (text: string) => void): () => void;
}

export class SimulatedClient implements Transport {
  readonly name: string;
  readonly key: string;
  readonly lists: TaskLists;
  readonly signals: Signals;
  readonly #server: ServerSide;
  readonly #commands: Connection;
  readonly #blocking: Connection[] = [];
  readonly #waits = new Set<() => void>();
  readonly #subscriptions = new Set<() => void>();
  /** Names of the shared parts that were pushed from here, by run: what `take` keeps alive. */
  readonly #shared = new Map<string, Set<string>>();
  #closed = false;

  constructor(name: string, server: ServerSide) {
    this.name = name;
    this.key = server.id;
    this.#server = server;
    this.#commands = new Connection(server.line);
    this.lists = this.#makeLists();
    this.signals = {
      subscribe: (heard) => {
        const stop = server.subscribe(name, heard);
        this.#subscriptions.add(stop);
        return () => {
          this.#subscriptions.delete(stop);
          stop();
        };
      },
      publish: (text) => {
        if (!this.#closed && server.line.isUp()) server.publish(text);
      },
    };
  }

  /**
   * Breaks the connections: calls under way reject, whether they were executed or not; the next ones go over new connections.
   * With `zombies` the server does not notice, and executes blocking waits although nobody reads their replies.
   */
  cut({ zombies = false }: { readonly zombies?: boolean } = {}): void {
    this.#break(unreachable(), zombies);
  }

  #break(error: Error, zombies: boolean): void {
    if (!zombies) for (const giveUp of this.#waits) giveUp();
    this.#waits.clear();
    for (const connection of [this.#commands, ...this.#blocking.splice(0)]) connection.cut(error);
  }

  async #close(): Promise<void> {
    this.#closed = true;
    for (const stop of this.#subscriptions) stop();
    this.#subscriptions.clear();
    this.#break(closed(), false);
  }

  async #call<Reply>(name: keyof TaskLists, request: unknown, operation: () => Reply): Promise<Reply> {
    if (this.#closed) throw closed();
    const call = { client: this.name, name, request };
    return (await this.#commands.call(call, (reply) => reply(this.#server.line.execute(call, operation)))) as Reply;
  }

  async #wait(name: 'waitResult' | 'waitUnit', request: { readonly timeoutMs: number }, move: Move): Promise<string | undefined> {
    if (this.#closed) throw closed();
    const call = { client: this.name, name, request };
    let connection = this.#blocking.find(({ isIdle }) => isIdle);
    if (connection === undefined) this.#blocking.push((connection = new Connection(this.#server.line)));
    const start = (reply: (value: unknown) => void): void => {
      // What is there already is served before `execute` returns.
      const wait: { isServed: boolean; giveUp?: () => void } = { isServed: false };
      const served = (text: string | undefined): void => {
        wait.isServed = true;
        if (wait.giveUp !== undefined) this.#waits.delete(wait.giveUp);
        reply(text);
      };
      wait.giveUp = this.#server.line.execute(call, () => this.#server.wait(move, request.timeoutMs, served)) as () => void;
      if (!wait.isServed) this.#waits.add(wait.giveUp);
    };
    return (await connection.call(call, start)) as string | undefined;
  }

  #makeLists(): TaskLists {
    const { store } = this.#server;
    const { keys, lists } = store;
    return {
      acquire: (request) => this.#call('acquire', request, () => runs.acquire(store, request)),
      push: async (request) => {
        checkPush(request);
        if (request.expireMs !== undefined) this.#remember(request.run, request.shared ?? []);
        return this.#call('push', request, () => runs.push(store, request));
      },
      take: (request) => this.#call('take', request, () => runs.take(store, request, [...(this.#shared.get(request.run) ?? [])])),
      held: (request) => this.#call('held', request, () => lists.list(keys.taken(request.run)).slice(request.from, request.from + request.most)),
      trim: (request) => this.#call('trim', request, () => runs.trim(store, request)),
      audit: (request) => this.#call('audit', request, () => runs.audit(store, request)),
      cancel: (request) => this.#call('cancel', request, () => runs.cancel(store, request)),
      release: (request) => {
        this.#shared.delete(request.run);
        return this.#call('release', request, () => runs.release(store, request));
      },
      waitResult: (request) => this.#wait('waitResult', request, { from: keys.results(request.run), to: keys.taken(request.run), moved: () => runs.keepTaken(store, request.run) }),
      register: (request) => this.#call('register', request, () => workers.register(store, request)),
      step: async (request) => {
        checkStep(request);
        return this.#call('step', request, () => workers.step(store, request));
      },
      waitUnit: (request) => this.#wait('waitUnit', request, { from: keys.queue(request.queue), to: keys.slot(request.worker, request.slot) }),
      slots: (request) => this.#call('slots', request, () => workers.slots(store, request)),
      shared: (request) => this.#call('shared', request, () => lists.first(keys.shared(request.run, request.name))),
      leave: (request) => this.#call('leave', request, () => workers.leave(store, request)),
      reap: (request) => this.#call('reap', request, () => workers.reap(store, request)),
      workers: () => this.#call('workers', undefined, () => workers.workers(store)),
      pending: (queue) => this.#call('pending', queue, () => lists.length(keys.queue(queue))),
      close: () => this.#close(),
    };
  }

  #remember(run: string, parts: readonly { readonly name: string }[]): void {
    const names = this.#shared.get(run) ?? new Set();
    for (const { name } of parts) names.add(name);
    this.#shared.set(run, names);
  }
}

function closed(): TransportError {
  return new TransportError('transport/unreachable', 'the connection to the simulated server was closed by its owner', { details: { retryable: false } });
}
