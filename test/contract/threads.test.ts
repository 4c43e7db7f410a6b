/**
 * What only the backend `threads` has: real threads that are shared, told to stop, that die and are replaced, and
 * modules that cannot serve. Invariant numbers are those of src/adapters/threads/job.ts and pool.ts.
 */
import { describe, expect, it } from 'vitest';
import { ParallelGroupError, type Run, type RunEvent } from '../../src/index.ts';
import * as aborts from '../fixtures/threads/aborts.ts';
import { careless } from '../fixtures/threads/careless.ts';
import * as deaths from '../fixtures/threads/deaths.ts';
import * as elsewhere from '../fixtures/threads/elsewhere.ts';
import * as notes from '../fixtures/threads/notes.ts';
import * as starts from '../fixtures/threads/starts.ts';

interface Flow { start(input: never): Pick<Run<unknown>, 'on' | 'result'> }

/** What the last attempt of the first task that failed for good failed with. */
async function failure(flow: Flow, input: unknown = [1]): Promise<Error & { code?: string; hint?: string }> {
  const run = flow.start(input as never);
  const errors: Error[] = [];
  run.on((event) => { if (event.type === 'task.failed' && event.final) errors.push(event.error); });
  await expect(run.result).rejects.toBeInstanceOf(ParallelGroupError);
  return errors[0] as Error;
}

/** What a task says on its broadcast channel, word by word. */
function hear(channel: string): () => Promise<unknown> {
  const line = new BroadcastChannel(channel);
  const words: unknown[] = [];
  const waiting: ((word: unknown) => void)[] = [];
  line.onmessage = (event) => {
    const { data } = event as unknown as { data: unknown };
    const first = waiting.shift();
    if (first === undefined) words.push(data);
    else first(data);
  };
  line.unref();
  return () => (words.length > 0 ? Promise.resolve(words.shift()) : new Promise((resolve) => waiting.push(resolve)));
}

describe('notes', () => {
  it('travel back in their order, before the end of the task; what cannot travel is shown', async () => {
    const run = notes.talking.start([7]);
    const heard: unknown[] = [];
    run.on((event: RunEvent) => {
      if (event.type === 'task.progress') heard.push([event.done, event.total, event.note]);
      else if (event.type === 'task.log') heard.push([event.level, event.message, event.data]);
      else if ('task' in event) heard.push(event.type);
    });
    await run.result;
    expect(heard).toEqual([
      'task.started', [1, 2, 'half'], ['warn', 'data', { n: 7, list: [7] }], ['info', 'no data', undefined], ['debug', 'cannot travel', 'a function'], [2, 2, undefined], 'task.completed',
    ]);
  });
});

