/**
 * How to reach a Redis: what users may write, and what it means.
 *
 * Owns: the types of `backendConfig` of the backend `redis`, their checks, the defaults. Does not own: connections.
 *
 * Invariants
 * 1. Every refusal is a DefinitionError `definition/bad-option` that names the option and what it must be, and never shows a
 *    value: any of them may be a secret, or be in the place of one by mistake.
 * 2. What was checked once is accepted again, and means the same.
 */
import { DefinitionError } from './errors.ts';
import { checkId } from './ids.ts';
import { optionsObject } from './options.ts';
import { isHost, parseRedisUrl } from './redis-url.ts';

export interface RedisNode {
  readonly host: string;
  readonly port?: number;
}

/** As Node's `tls.connect` takes it; files are read by whoever gives them. */
export interface RedisTls {
  /** The authorities to trust, in PEM, where they are not those of the system. */
  readonly ca?: string | readonly string[];
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  /** The name that the certificate must have, where that is not the host. */
  readonly servername?: string;
  /** `false` takes any certificate: only for tests. */
  readonly rejectUnauthorized?: boolean;
}

/** A client of the package ioredis, a cluster's too: it is duplicated, and never used itself. */
export interface RedisClientLike {
  readonly options: object;
  readonly status: string;
  duplicate(...args: never[]): unknown;
}

interface RedisNames {
  /** Coordinators and workers of one namespace belong together. Default: `taskchart`. */
  readonly namespace?: string;
  /** The queue that a group's units go to. Default: `default`. */
  readonly queue?: string;
  /** Stands before every key and channel. Default: nothing. */
  readonly prefix?: string;
}

interface RedisAccess {
  readonly username?: string;
  readonly password?: string;
  readonly tls?: boolean | RedisTls;
}

export type RedisConfig =
  | (RedisNames & RedisAccess & { readonly url: string; readonly db?: number })
  | (RedisNames & RedisAccess & { readonly host: string; readonly port?: number; readonly db?: number })
  | (RedisNames &
      RedisAccess & {
        readonly sentinels: readonly RedisNode[];
        /** The name by which the sentinels know the primary. */
        readonly name: string;
        readonly sentinelUsername?: string;
        readonly sentinelPassword?: string;
        readonly sentinelTls?: boolean | RedisTls;
        readonly db?: number;
      })
  | (RedisNames & RedisAccess & { readonly cluster: readonly RedisNode[] })
  | (RedisNames & { readonly client: RedisClientLike });

/** A configuration in one shape. */
export interface RedisTarget {
  readonly kind: 'single' | 'sentinel' | 'cluster' | 'client';
  /** The server, the sentinels, or the nodes to begin with; none for a client of the user's own. */
  readonly nodes: readonly Required<RedisNode>[];
  readonly access: { readonly username?: string; readonly password?: string; readonly tls?: RedisTls };
  readonly db: number;
  readonly sentinel?: { readonly name: string; readonly username?: string; readonly password?: string; readonly tls?: RedisTls };
  readonly client?: RedisClientLike;
  readonly namespace: string;
  readonly queue: string;
  /** Absent: not said. */
  readonly prefix?: string;
}

export const DEFAULT_NAMESPACE = 'taskchart';
export const DEFAULT_QUEUE = 'default';
const DEFAULT_PORT = 6379;
const DEFAULT_SENTINEL_PORT = 26_379;

const commonNames = ['namespace', 'queue', 'prefix'] as const;
const accessNames = ['username', 'password', 'tls'] as const;
/** What each way to name a Redis may be combined with. */
const ways = {
  url: ['url', ...accessNames, 'db'],
  host: ['host', 'port', ...accessNames, 'db'],
  sentinels: ['sentinels', 'name', ...accessNames, 'db', 'sentinelUsername', 'sentinelPassword', 'sentinelTls'],
  cluster: ['cluster', ...accessNames],
  client: ['client'],
} as const;
const wayNames = ['url', 'host', 'sentinels', 'cluster', 'client'] as const satisfies readonly (keyof typeof ways)[];
const allNames = [...new Set([...wayNames.flatMap((way) => ways[way]), ...commonNames])];
const texts = ['url', 'host', 'username', 'password', 'namespace', 'queue', 'prefix', 'name', 'sentinelUsername', 'sentinelPassword'];

