/** A worker over lists that can fail in every way, under a virtual clock. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { each, sequence, sleep, task, waitFor } from 'taskchart';
import { unreachable } from '../../src/adapters/simulated/lists.ts';
import { TransportError } from '../../src/core/errors.ts';
import type { Graph } from '../../src/core/graph.ts';
import { decodeHint, encodeUnit } from '../../src/core/messages.ts';
import { MemoryTaskQueue } from '../../src/runtime/worker/queue.ts';
import { TaskWorker } from '../../src/runtime/worker/worker.ts';
import { HandRun, World, gate, onRedis } from './support/workers.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

let names = 0;
/** Workflows of one id would be ambiguous in this process. */
const fresh = (name: string): string => `${name}-${(names += 1)}`;

/** A workflow with one group of a task that does what a test says. */
function flowOf(run: (n: number, ctx: { readonly signal: AbortSignal; readonly attempt: number; readonly idempotencyKey: string; progress(done: number): void; readonly log: { info(text: string, data?: unknown): void } }) => unknown, id = fresh('flow')) {
  return world.workflow(id, each(task('work', (n: number, ctx) => run(n, ctx))).withExecution(onRedis));
}

describe('executing', () => {
  it('never holds more units than it has slots, and begins them in order', async () => {
    let [running, most] = [0, 0];
    const order: number[] = [];
    const flow = flowOf(async (n) => {
      order.push(n);
      most = Math.max(most, (running += 1));
      await new Promise<void>((resolve) => void world.clock.after(100, resolve));
      running -= 1;
      return n;
    });
    const worker = await world.started('w1', { concurrency: 3 });
    const items = Array.from({ length: 10 }, (_, at) => at);
    expect(await world.run(flow.start(items, { clock: world.clock }))).toEqual(items);
    expect(most).toBe(3);
    expect(order).toEqual(items);
    expect(worker.status()).toMatchObject({ state: 'claim', served: 10, refused: 0, running: [], healthy: true });
  });

  it('takes acks and claims together: two steps for a hundred units in fifty slots and what follows', async () => {
    const flow = flowOf((n) => n);
    await world.started('w1', { concurrency: 50 });
    const before = world.count('w1', 'step');
    await world.run(flow.start(Array.from({ length: 100 }, (_, at) => at), { clock: world.clock }));
    expect(world.count('w1', 'step') - before).toBeLessThanOrEqual(6);
  });

  it('keeps inner groups to itself, unless they name another queue', async () => {
    const inner = (queue?: string) => each(task('inner', (n: number) => n * 2)).withExecution({ backend: 'redis', backendConfig: { url: 'redis://127.0.0.1', ...(queue === undefined ? {} : { queue }) } });
    const here = world.workflow(fresh('here'), each(task('list', (n: number) => [n, n + 1]).to(inner())).withExecution(onRedis));
    const there = world.workflow(fresh('there'), each(task('list', (n: number) => [n, n + 1]).to(inner('other'))).withExecution(onRedis));
    const one = await world.started('w1', { concurrency: 1 });
    expect(await world.run(here.start([1, 5], { clock: world.clock }))).toEqual([[2, 4], [10, 12]]);
    expect(one.status().served).toBe(2);
    const two = await world.started('w2', { concurrency: 1, queueName: 'other' });
    expect(await world.run(there.start([1, 5], { clock: world.clock }))).toEqual([[2, 4], [10, 12]]);
    expect([one.status().served, two.status().served]).toEqual([4, 4]);
    await world.pass(60_000);
    expect([...world.server.all().keys()].filter((key) => !/:(lease|workers)/.test(key))).toEqual([]);
  });

  it('sends at most two commands a second while there is nothing to do', async () => {
    await world.started('w1');
    await world.pass(1000);
    const commands = (): number => [...world.calls].reduce((sum, [key, times]) => (key.startsWith('w1 ') ? sum + times : sum), 0);
    const before = commands();
    await world.pass(60_000);
    expect(commands() - before).toBeLessThanOrEqual(120);
    expect(world.count('w1', 'waitUnit')).toBeGreaterThan(20);
  });

  it('refreshes its lease in time while a unit takes long (ACCEPTANCE 36)', async () => {
    const flow = flowOf((n) => new Promise((resolve) => void world.clock.after(33_000, () => resolve(n))));
    await world.started('w1', { concurrency: 1 });
    await world.started('w2', { concurrency: 1 });
    const run = flow.start([7], { clock: world.clock });
    for (let passed = 0; passed < 33_000; passed += 500) {
      await world.pass(500);
      for (const id of ['w1', 'w2']) expect(world.server.timeLeft(world.server.keys.lease(id))).toBeGreaterThan(5000);
    }
    expect(await world.run(run)).toEqual([7]);
  });

  it('says what tasks say at most once a second, and only what there is to say', async () => {
    const heard: string[] = [];
    world.server.connect('viewer').signals.subscribe((text) => void heard.push(text));
    const done = gate();
    const run = await new HandRun(world, 'r', flowOf(async (n, ctx) => {
      for (let at = 0; at < 40; at += 1) {
        ctx.progress(at);
        ctx.log.info(`line ${at}`, at === 39 ? { big: 1n } : undefined);
        await new Promise<void>((resolve) => void world.clock.after(50, resolve));
      }
      await done.wait();
      return n;
    })).begin();
    await world.started('w1');
    await run.units('work', [1]);
    await world.until(() => done.waiting === 1);
    await world.pass(5000);
    const notes = heard.map((text) => decodeHint(text));
    expect(notes.length).toBeLessThanOrEqual(14);
    expect(notes.length).toBeGreaterThan(4);
    expect(notes[0]).toEqual({ kind: 'note', run: 'r', id: '5.0.0', index: 0, note: { kind: 'progress', task: 'work', done: 0 } });
    expect(notes).toContainEqual(expect.objectContaining({ note: expect.objectContaining({ kind: 'log', message: 'line 39', data: '{ big: 1n }' }) }));
    done.open();
    await world.until(() => run.results.length === 1);
    expect(heard).toHaveLength(notes.length);
  });

  it('puts aside what is no unit, with the reason, and goes on (ACCEPTANCE 47)', async () => {
    const run = await new HandRun(world, 'r', flowOf((n) => n)).begin();
    const good = encodeUnit({ attempt: 1, run: 'r', id: '5.9.0', body: { v: 1, group: '5', index: 9, entry: 'work', inputs: [[9]] } });
    await run.texts('garbage', '1|r|5.0.0|no json', '1|r|5.1.0|{"v":7}', `1|r|5.2.0|${JSON.stringify({ v: 1, group: 5 })}`, '', good);
    await world.started('w1', { concurrency: 2 });
    await world.until(() => run.results.length === 4);
    const dead = world.server.list(world.server.keys.dead).map((text) => JSON.parse(text) as { reason: string });
    const reasons = dead.map(({ reason }) => reason).sort();
    expect(reasons).toHaveLength(5);
    for (const [at, reason] of [/group, index or entry is not/, /it is of version 7/, /its body is no JSON/, /^it has no header/, /^it has no header/].entries()) expect(reasons[at]).toMatch(reason);
    expect(run.results.map(({ kind, id }) => `${kind} ${id}`).sort()).toEqual(['dead 5.0.0', 'dead 5.1.0', 'dead 5.2.0', 'ended 5.9.0']);
  });
});

