/** ACCEPTANCE 1, 2, 5–15: order and flow outside groups. Groups on every backend are in groups.test.ts. */
import { describe, expect, it } from 'vitest';
import { contract, dag, each, node, parallel, sequence, sleep, task, waitFor, workflow, DefinitionError, IterationLimitError, StepLimitError, WorkflowCancelledError } from 'taskchart';
import { z } from 'zod';
import { Trace } from './support/trace.ts';
import { rejection, thrownBy } from './support/watch.ts';

describe('order and flow', () => {
  it('1. sequence(a, b, c) runs a, b, c; the output is that of c', async () => {
    const t = new Trace();
    const flow = workflow('flow', sequence(t.task('a', (n: number) => n + 1), t.task('b', (n: number) => n * 10), t.task('c', (n: number) => `c${n}`)));
    expect(await flow.run(1)).toBe('c20');
    expect(t.started).toEqual(['a', 'b', 'c']);
  });

  it('1. at any concurrency of the run, a sequence keeps its order', async () => {
    const t = new Trace();
    const flow = workflow('flow', sequence(t.task('a', (n: number) => n + 1, { turns: 2 }), t.task('b', (n: number) => n * 10), t.task('c', (n: number) => `c${n}`)));
    expect(await flow.with({ concurrency: 8 }).run(1)).toBe('c20');
    expect(t.started).toEqual(['a', 'b', 'c']);
  });

  it('5. a task that returns null: its successor sees null, not a default', async () => {
    const seen: unknown[] = [];
    const flow = workflow('nulls', sequence(
      task('a', () => null),
      task('b', (value: unknown = 'default') => void seen.push(value)),
      task('c', (value: unknown) => void seen.push(value === undefined ? 'no value' : value)),
    ));
    expect(await flow.run(undefined)).toBe(undefined);
    expect(seen).toEqual([null, 'no value']);
    expect(await workflow('null', task('n', () => null)).run(undefined)).toBe(null);
  });

  it('5. false, 0 and the empty text are values too', async () => {
    for (const value of [false, 0, '', [], {}]) {
      expect(await workflow('falsy', task('a', () => value as 0).to('b', (given: unknown) => [given as 0])).run(undefined)).toEqual([value]);
    }
  });

  it('7. nextTask in a sequence: main, x, succ; the output is that of the main path', async () => {
    const t = new Trace();
    const x = t.task('x', (text: string) => `x saw ${text}`);
    const flow = workflow('spawn', sequence(
      t.task('main', (n: number, ctx) => {
        ctx.nextTask(x, 'main');
        return n;
      }),
      t.task('succ', (n: number) => n + 1),
    ));
    expect(await flow.run(1)).toBe(2);
    expect(t.started).toEqual(['main', 'x', 'succ']);
  });

  it('7. a step that was added by the last task still runs, and does not make the output', async () => {
    const t = new Trace();
    const x = t.task('x', () => 'x');
    const flow = workflow('spawn', t.task('main', (n: number, ctx) => {
      ctx.nextTask(x);
      ctx.nextTask(x);
      return n;
    }));
    expect(await flow.run(1)).toBe(1);
    expect(t.started).toEqual(['main', 'x', 'x']);
  });

  it('8. goto skips the static successor', async () => {
    const t = new Trace();
    const target = t.task('target', (n: number) => `went ${n}`);
    const flow = workflow('jump', sequence(t.task('a', (n: number, ctx) => (n > 0 ? ctx.goto(target, n) : 'stay')), t.task('succ', (text: string) => `${text}!`)));
    expect(await flow.run(3)).toBe('went 3');
    expect(t.started).toEqual(['a', 'target']);
    expect(await flow.run(0)).toBe('stay!');
  });

  it('8. nextTask and goto together: both run, the successor does not', async () => {
    const t = new Trace();
    const worker = t.task('worker', () => 'worked');
    const special = t.task('special', () => 'special');
    const flow = workflow('both', sequence(
      t.task('a', (_: number, ctx) => {
        ctx.nextTask(worker);
        return ctx.goto(special);
      }),
      t.task('succ', () => 'succ'),
    ));
    expect(await flow.run(1)).toBe('special');
    expect(t.started).toEqual(['a', 'worker', 'special']);
  });

  it('8. goto to a step inside the graph goes on with its own successors', async () => {
    const t = new Trace();
    const second = t.task('second', (n: number) => n + 100);
    const flow = workflow('ahead', sequence(t.task('first', (n: number, ctx) => ctx.goto(second, n)), t.task('skipped', (n: number) => n), second, t.task('last', (n: number) => -n)));
    expect(await flow.run(1)).toBe(-101);
    expect(t.started).toEqual(['first', 'second', 'last']);
  });

  it('9. an agent and its tool by contracts, until the third call terminates', async () => {
    const calls = { agent: 0, tool: 0 };
    const agent = contract('agent', { input: z.object({ notes: z.array(z.string()) }), output: z.string() });
    const tool = contract('tool', { input: z.object({ notes: z.array(z.string()), ask: z.string() }), output: z.string() });
    agent.implement(({ notes }, ctx) => {
      calls.agent += 1;
      return calls.agent === 3 ? ctx.terminate(notes.join()) : ctx.goto(tool, { notes, ask: `q${calls.agent}` });
    });
    tool.implement(({ notes, ask }, ctx) => {
      calls.tool += 1;
      return ctx.goto(agent, { notes: [...notes, `${ask} answered`] });
    });
    const run = workflow('agent-loop', agent, { uses: [tool] }).start({ notes: [] });
    expect(await run.result).toBe('q1 answered,q2 answered');
    expect(calls).toEqual({ agent: 3, tool: 2 });
    expect(run.status().state).toBe('completed');
  });

  it('10. nextIteration n = 0..3 in sequence(a, b): a four times, b once, with the last value', async () => {
    const t = new Trace();
    const flow = workflow('loop', sequence(t.task('a', (n: number, ctx) => (n < 3 ? ctx.nextIteration(n + 1) : n * 10)), t.task('b', (n: number) => n + 1)));
    expect(await flow.run(0)).toBe(31);
    expect(t.started).toEqual(['a', 'a', 'a', 'a', 'b']);
    expect(t.entries.filter(({ what }) => what === 'start').map(({ iteration }) => iteration)).toEqual([0, 1, 2, 3, 0]);
    expect(new Set(t.entries.map(({ key }) => key)).size).toBe(5);
  });

  it('11. maxIterations: 3 and always nextIteration: IterationLimitError that names the task and 3', async () => {
    const t = new Trace();
    const flow = workflow('endless', t.task('loop', (n: number, ctx) => ctx.nextIteration(n + 1), { maxIterations: 3, retry: { attempts: 5 } }));
    const error = await rejection(flow.run(0));
    expect(error).toBeInstanceOf(IterationLimitError);
    expect(error).toMatchObject({ code: 'task/iteration-limit', taskId: 'loop', maxIterations: 3 });
    expect(error.message).toMatch(/"loop".*3/);
    expect(t.count('loop')).toBe(4);
  });

  it('11. without an option the limit is 100', async () => {
    const t = new Trace();
    const error = await rejection(workflow('endless', t.task('loop', (n: number, ctx) => ctx.nextIteration(n + 1))).run(0));
    expect(error).toMatchObject({ name: 'IterationLimitError', maxIterations: 100 });
    expect(t.count('loop')).toBe(101);
  });

  it('12. maxSteps: 5 on an endless goto loop: StepLimitError after 5 tasks', async () => {
    const calls: string[] = [];
    const ping = contract('ping', { input: z.number(), output: z.number() });
    const pong = contract('pong', { input: z.number(), output: z.number() });
    ping.implement((n, ctx) => (calls.push('ping'), ctx.goto(pong, n)));
    pong.implement((n, ctx) => (calls.push('pong'), ctx.goto(ping, n)));
    const error = await rejection(workflow('pingpong', ping, { uses: [pong] }).with({ maxSteps: 5 }).run(1));
    expect(error).toBeInstanceOf(StepLimitError);
    expect(error).toMatchObject({ code: 'run/step-limit', maxSteps: 5 });
    expect(error.message).toMatch(/"pingpong".*5 tasks/);
    expect(calls).toEqual(['ping', 'pong', 'ping', 'pong', 'ping']);
  });

  it('12. maxSteps that is just enough completes; retries of an execution are no further steps', async () => {
    const flow = workflow('steps', sequence(task('a', (n: number) => n), task('b', (n: number, ctx) => {
      if (ctx.attempt < 3) throw new Error('again');
      return n;
    }, { retry: { attempts: 3 } }), task('c', (n: number) => n)));
    expect(await flow.with({ maxSteps: 3 }).run(1)).toBe(1);
    expect(await rejection(flow.with({ maxSteps: 2 }).run(1))).toBeInstanceOf(StepLimitError);
  });

  it('12. maxSteps counts iterations, and members of a group', async () => {
    const t = new Trace();
    const loop = workflow('loop', t.task('loop', (n: number, ctx) => (n < 4 ? ctx.nextIteration(n + 1) : n)));
    expect(await loop.with({ maxSteps: 5 }).run(0)).toBe(4);
    expect(await rejection(loop.with({ maxSteps: 4 }).run(0))).toBeInstanceOf(StepLimitError);
    const fan = workflow('fan', each(t.task('item', (n: number) => n)));
    expect(await fan.with({ maxSteps: 3 }).run([1, 2, 3])).toEqual([1, 2, 3]);
    expect(await rejection(fan.with({ maxSteps: 2 }).run([1, 2, 3]))).toBeInstanceOf(StepLimitError);
  });

  it('13. terminate on a cache hit: later tasks do not run, the output is the given one', async () => {
    const t = new Trace();
    const flow = workflow('cache', sequence(t.task('look', (n: number, ctx) => (n > 0 ? ctx.terminate({ cached: n }) : n)), t.task('compute', (n: number) => n), t.task('keep', (n: number) => n)));
    const run = flow.start(7);
    expect(await run.result).toEqual({ cached: 7 });
    expect(t.started).toEqual(['look']);
    expect(run.status()).toMatchObject({ state: 'completed', queued: 0, waitsFor: [] });
  });

  it('13. terminate drops what is queued, aborts what is in flight, and may have no output', async () => {
    const t = new Trace();
    let aborted = false;
    const long = t.task('long', (_: number, ctx) => new Promise<null>((resolve) => ctx.signal.addEventListener('abort', () => {
      aborted = true;
      resolve(null);
    })));
    const later = t.task('later', () => null);
    const flow = workflow('end', sequence(t.task('a', (n: number, ctx) => {
      ctx.nextTask(long, n);
      return n;
    }), t.task('b', (_: number, ctx) => {
      ctx.nextTask(later);
      return ctx.terminate();
    })));
    expect(await flow.with({ concurrency: 2 }).run(1)).toBe(undefined);
    expect(t.started).toEqual(['a', 'long', 'b']);
    expect(aborted).toBe(true);
  });

  it('14. cancel in a task: WorkflowCancelledError with its id; it is not completed; nothing later runs', async () => {
    const t = new Trace();
    const flow = workflow('stops', sequence(t.task('a', (n: number) => n), t.task('stop', (_: number, ctx) => ctx.cancel('no more')), t.task('never', () => 1)));
    const run = flow.start(1);
    const error = await rejection(run.result);
    expect(error).toBeInstanceOf(WorkflowCancelledError);
    expect(error).toMatchObject({ code: 'run/cancelled', taskId: 'stop', reason: 'no more' });
    expect(error.message).toContain('"stop"');
    expect(t.started).toEqual(['a', 'stop']);
    expect(run.status()).toMatchObject({ state: 'cancelled', queued: 0, waitsFor: [] });
    expect(run.actor.getSnapshot().context.completions.size).toBe(1);
  });

  it('14. cancel from an embedded workflow, and from a recover step, ends the whole run', async () => {
    const inner = workflow('inner', task('stop', (_: number, ctx) => ctx.cancel('inside')));
    expect(await rejection(workflow('outer', sequence(inner, task('never', () => 1))).run(1))).toMatchObject({ name: 'WorkflowCancelledError', taskId: 'inner/stop', reason: 'inside' });
    const failing = task('bad', (_: number): number => {
      throw new Error('bad');
    }).recover('give-up', (failure, ctx) => ctx.cancel(failure.message));
    expect(await rejection(workflow('recovers', failing).run(1))).toMatchObject({ taskId: 'give-up', reason: 'task "bad" of workflow "recovers" failed: bad' });
  });

  it('14. the owner of a run can cancel it, by its handle or by a signal', async () => {
    const hang = workflow('hang', task('hang', (_: number, ctx) => new Promise<null>((resolve) => ctx.signal.addEventListener('abort', () => resolve(null)))));
    const run = hang.start(1);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'task.started' && resolve()));
    run.cancel('by hand');
    const error = await rejection(run.result);
    expect(error).toMatchObject({ name: 'WorkflowCancelledError', reason: 'by hand', taskId: undefined });
    const controller = new AbortController();
    const other = hang.start(1, { signal: controller.signal });
    controller.abort(new Error('by signal'));
    expect(await rejection(other.result)).toMatchObject({ name: 'WorkflowCancelledError', reason: 'by signal' });
  });

  it('15. cancel and terminate in one task: cancel wins, in any order, and also over a throw', async () => {
    const either = (first: 'cancel' | 'terminate', thrown = false) => workflow('both', task('both', (_: number, ctx) => {
      if (first === 'cancel') ctx.cancel('c');
      ctx.terminate('t');
      if (first === 'terminate') ctx.cancel('c');
      if (thrown) throw new Error('thrown');
      return 1;
    }, { retry: { attempts: 3 } })).run(1);
    expect(await rejection(either('cancel'))).toBeInstanceOf(WorkflowCancelledError);
    expect(await rejection(either('terminate'))).toBeInstanceOf(WorkflowCancelledError);
    expect(await rejection(either('cancel', true))).toBeInstanceOf(WorkflowCancelledError);
  });

  it('15. the order of precedence: terminate over goto over iteration over value', async () => {
    const there = task('there', () => 'there');
    const run = (...words: string[]) => workflow('words', task('say', (n: number, ctx) => {
      if (words.includes('iterate') && n === 0) ctx.nextIteration(1);
      if (words.includes('goto')) ctx.goto(there);
      if (words.includes('terminate')) ctx.terminate('ended');
      return `value ${n}`;
    }), { uses: [there] }).run(0);
    expect(await run()).toBe('value 0');
    expect(await run('iterate')).toBe('value 1');
    expect(await run('iterate', 'goto')).toBe('there');
    expect(await run('iterate', 'goto', 'terminate')).toBe('ended');
  });
});

