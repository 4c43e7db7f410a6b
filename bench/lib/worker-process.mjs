/**
 * Worker processes of a measurement: they tell by IPC when they are ready, answer questions about themselves, and end with
 * the process that started them.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const open = new Set();
process.on('exit', () => open.forEach((child) => child.kill('SIGKILL')));

/** `kind`: a file of workers/. Resolves when it takes jobs. */
export async function startWorker(kind, options) {
  const execArgv = process.env.BENCH_WORKER_FLAGS?.split(' ') ?? [];
  const child = fork(fileURLToPath(new URL(`../workers/${kind}.mjs`, import.meta.url)), [JSON.stringify(options)], { execArgv });
  open.add(child);
  child.once('exit', () => open.delete(child));
  const message = await Promise.race([once(child, 'message').then(([first]) => first), once(child, 'exit').then(() => undefined)]);
  if (message !== 'ready') throw new Error(`the worker process of ${kind} ended before it was ready`);
  return {
    child,
    /** The greatest memory that it had. */
    async peakRss() {
      child.send('memory');
      const [bytes] = await once(child, 'message');
      return bytes;
    },
    next: async () => (await once(child, 'message'))[0],
    async stop() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
    async kill() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** What every worker process does beside its work. */
export function serve() {
  process.on('message', (text) => {
    if (text === 'memory') process.send(process.resourceUsage().maxRSS * 1024);
  });
  process.on('disconnect', () => process.exit(0));
  process.send('ready');
}

export const workerOptions = () => JSON.parse(process.argv[2]);
