/**
 * What runs in the thread that keeps a worker's lease while the worker's own thread is blocked.
 *
 * An entry file of its own: lease-keeper.ts starts it. It has a connection of its own, and refreshes the lease by an empty
 * step: the same operation by which the worker does it.
 *
 * Invariants
 * 1. It does nothing while the worker refreshes its lease by itself, nor before it has done so for the first time.
 * 2. It gives up when the worker has not been heard of for `blockedMs`: whoever hangs for ever must lose its units.
 * 3. No failure ends it: it tries again at the next tick.
 */
import { parentPort, workerData } from 'node:worker_threads';
// Loaded now: when it is needed the threads that could help with loading may stand still.
import 'ioredis';
import type { LeaseThreadData } from './lease-data.ts';
import { RedisSettings } from './settings.ts';
import { connectTransport } from './transport.ts';

const { target, worker, leaseMs, blockedMs, beats } = workerData as LeaseThreadData;
const heardAt = new BigInt64Array(beats);
const { lists } = connectTransport(new RedisSettings(target), { commandMs: leaseMs, connectMs: leaseMs });
let renewing = false;

async function renew(): Promise<void> {
  const silentMs = Date.now() - Number(Atomics.load(heardAt, 0));
  if (renewing || silentMs < leaseMs / 2 || silentMs > blockedMs) return;
  renewing = true;
  try {
    const { status } = await lists.step({ ...worker, leaseMs, acks: [], claims: [], runs: [] });
    if (status === 'taken') clearInterval(ticks);
  } catch {
    // The next tick is soon.
  } finally {
    renewing = false;
  }
}

const ticks = setInterval(() => void renew(), Math.max(10, leaseMs / 5));
parentPort?.postMessage('ready');
