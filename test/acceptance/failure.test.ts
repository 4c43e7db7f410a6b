/** ACCEPTANCE 16–20, 25, 27: failures, outside groups and in virtual time. Groups on every backend are in groups.test.ts. */
import { describe, expect, it } from 'vitest';
import { each, parallel, sequence, task, workflow, NonRetryableError, RetryAfterError, RetryLimitError, TaskError, TaskTimeoutError, ValueError, ParallelGroupError } from 'taskchart';
import { seededRandom } from 'taskchart/testing';
import { drive, TestClock } from './support/clock.ts';
import { Trace } from './support/trace.ts';
import { rejection, thrownBy } from './support/watch.ts';

describe('retries', () => {
  it('16. a failed attempt goes to the back of the queue: s, a, b, a', async () => {
    const t = new Trace();
    const a = t.task('a', (_: number, ctx) => {
      if (ctx.attempt === 1) throw new Error('once');
      return 1;
    }, { retry: { attempts: 2 } });
    const b = t.task('b', () => 2);
    const flow = workflow('queue', t.task('s', (n: number, ctx) => {
      ctx.nextTask(a, n);
      ctx.nextTask(b);
      return n;
    }));
    expect(await flow.run(9)).toBe(9);
    expect(t.started).toEqual(['s', 'a', 'b', 'a']);
  });

  it('17. attempts: 3 and always a failure: three calls, RetryLimitError with 3 and the last cause', async () => {
    const t = new Trace();
    const flow = workflow('broken', t.task('bad', (_: number, ctx): number => {
      throw new RangeError(`attempt ${ctx.attempt}`);
    }, { retry: { attempts: 3 } }));
    const error = await rejection(flow.run(1));
    expect(t.count('bad')).toBe(3);
    expect(error).toBeInstanceOf(RetryLimitError);
    expect(error).toMatchObject({ code: 'task/retry-limit', attempts: 3, taskId: 'bad', cause: { name: 'RangeError', message: 'attempt 3' } });
    expect(error.cause).toBeInstanceOf(RangeError);
    expect(error.message).toMatch(/"bad".*"broken".*3 times.*attempt 3/);
    expect(new Set(t.entries.map(({ key }) => key)).size).toBe(1);
  });

  it('17. NonRetryableError: one call', async () => {
    const t = new Trace();
    const flow = workflow('broken', t.task('bad', (): number => {
      throw new NonRetryableError('the account is closed');
    }, { retry: { attempts: 3 } }));
    const error = await rejection(flow.run(1));
    expect(t.count('bad')).toBe(1);
    expect(error).toBeInstanceOf(TaskError);
    expect(error.message).toContain('the account is closed');
    expect(error.cause).toBeInstanceOf(NonRetryableError);
  });

  it('17. without a retry a failure is a TaskError with the cause', async () => {
    const error = await rejection(workflow('broken', task('bad', (): number => {
      throw new TypeError('no such thing');
    })).run(1));
    expect(error).toMatchObject({ name: 'TaskError', code: 'task/failed', taskId: 'bad', attempts: 1 });
    expect(error.cause).toBeInstanceOf(TypeError);
  });

  it('18. exponential backoff, 1 s, factor 2, at most 5 s: 1, 2, 4, 5, 5 s in virtual time', async () => {
    const clock = new TestClock();
    const at: number[] = [];
    const flow = workflow('patient', task('bad', (): number => {
      at.push(clock.now());
      throw new Error('again');
    }, { retry: { attempts: 6, backoff: 'exponential', delay: 1000, factor: 2, maxDelay: 5000 } }));
    const run = flow.start(1, { clock });
    expect(await drive(run, clock)).toMatchObject({ kind: 'failed', error: { name: 'RetryLimitError' } });
    expect(at.slice(1).map((time, index) => time - (at[index] ?? 0))).toEqual([1000, 2000, 4000, 5000, 5000]);
  });

  it('18. the same inside a group', async () => {
    const clock = new TestClock();
    const at: number[] = [];
    const flow = workflow('patient', parallel(task('bad', (_: number, ctx): number => {
      at.push(clock.now());
      if (ctx.attempt < 6) throw new Error('again');
      return 1;
    }, { retry: { attempts: 6, backoff: 'exponential', delay: 1000, factor: 2, maxDelay: 5000 } }), task('ok', () => 1)));
    expect(await drive(flow.start(1, { clock }), clock)).toEqual({ kind: 'completed', output: { bad: 1, ok: 1 } });
    expect(at.slice(1).map((time, index) => time - (at[index] ?? 0))).toEqual([1000, 2000, 4000, 5000, 5000]);
  });

  it('18. jitter is bounded, and the same events give the same delays', async () => {
    const delays = async (seed: number): Promise<number[]> => {
      const clock = new TestClock();
      const at: number[] = [];
      const flow = workflow('jitter', task('bad', (): number => {
        at.push(clock.now());
        throw new Error('again');
      }, { retry: { attempts: 40, delay: 1000, jitter: 0.5 } }));
      await drive(flow.start(1, { clock, random: seededRandom(seed) }), clock);
      return at.slice(1).map((time, index) => time - (at[index] ?? 0));
    };
    const some = await delays(7);
    expect(some).toHaveLength(39);
    for (const delay of some) {
      expect(delay).toBeGreaterThanOrEqual(500);
      expect(delay).toBeLessThanOrEqual(1000);
    }
    expect(new Set(some).size).toBeGreaterThan(10);
    expect(await delays(7)).toEqual(some);
    expect(await delays(8)).not.toEqual(some);
  });

  it('18. RetryAfterError says when the next attempt begins', async () => {
    const clock = new TestClock();
    const at: number[] = [];
    const flow = workflow('told', task('busy', (_: number, ctx) => {
      at.push(clock.now());
      if (ctx.attempt < 3) throw new RetryAfterError(ctx.attempt * 700);
      return 'served';
    }, { retry: { attempts: 3, delay: 10 } }));
    expect(await drive(flow.start(1, { clock }), clock)).toEqual({ kind: 'completed', output: 'served' });
    expect(at.map((time) => time - (at[0] ?? 0))).toEqual([0, 700, 2100]);
  });

  it('19. a loop whose every pass fails once with attempts: 2 completes after ten passes', async () => {
    const t = new Trace();
    const flow = workflow('loop', t.task('pass', (n: number, ctx) => {
      if (ctx.attempt === 1) throw new Error('first attempt of this pass');
      return n < 10 ? ctx.nextIteration(n + 1) : n;
    }, { retry: { attempts: 2 } }));
    expect(await flow.run(1)).toBe(10);
    expect(t.count('pass')).toBe(20);
  });

  it('19. the same as members of a group, and by goto', async () => {
    const t = new Trace();
    const pass = t.task('pass', (n: number, ctx) => {
      if (ctx.attempt === 1) throw new Error('first attempt of this pass');
      return n < 10 ? ctx.nextIteration(n + 1) : n;
    }, { retry: { attempts: 2 } });
    expect(await workflow('loops', each(pass)).run([1, 5])).toEqual([10, 10]);
    expect(t.count('pass')).toBe(20 + 12);
    const goes = task('goes', (n: number, ctx): number => {
      if (ctx.attempt === 1) throw new Error('first attempt');
      return n < 10 ? (ctx.goto(goes as never, (n + 1) as never) as unknown as number) : n;
    }, { retry: { attempts: 2 } });
    expect(await workflow('circle', goes).run(1)).toBe(10);
  });
});

