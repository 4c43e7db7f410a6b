/** The registry of workers, read together with their leases. */
import { TransportError } from '../../core/errors.ts';
import type { RedisClient } from './client.ts';
import type { Keys } from './keys.ts';
import { parseEntries } from './registry.ts';
import type { Entry } from './registry.ts';
import { badReply, countsOf, statusOf, textsOf } from './replies.ts';
import { registry } from './scripts/workers.ts';

export interface RegistryState {
  /** The elements of the list as they are. */
  readonly texts: readonly string[];
  readonly entries: readonly { readonly entry: Entry; readonly alive: boolean }[];
}

export class RegistryView {
  readonly #client: RedisClient;
  readonly #keys: Keys;
  /** What was there the last time: leases can only be asked for by the names of workers. */
  #last: readonly string[] = [];

  constructor(client: RedisClient, keys: Keys) {
    this.#client = client;
    this.#keys = keys;
  }

  /** One call as long as nobody comes or goes. */
  async read(): Promise<RegistryState> {
    for (let tries = 0; tries < 50; tries += 1) {
      const texts = this.#last;
      const entries = parseEntries(texts);
      const keys = [this.#keys.workers, ...entries.map(({ worker }) => this.#keys.lease(worker))];
      const [status, found] = statusOf('registry', await this.#client.commands.run(registry, keys, texts));
      if (status === 'changed') {
        this.#last = textsOf('registry', found);
        continue;
      }
      const flags = countsOf('registry', found);
      if (status !== 'ok' || flags.length !== entries.length) throw badReply('registry', status);
      return { texts, entries: entries.map((entry, at) => ({ entry, alive: flags[at] === 1 })) };
    }
    throw new TransportError('transport/failed', 'workers come and go so fast that their registry cannot be read', { details: { retryable: true }, hint: 'it is tried again; look at why workers restart' });
  }
}
