/** Hints over Redis pub/sub: one subscription for all listeners of a client, for as long as there are any. */
import type { Signals } from '../../ports.ts';
import type { RedisClient } from './client.ts';
import { subscribe } from './subscriber.ts';

export class RedisSignals implements Signals {
  readonly #client: RedisClient;
  readonly #channel: string;
  readonly #listeners = new Set<{ readonly heard: (text: string) => void }>();
  #stop: (() => void) | undefined;

  constructor(client: RedisClient, channel: string) {
    this.#client = client;
    this.#channel = channel;
  }

  subscribe(heard: (text: string) => void): () => void {
    const listener = { heard };
    this.#listeners.add(listener);
    this.#stop ??= subscribe(this.#client, this.#channel, (text) => {
      for (const each of this.#listeners) each.heard(text);
    });
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.close();
    };
  }

  publish(text: string): void {
    this.#client.commands.call('PUBLISH', [this.#channel, text]).catch(() => undefined);
  }

  close(): void {
    this.#listeners.clear();
    this.#stop?.();
    this.#stop = undefined;
  }
}
