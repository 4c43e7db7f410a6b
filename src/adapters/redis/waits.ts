/**
 * Moves that wait for an element, each on a connection of its own.
 *
 * Owns: which connections wait, and what happens when there would be too many. Does not own: connections (client.ts).
 */
import type { Connection, RedisClient } from './client.ts';
import { optionalText } from './replies.ts';

/** More waits than this, as with hundreds of runs in one process, look from time to time instead. */
const MOST_CONNECTIONS = 64;
const LOOK_EVERY_MS = 100;

export class Waits {
  readonly #client: RedisClient;
  readonly #idle: Connection[] = [];
  #opened = 0;

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** Moves the first element of a list to the end of another, now or within the time, and says which. `expireMs`: what the other list's time to live is then. */
  async move(from: string, to: string, timeoutMs: number, expireMs?: number): Promise<string | undefined> {
    const connection = this.#idle.pop() ?? this.#open();
    if (connection === undefined) return this.#look(from, to, timeoutMs, expireMs);
    try {
      const waitsMs = Math.max(1, timeoutMs);
      const moved = connection.call('BLMOVE', [from, to, 'LEFT', 'RIGHT', waitsMs / 1000], { waitsMs });
      // Sent with it, so that it is executed even if this process ends in between.
      if (expireMs !== undefined) connection.call('PEXPIRE', [to, expireMs], { waitsMs }).catch(() => undefined);
      return optionalText('BLMOVE', await moved);
    } finally {
      this.#idle.push(connection);
    }
  }

  #open(): Connection | undefined {
    if (this.#opened === MOST_CONNECTIONS) return undefined;
    this.#opened += 1;
    return this.#client.connection('waits');
  }

  async #look(from: string, to: string, timeoutMs: number, expireMs: number | undefined): Promise<string | undefined> {
    const until = performance.now() + timeoutMs;
    for (;;) {
      const found = optionalText('LMOVE', await this.#client.commands.call('LMOVE', [from, to, 'LEFT', 'RIGHT']));
      if (found !== undefined && expireMs !== undefined) await this.#client.commands.call('PEXPIRE', [to, expireMs]);
      const leftMs = until - performance.now();
      if (found !== undefined || leftMs <= 0) return found;
      await new Promise((resolve) => setTimeout(resolve, Math.min(LOOK_EVERY_MS, leftMs)));
    }
  }
}
