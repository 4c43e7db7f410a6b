/**
 * Where a group's members run.
 *
 * Owns: the option, its checks, and the split into a plan (part of the graph) and settings (not part of it). Does not own: the
 * backends.
 *
 * Invariants
 * 1. A backend's configuration may hold secrets: it is never in a graph, no error shows one of its texts, and printing the
 *    workflow does not show it.
 * 2. `direct` is one at a time.
 */
import type { BackendName, ExecutionPlan } from '../core/graph.ts';
import { badOption, durationOption, integerOption, oneOfOption, optionsObject, textOption } from '../core/options.ts';
import { checkRedisConfig, type RedisConfig } from '../core/redis-config.ts';

export type { RedisConfig } from '../core/redis-config.ts';

export interface ThreadsConfig {
  /** The module that defines the workflow, loaded again in every thread: pass `import.meta.url`. */
  readonly module: string | URL;
  readonly maxThreads?: number;
}

export type ExecutionOptions =
  | { readonly backend: 'direct' }
  | { readonly backend: 'local'; readonly concurrency?: number }
  | { readonly backend: 'threads'; readonly concurrency?: number; readonly backendConfig: ThreadsConfig }
  | {
      readonly backend: 'redis';
      /** Members that may be with the workers, or wait for one, at the same time. Default: 4,096. */
      readonly concurrency?: number;
      /** How long the group waits for a worker to start one of its units, in milliseconds; then they fail. Default: for ever. */
      readonly startTimeout?: number;
      readonly backendConfig: RedisConfig;
    };

/** A backend's own configuration. It may hold secrets: never printed, hashed or stored. */
export type BackendSettings = Readonly<Record<string, unknown>>;

export interface CheckedExecution {
  readonly plan: ExecutionPlan;
  readonly settings?: BackendSettings;
}

/** Members of a group that workers may have, or find in the queue, at the same time: how many of them run is up to the workers' slots. */
const OPEN_UNITS = 4096;

export const defaultExecution: ExecutionPlan = Object.freeze({ backend: 'local', concurrency: 64 });

const backends = ['direct', 'local', 'threads', 'redis'] as const satisfies readonly BackendName[];

/** Checks what `withExecution` was given. `where` names the group in errors. */
export function checkExecution(where: string, given: unknown): CheckedExecution {
  const options = optionsObject(where, given, ['backend', 'concurrency', 'startTimeout', 'backendConfig']);
  const backend = oneOfOption(`${where}.backend`, options['backend'], backends);
  const { concurrency, backendConfig, startTimeout } = options;
  if (backend === 'redis') return { plan: { backend, concurrency: limitOf(where, concurrency, OPEN_UNITS) }, settings: redisSettings(where, backendConfig, startTimeout) };
  if (startTimeout !== undefined) throw badOption(`${where}.startTimeout`, startTimeout, 'left out', 'It is an option of the backend "redis".');
  if (backend === 'direct') {
    if (concurrency !== undefined && concurrency !== 1) throw badOption(`${where}.concurrency`, concurrency, '1 on the backend "direct"', 'Use "local".');
    return { plan: { backend, concurrency: 1 }, ...checkConfig(where, backend, backendConfig) };
  }
  return { plan: { backend, concurrency: limitOf(where, concurrency) }, ...checkConfig(where, backend, backendConfig) };
}

function limitOf(where: string, concurrency: unknown, standard = defaultExecution.concurrency): number {
  return concurrency === undefined ? standard : integerOption(`${where}.concurrency`, concurrency, 1);
}

function checkConfig(where: string, backend: 'direct' | 'local' | 'threads', given: unknown): { settings?: BackendSettings } {
  const path = `${where}.backendConfig`;
  if (given === undefined) {
    if (backend === 'threads') throw badOption(path, given, '{ module } on the backend "threads"', 'Pass { module: import.meta.url } of the module that defines the workflow.');
    return {};
  }
  const config = optionsObject(path, given, backend === 'threads' ? ['module', 'maxThreads'] : []);
  return { settings: backend === 'threads' ? checkThreads(path, config) : Object.freeze({ ...config }) };
}

function checkThreads(path: string, config: Readonly<Record<string, unknown>>): BackendSettings {
  const { module, maxThreads } = config;
  const name = module instanceof URL ? module.href : textOption(`${path}.module`, module);
  if (maxThreads !== undefined) integerOption(`${path}.maxThreads`, maxThreads, 1);
  return Object.freeze({ module: name, ...(maxThreads === undefined ? {} : { maxThreads }) });
}

/** As Node's `inspect` looks for it; elsewhere it is a symbol like any other. */
const inspected = Symbol.for('nodejs.util.inspect.custom');
const unseen = { value: () => '(settings of a backend, which are not shown)' };

function redisSettings(where: string, given: unknown, startTimeout: unknown): BackendSettings {
  const path = `${where}.backendConfig`;
  if (given === undefined) throw badOption(path, given, '{ url } or { host } on the backend "redis"');
  checkRedisConfig(path, given);
  const startTimeoutMs = startTimeout === undefined ? {} : { startTimeoutMs: durationOption(`${where}.startTimeout`, startTimeout, 1) };
  const settings = { ...(given as RedisConfig), ...startTimeoutMs };
  return Object.freeze(Object.defineProperties(settings, { [inspected]: unseen, toJSON: unseen }));
}
