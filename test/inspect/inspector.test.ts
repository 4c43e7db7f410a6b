/** The summarising inspector: what it tells of a run, and that it tells little. Numbers: the invariants of src/inspect/inspector.ts and run-tracker.ts. */
import { assign, createActor, createMachine, fromCallback, setup, toPromise } from 'xstate';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { dag, each, node, parallel, sequence, sleep, task, waitFor, workflow } from 'taskchart';
import { createInspector } from 'taskchart/inspect';
import { VirtualClock } from 'taskchart/testing';
import { gate, members, settled, states, watch } from './support/stream.ts';

afterEach(() => vi.restoreAllMocks());

const fails = async (): Promise<never> => Promise.reject(new Error('no'));

describe('what is told of a run', () => {
  it('a diamond while it runs, and when it has ended', async () => {
    const [left, right] = [gate(), gate()];
    const flow = workflow('diamond', task('first', async (n: number) => n + 1)
      .fork({ left: async (n) => (await left.promise, n * 2), right: async (n) => (await right.promise, n * 3) })
      .to('last', ({ left: l, right: r }) => l + r));
    const watching = watch();
    const run = flow.start(1, { inspect: watching.inspect, runId: 'd1' });
    await settled();
    const before = watching.run();
    expect(before.run).toMatchObject({ runId: 'd1', workflow: 'diamond', state: 'running', origin: 'live', counts: { running: 2, done: 1, failed: 0 }, control: ['signal', 'pause', 'cancel'] });
    expect(before.graph).toMatchObject({ root: 'first', complete: true, graphHash: flow.definition.graphHash });
    expect(Object.keys(before.graph?.nodes ?? {})).toEqual(Object.keys(flow.graph.nodes));
    const group = Object.values(flow.graph.nodes).find(({ kind }) => kind === 'parallel')?.id as string;
    expect(states(before)).toEqual({ first: 'done', [group]: 'running', left: 'running', right: 'running', last: 'pending' });
    expect(members(before, group)).toBe('rr');
    expect(before.status?.inFlight.first.map((place) => place.node).toSorted()).toEqual(['left', 'right']);

    left.open();
    await settled();
    expect(states(watching.run())).toMatchObject({ left: 'done', right: 'running', last: 'pending' });
    expect(members(watching.run(), group)).toBe('dr');
    right.open();
    expect(await run.result).toBe(10);
    const after = watching.run();
    expect(states(after)).toEqual({ first: 'done', [group]: 'done', left: 'done', right: 'done', last: 'done' });
    expect(members(after, group)).toBe('dd');
    expect(after.run).toMatchObject({ state: 'completed', control: [], counts: { queued: 0, running: 0, waiting: 0, retrying: 0, done: 4, failed: 0 } });
    expect(after.values.get('left')).toMatchObject({ input: { text: '2' }, output: { text: '4' } });
    expect(after.values.get(group)).toMatchObject({ input: { text: '2' }, output: { text: '{"left":4,"right":6}' } });
    expect(after.values.get('last')).toMatchObject({ output: { text: '10' } });
    expect([after.input?.text, after.output?.text]).toEqual(['1', '10']);
  });

  it('a group that fails: whose fault it was, who was stopped, and what was never reached', async () => {
    const never = gate();
    const flow = workflow('falls', sequence(
      parallel(task('good', async () => 1), task('bad', fails), task('slow', async () => never.promise)).withPolicy({ critical: ['bad'], failFast: true }).as('group'),
      task('after', async () => 1),
    ));
    const watching = watch();
    const run = flow.start(undefined, { inspect: watching.inspect });
    await expect(run.result).rejects.toThrow('group');
    const seen = watching.run();
    expect(states(seen)).toEqual({ group: 'failed', good: 'done', bad: 'failed', slow: 'stopped', after: 'skipped' });
    expect(members(seen, 'group')).toBe('dfx');
    expect(seen.run).toMatchObject({ state: 'failed', error: { name: 'ParallelGroupError', code: 'group/policy' }, counts: { done: 1, failed: 1 } });
    expect(seen.values.get('bad')?.error).toMatchObject({ message: 'no' });
    expect([...seen.groups.values()][0]).toMatchObject({ last: { open: false, done: 1, failed: 1 } });
    expect([...seen.groups.values()][0]?.notes.get(1)).toMatchObject({ error: { message: 'no' } });
  });

  it('all members of a strict group have ended when it fails: also those of the last step are known', async () => {
    const flow = workflow('falls', parallel(...Array.from({ length: 6 }, (_, at) => task(`m${at}`, at % 2 === 0 ? async () => at : fails))).as('group'));
    const watching = watch();
    await expect(flow.start(undefined, { inspect: watching.inspect }).result).rejects.toThrow('group');
    expect(members(watching.run(), 'group')).toBe('dfdfdf');
    expect(states(watching.run())).toEqual({ group: 'failed', m0: 'done', m1: 'failed', m2: 'done', m3: 'failed', m4: 'done', m5: 'failed' });
  });

  it('a best-effort fan-out keeps apart who failed, although the group ends well', async () => {
    const flow = workflow('some', each(task('one', async (n: number) => (n % 10 === 3 ? fails() : n))).withPolicy('bestEffort').as('all'));
    const watching = watch();
    await flow.start(Array.from({ length: 40 }, (_, n) => n), { inspect: watching.inspect }).result;
    const seen = watching.run();
    expect(members(seen, 'all')).toBe('dddfdddddd'.repeat(4));
    expect(seen.tasks.get('one')).toMatchObject({ state: 'failed', done: 36, failed: 4, running: 0 });
    expect(seen.tasks.get('all')).toMatchObject({ state: 'done', members: { size: 40, done: 36, failed: 4, running: 0 } });
    expect([...[...seen.groups.values()][0]?.notes.keys() ?? []]).toEqual([3, 13, 23, 33]);
  });

  it('retries: which member, after what, and when again', async () => {
    const clock = new VirtualClock();
    const flow = workflow('again', each(task('one', async (n: number, ctx) => (n === 2 && ctx.attempt < 3 ? fails() : n), { retry: { attempts: 3, delay: 1000 } })).as('all'));
    const watching = watch();
    const run = flow.start([1, 2, 3], { inspect: watching.inspect, clock });
    await clock.advance(0);
    const first = watching.run();
    expect(members(first, 'all')).toBe('dtd');
    expect(first.run).toMatchObject({ state: 'waiting', counts: { retrying: 1, done: 2 } });
    expect(first.tasks.get('one')).toMatchObject({ state: 'retrying', retrying: 1, attempt: 2 });
    expect(first.status?.waitsFor).toMatchObject({ total: 1, first: [{ kind: 'retry', node: 'one', attempt: 2, dueAt: clock.now() + 1000, error: { message: 'no' } }] });
    expect([...first.groups.values()][0]?.notes.get(1)).toMatchObject({ attempt: 2, error: { message: 'no' } });
    await clock.advance(10_000);
    await run.result;
    expect(members(watching.run(), 'all')).toBe('ddd');
    expect(watching.run().tasks.get('one')).toMatchObject({ state: 'done', done: 3, failed: 0, retrying: 0 });
  });

  it('waits, sleeps, what a task asks and the steps behind them', async () => {
    const clock = new VirtualClock();
    const flow = workflow('parks', sequence(
      task('start', async () => 'x'), sleep(500).as('nap'), waitFor('paid', { timeout: 10_000 }),
      task('decide', async (_: unknown, ctx) => ctx.ask<string>('approval', { question: { amount: 40 } })), waitFor('last'),
    ));
    const watching = watch();
    const run = flow.start(undefined, { inspect: watching.inspect, clock });
    await clock.advance(0);
    expect(states(watching.run())).toMatchObject({ start: 'done', nap: 'waiting', paid: 'pending' });
    expect(watching.run().status?.waitsFor.first).toMatchObject([{ kind: 'sleep', node: 'nap', dueAt: clock.now() + 500 }]);
    await clock.advance(500);
    expect(watching.run().status?.waitsFor.first).toMatchObject([{ kind: 'signal', signal: 'paid', node: 'paid', since: clock.now(), asked: false }, { kind: 'wait-timeout', node: 'paid' }]);
    run.signal('paid', 1);
    await clock.advance(0);
    expect(states(watching.run())).toMatchObject({ nap: 'done', paid: 'done', decide: 'waiting', last: 'pending' });
    expect(watching.run().status?.waitsFor.first).toMatchObject([{ kind: 'signal', signal: 'approval', node: 'decide', asked: true, question: { text: '{"amount":40}' } }]);
    run.signal('last', 1);
    await clock.advance(0);
    expect(watching.run().status?.keptSignals).toEqual({ last: 1 });
    run.signal('approval', 'yes');
    await clock.advance(0);
    await run.result;
    // Nobody saw the last wait: its signal was there already.
    expect(states(watching.run())).toEqual({ start: 'done', nap: 'done', paid: 'done', decide: 'done', last: 'done' });
  });

  it('branches: a member of several steps, and what is inside it', async () => {
    const hold = gate();
    const flow = workflow('deep', parallel(
      sequence(task('a1', async () => 1), task('a2', async () => hold.promise)).as('a'),
      sequence(task('b1', async () => 1), sleep(1_000_000)).as('b'),
      sequence(task('c1', async () => [1, 2]), each(task('c2', async (n: number) => (n === 2 ? hold.promise : n))).as('inner')).as('c'),
    ).as('group'));
    const watching = watch();
    const clock = new VirtualClock();
    const run = flow.start(undefined, { inspect: watching.inspect, clock });
    await clock.advance(0);
    expect(members(watching.run(), 'group')).toBe('rwr');
    expect(members(watching.run(), 'inner')).toBe('dr');
    expect(watching.run().tasks.get('group')).toMatchObject({ state: 'running', running: 1, members: { size: 3, done: 0 } });
    run.cancel('enough');
    await expect(run.result).rejects.toThrow('enough');
    const after = watching.run();
    expect(members(after, 'group')).toBe('xxx');
    expect(members(after, 'inner')).toBe('dx');
    expect(after.run).toMatchObject({ state: 'cancelled', error: { name: 'WorkflowCancelledError' } });
    expect(states(after)).toMatchObject({ a1: 'done', a2: 'stopped', b1: 'done', c1: 'done', group: 'stopped', inner: 'stopped' });
    hold.open();
  });

  it('a dag starts what it has all needs of', async () => {
    const hold = gate<number>();
    const flow = workflow('graph', dag({ a: node(task('a', async () => 1)), b: node(task('b', async () => hold.promise)), c: node(task('c', async () => 3), { needs: ['a', 'b'] }) }));
    const watching = watch();
    const run = flow.start(undefined, { inspect: watching.inspect });
    await settled();
    const id = Object.values(flow.graph.nodes).find(({ kind }) => kind === 'dag')?.id as string;
    expect(members(watching.run(), id)).toBe('drp');
    hold.open(2);
    await run.result;
    expect(members(watching.run(), id)).toBe('ddd');
  });

  it('an embedded workflow, a recovered step, and steps that no graph declares', async () => {
    const extra = task('extra', async (n: number) => n);
    const inner = workflow('inner', sequence(task('in1', async (n: number, ctx) => (ctx.nextTask(extra, 7), n)), task('in2', fails)));
    const flow = workflow('outer', sequence(inner.recover('mend', () => 5), task('end', async (n: number) => n + 1)));
    const watching = watch();
    expect(await flow.start(1, { inspect: watching.inspect }).result).toBe(6);
    const seen = watching.run();
    expect(states(seen)).toMatchObject({ 'inner/in1': 'done', 'inner/in2': 'failed', inner: 'failed', mend: 'done', end: 'done' });
    expect(seen.values.get('inner')?.error).toMatchObject({ cause: { message: 'no' } });
  });

  it('iterations, attempts and progress of a task; its logs', async () => {
    const hold = gate();
    const flow = workflow('loops', task('turn', async (n: number, ctx) => {
      if (n < 4) return ctx.nextIteration(n + 1);
      ctx.progress(3, 10, 'a third');
      ctx.log.warn('careful', { n });
      await hold.promise;
      return n;
    }));
    const watching = watch();
    const run = flow.start(0, { inspect: watching.inspect });
    await settled();
    watching.run();
    // Who says something before the first frame may not be heard; so once more.
    hold.open();
    await run.result;
    expect(watching.run().tasks.get('turn')).toMatchObject({ state: 'done', done: 5, iteration: 4 });

    const again = gate<number[]>();
    const says = workflow('says', sequence(task('one', async () => again.promise), each(task('two', async (n: number, ctx) => (ctx.progress(1, 2, 'half'), ctx.log.info('hm', { a: 1 }), n)))));
    const second = watch();
    const talking = says.start(undefined, { inspect: second.inspect });
    await settled();
    second.run();
    again.open([1]);
    await talking.result;
    expect(second.run().tasks.get('two')?.state).toBe('done');
    expect(second.messages.some((message) => message.type === '@taskchart.log' && message.entries[0]?.message === 'hm' && message.entries[0].node === 'two' && message.entries[0].data?.text === '{"a":1}')).toBe(true);
  });

  it('a run that is paused, and one that was stopped without an end', async () => {
    const flow = workflow('stops', sequence(task('one', async () => 1), waitFor('go')));
    const watching = watch();
    const run = flow.start(undefined, { inspect: watching.inspect });
    await settled();
    run.pause();
    expect(watching.run().run).toMatchObject({ state: 'paused', control: ['signal', 'resume', 'cancel'] });
    run.actor.stop();
    await run.result.catch(() => undefined);
    expect(watching.run().run).toMatchObject({ state: 'stopped', control: [] });
  });

  it('a run that was restored: as if one had watched from the beginning', async () => {
    const make = () => workflow('goes-on', sequence(task('list', async () => [1, 2, 3, 4]), each(task('one', async (n: number) => n)).as('all'), parallel(waitFor('x'), task('side', async () => 1)).as('group')));
    const first = make().start();
    await settled();
    const text = JSON.stringify(first.snapshot());
    first.actor.stop();
    const watching = watch();
    const run = make().resume(text, { inspect: watching.inspect });
    await settled();
    expect(states(watching.run())).toEqual({ list: 'done', all: 'done', one: 'done', group: 'running', x: 'waiting', side: 'done' });
    expect(watching.run().run).toMatchObject({ runId: first.id, state: 'waiting' });
    run.signal('x', 1);
    await run.result;
    expect(members(watching.run(), 'group')).toBe('dd');
  });

  it('two runs and a machine of someone else, each in its own system', async () => {
    const flow = workflow('small', task('one', async (n: number) => n));
    const app = setup({ types: {} as { context: { results: number[]; password: string } }, actors: { flow: flow.machine, ticks: fromCallback(() => undefined) } }).createMachine({
      id: 'app', context: { results: [], password: 'geheim' }, invoke: [{ src: 'flow', id: 'run', input: 3, onDone: { target: '.ended', actions: assign({ results: ({ event }) => [event.output as number] }) } }, { src: 'ticks', id: 'ticks' }],
      initial: 'busy', states: { busy: {}, ended: { type: 'final' } },
    });
    const watching = watch({ redact: ['password'] });
    const actor = createActor(app, { inspect: watching.inspect });
    const ended = toPromise(actor);
    actor.start();
    await ended;
    await Promise.all([flow.start(1, { inspect: watching.inspect }).result, flow.start(2, { inspect: watching.inspect }).result]);
    watching.inspect.flush();
    const system = watching.system(actor.sessionId);
    expect([...system.actors.values()].map(({ actor: { name } }) => name)).toEqual(expect.arrayContaining(['app', 'run', 'ticks', 'executor', 'small (tasks)']));
    expect(system.actors.get(actor.sessionId)?.last?.snapshot).toMatchObject({ status: 'done', value: 'ended', context: { results: [3], password: '[redacted]' } });
    expect([...system.runs.values()].map(({ run }) => [run?.workflow, run?.state])).toEqual([['small', 'completed']]);
    expect(new Set(watching.messages.map(({ rootId }) => rootId)).size).toBe(3);
    expect(JSON.stringify(watching.messages)).not.toContain('geheim');
  });
});

