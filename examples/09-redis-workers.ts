/**
 * 09 Redis workers: one change moves a group to worker processes, and a worker may die in the middle of a task.
 *
 * This file starts itself twice as a worker. One of them kills itself with SIGKILL while it renders its first frame. Its
 * lease runs out, the frame goes back to the queue, and the other one renders it, under the same idempotency key.
 *
 * Workers of your own are usually `npx taskchart worker ./movie.ts --redis <url>`, on as many machines as you like.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { each, task, workflow } from 'taskchart';
import { createTaskQueue, TaskWorker } from 'taskchart/redis';
import { exampleRedis } from './support/redis.ts';

const { connection, close } = await exampleRedis(); // { url, namespace }, the same in all three processes
const [, , id, witness = join(mkdtempSync(join(tmpdir(), 'movie-')), 'witness')] = process.argv;

const movie = workflow('movie',
  each(task('render', async (frame: number, ctx) => {
    appendFileSync(witness, `${ctx.idempotencyKey}\n`);
    await pause(20);
    if (id === 'unlucky') process.kill(process.pid, 'SIGKILL');
    return `#${frame}`;
  })).withExecution({ backend: 'redis', backendConfig: connection })
    .to('cut', (frames) => `a movie of ${frames.join(' ')}`));

if (id !== undefined) {
  const worker = new TaskWorker({ queue: createTaskQueue({ backend: 'redis', ...connection }), id, concurrency: 1, leaseMs: 1000 });
  process.once('SIGTERM', () => void worker.drain().then(() => process.exit())); // it finishes what it has and takes nothing new
  await worker.start();
  process.send?.('ready');
} else {
  const start = (name: string) => fork(fileURLToPath(import.meta.url), [name, witness]);
  const [unlucky, other] = [start('unlucky'), start('other')];
  await Promise.all([once(unlucky, 'message'), once(other, 'message')]);
  const run = movie.start([1, 2, 3, 4, 5, 6, 7, 8]);
  const [, signal] = await once(unlucky, 'exit');
  console.log(`one worker is killed by ${signal} in the middle of a frame`);
  console.log(await run.result);
  const keys = readFileSync(witness, 'utf8').trim().split('\n');
  console.log(`${keys.length} renders were begun, under ${new Set(keys).size} idempotency keys`);
  other.kill('SIGTERM');
  console.log(`the other worker ends with code ${(await once(other, 'exit'))[0]}`);
  await close();
}

/* Expected output:
one worker is killed by SIGKILL in the middle of a frame
a movie of #1 #2 #3 #4 #5 #6 #7 #8
9 renders were begun, under 8 idempotency keys
the other worker ends with code 0
*/
