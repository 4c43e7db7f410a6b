/** Runs in Redis: the contract of stores, and what becomes of them when the server or the connection goes away. */
import { inspect } from 'node:util';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { memoryStore } from '../../src/adapters/memory-store.ts';
import { RedisCheckpointStore } from '../../src/adapters/redis/checkpoint-store.ts';
import { CheckpointError } from '../../src/core/errors.ts';
import { task, workflow } from '../../src/index.ts';
import type { CheckpointStore, RunWriter } from '../../src/ports.ts';
import { seededRandom } from '../../src/testing/seeded-random.ts';
import { begin, checkpointOf, entriesOf, entryOf, owner, stateOf } from '../../src/testing/store-cases.ts';
import { checkpointStoreContract, type StoreUnderTest } from '../../src/testing/store-contract.ts';
import { type Proxy, startProxy } from './proxy.ts';
import { sharedServer, startServer, type TestServer } from './server.ts';

const shared = await sharedServer();
/** It syncs before it acknowledges. */
const own = await startServer({ appendonly: true, config: { appendfsync: 'always' } });
const proxies: Proxy[] = [];
const stores: RedisCheckpointStore[] = [];
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
});
afterAll(async () => {
  for (const proxy of proxies) await proxy.close();
  await own.dispose();
  await shared.dispose();
});

let namespaces = 0;
const fresh = (): string => `${shared.namespace}-${++namespaces}`;

function storeOf(url: string, namespace: string, patienceMs = 10_000): RedisCheckpointStore {
  const store = new RedisCheckpointStore({ url, namespace }, { patienceMs });
  stores.push(store);
  return store;
}

async function proxied(server: TestServer = own): Promise<{ proxy: Proxy; url: string }> {
  const proxy = await startProxy(server.port);
  proxies.push(proxy);
  return { proxy, url: `redis://127.0.0.1:${proxy.port}` };
}

async function refusal(promise: Promise<unknown>): Promise<CheckpointError> {
  const outcome: unknown = await promise.then((value) => new Error(`it succeeded: ${inspect(value)}`), (thrown: unknown) => thrown);
  if (outcome instanceof CheckpointError) return outcome;
  throw outcome;
}

async function underTest(): Promise<StoreUnderTest> {
  const namespace = fresh();
  return { store: storeOf(shared.url, namespace), reopen: async () => storeOf(shared.url, namespace), dispose: async () => undefined };
}

describe('the contract', () => {
  it.each(checkpointStoreContract(underTest).map(({ name, run }) => [name, run] as const))('%s', async (_name, run) => {
    await expect(run()).resolves.toBe(undefined);
  });

  it('46. every key is a list, and a removed run leaves none', async () => {
    const namespace = fresh();
    const store = storeOf(shared.url, namespace);
    const writer = await begin(store, 'r');
    await writer.append(entriesOf(0, 3), 3);
    await store.post('r', 'message');
    const client = shared.client();
    const keys = await client.keys(`*{${namespace}}*`);
    expect(keys.sort()).toEqual(['log:r', 'mail:r', 'run:r', 'runs'].map((key) => `{${namespace}}:${key}`));
    for (const key of keys) expect(await client.type(key)).toBe('list');
    await store.remove('r');
    expect(await client.keys(`*{${namespace}}*`)).toEqual([]);
  });

  it('53. a run id that might be another key is refused', async () => {
    const store = storeOf(shared.url, fresh());
    for (const id of ['', 'a:b', 'a|b', '../a', 'a b', '__proto__', 'x'.repeat(201), 'a{b}']) {
      for (const call of [store.open(id, owner(1)), store.load(id), store.revisions(id), store.remove(id), store.post(id, 'x'), store.posts(id, 0)]) expect((await refusal(call)).code).toBe('checkpoint/bad-run-id');
    }
  });
});