describe('how little is told', () => {
  it('1, 2. per frame and actor one snapshot and a few events, whatever has happened', async () => {
    const flow = workflow('busy', sequence(task('list', async (n: number) => Array.from({ length: n }, (_, at) => at)), each(task('one', async (n: number) => n)).withExecution({ backend: 'local', concurrency: 8 })));
    const watching = watch();
    await flow.start(20_000, { inspect: watching.inspect }).result;
    watching.run();
    // One frame soon after it began, and the one that was asked for.
    expect(watching.frames.length).toBeLessThanOrEqual(2);
    for (const frame of watching.frames) {
      const counts = new Map<string, number>();
      for (const { type, sessionId } of frame) counts.set(`${type} ${sessionId}`, (counts.get(`${type} ${sessionId}`) ?? 0) + 1);
      for (const [key, count] of counts) expect(count, key).toBeLessThanOrEqual(key.startsWith('@xstate.event') ? 24 : 1);
      expect(JSON.stringify(frame).length).toBeLessThan(120_000);
    }
    expect(watching.messages.find(({ type }) => type === '@xstate.event')).toBeDefined();
    expect(watching.run().tasks.get('one')).toMatchObject({ state: 'done', done: 20_000 });
  });

  it('what has not changed is not told again', async () => {
    const hold = gate();
    const flow = workflow('idle', sequence(each(task('one', async (n: number) => n)), task('last', async () => hold.promise)));
    const watching = watch();
    const run = flow.start(Array.from({ length: 5000 }, (_, at) => at), { inspect: watching.inspect });
    await settled();
    watching.run();
    const before = watching.messages.length;
    watching.inspect.flush();
    watching.inspect.flush();
    expect(watching.messages.length).toBe(before);
    hold.open();
    await run.result;
    watching.run();
    expect(watching.messages.slice(before).some(({ type }) => type === '@taskchart.group' || type === '@taskchart.graph')).toBe(false);
  });

  it('a fan-out of more members than are listed is told in counts', async () => {
    const flow = workflow('huge', each(task('one', async (n: number) => n)).as('all'));
    const watching = watch();
    await flow.start(Array.from({ length: 100_001 }, () => 1), { inspect: watching.inspect }).result;
    const [group] = watching.run().groups.values();
    expect(group?.members).toBeUndefined();
    expect(group?.last).toMatchObject({ size: 100_001, done: 100_001, failed: 0, open: false });
  });

  it('large values are cut, secrets left out, wherever they come by', async () => {
    const flow = workflow('secrets', sequence(
      task('login', async (given: { user: string; password: string }) => ({ token: `t-${given.password}`, list: Array.from({ length: 20_000 }, (_, n) => n) })),
      task('use', async ({ token }: { token: string; list: number[] }, ctx) => (ctx.channel.set('key', `k-${token}`), ctx.ask<string>('code', { question: { hint: token } }))),
      waitFor('pin'),
      task('fail', async (pin: unknown) => { throw new Error(`wrong pin ${String(pin)}`); }),
    ));
    const watching = watch({ redact: ['password', 'token', 'channel.key', 'code.question', ['pin', 'signal'], 'use.output', 'fail.input', 'fail.error.message', 'run.error.message', 'pin.output', 'code.signal'] });
    const run = flow.start({ user: 'me', password: 'hunter2' }, { inspect: watching.inspect });
    await settled();
    expect(watching.run().values.get('login')).toMatchObject({ input: { text: '{"user":"me","password":"[redacted]"}', redacted: true } });
    const output = watching.run().values.get('login')?.output;
    expect(output).toMatchObject({ cut: true, redacted: true });
    expect(output?.text.length).toBeLessThanOrEqual(16_000);
    expect(watching.run().status?.waitsFor.first[0]).toMatchObject({ question: { text: '"[redacted]"' } });
    run.signal('code', 'hunter2');
    run.signal('pin', 'hunter2');
    await expect(run.result).rejects.toThrow('wrong pin');
    expect(watching.run().run).toMatchObject({ state: 'failed' });
    expect(JSON.stringify(watching.messages)).not.toContain('hunter2');
  });
});

