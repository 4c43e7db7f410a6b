/**
 * Messages that other processes leave in a run's store: signals and cancels, taken in by whoever owns the run.
 *
 * Owns: looking for them, taking each once and in order. Does not own: what they mean (run.ts).
 *
 * Invariant: a store may forget what it is asked to look behind, so it is asked to look behind what is durable in the
 * run, and not behind what was taken in last.
 */
import type { CheckpointStore, Clock } from '../ports.ts';

export type Message =
  | { readonly kind: 'signal'; readonly name: string; readonly value?: unknown }
  | { readonly kind: 'cancel'; readonly reason?: string };

/** How often an owner looks; a look at an empty mailbox is one call of the store. */
const LOOK_EVERY_MS = 500;

/** Leaves a message; whoever owns the run takes it in, now or when it is resumed. */
export async function postMessage(store: CheckpointStore, runId: string, message: Message): Promise<number> {
  return store.post(runId, JSON.stringify(message));
}

/** Looks for messages until it is stopped. `take` gets each message once, in order; an unreadable one is undefined. */
export class Mailbox {
  readonly #store: CheckpointStore;
  readonly #runId: string;
  readonly #clock: Clock;
  readonly #durable: () => number;
  readonly #take: (message: Message | undefined, number: number) => void;
  #seen: number;
  #stop: (() => void) | undefined;
  #closed = false;

  /** `seen`: the newest message that the run has taken in; `durable`: the newest whose taking in is stored. */
  constructor(store: CheckpointStore, runId: string, clock: Clock, seen: number, durable: () => number, take: (message: Message | undefined, number: number) => void) {
    this.#store = store;
    this.#runId = runId;
    this.#clock = clock;
    this.#seen = seen;
    this.#durable = durable;
    this.#take = take;
  }

  /** Takes in what is there, and goes on looking. A store that cannot be read is tried again: its writes will say more. */
  async look(): Promise<void> {
    try {
      for (const { number, text } of await this.#store.posts(this.#runId, this.#durable())) {
        if (this.#closed) return;
        if (number <= this.#seen) continue;
        this.#seen = number;
        this.#take(parse(text), number);
      }
    } catch {
      // The next look is soon enough.
    }
    if (!this.#closed) this.#stop = this.#clock.after(LOOK_EVERY_MS, () => void this.look(), true);
  }

  close(): void {
    this.#closed = true;
    this.#stop?.();
  }
}

function parse(text: string): Message | undefined {
  try {
    const value = JSON.parse(text) as Message;
    if (value.kind === 'signal' && typeof value.name === 'string') return value;
    return value.kind === 'cancel' ? value : undefined;
  } catch {
    return undefined;
  }
}
