/** ACCEPTANCE 28, 30, 32, 33: a run that is stored as text and goes on elsewhere. Every cut point: cuts.test.ts. */
import { createActor, waitFor as waitForActor } from 'xstate';
import { describe, expect, it } from 'vitest';
import { each, parallel, parseCheckpoint, sequence, sleep, task, waitFor, workflow, CheckpointError, GraphMismatchError, TaskchartError } from 'taskchart';
import { z } from 'zod';
import { drive, TestClock } from './support/clock.ts';
import { Trace } from './support/trace.ts';
import { rejection, thrownBy } from './support/watch.ts';

describe('28. a run that is cut before its first task', () => {
  it('28. keeps its own options, whoever resumes it', async () => {
    const endless = task('endless', (n: number, ctx) => ctx.nextIteration(n + 1));
    const flow = workflow('limited', endless);
    const first = flow.start(0, { maxSteps: 5 });
    const text = JSON.stringify(first.snapshot());
    await expect(first.result).rejects.toThrow('maxSteps');
    await expect(flow.resume(text).result).rejects.toMatchObject({ code: 'run/step-limit', maxSteps: 5 });
  });
});

describe('28. a snapshot is the whole run', () => {
  const make = (t: Trace) => workflow('whole', sequence(
    t.task('a', (n: number) => n + 1),
    parallel(t.task('b', (n: number) => n * 2, { turns: 2 }), sequence(t.task('c', (n: number) => n), sleep(1000), t.task('d', (n: number) => n * 3))),
    waitFor('go'),
    t.task('e', (word: unknown, ctx) => `${word as string} ${ctx.runId}`),
  ));

  it('28. through JSON text into a run of another instance of the graph', async () => {
    const clock = new TestClock();
    const t = new Trace();
    const run = make(t).start(1, { clock, runId: 'r1' });
    await clock.quiet();
    const text = JSON.stringify(run.snapshot());
    const t2 = new Trace();
    const other = make(t2).resume(text, { clock: new TestClock(clock.now() + 5000) });
    expect(other.id).toBe('r1');
    const clock2 = new TestClock(clock.now() + 5000);
    const third = make(new Trace()).resume(JSON.parse(text), { clock: clock2 });
    expect(await drive(third, clock2, { answers: { go: 'went' } })).toEqual({ kind: 'completed', output: 'went r1' });
    expect(t.started.toSorted()).toEqual(['a', 'b', 'c']);
    other.cancel();
    await other.result.catch(() => undefined);
    expect(t2.started).toEqual([]);
  });

  it('28. by XState alone: createActor(machine, { snapshot })', async () => {
    const t = new Trace();
    const flow = workflow('alone', t.task('a', (n: number) => n + 1).to(waitFor('go')).to(t.task('b', (word: unknown) => word as string)));
    const actor = createActor(flow.machine, { input: 1 });
    actor.start();
    await waitForActor(actor, (snapshot) => snapshot.matches('waiting'));
    const stored = JSON.parse(JSON.stringify(actor.getPersistedSnapshot()));
    actor.stop();
    const again = createActor(flow.machine, { snapshot: stored, input: 1 });
    again.start();
    again.send({ type: 'SIGNAL', name: 'go', value: 'yes' });
    const done = await waitForActor(again, (snapshot) => snapshot.status === 'done');
    expect(done.output).toBe('yes');
    expect(t.started).toEqual(['a', 'b']);
  });

  it('28. snapshots of an ended run give its end again and run nothing', async () => {
    const t = new Trace();
    const flow = workflow('ends', t.task('a', (n: number, ctx) => {
      if (n === 0) throw new Error('zero');
      return n > 1 ? ctx.cancel('big') : n;
    }));
    for (const input of [0, 1, 2]) {
      const run = flow.start(input, { runId: 'r' });
      const ended = await run.result.catch((error: unknown) => error);
      const again = flow.resume(JSON.stringify(run.snapshot()));
      expect(await again.result.catch((error: unknown) => error)).toEqual(ended);
      expect(again.status().state).toBe(run.status().state);
    }
    expect(t.count('a')).toBe(3);
  });

  it('28. a snapshot holds every outcome that is known, also those that the machine has not heard of', async () => {
    const t = new Trace();
    let text = '';
    const flow = (trace: Trace, look: () => void) => workflow('known', parallel(trace.task('a', (n: number) => n), trace.task('b', async (n: number) => {
      // Some microtasks later, and no turn of the event loop.
      for (let left = 50; left > 0; left -= 1) await Promise.resolve();
      look();
      return n;
    })));
    const run = flow(t, () => (text = JSON.stringify(run.snapshot()))).start(1);
    expect(await run.result).toEqual({ a: 1, b: 1 });
    const t2 = new Trace();
    expect(await flow(t2, () => undefined).resume(text).result).toEqual({ a: 1, b: 1 });
    expect(t2.started).toEqual(['b']);
  });

  it('28. pause lets what is in flight end, starts nothing new, and outlives a restore', async () => {
    const flow = (trace: Trace) => workflow('pausing', sequence(
      trace.task('a', (n: number) => n, { turns: 2 }),
      trace.task('b', (n: number) => [n, n + 1, n + 2, n + 3], { turns: 1 }),
      each(trace.task('c', (n: number) => n, { turns: 2 })).withExecution({ backend: 'local', concurrency: 2 }),
      trace.task('d', (list: number[]) => list.length),
    ));
    let text = '';
    for (const [pauseIn, ran] of [['nothing', []], ['a', ['a']], ['b', ['b']], ['c', ['c', 'c']], ['c', ['c', 'c']], ['d', ['d']]] as const) {
      const clock = new TestClock();
      const t = new Trace();
      const run = text === '' ? flow(t).start(1, { clock }) : flow(t).resume(text, { clock });
      if (pauseIn === 'nothing') run.pause();
      else {
        t.onTask = (id) => id === pauseIn && run.status().state === 'running' && run.pause();
        expect(run.status().state).toBe('paused');
        run.resume();
      }
      await clock.quiet();
      expect(t.started).toEqual(ran);
      if (pauseIn === 'd') expect(await run.result).toBe(4);
      else expect(run.status().state).toBe('paused');
      text = JSON.stringify(run.snapshot());
    }
  });

  it('28. a resumed run can be answered, paused and cancelled at once, also where it stands in a step that no graph declares', async () => {
    const stray = workflow('strayed', sequence(task('before', (n: number) => n), waitFor('go'), task('behind', (word: unknown) => ['behind', word as string])));
    const flow = workflow('leads', sequence(task('lead', (n: number, ctx) => ctx.goto(stray, n)), task('never', () => 1)));
    const first = flow.start(1);
    await new Promise<void>((resolve) => first.on((event) => event.type === 'run.waiting' && resolve()));
    const text = JSON.stringify(first.snapshot());
    const answered = flow.resume(text);
    answered.signal('go', 'yes');
    expect(await answered.result).toEqual(['behind', 'yes']);
    const paused = flow.resume(text);
    paused.pause();
    paused.signal('go', 'later');
    await new Promise((resolve) => setImmediate(resolve));
    expect(paused.status()).toMatchObject({ state: 'paused', queued: 1 });
    const again = flow.resume(JSON.stringify(paused.snapshot()));
    again.resume();
    expect(await again.result).toEqual(['behind', 'later']);
    const cancelled = flow.resume(text);
    cancelled.cancel('at once');
    expect(await rejection(cancelled.result)).toMatchObject({ reason: 'at once' });
    for (const run of [first, paused]) {
      run.cancel();
      await rejection(run.result);
    }
  });

  it('28. values near the limits of one value are no limit of the run', async () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
    const deep = nested(99);
    const flow = workflow('deep', sequence(task('a', () => deep as null), parallel(task('b', (value: unknown) => value as null), task('c', (value: unknown) => value as null)).withPolicy('bestEffort'), waitFor('go')));
    const run = flow.start(undefined);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'run.waiting' && resolve()));
    const again = flow.resume(JSON.stringify(run.snapshot()));
    again.signal('go', deep);
    expect(await again.result).toEqual(deep);
  });

  it('28. another graph, another workflow, a damaged text: refused before anything runs', async () => {
    const t = new Trace();
    const run = make(t).start(1);
    const text = JSON.stringify(run.snapshot());
    const ran = t.started.length;
    const other = new Trace();
    const changed = workflow('whole', sequence(other.task('a', (n: number) => n), other.task('x', (n: number) => n)));
    const mismatch = thrownBy(() => changed.resume(text)) as unknown as GraphMismatchError;
    expect(mismatch).toBeInstanceOf(GraphMismatchError);
    expect(mismatch.added).toEqual(['x']);
    expect(mismatch.removed).toContain('e');
    expect(mismatch.changed).toEqual(['a']);
    expect(thrownBy(() => workflow('other', other.task('a2', () => 1)).resume(text))).toMatchObject({ name: 'CheckpointError', code: 'checkpoint/wrong-workflow' });
    for (let end = 0; end < text.length; end += 97) expect(thrownBy(() => make(other).resume(text.slice(0, end)))).toBeInstanceOf(CheckpointError);
    expect(other.started).toEqual([]);
    expect(t.started.length).toBe(ran);
    run.cancel();
    await rejection(run.result);
  });

  it('28. another graph by XState alone: the run fails with GraphMismatchError and runs nothing', async () => {
    const t = new Trace();
    const run = workflow('same', t.task('a', (n: number) => n).to(waitFor('go'))).start(1);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'run.waiting' && resolve()));
    const stored = run.snapshot().snapshot;
    const changed = workflow('same', t.task('a', (n: number) => n).to(waitFor('go')).to(t.task('new', () => 1)));
    const actor = createActor(changed.machine, { snapshot: stored as never, input: 1 });
    const error = await new Promise((resolve) => {
      actor.subscribe({ error: resolve });
      actor.start();
    });
    expect(error).toBeInstanceOf(GraphMismatchError);
    expect(t.started).toEqual(['a']);
  });

  it('28. tuning is no other graph: retry, timeout and concurrency may change between two versions of the code', async () => {
    const flow = (attempts: number, concurrency: number) => workflow('tuned', sequence(waitFor('go', { schema: z.array(z.number()) }), each(task('a', (n: number) => n, { retry: { attempts }, timeout: 1000 * attempts })).withExecution({ backend: 'local', concurrency })));
    const run = flow(1, 2).start(undefined);
    const again = flow(3, 7).resume(run.snapshot());
    again.signal('go', [1, 2]);
    expect(await again.result).toEqual([1, 2]);
  });

  it('28. every checkpoint is a valid envelope with a growing number', async () => {
    const run = workflow('numbered', waitFor('go')).start(undefined, { runId: 'n1' });
    const [first, second] = [run.snapshot(), run.snapshot()];
    expect(parseCheckpoint(JSON.stringify(first))).toEqual(first);
    expect(first).toMatchObject({ format: 'taskchart/checkpoint', version: 1, workflow: 'numbered', runId: 'n1', machineVersion: 1 });
    expect(second.seq).toBeGreaterThan(first.seq);
    const resumed = workflow('numbered', waitFor('go')).resume(second);
    expect(resumed.snapshot().seq).toBeGreaterThan(second.seq);
    run.cancel();
    resumed.cancel();
    await Promise.allSettled([run.result, resumed.result]);
  });
});