describe('threads', () => {
  it('are shared by all runs of a module with the same number of threads', async () => {
    const ids = [...(await notes.where.run([1, 2, 3])), ...(await Promise.all([notes.where.run([4]), notes.where.run([5])])).flat()];
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toBeGreaterThan(0);
  });

  it('are never more than maxThreads, and as many where there is work', async () => {
    const ids = await notes.whereOfTwo.run([50, 50, 50, 50, 50, 50]);
    expect(new Set(ids).size).toBe(2);
  });

  it('start the clock of a time limit when the task begins, not when it begins to wait for a thread', async () => {
    expect(await notes.queued.run([1, 2, 3, 4, 5, 6])).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('an abort reaches ctx.signal in the thread (invariant 2 of job.ts)', () => {
  it('by a time limit', async () => {
    const next = hear('timed');
    expect(await failure(aborts.timed)).toMatchObject({ name: 'TaskTimeoutError', code: 'task/timeout' });
    expect(await next()).toBe('waiting');
    expect(await next()).toEqual({ name: 'TaskTimeoutError', code: 'task/timeout', message: 'task "slow" of workflow "timed" took longer than its timeout of 50 ms', real: true });
  });

  it('by cancelling the run', async () => {
    const next = hear('cancelled');
    const run = aborts.cancelled.start([1]);
    expect(await next()).toBe('waiting');
    run.cancel('enough');
    await expect(run.result).rejects.toMatchObject({ code: 'run/cancelled' });
    expect(await next()).toMatchObject({ name: 'WorkflowCancelledError', code: 'run/cancelled' });
  });

  it('by failFast', async () => {
    const next = hear('fast');
    const { result } = aborts.fast.start(1);
    expect([await next(), await next()].sort()).toEqual(['ready', 'waiting']);
    const go = new BroadcastChannel('fast-go');
    go.postMessage('go');
    await expect(result).rejects.toMatchObject({ code: 'group/policy' });
    go.close();
    expect(await next()).toMatchObject({ name: 'WorkflowCancelledError', code: 'run/cancelled' });
  });
});

describe('a task that does not listen', () => {
  it('has its late result dropped, and the thread is used again (case 20)', async () => {
    const [{ n, attempt, threadId }, later] = [(await aborts.late.run([1]))[0]!, (await aborts.late.run([2]))[0]!];
    expect({ n, attempt }).toEqual({ n: 1, attempt: 2 });
    expect(later).toEqual({ n: 2, attempt: 2, threadId });
  });

  it('and never ends has its thread ended, and the pool goes on with another', async () => {
    const [first] = await aborts.endless.run([1]);
    const [second] = await aborts.endless.run([2]);
    expect([first?.attempt, second?.attempt]).toEqual([2, 2]);
    expect(second?.threadId).not.toBe(first?.threadId);
  });
});

describe('a thread that dies (invariant 3 of job.ts, 2 of pool.ts)', () => {
  const ways: [way: string, why: string][] = [['exit', 'it exited with code 3'], ['abrupt', 'it exited with code 0'], ['throws', 'outside'], ['rejects', 'unhandled']];

  it.each(ways)('by %s is a failed attempt, and the next one gets another thread (case 51)', async (way) => {
    expect(await deaths.again.run([way])).toEqual([`${way}, 2`]);
  });

  it.each(ways)('by %s says so where there is no other attempt', async (way, why) => {
    expect(await failure(deaths.once, [way])).toMatchObject({
      name: 'TaskError', code: 'task/failed', message: `The worker thread that executed task "dieOnce" of workflow "once" ended before the task did: ${why}`,
    });
  });

  it('leaves nobody waiting, however many die', async () => {
    const input = Array.from({ length: 12 }, (_, at) => ways[at % ways.length]![0]);
    expect(await deaths.many.run(input)).toEqual(input.map((way) => `${way}, 2`));
  });
});

describe('a module that cannot serve', () => {
  const cases: [name: string, flow: Flow, code: string, message: RegExp][] = [
    ['defines another workflow', elsewhere.wrongModule, 'definition/unknown-task', /^The module "file:.*notes\.ts", loaded in a worker thread, does not define the workflow "wrongModule"; it defines .*"talking", "where"/],
    ['is not there', elsewhere.missingModule, 'definition/backend-unavailable', /^A worker thread could not load the module "file:.*no-such-file\.ts": .*no-such-file/],
    ['throws', elsewhere.throwingModule, 'definition/backend-unavailable', /could not load the module ".*throws\.ts": "the module itself failed"/],
    ['is named by a relative path', elsewhere.relativeModule, 'definition/backend-unavailable', /cannot load the module "\.\/elsewhere\.ts": it is neither a file: URL nor an absolute path/],
    ['defines another graph in threads', elsewhere.changing, 'definition/unknown-task', /^The workflow "changing" of the module ".*elsewhere\.ts", loaded in a worker thread, has no task "run"/],
    ['defines the workflow twice', elsewhere.twice, 'definition/ambiguous-step', /brings two workflows with the id "twice"/],
    ['starts a run when it is loaded', careless, 'definition/backend-unavailable', /could not load the module ".*careless\.ts"/],
  ];

  it.each(cases)('because it %s is told at the first attempt', async (_, flow, code, message) => {
    const error = await failure(flow);
    expect(error).toMatchObject({ name: 'DefinitionError', code });
    expect(error.message).toMatch(message);
    expect(error.hint).toBeTypeOf('string');
  });

  it('because it starts a run says that', async () => {
    const cause = (await failure(careless)).cause as ParallelGroupError;
    expect(cause.failed[0]?.error.message).toContain('the module started a run by itself, so every thread would repeat it');
  });

  it('because it ends its thread is a failed attempt', async () => {
    expect((await failure(elsewhere.dyingModule)).message).toContain('it exited with code 9');
  });
});

describe('a module', () => {
  it.each([['a path', elsewhere.byPath], ['a URL with a query', elsewhere.byQuery]])('may be given as %s', async (_, flow) => {
    expect(await flow.run([1, 2])).toEqual([1, 2]);
  });
});

describe('a run that a task starts in a thread', () => {
  it('is executed by that thread', async () => {
    expect(await starts.outer.run([1, 10])).toEqual([[2, 4], [20, 22]]);
  });
});