describe('39. the server or the connection goes away', () => {
  it('a server that is killed and restarted from its append-only file has all that was acknowledged, and writing goes on', async () => {
    const store = storeOf(own.url, fresh());
    const writer = await begin(store, 'r');
    for (let revision = 1; revision <= 30; revision++) {
      const write = revision % 7 === 0 ? writer.save(checkpointOf('r', revision), revision) : writer.append([entryOf(revision)], revision);
      if (revision % 10 !== 0) {
        await write;
        continue;
      }
      await Promise.all([write, own.kill().then(() => own.restart())]);
      expect(await store.load('r')).toEqual(stateOf('r', Math.floor(revision / 7) * 7, revision));
    }
    await writer.close();
    expect(await storeOf(own.url, 'other').load('r')).toBe(undefined);
  }, 60_000);

  it('many writes that wait for a server go together, in order, when it is back', async () => {
    const store = storeOf(own.url, fresh());
    const writer = await begin(store, 'r');
    await own.kill();
    const writes = Array.from({ length: 3000 }, (_, at) => writer.append([entryOf(at + 1)], at + 1));
    await own.restart();
    await Promise.all(writes);
    expect(await store.load('r')).toEqual(stateOf('r', 0, 3000));
  }, 60_000);

  it('a reply that is lost, at every write: the write counts once', async () => {
    const { proxy, url } = await proxied();
    const namespace = fresh();
    const store = storeOf(url, namespace);
    const writer = await begin(store, 'r');
    for (let revision = 1; revision <= 20; revision++) {
      if (revision % 2 === 0) proxy.loseReply();
      else proxy.loseCommand();
      await (revision % 5 === 0 ? writer.save(checkpointOf('r', revision), revision) : writer.append([entryOf(revision)], revision));
      expect(await storeOf(own.url, namespace).load('r')).toEqual(stateOf('r', Math.floor(revision / 5) * 5, revision));
    }
    // Each was lost, whether it was the greeting's or the write's own.
    expect(proxy.lost).toBe(20);
    expect((await store.revisions('r')).map(({ revision }) => revision)).toEqual([20, 15]);
  });

  it('54. a message whose reply is lost is there once', async () => {
    const { proxy, url } = await proxied();
    const namespace = fresh();
    const store = storeOf(url, namespace);
    expect(await store.post('r', 'first')).toBe(1);
    proxy.loseReply();
    expect(await store.post('r', 'second')).toBe(2);
    expect(await store.posts('r', 0)).toEqual([{ number: 1, text: 'first' }, { number: 2, text: 'second' }]);
  });

  it('a writer that was overtaken while it could not write is refused, and changes nothing', async () => {
    const { proxy, url } = await proxied();
    const namespace = fresh();
    const writer = await begin(storeOf(url, namespace), 'r');
    proxy.refuse();
    proxy.cut();
    const late = refusal(writer.append([entryOf(1)], 1));
    const other = await storeOf(own.url, namespace).open('r', owner(2));
    await other.append([JSON.stringify('other')], 1);
    proxy.accept();
    const error = await late;
    expect(error.code).toBe('checkpoint/conflict');
    expect(error.message).toContain('process 2 on "contract.test"');
    expect((await storeOf(own.url, namespace).load('r'))?.journal).toEqual(['"other"']);
    expect((await refusal(writer.append([entryOf(2)], 2))).code).toBe('checkpoint/conflict');
  });

  it('when its patience ends a write is refused, the last revision is named, and the same write or a snapshot goes on', async () => {
    const { proxy, url } = await proxied();
    const store = storeOf(url, fresh(), 50);
    const writer = await begin(store, 'r');
    await writer.append([entryOf(1)], 1);
    proxy.refuse();
    proxy.cut();
    const refused = [writer.append([entryOf(2)], 2), writer.append([entryOf(3)], 3)].map(refusal);
    for (const error of await Promise.all(refused)) {
      expect(error.code).toBe('checkpoint/storage');
      expect(error.message).toMatch(/^Could not append to run "r" \(revision 1 is stored\): Redis at 127\.0\.0\.1:\d+ cannot be reached/);
    }
    proxy.accept();
    expect((await refusal(writer.append([entryOf(4)], 4))).code).toBe('checkpoint/out-of-order');
    await writer.append(entriesOf(1, 4), 4);
    expect(await store.load('r')).toEqual(stateOf('r', 0, 4));
    proxy.refuse();
    proxy.cut();
    await refusal(writer.append([entryOf(5)], 5));
    proxy.accept();
    await writer.save(checkpointOf('r', 6), 6);
    await writer.append([entryOf(7)], 7);
    expect(await store.load('r')).toEqual(stateOf('r', 6, 7));
  });

  it('a write that was given up, and had arrived, is taken back by the next one', async () => {
    const { proxy, url } = await proxied();
    const namespace = fresh();
    const store = storeOf(url, namespace, 0);
    const writer = await begin(store, 'r');
    proxy.loseReply();
    await refusal(writer.append([entryOf(1)], 1));
    expect(await storeOf(own.url, namespace).load('r')).toEqual(stateOf('r', 0, 1));
    await writer.save(checkpointOf('r', 0, 5), 0);
    expect((await store.load('r'))?.journal).toEqual([]);
    await writer.append([entryOf(1)], 1);
    expect((await store.load('r'))?.journal).toEqual([entryOf(1)]);
  });

  it('a snapshot that was given up, and had arrived, is taken back by the next write', async () => {
    const { proxy, url } = await proxied();
    const store = storeOf(url, fresh(), 0);
    const writer = await begin(store, 'r');
    await writer.append([entryOf(1)], 1);
    proxy.loseReply();
    await refusal(writer.save(checkpointOf('r', 9), 9));
    expect((await store.revisions('r')).map(({ revision }) => revision)).toEqual([9, 0]);
    await writer.append([entryOf(2)], 2);
    expect(await store.load('r')).toEqual(stateOf('r', 0, 2));
    expect((await store.revisions('r')).map(({ revision }) => revision)).toEqual([0]);
  });

  it('a server that comes back with an older state gets the writes that it has forgotten again, snapshots and the opening too', async () => {
    const namespace = fresh();
    const store = storeOf(own.url, namespace);
    const admin = own.client();
    const keys = ['run', 'log'].map((key) => `{${namespace}}:${key}:r`);
    const copy = async (): Promise<() => Promise<void>> => {
      const bodies = await Promise.all(keys.map((key) => admin.dumpBuffer(key)));
      return async () => {
        await admin.del(...keys);
        for (const [at, body] of bodies.entries()) if (body !== null) await admin.restore(keys[at] ?? '', 0, body);
      };
    };
    await begin(store, 'r', 1);
    const beforeOpening = await copy();
    const writer = await store.open('r', owner(2));
    const copies = [beforeOpening];
    const write = async (revision: number): Promise<void> => {
      await (revision % 4 === 0 ? writer.save(checkpointOf('r', revision), revision) : writer.append([entryOf(revision)], revision));
      copies.push(await copy());
    };
    for (let revision = 1; revision <= 10; revision++) await write(revision);
    for (const goBack of copies.splice(0)) {
      await goBack();
      const revision = (copies.length === 0 ? 10 : 10 + copies.length) + 1;
      await write(revision);
      expect(await store.load('r')).toEqual(stateOf('r', Math.floor(revision / 4) * 4, revision));
    }
    expect((await store.list()).map((note) => [note.epoch, note.owner?.pid])).toEqual([[2, 2]]);
    expect((await store.revisions('r')).map(({ revision }) => revision)).toEqual([20, 16]);
  });

  it('a writer that was overtaken does not come back with the older state of a server', async () => {
    const namespace = fresh();
    const store = storeOf(own.url, namespace);
    const admin = own.client();
    const first = await begin(store, 'r', 1);
    const before = await admin.dumpBuffer(`{${namespace}}:run:r`);
    const second = await store.open('r', owner(2));
    await admin.restore(`{${namespace}}:run:r`, 0, before, 'REPLACE');
    // The server has forgotten the second opening, so this is taken, until the second one writes.
    await first.append([entryOf(1)], 1);
    await second.append([JSON.stringify('second')], 1);
    expect((await store.load('r'))?.journal).toEqual(['"second"']);
    expect((await refusal(first.append([entryOf(2)], 2))).code).toBe('checkpoint/conflict');
  });

  it('FLUSHALL ends the run of a writer; acknowledged writes that are lost without the others are noticed', async () => {
    const store = storeOf(own.url, fresh());
    const writer = await begin(store, 'r');
    const admin = own.client();
    await admin.flushall();
    const error = await refusal(writer.append([entryOf(1)], 1));
    expect([error.code, /was removed/.test(error.message)]).toEqual(['checkpoint/conflict', true]);
    const namespace = fresh();
    const other = await begin(storeOf(own.url, namespace), 'r');
    await other.append([entryOf(1)], 1);
    await admin.rpop(`{${namespace}}:log:r`);
    const gap = await refusal(other.append([entryOf(2)], 2));
    expect(gap.message).toMatch(/has lost the last writes of run "r" \(revision 1 had been acknowledged\)/);
    expect((await refusal(storeOf(own.url, namespace).open('r', owner(3)))).message).toMatch(/what was written last is missing; revision 0 can still be loaded/);
  });

  it('52. a server without memory refuses the write, keeps what it has, and takes it when there is some', async () => {
    const server = await startServer({ config: { 'maxmemory-policy': 'noeviction' } });
    const store = storeOf(server.url, fresh(), 0);
    const writer = await begin(store, 'r');
    const admin = server.client();
    await admin.config('SET', 'maxmemory', '1mb');
    const error = await refusal(writer.append([entryOf(1)], 1));
    expect([error.code, error.hint?.includes('noeviction')]).toEqual(['checkpoint/no-space', true]);
    expect(await store.load('r')).toEqual(stateOf('r', 0, 0));
    await admin.config('SET', 'maxmemory', '0');
    await writer.append([entryOf(1)], 1);
    expect(await store.load('r')).toEqual(stateOf('r', 0, 1));
    await server.dispose();
  });

  it('45. a wrong password is told without it', async () => {
    const server = await startServer({ requirepass: 'right' });
    const store = storeOf(`redis://:hunter2@127.0.0.1:${server.port}`, 'n');
    for (const call of [() => store.load('r'), () => store.open('r', owner(1)), () => store.list()]) {
      const error: unknown = await call().then(() => 'nothing', (thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: 'TransportError', code: 'transport/auth' });
      expect(inspect(error, { depth: 9 })).not.toContain('hunter2');
    }
    await server.dispose();
  });
});

