/**
 * Where a group's members run.
 *
 * Owns: the option, its checks, and the split into a plan (part of the graph) and settings (not part of it). Does not own: the
 * backends.
 *
 * Invariants
 * 1. A backend's configuration may hold secrets: it is never in a graph, and no error shows one of its texts.
 * 2. `direct` is one at a time.
 */
import { DefinitionError } from '../core/errors.ts';
import type { BackendName, ExecutionPlan } from '../core/graph.ts';
import { badOption, booleanOption, integerOption, oneOfOption, optionsObject, textOption } from '../core/options.ts';

export interface ThreadsConfig {
  /** The module that defines the workflow, loaded again in every thread: pass `import.meta.url`. */
  readonly module: string | URL;
  readonly maxThreads?: number;
}

interface RedisCommon {
  /** Runs of one namespace share their workers. */
  readonly namespace?: string;
  readonly prefix?: string;
}
export type RedisConfig =
  | (RedisCommon & { readonly url: string })
  | (RedisCommon & {
      readonly host: string;
      readonly port?: number;
      readonly username?: string;
      readonly password?: string;
      readonly tls?: boolean;
      readonly db?: number;
    });

export type ExecutionOptions =
  | { readonly backend: 'direct' }
  | { readonly backend: 'local'; readonly concurrency?: number }
  | { readonly backend: 'threads'; readonly concurrency?: number; readonly backendConfig: ThreadsConfig }
  | { readonly backend: 'redis'; readonly concurrency?: number; readonly backendConfig: RedisConfig };

/** A backend's own configuration. It may hold secrets: never printed, hashed or stored. */
export type BackendSettings = Readonly<Record<string, unknown>>;

export interface CheckedExecution {
  readonly plan: ExecutionPlan;
  readonly settings?: BackendSettings;
}

export const defaultExecution: ExecutionPlan = Object.freeze({ backend: 'local', concurrency: 64 });

const backends = ['direct', 'local', 'threads', 'redis'] as const satisfies readonly BackendName[];
const configNames = {
  direct: [],
  local: [],
  threads: ['module', 'maxThreads'],
  redis: ['url', 'host', 'port', 'username', 'password', 'tls', 'db', 'namespace', 'prefix'],
} as const satisfies Record<BackendName, readonly string[]>;

/** Checks what `withExecution` was given. `where` names the group in errors. */
export function checkExecution(where: string, given: unknown): CheckedExecution {
  const options = optionsObject(where, given, ['backend', 'concurrency', 'backendConfig']);
  const backend = oneOfOption(`${where}.backend`, options['backend'], backends);
  const { concurrency, backendConfig } = options;
  if (backend === 'direct') {
    if (concurrency !== undefined && concurrency !== 1) throw badOption(`${where}.concurrency`, concurrency, '1 on the backend "direct"', 'Use "local".');
    return { plan: { backend, concurrency: 1 }, ...checkConfig(where, backend, backendConfig) };
  }
  const limit = concurrency === undefined ? defaultExecution.concurrency : integerOption(`${where}.concurrency`, concurrency, 1);
  return { plan: { backend, concurrency: limit }, ...checkConfig(where, backend, backendConfig) };
}

function checkConfig(where: string, backend: BackendName, given: unknown): { settings?: BackendSettings } {
  const path = `${where}.backendConfig`;
  if (given === undefined) {
    if (backend === 'threads') throw badOption(path, given, '{ module } on the backend "threads"', 'Pass { module: import.meta.url } of the module that defines the workflow.');
    if (backend === 'redis') throw badOption(path, given, '{ url } or { host } on the backend "redis"');
    return {};
  }
  const config = optionsObject(path, given, configNames[backend]);
  if (backend === 'threads') return { settings: checkThreads(path, config) };
  if (backend === 'redis') checkRedis(path, config);
  return { settings: Object.freeze({ ...config }) };
}

function checkThreads(path: string, config: Readonly<Record<string, unknown>>): BackendSettings {
  const { module, maxThreads } = config;
  const name = module instanceof URL ? module.href : textOption(`${path}.module`, module);
  if (maxThreads !== undefined) integerOption(`${path}.maxThreads`, maxThreads, 1);
  return Object.freeze({ module: name, ...(maxThreads === undefined ? {} : { maxThreads }) });
}

/** The values may be secrets, so the errors about them never show one. */
function checkRedis(path: string, config: Readonly<Record<string, unknown>>): void {
  if ((config['url'] === undefined) === (config['host'] === undefined)) {
    throw new DefinitionError('definition/bad-option', `Option ${path} needs either url or host, and not both.`, { details: { option: path } });
  }
  for (const name of ['url', 'host', 'username', 'password', 'namespace', 'prefix']) {
    if (config[name] === undefined || typeof config[name] === 'string') continue;
    throw new DefinitionError('definition/bad-option', `Option ${path}.${name} must be a string, but is of type ${typeof config[name]}.`, { details: { option: `${path}.${name}` } });
  }
  if (config['port'] !== undefined) integerOption(`${path}.port`, config['port'], 1, 65_535);
  if (config['db'] !== undefined) integerOption(`${path}.db`, config['db'], 0);
  if (config['tls'] !== undefined) booleanOption(`${path}.tls`, config['tls']);
}
