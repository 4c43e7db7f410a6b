/** Connections against real servers: the ways to name one, what can go wrong, what becomes of calls and of connections. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { inspect, promisify } from 'node:util';
import { Cluster, Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ClientLimits, RedisClient, Script } from '../../src/adapters/redis/client.ts';
import { redisSettings } from '../../src/adapters/redis/settings.ts';
import { subscribe } from '../../src/adapters/redis/subscriber.ts';
import { isTaskchartError, type TransportError } from '../../src/core/errors.ts';
import type { RedisConfig } from '../../src/core/redis-config.ts';
import { startServer, type TestServer } from './server.ts';

const opened: RedisClient[] = [];
const servers: TestServer[] = [];
const listeners: Server[] = [];
const said: string[] = [];

/** Everything that any way of printing says meanwhile. */
function overhear(): void {
  for (const name of ['log', 'info', 'warn', 'error', 'debug'] as const) vi.spyOn(console, name).mockImplementation((...args: unknown[]) => void said.push(inspect(args, { depth: 9 })));
}

function clientOf(config: RedisConfig, limits?: Partial<ClientLimits>): RedisClient {
  const client = new RedisClient(redisSettings(config, 'redis'), limits);
  opened.push(client);
  return client;
}

async function serverOf(...options: Parameters<typeof startServer>): Promise<TestServer> {
  const server = await startServer(...options);
  servers.push(server);
  return server;
}

/** A server that is none of Redis. */
async function listener(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer(onConnection);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  listeners.push(server);
  return (server.address() as { port: number }).port;
}

async function failure(promise: Promise<unknown>): Promise<TransportError> {
  const outcome: unknown = await promise.then((value) => new Error(`it succeeded: ${String(value)}`), (thrown: unknown) => thrown);
  if (isTaskchartError(outcome) && outcome.name === 'TransportError') return outcome as TransportError;
  throw outcome;
}

/** What it has acknowledged survives its end; with everysec the last second may not. */
const synced = { appendonly: true, config: { appendfsync: 'always' } };

const get = (client: RedisClient, key = 'x'): Promise<unknown> => client.commands.call('LRANGE', [key, 0, -1]);
const push = new Script("return redis.call('RPUSH', KEYS[1], ARGV[1])");

beforeEach(overhear);
afterEach(() => {
  vi.restoreAllMocks();
  for (const client of opened.splice(0)) client.close();
  expect(said.splice(0), 'nothing is printed').toEqual([]);
});
afterAll(async () => {
  for (const server of servers) await server.dispose();
  for (const server of listeners) server.close();
});

