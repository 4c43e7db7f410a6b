/** Every sentence of docs/waiting.md about the fate of a signal, an answer and a message. */
import { describe, expect, it } from 'vitest';
import { isTaskchartError, parallel, sequence, sleep, task, waitFor, workflow, type Json, type Run, type RunEvent, type TaskchartError } from 'taskchart';
import { memoryStore } from 'taskchart/stores';
import { VirtualClock } from 'taskchart/testing';
import { z } from 'zod';
import { postMessage } from '../../src/runtime/mailbox.ts';
import { StrictStore } from './support/strict-store.ts';

const approval = { schema: z.object({ by: z.string(), level: z.object({ at: z.number() }).optional() }) };
const echo = (id: string) => task(id, (value: unknown) => value as Json);

function thrown(work: () => unknown): TaskchartError {
  try {
    work();
  } catch (error) {
    if (isTaskchartError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Starts with virtual time, and lets everything happen that needs none. */
async function parked<O>(start: (clock: VirtualClock) => Run<O> | Promise<Run<O>>): Promise<{ run: Run<O>; clock: VirtualClock; events: RunEvent[] }> {
  const clock = new VirtualClock(1_000_000);
  const run = await start(clock);
  const events: RunEvent[] = [];
  run.on((event) => events.push(event));
  await clock.settle();
  return { run, clock, events };
}

describe('a signal to a wait of the graph', () => {
  const slow = (then: Promise<unknown>) => task('slow', async () => {
    await then;
  });

  it('early: kept in order, shown by status, and given to the next wait of that name', async () => {
    let go: (value?: unknown) => void = () => undefined;
    const gate = new Promise((resolve) => (go = resolve));
    const heard: unknown[] = [];
    const flow = workflow('early', slow(gate).to(waitFor('word').as('first')).to('between', (word) => void heard.push(word))
      .to(waitFor('word').as('second').to('both', (word) => word as string)));
    const { run } = await parked((clock) => flow.start(undefined, { clock }));
    run.signal('word', 'one');
    run.signal('word', 'two');
    expect(run.status()).toMatchObject({ state: 'running', keptSignals: { word: 2 } });
    go();
    expect(await run.result).toBe('two');
    expect(heard).toEqual(['one']);
    expect(run.status().keptSignals).toEqual({});
  });

  it('twice: the second is kept for the next wait of that name, shown by status, and also after the end', async () => {
    const { run, clock } = await parked((clock) => workflow('twice', sequence(waitFor('go'), sleep(1000), echo('end'))).start(undefined, { clock }));
    run.signal('go', 1);
    run.signal('go', 2);
    expect(run.status()).toMatchObject({ state: 'waiting', waitsFor: [{ kind: 'sleep' }], keptSignals: { go: 1 } });
    await clock.advance(1000);
    expect(await run.result).toBe(1);
    expect(run.status()).toMatchObject({ state: 'completed', keptSignals: { go: 1 } });
  });

  it('two waits of one name at the same time: who has waited longer is answered first', async () => {
    const flow = workflow('pair', parallel(waitFor('go').as('a'), sequence(sleep(5), waitFor('go').as('b'), echo('c'))));
    const { run, clock } = await parked((clock) => flow.start(undefined, { clock }));
    await clock.advance(5);
    run.signal('go', 1);
    run.signal('go', 2);
    expect(await run.result).toEqual({ a: 1, c: 2 });
  });

  it('late: refused with run/ended', async () => {
    const { run } = await parked((clock) => workflow('late', waitFor('go')).start(undefined, { clock }));
    run.signal('go', 1);
    await run.result;
    expect(thrown(() => run.signal('go', 2))).toMatchObject({ code: 'run/ended' });
  });

  it('unknown: refused with run/unknown-signal, which names the known ones', async () => {
    const { run } = await parked((clock) => workflow('names', sequence(waitFor('approval'), waitFor('budget'))).start(undefined, { clock }));
    const error = thrown(() => run.signal('aproval', 1));
    expect(error).toMatchObject({ code: 'run/unknown-signal', hint: 'did you mean "approval"?', details: { known: ['approval', 'budget'] } });
    expect(error.message).toContain('it waits for approval, budget');
    expect(run.status()).toMatchObject({ state: 'waiting', waitsFor: [{ name: 'approval' }], keptSignals: {} });
  });

  it('malformed: refused with value/schema and the path, and the run still waits', async () => {
    const { run } = await parked((clock) => workflow('forms', waitFor('approval', approval)).start(undefined, { clock }));
    expect(thrown(() => run.signal('approval', { by: 7 }))).toMatchObject({ code: 'value/schema', details: { path: 'signal "approval".by' } });
    expect(thrown(() => run.signal('approval', { by: 'Ada', level: { at: 'x' } }))).toMatchObject({ details: { path: 'signal "approval".level.at' } });
    expect(thrown(() => run.signal('approval', { by: new Date() }))).toMatchObject({ code: 'value/not-json', details: { path: 'signal "approval".by' } });
    expect(run.status()).toMatchObject({ state: 'waiting', keptSignals: {} });
    run.signal('approval', { by: 'Ada' });
    expect(await run.result).toEqual({ by: 'Ada' });
  });

  it('what the schema gives back is the output; a schema that answers later is refused', async () => {
    const trimmed = await parked((clock) => workflow('trims', waitFor('name', { schema: z.string().transform((name) => name.trim()) })).start(undefined, { clock }));
    trimmed.run.signal('name', ' Ada ');
    expect(await trimmed.run.result).toBe('Ada');
    const later = await parked((clock) => workflow('later', waitFor('name', { schema: z.string().refine(async () => true) })).start(undefined, { clock }));
    expect(thrown(() => later.run.signal('name', 'Ada'))).toMatchObject({ code: 'definition/bad-schema' });
    expect(later.run.status().state).toBe('waiting');
  });

  it('waits of one name share the schema of the first', async () => {
    const flow = workflow('shared', waitFor('n', { schema: z.number() }).as('first').to(waitFor('n', { schema: z.string() }).as('second')));
    const { run } = await parked((clock) => flow.start(undefined, { clock }));
    run.signal('n', 1);
    run.signal('n', 2);
    expect(await run.result).toBe(2);
  });

  it('checked by the schema also where the wait belongs to a workflow that only a task names', async () => {
    const inner = workflow('inner', waitFor('approval', approval));
    const { run } = await parked((clock) => workflow('outer', task('steer', (_: string, ctx) => ctx.goto(inner))).start('x', { clock }));
    expect(run.status()).toMatchObject({ state: 'waiting' });
    expect(thrown(() => run.signal('approval', { by: 7 }))).toMatchObject({ code: 'value/schema' });
    run.signal('approval', { by: 'Ada' });
    expect(await run.result).toEqual({ by: 'Ada' });
  });

  it('after the wait has timed out: kept like an early one', async () => {
    const flow = workflow('timed', waitFor('go', { timeout: 1000 }).recover('nobody', ({ code }) => code ?? '').to(sleep(1000)));
    const { run, clock } = await parked((clock) => flow.start(undefined, { clock }));
    await clock.advance(1000);
    run.signal('go', 1);
    expect(run.status().keptSignals).toEqual({ go: 1 });
    await clock.advance(1000);
    expect(await run.result).toBe('task/wait-timeout');
  });

  it('without recover, a wait that times out fails the run with task/wait-timeout', async () => {
    const { run, clock } = await parked((clock) => workflow('timed', waitFor('go', { timeout: 1000 })).start(undefined, { clock }));
    await clock.advance(1000);
    await expect(run.result).rejects.toMatchObject({ code: 'task/wait-timeout' });
  });
});

describe('an answer to ctx.ask', () => {
  it('early, before anyone has asked: refused; the same after the answer has come', async () => {
    const flow = workflow('asks', task('first', (n: number) => n).to(sleep(1000)).to('asking', async (_, ctx) => ctx.ask('name')).to(sleep(1000)));
    const { run, clock } = await parked((clock) => flow.start(1, { clock }));
    expect(thrown(() => run.signal('name', 'Ada'))).toMatchObject({ code: 'run/unknown-signal' });
    await clock.advance(1000);
    expect(run.status().waitsFor).toMatchObject([{ kind: 'signal', name: 'name' }]);
    run.signal('name', 'Ada');
    await clock.settle();
    expect(thrown(() => run.signal('name', 'Bob'))).toMatchObject({ code: 'run/unknown-signal' });
    await clock.advance(1000);
    expect(await run.result).toBe('Ada');
  });

  it('the task runs again from its top, as the same execution, and remembers what it was told', async () => {
    const seen: string[] = [];
    const flow = workflow('form', task('form', async (pass: number, ctx): Promise<Json> => {
      seen.push(`${ctx.idempotencyKey} ${ctx.attempt} ${ctx.iteration}`);
      const [first, second] = [await ctx.ask('first'), await ctx.ask('second')];
      return pass === 0 ? (ctx.nextIteration(1) as never) : [first, second];
    }));
    const { run, clock } = await parked((clock) => flow.start(0, { clock, runId: 'r' }));
    for (const [name, value] of [['first', 1], ['second', 2], ['first', 3], ['second', 4]] as const) {
      expect(run.status().waitsFor).toMatchObject([{ name }]);
      run.signal(name, value);
      await clock.settle();
    }
    // Another iteration is another execution: it is asked anew.
    expect(await run.result).toEqual([3, 4]);
    expect(seen).toEqual([...Array(3).fill('r/1 1 0'), ...Array(3).fill('r/1+1 1 1')]);
  });

  it('a retry of the task does not ask again', async () => {
    let failures = 1;
    const flow = workflow('again', task('asks', async (_: number, ctx): Promise<Json> => {
      const name = await ctx.ask('name');
      if (failures-- > 0) throw new Error('busy');
      return [ctx.attempt, name];
    }, { retry: { attempts: 2 } }));
    const { run } = await parked((clock) => flow.start(0, { clock }));
    run.signal('name', 'Ada');
    expect(await run.result).toEqual([2, 'Ada']);
  });

  it('malformed: asked again, with a warning in the log, until an answer fits', async () => {
    const flow = workflow('picky', task('asks', async (_: number, ctx) => ctx.ask('size', { schema: z.number() })));
    const { run, clock, events } = await parked((clock) => flow.start(0, { clock }));
    run.signal('size', 'large');
    await clock.settle();
    expect(run.status().waitsFor).toMatchObject([{ kind: 'signal', name: 'size' }]);
    expect(events.filter((event) => event.type === 'task.log')).toMatchObject([{ level: 'warn', message: expect.stringContaining('answer to "size"') }]);
    run.signal('size', 44);
    expect(await run.result).toBe(44);
  });

  it('code that catches what ask throws changes nothing', async () => {
    const flow = workflow('catches', task('asks', async (_: number, ctx): Promise<Json> => {
      try {
        return await ctx.ask('name');
      } catch {
        return 'caught';
      }
    }));
    const { run } = await parked((clock) => flow.start(0, { clock }));
    expect(run.status().state).toBe('waiting');
    run.signal('name', 'Ada');
    expect(await run.result).toBe('Ada');
  });

  it('of a name that the graph waits for as well may come early', async () => {
    const flow = workflow('both', sleep(1000).to('asks', async (_: unknown, ctx): Promise<Json> => ctx.ask('go')).to(waitFor('go')));
    const { run, clock } = await parked((clock) => flow.start(0, { clock }));
    run.signal('go', 1);
    run.signal('go', 2);
    await clock.advance(1000);
    expect(await run.result).toBe(2);
  });

  it('in a group member: its siblings go on, what comes behind the group does not', async () => {
    const done: string[] = [];
    const flow = workflow('group', parallel(
      task('asks', async (_: number, ctx): Promise<Json> => ctx.ask('name')),
      task('works', () => void done.push('works')),
    ).to('behind', () => void done.push('behind')));
    const { run } = await parked((clock) => flow.start(0, { clock }));
    expect([run.status().state, done]).toEqual(['waiting', ['works']]);
    run.signal('name', 'Ada');
    await run.result;
    expect(done).toEqual(['works', 'behind']);
  });
});

describe('a message in the mailbox of a store', () => {
  const flow = workflow('post', sequence(waitFor('go').as('one'), task('mid', (value: unknown) => value as Json), waitFor('go').as('two'), echo('end')));
  const stored = (store: StrictStore, options: { record?: 'manual' } = {}) => parked((clock) => flow.start(undefined, { clock, store, runId: 'r', ...options }));
  const resumed = (store: StrictStore) => parked((clock) => flow.resume(store, 'r', { clock }));

  it('is taken in by the owner, in order, each once', async () => {
    const store = new StrictStore();
    const { run, clock } = await stored(store);
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 1 });
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 2 });
    await clock.advance(500);
    expect(await run.result).toBe(2);
    expect(run.status().keptSignals).toEqual({});
  });

  it('is there for the next owner when nobody owns the run', async () => {
    const store = new StrictStore();
    await stored(store);
    store.kill('r');
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 1 });
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 2 });
    const { run } = await resumed(store);
    expect(await run.result).toBe(2);
  });

  it('is not lost with an owner that dies before the taking in is stored', async () => {
    const store = new StrictStore();
    const first = await stored(store);
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 1 });
    store.kill('r');
    await first.clock.advance(500);
    expect(first.run.status().waitsFor).toMatchObject([{ name: 'go' }]);
    await first.clock.advance(500); // looks again: the store may forget what it looks behind
    const { run } = await resumed(store);
    expect(run.snapshot().snapshot).toMatchObject({ context: { posted: 1 } });
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 2 });
    const third = await resumed(store);
    expect(await third.run.result).toBe(2);
  });

  it('is not lost in manual mode either, where only checkpoints are stored', async () => {
    const store = new StrictStore();
    const first = await stored(store, { record: 'manual' });
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 1 });
    await first.clock.advance(500);
    await first.clock.advance(500);
    store.kill('r');
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 2 });
    expect(await (await resumed(store)).run.result).toBe(2);
  });

  it('is not taken in again by an owner that resumes from a state which holds it', async () => {
    const store = new StrictStore();
    const first = await stored(store);
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 1 });
    await first.clock.advance(500);
    await first.run.checkpoint();
    store.kill('r');
    const { run } = await resumed(store);
    expect(run.status()).toMatchObject({ waitsFor: [{ name: 'go' }], keptSignals: {} });
  });

  it('that cannot be used is told to those who watch, and no later owner judges it again', async () => {
    const store = new StrictStore();
    const { run, clock, events } = await stored(store);
    await postMessage(store, 'r', { kind: 'signal', name: 'stop', value: 1 });
    await store.post('r', 'no JSON');
    await store.post('r', '{"kind":"something"}');
    await clock.advance(500);
    const refused = events.flatMap((event) => (event.type === 'run.message-refused' ? [event.error as TaskchartError] : []));
    expect(refused.map(({ code }) => code)).toEqual(['run/unknown-signal', 'protocol/bad-message', 'protocol/bad-message']);
    await run.checkpoint();
    store.kill('r');
    const next = await resumed(store);
    expect(next.events.filter((event) => event.type === 'run.message-refused')).toEqual([]);
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 1 });
    await postMessage(store, 'r', { kind: 'signal', name: 'go', value: 2 });
    await next.clock.advance(500);
    expect(await next.run.result).toBe(2);
  });

  it('can cancel the run', async () => {
    const store = new StrictStore();
    const { run, clock } = await stored(store);
    await postMessage(store, 'r', { kind: 'cancel', reason: 'not needed any more' });
    await clock.advance(500);
    await expect(run.result).rejects.toMatchObject({ code: 'run/cancelled', message: expect.stringContaining('not needed any more') });
  });
});

