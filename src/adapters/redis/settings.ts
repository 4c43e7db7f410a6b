/**
 * A checked Redis configuration on its way to connections.
 *
 * Owns: hiding what is secret, and saying where the server is. Does not own: the checks (core/redis-config.ts), connections.
 *
 * Invariants
 * 1. No way of printing this object (String, JSON, inspect) shows a user, a password, a key or a URL.
 * 2. Two settings have the same `key` exactly if they mean the same lists: the same connection, namespace and prefix. The
 *    key tells nothing about what it was made of, and means nothing in another process.
 */
import { checkRedisConfig, type RedisClientLike, type RedisConfig, type RedisTarget } from '../../core/redis-config.ts';

let secretOfThisProcess: Uint8Array | undefined;
const clients = new WeakMap<object, number>();
let numbered = 0;

export class RedisSettings {
  readonly #target: RedisTarget;
  readonly namespace: string;
  /** The queue that units go to where nothing else is said. */
  readonly queue: string;
  /** Stands before every key and channel. */
  readonly prefix: string;
  /** Equal where the lists are the same. */
  readonly key: string;
  /** For messages: `host:port`, or the sentinels, or the nodes of the cluster. */
  readonly place: string;

  constructor(target: RedisTarget) {
    this.#target = target;
    this.namespace = target.namespace;
    this.queue = target.queue;
    // A client's own prefix is what its owner expects before every key.
    this.prefix = target.prefix ?? clientOption(target.client, 'keyPrefix') ?? '';
    this.key = keyOf(target, this.namespace, this.prefix);
    this.place = placeOf(target);
  }

  /** What connections are made of: for the client alone. */
  static targetOf(settings: RedisSettings): RedisTarget {
    return settings.#target;
  }

  /** For the details of errors. */
  get address(): { readonly host?: string; readonly port?: number } {
    const { kind, nodes, client } = this.#target;
    if (kind !== 'client') return { ...nodes[0] };
    const [host, port] = [clientOption(client, 'host'), clientOption(client, 'port')];
    return { ...(typeof host === 'string' ? { host } : {}), ...(typeof port === 'number' ? { port } : {}) };
  }

  /** A text of someone else's without the secrets of these settings. */
  redact(text: string): string {
    const { access, sentinel, client } = this.#target;
    const secrets = [access.username, access.password, access.tls?.passphrase, sentinel?.username, sentinel?.password, clientOption(client, 'username'), clientOption(client, 'password')];
    return secrets.reduce<string>((clean, secret) => (typeof secret === 'string' && secret !== '' ? clean.replaceAll(secret, '***') : clean), text);
  }
}

/** Throws DefinitionError. `path` names the configuration in errors. */
export function redisSettings(config: RedisConfig | unknown, path: string): RedisSettings {
  return new RedisSettings(checkRedisConfig(path, config));
}

const ofGroups = new WeakMap<object, RedisSettings>();

/** The part of a group's settings that is a connection. They are checked once: they stay as they are. */
export function groupSettings(settings: unknown): RedisSettings {
  const given = (settings ?? {}) as Readonly<Record<string, unknown>>;
  let known = ofGroups.get(given);
  if (known === undefined) {
    const { startTimeoutMs: _, ...config } = given;
    known = redisSettings(config, 'withExecution.backendConfig');
    ofGroups.set(given, known);
  }
  return known;
}

function keyOf(target: RedisTarget, namespace: string, prefix: string): string {
  const { kind, nodes, access, db, sentinel, client } = target;
  const parts = [kind, nodes.map(({ host, port }) => `${host}:${port}`), sorted(access), db, sentinel === undefined ? null : sorted(sentinel), client === undefined ? 0 : numberOf(client), namespace, prefix];
  // Not imported: a run that has no Redis in it should not wait for the module to be loaded.
  const { createHmac, randomBytes } = process.getBuiltinModule('node:crypto');
  secretOfThisProcess ??= randomBytes(32);
  return createHmac('sha256', secretOfThisProcess).update(JSON.stringify(parts)).digest('base64url').slice(0, 22);
}

/** As text in which the order of fields says nothing. */
function sorted(fields: object): string {
  return JSON.stringify(fields, (_, value: unknown) => (typeof value !== 'object' || value === null || Array.isArray(value) ? value : Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))));
}

function numberOf(client: object): number {
  let number = clients.get(client);
  if (number === undefined) clients.set(client, (number = ++numbered));
  return number;
}

function placeOf({ kind, nodes, client, sentinel }: RedisTarget): string {
  const list = nodes.slice(0, 3).map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`));
  const all = `${list.join(', ')}${nodes.length > list.length ? ', …' : ''}`;
  if (kind === 'sentinel') return `"${sentinel?.name ?? ''}" of the sentinels ${all}`;
  if (kind === 'cluster') return `the cluster ${all}`;
  if (kind === 'single') return all;
  const [host, port] = [clientOption(client, 'host'), clientOption(client, 'port')];
  return typeof host === 'string' && typeof port === 'number' ? `${host}:${port}` : 'the server of the given client';
}

function clientOption(client: RedisClientLike | undefined, name: 'keyPrefix' | 'username' | 'password' | 'host'): string | undefined;
function clientOption(client: RedisClientLike | undefined, name: 'port'): number | undefined;
function clientOption(client: RedisClientLike | undefined, name: string): unknown {
  const options = (client?.options ?? {}) as Readonly<Record<string, unknown>>;
  const value = options[name] ?? (options['redisOptions'] as Readonly<Record<string, unknown>> | undefined)?.[name];
  return name === 'port' ? (typeof value === 'number' ? value : undefined) : typeof value === 'string' ? value : undefined;
}
