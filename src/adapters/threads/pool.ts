/**
 * The pools of worker threads: one for each module and number of threads, shared by all runs of the process.
 *
 * Owns: who gets a thread, in the order of asking; that a dead thread leaves the pool. Does not own: single executions
 * (job.ts), what happens in a thread (worker.ts), how it gets its code (loaders.ts).
 *
 * Invariants
 * 1. Never more executions in the hands of tinypool than threads: a queue of its own would not survive a dying thread.
 * 2. A thread that ends, however it ends, gives its execution back and its place free.
 * 3. Idle threads do not keep the process alive, and end after a while.
 */
import { availableParallelism } from 'node:os';
import type * as TinypoolModule from 'tinypool';
import type { Tinypool } from 'tinypool';
import { DefinitionError } from '../../core/errors.ts';
import type { Backend, TaskCall } from '../../ports.ts';
import { Job, type JobHost } from './job.ts';
import { moduleUrl, threadEntry } from './loaders.ts';

/** The checked `backendConfig`. */
export interface ThreadSettings {
  readonly module: string;
  readonly maxThreads?: number;
}

const idleMs = 5000;

const pools = new Map<string, Promise<ThreadPool>>();

export function poolFor(settings: ThreadSettings): Promise<ThreadPool> {
  const module = moduleUrl(settings.module);
  const size = settings.maxThreads ?? availableParallelism();
  const key = `${size} ${module}`;
  let pool = pools.get(key);
  if (pool === undefined) {
    pool = createPool(module, size);
    pools.set(key, pool);
    pool.catch(() => pools.delete(key));
  }
  return pool;
}

async function createPool(module: string, size: number): Promise<ThreadPool> {
  const { Tinypool } = await loadTinypool();
  // Without atomics, an idle thread goes on serving its timers and sockets instead of sleeping on a lock.
  const threads = new Tinypool({ filename: threadEntry(module), minThreads: 0, maxThreads: size, idleTimeout: idleMs, useAtomics: false });
  return new ThreadPool(threads, module, size);
}

async function loadTinypool(): Promise<typeof TinypoolModule> {
  try {
    return await import('tinypool');
  } catch (cause) {
    throw new DefinitionError('definition/backend-unavailable', 'The backend "threads" needs the package tinypool, which cannot be loaded.', {
      hint: 'Install it: npm install tinypool',
      cause,
    });
  }
}

class ThreadPool implements Backend {
  readonly #threads: Tinypool;
  readonly #size: number;
  readonly #waiting = new Set<Job>();
  readonly #watched = new WeakSet<object>();
  readonly #host: JobHost;
  #running = 0;
  #broken: unknown;

  constructor(threads: Tinypool, module: string, size: number) {
    this.#threads = threads;
    this.#size = size;
    const reasonFor = (thrown: unknown): unknown => (thrown instanceof Error && thrown.name === 'CancelError' ? this.#broken : thrown);
    this.#host = { threads, module, submitted: () => this.#watch(), reasonFor };
    // Told of a thread that dies without an execution. One that dies while it starts leaves behind what waits for it.
    threads.on('error', (error: unknown) => {
      this.#broken = error;
      if (threads.queueSize > 0) threads.cancelPendingTasks();
    });
  }

  run(call: TaskCall): Promise<unknown> {
    const job = new Job(call);
    this.#waiting.add(job);
    this.#next();
    return job.outcome;
  }

  #next(): void {
    for (const job of this.#waiting) {
      if (this.#running >= this.#size) return;
      this.#waiting.delete(job);
      if (!job.settled) void this.#execute(job);
    }
  }

  async #execute(job: Job): Promise<void> {
    this.#running += 1;
    await job.run(this.#host);
    this.#running -= 1;
    this.#next();
  }

  /** A thread that calls `process.exit` ends without an error, which tinypool alone does not notice. */
  #watch(): void {
    for (const thread of this.#threads.threads) {
      if (this.#watched.has(thread)) continue;
      this.#watched.add(thread);
      thread.on('exit', (code: number) => {
        if (this.#threads.threads.includes(thread)) thread.emit('error', new Error(`it exited with code ${code}`));
      });
    }
  }
}
