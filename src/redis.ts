/**
 * Redis: the queue that coordinators and workers share, the workers, and a store of checkpoints. A run that only sends groups
 * to workers needs none of this: `withExecution({ backend: 'redis', backendConfig })` says all.
 */
import { nodeEnvironment } from './adapters/node.ts';
import { redisSettings } from './adapters/redis/settings.ts';
import { connectTransport } from './adapters/redis/transport.ts';
import { badOption, oneOfOption, optionsObject } from './core/options.ts';
import type { RedisConfig } from './core/redis-config.ts';
import { inspectFromEnvironment } from './inspect/environment.ts';
import { linkRemote } from './runtime/remote/link.ts';
import { MemoryTaskQueue, RedisTaskQueue } from './runtime/worker/queue.ts';
import { TaskWorker as Worker } from './runtime/worker/worker.ts';
import type { TaskWorkerOptions } from './runtime/worker/options.ts';

export type TaskQueueOptions = { readonly backend: 'memory'; readonly name?: string } | ({ readonly backend: 'redis' } & RedisConfig);

/**
 * Makes a queue of units. `redis`: the one of a connection's `queue` (default `default`), for workers; it connects when it is
 * first used. `memory`: inside this process, for tests and tools.
 */
export function createTaskQueue(options: { readonly backend: 'memory'; readonly name?: string }): MemoryTaskQueue;
export function createTaskQueue(options: { readonly backend: 'redis' } & RedisConfig): RedisTaskQueue;
export function createTaskQueue(options: TaskQueueOptions): MemoryTaskQueue | RedisTaskQueue {
  const backend = oneOfOption('createTaskQueue.backend', (options as { readonly backend?: unknown } | undefined)?.backend, ['memory', 'redis'] as const);
  const { backend: _, ...others } = options as { readonly backend: string };
  if (backend === 'redis') {
    const settings = redisSettings(others, 'createTaskQueue');
    return new RedisTaskQueue(settings.queue, connectTransport(settings));
  }
  const { name = 'default' } = optionsObject('createTaskQueue', others, ['name']);
  if (typeof name !== 'string') throw badOption('createTaskQueue.name', name, 'a name');
  return new MemoryTaskQueue(name);
}

/** A process's worker: takes units from a Redis task queue and executes them with the workflows and tasks that are loaded. */
export class TaskWorker extends Worker {
  constructor(options: TaskWorkerOptions) {
    super(options, { ...nodeEnvironment, inspect: inspectFromEnvironment, remote: linkRemote });
  }
}

export { MemoryTaskQueue, RedisTaskQueue } from './runtime/worker/queue.ts';
export { RedisCoordinator } from './runtime/remote/coordinator.ts';
export { GroupExecutor } from './runtime/group-executor.ts';
export { RedisCheckpointStore } from './adapters/redis/checkpoint-store.ts';
export type { RedisConfig } from './core/redis-config.ts';
export type { TaskWorkerOptions } from './runtime/worker/options.ts';
export type { RunningUnit, WorkerNews, WorkerStatus } from './runtime/worker/worker.ts';
export type { Logger, TaskQueue } from './ports.ts';
