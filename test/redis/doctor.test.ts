/** `taskchart doctor`: what it sees, what it advises, what it leaves alone. */
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { examineRedis, type Examination } from '../../src/adapters/redis/doctor.ts';
import { RedisCheckpointStore } from '../../src/adapters/redis/checkpoint-store.ts';
import { keysOf } from '../../src/adapters/redis/keys.ts';
import { redisSettings } from '../../src/adapters/redis/settings.ts';
import { connectTransport } from '../../src/adapters/redis/transport.ts';
import { encodeUnit } from '../../src/core/messages.ts';
import type { RedisConfig } from '../../src/core/redis-config.ts';
import type { TaskLists } from '../../src/ports.ts';
import { begin } from '../../src/testing/store-cases.ts';
import { Bench } from '../cli/workbench.ts';
import { startServer, type TestServer } from './server.ts';

let server: TestServer;
const others: TestServer[] = [];
beforeAll(async () => {
  server = await startServer({ appendonly: true });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await server.client().flushall();
});
afterAll(async () => {
  for (const one of [server, ...others]) await one.dispose();
});

async function serverOf(...options: Parameters<typeof startServer>): Promise<TestServer> {
  const one = await startServer(...options);
  others.push(one);
  return one;
}

const lines = ({ findings }: Examination): string[] => findings.map(({ level, what, advice }) => `${level}: ${what} ${advice ?? ''}`);

async function withLists<T>(config: RedisConfig, work: (lists: TaskLists) => Promise<T>): Promise<T> {
  const { lists } = connectTransport(redisSettings(config, 'redis'));
  try {
    return await work(lists);
  } finally {
    await lists.close();
  }
}

const unit = (run: string, index: number): string => encodeUnit({ attempt: 1, run, id: `1.${index}.0`, body: { v: 1, group: '1', index, entry: 'secret-entry' } });

/** A run with so many units on a queue. */
async function push(lists: TaskLists, run: string, queue: string, count: number): Promise<void> {
  const acquired = await lists.acquire({ run, nonce: 'n' });
  if (acquired.status !== 'acquired') throw new Error(acquired.status);
  await lists.push({ run, fence: acquired.fence, batch: 1, queue, units: Array.from({ length: count }, (_, index) => unit(run, index)) });
}

/** A worker with two slots that has taken what there is. */
async function work(lists: TaskLists, worker: string, queue: string, leaseMs: number): Promise<void> {
  const identity = { worker, nonce: 'w', queue, slots: 2 };
  await lists.register({ ...identity, leaseMs, deliveries: 3, at: Date.now() });
  await lists.step({ ...identity, leaseMs, acks: [], claims: [0, 1], runs: [] });
}

