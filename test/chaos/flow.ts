/**
 * The workflow that chaos runs: groups of one step and of several, retries, a dag, the channel. Every execution writes a line
 * to the witness file, which knows nothing of Redis.
 */
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { dag, each, node, task, workflow, type ExecutionOptions, type TaskContext } from 'taskchart';

const { CHAOS_WITNESS = '/dev/null', CHAOS_URL, CHAOS_NAMESPACE = 'chaos' } = process.env;
const execution: ExecutionOptions = CHAOS_URL === undefined ? { backend: 'local' } : { backend: 'redis', backendConfig: { url: CHAOS_URL, namespace: CHAOS_NAMESPACE } };

/** `begin` and `end` of an execution: an end without a successor of its begin is what a kill leaves. */
function witness(ctx: TaskContext<unknown>, what: 'begin' | 'end'): void {
  appendFileSync(CHAOS_WITNESS, `${what} ${ctx.idempotencyKey} ${ctx.attempt} ${process.pid} ${Date.now()}\n`);
}

async function work<T>(ctx: TaskContext<unknown>, ms: number, value: () => T): Promise<T> {
  witness(ctx, 'begin');
  await pause(ms);
  const result = value();
  witness(ctx, 'end');
  return result;
}

const items = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

export interface Size {
  readonly single: number;
  readonly several: number;
}

export const chaos = workflow('chaos',
  task('plan', ({ single }: Size, ctx) => work(ctx, 0, () => items(single)))
    .to(each(task('single', (n: number, ctx) => work(ctx, (n * 7) % 40, () => {
      ctx.channel.add('done', 1);
      return n * 2;
    }))).withExecution(execution))
    .to('again', (doubled: number[], ctx) => work(ctx, 0, () => doubled.slice(0, Math.ceil(doubled.length / 4))))
    .to(each(
      task('first', (n: number, ctx) => work(ctx, (n * 3) % 25, () => n + 1))
        .to('flaky', (n: number, ctx) => work(ctx, 5, () => {
          if (ctx.attempt === 1 && n % 5 === 0) throw new Error('not this time');
          return n;
        }), { retry: { attempts: 3, backoff: 'fixed', delay: 40 } })
        .to('last', (n: number, ctx) => work(ctx, (n * 5) % 30, () => n * 10)),
    ).withExecution({ ...execution, concurrency: 32 }))
    .to('sum', (list: number[], ctx) => work(ctx, 0, () => ({ sum: list.reduce((a, b) => a + b, 0), done: Number(ctx.channel.get('done')) })))
    .to(dag({
      a: node(task('a', ({ sum }: { sum: number; done: number }, ctx) => work(ctx, 20, () => sum % 97))),
      b: node(task('b', ({ a }: { a: number }, ctx) => work(ctx, 20, () => a + 1)), { needs: ['a'] }),
      c: node(task('c', ({ a }: { a: number }, ctx) => work(ctx, 30, () => a + 2)), { needs: ['a'] }),
      d: node(task('d', ({ b, c }: { b: number; c: number }, ctx) => work(ctx, 5, () => ({ b, c }))), { needs: ['b', 'c'] }),
    }).withExecution(execution))
    .to('end', ({ d }, ctx) => work(ctx, 0, () => ({ ...d, done: Number(ctx.channel.get('done')) }))));
