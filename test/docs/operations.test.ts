/** What docs/operations.md tells operators to write: its rules and settings, tried on real servers as they stand there. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { each, sequence, task, waitFor, workflow, type RedisConfig } from 'taskchart';
import { createTaskQueue, RedisCheckpointStore, TaskWorker } from 'taskchart/redis';
import { examineRedis } from '../../src/adapters/redis/doctor.ts';
import { keysOf } from '../../src/adapters/redis/keys.ts';
import { redisSettings } from '../../src/adapters/redis/settings.ts';
import { connectTransport } from '../../src/adapters/redis/transport.ts';
import { startServer, type ServerOptions, type TestServer } from '../redis/server.ts';
import { eventually } from '../redis/worker-process.ts';

const text = readFileSync(resolve(fileURLToPath(import.meta.url), '../../../docs/operations.md'), 'utf8');
const lines = (language: string): string[] => [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\\n\`\`\``, 'g'))].flatMap(([, block = '']) => block.split('\n'));

/** The users of the page with what its table adds, and one who may look at what was refused. */
function usersWith(change: (rule: string) => string): string[] {
  return [...lines('acl').map((line) => change(line.replace(/^user /, '').replace(/>change-me-\d/, '>secret'))), 'admin on >secret ~* &* +@all'];
}

const servers: TestServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.dispose();
});
async function serverWith(options: ServerOptions): Promise<TestServer> {
  const server = await startServer(options);
  servers.push(server);
  return server;
}

/** A group with retries and a wait, its store, a cancelled run, a lost worker, garbage in the queue: everything that is sent to a server. */
async function useEverything(config: RedisConfig, name: string): Promise<void> {
  const answer = workflow(`answer-${name}`,
    each(sequence(
      task('ask', async (n: number, ctx) => {
        ctx.progress(n, 2);
        if (n === 2 && ctx.attempt === 1) throw new Error('once more');
        return n;
      }, { retry: { attempts: 2, delay: 1 } }),
      waitFor('go'),
    )).withExecution({ backend: 'redis', backendConfig: config }));
  const { lists } = connectTransport(redisSettings(config, 'test'));
  await lists.register({ worker: 'lost', nonce: 'n', queue: 'default', slots: 1, leaseMs: 100, deliveries: 3, at: Date.now() });
  const queue = createTaskQueue({ backend: 'redis', ...config });
  const worker = new TaskWorker({ queue, reapMs: 50, waitMs: 100 });
  const store = new RedisCheckpointStore(config);
  try {
    await worker.start();
    const run = answer.start([1, 2], { store, runId: `r-${name}` });
    for (let n = 0; n < 2; n += 1) {
      await eventually('a branch waits', () => run.status().waitsFor.some(({ kind }) => kind === 'signal'));
      run.signal('go', n);
    }
    expect(await run.result).toHaveLength(2);
    const cancelled = answer.start([1, 2], { store, runId: `c-${name}` });
    cancelled.on(() => undefined);
    await eventually('a branch waits', () => cancelled.status().waitsFor.some(({ kind }) => kind === 'signal'));
    cancelled.cancel();
    await expect(cancelled.result).rejects.toMatchObject({ code: 'run/cancelled' });
    await store.post(`r-${name}`, 'hello');
    await store.remove(`c-${name}`);
    expect(await store.list()).toHaveLength(1);
    await eventually('the lost worker is gone', async () => !(await lists.workers()).some(({ worker: id, alive }) => id === 'lost' && alive), 20_000);
    await worker.drain();
  } finally {
    await worker.stop().catch(() => undefined);
    await Promise.all([queue.close(), lists.close()]);
  }
}

describe('the rules for users', () => {
  it.each([
    ['as they stand', {}, {}, (rule: string) => rule],
    ['with a prefix and another database', { prefix: 'app:', db: 1 }, {}, (rule: string) => `${rule.replace('~{', '~app:{').replace('&{', '&app:{')} +select`],
    ['on a cluster', {}, { config: { 'cluster-enabled': 'yes', 'cluster-announce-ip': '127.0.0.1' } }, (rule: string) => `${rule} +cluster|slots +info`],
  ] as const)('suffice %s', async (how, more, options, change) => {
    const server = await serverWith({ appendonly: true, users: usersWith((rule) => (/^(?:taskchart|doctor) /.test(rule) ? change(rule) : rule)), ...options });
    const admin = server.client({ username: 'admin', password: 'secret' });
    const isCluster = 'config' in options;
    if (isCluster) {
      await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
      await eventually('the cluster is ready', async () => String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
    }
    const as = (username: string): RedisConfig => ({ ...(isCluster ? { cluster: [{ host: server.host, port: server.port }] } : { url: server.url }), ...more, username, password: 'secret' }) as RedisConfig;
    await useEverything(as('taskchart'), how.replaceAll(' ', '-'));
    const { findings } = await examineRedis(as('doctor'));
    expect(findings).toEqual([]);
    const refused = (await admin.call('ACL', 'LOG')) as readonly (readonly unknown[])[];
    expect(refused.map((entry) => `${String(entry[9])}: ${String(entry[7])}`)).toEqual([]);
  }, 60_000);

  it('let the autoscaler see the length of the queue, by the name that the manifest gives it, and no more', async () => {
    const server = await serverWith({ users: usersWith((rule) => rule) });
    const listName = /listName: "(.*)"/.exec(lines('yaml').join('\n'))?.[1] ?? '';
    expect(listName).toBe(keysOf().queue('default'));
    const keda = server.client({ username: 'keda', password: 'secret', enableReadyCheck: false });
    const length = "return redis.call(({ list = 'llen', none = 'llen' })[redis.call('type', KEYS[1]).ok], KEYS[1])";
    expect(await keda.ping()).toBe('PONG');
    expect(await keda.eval(length, 1, listName)).toBe(0);
    await server.client({ username: 'admin', password: 'secret' }).rpush(listName, 'a', 'b');
    expect(await keda.eval(length, 1, listName)).toBe(2);
    await expect(keda.eval("return redis.call('lpop', KEYS[1])", 1, listName)).rejects.toThrow(/can't run this command/);
    await expect(keda.eval(length, 1, '{taskchart}:dead')).rejects.toThrow(/NOPERM/);
  });
});

it('the settings are such that doctor has nothing to say', async () => {
  const config = Object.fromEntries(lines('conf').map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
  expect(Object.keys(config)).toEqual(['maxmemory', 'maxmemory-policy', 'appendonly', 'appendfsync']);
  const server = await serverWith({ config });
  expect((await examineRedis({ url: server.url })).findings).toEqual([]);
});