type Given = Readonly<Record<string, unknown>>;

/** Checks a configuration and brings it into one shape. `path` names it in errors. */
export function checkRedisConfig(path: string, given: unknown): RedisTarget {
  const config = objectOf(path, given, allNames);
  const [way, other] = wayNames.filter((one) => config[one] !== undefined);
  if (way === undefined || other !== undefined) throw refusal(path, 'needs either url or host (or sentinels, cluster or client), and not two of them');
  for (const name of allNames) {
    const known: readonly string[] = [...ways[way], ...commonNames];
    if (config[name] !== undefined && !known.includes(name)) throw refusal(`${path}.${name}`, `cannot be given together with ${way}`);
  }
  for (const name of texts) {
    if (config[name] !== undefined && typeof config[name] !== 'string') throw refusal(`${path}.${name}`, `must be a string, but is of type ${typeof config[name]}`);
  }
  return { ...targetOf(path, way, config), ...namesOf(path, config) };
}

function targetOf(path: string, way: keyof typeof ways, config: Given): Omit<RedisTarget, 'namespace' | 'queue' | 'prefix'> {
  switch (way) {
    case 'url':
      return urlTarget(path, config);
    case 'host':
      return { kind: 'single', nodes: [node(path, config, DEFAULT_PORT)], access: accessOf(path, config), db: dbOf(path, config) };
    case 'sentinels':
      return sentinelTarget(path, config);
    case 'cluster':
      return { kind: 'cluster', nodes: nodesOf(`${path}.cluster`, config['cluster'], DEFAULT_PORT), access: accessOf(path, config), db: 0 };
    case 'client':
      return { kind: 'client', nodes: [], access: {}, db: 0, client: clientOf(path, config['client']) };
  }
}

function urlTarget(path: string, config: Given): Omit<RedisTarget, 'namespace' | 'queue' | 'prefix'> {
  const url = parseRedisUrl(config['url'] as string);
  if (typeof url === 'string') {
    throw refusal(`${path}.url`, `is no URL of a Redis: ${url}`, 'Write redis://user:password@host:6379/0, or rediss:// for TLS; the user, the password, the port and the database may be left out.');
  }
  for (const name of ['username', 'password', 'db'] as const) {
    if (config[name] !== undefined && url[name] !== undefined) throw refusal(`${path}.${name}`, 'is given twice: the url says it too', 'Leave it out in one of the two places.');
  }
  const { username, password, tls } = accessOf(path, config);
  if (config['tls'] === false && url.tls) throw refusal(`${path}.tls`, 'is false, but the url begins with rediss://');
  const access = {
    ...optional('username', username ?? url.username),
    ...optional('password', password ?? url.password),
    ...optional('tls', tls ?? (url.tls ? {} : undefined)),
  };
  return { kind: 'single', nodes: [{ host: url.host, port: url.port }], access, db: url.db ?? dbOf(path, config) };
}

function sentinelTarget(path: string, config: Given): Omit<RedisTarget, 'namespace' | 'queue' | 'prefix'> {
  const name = config['name'];
  if (typeof name !== 'string' || name === '') throw refusal(`${path}.name`, 'must be the name by which the sentinels know the primary');
  const sentinel = {
    name,
    ...optional('username', textOf(config['sentinelUsername'])),
    ...optional('password', textOf(config['sentinelPassword'])),
    ...optional('tls', tlsOf(`${path}.sentinelTls`, config['sentinelTls'])),
  };
  return { kind: 'sentinel', nodes: nodesOf(`${path}.sentinels`, config['sentinels'], DEFAULT_SENTINEL_PORT), access: accessOf(path, config), db: dbOf(path, config), sentinel };
}

function namesOf(path: string, config: Given): Pick<RedisTarget, 'namespace' | 'queue' | 'prefix'> {
  const { prefix } = config;
  // A brace would move the namespace's keys to several slots of a cluster.
  if (typeof prefix === 'string' && (prefix.length > 200 || /[{}\s\p{Cc}]/u.test(prefix))) throw refusal(`${path}.prefix`, 'must have at most 200 characters, and no braces, spaces or control characters');
  return {
    namespace: idOf(`${path}.namespace`, 'namespace', config['namespace'], DEFAULT_NAMESPACE),
    queue: idOf(`${path}.queue`, 'queue', config['queue'], DEFAULT_QUEUE),
    ...optional('prefix', textOf(prefix)),
  };
}

