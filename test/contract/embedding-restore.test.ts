/**
 * What XState does to a machine that is persisted and restored, one trap after the other, and what becomes of a run there.
 * Every snapshot here goes through JSON text, and is restored by `createActor` alone unless the handle is the subject.
 */
import { createActor, setup, toPromise, waitFor as until, type AnyActorRef, type StateNode } from 'xstate';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CheckpointError, GraphMismatchError, ValueError, WorkflowCancelledError, each, parallel, sequence, sleep, task, waitFor, workflow } from 'taskchart';
import { VirtualClock } from 'taskchart/testing';
import { deepFreeze } from '../model/invariants.ts';
import type { ExecutionContext } from '../../machines/index.ts';

interface Persisted {
  readonly status: string;
  readonly value: unknown;
  readonly context: ExecutionContext;
  readonly children: Record<string, { readonly src: unknown; readonly snapshot: unknown }>;
}

interface Machine {
  readonly machine: unknown;
}

function stored(actor: unknown): Persisted {
  return JSON.parse(JSON.stringify((actor as { getPersistedSnapshot(): unknown }).getPersistedSnapshot())) as Persisted;
}

function restored({ machine }: Machine, snapshot: unknown) {
  const actor = createActor(machine as ReturnType<typeof anyFlow>['machine'], { snapshot: snapshot as never, input: undefined });
  actor.subscribe({ error: () => undefined });
  return actor;
}
const anyFlow = () => workflow('any', waitFor('go'));

/** The output of a restored run, or the error that it ended with. */
async function ending(flow: Machine, snapshot: unknown, signal?: string): Promise<unknown> {
  const actor = restored(flow, snapshot);
  const ended = toPromise(actor).catch((error: unknown) => error);
  actor.start();
  if (signal !== undefined) actor.send({ type: 'SIGNAL', name: 'go', value: signal });
  return ended;
}

