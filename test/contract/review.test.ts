/** Faults that a hostile reading found: each of these failed once. */
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { each, parallel, sleep, task, waitFor, workflow, type RunEvent, type Workflow } from 'taskchart';
import { VirtualClock } from 'taskchart/testing';
import { memoryStore } from '../../src/adapters/memory-store.ts';
import type { CheckpointStore, Clock, RunWriter } from '../../src/ports.ts';
import { Vec, type ExecutionContext } from '../../machines/index.ts';

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function gate(): Gate {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

/** A store with something before (or in place of) its writes. */
function storeWith(part: Partial<Record<'open' | 'append' | 'save' | 'close', () => Promise<void> | void>>): CheckpointStore {
  const store = memoryStore();
  const wrapped = (writer: RunWriter): RunWriter => ({
    stored: writer.stored,
    append: async (...args) => (await part.append?.(), writer.append(...args)),
    save: async (...args) => (await part.save?.(), writer.save(...args)),
    close: async () => (await part.close?.(), writer.close()),
  });
  return new Proxy(store, {
    get: (target, key) => {
      if (key === 'open') return async (...args: Parameters<CheckpointStore['open']>) => (await part.open?.(), wrapped(await target.open(...args)));
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
}

async function typesOf(events: AsyncIterable<RunEvent>): Promise<string[]> {
  const types: string[] = [];
  for await (const event of events) types.push(event.type);
  return types;
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => 'no error', (error: { code?: string; message: string }) => error.code ?? error.message);
}

describe('time', () => {
  it.each([
    ['a sleep', sleep(60_000)],
    ['the timeout of a wait', waitFor('go', { timeout: 60_000 })],
  ])('%s that starts with resume() counts from there, not from the pause', async (_name, parked) => {
    const clock = new VirtualClock(1000);
    const inTask = gate();
    const run = workflow('resumes', task('a', async () => inTask.opened).to(parked as ReturnType<typeof sleep>)).start(undefined, { clock });
    await clock.settle();
    run.pause();
    inTask.open();
    await clock.advance(3_600_000);
    run.resume();
    await clock.settle();
    expect(run.status().waitsFor).toContainEqual(expect.objectContaining({ dueAt: clock.now() + 60_000 }));
  });

  it('a due time that came just before its wait was answered does not end the sleep behind it', async () => {
    const timers = new Set<{ readonly at: number; readonly fire: () => void }>();
    let now = 0;
    const turns: (() => void)[] = [];
    const clock: Clock = {
      now: () => now,
      after(delay, fire) {
        const timer = { at: now + delay, fire };
        timers.add(timer);
        return () => timers.delete(timer);
      },
      soon(run) {
        turns.push(run);
        return () => undefined;
      },
    };
    const turn = async (): Promise<void> => {
      for (const run of turns.splice(0)) run();
      await new Promise((resolve) => void setImmediate(resolve));
    };
    const run = workflow('stale', waitFor('go', { timeout: 1000 }).to(sleep(3_600_000))).start(undefined, { clock });
    await turn();
    now = 1000;
    for (const timer of [...timers]) if (timer.at <= now && timers.delete(timer)) timer.fire();
    run.signal('go');
    await turn();
    await turn();
    expect(run.status()).toMatchObject({ state: 'waiting', waitsFor: [{ kind: 'sleep', dueAt: 3_601_000 }] });
    run.cancel();
  });

  it('a task timeout longer than a platform timer takes is no timeout of one millisecond', async () => {
    const flow = workflow('patient', task('a', async () => new Promise<string>((resolve) => void setTimeout(() => resolve('done'), 20)), { timeout: 2 ** 31 + 5 }));
    expect(await flow.run()).toBe('done');
  });

  it('cancelling takes the timer of a task that never settles with it', async () => {
    const clock = new VirtualClock();
    const run = workflow('deaf', task('a', async () => new Promise<never>(() => undefined), { timeout: 3_600_000 })).start(undefined, { clock });
    await clock.settle();
    expect(clock.nextDueAt).toBeDefined();
    run.cancel();
    expect(await codeOf(run.result)).toBe('run/cancelled');
    expect(clock.nextDueAt).toBeUndefined();
  });
});

describe('what is stored and what is told', () => {
  const flow = workflow('short', task('a', async () => 1).to('b', async (n: number) => n + 1));

  it('events() of a stored run ends with its last event', async () => {
    const run = flow.start(undefined, { store: storeWith({ save: async () => new Promise((resolve) => void setTimeout(resolve, 5)) }) });
    expect((await typesOf(run.events())).at(-1)).toBe('run.completed');
  });

  it.each(['open', 'append', 'save'] as const)('a store whose %s fails ends the run for those who watch too, with its error', async (which) => {
    const store = storeWith({ [which]: () => Promise.reject(new Error('disk full')) });
    const run = workflow('failing', task('a', async () => new Promise<void>((resolve) => void setTimeout(resolve, 20)))).start(undefined, { store });
    const failed: unknown[] = [];
    run.on((event) => void (event.type === 'run.failed' && failed.push(event.error.message)));
    expect((await typesOf(run.events())).at(-1)).toBe('run.failed');
    await expect(run.result).rejects.toThrow('disk full');
    expect(failed).toEqual(['disk full']);
    expect(() => run.pause()).toThrow(/has ended/);
  });

  it('a store that cannot close a run whose end is durable does not fail the run', async () => {
    expect(await flow.start(undefined, { store: storeWith({ close: () => Promise.reject(new Error('busy')) }) }).result).toBe(2);
  });

  it('checkpoint() waits for a store that is still opening', async () => {
    const opening = gate();
    const run = flow.start(undefined, { store: storeWith({ open: async () => opening.opened }) });
    const saved = run.checkpoint();
    opening.open();
    await expect(saved).resolves.toBeUndefined();
    expect(await run.result).toBe(2);
  });

  it('starting or resuming by mistake leaves a run to its owner', async () => {
    const store = memoryStore();
    const inTask = gate();
    const make = (more: boolean): Workflow<'owned', undefined, unknown> => {
      const first = task('a', async (): Promise<number> => inTask.opened.then(() => 1));
      return (more ? workflow('owned', first.to('b', async () => 2)) : workflow('owned', first)) as Workflow<'owned', undefined, unknown>;
    };
    const run = make(false).start(undefined, { store, runId: 'one' });
    await new Promise((resolve) => void setTimeout(resolve, 10));
    expect(await codeOf(make(false).start(undefined, { store, runId: 'one' }).result)).toBe('checkpoint/exists');
    expect(await codeOf(make(true).resume(store, 'one'))).toBe('checkpoint/graph-mismatch');
    expect(await codeOf(make(true).resume(store, 'none'))).toBe('checkpoint/unknown-run');
    inTask.open();
    expect(await run.result).toBe(1);
    expect((await store.list()).map(({ runId }) => runId)).toEqual(['one']);
  });

  it('a run that ended by an error thrown in the machine goes on from its snapshot, and its tasks are aborted', async () => {
    let aborted = false;
    const inTask = gate();
    const flowOf = workflow('thrown', task('a', async (_: undefined, ctx) => {
      ctx.signal.addEventListener('abort', () => (aborted = true));
      await inTask.opened;
      return 4;
    }));
    const run = flowOf.start(undefined);
    await new Promise((resolve) => void setImmediate(resolve));
    run.actor.send({ type: 'SIGNAL', name: 'x', value: (() => 1) as never });
    expect(await codeOf(run.result)).toBe('value/not-json');
    expect(aborted).toBe(true);
    inTask.open();
    expect(await flowOf.resume(run.snapshot()).result).toBe(4);
  });

  it('leaving events() while it waits ends it at once, and an AbortSignal does not hold ended runs', async () => {
    const inTask = gate();
    const { signal } = new AbortController();
    const run = workflow('left', task('a', async () => inTask.opened)).start(undefined, { signal });
    const events = run.events();
    const next = events.next();
    expect(await events.return?.()).toEqual({ done: true, value: undefined });
    expect(await next).toEqual({ done: true, value: undefined });
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    inTask.open();
    await run.result;
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('contexts stay plain', () => {
  it('a channel never holds Infinity', async () => {
    const most = (id: string) => task(id, async (_: undefined, ctx) => ctx.channel.add('n', 1e308));
    const run = workflow('most', parallel(most('a'), most('b'))).start(undefined);
    await expect(run.result).rejects.toThrow(/goes beyond the numbers/);
    expect((run.actor.getSnapshot().context as ExecutionContext).channel).toEqual({ n: 1e308 });
  });

  it('a reason of any kind becomes text', async () => {
    const odd = Object.create(null) as string;
    await expect(workflow('odd', task('a', async (_: undefined, ctx) => ctx.cancel(odd))).run()).rejects.toMatchObject({ code: 'run/cancelled' });
    const run = workflow('odd2', task('a', async () => new Promise<never>(() => undefined))).start(undefined);
    run.cancel(new Error('enough') as never);
    await expect(run.result).rejects.toMatchObject({ code: 'run/cancelled', details: { reason: 'enough' } });
  });

  it('a channel is read as it was at the start of the task, however late', async () => {
    const written = gate();
    let seen: unknown = 'nothing';
    const write = task('write', async (_: undefined, ctx) => ctx.channel.set('k', 'new'));
    const read = task('read', async (_: undefined, ctx) => {
      await written.opened;
      seen = ctx.channel.get('k');
    });
    const start = task('start', async (_: undefined, ctx) => {
      ctx.nextTask(write, undefined);
      ctx.nextTask(read, undefined);
    });
    const run = workflow('late', start, { uses: [write, read] }).start(undefined, { concurrency: 2 });
    run.on((event) => void (event.type === 'task.completed' && event.task === 'write' && setTimeout(() => written.open(), 5)));
    await run.result;
    expect(seen).toBeUndefined();
  });
});

describe('who is served', () => {
  it('a second READY starts no member twice', async () => {
    const inTask = gate();
    let calls = 0;
    const run = workflow('again', each(task('e', async (n: number) => (calls++, inTask.opened.then(() => n))))).start([1, 2, 3]);
    await new Promise((resolve) => void setImmediate(resolve));
    const { context } = run.actor.getSnapshot();
    if (context.run !== null) run.actor.send({ type: 'READY', from: 'executor', at: Date.now(), run: context.run });
    inTask.open();
    expect(await run.result).toEqual([1, 2, 3]);
    expect(calls).toBe(3);
  });

  it('a signal goes to whoever has waited longest', async () => {
    const clock = new VirtualClock();
    const got: string[] = [];
    const wait = waitFor('go');
    const side = workflow('side', waitFor('go').to('noted', async (n) => void got.push(`side ${n}`)));
    const flow = workflow('fair', task('start', async (_: undefined, ctx) => ctx.nextTask(side)).to(wait).to('back', async (n, ctx) => {
      got.push(`main ${n}`);
      return n === 3 ? 'end' : ctx.goto(wait);
    }), { uses: [side] });
    const run = flow.start(undefined, { clock, concurrency: 2 });
    for (const n of [1, 2, 3]) {
      await clock.advance(10);
      run.signal('go', n);
    }
    await clock.settle();
    expect(got).toEqual(['main 1', 'side 2', 'main 3']);
  });

  it('no member starts while paused, also one that waited for its turn', async () => {
    const started: number[] = [];
    const busy = (): void => {
      for (const until = performance.now() + 3; performance.now() < until; );
    };
    const run = workflow('lanes', each(task('e', async (n: number) => (started.push(n), busy(), n))).withExecution({ backend: 'local', concurrency: 4 })).start(Array.from({ length: 60 }, (_, n) => n));
    await new Promise((resolve) => void setTimeout(resolve, 20));
    run.pause();
    const before = started.length;
    await new Promise((resolve) => void setTimeout(resolve, 40));
    expect(started).toHaveLength(before);
    run.resume();
    expect(await run.result).toHaveLength(60);
    expect(new Set(started).size).toBe(60);
  });
});

describe('steps that no graph declares', () => {
  it('inside an undeclared workflow goto finds its own steps, with their successors', async () => {
    const log: string[] = [];
    const last = task('third', async () => void log.push('third'));
    const sub = workflow('sub', task('first', async (_: undefined, ctx) => ctx.goto(last)).to('second', async () => void log.push('second')).to(last).to('fourth', async () => void log.push('fourth')));
    await workflow('outer', task('start', async (_: undefined, ctx) => ctx.nextTask(sub))).run();
    expect(log).toEqual(['third', 'fourth']);
  });

  it('two runs at once may give one id to steps of their own', async () => {
    const out: number[] = [];
    const flow = workflow('own', task('start', async (n: number, ctx) => ctx.nextTask(task('made', async () => void out.push(n)), undefined)));
    await Promise.all([flow.run(1), flow.run(2)]);
    expect(out.sort()).toEqual([1, 2]);
  });

  it('a restored run that stands at a step whose code is not there stops, and is not over', async () => {
    const store = memoryStore();
    const never = gate();
    const aborted: string[] = [];
    const met = task('met', async () => never.opened);
    const flow = (name: string) => {
      const long = task('long', async (_: undefined, ctx) => {
        ctx.signal.addEventListener('abort', () => aborted.push(name));
        await never.opened;
      });
      const start = task('start', async (_: undefined, ctx) => {
        ctx.nextTask(long, undefined);
        ctx.nextTask(met);
      });
      return workflow('elsewhere', start, { uses: [long] });
    };
    flow('first').start(undefined, { store, runId: 'one', concurrency: 2 });
    await new Promise((resolve) => void setTimeout(resolve, 10));
    // Two live steps under one id: neither can be the one that was meant.
    const another = task('met', async () => never.opened);
    expect(await codeOf((await flow('second').resume(store, 'one')).result)).toBe('definition/unknown-task');
    expect([another.id, ...aborted]).toEqual(['met', 'second']);
    const stored = await store.load('one');
    expect(JSON.parse(stored?.checkpoint ?? '')).toMatchObject({ snapshot: { context: { verdict: null } } });
  });

  it('with allowAdditions completions are counted for the same nodes as before', async () => {
    const extra = (id: string) => task(id, async () => 0);
    const flow = (uses: ReturnType<typeof extra>[]) => workflow('more', task('a', async () => 1).to(waitFor('go')).to('c', async () => 3), { uses });
    const before = flow([extra('u')]);
    const after = flow([extra('n'), extra('u')]);
    const run = before.start(undefined);
    await new Promise((resolve) => void setImmediate(resolve));
    const resumed = after.resume(run.snapshot(), { allowAdditions: true });
    resumed.signal('go');
    await resumed.result;
    const { completions } = resumed.actor.getSnapshot().context as ExecutionContext;
    const ids = Object.keys(after.definition.graph.nodes);
    expect([...Vec.entries(completions)].map(([at, times]) => `${ids[at]} ${times}`)).toEqual(['a 1', 'c 1']);
  });
});