describe('a run', () => {
  it('goes on while its server is killed and restarted, several times, and can be looked at afterwards', async () => {
    const server = await startServer({ appendonly: true });
    const namespace = fresh();
    const store = storeOf(server.url, namespace);
    let passes = 0;
    let restarting: Promise<void> | undefined;
    const loop = task('loop', async (n: number, ctx) => {
      passes += 1;
      if (n % 40 === 20) {
        await restarting;
        restarting = server.kill().then(() => server.restart());
      }
      // The run is faster than a server starts: it is held back by what waits for being stored.
      if (n % 40 === 39) await restarting;
      return n < 160 ? ctx.nextIteration(n + 1) : n;
    }, { maxIterations: 1000 });
    const run = await workflow('kept', loop.to('last', (n) => n * 2)).start(0, { store, runId: 'kept' });
    expect(await run.result).toBe(320);
    expect(passes).toBe(161);
    await restarting;
    const [note] = await storeOf(server.url, namespace).list();
    expect(note).toMatchObject({ runId: 'kept', workflow: 'kept', epoch: 1 });
    expect(JSON.parse((await storeOf(server.url, namespace).load('kept'))?.checkpoint ?? '')).toMatchObject({ snapshot: { value: 'completed' } });
    await server.dispose();
  }, 60_000);

  it('in a cluster', async () => {
    const server = await startServer({ cluster: true });
    const store = new RedisCheckpointStore({ cluster: [{ host: '127.0.0.1', port: server.port }] });
    const writer = await begin(store, 'r');
    await writer.append(entriesOf(0, 3), 3);
    await store.post('r', 'message');
    expect(await store.load('r')).toEqual(stateOf('r', 0, 3));
    expect((await store.list()).map(({ runId }) => runId)).toEqual(['r']);
    await store.remove('r');
    expect(await store.list()).toEqual([]);
    store.close();
    await server.dispose();
  });
});