describe('4. the process is not kept alive', () => {
  const frameMs = 60_000;
  const many = (count: number) => workflow('many', dag(Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, node(task(`n${n}`, async () => n))]))));

  it('by what is left to tell of a run that has ended; an event holds it again', async () => {
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const frames = (): NodeJS.Timeout[] => timers.mock.results.flatMap(({ value }, at) => (timers.mock.calls[at]?.[1] === frameMs ? [value as NodeJS.Timeout] : []));
    const watching = watch({ frameMs });
    await many(3000).start(undefined, { inspect: watching.inspect }).result;
    expect(frames().at(-1)?.hasRef()).toBe(true);
    const seen = watching.run();
    expect(seen.run?.state).toBe('completed');
    const told = seen.values.size;
    expect(told).toBeLessThan(3000);
    const backlog = frames().at(-1);
    expect(backlog?.hasRef()).toBe(false);
    expect(watching.run().values.size).toBeGreaterThan(told);
    const next = frames().at(-1);
    expect([next === backlog, next?.hasRef()]).toEqual([false, false]);
    await many(1).start(undefined, { inspect: watching.inspect }).result;
    expect([frames().at(-1) === next, next?.hasRef()]).toEqual([true, true]);
    watching.inspect.close();
  });

  it('and a run of some hundred steps is told whole in the frame after its end, its state once', async () => {
    const watching = watch({ frameMs });
    await many(400).start(undefined, { inspect: watching.inspect }).result;
    expect(watching.run().values.size).toBeGreaterThanOrEqual(400);
    const told = watching.frames.length;
    watching.inspect.flush();
    expect(watching.frames.length).toBe(told);
    expect(watching.frames.at(-1)?.filter(({ type }) => type === '@taskchart.run').length).toBe(1);
  });
});