describe('45. the ways to name a server', () => {
  const secret = 'p@ss:w/rd?x#1 %"\'\\é';
  let locked: TestServer;
  beforeAll(async () => {
    locked = await serverOf({
      tls: true,
      requirepass: secret,
      users: ['alice on >wonderland ~{taskchart}* &{taskchart}* -@all +@list +@scripting +@pubsub +@connection', 'guest on nopass ~* +ping'],
    });
  });

  it('redis://, rediss:// and discrete settings, with a password of special characters, raw and encoded', async () => {
    const { host, port, tlsPort, ca } = locked;
    const tls = { ca: ca ?? '' };
    const raw = secret.replace('%', '');
    await locked.client().call('ACL', 'SETUSER', 'bob', 'on', `>${raw}`, '~*', '+@all');
    const configs: RedisConfig[] = [
      { url: `redis://:${encodeURIComponent(secret)}@${host}:${port}` },
      { url: `redis://default:${encodeURIComponent(secret)}@${host}:${port}/0` },
      { url: `redis://bob:${raw}@${host}:${port}` },
      { host, port, password: secret },
      { host, port, username: 'default', password: secret },
      { url: `redis://${host}:${port}`, password: secret },
      { url: `rediss://:${encodeURIComponent(secret)}@${host}:${tlsPort}`, tls },
      { host: 'localhost', port: tlsPort ?? 0, password: secret, tls },
      { host, port: tlsPort ?? 0, password: secret, tls: { rejectUnauthorized: false } },
      { url: `redis://guest@${host}:${port}` },
    ];
    for (const config of configs) expect(await clientOf(config).commands.call('PING', []), inspect(config)).toBe('PONG');
  });

  it('a database of its own; one that is not there is an error, not another one', async () => {
    const { host, port } = locked;
    await clientOf({ host, port, password: secret, db: 2 }).commands.call('RPUSH', ['in-2', 'a']);
    expect(await get(clientOf({ url: `redis://:${encodeURIComponent(secret)}@${host}:${port}/2` }), 'in-2')).toEqual(['a']);
    expect(await get(clientOf({ host, port, password: secret }), 'in-2')).toEqual([]);
    const error = await failure(get(clientOf({ host, port, password: secret, db: 99 })));
    expect(error.message).toMatch(/has no database of that number/);
    expect(error.retryable).toBe(false);
  });

  it('an ACL user may do what it may, and hears what it may not', async () => {
    const client = clientOf({ host: locked.host, port: locked.port, username: 'alice', password: 'wonderland' });
    expect(await client.commands.run(push, ['{taskchart}:q'], ['a'])).toBe(1);
    for (const call of [client.commands.call('FLUSHALL', []), get(client, 'other'), client.commands.run(push, ['other'], ['a']), client.commands.call('PUBLISH', ['other', 'a'])]) {
      const error = await failure(call);
      expect([error.code, error.retryable]).toEqual(['transport/forbidden', false]);
      expect(error.hint).toContain('docs/operations.md');
      expect(error.message).not.toContain('alice');
    }
    expect((await failure(client.commands.call('FLUSHALL', []))).message).toMatch(/flushall/);
    expect(await get(client, '{taskchart}:q')).toEqual(['a']);
  });

  const wrong: [string, (server: TestServer) => RedisConfig, string, boolean, RegExp][] = [
    ['a wrong password', ({ host, port }) => ({ host, port, password: 'hunter2' }), 'transport/auth', false, /refused the user name or the password/],
    ['a wrong password in a URL', ({ host, port }) => ({ url: `redis://:hunter2@${host}:${port}` }), 'transport/auth', false, /refused the user name or the password/],
    ['a wrong user', ({ host, port }) => ({ host, port, username: 'hunter2', password: 'hunter2' }), 'transport/auth', false, /refused the user name or the password/],
    ['54. no password (NOAUTH)', ({ host, port }) => ({ host, port }), 'transport/auth', false, /wants a password/],
    ['a wrong port', ({ host }) => ({ url: `redis://u:hunter2@${host}:1` }), 'transport/unreachable', true, /nobody listens there/],
    ['an unknown host', () => ({ url: 'redis://u:hunter2@no-such-host.invalid' }), 'transport/unreachable', true, /name of the host/],
    ['a certificate that is not trusted', ({ tlsPort }) => ({ host: 'localhost', port: tlsPort ?? 0, password: 'hunter2', tls: true }), 'transport/unreachable', false, /certificate is not trusted/],
    ['a certificate of another name', ({ host, tlsPort, ca }) => ({ host, port: tlsPort ?? 0, password: 'hunter2', tls: { ca: ca ?? '', servername: 'elsewhere.example' } }), 'transport/unreachable', false, /certificate is for another name/],
    ['TLS where there is none', ({ host, port }) => ({ url: `rediss://u:hunter2@${host}:${port}` }), 'transport/timeout', true, /did not greet a new connection/],
  ];
  it.each(wrong)('%s fails with the reason, and shows no secret', async (_, config, code, retryable, words) => {
    const client = clientOf(config(locked), { connectMs: 500 });
    const error = await failure(get(client));
    expect([error.code, error.retryable]).toEqual([code, retryable]);
    expect(error.message).toMatch(words);
    expect(error.message).toMatch(/^Redis at [\w.-]+:\d+ /);
    expect(error.hint).toMatch(/\w+ .*\./);
    const pictures = [inspect(error, { depth: 20, showHidden: true }), JSON.stringify(error), inspect(client, { depth: 20, showHidden: true }), JSON.stringify(client)];
    // The stack names files of this machine.
    expect(pictures.join('\n').replace(/^ +at .*$/gm, '')).not.toMatch(/hunter2|rediss?:\/\/\w/);
    expect(await failure(get(client))).toMatchObject({ code });
  });

  it('what is no Redis at all', async () => {
    const web = await listener((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const error = await failure(get(clientOf({ host: '127.0.0.1', port: web, password: 'hunter2' })));
    expect(error.message).toMatch(/does not speak the protocol/);
    expect(error.retryable).toBe(false);
    const agreed = await failure(get(clientOf({ url: `rediss://u:hunter2@127.0.0.1:${web}` })));
    expect(agreed.message).toMatch(/TLS could not be agreed on/);
    expect(agreed.retryable).toBe(false);
    const mute = await listener(() => undefined);
    expect(await failure(get(clientOf({ host: '127.0.0.1', port: mute }, { connectMs: 100 })))).toMatchObject({ code: 'transport/timeout', retryable: true });
    const tlsOnly = await failure(get(clientOf({ host: '127.0.0.1', port: mute, tls: true }, { connectMs: 100 })));
    expect(tlsOnly.hint).toContain('TLS');
    const rude = await listener((socket) => socket.destroy());
    expect(await failure(get(clientOf({ host: '127.0.0.1', port: rude })))).toMatchObject({ code: 'transport/unreachable', retryable: true });
  });

  it('a client of the user’s own is duplicated, and left as it was', async () => {
    const own = new Redis({ host: locked.host, port: locked.port, password: secret, keyPrefix: 'app:', lazyConnect: true, commandTimeout: 1, stringNumbers: true, maxRetriesPerRequest: null });
    const client = clientOf({ client: own });
    expect(client.settings.prefix).toBe('app:');
    expect(await client.commands.run(push, ['as-it-is'], ['a'])).toBe(1);
    expect(await locked.client().lrange('as-it-is', 0, -1)).toEqual(['a']);
    expect(await client.connection('b').call('BLMOVE', ['none', 'none', 'LEFT', 'RIGHT', 0.05], { waitsMs: 50 })).toBe(null);
    expect(own.status).toBe('wait');
    const error = await failure(clientOf({ client: new Redis({ host: locked.host, port: locked.port, password: 'hunter2', lazyConnect: true }) }).commands.call('PING', []));
    expect(error.message).toMatch(new RegExp(`^Redis at 127.0.0.1:${locked.port} refused`));
    expect(inspect(error, { depth: 9 })).not.toContain('hunter2');
  });
});

describe('54. what a server answers', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await serverOf({ appendonly: true, config: { 'loading-process-events-interval-bytes': '1024', 'key-load-delay': '300' } });
  });

  it('WRONGTYPE, also inside a script', async () => {
    await server.client().set('text', 'x');
    const client = clientOf({ url: server.url });
    for (const call of [client.commands.call('LPUSH', ['text', 'a']), client.commands.run(push, ['text'], ['a'])]) {
      const error = await failure(call);
      expect([error.code, error.retryable]).toEqual(['transport/wrong-type', false]);
      expect(error.hint).toContain('another namespace');
    }
  });

  it('NOAUTH on a connection that had been let in', async () => {
    const client = clientOf({ url: server.url });
    await get(client);
    const admin = server.client();
    await admin.config('SET', 'requirepass', 'later');
    await admin.call('AUTH', 'later');
    await client.commands.call('RESET', []);
    expect(await failure(get(client))).toMatchObject({ code: 'transport/auth', retryable: false });
    await admin.config('SET', 'requirepass', '');
    expect(await get(client)).toEqual([]);
  });

  it('READONLY: the connection is given up, so that the next one finds the primary', async () => {
    const client = clientOf({ url: server.url });
    const before = await client.commands.call('CLIENT', ['ID']);
    const admin = server.client();
    await admin.call('REPLICAOF', '127.0.0.1', '1');
    for (const call of [() => client.commands.call('RPUSH', ['x', 'a']), () => client.commands.run(push, ['x'], ['a'])]) {
      const error = await failure(call());
      expect([error.code, error.retryable]).toEqual(['transport/read-only', true]);
      expect(error.hint).toContain('primary');
    }
    await admin.call('REPLICAOF', 'NO', 'ONE');
    expect(await client.commands.run(push, ['y'], ['a'])).toBe(1);
    expect(await client.commands.call('CLIENT', ['ID'])).not.toBe(before);
  });

  it('OOM: can be tried again when there is memory', async () => {
    const client = clientOf({ url: server.url });
    const admin = server.client();
    await admin.config('SET', 'maxmemory', '1mb');
    for (const call of [client.commands.call('RPUSH', ['x', 'a']), client.commands.run(push, ['x'], ['a'])]) {
      const error = await failure(call);
      expect([error.code, error.retryable]).toEqual(['transport/out-of-memory', true]);
      expect(error.hint).toContain('noeviction');
    }
    await admin.config('SET', 'maxmemory', '0');
    expect(await client.commands.run(push, ['z'], ['a'])).toBe(1);
  });

  it('LOADING: can be tried again', async () => {
    const admin = server.client();
    await admin.eval("for i = 1, 3000 do redis.call('RPUSH', 'many' .. i, 'x') end", 0);
    const loading = admin.call('DEBUG', 'LOADAOF');
    const client = clientOf({ url: server.url });
    const errors: TransportError[] = [];
    for (let ended = false; !ended && errors.length < 3; ) {
      const outcome = await Promise.race([failure(get(client)).catch(() => undefined), loading.then(() => 'ended')]);
      if (outcome === 'ended') ended = true;
      else if (outcome !== undefined) errors.push(outcome as TransportError);
    }
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect([error.code, error.retryable]).toEqual(['transport/loading', true]);
    await loading;
    expect(await get(client, 'many1')).toEqual(['x']);
  });

  it('an unknown command, a broken script, a server that is full', async () => {
    const client = clientOf({ host: server.host, port: server.port });
    const unknown = await failure(client.commands.call('BLOVE', ['hunter2', 'hunter2']));
    expect([unknown.code, unknown.retryable]).toEqual(['transport/failed', false]);
    expect(unknown.hint).toContain('Redis 6.2');
    const broken = await failure(client.commands.run(new Script("return redis.error_reply('ODD ' .. ARGV[1])"), [], ['x'.repeat(500)]));
    expect(broken.message.length).toBeLessThan(300);
    expect(broken.retryable).toBe(false);
    const admin = server.client();
    await admin.config('SET', 'maxclients', '1');
    expect(await failure(get(clientOf({ url: server.url })))).toMatchObject({ code: 'transport/unreachable', retryable: true });
    await admin.config('SET', 'maxclients', '1000');
  });
});