describe('timeouts', () => {
  it('20. timeout: 50 and a task that ignores its signal: a failed attempt after 50 ms, its late result is dropped', async () => {
    const clock = new TestClock();
    let late: ((value: string) => void) | undefined;
    const attempts: [number, number][] = [];
    const flow = workflow('late', task('slow', (_: number, ctx) => {
      attempts.push([ctx.attempt, clock.now()]);
      return ctx.attempt === 1 ? new Promise<string>((resolve) => (late = resolve)) : 'in time';
    }, { timeout: 50, retry: { attempts: 2, delay: 100 } }).to('next', (text) => text));
    const run = flow.start(1, { clock });
    await clock.advance(49);
    expect(run.status().waitsFor).toMatchObject([{ kind: 'task', task: 'slow', attempt: 1 }]);
    await clock.advance(1);
    expect(run.status().waitsFor).toMatchObject([{ kind: 'retry', task: 'slow' }]);
    late?.('too late');
    await clock.quiet();
    expect(run.status().waitsFor).toMatchObject([{ kind: 'retry', task: 'slow' }]);
    expect(await drive(run, clock)).toEqual({ kind: 'completed', output: 'in time' });
    expect(attempts.map(([attempt, at]) => [attempt, at - (attempts[0]?.[1] ?? 0)])).toEqual([[1, 0], [2, 150]]);
  });

  it('20. a task whose time is up sees its signal aborted; without attempts the error is TaskTimeoutError', async () => {
    const clock = new TestClock();
    let reason: unknown;
    const flow = workflow('late', task('slow', (_: number, ctx) => new Promise<never>(() => {
      ctx.signal.addEventListener('abort', () => (reason = ctx.signal.reason));
    }), { timeout: 50 }));
    const run = flow.start(1, { clock });
    await drive(run, clock);
    expect(reason).toBeInstanceOf(TaskTimeoutError);
    const error = await rejection(run.result);
    expect(error).toBeInstanceOf(TaskTimeoutError);
    expect(error).toMatchObject({ code: 'task/timeout', taskId: 'slow', timeoutMs: 50 });
  });

  it('20. a late rejection of a task whose time was up disturbs nobody', async () => {
    const clock = new TestClock();
    let fail: ((error: Error) => void) | undefined;
    const flow = workflow('late', parallel(task('slow', () => new Promise<never>((_, reject) => (fail = reject)), { timeout: 50 }), task('ok', () => 1)).withPolicy('bestEffort'));
    const run = flow.start(1, { clock });
    expect(await drive(run, clock)).toEqual({ kind: 'completed', output: { ok: 1 } });
    fail?.(new Error('too late'));
    await clock.quiet();
  });
});

