/**
 * Time that moves only when a test says so. Turns of the event loop stay real, so tasks run as they always do.
 *
 * Owns: virtual time. Invariants
 * 1. Timers fire in the order of their times, and never early.
 * 2. Background timers (a look into a store's mailbox, twice a second) fire once at the end of an `advance`: a virtual
 *    week must not cost a million of them.
 */
import type { Clock } from '../ports.ts';

interface Timer {
  readonly id: number;
  readonly dueAt: number;
  readonly fire: () => void;
  readonly background: boolean;
}

export class VirtualClock implements Clock {
  #now: number;
  #nextId = 0;
  #soon = 0;
  readonly #timers = new Map<number, Timer>();

  /** `startAt`: milliseconds since the epoch. */
  constructor(startAt = 0) {
    this.#now = startAt;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, fire: () => void, background = false): () => void {
    const id = this.#nextId++;
    this.#timers.set(id, { id, dueAt: this.#now + Math.max(0, delayMs), fire, background });
    return () => this.#timers.delete(id);
  }

  soon(run: () => void): () => void {
    this.#soon += 1;
    let open = true;
    const close = (): boolean => {
      const wasOpen = open;
      if (open) this.#soon -= 1;
      open = false;
      return wasOpen;
    };
    const timer = setTimeout(() => {
      if (close()) run();
    }, 0);
    return () => {
      if (close()) clearTimeout(timer);
    };
  }

  /** When the next timer is due, if there is one. */
  get nextDueAt(): number | undefined {
    return this.#earliest()?.dueAt;
  }

  /** Lets everything that needs no time happen, then moves on, timer by timer, until `ms` have passed. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await this.settle();
      const timer = this.#earliest();
      if (timer === undefined || timer.dueAt > until) break;
      this.#timers.delete(timer.id);
      this.#now = Math.max(this.#now, timer.dueAt);
      timer.fire();
    }
    this.#now = until;
    for (const timer of [...this.#timers.values()]) {
      if (!timer.background || timer.dueAt > until || !this.#timers.delete(timer.id)) continue;
      timer.fire();
    }
    await this.settle();
  }

  /** Lets everything that needs no time happen: a few turns, and as many more as somebody has asked for. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet += 1) {
      await new Promise<void>((resolve) => void setTimeout(resolve, 0));
      if (this.#soon > 0) quiet = -1;
    }
  }

  #earliest(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers.values()) if (!timer.background && (first === undefined || timer.dueAt < first.dueAt)) first = timer;
    return first;
  }
}