describe('30. time goes on while nobody runs the run', () => {
  const make = (at: number[], clock: () => number) => workflow('late', task('flaky', (_: number, ctx) => {
    at.push(clock());
    if (ctx.attempt === 1) throw new Error('not yet');
    return ctx.attempt;
  }, { retry: { attempts: 2, delay: 10_000 } }));

  const cutAfter4s = async (): Promise<{ text: string; startedAt: number }> => {
    const clock = new TestClock();
    const startedAt = clock.now();
    const run = make([], () => clock.now()).start(1, { clock });
    await clock.advance(4000);
    return { text: JSON.stringify(run.snapshot()), startedAt };
  };

  it('30. a retry that waits 10 s, cut after 4 s, resumed 3 s later, fires 3 s later', async () => {
    const { text, startedAt } = await cutAfter4s();
    const clock = new TestClock(startedAt + 7000);
    const at: number[] = [];
    const run = make(at, () => clock.now()).resume(text, { clock });
    await clock.advance(2999);
    expect(at).toEqual([]);
    await clock.advance(1);
    expect(at).toEqual([startedAt + 10_000]);
    expect(await run.result).toBe(2);
  });

  it('30. past due, it fires at once', async () => {
    const { text, startedAt } = await cutAfter4s();
    const clock = new TestClock(startedAt + 60_000);
    const at: number[] = [];
    const run = make(at, () => clock.now()).resume(text, { clock });
    await clock.advance(0);
    expect(at).toEqual([startedAt + 60_000]);
    expect(await run.result).toBe(2);
  });

  it('30. the same for a sleep and for the time limit of a wait, also in a group', async () => {
    const flow = () => workflow('parked', parallel(
      sequence(task('a', (n: number) => n), sleep(10_000)).as('slept'),
      sequence(task('b', (n: number) => n), waitFor('never', { timeout: 10_000 }).recover('gave-up', ({ code }) => code ?? 'none')).as('waited'),
    ));
    const clock = new TestClock();
    const first = flow().start(1, { clock });
    await clock.advance(4000);
    const text = JSON.stringify(first.snapshot());
    for (const [gap, left] of [[3000, 3000], [100_000, 0]] as const) {
      const later = new TestClock(clock.now() + gap);
      const run = flow().resume(text, { clock: later });
      let done = false;
      run.result.then(() => (done = true), () => undefined);
      if (left > 0) {
        await later.advance(left - 1);
        expect(done).toBe(false);
        await later.advance(1);
      } else await later.advance(0);
      expect(await run.result).toEqual({ slept: 1, waited: 'task/wait-timeout' });
      expect(later.now()).toBe(clock.now() + gap + left);
    }
  });

  it('30. a time limit of a task in flight starts anew when the task runs again', async () => {
    const flow = (t: Trace) => workflow('limited', t.task('slow', () => new Promise<null>(() => undefined), { timeout: 1000 }).recover('late', ({ code }) => code ?? ''));
    const clock = new TestClock();
    const first = flow(new Trace()).start(undefined, { clock });
    await clock.advance(900);
    const later = new TestClock(clock.now() + 50_000);
    const t = new Trace();
    const run = flow(t).resume(JSON.stringify(first.snapshot()), { clock: later });
    await later.advance(999);
    expect(run.status().waitsFor).toMatchObject([{ kind: 'task', task: 'slow' }]);
    await later.advance(1);
    expect(await run.result).toBe('task/timeout');
    expect(t.count('slow')).toBe(1);
  });
});