describe('recover', () => {
  it('a failed step is replaced by its recover step, which is told what happened', async () => {
    const flow = workflow('mends', sequence(
      task('a', (n: number) => n + 1),
      task('bad', (n: number): number => {
        throw new Error(`cannot take ${n}`);
      }, { retry: { attempts: 2 } }).recover('mend', ({ step, name, code, message, attempts, input, cause }) => ({ step, name, code: code ?? '', attempts: attempts ?? 0, input, says: message.includes('cannot take 2'), cause: cause?.message ?? '' })),
      task('end', (given: unknown) => [given as null]),
    ));
    expect(await flow.run(1)).toEqual([{ step: 'bad', name: 'RetryLimitError', code: 'task/retry-limit', attempts: 2, input: 2, says: true, cause: 'cannot take 2' }]);
  });

  it('a recover step of a sequence, a group and a workflow', async () => {
    const bad = (id: string) => task(id, (n: number): number => {
      throw new Error(`${id} ${n}`);
    });
    const told = (failure: { step: string; name: string }) => `${failure.step} ${failure.name}`;
    expect(await workflow('w1', sequence(task('a', (n: number) => n), bad('b')).as('both').recover('r', told)).run(1)).toBe('both TaskError');
    expect(await workflow('w1', sequence(task('a', (n: number) => n), bad('b')).recover('r', ({ details }) => details?.['taskId'] as string)).run(1)).toBe('b');
    expect(await workflow('w2', parallel(task('a', (n: number) => n), bad('b')).recover('r', told)).run(1)).toBe('parallel@1 ParallelGroupError');
    expect(await workflow('w3', workflow('in', bad('b')).recover('r', told)).run(1)).toBe('in TaskError');
    expect(await workflow('w4', each(bad('b').recover('r', ({ input }) => input * 2))).run([1, 2])).toEqual([2, 4]);
  });
});