describe('52. what is stored was changed by someone else', () => {
  it('each element, cut or with a bit flipped: the state is right, or refused with the revision that can be used', async () => {
    const namespace = fresh();
    const store = storeOf(shared.url, namespace);
    const writer = await begin(store, 'r');
    for (let revision = 1; revision <= 6; revision++) await (revision === 4 ? writer.save(checkpointOf('r', 4), 4) : writer.append([entryOf(revision)], revision));
    const right = stateOf('r', 4, 6);
    const states = [right, stateOf('r', 4, 5), stateOf('r', 4, 4), ...[3, 2, 1, 0].map((revision) => stateOf('r', 0, revision))];
    const client = shared.client();
    let refused = 0;
    for (const [key, length] of [['run', 3], ['log', 5]] as const) {
      const name = `{${namespace}}:${key}:r`;
      expect(await client.llen(name)).toBe(length);
      for (let at = 0; at < length; at++) {
        const element = await client.lindexBuffer(name, at);
        if (element === null) throw new Error('an element is missing');
        for (let byte = 0; byte < element.length; byte += Math.ceil(element.length / 25)) {
          const flipped = Buffer.from(element);
          flipped[byte] = (flipped[byte] as number) ^ (1 << byte % 7);
          for (const changed of [flipped, element.subarray(0, byte)]) {
            await client.lset(name, at, changed);
            const outcome: unknown = await store.load('r').catch((thrown: unknown) => thrown);
            if (!(outcome instanceof CheckpointError)) {
              expect(outcome, `${key} ${at} byte ${byte}`).toEqual(right);
              continue;
            }
            refused += 1;
            expect(['checkpoint/damaged', 'checkpoint/foreign']).toContain(outcome.code);
            const usable = outcome.details?.['usable'];
            if (typeof usable === 'number') expect(states, `${key} ${at} byte ${byte}`).toContainEqual(await store.load('r', usable));
          }
        }
        await client.lset(name, at, element);
      }
    }
    expect(refused).toBeGreaterThan(150);
    expect(await store.load('r')).toEqual(right);
    await writer.append([entryOf(7)], 7);
  });

  it('another kind of key, another program, a newer version', async () => {
    const namespace = fresh();
    const store = storeOf(shared.url, namespace);
    const client = shared.client();
    await client.set(`{${namespace}}:run:a`, 'text');
    await expect(store.load('a')).rejects.toMatchObject({ code: 'transport/wrong-type' });
    for (const text of ['', 'something', 'taskchart/2|1|n|0|0|0|0|0|-1|-1||{}']) {
      await client.rpush(`{${namespace}}:run:b`, text);
      for (const call of [store.load('b'), store.load('b', 0), store.open('b', owner(1))]) expect((await refusal(call)).code).toBe('checkpoint/foreign');
      expect(await client.lrange(`{${namespace}}:run:b`, 0, -1)).toEqual([text]);
      await client.del(`{${namespace}}:run:b`);
    }
    await client.rpush(`{${namespace}}:runs`, 'b', 'b', 'no such run');
    expect(await store.list()).toEqual([]);
  });
});

