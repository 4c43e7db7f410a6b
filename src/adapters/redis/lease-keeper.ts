/** Starts the thread that keeps a worker's lease while the worker's own thread is blocked, and tells it of every sign of life. */
import { Worker } from 'node:worker_threads';
import type { RedisTarget } from '../../core/redis-config.ts';
import type { LeaseKeeper, WorkerIdentity } from '../../ports.ts';
import { ownThread } from '../threads/loaders.ts';
import type { LeaseThreadData } from './lease-data.ts';

export function startLeaseThread(target: RedisTarget, { leaseMs, blockedMs, ...worker }: WorkerIdentity & { readonly leaseMs: number; readonly blockedMs: number }): LeaseKeeper {
  const beats = new SharedArrayBuffer(8);
  const heardAt = new BigInt64Array(beats);
  const beat = (): void => void Atomics.store(heardAt, 0, BigInt(Date.now()));
  const workerData: LeaseThreadData = { target, worker, leaseMs, blockedMs, beats };
  // What this process was started with is not for the thread: it registers the loaders that it needs by itself.
  const thread = new Worker(ownThread('The file of the thread that keeps leases', '../redis/lease-thread.ts', './lease-thread.js'), { workerData, execArgv: [], name: 'taskchart lease' });
  const ready = new Promise<void>((resolve) => {
    thread.once('message', () => resolve());
    // Without it the worker works on, and only a blocked event loop costs it its units.
    thread.on('error', () => resolve());
    thread.once('exit', () => resolve());
  });
  return { ready: ready.finally(() => thread.unref()), beat, close: () => void thread.terminate() };
}
