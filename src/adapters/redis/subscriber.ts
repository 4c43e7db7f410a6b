/**
 * Hears a channel for as long as it is wanted, over whatever happens to connections. What is published while there is none
 * is missed: these are hints.
 *
 * Owns: when to subscribe again, noticing a connection that has died silently. Does not own: what is heard.
 *
 * Invariant: nothing here keeps the process alive, and nothing here ever throws.
 */
import type { Connection, RedisClient } from './client.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
/** A subscriber hears nothing for long times, so it has to ask whether anybody is there. */
const LOOK_EVERY_MS = 10_000;

/** Returns the way to stop. */
export function subscribe(client: RedisClient, channel: string, heard: (text: string) => void): () => void {
  const subscription = new Subscription(client.connection('subscriber'), channel, heard);
  subscription.start();
  return () => subscription.stop();
}

class Subscription {
  readonly #connection: Connection;
  readonly #channel: string;
  readonly #heard: (text: string) => void;
  #failures = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: Connection, channel: string, heard: (text: string) => void) {
    this.#connection = connection;
    this.#channel = channel;
    this.#heard = heard;
  }

  start(): void {
    this.#connection.listen(this.#channel, (text) => this.#hear(text), () => this.#again()).then(
      () => {
        this.#failures = 0;
        this.#look();
      },
      () => this.#again(),
    );
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#connection.close();
  }

  #hear(text: string): void {
    if (!this.#stopped) this.#heard(text);
  }

  /** A loss is told to both sides of `listen` where it comes early: one timer is enough. */
  #again(): void {
    const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#after(most * (0.5 + Math.random() / 2), () => this.start());
  }

  #look(): void {
    this.#after(LOOK_EVERY_MS, () => {
      // One that does not answer is lost, and then it is told.
      this.#connection.call('PING', []).then(() => this.#look(), () => undefined);
    });
  }

  #after(delayMs: number, run: () => void): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(run, delayMs).unref();
  }
}