describe('calls and connections', () => {
  let server: TestServer;
  const limits = { connectMs: 2000, commandMs: 300 };
  beforeAll(async () => {
    server = await serverOf(synced);
  });

  const blmove = (client: RedisClient, from: string, to: string, ms: number): Promise<unknown> => client.connection('blocking').call('BLMOVE', [from, to, 'LEFT', 'RIGHT', ms / 1000], { waitsMs: ms });

  it('a call that waits at the server has that time on top of its deadline', async () => {
    const client = clientOf({ url: server.url }, limits);
    expect(await blmove(client, 'none', 'none', 600)).toBe(null);
    const waiting = blmove(client, 'from', 'to', 20_000);
    await client.commands.call('RPUSH', ['from', 'a']);
    expect(await waiting).toBe('a');
    expect(await get(client, 'to')).toEqual(['a']);
  });

  it('a lost connection rejects what is under way at once, and nothing of it is sent again', async () => {
    const client = clientOf({ url: server.url });
    const waiting = failure(blmove(client, 'lost', 'found', 20_000));
    const admin = server.client();
    // Connections of clients that were closed are kept for a while: it is the one that waits.
    const waiter = async (): Promise<string | undefined> => String(await admin.call('CLIENT', 'LIST')).split('\n').find((line) => line.includes('name=taskchart-blocking') && line.includes('flags=b'));
    const list = (await vi.waitUntil(waiter, { interval: 5, timeout: 15_000 })) ?? '';
    await admin.call('CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(list)?.[1] ?? '0');
    expect(await waiting).toMatchObject({ code: 'transport/unreachable', retryable: true });
    await client.commands.call('RPUSH', ['lost', 'a']);
    await client.commands.call('PING', []);
    expect(await get(client, 'lost')).toEqual(['a']);
    expect(await get(client, 'found')).toEqual([]);
  });

  it('a server that is killed rejects all calls; the next call after its restart finds it, and its data', async () => {
    const client = clientOf({ url: server.url });
    await client.commands.run(push, ['kept'], ['a']);
    const waiting = [blmove(client, 'none', 'none', 20_000), blmove(client, 'none', 'none', 20_000)].map(failure);
    await vi.waitUntil(async () => /blocked_clients:2/.test(await server.client().info('clients')), { interval: 10, timeout: 15_000 });
    await server.kill();
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'transport/unreachable', retryable: true });
    expect(await failure(get(client))).toMatchObject({ code: 'transport/unreachable', retryable: true });
    await server.restart();
    expect(await client.commands.run(push, ['kept'], ['b'])).toBe(2);
  });

  it('39. a server that is silent costs the deadline; its connection is replaced, and a late reply reaches nobody', async () => {
    const client = clientOf({ url: server.url }, limits);
    const before = await client.commands.call('CLIENT', ['ID']);
    server.pause();
    const calls = [get(client), client.commands.run(push, ['late'], ['a']), client.commands.call('PING', [])].map(failure);
    expect((await Promise.all(calls)).map(({ code, retryable }) => [code, retryable])).toEqual(Array(3).fill(['transport/timeout', true]));
    server.resume();
    expect(await client.commands.call('PING', [])).toBe('PONG');
    expect(await client.commands.call('CLIENT', ['ID'])).not.toBe(before);
  });

  it('a connection that is being made when it is closed, and one that was closed', async () => {
    const client = clientOf({ url: server.url });
    const early = failure(client.commands.call('PING', []));
    client.close();
    expect(await early).toMatchObject({ code: 'transport/unreachable', retryable: false });
    expect(await failure(client.commands.call('PING', []))).toMatchObject({ retryable: false });
    const other = clientOf({ url: server.url });
    await other.commands.call('PING', []);
    const waiting = failure(blmove(other, 'none', 'none', 20_000));
    await vi.waitUntil(async () => /blocked_clients:1/.test(await server.client().info('clients')), { interval: 10, timeout: 15_000 });
    other.close();
    expect(await waiting).toMatchObject({ message: expect.stringContaining('closed here') as string });
  });

  it('a script that the server has forgotten is sent again', async () => {
    const client = clientOf({ url: server.url });
    await client.commands.run(push, ['forgotten'], ['a']);
    await server.client().script('FLUSH');
    expect(await client.commands.run(push, ['forgotten'], ['b'])).toBe(2);
    expect(await client.commands.run(push, ['forgotten'], ['c'])).toBe(3);
  });

  it('many calls at once keep their order, and each gets its own reply', async () => {
    const client = clientOf({ url: server.url });
    const replies = await Promise.all(Array.from({ length: 2000 }, (_, at) => client.commands.call('RPUSH', ['order', at])));
    expect(replies).toEqual(Array.from({ length: 2000 }, (_, at) => at + 1));
    expect(await get(client, 'order')).toEqual(Array.from({ length: 2000 }, (_, at) => String(at)));
  });

  it('54. a subscriber hears again after its connection or its server was lost, and nothing after it was stopped', async () => {
    const client = clientOf({ url: server.url });
    const heard: string[] = [];
    const stop = subscribe(client, 'channel', (text) => heard.push(text));
    const publish = async (text: string): Promise<void> => {
      const admin = server.client();
      await vi.waitUntil(async () => ((await admin.publish('channel', text)) > 0), { interval: 20, timeout: 15_000 });
      await vi.waitUntil(() => heard.includes(text), { interval: 5, timeout: 15_000 });
    };
    await publish('first');
    await server.client().call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await publish('second');
    await server.kill();
    await server.restart();
    await publish('third');
    expect(heard).toEqual(['first', 'second', 'third']);
    stop();
    const admin = server.client();
    await vi.waitUntil(async () => ((await admin.publish('channel', 'late')) === 0), { interval: 10, timeout: 15_000 });
    expect(heard).not.toContain('late');
  });

  it('an idle connection does not keep the process alive, a call under way does', async () => {
    const path = fileURLToPath(new URL('fixtures/idle.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', path, server.url], { timeout: 15_000 });
    expect(stdout).toBe('null\n');
  });
});

