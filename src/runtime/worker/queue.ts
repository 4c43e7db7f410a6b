/** The two kinds of queues of units. What coordinators and workers share is a RedisTaskQueue; the other one stays in the process. */
import { checkId } from '../../core/ids.ts';
import type { TaskQueue, Transport } from '../../ports.ts';

/** A list of units in Redis, and the way to it. */
export class RedisTaskQueue implements TaskQueue {
  readonly kind = 'redis';
  readonly name: string;
  readonly transport: Transport;

  constructor(name: string, transport: Transport) {
    this.name = checkId('queue', name);
    this.transport = transport;
  }

  length(): Promise<number> {
    return this.transport.lists.pending(this.name);
  }

  close(): Promise<void> {
    return this.transport.lists.close();
  }
}

/** Units in this process's memory, first in, first out: for tests and tools. No worker takes from it. */
export class MemoryTaskQueue implements TaskQueue {
  readonly kind = 'memory';
  readonly name: string;
  #units: string[] = [];

  constructor(name: string) {
    this.name = checkId('queue', name);
  }

  /** Appends units, as texts. */
  push(...units: readonly string[]): void {
    for (const unit of units) this.#units.push(unit);
  }

  /** Takes up to `most` of the oldest. */
  take(most = 1): readonly string[] {
    return this.#units.splice(0, most);
  }

  length(): Promise<number> {
    return Promise.resolve(this.#units.length);
  }

  close(): Promise<void> {
    this.#units = [];
    return Promise.resolve();
  }
}
