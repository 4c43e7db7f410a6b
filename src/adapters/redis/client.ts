/**
 * The one file that knows ioredis.
 *
 * Owns: making connections, the deadline of each call, giving a connection up. Does not own: when to try again (the caller
 * does, by calling again), what is called.
 *
 * Invariants
 * 1. A call settles: with the reply, or with a TransportError at its deadline at the latest. Nothing is ever sent twice.
 * 2. A connection that was lost, that missed a deadline, or that turned out to lead to a replica is given up for good, with
 *    all calls on it; the next call opens another one.
 * 3. A connection on which no call is under way does not keep the process alive.
 * 4. The library prints nothing, and no object of ours shows a secret when it is printed.
 * 5. An open connection belongs to one client at a time. One that is closed with nothing under way is kept for a while, for
 *    the next client of this process with the same settings.
 */
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import type { RedisTarget, RedisTls } from '../../core/redis-config.ts';
import type { TransportError } from '../../core/errors.ts';
import { closedError, mutedError, noClient, timeoutError, transportError, unreachable } from './errors.ts';
import { IdleLinks } from './idle-links.ts';
import { RedisSettings } from './settings.ts';

export type Reply = string | number | null | readonly Reply[];
export type Argument = string | number | Buffer;

export interface ClientLimits {
  /** From the first packet to the last word of the greeting. */
  readonly connectMs: number;
  /** From sending a call to its reply; for one that waits at the server, on top of that time. */
  readonly commandMs: number;
}

const standardLimits: ClientLimits = { connectMs: 5000, commandMs: 5000 };

export interface CallOptions {
  /** How long the server itself may let the call wait, as with BLMOVE. */
  readonly waitsMs?: number | undefined;
  /** Instead of the standard: for what is big. */
  readonly timeoutMs?: number | undefined;
}

/** A script of the server, called by its hash. Safe to repeat, like all of ours. */
export class Script {
  readonly lua: string;
  readonly sha: string;

  constructor(lua: string) {
    this.lua = lua;
    this.sha = process.getBuiltinModule('node:crypto').createHash('sha1').update(lua).digest('hex');
  }
}

/** The way to one Redis. Nothing is connected before the first call. */
export class RedisClient {
  readonly settings: RedisSettings;
  /** For everything that does not wait. */
  readonly commands: Connection;
  readonly #limits: ClientLimits;
  readonly #connections = new Set<Connection>();

  constructor(settings: RedisSettings, limits: Partial<ClientLimits> = {}) {
    this.settings = settings;
    this.#limits = { ...standardLimits, ...limits };
    this.commands = this.connection('commands');
  }

  /** A connection of its own, for calls that wait at the server: nothing else gets through meanwhile. */
  connection(name: string): Connection {
    const connection = new Connection(this.settings, name, this.#limits, () => this.#connections.delete(connection));
    this.#connections.add(connection);
    return connection;
  }

  /** Gives all connections up; calls under way reject. */
  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}

export class Connection {
  readonly #settings: RedisSettings;
  readonly #name: string;
  readonly #limits: ClientLimits;
  readonly #left: () => void;
  #link: Promise<Link> | undefined;
  #closed = false;

  constructor(settings: RedisSettings, name: string, limits: ClientLimits, left: () => void) {
    this.#settings = settings;
    this.#name = name;
    this.#limits = limits;
    this.#left = left;
  }