describe('32. waiting for a person', () => {
  const make = () => workflow('approve', sequence(task('ask', (n: number) => n), waitFor('approval', { schema: z.object({ by: z.string() }) }), task('act', ({ by }: { by: string }) => `approved by ${by}`)));

  it('32. a run that waits can be stored, and answered in another process much later', async () => {
    const run = make().start(1);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'run.waiting' && resolve()));
    expect(run.status()).toMatchObject({ state: 'waiting', waitsFor: [{ kind: 'signal', name: 'approval' }] });
    const again = make().resume(JSON.stringify(run.snapshot()));
    again.signal('approval', { by: 'Ada' });
    expect(await again.result).toBe('approved by Ada');
    expect(() => again.signal('approval', { by: 'Bob' })).toThrow(TaskchartError);
  });

  it('32. an unknown signal and a value that does not fit are refused, and the run still waits', async () => {
    const run = make().start(1);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'run.waiting' && resolve()));
    expect(thrownBy(() => run.signal('aproval', { by: 'Ada' }))).toMatchObject({ code: 'run/unknown-signal', hint: 'did you mean "approval"?' });
    expect(thrownBy(() => run.signal('approval', { by: 7 }))).toMatchObject({ name: 'ValueError', code: 'value/schema' });
    expect(thrownBy(() => run.signal('approval', { by: new Date() }))).toMatchObject({ name: 'ValueError' });
    expect(run.status().state).toBe('waiting');
    run.signal('approval', { by: 'Ada' });
    expect(await run.result).toBe('approved by Ada');
  });

  it('32. signals that come early, and more than one, are kept in order and survive a restore', async () => {
    const twice = () => workflow('twice', sequence(waitFor('word').as('one'), task('mid', (word: unknown) => word as string, {}), waitFor('word').as('two'), task('end', (word: unknown, ctx) => [ctx.runId, word as string])));
    const run = twice().start(undefined, { runId: 'r' });
    run.signal('word', 'first');
    run.signal('word', 'second');
    const again = twice().resume(JSON.stringify(run.snapshot()));
    expect(await again.result).toEqual(['r', 'second']);
    expect(await run.result).toEqual(['r', 'second']);
  });
});