describe('the server', () => {
  it('one that is as it should be needs nothing', async () => {
    const found = await examineRedis({ url: server.url });
    expect(lines(found)).toEqual([]);
    expect(found.server).toMatchObject({ name: 'Redis', mode: 'standalone', role: 'master', memory: { policy: 'noeviction', mostBytes: 0 }, persistence: { appendOnly: true, sync: 'everysec', writesOk: true } });
    expect(Math.abs(found.clock?.skewMs ?? Infinity)).toBeLessThan(1000);
    expect(found.contents).toMatchObject({ workers: [], queues: [], stranded: [], dead: { count: 0 }, runs: [], stored: 0, namespaces: [], complete: true });
  });

  it('eviction, memory, persistence', async () => {
    const one = await serverOf({ config: { 'maxmemory-policy': 'allkeys-lru' } });
    const admin = one.client();
    await admin.rpush('filling', 'x'.repeat(20_000_000));
    await admin.config('SET', 'maxmemory', String(Math.round(Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1]) * 1.15)));
    const found = lines(await examineRedis({ url: one.url }));
    expect(found[0]).toMatch(/^problem: .*allkeys-lru.* CONFIG SET maxmemory-policy noeviction/);
    expect(found.join('\n')).toMatch(/warning: \d\d % of its memory are used\./);
    expect(found.join('\n')).toMatch(/warning: The server has no append-only file: it keeps nothing when it ends.*CONFIG SET appendonly yes/);
    await admin.config('SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction');
    const store = new RedisCheckpointStore({ url: one.url });
    await (await begin(store, 'r')).close();
    store.close();
    expect(lines(await examineRedis({ url: one.url }))).toEqual([expect.stringMatching(/^problem: .*so it loses the runs that are stored here/) as string]);
    await admin.config('SET', 'appendonly', 'yes', 'appendfsync', 'no');
    expect(lines(await examineRedis({ url: one.url }))).toEqual([expect.stringMatching(/^warning: .*appendfsync no/) as string]);
    await admin.config('SET', 'appendfsync', 'always');
    expect(lines(await examineRedis({ url: one.url }))).toEqual([expect.stringMatching(/^note: .*appendfsync always/) as string]);
  });

  it('a replica, and a server that cannot write', async () => {
    const one = await serverOf({ appendonly: true });
    const admin = one.client();
    await admin.call('REPLICAOF', '127.0.0.1', '1');
    expect(lines(await examineRedis({ url: one.url })).join('\n')).toMatch(/problem: What coordinators and workers do does not work: .*is a replica(.|\n)*problem: The server is a replica/);
    await admin.call('REPLICAOF', 'NO', 'ONE');
    await admin.config('SET', 'maxmemory', '1mb');
    expect(lines(await examineRedis({ url: one.url }))[0]).toMatch(/^problem: .*does not work: .*has no memory left/);
  });

  it('a clock that is wrong', async () => {
    const now = Date.now.bind(Date);
    vi.spyOn(Date, 'now').mockImplementation(() => now() + 7000);
    const found = await examineRedis({ url: server.url });
    expect(found.clock?.skewMs).toBeGreaterThan(6500);
    expect(lines(found)).toEqual([expect.stringMatching(/^warning: The clock of this machine is [67]\.\d s ahead of that of the server\. .*NTP/) as string]);
  });

  it('users with few rights: what may not be seen is said, what does not work is a problem', async () => {
    const enough = '~{taskchart}:* &{taskchart}:* -@all +@list +@scripting +@pubsub +@connection +pexpire +pttl +exists +del +unlink +rename';
    const one = await serverOf({ appendonly: true, users: [`worker on >secret-w ${enough}`, `looker on >secret-l ${enough} +scan +object +time`, 'blind on >secret-b ~* &* +@all -blmove', 'narrow on >secret-n ~other &* +@all'] });
    const as = async (username: string, password: string): Promise<string[]> => lines(await examineRedis({ host: one.host, port: one.port, username, password }));
    const seen = await as('worker', 'secret-w');
    expect(seen.filter((line) => line.startsWith('problem'))).toEqual([]);
    expect(seen.join('\n')).toMatch(/note: the state of the server \(INFO\) could not be examined: .*'info' command(.|\n)*note: its clock(.|\n)*note: the namespace taskchart could not be examined/);
    expect((await as('looker', 'secret-l')).join('\n')).not.toMatch(/clock|namespace/);
    expect((await as('blind', 'secret-b'))[0]).toMatch(/^problem: What coordinators and workers do does not work: .*blmove.*docs\/operations\.md/);
    expect((await as('narrow', 'secret-n'))[0]).toMatch(/^problem: .*does not work/);
    expect(inspect(await as('narrow', 'secret-n'))).not.toMatch(/narrow has/);
  });

  it('a server that is not there, or does not know us, is an error', async () => {
    const one = await serverOf({ requirepass: 'right' });
    await expect(examineRedis({ host: one.host, port: one.port, password: 'hunter2' })).rejects.toMatchObject({ code: 'transport/auth' });
    await expect(examineRedis({ host: one.host, port: one.port })).rejects.toMatchObject({ code: 'transport/auth' });
    await expect(examineRedis({ host: '127.0.0.1', port: 1 })).rejects.toMatchObject({ code: 'transport/unreachable' });
  });

  it('a cluster', async () => {
    const one = await serverOf({ cluster: true, appendonly: true });
    const config = { cluster: [{ host: '127.0.0.1', port: one.port }] };
    await withLists(config, (lists) => push(lists, 'r', 'q', 3));
    const found = await examineRedis(config);
    expect(found.server?.mode).toBe('cluster');
    expect(found.contents?.queues).toEqual([{ queue: 'q', pending: 3, workers: 0 }]);
  });
});