  /** One command. Rejects with TransportError. */
  async call(command: string, args: readonly Argument[], options: CallOptions = {}): Promise<Reply> {
    const link = await this.#open();
    // It may be another client's by now.
    if (this.#closed) throw closedError(this.#settings);
    return link.call(command, args, (options.timeoutMs ?? this.#limits.commandMs) + (options.waitsMs ?? 0));
  }

  /** A script; where the server does not have it, its text is sent once. */
  async run(script: Script, keys: readonly string[], args: readonly Argument[], options: CallOptions = {}): Promise<Reply> {
    const rest = [keys.length, ...keys, ...args];
    try {
      return await this.call('EVALSHA', [script.sha, ...rest], options);
    } catch (thrown) {
      if ((thrown as TransportError).details?.['reply'] !== 'NOSCRIPT') throw thrown;
      return await this.call('EVAL', [script.lua, ...rest], options);
    }
  }

  /**
   * Hears a channel until the connection is lost, which `lost` is told once; until `stop` is called. Resolves when the
   * server has confirmed it.
   */
  async listen(channel: string, heard: (text: string) => void, lost: (error: TransportError) => void): Promise<void> {
    const link = await this.#open();
    if (this.#closed) throw closedError(this.#settings);
    await link.listen(channel, heard, lost, this.#limits.commandMs);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#left();
    void this.#link?.then((link) => link.leave()).catch(() => undefined);
  }

  async #open(): Promise<Link> {
    if (this.#closed) throw closedError(this.#settings);
    const link = (this.#link ??= takeLink(this.#settings, this.#name, this.#limits));
    try {
      const opened = await link;
      if (opened.lost === undefined) return opened;
    } catch (thrown) {
      if (this.#link === link) this.#link = undefined;
      throw thrown;
    }
    // Another caller may have opened the next one already.
    if (this.#link === link) this.#link = undefined;
    return this.#open();
  }
}

const idle = new IdleLinks<Link>();

/** Invariant 5. */
async function takeLink(settings: RedisSettings, name: string, limits: ClientLimits): Promise<Link> {
  return idle.take(kindOf(settings, name)) ?? (await openLink(settings, name, limits));
}

function kindOf({ key }: RedisSettings, name: string): string {
  return `${key} ${name}`;
}

/** An ioredis client from its greeting to its end. */
class Link {
  readonly #client: Redis | Cluster;
  readonly #settings: RedisSettings;
  readonly #kind: string;
  readonly #pending = new Set<(error: TransportError) => void>();
  /** The channel that it is subscribed to. */
  #channel: string | undefined;
  #heard: ((text: string) => void) | undefined;
  #onLost: ((error: TransportError) => void) | undefined;
  /** Why it was given up. */
  lost: TransportError | undefined;

  constructor(client: Redis | Cluster, settings: RedisSettings, name: string) {
    this.#client = client;
    this.#settings = settings;
    this.#kind = kindOf(settings, name);
    client.on('end', () => this.giveUp(unreachable(settings, 'the connection was lost')));
    client.on('message', (from: string, text: string) => {
      if (from === this.#channel && this.lost === undefined) this.#heard?.(text);
    });
    if (isCluster(client)) client.on('+node', unrefWhenConnected);
    for (const node of nodesOf(client)) unrefWhenConnected(node);
  }

  call(command: string, args: readonly Argument[], deadlineMs: number): Promise<Reply> {
    return this.#within(deadlineMs, command, () => {
      gather(this.#client);
      return this.#client.call(command, ...args);
    });
  }

  async listen(channel: string, heard: (text: string) => void, lost: (error: TransportError) => void, deadlineMs: number): Promise<void> {
    this.#heard = heard;
    this.#onLost = lost;
    if (this.#channel === channel) return;
    this.#channel = channel;
    try {
      await this.#within(deadlineMs, 'SUBSCRIBE', () => this.#client.subscribe(channel));
    } catch (thrown) {
      this.#channel = undefined;
      throw thrown;
    }
  }

  /** Its owner does not need it any more. */
  leave(): void {
    // A cluster's nodes come and go while nobody looks.
    if (this.lost !== undefined || this.#pending.size > 0 || isCluster(this.#client)) return this.discard();
    this.#heard = undefined;
    this.#onLost = undefined;
    idle.keep(this.#kind, this);
  }

  discard(): void {
    if (this.lost === undefined) this.giveUp(closedError(this.#settings));
  }

  giveUp(reason: TransportError): void {
    if (this.lost !== undefined) return;
    this.lost = reason;
    idle.forget(this.#kind, this);
    const [pending, onLost] = [[...this.#pending], this.#onLost];
    this.#pending.clear();
    end(this.#client);
    for (const reject of pending) reject(reason);
    onLost?.(reason);
  }

  #within(deadlineMs: number, command: string, send: () => Promise<unknown>): Promise<Reply> {
    if (this.lost !== undefined) return Promise.reject(this.lost);
    return new Promise((resolve, reject) => {
      const settle = (): boolean => {
        clearTimeout(timer);
        return this.#pending.delete(refuse);
      };
      const refuse = (error: TransportError): void => {
        clearTimeout(timer);
        reject(error);
      };
      // Keeps the process alive while the call is under way; the socket does not.
      const timer = setTimeout(() => this.giveUp(timeoutError(this.#settings, command, deadlineMs)), deadlineMs);
      this.#pending.add(refuse);
      send().then(
        (reply) => {
          if (settle()) resolve(reply as Reply);
        },
        (thrown: unknown) => {
          if (!settle()) return;
          const error = transportError(thrown, this.#settings);
          reject(error);
          if (endsConnection(error)) this.giveUp(error);
        },
      );
    });
  }
}

/** What is called in one turn leaves in one packet. */
function gather(client: Redis | Cluster): void {
  if (isCluster(client)) return;
  const { stream } = client;
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

/** A replica stays one, and a connection that one call has lost is lost for the others. */
function endsConnection({ code }: TransportError): boolean {
  return code === 'transport/unreachable' || code === 'transport/read-only' || code === 'transport/auth';
}

async function openLink(settings: RedisSettings, name: string, { connectMs, commandMs }: ClientLimits): Promise<Link> {
  const client = await make(settings, name, connectMs, commandMs);
  let first: unknown;
  const keep = (error: unknown): void => void (first ??= error);
  client.on('error', keep);
  if (isCluster(client)) client.on('node error', keep);
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(mutedError(settings, connectMs)), connectMs)));
  try {
    await Promise.race([client.connect(), tooLate]);
    // The greeting may have failed in part: another database than the one that was asked for must not be written to.
    if (first !== undefined && !isCluster(client)) throw first;
    return new Link(client, settings, name);
  } catch (thrown) {
    end(client);
    throw transportError((thrown as Error).name === 'TransportError' ? thrown : (first ?? thrown), settings);
  } finally {
    clearTimeout(timer);
  }
}

/** An optional package, loaded when it is first needed. Rejects with TransportError where it is not to be had. */
export function loadLibrary(settings: RedisSettings): Promise<{ readonly Redis: typeof Redis; readonly Cluster: typeof Cluster }> {
  return import('ioredis').catch((thrown: unknown) => Promise.reject(noClient(settings, thrown)));
}

async function make(settings: RedisSettings, name: string, connectMs: number, commandMs: number): Promise<Redis | Cluster> {
  const target = RedisSettings.targetOf(settings);
  const options = { ...commonOptions, connectionName: `taskchart-${name}`, connectTimeout: connectMs };
  const clusterOptions = { ...clusterOnly, slotsRefreshTimeout: connectMs };
  if (target.kind === 'client') {
    const client = target.client as unknown as Redis | Cluster;
    if (!isCluster(client)) return client.duplicate(options);
    return client.duplicate([], { ...clusterOptions, redisOptions: { ...client.options.redisOptions, ...options } });
  }
  const library = await loadLibrary(settings);
  switch (target.kind) {
    case 'single':
      return new library.Redis({ ...options, ...accessOf(target), ...target.nodes[0] });
    case 'sentinel':
      return new library.Redis({ ...options, ...accessOf(target), ...sentinelsOf(target, commandMs) });
    case 'cluster':
      return new library.Cluster([...target.nodes], { ...clusterOptions, redisOptions: { ...options, ...accessOf(target) } });
  }
}

/** What a client of the user's own is given too, whatever it had: the rules of this file are not its rules. */
const commonOptions = {
  lazyConnect: true,
  retryStrategy: () => null,
  reconnectOnError: null,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableOfflineQueue: false,
  // INFO is a right that a user may lack; a server that is loading says so itself.
  enableReadyCheck: false,
  enableAutoPipelining: false,
  disableClientInfo: true,
  readOnly: false,
  monitor: false,
  stringNumbers: false,
  replyMapping: 'legacy',
  keyPrefix: '',
  commandTimeout: undefined,
  socketTimeout: undefined,
  blockingTimeout: undefined,
  keepAlive: 10_000,
  noDelay: true,
} as const satisfies RedisOptions;

const clusterOnly = {
  lazyConnect: true,
  clusterRetryStrategy: () => null,
  // Nodes are connected to when they are first needed, and calls wait for that.
  enableOfflineQueue: true,
  // A cluster that is down says so itself.
  enableReadyCheck: false,
  enableAutoPipelining: false,
  scaleReads: 'master',
  // What may have been executed is not sent again; a redirection has executed nothing.
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  retryDelayOnTryAgain: 50,
  maxRedirections: 8,
  keyPrefix: '',
} as const satisfies ClusterOptions;

function accessOf({ access, db }: RedisTarget): RedisOptions {
  const { username, password = '', tls } = access;
  return { db, ...(username === undefined ? {} : { username }), ...(username === undefined && password === '' ? {} : { password }), ...(tls === undefined ? {} : { tls: tlsOf(tls) }) };
}

function sentinelsOf({ nodes, sentinel, access }: RedisTarget, commandMs: number): RedisOptions {
  const { name, username, password, tls } = sentinel ?? { name: '' };
  return {
    sentinels: [...nodes],
    name,
    sentinelRetryStrategy: () => null,
    sentinelCommandTimeout: commandMs,
    enableTLSForSentinelMode: access.tls !== undefined,
    ...(username === undefined ? {} : { sentinelUsername: username }),
    ...(password === undefined ? {} : { sentinelPassword: password }),
    ...(tls === undefined ? {} : { sentinelTLS: tlsOf(tls) }),
  };
}

function tlsOf({ ca, ...rest }: RedisTls): NonNullable<RedisOptions['tls']> {
  return { ...rest, ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] }) };
}

function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster;
}

function nodesOf(client: Redis | Cluster): readonly Redis[] {
  return isCluster(client) ? client.nodes() : [client];
}

function unrefWhenConnected(node: Redis): void {
  const unref = (): void => void node.stream?.unref();
  node.on('ready', unref);
  unref();
}

/** At once: a polite end waits for the other side, which may be gone. */
function end(client: Redis | Cluster): void {
  const nodes = nodesOf(client);
  client.disconnect();
  for (const { stream } of nodes) stream?.destroy();
}
