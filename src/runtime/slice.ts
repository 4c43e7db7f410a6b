/**
 * A time slice of the event loop. Tasks that never wait settle in microtasks, which would keep timers, sockets and
 * signals out for as long as there is work; after a slice everyone yields for a turn.
 */
import type { Clock } from '../ports.ts';

const SLICE_MS = 10;
/** Looking at the clock costs as much as a small task, so it is done for one in so many. */
const LOOK_EVERY = 16;

export class Slice {
  readonly #clock: Clock;
  #startedAt: number;
  #looks = 0;
  #turn: Promise<void> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  spent(): boolean {
    if (this.#turn !== undefined) return true;
    this.#looks = (this.#looks + 1) % LOOK_EVERY;
    return this.#looks === 0 && this.#clock.now() - this.#startedAt >= SLICE_MS;
  }

  /** Resolves in the next turn, with a new slice; all who wait share it. */
  next(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      this.#clock.soon(() => {
        this.#turn = undefined;
        this.#startedAt = this.#clock.now();
        resolve();
      });
    });
    return this.#turn;
  }
}