describe('6. wrong graphs are refused when they are built', () => {
  const ok = (id: string) => task(id, (n: number) => n);
  const cases: readonly [name: string, build: () => unknown, code: string, says: readonly string[]][] = [
    ['two tasks with one id', () => workflow('twice', sequence(ok('a'), ok('b'), ok('a'))), 'definition/duplicate-id', ['"a"', 'twice > step 1', 'twice > step 3']],
    ['two tasks with one id in different groups', () => workflow('twice', parallel(ok('a').to(ok('b')).as('x'), ok('a').to(ok('c')).as('y'))), 'definition/duplicate-id', ['"a"', 'member "x"', 'member "y"']],
    ['one step placed twice', () => {
      const a = ok('a');
      return workflow('again', sequence(a, ok('b'), a));
    }, 'definition/duplicate-step', ['"a"', 'again > step 1', 'again > step 3']],
    ['two members with one id', () => parallel(ok('a'), ok('a')), 'definition/duplicate-id', ['"a"', '1 and 2']],
    ['a dag cycle', () => dag({ a: node(ok('a') as never, { needs: ['c'] }), b: node(ok('b') as never, { needs: ['a'] }), c: node(ok('c') as never, { needs: ['b'] }) } as never), 'definition/cycle', ['a', 'b', 'c', '→']],
    ['a dag node that needs itself', () => dag({ a: node(ok('a') as never, { needs: ['a'] }) } as never), 'definition/cycle', ['a → a']],
    ['an unknown need', () => dag({ a: node(ok('a')), b: node(ok('b') as never, { needs: ['ab'] }) } as never), 'definition/unknown-need', ['"b"', '"ab"']],
    ['an empty group', () => parallel(), 'definition/empty-group', ['parallel']],
    ['an empty fork', () => ok('a').fork({}), 'definition/empty-group', ['fork']],
    ['an empty sequence', () => (sequence as () => unknown)(), 'definition/empty-group', ['sequence']],
    ['an empty dag', () => dag({}), 'definition/empty-group', ['dag']],
    ['a member without an id', () => parallel(ok('a'), each(ok('b')) as never), 'definition/unnamed-member', ['Member 2']],
    ['something that is no step', () => workflow('none', (() => 1) as never), 'definition/not-a-step', ['"none"', 'function']],
    ['two steps with one id by uses', () => workflow('uses', ok('a'), { uses: [ok('a')] }), 'definition/duplicate-id', ['"a"', 'uses[0]']],
    ['22. atLeast above the number of members', () => parallel(ok('a'), ok('b'), ok('c'), ok('d')).withPolicy({ atLeast: 9 }), 'definition/bad-policy', ['9', '4']],
    ['22. an unknown critical id', () => parallel(ok('a'), ok('b')).withPolicy({ critical: ['c' as 'a'] }), 'definition/bad-policy', ['"c"']],
    ['a recover step with the id of another', () => workflow('rec', ok('a').recover('a', () => 1)), 'definition/duplicate-id', ['"a"']],
    ['a wait with the id of a task', () => workflow('wait', ok('a').to(waitFor('a'))), 'definition/duplicate-id', ['"a"']],
    ['a sleep with the id of a task', () => workflow('wait', ok('a').to(sleep(1).as('a'))), 'definition/duplicate-id', ['"a"']],
  ];

  it.each(cases)('6. %s', (_name, build, code, says) => {
    const error = thrownBy(build);
    expect(error).toBeInstanceOf(DefinitionError);
    expect(error.code).toBe(code);
    for (const text of says) expect(error.message).toContain(text);
  });
});
