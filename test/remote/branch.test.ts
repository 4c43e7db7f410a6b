/** What a worker makes of a member is what this process would have made of it: outcomes, texts, keys, effects. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dag, each, node, parallel, sequence, sleep, task } from 'taskchart';
import { NonRetryableError, serializeError } from '../../src/core/errors.ts';
import type { Step } from '../../src/define/step.ts';
import type { TaskContext } from '../../src/define/context.ts';
import { World, onRedis } from './support/workers.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

interface Case {
  /** The same graph, for a backend. `saw` is told of every execution. */
  readonly make: (on: 'local' | 'redis', saw: (ctx: TaskContext<never>, ...more: unknown[]) => void) => Step<never, unknown>;
  readonly input?: unknown;
  readonly maxSteps?: number;
}

const execution = (on: 'local' | 'redis') => (on === 'redis' ? onRedis : ({ backend: 'local', concurrency: 64 } as const));
const flaky = (failures: number, saw: (ctx: TaskContext<never>) => void) => (n: number, ctx: TaskContext<number>) => {
  saw(ctx as never);
  if (ctx.attempt <= failures) throw new Error(`no ${n}`);
  return n * 10;
};

const cases: Record<string, Case> = {
  'values of each kind': {
    make: (on, saw) => each(task('id', (v: unknown, ctx) => (saw(ctx as never), v))).withExecution(execution(on)),
    input: [1, 'two', null, [3], { four: 4 }, true, 0],
  },
  'no value at all': { make: (on, saw) => each(task('void', (_: number, ctx) => saw(ctx as never))).withExecution(execution(on)), input: [1, 2] },
  'batches': { make: (on, saw) => each(task('double', async (n: number, ctx) => (saw(ctx as never), n * 2)), { batch: 3 }).withExecution(execution(on)), input: [1, 2, 3, 4, 5, 6, 7] },
  'members of a parallel with one input': {
    make: (on, saw) => parallel(task('a', (n: number, ctx) => (saw(ctx as never), n + 1)), task('b', (n: number, ctx) => (saw(ctx as never), n + 2)).to('c', (n) => n * 2).as('bc')).withExecution(execution(on)),
    input: 1,
  },
  'a failure': { make: (on, saw) => each(task('fails', (n: number, ctx) => { saw(ctx as never); if (n === 2) throw new Error('two'); return n; })).withExecution(execution(on)), input: [1, 2, 3] },
  'a failure that recovers': { make: (on, saw) => each(task('fails', (n: number, ctx) => { saw(ctx as never); if (n === 2) throw new Error('two'); return n; }).recover('mend', (failure, ctx) => (saw(ctx as never), `${failure.message} ${String(failure.input)}`))).withExecution(execution(on)), input: [1, 2] },
  'attempts, at once': { make: (on, saw) => each(task('flaky', flaky(2, saw), { retry: { attempts: 3 } })).withExecution(execution(on)), input: [1, 2] },
  'attempts, later': { make: (on, saw) => each(task('flaky', flaky(2, saw), { retry: { attempts: 3, delay: 200 } })).withExecution(execution(on)), input: [1] },
  'attempts, much later': { make: (on, saw) => each(task('flaky', flaky(2, saw), { retry: { attempts: 3, delay: 20_000 } })).withExecution(execution(on)), input: [1, 2] },
  'all attempts fail': { make: (on, saw) => each(task('flaky', flaky(9, saw), { retry: { attempts: 2 } })).withExecution(execution(on)), input: [1] },
  'a failure that forbids another attempt': { make: (on, saw) => each(task('never', (_: number, ctx) => { saw(ctx as never); throw new NonRetryableError('no use'); }, { retry: { attempts: 5 } })).withExecution(execution(on)), input: [1] },
  'a time limit': { make: (on, saw) => each(task('slow', (n: number, ctx) => { saw(ctx as never); return n === 1 ? new Promise(() => undefined) : n; }, { timeout: 50 })).withExecution(execution(on)).withPolicy('bestEffort'), input: [1, 2] },
  'a value that JSON cannot carry': { make: (on, saw) => each(task('date', (n: number, ctx): unknown => (saw(ctx as never), n === 1 ? { at: [new Date(0)] } : n))).withExecution(execution(on)).withPolicy('bestEffort').to('see', (list) => list), input: [1, 2] },
  'steps, iterations and spawned tasks': {
    make: (on, saw) => {
      const side = task('side', (n: number, ctx) => saw(ctx as never, n));
      return each(
        task('loop', (n: number, ctx): unknown => {
          saw(ctx as never, n);
          if (n < 3) return ctx.nextIteration(n + 1);
          ctx.nextTask(side, n * 100);
          return n;
        }).to('then', (n: unknown, ctx) => (saw(ctx as never), [n])),
      ).withExecution(execution(on));
    },
    input: [1, 2],
  },
  'goto, terminate': {
    make: (on, saw) => {
      const aside = task('aside', (n: number, ctx) => (saw(ctx as never), `aside ${n}`));
      return each(
        task('choose', (n: number, ctx): unknown => {
          saw(ctx as never);
          if (n === 1) return ctx.goto(aside, n);
          if (n === 2) return ctx.terminate('early');
          return n;
        }).to('never', (n: unknown) => `normal ${String(n)}`),
      ).withExecution(execution(on));
    },
    input: [1, 2, 3],
  },
  'a cancel of the whole run': { make: (on, saw) => each(task('stop', (n: number, ctx): unknown => (saw(ctx as never), n === 2 ? ctx.cancel('enough') : n))).withExecution(execution(on)).withPolicy('bestEffort'), input: [1, 2] },
  'more iterations than allowed': { make: (on, saw) => each(task('loop', (n: number, ctx): unknown => (saw(ctx as never), ctx.nextIteration(n)), { maxIterations: 3 })).withExecution(execution(on)), input: [1] },
  'the channel': {
    make: (on, saw) =>
      task('begin', (_: unknown, ctx) => (ctx.channel.set('base', 100), [1, 2, 3]))
        .to(each(task('add', (n: number, ctx) => { saw(ctx as never, ctx.channel.get('base')); ctx.channel.add('sum', n); return ctx.channel.get('sum') ?? null; }).to('more', (_: unknown, ctx) => { ctx.channel.add('sum', 1000); return ctx.channel.get('base') ?? null; })).withExecution(execution(on)))
        .to('see', (list: unknown, ctx) => [list, ctx.channel.get('sum') ?? null]),
  },
  'the channel of a branch that fails half-way': {
    make: (on) =>
      each(task('mark', (n: number, ctx) => (ctx.channel.add('done', 1), n)).to('fails', (): number => { throw new Error('half'); })).withExecution(execution(on)).withPolicy('bestEffort')
        .to('see', (_: unknown, ctx) => ctx.channel.get('done') ?? null),
    input: [1, 2],
  },
  'groups inside': {
    make: (on, saw) => each(task('list', (n: number, ctx) => (saw(ctx as never), [n, n + 1])).to(each(task('inner', (n: number, ctx) => (saw(ctx as never), n * n))).withExecution(execution(on)))).withExecution(execution(on)),
    input: [1, 5],
  },
  'a dag': {
    make: (on, saw) => dag({ a: node(task('a', (n: number, ctx) => (saw(ctx as never), n + 1))), b: node(task('b', ({ a }: { a: number }, ctx) => (saw(ctx as never), a * 2)), { needs: ['a'] }), c: node(task('c', ({ a, b }: { a: number; b: number }, ctx) => (saw(ctx as never), [a, b])), { needs: ['a', 'b'] }) }).withExecution(execution(on)),
    input: 1,
  },
  'a sleep that is near, and one that is not': { make: (on) => each(sequence(task('s', (n: number) => n), sleep(100), task('t', (n) => n), sleep(5000), task('u', (n: unknown) => Number(n) + 1))).withExecution(execution(on)), input: [1, 2] },
  'a limit of executions': { make: (on) => each(task('a', (n: number) => n).to('b', (n) => n)).withExecution(execution(on)), input: [1, 2, 3, 4], maxSteps: 5 },
};