describe('values at the border', () => {
  const hostile: readonly [name: string, make: () => unknown, path: string][] = [
    ['Date', () => ({ users: [{ at: new Date(0) }] }), 'output.users[0].at'],
    ['Map', () => ({ m: new Map() }), 'output.m'],
    ['BigInt', () => 10n, 'output'],
    ['NaN', () => [0, Number.NaN], 'output[1]'],
    ['cycle', () => {
      const value: Record<string, unknown> = {};
      return Object.assign(value, { deep: { again: value } });
    }, 'output.deep.again'],
    ['__proto__ key', () => JSON.parse('{"a":{"__proto__":{"polluted":1}}}') as unknown, 'output.a'],
    ['actor look-alike', () => ({ actor: { sessionId: 'x:1', send: 1, ref: null } }), 'output.actor'],
    ['nested undefined', () => ({ a: { b: undefined } }), 'output.a.b'],
  ];

  it.each(hostile)('27. an output with a %s is a ValueError with its path, and is not tried again', async (_name, make, path) => {
    let calls = 0;
    const flow = workflow('values', task('bad', () => {
      calls += 1;
      return make() as null;
    }, { retry: { attempts: 3 } }));
    const error = await rejection(flow.run(undefined));
    expect(error).toBeInstanceOf(ValueError);
    expect(error.message.startsWith(path)).toBe(true);
    expect((error as unknown as ValueError).path).toBe(path);
    expect(calls).toBe(1);
    expect(({} as { polluted?: unknown }).polluted).toBe(undefined);
  });

  it.each(hostile)('27. the same for an input: %s', async (_name, make, path) => {
    let calls = 0;
    const flow = workflow('values', task('takes', (value: unknown) => {
      calls += 1;
      return value as null;
    }));
    const expected = path.replace('output', 'input');
    for (const error of [await rejection(flow.run(make())), thrownBy(() => flow.start(make()))]) {
      expect(error).toBeInstanceOf(ValueError);
      expect(error.message.startsWith(expected)).toBe(true);
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(0);
  });

  it.each(hostile)('27. the same for what goes through goto, nextTask, nextIteration, terminate and the channel: %s', async (_name, make) => {
    const target = task('target', (value: unknown) => value as null);
    const through = (how: (ctx: Parameters<Parameters<typeof task<'x', null, unknown>>[1]>[1]) => unknown) =>
      rejection(workflow('ways', task('bad', (_: unknown, ctx) => how(ctx as never) as null), { uses: [target] }).run(undefined));
    for (const how of [
      (ctx) => ctx.goto(target, make()),
      (ctx) => ctx.nextTask(target, make()),
      (ctx) => ctx.nextIteration(make()),
      (ctx) => ctx.terminate(make()),
      (ctx) => ctx.channel.set('k', make() as never),
      (ctx) => ctx.channel.append('k', make() as never),
    ] satisfies ((ctx: Parameters<Parameters<typeof task<'x', null, unknown>>[1]>[1]) => unknown)[]) {
      expect(await through(how)).toBeInstanceOf(ValueError);
    }
  });

  it('27. a value is a copy on both sides: nobody can change it behind the run', async () => {
    const kept = { list: [1] };
    const seen: unknown[] = [];
    const flow = workflow('copies', sequence(
      task('gives', () => kept),
      parallel(task('changes', (value: { list: number[] }) => value.list.push(2)), task('looks', async (value: { list: number[] }) => {
        await Promise.resolve();
        seen.push([...value.list]);
        return null;
      })),
      task('end', () => {
        kept.list.push(3);
        return kept;
      }),
    ));
    const output = await flow.run(undefined);
    kept.list.push(4);
    expect(seen).toEqual([[1]]);
    expect(output).toEqual({ list: [1, 3] });
  });
});

describe('failFast', () => {
  it('25. running members see their signal aborted, queued ones do not start', async () => {
    const reasons: string[] = [];
    const t = new Trace();
    const wait = (_: number, ctx: { readonly signal: AbortSignal }) => new Promise<null>((resolve) => ctx.signal.addEventListener('abort', () => {
      reasons.push((ctx.signal.reason as Error).name);
      resolve(null);
    }));
    const flow = workflow('fast', parallel(
      t.task('running', wait),
      t.task('bad', (): null => {
        throw new Error('bad');
      }, { turns: 2 }),
      t.task('queued', () => null),
    ).withPolicy({ failFast: true }).withExecution({ backend: 'local', concurrency: 2 }));
    const error = (await rejection(flow.run(1))) as unknown as ParallelGroupError;
    expect(error).toBeInstanceOf(ParallelGroupError);
    expect(error.failed.map(({ id }) => id)).toEqual(['bad']);
    expect(t.started).toEqual(['running', 'bad']);
    expect(reasons).toEqual(['WorkflowCancelledError']);
  });

  it('25. a failure that does not decide the outcome cancels nobody', async () => {
    const t = new Trace();
    const bad = (id: string) => t.task(id, (): number => {
      throw new Error(id);
    });
    const flow = workflow('fast', parallel(bad('a'), t.task('b', () => 1, { turns: 3 }), t.task('c', () => 2)).withPolicy({ critical: ['b'], failFast: true }));
    expect(await flow.run(1)).toEqual({ b: 1, c: 2 });
    const least = workflow('least', parallel(bad('a').as('d'), bad('b').as('e'), t.task('f', () => 1, { turns: 3 })).withPolicy({ atLeast: 1, failFast: true }));
    expect(await least.run(1)).toEqual({ f: 1 });
  });

  it('25. a sequence in a member is aborted where it stands, and a parked one never goes on', async () => {
    const clock = new TestClock();
    const t = new Trace();
    const flow = workflow('fast', parallel(
      t.task('a', () => 1).to(t.task('b', () => 2, { turns: 5 })).to(t.task('c', () => 3)).as('long'),
      t.task('flaky', (): number => {
        throw new Error('later');
      }, { retry: { attempts: 2, delay: 1000 } }),
      t.task('bad', (): null => {
        throw new Error('bad');
      }, { turns: 2 }),
    ).withPolicy({ failFast: true }).recover('mend', () => 'mended'));
    const run = flow.start(1, { clock });
    expect(await drive(run, clock)).toEqual({ kind: 'completed', output: 'mended' });
    await clock.advance(5000);
    expect(t.started).not.toContain('c');
    expect(t.count('flaky')).toBe(1);
  });
});
