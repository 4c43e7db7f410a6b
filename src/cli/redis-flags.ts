/**
 * How commands are told which Redis: flags, variables, or the URL of a store.
 *
 * Owns: their names, and what goes before what. Does not own: the checks (core/redis-config.ts).
 *
 * Invariants
 * 1. A flag goes before a variable; a flag that names the server leaves out the variables that name another one.
 * 2. A password comes from its flag, a URL or a variable, and is never written anywhere.
 * 3. What is wrong is a UsageError of one line that names the flag, or the variable if that is where it came from.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { isTaskchartError } from '../core/errors.ts';
import { checkRedisConfig, type RedisConfig } from '../core/redis-config.ts';
import { parseRedisUrl } from '../core/redis-url.ts';
import { failureLine } from './failure.ts';
import { UsageError } from './usage.ts';

export interface RedisFlags {
  readonly redis?: string;
  readonly redisHost?: string;
  readonly redisPort?: number;
  readonly redisUsername?: string;
  readonly redisPassword?: string;
  readonly redisTls?: boolean;
  readonly redisDb?: number;
  readonly namespace?: string;
  readonly prefix?: string;
}

export type Variables = Readonly<Record<string, string | undefined>>;

const variableOf = {
  redis: 'TASKCHART_REDIS',
  redisHost: 'TASKCHART_REDIS_HOST',
  redisPort: 'TASKCHART_REDIS_PORT',
  redisUsername: 'TASKCHART_REDIS_USERNAME',
  redisPassword: 'TASKCHART_REDIS_PASSWORD',
  redisTls: 'TASKCHART_REDIS_TLS',
  redisDb: 'TASKCHART_REDIS_DB',
  namespace: 'TASKCHART_NAMESPACE',
  prefix: 'TASKCHART_PREFIX',
} as const satisfies Record<keyof RedisFlags, string>;

const flagOf: Readonly<Record<string, string>> = {
  host: '--redis-host', port: '--redis-port', username: '--redis-username', password: '--redis-password', tls: '--redis-tls', db: '--redis-db', namespace: '--namespace', prefix: '--prefix',
};

export const redisHelp = `
Redis:
  --redis takes a URL: redis://user:password@host:6379/0, or rediss:// for TLS (authorities
  beside the system's: NODE_EXTRA_CA_CERTS). Each flag has a variable: TASKCHART_REDIS (or
  REDIS_URL), TASKCHART_REDIS_HOST, _PORT, _USERNAME, _PASSWORD, _TLS, _DB,
  TASKCHART_NAMESPACE, TASKCHART_PREFIX. A password in a variable is not seen in the list
  of processes`;

/** Adds the flags that name a Redis. */
export function addRedisFlags(command: Command): Command {
  return command
    .option('--redis <url>', 'the URL of the Redis')
    .addOption(new Option('--redis-host <host>', 'its host, instead of a URL').conflicts('redis'))
    .addOption(new Option('--redis-port <port>', 'its port (default 6379)').argParser(numberUpTo(1, 65_535)).conflicts('redis'))
    .option('--redis-username <name>', 'the user')
    .option('--redis-password <password>', 'the password; better given as TASKCHART_REDIS_PASSWORD')
    .option('--redis-tls', 'over TLS')
    .addOption(new Option('--redis-db <number>', 'the database (default 0)').argParser(numberUpTo(0, 9999)))
    .option('--namespace <name>', 'what belongs together (default taskchart)')
    .option('--prefix <text>', 'what stands before every key (default nothing)');
}

/** The Redis that the flags and variables name. */
export function redisConfigOf(flags: RedisFlags, variables: Variables): RedisConfig {
  const url = textIn(flags.redis);
  const host = textIn(flags.redisHost);
  const server = url !== undefined ? { url } : host !== undefined ? { host, ...portOf(flags, {}) } : serverIn(flags, variables);
  const given: Readonly<Record<string, unknown>> = {
    ...server,
    ...accessOf(flags, variables, 'url' in server ? String(server.url) : undefined),
    ...named('namespace', flags.namespace ?? textIn(variables[variableOf.namespace])),
    ...named('prefix', flags.prefix ?? textIn(variables[variableOf.prefix])),
  };
  return checked('--redis', given);
}