async function outcome(on: 'local' | 'redis', name: string, { make, input, maxSteps }: Case): Promise<unknown> {
  const seen: string[] = [];
  const step = make(on, (ctx, ...more) => void seen.push(JSON.stringify([ctx.idempotencyKey, ctx.taskId, ctx.attempt, ctx.iteration, ctx.runId, ...more])));
  // Two loaded workflows of one id would be ambiguous.
  const flow = world.workflow(`flow-${name.replaceAll(/\W/g, '-')}-${on}`, step as unknown as Step<unknown, unknown>);
  const run = flow.start(input as never, { runId: 'run', clock: world.clock, ...(maxSteps !== undefined && { maxSteps }) });
  let result: unknown;
  try {
    result = { output: await world.run(run, 120_000) };
  } catch (thrown) {
    result = { error: serializeError(thrown) };
  }
  return { result: JSON.parse(JSON.stringify(result).replaceAll(flow.id, 'flow')) as unknown, seen: seen.sort() };
}

describe('a member that is executed by a worker', () => {
  it.each(Object.entries(cases))('gives what it gives here: %s', async (name, one) => {
    const worker = world.worker('w1', { concurrency: 3 });
    const here = await outcome('local', name, one);
    await world.within(worker.start());
    const there = await outcome('redis', name, one);
    expect(there).toEqual(here);
    expect(worker.status().refused).toBe(0);
  });
});