describe('parking', () => {
  it('gives the slot of a branch free that waits, and goes on with it anywhere', async () => {
    const keys: string[] = [];
    const flow = world.workflow(fresh('parks'), each(
      task('before', (n: number, ctx) => (keys.push(`before ${ctx.idempotencyKey}`), n))
        .to(waitFor('go'))
        .to('after', (answer: unknown, ctx) => (keys.push(`after ${ctx.idempotencyKey}`), String(answer))),
    ).withExecution(onRedis));
    const first = await world.started('w1', { concurrency: 1 });
    const run = flow.start([1, 2], { runId: 'r', clock: world.clock });
    await world.until(() => keys.length === 2);
    await world.pass(2000);
    expect(first.status().running).toEqual([]);
    expect(run.status().waitsFor).toMatchObject([{ kind: 'signal', name: 'go' }, { kind: 'signal', name: 'go' }]);
    await world.within(first.drain());
    await world.started('w2', { concurrency: 1 });
    run.signal('go', 'yes');
    run.signal('go', 'and yes');
    expect(await world.run(run)).toEqual(['yes', 'and yes']);
    expect(keys).toEqual(['before r/1.0', 'before r/1.1', 'after r/1.0+2', 'after r/1.1+2']);
  });

  it('asks people from a member: the task runs again from its top, under its key, wherever it is then', async () => {
    const seen: string[] = [];
    const flow = world.workflow(fresh('asks'), each(task('ask', async (n: number, ctx) => {
      seen.push(ctx.idempotencyKey);
      return `${n} ${String(await ctx.ask(`sure-${n}`, { question: `is ${n} right?` }))}`;
    })).withExecution(onRedis));
    const first = await world.started('w1', { concurrency: 1 });
    const run = flow.start([1, 2], { runId: 'r', clock: world.clock });
    await world.until(() => run.status().waitsFor.filter(({ kind }) => kind === 'signal').length === 2);
    expect(run.status().waitsFor).toMatchObject([{ name: 'sure-1', question: 'is 1 right?' }, { name: 'sure-2' }]);
    await world.within(first.drain());
    await world.started('w2');
    run.signal('sure-2', 'no');
    run.signal('sure-1', 'yes');
    expect(await world.run(run)).toEqual(['1 yes', '2 no']);
    expect(seen.sort()).toEqual(['r/1.0', 'r/1.0', 'r/1.1', 'r/1.1']);
  });

  it('stays for a time that is near, and parks for one that is not', async () => {
    const flow = world.workflow(fresh('sleeps'), each(sequence(task('a', (n: number) => n), sleep(900), sleep(1100), task('b', (n) => n))).withExecution(onRedis));
    const worker = await world.started('w1', { concurrency: 1 });
    const run = flow.start([1], { clock: world.clock });
    await world.pass(500);
    expect(worker.status().running).toHaveLength(1);
    await world.pass(1000);
    expect(worker.status().running).toHaveLength(0);
    expect(await world.run(run)).toEqual([1]);
    expect(worker.status().served).toBe(2);
  });

  it('believes the run that the time has come, where the clocks differ', async () => {
    const flow = world.workflow(fresh('skewed'), each(sequence(task('a', (n: number) => n), sleep(60_000), task('b', (n) => n))).withExecution(onRedis));
    const late = { now: () => world.clock.now() - 20_000, after: world.clock.after.bind(world.clock), soon: world.clock.soon.bind(world.clock) };
    const first = await world.started('w1');
    const run = flow.start([1], { clock: world.clock });
    await world.until(() => first.status().served === 1);
    await world.within(first.drain());
    const second = await world.started('w2', { clock: late });
    await world.pass(50_000);
    expect(run.actor.getSnapshot().status).toBe('active');
    await world.pass(10_000);
    expect(await world.run(run, 1000)).toEqual([1]);
    expect(second.status().served).toBe(1);
  });
});