/** The Redis that `--store redis://…` names; what the URL leaves out comes from the variables. */
export function redisStoreConfig(url: string, variables: Variables): RedisConfig {
  return checked('--store', {
    url,
    ...accessOf({}, { [variableOf.redisPassword]: variables[variableOf.redisPassword], [variableOf.redisUsername]: variables[variableOf.redisUsername] }, url),
    ...named('namespace', textIn(variables[variableOf.namespace])),
    ...named('prefix', textIn(variables[variableOf.prefix])),
  });
}

/** A URL as it may be shown: without its user and password, which `***` stands for where `marked`. */
export function shownUrl(url: string, marked: boolean): string {
  const parts = parseRedisUrl(url);
  if (typeof parts === 'string') return 'redis://…';
  const { host, port, tls, db, username, password } = parts;
  const access = marked && (username !== undefined || password !== undefined) ? '***@' : '';
  return `redis${tls ? 's' : ''}://${access}${host.includes(':') ? `[${host}]` : host}:${port}${db === undefined ? '' : `/${db}`}`;
}

function serverIn(flags: RedisFlags, variables: Variables): { readonly url: string } | { readonly host: string; readonly port?: number } {
  const url = textIn(variables[variableOf.redis]);
  if (url !== undefined) return { url };
  const host = textIn(variables[variableOf.redisHost]);
  if (host !== undefined) return { host, ...portOf(flags, variables) };
  const usual = textIn(variables['REDIS_URL']);
  if (usual !== undefined) return { url: usual };
  throw new UsageError('which Redis is meant: give --redis <url> or --redis-host <host>, or set TASKCHART_REDIS');
}

/** What the URL says itself is not taken from a variable too. */
function accessOf(flags: RedisFlags, variables: Variables, url: string | undefined): Readonly<Record<string, unknown>> {
  const parts = url === undefined ? undefined : parseRedisUrl(url);
  const said = typeof parts === 'object' ? parts : undefined;
  const own = said?.username !== undefined || said?.password !== undefined;
  const username = flags.redisUsername ?? (own ? undefined : textIn(variables[variableOf.redisUsername]));
  const password = flags.redisPassword ?? (said?.password !== undefined ? undefined : textIn(variables[variableOf.redisPassword]));
  const tls = flags.redisTls ?? (url === undefined ? switchOf(variableOf.redisTls, variables) : undefined);
  const db = flags.redisDb ?? (url === undefined ? numberOf(variableOf.redisDb, variables, 0, 9999) : undefined);
  return { ...named('username', username), ...named('password', password), ...named('tls', tls), ...named('db', db) };
}

function portOf(flags: RedisFlags, variables: Variables): { readonly port?: number } {
  return named('port', flags.redisPort ?? numberOf(variableOf.redisPort, variables, 1, 65_535));
}

/** `urlFrom`: where a URL came from. */
function checked(urlFrom: string, given: Readonly<Record<string, unknown>>): RedisConfig {
  try {
    checkRedisConfig('', given);
    return given as unknown as RedisConfig;
  } catch (thrown) {
    if (!isTaskchartError(thrown)) throw thrown;
    const option = String(thrown.details?.['option'] ?? '').replace(/^\./, '');
    throw new UsageError(failureLine(thrown).replace(/^DefinitionError: Option \.?\w*/, (option === 'url' ? urlFrom : flagOf[option]) ?? option));
  }
}

function numberOf(name: string, variables: Variables, min: number, max: number): number | undefined {
  const text = textIn(variables[name]);
  if (text === undefined) return undefined;
  const value = wholeIn(text, min, max);
  if (value === undefined) throw new UsageError(`the variable ${name} must be a whole number from ${min} to ${max}`);
  return value;
}

const switches: Readonly<Record<string, boolean>> = { 1: true, true: true, yes: true, on: true, 0: false, false: false, no: false, off: false };

function switchOf(name: string, variables: Variables): boolean | undefined {
  const text = textIn(variables[name])?.toLowerCase();
  if (text === undefined) return undefined;
  if (!Object.hasOwn(switches, text)) throw new UsageError(`the variable ${name} must be true or false`);
  return switches[text];
}

function numberUpTo(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = wholeIn(text, min, max);
    if (value === undefined) throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return value;
  };
}

function wholeIn(text: string, min: number, max: number): number | undefined {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : -1;
  return value >= min && value <= max ? value : undefined;
}

/** An empty variable is one that is not set. */
function textIn(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text;
}

function named<const Name extends string, Value>(name: Name, value: Value | undefined): { readonly [Key in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [Key in Name]?: Value };
}
