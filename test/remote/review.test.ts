/** What reviews of the distributed part have found. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createActor } from 'xstate';
import { each, sequence, task, parallel } from 'taskchart';
import { memoryStore } from 'taskchart/stores';
import { SimulatedServer } from '../../src/adapters/simulated/lists.ts';
import { unitHeader } from '../../src/core/messages.ts';
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
    const environment: Environment = { ...world.environment, connect: (s) => { const t = world.server.connect(`x${Math.random()}`); return { key: (s as { url: string }).url, lists: t.lists, signals: t.signals }; } };
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

describe('forged ends', () => {
  const cases: Record<string, unknown> = {
    signalProto: JSON.parse('{"kind":"ended","cell":[1],"steps":1,"signals":{"__proto__":[[1]]}}'),
    signalCtor: { kind: 'ended', cell: [1], steps: 1, signals: { constructor: [[1]] } },
    channelProto: { kind: 'ended', cell: [1], steps: 1, channel: [{ op: 'append', key: '__proto__', value: 1 }] },
    countsUnknown: { kind: 'ended', cell: [1], steps: 1, counts: { nobody: 3 } },
    stepsHuge: { kind: 'ended', cell: [1], steps: Number.MAX_SAFE_INTEGER },
    parkedUnknown: { kind: 'parked', branch: {}, waits: [{ node: 'nobody', signal: 'x', since: 1 }], steps: 1 },
    parkedDue: { kind: 'parked', branch: {}, waits: [], due: { node: 'nobody', dueAt: 5, why: 'sleep', attempt: 1 }, steps: 1 },
    parkedFragments: { kind: 'parked', branch: { fragments: { x: 5 } }, waits: [], steps: 1 },
    parkedFragments2: { kind: 'parked', branch: { fragments: 'abc' }, waits: [], steps: 1 },
    nullEnd: [null],
    errorNoise: { kind: 'ended', cell: { error: 5 }, steps: 1 },
    told: { kind: 'ended', cell: [1], steps: 1, told: [{ type: 'task.failed', at: 1, task: 'a', key: 'k', attempt: 1, error: 7 }] },
    twoValues: [1, 2],
  };
  it.each(Object.keys(cases))('%s', async (name) => {
    const seen: unknown[] = [];
    const flow = world.workflow(fresh('forged'), each(task('a', (n: number) => n + 1)).withExecution(onRedis).withPolicy('bestEffort'));
    const run = flow.start([1, 2], { clock: world.clock });
    run.on((event) => void seen.push(event));
    run.result.catch(() => undefined);
    await world.until(() => world.server.list(world.server.keys.queue('default')).length === 2);
    const key = unitHeader(world.server.list(world.server.keys.queue('default'))[0] as string)?.run as string;
    const text = (index: number): string => `R|${unitHeader(world.server.list(world.server.keys.queue('default'))[index] as string)?.id}|1|${JSON.stringify({ v: 1, ends: [cases[name]], worker: 'x', startedAt: 1, durationMs: 1 })}`;
    world.server.put(world.server.keys.results(key), [text(0)]);
    await world.pass(5000);
    world.problems.splice(0);
    expect(JSON.stringify(run.status())).not.toContain('nvariant');
    await world.started('w1');
    const result = await world.within(run.result, 60_000).then((v) => v, (e: unknown) => e as Error);
    console.log(name, result instanceof Error ? `${(result as { code?: string }).code} ${result.message}` : JSON.stringify(result));
    world.problems.splice(0);
  });
});

describe('growth', () => {
  it('of a loop over groups with a large input', async () => {
    let most = 0;
    const make = task('make', (n: number) => ({ n, big: 'x'.repeat(10_000) }));
    const flow = world.workflow(fresh('loop'), sequence(
      make,
      parallel(task('a', (v: { n: number; big: string }) => v.n), task('b', (v: { n: number; big: string }) => v.n)).withExecution(onRedis),
      task('again', ({ a }: { a: number; b: number }, ctx) => {
        most = Math.max(most, keysOf(world.server).filter((key) => key.includes(':grp:')).length);
        if (a < 30) return ctx.goto(make, a + 1);
        return a;
      }),
    ));
    await world.started('w1');
    const run = flow.start(0, { clock: world.clock, store: memoryStore() });
    console.log('loop', await world.run(run).catch((e: unknown) => String(e)), 'shared parts', most, world.logs.slice(-2));
    expect(most).toBeLessThan(5);
  });
});

describe('embedded', () => {
  it('stopped and restored', async () => {
    const flow = world.workflow(fresh('embedded'), each(task('a', (n: number) => n + 1)).withExecution(onRedis));
    const actor = createActor(flow.machine, { input: [1, 2, 3] });
    actor.start();
    await world.until(() => world.server.list(world.server.keys.queue('default')).length === 3);
    const snapshot = JSON.parse(JSON.stringify(actor.getPersistedSnapshot())) as never;
    actor.stop();
    await world.pass(5000);
    expect(keysOf(world.server).filter((key) => !key.includes(':cancel:'))).toEqual([]);
    const again = createActor(flow.machine, { snapshot, input: [1, 2, 3] } as never);
    again.start();
    await world.started('w1');
    await world.until(() => again.getSnapshot().status !== 'active');
    expect(again.getSnapshot().output).toEqual([2, 3, 4]);
    await world.pass(5000);
    expect(keysOf(world.server).filter((key) => !key.includes(':cancel:'))).toEqual([]);
  });
});

describe('poisoned snapshots', () => {
  it.each([
    ['branch', '{"kind":"parked","branch":{"x":{"__proto__":{"a":1}}},"waits":[{"node":"a","signal":"x","since":1}],"steps":1}'],
    ['actor', '{"kind":"parked","branch":{"x":{"xstate$$type":1,"id":"x"}},"waits":[{"node":"a","signal":"x","since":1}],"steps":1}'],
    ['details', '{"kind":"ended","cell":{"error":{"name":"E","message":"m","details":{"__proto__":{"a":1}}}},"steps":1}'],
    ['detailsactor', '{"kind":"ended","cell":{"error":{"name":"E","message":"m","details":{"z":{"xstate$$type":1,"id":"x"}}}},"steps":1}'],
    ['cancelreason', '{"kind":"ended","cell":{"error":{"name":"E","message":"m","cause":{"name":"F","message":"z","details":{"__proto__":{"a":1}}}}},"steps":1}'],
    ['question', '{"kind":"parked","branch":{},"waits":[{"node":"a","signal":"x","since":1,"question":{"__proto__":1}}],"steps":1}'],
    ['key', '{"kind":"ended","cell":[1],"steps":1,"channel":[{"op":"set","key":"__proto__","value":{"polluted":1}}]}'],
    ['dueerror', '{"kind":"parked","branch":{},"waits":[],"due":{"node":"a","dueAt":99999999999,"why":"retry","attempt":1,"error":{"name":{"a":1},"message":5}},"steps":1}'],
    ['fragments', '{"kind":"parked","branch":{"fragments":{"f":{"nodes":{"a":{"kind":"task","id":"a"}},"entry":"a"}}},"waits":[{"node":"zzz","signal":"x","since":1}],"steps":1}'],
    ['since', '{"kind":"parked","branch":{},"waits":[{"node":"a","signal":"constructor","since":1e308}],"steps":1}'],
  ])('%s', async (name, end) => {
    const store = memoryStore();
    const flow = world.workflow(fresh('poison'), each(task('a', (n: number) => n + 1)).withExecution(onRedis).withPolicy('bestEffort'));
    const run = flow.start([1, 2], { clock: world.clock, store, runId: 'p1' });
    run.result.catch(() => undefined);
    await world.until(() => world.server.list(world.server.keys.queue('default')).length === 2);
    const id = unitHeader(world.server.list(world.server.keys.queue('default'))[0] as string)?.id;
    world.server.put(world.server.keys.results('p1'), [`R|${id}|1|{"v":1,"ends":[${end}],"worker":"x","startedAt":1,"durationMs":1}`]);
    await world.pass(5000);
    world.problems.splice(0);
    await run.checkpoint();
    const status = run.status();
    run.actor.stop();
    await world.pass(3000);
    const again = await flow.resume(store, 'p1', { clock: world.clock }).then((r) => r, (e: unknown) => e as Error);
    console.log(name, status.state, JSON.stringify(status.waitsFor), again instanceof Error ? `RESUME ${(again as { code?: string }).code} ${again.message}` : 'resumed');
    if (!(again instanceof Error)) {
      try { again.signal('x', 1); } catch (e) { console.log(name, 'signal', String(e)); }
      await world.started('w1');
      await world.pass(3000);
      console.log(name, again.status().state, await Promise.race([again.result.then((v) => JSON.stringify(v), (e: unknown) => String(e)), Promise.resolve('open')]));
      again.actor.stop();
    }
    world.problems.splice(0);
    expect(1).toBe(1);
  });
});