describe('the run is never disturbed', () => {
  it('1. by a receiver that throws, which is told once', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const inspect = createInspector(() => {
      throw new Error('socket gone');
    });
    const flow = workflow('calm', task('one', async (n: number) => n));
    for (let n = 0; n < 3; n += 1) {
      const actor = createActor(flow.machine, { input: n, inspect });
      const ended = toPromise(actor);
      actor.start();
      expect(await ended).toBe(n);
      inspect.flush();
    }
    expect(error).toHaveBeenCalledTimes(1);
  });

  it('1. by contexts that cannot be read', async () => {
    const hostile = createMachine({ id: 'hostile', context: { get bad(): never { throw new Error('never'); }, self: {} as unknown, deep: JSON.parse(`${'['.repeat(2000)}${']'.repeat(2000)}`) as unknown, fn: () => 1, map: new Map([[1, 2]]), big: 10n } });
    const watching = watch();
    const actor = createActor(hostile, { inspect: watching.inspect });
    actor.start();
    actor.send({ type: 'X', self: actor, error: new Error('x'), at: new Date(0), not: new Proxy({}, { ownKeys: () => { throw new Error('trap'); } }) } as never);
    watching.inspect.flush();
    const system = watching.system(actor.sessionId);
    expect(system.events.map(({ event }) => event.type)).toContain('X');
    expect(system.actors.get(actor.sessionId)?.last?.snapshot.context).toBeDefined();
  });

  it('3. by thousands of runs: those that have ended make room', async () => {
    const flow = workflow('many', task('one', async (n: number) => n));
    const watching = watch();
    for (let n = 0; n < 450; n += 1) {
      expect(await flow.start(n, { inspect: watching.inspect }).result).toBe(n);
      if (n % 50 === 49) watching.inspect.flush();
    }
    const told = new Set(watching.messages.map(({ rootId }) => rootId));
    expect(told.size).toBe(450);
  });
});