function gate() {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

afterEach(() => vi.restoreAllMocks());

describe('restore traps of XState', () => {
  it('in-flight actors run again: tasks in flight do, under the same key, and finished ones do not', async () => {
    const keys: string[] = [];
    const [begun, never] = [gate(), gate()];
    let first = true;
    const flow = workflow('in-flight', sequence(
      task('done', async (n: number, ctx) => (keys.push(`done ${ctx.idempotencyKey}`), n)),
      parallel(
        task('quick', async (n: number, ctx) => (keys.push(`quick ${ctx.idempotencyKey}`), n)),
        task('slow', async (n: number, ctx) => {
          keys.push(`slow ${ctx.idempotencyKey}`);
          begun.open();
          if (first) await never.opened;
          return n;
        }),
      ),
    ));
    const actor = createActor(flow.machine, { input: 7 }).start();
    await begun.opened;
    await until(actor, ({ context }) => context.openMembers === 1);
    const snapshot = stored(actor);
    actor.stop();
    first = false;
    expect(await ending(flow, snapshot)).toEqual({ quick: 7, slow: 7 });
    const runId = snapshot.context.run?.id;
    expect(keys.map((key) => key.split(' ')[0])).toEqual(['done', 'quick', 'slow', 'slow']);
    expect(keys[2]).toBe(keys[3]);
    expect(keys.every((key) => key.split(' ')[1]?.startsWith(`${runId}/`))).toBe(true);
  });

  it('a child that has finished is not reported again: an outcome that was known but not accepted comes by running again', async () => {
    const calls: number[] = [];
    const texts: string[] = [];
    const flow = workflow('unreported', each(task('a', async (n: number) => {
      calls.push(n);
      texts.push(JSON.stringify(actor.getPersistedSnapshot()));
      return n * 2;
    })));
    const actor = createActor(flow.machine, { input: [1, 2, 3] });
    actor.start();
    expect(await toPromise(actor)).toEqual([2, 4, 6]);
    // At the third call two members had ended, and the machine had heard of neither.
    const last = JSON.parse(texts.at(-1) ?? '') as Persisted;
    calls.length = 0;
    expect(last.context.openMembers).toBe(3);
    expect(await ending(flow, last)).toEqual([2, 4, 6]);
    expect(calls).toEqual([1, 2, 3]);
  });

  it('delayed events are lost: due times live in the context, and what is left of them is waited for (case 30)', async () => {
    let calls = 0;
    const flow = workflow('delays', task('a', async () => {
      calls += 1;
      if (calls === 1) throw new Error('once');
      return calls;
    }, { retry: { attempts: 2, delay: 10_000 } }));
    const clock = new VirtualClock(1000);
    const run = flow.start(undefined, { clock });
    await clock.advance(4000);
    const text = JSON.stringify(run.snapshot());
    run.actor.stop();
    const later = new VirtualClock(8000);
    const again = flow.resume(text, { clock: later });
    await later.advance(2999);
    expect(calls).toBe(1);
    await later.advance(1);
    expect(await again.result).toBe(2);
    // Past due: at once, also by XState alone and the real clock, which is far beyond.
    expect(await ending(flow, (JSON.parse(text) as { snapshot: unknown }).snapshot)).toBe(3);
  });

  it('delayed events are lost: sleeps and the time limits of waits are not', async () => {
    const flow = workflow('parks', sequence(sleep(50), waitFor('go', { timeout: 70 }).recover('late', async () => 'late')));
    const clock = new VirtualClock(0);
    const run = flow.start(undefined, { clock });
    await clock.advance(20);
    const asleep = run.snapshot();
    await clock.advance(40);
    const waiting = run.snapshot();
    run.actor.stop();
    for (const [checkpoint, at, due] of [[asleep, 20, 120], [waiting, 60, 120], [waiting, 500, 500]] as const) {
      const later = new VirtualClock(at);
      const again = flow.resume(JSON.stringify(checkpoint), { clock: later });
      await later.advance(Math.max(0, due - at - 1));
      if (due > at) expect(again.status().waitsFor).toMatchObject([{ kind: 'signal', name: 'go' }, { kind: 'wait-timeout', dueAt: 120 }]);
      await later.advance(1);
      expect(await again.result).toBe('late');
    }
  });

  it('unprocessed mailbox events are lost: a snapshot from the midst of any delivery goes on to the same output', async () => {
    const texts: string[] = [];
    const flow = workflow('mailbox', sequence(
      task('a', async (n: number) => [n, n + 1, n + 2], {}),
      each(task('b', async (n: number) => n * 2, { retry: { attempts: 2 } }).to('c', async (n) => n + 1)),
      sleep(1),
      task('d', async (list: unknown) => (list as number[]).reduce((sum, one) => sum + one, 0)),
    ));
    const actor = createActor(flow.machine, {
      input: 1,
      inspect(event) {
        // In the midst: XState has accepted an event that the machine has not seen yet.
        if (event.type !== '@xstate.actor' && event.actorRef === (actor as AnyActorRef | undefined)) texts.push(JSON.stringify(actor.getPersistedSnapshot()));
      },
    });
    actor.start();
    expect(await toPromise(actor)).toBe(15);
    const different = [...new Set(texts)];
    expect(different.length).toBeGreaterThan(6);
    for (const text of different) expect(await ending(flow, JSON.parse(text))).toBe(15);
  });

  it('entry actions do not run again, and `always` waits for an event: the chart has neither, nor delays', () => {
    const nodes: StateNode[] = [];
    const visit = (node: StateNode): void => {
      nodes.push(node);
      Object.values(node.states).forEach((child) => visit(child as StateNode));
    };
    visit(anyFlow().machine.root as unknown as StateNode);
    expect(nodes.map(({ key }) => key)).toEqual(['any', 'running', 'waiting', 'paused', 'completed', 'failed', 'cancelled']);
    for (const { entry, exit, always, after, type, key } of nodes) {
      expect([key, entry, exit, always ?? [], after]).toEqual([key, [], [], [], []]);
      expect(type).not.toBe('parallel');
    }
  });

  it('entry actions do not run again: every state goes on by itself from where it was', async () => {
    const [begun, release] = [gate(), gate()];
    const flow = workflow('states', sequence(task('a', async () => (begun.open(), release.opened), {}), task('b', async () => 'b', {}), waitFor('go'), task('c', async (word: unknown) => word as string)));
    const actor = createActor(flow.machine, { input: undefined });
    const fresh = stored(actor);
    actor.start();
    await begun.opened;
    const running = stored(actor);
    actor.send({ type: 'PAUSE' });
    const paused = stored(actor);
    actor.send({ type: 'RESUME' });
    release.open();
    await until(actor, (state) => state.matches('waiting'));
    const waiting = stored(actor);
    actor.stop();
    expect([fresh, running, paused, waiting].map(({ value }) => value)).toEqual(['running', 'running', 'paused', 'waiting']);
    for (const snapshot of [fresh, running, waiting]) expect(await ending(flow, snapshot, 'went')).toBe('went');
    const still = restored(flow, paused).start();
    await until(still, ({ context }) => context.inFlight.size === 0);
    expect(still.getSnapshot()).toMatchObject({ value: 'paused', context: { root: { queue: { size: 1 } } } });
    still.send({ type: 'RESUME' });
    still.send({ type: 'SIGNAL', name: 'go', value: 'early' });
    expect(await toPromise(still)).toBe('early');
  });

  it('inline actors come back as zombies: ours are named by strings that the machine knows', async () => {
    const flow = workflow('named', sequence(sleep(60_000), waitFor('go')));
    const actor = createActor(flow.machine, { input: undefined }).start();
    await until(actor, (state) => state.matches('waiting'));
    const { children } = stored(actor);
    actor.stop();
    expect(Object.entries(children).map(([id, { src }]) => [id, src])).toEqual([['executor', 'executor'], ['timers', 'timers']]);
    expect(Object.keys(flow.machine.implementations.actors)).toEqual(expect.arrayContaining(['executor', 'timers']));
  });

  it('a missing src silently drops the child: a run that comes without its actors is given them again', async () => {
    const flow = workflow('dropped', sequence(sleep(1), task('a', async () => 'a', {}), waitFor('go')));
    const actor = createActor(flow.machine, { input: undefined }).start();
    await until(actor, ({ context }) => context.delayed.size === 1);
    const snapshot = stored(actor);
    actor.stop();
    const gone = { executor: { ...snapshot.children['executor'], src: 'gone' } };
    for (const children of [{}, { executor: snapshot.children['executor'] }, { timers: snapshot.children['timers'] }]) {
      expect(await ending(flow, { ...snapshot, children }, 'went')).toBe('went');
    }
    // A name that no machine knows: XState drops the child, so nothing could ever be executed.
    expect(await ending(flow, { ...snapshot, children: gone }, 'went')).toBe('went');
  });

  it('a snapshot has no machine id: one of another workflow, or of an edited graph, fails by READY before anything runs', async () => {
    const calls = vi.fn<() => Promise<string>>(async () => 'a');
    const old = workflow('edited', waitFor('go').to('a', calls));
    const actor = createActor(old.machine, { input: undefined }).start();
    await until(actor, (state) => state.matches('waiting'));
    const snapshot = stored(actor);
    actor.stop();
    const edited = workflow('edited', waitFor('go').to('a', calls).to('b', calls));
    const renamed = workflow('renamed', waitFor('go').to('a', calls));
    for (const flow of [edited, renamed]) {
      const error = await ending(flow, snapshot, 'went');
      expect(error).toBeInstanceOf(GraphMismatchError);
      expect(error).toMatchObject({ code: 'checkpoint/graph-mismatch', details: { runId: snapshot.context.run?.id } });
    }
    // Also inside a user's own machine.
    const parent = setup({ actors: { run: edited.machine } }).createMachine({ initial: 'busy', states: { busy: { invoke: { id: 'run', src: 'run', onError: 'refused' } }, refused: { type: 'final' } } });
    const before = createActor(parent).start();
    const whole = stored(before);
    before.stop();
    const after = createActor(parent, { snapshot: { ...whole, children: { run: { ...whole.children['run'], snapshot } } } as never }).start();
    expect((await until(after, (state) => state.status === 'done')).value).toBe('refused');
    expect(calls).not.toHaveBeenCalled();
    expect(await ending(old, snapshot, 'went')).toBe('a');
  });

  it('a snapshot has no version: resume() refuses one of another machine or another graph, before anything runs', async () => {
    const calls = vi.fn<() => Promise<string>>(async () => 'a');
    const flow = workflow('versions', waitFor('go').to('a', calls));
    const run = flow.start();
    await until(run.actor, (state) => state.matches('waiting'));
    const checkpoint = run.snapshot();
    run.cancel();
    const refusals = [
      [flow, { ...checkpoint, machineVersion: 2 }, CheckpointError, 'checkpoint/version'],
      [workflow('versions', waitFor('go').to('a', calls).to('b', calls)), checkpoint, GraphMismatchError, 'checkpoint/graph-mismatch'],
      [workflow('others', waitFor('go').to('a', calls)), checkpoint, CheckpointError, 'checkpoint/wrong-workflow'],
    ] as const;
    for (const [other, given, type, code] of refusals) {
      const refused = () => other.resume(JSON.stringify(given));
      expect(refused).toThrow(type);
      expect(refused).toThrow(expect.objectContaining({ code }));
    }
    expect(calls).not.toHaveBeenCalled();
  });

  it('a removed state restores to an error that names it, never to a run that stands still', async () => {
    const flow = anyFlow();
    const actor = createActor(flow.machine, { input: undefined }).start();
    await until(actor, (state) => state.matches('waiting'));
    const error = await ending(flow, { ...stored(actor), value: 'parked' });
    expect(error).toMatchObject({ message: expect.stringContaining('parked') });
    actor.stop();
  });

  it.each<readonly [kind: string, value: unknown]>([
    ['an Error, which JSON makes {}', new Error('no')],
    ['a Map, which JSON makes {}', new Map([[1, 2]])],
    ['a Set, which JSON makes {}', new Set([1])],
    ['a Date, which JSON makes a string', new Date(0)],
    ['NaN, which JSON makes null', Number.NaN],
    ['a BigInt, which JSON refuses', 1n],
    ['a look-alike of an actor reference', { sessionId: 'x:0', send: 1, ref: 2 }],
    ['a look-alike of a persisted actor', { xstate$$type: 1, id: 'executor' }],
  ])('values that come back as something else are refused with their path: %s', async (_kind, value) => {
    const path = (error: unknown) => ((error as ValueError).cause ?? error) as ValueError;
    const output = await workflow('output', task('a', async () => ({ in: [value] }) as never, { retry: { attempts: 5 } })).run().catch((error: unknown) => error);
    expect(path(output)).toMatchObject({ name: 'ValueError', details: { path: 'output.in[0]' } });
    const channel = await workflow('channel', task('a', async (_: unknown, ctx) => ctx.channel.set('k', value as never))).run().catch((error: unknown) => error);
    expect(path(channel)).toMatchObject({ name: 'ValueError' });
    const actor = createActor(workflow('input', task('a', async (_: unknown) => 1)).machine, { input: { in: value } as never });
    actor.subscribe({ error: () => undefined });
    const input = toPromise(actor).catch((error: unknown) => error);
    actor.start();
    expect(await input).toMatchObject({ name: 'ValueError', details: { path: 'input.in' } });
    const run = anyFlow().start();
    await until(run.actor, (state) => state.matches('waiting'));
    expect(() => run.signal('go', value)).toThrow(ValueError);
    run.signal('go', 'fine');
    expect(await run.result).toBe('fine');
  });

  it('values that only look strange come back as they were', async () => {
    const value = { sessionId: 'x:0', send: true, nested: [{ ref: null }], xstate$type: 1, status: 'active', children: { executor: { src: 'executor' } }, type: 'READY' };
    const flow = workflow('strange', task('a', async (given: typeof value) => given).to(waitFor('go')).to('b', async (_: unknown, ctx) => ctx.channel.get('k') ?? null));
    const actor = createActor(flow.machine, { input: value }).start();
    await until(actor, (state) => state.matches('waiting'));
    const snapshot = stored(actor);
    const again = restored(flow, snapshot);
    expect(again.getSnapshot().context).toEqual(actor.getSnapshot().context);
    actor.stop();
  });

  it('restoring mutates the object that was passed in, where it holds actors: ours is only read, so it may be shared and frozen', async () => {
    const flow = workflow('shared', each(task('a', async (n: number) => n + 1, { retry: { attempts: 2 } }).to(waitFor('go'))).withPolicy('bestEffort').withExecution({ backend: 'local', concurrency: 3 }));
    const actor = createActor(flow.machine, { input: [1, 2, 3] }).start();
    await until(actor, (state) => state.matches('waiting'));
    const snapshot = deepFreeze(stored(actor));
    const before = JSON.stringify(snapshot);
    actor.stop();
    for (const word of ['x', 'y']) {
      const again = restored(flow, snapshot).start();
      const ended = toPromise(again);
      for (let n = 0; n < 3; n += 1) again.send({ type: 'SIGNAL', name: 'go', value: word });
      expect(await ended).toEqual([word, word, word]);
    }
    expect(JSON.stringify(snapshot)).toBe(before);
  });

  it('getPersistedSnapshot gives the live object: what it gave does not change while the run goes on', async () => {
    const flow = workflow('live', each(task('a', async (n: number) => n + 1).to('b', async (n) => n * 2)));
    const versions: { given: unknown; text: string }[] = [];
    const actor = createActor(flow.machine, { input: Array.from({ length: 50 }, (_, at) => at) });
    actor.subscribe(() => {
      const given = actor.getPersistedSnapshot();
      versions.push({ given, text: JSON.stringify(given) });
    });
    actor.start();
    await toPromise(actor);
    expect(versions.length).toBeGreaterThan(2);
    for (const { given, text } of versions) expect(JSON.stringify(given)).toBe(text);
  });

  it('a snapshot that was taken after stop() has no actors and says "stopped": it goes on like any other', async () => {
    let calls = 0;
    const [begun, never] = [gate(), gate()];
    const flow = workflow('stopped', task('a', async () => {
      calls += 1;
      begun.open();
      if (calls === 1) await never.opened;
      return calls;
    }).to(sleep(1)).to(waitFor('go')));
    const actor = createActor(flow.machine, { input: undefined }).start();
    await begun.opened;
    actor.stop();
    const inTask = stored(actor);
    expect(inTask).toMatchObject({ status: 'stopped', children: {} });
    const second = restored(flow, inTask).start();
    await until(second, ({ context }) => context.delayed.size === 1);
    second.stop();
    const asleep = stored(second);
    expect(asleep).toMatchObject({ status: 'stopped', children: {} });
    expect(await ending(flow, asleep, 'went')).toBe('went');
    expect(calls).toBe(2);
  });

  it('a snapshot of an ended run gives its end again, with an error that is one', async () => {
    const bad = workflow('ends', task('a', async () => Promise.reject(new RangeError('far'))).to('b', async () => 1));
    const actor = createActor(bad.machine, { input: undefined }).start();
    await toPromise(actor).catch(() => undefined);
    const failed = stored(actor);
    expect(failed).toMatchObject({ status: 'error', value: 'failed' });
    expect(await ending(bad, failed)).toMatchObject({ name: 'TaskError', code: 'task/failed', cause: { name: 'RangeError', message: 'far' } });
    const cancelled = createActor(anyFlow().machine, { input: undefined }).start();
    cancelled.subscribe({ error: () => undefined });
    cancelled.send({ type: 'CANCEL' });
    expect(await ending(anyFlow(), stored(cancelled))).toBeInstanceOf(WorkflowCancelledError);
    const done = createActor(workflow('fine', task('a', async () => 5)).machine, { input: undefined }).start();
    expect(await toPromise(done)).toBe(5);
    expect(await ending(workflow('fine', task('a', async () => 5)), stored(done))).toBe(5);
  });
});