describe('the namespace', () => {
  const config: RedisConfig = { url: '' };
  const at = (namespace = 'taskchart', prefix = ''): RedisConfig => ({ ...config, url: server.url, namespace, prefix });

  it('live workers, their queues, and a queue that nobody serves', async () => {
    await withLists(at(), async (lists) => {
      await push(lists, 'r', 'default', 5);
      await push(lists, 's', 'heavy', 1);
      await work(lists, 'w1', 'default', 60_000);
    });
    const found = await examineRedis(at());
    expect(found.contents?.workers).toEqual([{ worker: 'w1', queue: 'default', slots: 2, alive: true, busy: 2, leaseMs: expect.any(Number) as number }]);
    expect(found.contents?.queues).toEqual([{ queue: 'default', pending: 3, workers: 1 }, { queue: 'heavy', pending: 1, workers: 0 }]);
    expect(lines(found)).toEqual([expect.stringMatching(/^problem: 1 unit is on the queue heavy, which no live worker serves\. .*--queue heavy --namespace taskchart/) as string]);
  });

  it('stranded units: of a worker whose lease is gone, and of one that no registry knows', async () => {
    const keys = keysOf('taskchart', 'app:');
    await withLists(at('taskchart', 'app:'), async (lists) => {
      await push(lists, 'r', 'default', 2);
      await work(lists, 'w1', 'default', 60_000);
      await server.client().del(keys.lease('w1'));
      await server.client().rpush(keys.slot('ghost', 3), unit('r', 9));
      const found = await examineRedis(at('taskchart', 'app:'));
      expect(found.contents?.stranded).toEqual([{ worker: 'w1', units: 2, listed: true }, { worker: 'ghost', units: 1, listed: false }]);
      expect(lines(found)).toEqual([
        expect.stringMatching(/^problem: 2 units are in the slots of the worker w1, which has no lease, and no worker lives/) as string,
        expect.stringMatching(/^problem: 1 unit is in the slots of the worker ghost, .*no registry lists.*--id ghost/) as string,
      ]);
      await work(lists, 'w2', 'default', 60_000);
      expect(lines(await examineRedis(at('taskchart', 'app:'))).join('\n')).toMatch(/note: 2 units are in the slots of the worker w1, .*other workers give them back/);
    });
  });

  it('41. dead units, with their reasons', async () => {
    await withLists(at(), async (lists) => {
      await push(lists, 'r', 'default', 2);
      await work(lists, 'w1', 'default', 60_000);
      await lists.step({ worker: 'w1', nonce: 'w', queue: 'default', slots: 2, leaseMs: 60_000, acks: [{ slot: 0, header: '1|r|1.0.0', kind: 'dead', text: 'it is too odd' }], claims: [], runs: [] });
    });
    await server.client().rpush(keysOf().dead, 'garbage', '{"at":1,"reason":"older"}');
    const found = await examineRedis(at());
    expect(found.contents?.dead.count).toBe(3);
    expect(found.contents?.dead.newest.map(({ reason }) => reason)).toEqual(['older', 'its entry cannot be read', 'it is too odd']);
    expect(lines(found)).toEqual([expect.stringMatching(/^warning: 3 units are given up: .*it is too odd \(1\)/) as string]);
  });

  it('results that nobody takes: of a run without a coordinator, and of one whose coordinator is silent', async () => {
    const keys = keysOf();
    const admin = server.client();
    await withLists(at(), (lists) => push(lists, 'silent', 'default', 0));
    await admin.rpush(keys.results('silent'), 'R|1.0.0|1|{}', 'R|1.1.0|1|{}');
    await admin.rpush(keys.taken('gone'), 'R|1.0.0|1|{}');
    await admin.rpush(keys.results('gone'), 'R|1.1.0|1|{}');
    const found = await examineRedis(at());
    expect(found.contents?.runs).toEqual(
      expect.arrayContaining([expect.objectContaining({ run: 'silent', results: 2, taken: 0, coordinated: true }) as object, expect.objectContaining({ run: 'gone', results: 1, taken: 1, coordinated: false }) as object]),
    );
    // The silent one was heard of a moment ago.
    expect(lines(found)).toEqual([expect.stringMatching(/^warning: A run has results that nobody takes: gone \(1\)\. .*Resume/) as string]);
  });

  it('54. keys of other programs, other namespaces, and a registry that is nonsense do not confuse it', async () => {
    const admin = server.client();
    await withLists(at('another'), async (lists) => {
      await push(lists, 'r', 'default', 1);
      await work(lists, 'w', 'default', 60_000);
    });
    await admin.mset({ '{taskchart}:q:text': 'x', '{taskchart}:res:text': 'x', 'plain': 'x', '{a}{taskchart}:q:x': 'x', '{taskchart}': 'x', '{taskchart}:else': 'x' });
    await admin.rpush(keysOf().workers, 'nonsense', 'w|99999|default', 'x|10001|default', 'y|2|default');
    const found = await examineRedis(at());
    expect(found.contents?.namespaces).toEqual(['another', 'taskchart']);
    expect(found.contents?.queues).toEqual([{ queue: 'text', pending: 0, workers: 0 }]);
    expect(lines(found)).toEqual([expect.stringMatching(/^note: No worker lives in the namespace taskchart; there are others: another\./) as string]);
  });

  it('nothing that is there is changed', async () => {
    await withLists(at(), async (lists) => {
      await push(lists, 'r', 'default', 5);
      await work(lists, 'w1', 'default', 60_000);
      const admin = server.client();
      const picture = async (): Promise<unknown> => {
        const keys = (await admin.keys('*')).sort();
        return Promise.all(keys.map(async (key) => [key, await admin.lrange(key, 0, -1), (await admin.pttl(key)) > 0]));
      };
      const before = await picture();
      await examineRedis(at());
      expect(await picture()).toEqual(before);
    });
  });
});

