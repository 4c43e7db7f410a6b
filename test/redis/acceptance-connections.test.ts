/** ACCEPTANCE 45 and 55: ways to name a Redis, from a run, a worker and the command line; and that no secret shows anywhere. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RedisConfig } from 'taskchart';
import { memoryStore } from 'taskchart/stores';
import { createTaskQueue, TaskWorker } from 'taskchart/redis';
import { Bench as Workbench } from '../cli/workbench.ts';
import { rejection } from '../acceptance/support/watch.ts';
import { Bench, fixture, itemsIn } from './bench.ts';
import { worksOn } from './fixtures/work.ts';
import { eventually, WorkerProcess } from './worker-process.ts';

const PASSWORD = 'p@ss:w/rd?x#1%é';
const ALICE = 'al ice&"s\\secret';
const secrets = [PASSWORD, ALICE, 'hunter2', encodeURIComponent(PASSWORD), encodeURIComponent(ALICE)];
const LONG = 120_000;

let bench: Bench;
let suffixes = 0;
const suffix = (): string => `-${(suffixes += 1)}`;
beforeAll(async () => {
  bench = await Bench.open({ requirepass: PASSWORD, tls: true, config: { 'proto-max-bulk-len': '512mb' } });
  await bench.client.call('ACL', 'SETUSER', 'alice', 'on', `>${ALICE}`, '~app:*', '&app:*', '+@all', '-@dangerous', '+info');
});
afterEach(() => bench.clear());
afterAll(() => bench.close());

function clean(...given: readonly unknown[]): void {
  for (const one of given) {
    const texts = [typeof one === 'string' ? one : inspect(one, { depth: 12, showHidden: true }), typeof one === 'string' ? one : (JSON.stringify(one) ?? '')];
    for (const text of texts) for (const secret of secrets) expect(text).not.toContain(secret);
  }
}

const ways: Readonly<Record<string, () => RedisConfig>> = {
  'redis:// with the password as it is': () => ({ url: `redis://:${PASSWORD}@127.0.0.1:${bench.server.port}` }),
  'redis:// with the password encoded': () => ({ url: `redis://default:${encodeURIComponent(PASSWORD)}@127.0.0.1:${bench.server.port}/0` }),
  'redis:// and the password apart': () => ({ url: bench.server.url, password: PASSWORD }),
  'discrete settings': () => ({ host: '127.0.0.1', port: bench.server.port, password: PASSWORD, db: 3 }),
  'discrete settings of a user with few rights': () => ({ host: '127.0.0.1', port: bench.server.port, username: 'alice', password: ALICE, prefix: 'app:' }),
  'rediss://': () => ({ url: `rediss://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${bench.server.tlsPort}`, tls: { ca: bench.server.ca ?? '' } }),
  'discrete settings over TLS': () => ({ host: 'localhost', port: bench.server.tlsPort ?? 0, password: PASSWORD, tls: { ca: bench.server.ca ?? '', servername: 'localhost' } }),
  'a client of the user’s own': () => ({ client: ownClient() }),
};
const clients: Redis[] = [];
afterAll(() => clients.forEach((client) => client.disconnect()));

function ownClient(): Redis {
  const client = new Redis({ host: '127.0.0.1', port: bench.server.port, password: PASSWORD, lazyConnect: true, keyPrefix: 'own:' });
  clients.push(client);
  return client;
}

describe('45. a run and its worker by each way to name a Redis', () => {
  it.each(Object.entries(ways))('45. %s', async (_name, config) => {
    const place = { ...config(), namespace: bench.place().namespace };
    const folder = bench.folder();
    const lines: unknown[] = [];
    const queue = createTaskQueue({ backend: 'redis', ...place });
    const works = worksOn(place, {}, suffix());
    const worker = new TaskWorker({ queue, blockedMs: 0, logger: { log: (...line) => lines.push(line) } });
    try {
      await worker.start();
      const store = memoryStore();
      const seen: unknown[] = [];
      const run = works.items.start(itemsIn(folder, 5), { store, inspect: (event) => seen.push(event.type === '@xstate.snapshot' ? event.snapshot : event.type) });
      expect(await run.result).toEqual({ outputs: [0, 10, 20, 30, 40], accepted: 5 });
      clean(lines, works.items, works.items.graph, works.items.describe(), run.snapshot(), run.status(), worker.status(), queue, await store.load(run.id), JSON.stringify(seen));
    } finally {
      await worker.stop();
      await queue.close();
    }
  }, LONG);
});

describe('45. a Redis that cannot be used', () => {
  it('45. a wrong password: the run fails at once with the reason, the worker too', async () => {
    const place = { host: '127.0.0.1', port: bench.server.port, password: 'hunter2', namespace: 'wrong' };
    const works = worksOn(place, {}, suffix());
    const error = await rejection(works.items.run(itemsIn(bench.folder(), 1)));
    expect(error).toMatchObject({ name: 'TransportError', code: 'transport/auth' });
    expect(error.message).toMatch(/^Redis at 127\.0\.0\.1:\d+ refused the user name or the password\.$/);
    const queue = createTaskQueue({ backend: 'redis', ...place });
    const lines: unknown[] = [];
    const worker = new TaskWorker({ queue, blockedMs: 0, logger: { log: (...line) => lines.push(line) } });
    const refused = await rejection(worker.start());
    expect(refused).toMatchObject({ code: 'transport/auth' });
    expect(await worker.ended).toMatchObject({ kind: 'failed' });
    await queue.close();
    clean(error, refused, lines, worker.status());
    expect(lines.length).toBeGreaterThan(0);
  }, LONG);

  it.each<[string, () => Record<string, unknown>, RegExp]>([
    ['a wrong port', () => ({ host: '127.0.0.1', port: 1, password: 'hunter2' }), /cannot be reached: .*ECONNREFUSED|cannot be reached/],
    ['a host that does not exist', () => ({ url: 'redis://u:hunter2@nobody.invalid:6379' }), /cannot be reached/],
    ['TLS on a port without it', () => ({ host: '127.0.0.1', port: bench.server.port, password: 'hunter2', tls: { rejectUnauthorized: false } }), /TLS|cannot be reached|did not greet/],
    ['a certificate of an unknown authority', () => ({ host: '127.0.0.1', port: bench.server.tlsPort, password: 'hunter2', tls: true }), /certificate/],
  ])('45. %s: the run says why it does not get on, or fails with that', async (_name, config, reason) => {
    const works = worksOn({ ...config(), namespace: 'wrong' } as unknown as RedisConfig, {}, suffix());
    const run = works.items.start(itemsIn(bench.folder(), 1));
    let failure: Error | undefined;
    run.result.catch((error: Error) => (failure = error));
    const why = await eventually('it says why', () => failure?.message ?? run.status().waitsFor.find((wait) => wait.kind === 'units' && wait.reason !== undefined));
    const text = typeof why === 'string' ? why : ((why as { readonly reason?: string }).reason ?? '');
    expect(text).toMatch(reason);
    clean(text, failure, run.status(), run.snapshot());
    run.cancel('no more');
    const error = await rejection(run.result);
    expect(['WorkflowCancelledError', 'TransportError']).toContain(error.name);
    clean(error);
  }, LONG);
});

describe('45. the worker command', () => {
  it('45. by flags and variables, over TLS: it works, and what it writes has no secret', async () => {
    const folder = bench.folder();
    const authority = join(folder, 'ca.pem');
    writeFileSync(authority, bench.server.ca ?? '');
    const namespace = bench.place().namespace;
    const plain = new WorkerProcess([fixture('serve.ts')], { 'redis-host': '127.0.0.1', 'redis-port': bench.server.port, namespace, queue: 'plain' }, { TASKCHART_REDIS_PASSWORD: PASSWORD });
    const secure = new WorkerProcess([fixture('serve.ts')], { redis: `rediss://:${encodeURIComponent(PASSWORD)}@localhost:${bench.server.tlsPort}`, namespace, queue: 'secure' }, { NODE_EXTRA_CA_CERTS: authority });
    try {
      await Promise.all([plain.registered(), secure.registered()]);
      for (const queue of ['plain', 'secure']) {
        const place = { url: bench.server.url, password: PASSWORD, namespace, queue };
        expect(await worksOn(place).items.run(itemsIn(folder, 3))).toEqual({ outputs: [0, 10, 20], accepted: 3 });
      }
      for (const worker of [plain, secure]) {
        worker.signal('SIGTERM');
        const { code, stdout, stderr } = await worker.ended;
        expect(code).toBe(0);
        clean(stdout, stderr);
      }
    } finally {
      await Promise.all([plain.kill(), secure.kill()]);
    }
  }, LONG);
});

describe('55. the command line', () => {
  const command = new Workbench();
  afterAll(() => command.remove());

  it('55. wrong usage: exit code 2, one line that names what is wrong, and no secret', async () => {
    command.write('tasks.mts', "import { task, workflow } from 'taskchart'; export const flow = workflow('flow', task('t', (n: number) => n));");
    command.write('throws.mts', "throw new Error('nothing but trouble: redis://:hunter2@h');");
    command.write('broken.mts', 'export const = 1;');
    command.write('empty.mts', 'export const nothing = 1;');
    const at = ['--redis', 'redis://127.0.0.1'];
    const cases: readonly (readonly [args: readonly string[], line: RegExp])[] = [
      [['worker', 'tasks.mts', '--redis'], /option '--redis <url>' argument missing/],
      [['worker', 'tasks.mts', ...at, '--lease'], /option '--lease <ms>' argument missing/],
      [['worker', 'tasks.mts', ...at, '--concurrency', 'abc'], /'--concurrency <n>' argument 'abc' is invalid/],
      [['worker', 'tasks.mts', ...at, '--concurrency', '0'], /must be a whole number from 1/],
      [['worker', 'tasks.mts', ...at, '--namspace', 'x'], /unknown option '--namspace'.*Did you mean --namespace\?/],
      [['worker', 'tasks.mts', '--redis', 'redis://u:hunter2@h:99999'], /--redis is no URL of a Redis: its port/],
      [['worker', 'tasks.mts', '--redis=redis//:hunter2@h'], /--redis is no URL of a Redis/],
      [['worker', 'nope.mts', ...at], /there is no module nope\.mts/],
      [['worker', 'throws.mts', ...at], /throws\.mts/],
      [['worker', 'broken.mts', ...at], /broken\.mts/],
      [['worker', 'empty.mts', ...at], /empty\.mts defines no workflow and no task/],
      [['run', 'empty.mts'], /empty\.mts/],
      [['wroker', 'tasks.mts'], /unknown command 'wroker'.*Did you mean worker\?/],
      [['doctor', '--redis'], /option '--redis <url>' argument missing/],
    ];
    // A few at a time: each is a process.
    for (let from = 0; from < cases.length; from += 4) {
      await Promise.all(cases.slice(from, from + 4).map(async ([args, line]) => {
        const { code, stdout, stderr } = await command.run(...args);
        expect({ code, stdout, lines: stderr.trimEnd().split('\n').length }, `${args.join(' ')}: ${stderr}`).toEqual({ code: 2, stdout: '', lines: 1 });
        expect(stderr, args.join(' ')).toMatch(line);
        if (!args.includes('throws.mts')) expect(stderr).not.toContain('hunter2');
      }));
    }
  }, LONG);
});
