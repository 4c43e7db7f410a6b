/**
 * A simulated process: its turns and timers, and its ways to the server and the store. It can be killed and stopped.
 *
 * Owns: what passes between the process and the world, and the points at which something happens to it. Does not own: what
 * runs in it, the server.
 *
 * Invariants
 * 1. Nothing leaves a process that is dead, and nothing reaches it.
 * 2. What a stopped process wants leaves when it goes on; what comes for it waits.
 * 3. Every answer from outside is a turn of its own.
 */
import type { SimulatedClient, SimulatedServer } from '../../src/adapters/simulated/lists.ts';
import type { Clock, TaskLists, Transport } from '../../src/ports.ts';
import type { Kernel, Lane } from './kernel.ts';

export type Role = 'coordinator' | 'worker';

/** What a process needs of the world. */
export interface ProcessHost {
  readonly kernel: Kernel;
  readonly server: SimulatedServer;
  /** Something happens at a point that a process has reached; `process` is dead or stopped after it, or as before. */
  reached(process: Process, point: string): void;
}

export class Process {
  readonly name: string;
  readonly role: Role;
  readonly lane: Lane;
  readonly clients: SimulatedClient[] = [];
  isDead = false;
  readonly #host: ProcessHost;
  #waiting: (() => void)[] = [];

  constructor(host: ProcessHost, role: Role, name: string, skewMs: number) {
    this.#host = host;
    this.role = role;
    this.name = name;
    this.lane = host.kernel.lane(name, skewMs);
  }

  get isPaused(): boolean {
    return this.lane.paused;
  }

  get isLive(): boolean {
    return !this.isDead && !this.lane.paused;
  }

  get clock(): Clock {
    return this.lane;
  }

  /** A turn of it. */
  post(run: () => void): void {
    if (!this.isDead) this.lane.soon(run);
  }

  kill(): void {
    if (this.isDead) return;
    this.isDead = true;
    this.#waiting = [];
    this.#host.kernel.forget(this.lane);
  }

  pause(): void {
    this.lane.paused = true;
  }

  goOn(): void {
    if (!this.lane.paused || this.isDead) return;
    this.lane.paused = false;
    for (const send of this.#waiting.splice(0)) this.lane.soon(send);
  }

  /** Something that the world outside does for it: asked now, answered in a later turn. */
  call<T>(label: string, perform: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#send(() => {
        perform().then(
          (value) => this.#answer(label, () => resolve(value)),
          (error: unknown) => this.#answer(label, () => reject(error as Error)),
        );
      }, label);
    });
  }

  #send(perform: () => void, label: string): void {
    if (this.isDead) return;
    if (!this.isPaused) this.#host.reached(this, `${this.role} before ${label}`);
    if (this.isDead) return;
    if (this.isPaused) this.#waiting.push(() => !this.isDead && perform());
    else perform();
  }

  #answer(label: string, settle: () => void): void {
    if (this.isDead) return;
    if (!this.isPaused) this.#host.reached(this, `${this.role} after ${label}`);
    this.post(settle);
  }

  /** A connection of its own. */
  connect(): Transport {
    const { server } = this.#host;
    const client = server.connect(`${this.name}/${this.clients.length}`);
    this.clients.push(client);
    const lists: Partial<Record<keyof TaskLists, unknown>> = {};
    for (const name of listNames) {
      const operation = client.lists[name] as (request: unknown) => Promise<unknown>;
      lists[name] = (request: unknown) => this.call(labelOf(name, request), () => operation(request));
    }
    lists.close = () => client.lists.close();
    return {
      key: client.key,
      lists: lists as TaskLists,
      signals: {
        subscribe: (heard) => client.signals.subscribe((text) => this.post(() => heard(text))),
        publish: (text) => {
          if (this.isLive) client.signals.publish(text);
        },
      },
    };
  }
}

const listNames = ['acquire', 'push', 'take', 'held', 'trim', 'audit', 'cancel', 'release', 'waitResult', 'register', 'step', 'waitUnit', 'slots', 'shared', 'leave', 'reap', 'workers', 'pending'] as const satisfies readonly (keyof TaskLists)[];

/** The name of a call, as points know it. */
export function labelOf(name: keyof TaskLists, request: unknown): string {
  if (name !== 'step') return name;
  const { acks, claims } = request as Parameters<TaskLists['step']>[0];
  return acks.length > 0 ? 'ack' : claims.length > 0 ? 'claim' : 'beat';
}
