/** What a Redis server says of itself, as far as it may be asked. */
import type { Connection } from './client.ts';
import { Script } from './client.ts';
import type { Keys } from './keys.ts';

export interface ServerFacts {
  readonly name: 'Redis' | 'Valkey';
  readonly version: string;
  readonly mode: string;
  readonly role: string;
  readonly memory: { readonly usedBytes: number; readonly mostBytes: number; readonly policy: string };
  readonly evicted: number;
  readonly persistence: { readonly appendOnly: boolean; /** Unknown where the settings may not be read. */ readonly sync: string | undefined; readonly writesOk: boolean; readonly snapshots: string | undefined };
  readonly clients: { readonly connected: number; readonly most: number | undefined };
}

type Fields = ReadonlyMap<string, string>;

/** Rejects where INFO is not allowed. */
export async function serverFacts(connection: Connection): Promise<ServerFacts> {
  const fields = parseInfo(String(await connection.call('INFO', [])));
  const [sync, snapshots] = [await settingOf(connection, 'appendfsync'), await settingOf(connection, 'save')];
  const number = (name: string): number => Number(fields.get(name) ?? 0) || 0;
  const most = number('maxclients');
  return {
    name: fields.has('valkey_version') ? 'Valkey' : 'Redis',
    version: fields.get('valkey_version') ?? fields.get('redis_version') ?? 'unknown',
    mode: fields.get('redis_mode') ?? fields.get('server_mode') ?? 'standalone',
    role: fields.get('role') ?? 'unknown',
    memory: { usedBytes: number('used_memory'), mostBytes: number('maxmemory'), policy: fields.get('maxmemory_policy') ?? 'unknown' },
    evicted: number('evicted_keys'),
    persistence: { appendOnly: fields.get('aof_enabled') === '1', sync, writesOk: writesOk(fields), snapshots },
    clients: { connected: number('connected_clients'), most: most === 0 ? undefined : most },
  };
}

/** How far this machine's clock is ahead of the server's, and how long a call takes. */
export async function clockOf(connection: Connection): Promise<{ readonly skewMs: number; readonly roundTripMs: number }> {
  let best = { skewMs: 0, roundTripMs: Infinity };
  // The first call also connects; of several the fastest says most.
  for (let time = 0; time < 5; time++) {
    const [before, started] = [Date.now(), performance.now()];
    const [seconds, micros] = (await connection.call('TIME', [])) as readonly string[];
    const roundTripMs = performance.now() - started;
    if (roundTripMs < best.roundTripMs) best = { skewMs: Math.round(before + roundTripMs / 2 - (Number(seconds) * 1000 + Number(micros) / 1000)), roundTripMs: Math.round(roundTripMs * 100) / 100 };
  }
  return best;
}

/** Everything that coordinators, workers and stores do, on keys that are gone when it is over. */
const everything = new Script(`
local a, b = KEYS[1], KEYS[2]
redis.call('RPUSH', a, '1', '2', '3', '4', '5', '6')
redis.call('PEXPIRE', a, 60000)
redis.call('PTTL', a)
redis.call('LMOVE', a, b, 'LEFT', 'RIGHT')
redis.call('LPUSH', b, '0')
redis.call('LSET', b, 0, '9')
redis.call('LPOS', b, '9')
redis.call('LREM', b, 0, '9')
redis.call('LINDEX', b, 0)
redis.call('LRANGE', b, 0, -1)
redis.call('LLEN', b)
redis.call('RENAME', a, b)
redis.call('LTRIM', b, 1, -1)
redis.call('LPOP', b, 1)
redis.call('RPOP', b, 1)
redis.call('EXISTS', b)
redis.call('PUBLISH', ARGV[1], 'doctor')
redis.call('UNLINK', a, b)
redis.call('DEL', a, b)
return 1
`);

/** Whether all that is needed works, rights included. Rejects with the reason. */
export async function tryEverything(connection: Connection, listener: Connection, keys: Keys, scratch: string): Promise<void> {
  const [a, b] = [`${scratch}:a`, `${scratch}:b`];
  await connection.run(everything, [a, b], [keys.control]);
  await listener.call('BLMOVE', [a, b, 'LEFT', 'RIGHT', 0.01], { waitsMs: 10 });
  await listener.listen(keys.control, () => undefined, () => undefined);
}

function parseInfo(text: string): Fields {
  return new Map(
    text.split(/\r?\n/).flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return line.startsWith('#') || colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );
}

/** An empty text is a setting; nothing is a right that is missing, as with most services. */
async function settingOf(connection: Connection, name: string): Promise<string | undefined> {
  try {
    const [, value] = (await connection.call('CONFIG', ['GET', name])) as readonly string[];
    return value;
  } catch {
    return undefined;
  }
}

function writesOk(fields: Fields): boolean {
  const statuses = ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status'];
  return statuses.every((name) => (fields.get(name) ?? 'ok') === 'ok');
}
