/** A real server under the contract suite: a namespace of its own for each case. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { keysOf } from '../../../src/adapters/redis/keys.ts';
import { redisSettings } from '../../../src/adapters/redis/settings.ts';
import { connectTransport } from '../../../src/adapters/redis/transport.ts';
import type { TransportOptions } from '../../../src/adapters/redis/transport.ts';
import type { Transport } from '../../../src/ports.ts';
import type { ListsUnderTest, MakeLists } from './subject.ts';

/** `where`: other settings than the URL. */
export function realLists(at: () => { readonly url: string; readonly namespace: string; readonly raw: Redis }, where?: () => Readonly<Record<string, unknown>>, options: TransportOptions = {}): MakeLists {
  let cases = 0;
  return async (): Promise<ListsUnderTest> => {
    const { url, raw } = at();
    const namespace = `${at().namespace}-${(cases += 1)}`;
    const settings = redisSettings({ ...(where?.() ?? { url }), namespace }, 'test');
    const keys = keysOf(settings.namespace, settings.prefix);
    const transports: Transport[] = [];
    const names = async (): Promise<readonly string[]> => raw.keys(`*{${namespace}}:*`);
    return {
      keys,
      connect() {
        const transport = connectTransport(settings, options);
        transports.push(transport);
        return transport;
      },
      list: (key) => raw.lrange(key, 0, -1),
      async all() {
        const found = await names();
        return new Map(await Promise.all(found.map(async (key) => [key, await raw.lrange(key, 0, -1)] as const)));
      },
      async put(key, texts) {
        const change = raw.multi().del(key);
        if (texts.length > 0) change.rpush(key, ...texts);
        await change.exec();
      },
      async timeLeft(key) {
        const left = await raw.pttl(key);
        return left < 0 ? undefined : left;
      },
      pass: (ms) => pause(ms),
      async dispose() {
        await Promise.all(transports.map(({ lists }) => lists.close()));
        const found = await names();
        if (found.length > 0) await raw.unlink(...found);
      },
    };
  };
}