describe('sentinels and clusters', () => {
  it('a primary that sentinels know; after a failover the new one is found', async () => {
    const [first, second] = [await serverOf({ config: { 'repl-diskless-sync-delay': '0' } }), await serverOf()];
    await second.client().call('REPLICAOF', '127.0.0.1', String(first.port));
    await vi.waitUntil(async () => (await second.client().info('replication')).includes('master_link_status:up'), { interval: 50, timeout: 15_000 });
    const sentinel = await serverOf({ sentinelOf: first.port });
    const config = { sentinels: [{ host: '127.0.0.1', port: 1 }, { host: '127.0.0.1', port: sentinel.port }], name: 'taskchart-primary' };
    const client = clientOf(config);
    expect(await client.commands.run(push, ['x'], ['a'])).toBe(1);
    expect(await client.commands.call('WAIT', [1, 4000])).toBe(1);
    const lost = await failure(get(clientOf({ ...config, name: 'other' })));
    expect(lost.message).toMatch(/no sentinel knows a primary of that name/);
    expect((await failure(get(clientOf({ sentinels: [{ host: '127.0.0.1', port: 1 }], name: 'taskchart-primary' })))).message).toMatch(/no sentinel answers/);
    const admin = sentinel.client();
    await admin.call('SENTINEL', 'DEBUG', 'info-period', '100', 'ping-period', '100', 'publish-period', '100');
    await vi.waitUntil(async () => admin.call('SENTINEL', 'FAILOVER', 'taskchart-primary').then(() => true, () => false), { interval: 100, timeout: 15_000 });
    // Calls may fail while it goes on; each opens a new connection where it must.
    await vi.waitUntil(
      async () => {
        const role = await client.commands.run(push, ['x'], ['b']).then(() => client.commands.call('INFO', ['server']), () => '');
        return String(role).includes(`tcp_port:${second.port}`);
      },
      { interval: 100, timeout: 20_000 },
    );
    expect(await get(client)).toContain('a');
  }, 60_000);

  it('a cluster: scripts, waits, hints, its loss and its return', async () => {
    const server = await serverOf({ ...synced, cluster: true });
    const client = clientOf({ cluster: [{ host: '127.0.0.1', port: 1 }, { host: '127.0.0.1', port: server.port }] }, { connectMs: 1000 });
    expect(await client.commands.run(push, ['{ns}:q'], ['a'])).toBe(1);
    expect(await client.connection('b').call('BLMOVE', ['{ns}:q', '{ns}:r', 'LEFT', 'RIGHT', 1], { waitsMs: 1000 })).toBe('a');
    const heard: string[] = [];
    const stop = subscribe(client, '{ns}:ctl', (text) => heard.push(text));
    const publish = async (): Promise<boolean> => {
      await client.commands.call('PUBLISH', ['{ns}:ctl', 'hint']);
      return heard.includes('hint');
    };
    await vi.waitUntil(publish, { interval: 20, timeout: 15_000 });
    stop();
    const crossed = await failure(client.commands.run(new Script("return redis.call('LLEN', KEYS[2])"), ['a', 'b'], []));
    expect(crossed.retryable).toBe(false);
    await server.kill();
    expect(await failure(get(client, '{ns}:r'))).toMatchObject({ code: 'transport/unreachable', retryable: true });
    expect(await failure(get(client, '{ns}:r'))).toMatchObject({ retryable: true });
    await server.restart();
    expect(await failure(get(client, '{ns}:r'))).toMatchObject({ retryable: true, message: expect.stringContaining('cluster that is down') as string });
    await vi.waitUntil(async () => get(client, '{ns}:r').then((items) => JSON.stringify(items) === '["a"]', () => false), { interval: 100, timeout: 15_000 });
    const own = new Cluster([{ host: '127.0.0.1', port: server.port }], { lazyConnect: true });
    expect(await get(clientOf({ client: own }), '{ns}:r')).toEqual(['a']);
    expect(own.status).toBe('wait');
  }, 60_000);
});