describe('a stored run', () => {
  it('gives listeners that are added right after resume everything from the first task on', async () => {
    const store = new StrictStore();
    const flow = workflow('heard', waitFor('go').to('work', () => 1).to('more', () => 2));
    const first = await parked((clock) => flow.start(undefined, { clock, store, runId: 'r' }));
    first.run.signal('go');
    store.kill('r');
    await postMessage(store, 'r', { kind: 'signal', name: 'go' });
    const { run, events } = await parked((clock) => flow.resume(store, 'r', { clock }));
    await run.result;
    expect(events.flatMap((event) => (event.type === 'task.completed' ? [event.task] : []))).toEqual(['work', 'more']);
  });

  it('has one owner: the former one stops at its next write', async () => {
    const store = memoryStore();
    const flow = workflow('owned', waitFor('go').to(sleep(1000)));
    const { run: former } = await parked((clock) => flow.start(undefined, { clock, store, runId: 'r' }));
    const { run, clock } = await parked((clock) => flow.resume(store, 'r', { clock }));
    former.signal('go', 'former');
    await expect(former.result).rejects.toMatchObject({ code: 'checkpoint/conflict' });
    run.signal('go', 'new');
    await clock.advance(1000);
    expect(await run.result).toBe('new');
  });

  it('stops where its store cannot write, and can be resumed from what is stored', async () => {
    const store = new StrictStore();
    const flow = workflow('full', waitFor('go'));
    const { run } = await parked((clock) => flow.start(undefined, { clock, store, runId: 'r' }));
    store.full = true;
    run.signal('go', 1);
    await expect(run.result).rejects.toThrow('no space left');
    store.full = false;
    const again = await flow.resume(store, 'r');
    again.signal('go', 2);
    expect(await again.result).toBe(2);
  });

  it('shows the signals that nobody has waited for, also when it is resumed from its end', async () => {
    const store = new StrictStore();
    const flow = workflow('kept', waitFor('go').to(sleep(1000)));
    const { run, clock } = await parked((clock) => flow.start(undefined, { clock, store, runId: 'r' }));
    run.signal('go', 1);
    run.signal('go', 2);
    await clock.advance(1000);
    await run.result;
    expect((await flow.resume(store, 'r')).status()).toMatchObject({ state: 'completed', keptSignals: { go: 1 } });
  });

  it('keeps what is due at its wall-clock time', async () => {
    const store = new StrictStore();
    const flow = workflow('sleeps', sleep(10_000).to(waitFor('go', { timeout: 10_000 }).recover('nobody', () => 'nobody')));
    const first = await parked((clock) => flow.start(undefined, { clock, store, runId: 'r' }));
    await first.clock.advance(4000);
    store.kill('r');
    const clock = new VirtualClock(first.clock.now() + 3000);
    const run = await flow.resume(store, 'r', { clock });
    await clock.advance(2999);
    expect(run.status().waitsFor).toMatchObject([{ kind: 'sleep' }]);
    await clock.advance(1);
    expect(run.status().waitsFor).toMatchObject([{ kind: 'signal', name: 'go' }, { kind: 'wait-timeout' }]);
    await clock.advance(10_000);
    expect(await run.result).toBe('nobody');
  });
});
