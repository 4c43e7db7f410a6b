/** What reviews of the distributed part have found. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { each, parallel, sequence, task, waitFor } from 'taskchart';
import { memoryStore } from 'taskchart/stores';
import { SimulatedServer } from '../../src/adapters/simulated/lists.ts';
import { resultHeader, unitHeader } from '../../src/core/messages.ts';
import { redisSettings } from '../../src/adapters/redis/settings.ts';
import { connectTransport } from '../../src/adapters/redis/transport.ts';
import { startServer, type TestServer } from '../redis/server.ts';
import type { Environment } from '../../src/ports.ts';
import { RedisTaskQueue } from '../../src/runtime/worker/queue.ts';
import { TaskWorker } from '../../src/runtime/worker/worker.ts';
import { Workflow } from '../../src/runtime/workflow.ts';
import { World, onRedis } from './support/workers.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

let names = 0;
const fresh = (name: string): string => `review-${name}-${(names += 1)}`;
const at = (url: string, more: object = {}) => ({ backend: 'redis', backendConfig: { url, ...more } }) as const;
const keysOf = (server: SimulatedServer): string[] => [...server.all().keys()].filter((key) => !/:(w|lease|workers)(:|$)/.test(key));

describe('two places', () => {
  function two() {
    const other = new SimulatedServer({ clock: world.clock, remember: 100 });
    let ids = 0;
    const connect = (settings: unknown) => ((settings as { url: string }).url.includes('other') ? other : world.server).connect(`c${(ids += 1)}`);
    const environment: Environment = { ...world.environment, connect: (s) => { const t = connect(s); return { key: (s as { url: string }).url, lists: t.lists, signals: t.signals }; } };
    const worker = new TaskWorker({ queue: new RedisTaskQueue('default', other.connect('wo')), id: 'wo', concurrency: 4 }, environment);
    world.workers.push(worker);
    return { other, environment, worker };
  }

  it('resumed in the second: the first is cleared too', async () => {
    const { other, environment, worker } = two();
    const id = fresh('two');
    const flow = new Workflow(environment, id, sequence(
      each(task('a', (n: number) => n + 1)).withExecution(at('redis://main')),
      each(task('b', (n: number) => n * 10)).withExecution(at('redis://other')),
    ));
    await world.started('w1');
    const store = memoryStore();
    const first = flow.start([1, 2, 3], { store, runId: 'r1', clock: world.clock });
    first.result.catch(() => undefined);
    await world.until(() => other.list(other.keys.queue('default')).length === 3);
    expect(keysOf(world.server)).not.toEqual([]);
    first.actor.stop();
    await world.pass(3000);
    const second = await flow.resume(store, 'r1', { clock: world.clock });
    await world.within(worker.start(), 100);
    expect(await world.run(second)).toEqual([20, 30, 40]);
    await world.pass(20_000);
    expect([keysOf(world.server), keysOf(other)]).toEqual([[], []]);
  });

  it('that are one server under two names', async () => {
    const environment: Environment = { ...world.environment, connect: (s) => { const t = world.server.connect(`x${(names += 1)}`); return { key: (s as { url: string }).url, lists: t.lists, signals: t.signals }; } };
    for (const journalled of [false, true]) {
      const flow = new Workflow(environment, fresh('names'), parallel(
        task('left', (n: number) => Array.from({ length: 20 }, (_, i) => n + i)).to(each(task('a', (n: number) => n + 1)).withExecution(at('redis://localhost'))).as('l'),
        task('right', (n: number) => Array.from({ length: 20 }, (_, i) => n + i)).to(each(task('b', (n: number) => n * 10)).withExecution(at('redis://127.0.0.1'))).as('r'),
      ).withExecution({ backend: 'local' }));
      if (!journalled) await world.started('w1');
      const run = flow.start(1, { clock: world.clock, ...(journalled ? { store: memoryStore() } : {}) });
      const result = await world.within(run.result, 60_000).then(() => 'ok', (e: unknown) => String(e).slice(0, 300));
      expect.soft(result, String(journalled)).toBe('ok');
      run.actor.stop();
      await world.pass(30_000);
    }
  });
});

describe('leftovers', () => {
  it('of a run that was cancelled, whose coordinator died before it had said so', async () => {
    const flow = world.workflow(fresh('left'), each(task('a', (n: number) => n + 1)).withExecution(at('redis://main', { queue: 'special' })));
    const store = memoryStore();
    const first = flow.start([1, 2, 3], { store, runId: 'r2', clock: world.clock });
    first.result.catch(() => undefined);
    await world.until(() => world.server.list(world.server.keys.queue('special')).length === 3);
    world.server.faults = { before: ({ name }) => (name === 'cancel' || name === 'release' || name === 'acquire' ? { error: new Error('dead') as never } : undefined) };
    first.cancel('enough');
    await world.pass(30_000);
    world.server.faults = {};
    const second = await flow.resume(store, 'r2', { clock: world.clock }).catch((e: unknown) => e);
    await world.pass(30_000);
    void second;
    expect(keysOf(world.server).filter((key) => !key.endsWith('cancel:r2'))).toEqual([]);
  });
});


describe('a new run by the id of another one, in a store of its own', () => {
  const flowOf = () => world.workflow(fresh('same'), each(task('a', async (n: number) => {
    await new Promise<void>((resolve) => void world.clock.after(300, resolve));
    return n + 1;
  })).withExecution(onRedis));

  it('meets nothing of what the other one has left behind', async () => {
    const flow = flowOf();
    const older = flow.start([1, 2], { clock: world.clock, store: memoryStore(), runId: 'same' });
    older.result.catch(() => undefined);
    await world.until(() => world.server.list(world.server.keys.queue('default')).length === 2);
    older.actor.stop();
    await world.pass(5000);
    const newer = flow.start([100, 200], { clock: world.clock, store: memoryStore(), runId: 'same' });
    await world.started('w1', { concurrency: 1 });
    expect(await world.run(newer)).toEqual([101, 201]);
  });

  it.each([[false], [true]])('does not disturb the other one, cancelled at once: %s', async (isCancelled) => {
    const flow = flowOf();
    const older = flow.start([1, 2, 3, 4], { clock: world.clock, store: memoryStore(), runId: 'same' });
    await world.started('w1', { concurrency: 1 });
    await world.pass(400);
    const newer = flow.start([100, 200, 300, 400], { clock: world.clock, store: memoryStore(), runId: 'same' });
    newer.result.catch(() => undefined);
    if (isCancelled) newer.on(({ type }) => type === 'run.started' && newer.cancel());
    expect(await world.run(older)).toEqual([2, 3, 4, 5]);
    if (isCancelled) await expect(world.run(newer)).rejects.toMatchObject({ code: 'run/cancelled' });
    else expect(await world.run(newer)).toEqual([101, 201, 301, 401]);
  });
});

describe('a group that is left from outside while its members are parked', () => {
  it('is over for the workers and in the lists, and not only when the run ends', async () => {
    const signal = fresh('never');
    const group = parallel(
      each(task('begin', (n: number) => n).to(waitFor(signal))).withExecution(onRedis).as('away'),
      task('wait', async () => {
        await new Promise<void>((resolve) => void world.clock.after(5000, resolve));
        throw new Error('the others are not wanted');
      }).as('fails'),
    ).withExecution({ backend: 'local' }).withPolicy({ failFast: true }).recover('go-on', () => 'on');
    const flow = world.workflow(fresh('left'), group.to(waitFor(fresh('end'))));
    await world.started('w1', { concurrency: 8 });
    const run = flow.start([1, 2, 3, 4, 5, 6], { clock: world.clock, store: memoryStore(), runId: fresh('left') });
    run.result.catch(() => undefined);
    const parts = (): readonly string[] => [...world.server.all().keys()].filter((key) => key.includes(':grp:') && !key.endsWith(':graph'));
    await world.until(() => run.status().waitsFor.filter(({ kind }) => kind === 'signal').length === 6);
    expect(parts()).toHaveLength(1);
    await world.pass(60_000);
    expect(run.status().waitsFor).toMatchObject([{ kind: 'signal' }]);
    expect(parts()).toEqual([]);
    run.cancel();
    await expect(world.run(run)).rejects.toMatchObject({ code: 'run/cancelled' });
  });
});

/** A run with two members, the first of which has the end that somebody has put into its results. */
async function withEnd(end: string, store = memoryStore()) {
  const flow = world.workflow(fresh('forged'), each(task('a', (n: number) => n + 1)).withExecution(onRedis).withPolicy('bestEffort'));
  const run = flow.start([1, 2], { clock: world.clock, store, runId: 'forged' });
  await world.until(() => world.server.list(world.server.keys.queue('default')).length === 2);
  const unit = unitHeader(world.server.list(world.server.keys.queue('default'))[0] as string);
  const id = unit?.id;
  world.server.put(world.server.keys.results(unit?.run ?? ''), [`R|${id}|1|{"v":1,"ends":[${end}],"worker":"x","startedAt":1,"durationMs":1}`]);
  await world.pass(5000);
  // The forged result stood beside its unit.
  world.problems.splice(0);
  return { flow, run, store };
}