function accessOf(path: string, config: Given): RedisTarget['access'] {
  const [username, password] = [textOf(config['username']), textOf(config['password'])];
  return { ...optional('username', username), ...optional('password', password), ...optional('tls', tlsOf(`${path}.tls`, config['tls'])) };
}

const tlsKinds: Readonly<Record<string, string>> = { ca: 'string', cert: 'string', key: 'string', passphrase: 'string', servername: 'string', rejectUnauthorized: 'boolean' };

function tlsOf(path: string, given: unknown): RedisTls | undefined {
  if (given === undefined || given === false) return undefined;
  if (given === true) return {};
  const tls = objectOf(path, given, Object.keys(tlsKinds));
  for (const [name, kind] of Object.entries(tlsKinds)) {
    const value = tls[name];
    const list = name === 'ca' && Array.isArray(value) && value.every((one) => typeof one === 'string');
    if (value !== undefined && typeof value !== kind && !list) throw refusal(`${path}.${name}`, `must be a ${kind}, but is of type ${typeof value}`);
  }
  return { ...tls };
}

function nodesOf(path: string, given: unknown, port: number): readonly Required<RedisNode>[] {
  if (!Array.isArray(given) || given.length === 0) throw refusal(path, 'must be a list of { host, port }, with at least one of them');
  return given.map((one: unknown, at) => node(`${path}[${at}]`, objectOf(`${path}[${at}]`, one, ['host', 'port']), port));
}

function node(path: string, { host, port }: Given, standard: number): Required<RedisNode> {
  const name = typeof host === 'string' && /^\[.*\]$/.test(host) ? host.slice(1, -1) : host;
  if (typeof name !== 'string' || !isHost(name)) throw refusal(`${path}.host`, 'must be the name or the address of a host, and nothing else', 'Give a port as port, and a URL as url.');
  if (port !== undefined && !isInteger(port, 1, 65_535)) throw refusal(`${path}.port`, `must be an integer from 1 to 65535, but is not (${typeof port})`);
  return { host: name, port: port === undefined ? standard : (port as number) };
}

function dbOf(path: string, { db }: Given): number {
  if (db !== undefined && !isInteger(db, 0, 9999)) throw refusal(`${path}.db`, `must be an integer of at least 0, but is not (${typeof db})`);
  return db === undefined ? 0 : (db as number);
}

function clientOf(path: string, given: unknown): RedisClientLike {
  const client = given as Partial<Record<'duplicate' | 'call' | 'options', unknown>> | null;
  if (typeof client === 'object' && client !== null && typeof client.duplicate === 'function' && typeof client.call === 'function' && typeof client.options === 'object') return given as RedisClientLike;
  throw refusal(`${path}.client`, 'must be a client of the package ioredis, a Redis or a Cluster', 'Other clients cannot be used: give url or host instead.');
}

function idOf(path: string, kind: string, given: unknown, standard: string): string {
  if (given === undefined) return standard;
  try {
    return checkId(kind, given);
  } catch (thrown) {
    throw refusal(path, 'does not follow the grammar of ids', (thrown as DefinitionError).hint);
  }
}

/** Unknown names are shown, values are not: a URL may stand where an object should. */
function objectOf(path: string, given: unknown, names: readonly string[]): Given {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw refusal(path, `must be an object with some of ${names.join(', ')}, but is of type ${given === null ? 'null' : typeof given}`);
  return optionsObject(path, given, names);
}

function isInteger(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

/** An empty text says nothing: it is how an unset variable arrives. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function optional<const Name extends string, Value>(name: Name, value: Value | undefined): { readonly [Key in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [Key in Name]?: Value };
}

function refusal(option: string, what: string, hint?: string): DefinitionError {
  return new DefinitionError('definition/bad-option', `Option ${option} ${what}.`, { hint, details: { option } });
}