describe('draining', () => {
  it('claims nothing new, finishes what it has, and leaves (ACCEPTANCE 40)', async () => {
    const held = gate<number>();
    const begun: number[] = [];
    const run = await new HandRun(world, 'r', flowOf((n) => (begun.push(n), held.wait()))).begin();
    const worker = await world.started('w1', { concurrency: 2 });
    await run.units('work', [1, 2, 3]);
    await world.until(() => begun.length === 2);
    const drained = worker.drain();
    await world.pass(3000);
    expect(worker.status().state).toBe('drain');
    held.open(5);
    await world.within(drained, 5000);
    expect(begun).toEqual([1, 2]);
    expect(run.ends).toEqual({ '5.0.0': [[5]], '5.1.0': [[5]] });
    expect(world.server.list(world.server.keys.queue('default'))).toHaveLength(1);
    expect(world.server.list(world.server.keys.lease('w1'))).toEqual([]);
    expect(await worker.ended).toEqual({ kind: 'drained' });
  });

  it('gives back what does not end in time, with the attempt that it had', async () => {
    const aborted: number[] = [];
    const run = await new HandRun(world, 'r', flowOf((n, { signal }) => new Promise(() => signal.addEventListener('abort', () => aborted.push(n))))).begin();
    const worker = await world.started('w1', { concurrency: 2, drainMs: 4000 });
    await run.units('work', [1, 2]);
    await world.until(() => worker.status().running.length === 2);
    const drained = worker.drain();
    await world.pass(3900);
    expect(aborted).toEqual([]);
    await world.within(drained, 2000);
    expect(aborted.sort()).toEqual([1, 2]);
    expect(world.server.list(world.server.keys.queue('default')).map((text) => text.slice(0, 9)).sort()).toEqual(['1|r|5.0.0', '1|r|5.1.0']);
  });

  it('gives back at once when it is told twice, and at once when it is stopped', async () => {
    for (const how of ['drain', 'stop'] as const) {
      const run = await new HandRun(world, how, flowOf(() => new Promise(() => undefined))).begin();
      const worker = await world.started(`w-${how}`, { concurrency: 2 });
      await run.units('work', [1]);
      await world.until(() => worker.status().running.length === 1);
      if (how === 'drain') void worker.drain();
      await world.within(how === 'drain' ? worker.drain() : worker.stop(), 200);
      expect(world.server.list(world.server.keys.queue('default'))).toHaveLength(1);
      await run.cancel('*');
    }
  });

  it('hands a branch over that has come some way: no finished step is repeated', async () => {
    const seen: string[] = [];
    const held = gate();
    const flow = world.workflow(fresh('steps'), each(
      task('one', (n: number, ctx) => (seen.push(`one ${ctx.idempotencyKey}`), n))
        .to('two', async (n: number, ctx) => { seen.push(`two ${ctx.idempotencyKey}`); await held.wait(); return n + 1; })
        .to('three', (n: number, ctx) => (seen.push(`three ${ctx.idempotencyKey}`), n * 10)),
    ).withExecution(onRedis));
    const first = await world.started('w1');
    const run = flow.start([1], { runId: 'r', clock: world.clock });
    await world.until(() => held.waiting === 1);
    const drained = first.drain();
    await world.pass(500);
    held.open();
    await world.within(drained, 5000);
    expect(seen).toEqual(['one r/1.0', 'two r/1.0+1']);
    await world.started('w2');
    expect(await world.run(run)).toEqual([20]);
    expect(seen.slice(2)).toEqual(['three r/1.0+2']);
  });

  it('hands it over at the deadline too; only what was in flight is repeated, under its key', async () => {
    const seen: string[] = [];
    const flow = world.workflow(fresh('steps'), each(
      task('one', (n: number, ctx) => (seen.push(`one ${ctx.idempotencyKey}`), n)).to('two', (n: number, ctx) => {
        seen.push(`two ${ctx.idempotencyKey}`);
        return seen.length > 2 ? n + 1 : new Promise<number>(() => undefined);
      }),
    ).withExecution(onRedis));
    const first = await world.started('w1', { drainMs: 1000 });
    const run = flow.start([1], { runId: 'r', clock: world.clock });
    await world.until(() => seen.length === 2);
    await world.within(first.drain(), 5000);
    await world.started('w2');
    expect(await world.run(run)).toEqual([2]);
    expect(seen).toEqual(['one r/1.0', 'two r/1.0+1', 'two r/1.0+1']);
  });

  it('hands a branch over in the middle of a fan-out of its own, as soon as nothing of it is being executed', async () => {
    const seen: number[] = [];
    const flow = world.workflow(fresh('inner'), each(
      task('list', () => Array.from({ length: 200 }, (_, at) => at)).to(each(task('one', async (n: number) => {
        seen.push(n);
        await new Promise<void>((resolve) => void world.clock.after(100, resolve));
        return n;
      })).withExecution({ backend: 'local', concurrency: 10 })),
    ).withExecution(onRedis));
    const first = await world.started('w1');
    const run = flow.start([1], { clock: world.clock });
    await world.until(() => seen.length > 50);
    const at = world.clock.now();
    await world.within(first.drain(), 5000);
    expect(world.clock.now() - at).toBeLessThan(3000);
    const before = seen.length;
    expect(before).toBeLessThan(150);
    await world.started('w2');
    expect(await world.run(run)).toEqual([Array.from({ length: 200 }, (_, one) => one)]);
    expect(seen).toHaveLength(200);
  });

  it('leaves at once where it never worked, and says so where it cannot give back', async () => {
    const idle = world.worker('idle');
    await world.within(idle.drain(), 100);
    const run = await new HandRun(world, 'r', flowOf(() => new Promise(() => undefined))).begin();
    const worker = await world.started('w1');
    await run.units('work', [1]);
    await world.until(() => worker.status().running.length === 1);
    world.server.stop();
    const stopped = worker.stop();
    await expect(world.within(stopped, 10_000)).rejects.toMatchObject({ code: 'transport/unreachable' });
    expect((await worker.ended).kind).toBe('failed');
    world.server.start();
  });
});