describe('the command', () => {
  const bench = new Bench();
  afterAll(() => bench.remove());

  it('says what there is, and ends with 0, or with 1 where there is a problem', async () => {
    const quiet = await bench.run('doctor', '--redis', server.url);
    expect(quiet).toMatchObject({ code: 0, stderr: '' });
    expect(quiet.stdout).toMatch(/^Redis at 127\.0\.0\.1:\d+\n {2}server +Redis \d+\.\d+\.\d+, standalone, master\n/);
    expect(quiet.stdout).toMatch(/\nNamespace taskchart\n(.|\n)*\nNothing has to be changed\.\n$/);
    await withLists({ url: server.url, namespace: 'n1' }, async (lists) => {
      await push(lists, 'r', 'default', 30);
      await work(lists, 'w1', 'other', 60_000);
    });
    const { host, port } = server;
    const loud = await bench.runUnder({ TASKCHART_REDIS_HOST: host, TASKCHART_REDIS_PORT: String(port), TASKCHART_NAMESPACE: 'n1', REDIS_URL: 'redis://127.0.0.1:1' }, 'doctor');
    expect(loud.code).toBe(1);
    expect(loud.stdout).toMatch(/\n {2}QUEUE +PENDING +WORKERS\n {2}default +30 +0\n {2}other +0 +1\n/);
    expect(loud.stdout).toMatch(/\n {2}WORKER +QUEUE +BUSY +LEASE\n {2}w1 +other +0\/2 +\d/);
    expect(loud.stdout).toMatch(/\nproblem {2}30 units are on the queue default, which no live worker serves\.\n {9}Start one/);
    const json = await bench.run('doctor', '--redis-host', host, '--redis-port', String(port), '--namespace', 'n1', '--json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, namespace: 'n1', server: { name: 'Redis' }, contents: { queues: [{ pending: 30 }, {}] }, findings: [{ level: 'problem' }] });
  });

  it('45. 55. a Redis that refuses or is not there is told without secrets, with exit code 1; wrong usage with 2', async () => {
    const one = await serverOf({ requirepass: 'right' });
    const wrong = await bench.run('doctor', '--redis', `redis://:hunter2@127.0.0.1:${one.port}`);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toMatch(/^TransportError: Redis at 127\.0\.0\.1:\d+ refused the user name or the password\. \[transport\/auth\]\n {2}hint: /);
    const right = await bench.runUnder({ TASKCHART_REDIS_PASSWORD: 'right' }, 'doctor', '--redis', `redis://127.0.0.1:${one.port}`);
    expect(right.stdout).toContain('Namespace taskchart');
    const nobody = await bench.runUnder({ REDIS_URL: 'redis://u:hunter2@127.0.0.1:1' }, 'doctor', '--json');
    expect(nobody.code).toBe(1);
    expect(JSON.parse(nobody.stdout)).toMatchObject({ ok: false, error: { code: 'transport/unreachable' } });
    const usage: [string[], Record<string, string>, RegExp][] = [
      [[], { REDIS_URL: '', TASKCHART_REDIS: ' ' }, /which Redis is meant: give --redis <url>/],
      [['--redis', 'http://u:hunter2@h'], {}, /--redis is no URL of a Redis: it must begin with redis:\/\//],
      [['--redis', 'redis://u:hunter2@h:x'], {}, /--redis is no URL of a Redis: its port/],
      [['--redis', 'redis://:hunter2@h', '--redis-password', 'hunter2'], {}, /--redis-password is given twice/],
      [['--redis', 'redis://h', '--redis-host', 'h'], {}, /cannot be used with option '--redis <url>'/],
      [['--redis-host', 'h', '--redis-port', 'abc'], {}, /'--redis-port <port>' argument 'abc' is invalid\. It must be a whole number from 1 to 65535/],
      [[], { TASKCHART_REDIS_HOST: 'h', TASKCHART_REDIS_PORT: 'hunter2' }, /the variable TASKCHART_REDIS_PORT must be a whole number/],
      [['--redis-host', 'h'], { TASKCHART_REDIS_TLS: 'hunter2' }, /the variable TASKCHART_REDIS_TLS must be true or false/],
      [['--redis', 'redis://h', '--namespace', 'a:b'], {}, /--namespace does not follow the grammar of ids/],
      [['--redis-pasword=hunter2'], {}, /unknown option '--redis-pasword=…'/],
      [['--reds', 'redis://:hunter2@h'], {}, /unknown option '--reds'/],
    ];
    const runs = usage.map(async ([args, variables, line]) => ({ args, line, ...(await bench.runUnder(variables, 'doctor', ...args)) }));
    for (const { args, line, code, stdout, stderr } of await Promise.all(runs)) {
      expect({ code, stdout }, args.join(' ')).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(line);
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
      expect(stderr).not.toContain('hunter2');
    }
    expect(wrong.stderr + nobody.stdout).not.toContain('hunter2');
  }, 60_000);

  it('--store redis://: the commands for stored runs find them, and never show the password', async () => {
    const one = await serverOf({ appendonly: true, requirepass: 'hunter2' });
    const url = `redis://:hunter2@127.0.0.1:${one.port}`;
    const store = new RedisCheckpointStore({ url, namespace: 'stored' });
    await (await begin(store, 'r')).close();
    store.close();
    const variables = { TASKCHART_NAMESPACE: 'stored' };
    const listed = await bench.runUnder(variables, 'ps', '--store', url, '--json');
    expect(JSON.parse(listed.stdout)).toMatchObject({ run: 'r', workflow: 'contract' });
    const unknown = await bench.runUnder(variables, 'why', 'q', '--store', url);
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringMatching(/the store redis:\/\/127\.0\.0\.1:\d+ has no run q; did you mean r\?/) as string });
    const apart = await bench.runUnder({ ...variables, TASKCHART_REDIS_PASSWORD: 'hunter2', TASKCHART_STORE: `redis://127.0.0.1:${one.port}/0` }, 'checkpoints', 'r', '--json');
    expect(JSON.parse(apart.stdout)).toMatchObject({ revision: 0 });
    const empty = await bench.run('ps', '--store', url);
    expect(empty.stderr).toMatch(/the store redis:\/\/127\.0\.0\.1:\d+ has no runs/);
    const wrong = await bench.run('ps', '--store', `redis://:hunter3@127.0.0.1:${one.port}`);
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('refused the user name or the password') as string });
    const bad = await bench.run('ps', '--store', 'redis://:hunter2@');
    expect(bad).toMatchObject({ code: 2, stderr: expect.stringMatching(/--store.* is no URL of a Redis: it names no host/) as string });
    for (const { stdout, stderr } of [listed, unknown, apart, empty, wrong, bad]) expect(stdout + stderr).not.toMatch(/hunter/);
  }, 60_000);
});
