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
  readonly #congestion: () => Promise<void> | undefined;
  #startedAt: number;
  #looks = 0;
  #turn: Promise<void> | undefined;

  /** `congestion` is a promise while nobody should start anything: it resolves when they may again. */
  constructor(clock: Clock, congestion: () => Promise<void> | undefined) {
    this.#clock = clock;
    this.#congestion = congestion;
    this.#startedAt = clock.now();
  }

  spent(): boolean {
    if (this.#turn !== undefined) return true;
    this.#looks = (this.#looks + 1) % LOOK_EVERY;
    return this.#looks === 0 && (this.#clock.now() - this.#startedAt >= SLICE_MS || this.#congestion() !== undefined);
  }

  /** Resolves in the next turn, with a new slice; all who wait share it. */
  next(): Promise<void> {
    this.#turn ??= this.#rest();
    return this.#turn;
  }

  async #rest(): Promise<void> {
    await new Promise<void>((resolve) => void this.#clock.soon(resolve));
    await this.#congestion();
    this.#turn = undefined;
    this.#startedAt = this.#clock.now();
  }
}