describe('lost connections', () => {
  it.each([
    ['before the step is executed', 'before'],
    ['after it was executed, before its reply', 'after'],
  ] as const)('hands its results in once more when a step is lost %s', async (_, when) => {
    const begun: number[] = [];
    const flow = flowOf((n) => (begun.push(n), n));
    const worker = await world.started('w1', { concurrency: 2 });
    let lost = 0;
    world.server.faults = {
      [when]: ({ client, name, request }: { client: string; name: string; request: unknown }) => {
        if (client !== 'w1' || name !== 'step' || (request as { acks: unknown[] }).acks.length === 0 || lost >= 3) return undefined;
        lost += 1;
        return { error: unreachable() };
      },
    };
    expect(await world.run(flow.start([1, 2, 3, 4, 5], { clock: world.clock }))).toEqual([1, 2, 3, 4, 5]);
    expect(lost).toBe(3);
    expect(begun.sort()).toEqual([1, 2, 3, 4, 5]);
    await world.pass(1000);
    expect(worker.status().problem).toBeUndefined();
    expect(world.logs.map(({ message }) => message)).toContain('the connection is back');
  });

  it('executes a unit that a lost claim has brought', async () => {
    const flow = flowOf((n) => n);
    await world.started('w1', { concurrency: 2 });
    let lost = 0;
    world.server.faults = { after: ({ client, name }) => (client === 'w1' && (name === 'step' || name === 'waitUnit') && (lost += 1) <= 2 ? { error: unreachable() } : undefined) };
    expect(await world.run(flow.start([1, 2, 3], { clock: world.clock }))).toEqual([1, 2, 3]);
    expect(lost).toBeGreaterThan(1);
  });

  it('executes a unit that a wait has brought of which it heard no more', async () => {
    const flow = flowOf((n) => n);
    const worker = await world.started('w1', { concurrency: 1 });
    await world.pass(100);
    world.server.cut({ zombies: true });
    const run = flow.start([1], { clock: world.clock });
    expect(await world.run(run, 20_000)).toEqual([1]);
    expect(worker.status().running).toEqual([]);
  });

  it('stops what it is executing when its slots have been given to others meanwhile (ACCEPTANCE 35)', async () => {
    const seen: [string, number][] = [];
    const aborted: number[] = [];
    const held = gate<number>();
    const flow = flowOf(async (n, ctx) => {
      seen.push([ctx.idempotencyKey, n]);
      ctx.signal.addEventListener('abort', () => aborted.push(n));
      return seen.length === 1 ? held.wait() : n * 10;
    });
    const first = await world.started('w1', { concurrency: 1 });
    const run = flow.start([4], { runId: 'r', clock: world.clock });
    await world.until(() => held.waiting === 1);
    // w1 hears nothing of the lists for longer than its lease; w2 does.
    world.server.faults = { before: ({ client }) => (client === 'w1' ? { error: unreachable() } : undefined) };
    await world.started('w2', { concurrency: 1 });
    expect(await world.run(run, 40_000)).toEqual([40]);
    expect(aborted).toEqual([]);
    expect(first.status()).toMatchObject({ state: 'reconnect', healthy: false });
    world.server.faults = {};
    await world.pass(10_000);
    expect(aborted).toEqual([4]);
    held.open(0);
    await world.pass(1000);
    expect(first.status()).toMatchObject({ state: 'claim', running: [], healthy: true });
    expect(seen).toEqual([['r/1.0', 4], ['r/1.0', 4]]);
  });

  it('does not accept a stale result, and goes on', async () => {
    const held = gate<number>();
    let times = 0;
    const flow = flowOf((n) => ((times += 1) === 1 ? held.wait() : n));
    const first = await world.started('w1', { concurrency: 1 });
    const run = flow.start([4], { clock: world.clock });
    await world.until(() => held.waiting === 1);
    // As after SIGSTOP: its lease ran out while nothing of it moved.
    world.server.put(world.server.keys.lease('w1'), []);
    const second = await world.started('w2', { concurrency: 1 });
    await world.until(() => second.status().served === 1);
    held.open(-1);
    expect(await world.run(run)).toEqual([4]);
    await world.until(() => first.status().refused === 1 || first.status().running.length === 0, 20_000);
    expect(await world.run(flow.start([1, 2], { clock: world.clock }))).toEqual([1, 2]);
  });

  it('stops its other units as soon as it hears that one of them is not its own any more', async () => {
    const aborted: number[] = [];
    const held = gate<number>();
    const run = await new HandRun(world, 'r', flowOf((n, { signal }) => {
      signal.addEventListener('abort', () => aborted.push(n));
      return n === 1 ? held.wait() : new Promise(() => undefined);
    })).begin();
    await world.started('w1', { concurrency: 2 });
    await run.units('work', [1, 2]);
    await world.until(() => held.waiting === 1);
    // Others have taken all that it had, and it has its lease again.
    for (const slot of [0, 1]) world.server.put(world.server.keys.slot('w1', slot), []);
    await world.pass(100);
    held.open(1);
    await world.pass(500);
    expect(aborted).toEqual([2]);
    expect(run.results).toEqual([]);
  });

  it('survives that the lists are emptied (ACCEPTANCE 39)', async () => {
    const flow = flowOf((n) => new Promise((resolve) => void world.clock.after(300, () => resolve(n))));
    const worker = await world.started('w1', { concurrency: 2 });
    const run = flow.start([1, 2, 3, 4, 5, 6], { clock: world.clock });
    await world.pass(400);
    world.server.flush();
    expect(await world.run(run, 120_000)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(worker.status().state).toBe('claim');
    expect(world.server.list(world.server.keys.workers)).toEqual(['w1|2|default']);
  });

  it('backs off, and never ends, whatever the lists answer', async () => {
    const worker = await world.started('w1');
    const before = world.count('w1', 'step');
    const errors = [unreachable(), new TransportError('transport/forbidden', 'no', { details: { retryable: false } }), new Error('a bug'), 'no error at all' as unknown as Error];
    let at = 0;
    world.server.faults = { after: ({ client }) => (client === 'w1' ? { error: errors[(at += 1) % errors.length] as Error } : undefined) };
    await world.pass(60_000);
    expect(worker.status()).toMatchObject({ state: 'reconnect', healthy: false });
    // With at most five seconds between two tries, and some below.
    expect(at).toBeLessThan(60);
    expect(at).toBeGreaterThan(10);
    world.server.faults = {};
    await world.pass(10_000);
    expect(worker.status()).toMatchObject({ state: 'claim', healthy: true, problem: undefined });
    expect(world.count('w1', 'step')).toBeGreaterThan(before);
  });

  it('waits for a server that is not there yet', async () => {
    world.server.stop();
    const worker = world.worker('w1');
    const started = worker.start();
    await world.pass(20_000);
    expect(worker.status()).toMatchObject({ state: 'register', healthy: false, problem: expect.stringContaining('lost') });
    world.server.start();
    await world.within(started, 10_000);
    expect(worker.status().state).toBe('claim');
  });

  it('fails at once where it could never work', async () => {
    world.server.faults = { before: () => ({ error: new TransportError('transport/auth', 'Redis refused the password', { hint: 'check it', details: { retryable: false } }) }) };
    const worker = world.worker('w1');
    await expect(world.within(worker.start(), 1000)).rejects.toMatchObject({ code: 'transport/auth', hint: 'check it' });
    expect(await worker.ended).toMatchObject({ kind: 'failed', error: { code: 'transport/auth' } });
    expect(world.logs).toContainEqual(expect.objectContaining({ level: 'error', message: 'Redis refused the password' }));
  });
});

describe('cancelling', () => {
  it.each([['all of the run', '*'], ['a group', '5'], ['a unit', '5.0.0']])('stops what is being executed when %s is cancelled', async (_, entry) => {
    const aborted: unknown[] = [];
    const run = await new HandRun(world, 'r', flowOf((_n, { signal }) => new Promise(() => signal.addEventListener('abort', () => aborted.push(signal.reason))))).begin();
    const worker = await world.started('w1', { concurrency: 1 });
    await run.units('work', [1, 2]);
    await world.until(() => worker.status().running.length === 1);
    await run.cancel(entry);
    await world.pass(100);
    expect(aborted).toMatchObject([{ code: 'run/cancelled' }]);
    expect(worker.status().running).toHaveLength(entry === '5.0.0' ? 1 : 0);
    expect(run.results).toEqual([]);
  });

  it('stops it also where the signal was lost, with the next step', async () => {
    world.server.faults = { signal: () => [] };
    const run = await new HandRun(world, 'r', flowOf(() => new Promise(() => undefined))).begin();
    const worker = await world.started('w1', { concurrency: 1 });
    await run.units('work', [1]);
    await world.until(() => worker.status().running.length === 1);
    await run.cancel('*');
    await world.pass(200);
    expect(worker.status().running).toHaveLength(1);
    await world.pass(4000);
    expect(worker.status().running).toHaveLength(0);
  });

  it('is not moved by signals of others, or forged ones', async () => {
    const run = await new HandRun(world, 'r', flowOf(() => new Promise(() => undefined))).begin();
    const worker = await world.started('w1', { concurrency: 1 });
    await run.units('work', [1]);
    await world.until(() => worker.status().running.length === 1);
    for (const text of ['C|other|*', 'C|r|6', 'C|r|5.1.0', 'C|r', 'C|||', 'N|r|5.0.0|0|{}', 'x'.repeat(10_000)]) run.client.signals.publish(text);
    await world.pass(500);
    expect(worker.status().running).toHaveLength(1);
  });

  it('drops what nobody waits for any more', async () => {
    const run = await new HandRun(world, 'r', flowOf(() => new Promise(() => undefined))).begin();
    const worker = await world.started('w1', { concurrency: 1 });
    await run.units('work', [1]);
    await world.until(() => worker.status().running.length === 1);
    await world.within(run.client.lists.release({ run: 'r', fence: run.fence, queues: ['default'], shared: ['5'] }), 1000);
    await world.pass(5000);
    expect(worker.status().running).toEqual([]);
    expect(world.server.list(world.server.keys.slot('w1', 0))).toEqual([]);
  });
});

describe('tasks that a worker does not know', () => {
  const stranger: Graph = {
    format: 'taskchart/graph', version: 1, workflow: 'stranger', root: 'group', uses: [],
    nodes: {
      group: { kind: 'each', id: 'group', body: 'known-by-id', policy: { kind: 'strict' }, execution: { backend: 'redis', concurrency: 10 } },
      'known-by-id': { kind: 'task', id: 'known-by-id', next: 'inner/of-an-embedded' },
      'inner/of-an-embedded': { kind: 'task', id: 'inner/of-an-embedded' },
      unknown: { kind: 'task', id: 'unknown' },
    },
  };
  const hashed = async (graph: Graph) => ({ graph, definition: { graphHash: (await import('../../src/define/graph-hash.ts')).hashGraph(graph) } });

  it('executes tasks of a workflow that it does not have, found by their ids', async () => {
    const other = task('aside', (n: number) => `aside ${n}`);
    const kept = [task('known-by-id', (n: number, ctx): unknown => (n === 2 ? ctx.goto(other, n) : n + 1)), task('of-an-embedded', (n: number) => n * 2)];
    const run = await new HandRun(world, 'r', await hashed(stranger)).begin(stranger);
    await world.started('w1');
    await run.units('known-by-id', [1, 2]);
    await world.until(() => run.results.length === 2);
    expect(run.ends['5.0.0']).toMatchObject([{ kind: 'ended', cell: 4 }]);
    expect(run.ends['5.1.0']).toMatchObject([{ kind: 'ended', cell: 'aside 2' }]);
    expect(kept).toHaveLength(2);
  });

  it('gives the unit back until all workers have seen it, and then fails it, naming what it knows (ACCEPTANCE 42)', async () => {
    const run = await new HandRun(world, 'r', await hashed(stranger)).begin(stranger);
    await world.started('w1');
    await world.started('w2');
    const steps = (): number => world.count('w1', 'step') + world.count('w2', 'step');
    await run.units('unknown', [1, 2, 3]);
    const before = steps();
    await world.pass(8000);
    expect(run.results).toEqual([]);
    // It goes to and fro, but not as fast as it could.
    expect(steps() - before).toBeLessThan(200);
    await world.until(() => run.results.length === 3, 10_000);
    const [end] = run.ends['5.0.0'] ?? [];
    expect(end).toMatchObject({ kind: 'ended', cell: { error: { name: 'TaskError', code: 'task/unknown-task', details: { task: 'unknown', workflow: 'stranger' } } } });
    expect(JSON.stringify(end)).toMatch(/no worker of the queue \\"default\\" knows task \\"unknown\\" of workflow \\"stranger\\": worker \\"w\d\\" knows the workflows .* and the tasks /);
  });

  it('leaves it to a worker that comes later', async () => {
    const run = await new HandRun(world, 'r', await hashed(stranger)).begin(stranger);
    await world.started('w1');
    await run.units('unknown', [1]);
    await world.pass(2000);
    // Another worker is live and has not seen it; that it may be dead is found out by its lease.
    world.server.put(world.server.keys.workers, [...world.server.list(world.server.keys.workers), 'other|1|default']);
    world.server.put(world.server.keys.lease('other'), ['x']);
    await world.pass(20_000);
    expect(run.results).toEqual([]);
    world.server.put(world.server.keys.lease('other'), []);
    await world.until(() => run.results.length === 1, 10_000);
  });

  it('executes what it knows in between', async () => {
    const strange = await new HandRun(world, 'strange', await hashed(stranger)).begin(stranger);
    const run = await new HandRun(world, 'r', flowOf((n) => n)).begin();
    await world.started('w1', { concurrency: 1 });
    await strange.units('unknown', [1, 2]);
    await run.units('work', Array.from({ length: 20 }, (_, at) => at));
    await world.until(() => run.results.length === 20, 5000);
    expect(strange.results).toEqual([]);
  });

  it('fails a unit whose shared part is gone, and one whose graph is another than it should be', async () => {
    const run = await new HandRun(world, 'r', await hashed(stranger), { graphHash: 'forged' }).begin(stranger);
    await world.started('w1');
    await run.units('known-by-id', [1]);
    await run.units('known-by-id', [1], { group: '77' }, 1);
    await world.until(() => run.results.length === 2);
    expect(run.ends['5.0.0']).toMatchObject([{ kind: 'ended', cell: { error: { code: 'protocol/bad-unit' } } }]);
    expect(run.ends['5.1.0']).toMatchObject([{ kind: 'ended', cell: { error: { code: 'task/dead-unit' } } }]);
  });

  it('asks for a shared part until it is there to be had', async () => {
    const run = await new HandRun(world, 'r', flowOf((n) => n)).begin();
    let failures = 0;
    world.server.faults = { before: ({ name }) => (name === 'shared' && (failures += 1) <= 4 ? { error: unreachable() } : undefined) };
    await world.started('w1');
    await run.units('work', [1, 2]);
    await world.until(() => run.results.length === 2, 20_000);
    expect(failures).toBeGreaterThan(4);
  });
});

describe('who a worker is', () => {
  it('refuses an id that another process uses, at the start and later (ACCEPTANCE 56)', async () => {
    await world.started('same');
    const second = world.worker('same');
    await expect(world.within(second.start(), 1000)).rejects.toMatchObject({ code: 'worker/id-taken' });
    expect(await second.ended).toMatchObject({ kind: 'taken' });
    const third = await world.started('third');
    world.server.put(world.server.keys.lease('third'), ['somebody else']);
    await world.within(third.ended, 10_000);
    expect(await third.ended).toMatchObject({ kind: 'taken', error: { code: 'worker/id-taken' } });
    await expect(third.drain()).rejects.toMatchObject({ code: 'worker/id-taken' });
  });

  it('takes units from a Redis task queue alone', () => {
    for (const queue of [new MemoryTaskQueue('q'), null, undefined, {}, 'default', { kind: 'redis' }]) {
      expect(() => new TaskWorker({ queue: queue as never }, world.environment)).toThrowError(expect.objectContaining({ code: 'worker/wrong-queue' }));
    }
  });

  it.each([
    [{ concurrency: 0 }, 'TaskWorker.concurrency'], [{ concurrency: 1.5 }, 'TaskWorker.concurrency'], [{ concurrency: 5000 }, 'TaskWorker.concurrency'], [{ id: 'a b' }, 'TaskWorker.id'], [{ id: 'a|b' }, 'TaskWorker.id'],
    [{ leaseMs: 5 }, 'TaskWorker.leaseMs'], [{ deliveries: 0 }, 'TaskWorker.deliveries'], [{ drainMs: -1 }, 'TaskWorker.drainMs'], [{ concurency: 3 }, 'concurency'],
  ])('refuses the option %j', (options, named) => {
    expect(() => world.worker('w1', options as never)).toThrowError(expect.objectContaining({ code: 'definition/bad-option', message: expect.stringContaining(named) }));
  });

  it('tells those who listen, and one that throws no more', async () => {
    const news: string[] = [];
    const worker = world.worker('w1');
    worker.on((one) => void news.push(one.type === 'worker.state' ? one.state : `${one.type} ${one.type === 'unit.started' ? one.task : one.how}`));
    const run = await new HandRun(world, 'r', flowOf((n) => n)).begin();
    await world.within(worker.start(), 1000);
    await run.units('work', [1]);
    await world.until(() => run.results.length === 1);
    await world.within(worker.drain(), 5000);
    expect(news).toEqual(['claim', 'unit.started work', 'work', 'unit.ended result', 'claim', 'drain', 'drained']);
  });
});
