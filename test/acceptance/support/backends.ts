/**
 * The backends on which every case about groups is run.
 *
 * A fixture module calls `onBackends(import.meta.url, build)` at its top level: a backend with threads of its own loads
 * that module again in each of them and finds the same workflows there, by their ids.
 */
import type { ExecutionOptions } from 'taskchart';
import { redisConfig } from './redis-place.ts';

export interface BackendCase {
  readonly name: string;
  /** What `.withExecution` is given. */
  readonly execution: ExecutionOptions;
  /** Whether the tasks run in this thread, so that they share its variables. */
  readonly here: boolean;
}

/** One line for each backend. `module` is the fixture that defines the workflows. */
export function backendsFor(module: string): readonly BackendCase[] {
  return [
    { name: 'direct', execution: { backend: 'direct' }, here: true },
    { name: 'local', execution: { backend: 'local' }, here: true },
    { name: 'local2', execution: { backend: 'local', concurrency: 2 }, here: true },
    { name: 'threads', execution: { backend: 'threads', backendConfig: { module, maxThreads: 2 } }, here: false },
    // Served by a worker in the test's own process, and by one in another process: see redis-workers.ts.
    { name: 'redis', execution: { backend: 'redis', backendConfig: redisConfig('here') }, here: true },
    { name: 'redisElsewhere', execution: { backend: 'redis', backendConfig: redisConfig('elsewhere') }, here: false },
  ];
}

export interface Built<T> extends BackendCase {
  readonly flows: T;
}

/** Builds the workflows of a fixture once for each backend; `backend.name` keeps their ids apart. */
export function onBackends<T>(module: string, build: (backend: BackendCase) => T): readonly Built<T>[] {
  return backendsFor(module).map((backend) => ({ ...backend, flows: build(backend) }));
}