describe('a result that nobody but a forger writes', () => {
  it.each([
    ['a signal by a name that every object has', '{"kind":"ended","cell":[1],"steps":1,"signals":{"constructor":[[1]]}}'],
    ['the same with __proto__', '{"kind":"ended","cell":[1],"steps":1,"signals":{"__proto__":[[1]]}}'],
    ['a branch with an own __proto__ key', '{"kind":"parked","branch":{"x":{"__proto__":{"a":1}}},"waits":[],"steps":1}'],
    ['a branch that looks like an actor', '{"kind":"parked","branch":{"x":{"xstate$$type":1,"id":"x"}},"waits":[],"steps":1}'],
    ['a branch that is too deep for whoever walks it', `{"kind":"parked","branch":{"x":${'['.repeat(5000)}${']'.repeat(5000)}},"waits":[],"steps":1}`],
    ['fragments that are no graphs', '{"kind":"parked","branch":{"fragments":{"x":5}},"waits":[],"steps":1}'],
    ['an impossible number of steps', '{"kind":"ended","cell":[1],"steps":-1}'],
  ])('%s fails its member, and the run can be resumed and goes on', async (_, end) => {
    const { flow, run, store } = await withEnd(end);
    await run.checkpoint();
    run.result.catch(() => undefined);
    run.actor.stop();
    await world.pass(3000);
    const again = await flow.resume(store, 'forged', { clock: world.clock });
    await world.started('w1');
    expect(await world.run(again)).toEqual([null, 3]);
  });
});

describe('an element of the results that is no text', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.dispose());

  it('is trimmed like any other', async () => {
    const { lists } = connectTransport(redisSettings({ url: server.url }, 'here'));
    const raw = server.client();
    const acquired = await lists.acquire({ run: 'r', nonce: 'n' });
    if (acquired.status !== 'acquired') throw new Error(acquired.status);
    const held = { run: 'r', fence: acquired.fence };
    for (const text of [Buffer.from([0xff, 0xfe, 0x00]), Buffer.concat([Buffer.from('R|'), Buffer.from([0xff]), Buffer.from('|1|{}')])]) {
      await raw.rpush('{taskchart}:res:r', text);
      const taken = await lists.take({ ...held, most: 10 });
      const items = taken.status === 'ok' ? taken.items : [];
      expect(await lists.trim({ ...held, count: 1, last: resultHeader(items[0] as string) })).toEqual({ status: 'ok' });
      expect(await raw.llen('{taskchart}:taken:r')).toBe(0);
    }
    await lists.close();
  });
});