/** What a store holds of a run. */
async function picture(store: CheckpointStore): Promise<unknown> {
  const stored = await store.load('r').catch((thrown: unknown) => String(thrown));
  const revisions = (await store.revisions('r')).map(({ revision, bytes }) => ({ revision, bytes }));
  const older = revisions[1] === undefined ? undefined : await store.load('r', revisions[1].revision);
  const list = (await store.list()).map(({ runId, workflow, owner: who }) => ({ runId, workflow, who }));
  return { stored, revisions, older, list, posts: await store.posts('r', 0) };
}

describe('at random, with connections that break, it holds what a store in memory holds', () => {
  it.each([1, 2, 3, 4, 5, 6])('seed %i', async (seed) => {
    const random = seededRandom(seed);
    const below = (most: number): number => Math.floor(random.next() * most);
    const { proxy, url } = await proxied();
    const [redis, memory] = [storeOf(url, fresh()), memoryStore()];
    const both = async <T>(work: (store: CheckpointStore) => Promise<T>): Promise<readonly [T, T]> => Promise.all([work(redis), work(memory)]);
    let writers: readonly [RunWriter, RunWriter] = await both((store) => store.open('r', owner(1)));
    const write = (work: (writer: RunWriter) => Promise<void>): Promise<unknown> => Promise.all(writers.map(work));
    let revision = 0;
    let ends: number[] = [0];
    await write((writer) => writer.save(checkpointOf('r', 0), 0));
    for (let step = 0; step < 120; step++) {
      const what = below(12);
      if (what >= 10) [() => proxy.loseReply(), () => proxy.loseCommand(), () => proxy.cut()][below(3)]?.();
      if (what < 5) {
        const count = 1 + below(3);
        const [from, group] = [revision, 1 + below(3)];
        revision += count * group;
        await write(async (writer) => {
          await Promise.all(Array.from({ length: group }, (_, at) => writer.append(entriesOf(from + at * count, from + (at + 1) * count), from + (at + 1) * count)));
        });
        for (let at = 1; at <= group; at++) ends.push(from + at * count);
      } else if (what < 7) {
        const at = below(2) === 0 ? revision : (ends[below(ends.length)] ?? revision);
        await write((writer) => writer.save(checkpointOf('r', at, step), at));
        ends = ends.filter((end) => end >= at);
      } else if (what === 7) {
        revision += 1 + below(2);
        await write((writer) => writer.save(checkpointOf('r', revision, step), revision));
        ends = [revision];
      } else if (what === 8) {
        // The connection to a writer may break now: a lost reply makes it open twice.
        writers = await both((store) => store.open('r', owner(step)));
        ends = [writers[1].stored?.revision ?? 0, revision];
      } else if (what === 9) {
        const [one, two] = await both((store) => store.post('r', `message ${step}`));
        expect(one, `seed ${seed}, step ${step}`).toBe(two);
      }
      const [found, expected] = await both(picture);
      expect(found, `seed ${seed}, step ${step}, action ${what}`).toEqual(expected);
    }
  }, 60_000);
});
