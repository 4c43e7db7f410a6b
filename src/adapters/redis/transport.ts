/** TaskLists and Signals over one Redis. Nothing is connected, nor the client library loaded, before the first call. */
import type { TaskLists, Transport } from '../../ports.ts';
import { RedisClient } from './client.ts';
import type { ClientLimits } from './client.ts';
import { keysOf } from './keys.ts';
import { leaseKeeping } from './lease.ts';
import { RegistryView } from './registry-view.ts';
import { RunLists } from './run-lists.ts';
import type { RedisSettings } from './settings.ts';
import { RedisSignals } from './signals.ts';
import { Waits } from './waits.ts';
import { WorkerLists } from './worker-lists.ts';

export interface TransportOptions extends Partial<ClientLimits> {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export function connectTransport(settings: RedisSettings, { now = Date.now, ...limits }: TransportOptions = {}): Transport {
  const client = new RedisClient(settings, limits);
  const keys = keysOf(settings.namespace, settings.prefix);
  const waits = new Waits(client);
  const registry = new RegistryView(client, keys);
  const signals = new RedisSignals(client, keys.control);
  const lists = listsOf(new RunLists(client, keys, waits, registry), new WorkerLists(client, keys, waits, registry, now), async () => {
    signals.close();
    client.close();
  });
  return { key: settings.key, lists, signals, keepLease: leaseKeeping(settings) };
}

function listsOf(runs: RunLists, workers: WorkerLists, close: () => Promise<void>): TaskLists {
  return {
    acquire: (request) => runs.acquire(request),
    push: (request) => runs.push(request),
    take: (request) => runs.take(request),
    held: (request) => runs.held(request),
    trim: (request) => runs.trim(request),
    audit: (request) => runs.audit(request),
    cancel: (request) => runs.cancel(request),
    release: (request) => runs.release(request),
    waitResult: (request) => runs.waitResult(request),
    register: (request) => workers.register(request),
    step: (request) => workers.step(request),
    waitUnit: (request) => workers.waitUnit(request),
    slots: (request) => workers.slots(request),
    shared: (request) => workers.shared(request),
    leave: (request) => workers.leave(request),
    reap: (request) => workers.reap(request),
    workers: () => workers.workers(),
    pending: (queue) => workers.pending(queue),
    close,
  };
}
