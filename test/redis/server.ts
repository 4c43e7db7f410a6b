/**
 * A Redis for tests: the server of REDIS_URL, an installed redis-server or valkey-server, or Debian's package in the cache.
 *
 * Owns: finding the program, starting and ending servers. Does not own: what a test does with one.
 *
 * Invariants
 * 1. A server ends with the process that started it, however that ends: it hangs on a pipe.
 * 2. Faults (kill, pause, flush, a full memory) are done to servers of one's own, never to that of REDIS_URL.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis, type RedisOptions } from 'ioredis';
import { libraryFolders, unpackDebian } from '../browser/support/debian.ts';
import { type Certificate, selfSigned } from './certificate.ts';

export interface RedisProgram {
  readonly path: string;
  /** What it needs beside the environment that it inherits. */
  readonly env: Readonly<Record<string, string>>;
}

const names = ['redis-server', 'valkey-server'];
const cache = resolve(fileURLToPath(import.meta.url), '../../../node_modules/.cache/taskchart-redis');
const run = promisify(execFile);
let found: Promise<RedisProgram> | undefined;

/** The server's program; the same file is `redis-sentinel` when it is started with --sentinel. */
export function findRedis(): Promise<RedisProgram> {
  return (found ??= find());
}

async function find(): Promise<RedisProgram> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const path = names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
  if (path !== undefined) return { path, env: {} };
  const root = join(cache, 'root');
  try {
    await unpackDebian(['redis-server'], root, async (unpacked) => {
      const { path: program, env } = unpackedProgram(unpacked);
      await run(program, ['--version'], { env: { ...process.env, ...env } });
    });
    return unpackedProgram(root);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.slice(0, 1000) : String(cause);
    throw new Error(`These tests need a Redis server, and there is none: ${why}\nInstall redis-server or valkey-server (Debian: apt-get install redis-server), or name a running one: REDIS_URL=redis://127.0.0.1:6379`, { cause });
  }
}

function unpackedProgram(root: string): RedisProgram {
  return { path: join(root, 'usr/bin/redis-server'), env: { LD_LIBRARY_PATH: libraryFolders(root).join(delimiter) } };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface ServerOptions {
  /** Keeps an append-only file, so that `restart` finds the data again. */
  readonly appendonly?: boolean;
  readonly requirepass?: string;
  /** Rules as in an ACL file: `alice on >secret ~* &* +@all`. */
  readonly users?: readonly string[];
  /** Opens `tlsPort` too, with a certificate of its own. */
  readonly tls?: boolean;
  readonly maxmemory?: string;
  /** A cluster of this one server, which owns all slots. */
  readonly cluster?: boolean;
  /** Watches the server on this port as `taskchart-primary`; the program is started as a sentinel. */
  readonly sentinelOf?: number;
  /** Any other setting, by its name in redis.conf. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface TestServer {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** Without a password. */
  readonly url: string;
  readonly tlsPort: number | undefined;
  /** The certificate of `tlsPort`, in PEM: also the authority that signed it. */
  readonly ca: string | undefined;
  readonly folder: string;
  readonly pid: number;
  /** A plain connection, closed with the server. */
  client(options?: RedisOptions): Redis;
  /** SIGKILL, as when the machine takes it away. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open, and nobody answers. */
  pause(): void;
  resume(): void;
  /** Starts again on the same port with the same files; kills what still runs. */
  restart(): Promise<void>;
  dispose(): Promise<void>;
}

/** A server of one's own on a free port of this machine. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const server = new OwnServer(await findRedis(), options);
  await server.start();
  if (options.cluster === true) await server.makeCluster();
  return server;
}

/** Runs a program until the pipe on its standard input is closed, which the end of this process does too. */
const TIED = '"$@" </dev/null 3>&- & echo $! >&3; exec 3>&-; cat >/dev/null; kill -9 $!; wait $!';
/** What a server and a sentinel say when they are listening: a reply on the port might be someone else's. */
const READY = /Ready to accept connections|\+monitor master/;
const READY_WITHIN_MS = 20_000;

class OwnServer implements TestServer {
  readonly host = '127.0.0.1';
  readonly folder = mkdtempSync(join(tmpdir(), 'taskchart-redis-'));
  readonly #program: RedisProgram;
  readonly #options: ServerOptions;
  readonly #certificate: Certificate | undefined;
  readonly #clients = new Set<Redis>();
  #holder: ChildProcess | undefined;
  port = 0;
  tlsPort: number | undefined;
  pid = 0;

  constructor(program: RedisProgram, options: ServerOptions) {
    this.#program = program;
    this.#options = options;
    this.#certificate = options.tls === true ? selfSigned() : undefined;
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  get ca(): string | undefined {
    return this.#certificate?.certificate;
  }

  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.port = await freePort();
      this.tlsPort = this.#certificate === undefined ? undefined : await freePort();
      try {
        return await this.#launch();
      } catch (error) {
        // Someone else may have taken the port meanwhile.
        if (attempt === 3) throw error;
      }
    }
  }

  async makeCluster(): Promise<void> {
    const client = this.client();
    await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    while (!String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await pause(20);
  }

  client(options: RedisOptions = {}): Redis {
    const { requirepass } = this.#options;
    const client = new Redis({ host: this.host, port: this.port, ...(requirepass === undefined ? {} : { password: requirepass }), ...options });
    client.on('error', () => undefined);
    this.#clients.add(client);
    return client;
  }

  async kill(): Promise<void> {
    const holder = this.#holder;
    if (holder === undefined) return;
    this.#holder = undefined;
    const ended = once(holder, 'close');
    holder.stdin?.end();
    await ended;
  }

  pause(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.#launch();
  }

  async dispose(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #launch(): Promise<void> {
    const { path, env } = this.#program;
    const config = join(this.folder, 'redis.conf');
    // A sentinel writes to its file.
    writeFileSync(config, this.#config());
    const args = this.#options.sentinelOf === undefined ? [config] : [config, '--sentinel'];
    const holder = spawn('sh', ['-c', TIED, 'sh', path, ...args], { cwd: this.folder, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    this.#holder = holder;
    let [said, pid, ended] = ['', '', false];
    for (const stream of [holder.stdout, holder.stderr]) stream?.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-20_000)));
    holder.stdio[3]?.on('data', (chunk: Buffer) => (pid += chunk.toString()));
    holder.stdout?.on('close', () => (ended = true));
    const until = Date.now() + READY_WITHIN_MS;
    while (!pid.endsWith('\n') || !READY.test(said)) {
      if (Date.now() < until && !ended) {
        await pause(5);
        continue;
      }
      await this.kill();
      throw new Error(`The Redis server did not start on port ${this.port}: ${said.slice(-1500)}`);
    }
    this.pid = Number(pid);
  }

  #config(): string {
    const { appendonly, requirepass, users = [], maxmemory, cluster, sentinelOf, config = {} } = this.#options;
    const lines = [`port ${this.port}`, 'bind 127.0.0.1', `dir "${this.folder}"`, 'daemonize no', 'loglevel notice', 'protected-mode no'];
    if (sentinelOf !== undefined) {
      lines.push(`sentinel monitor taskchart-primary 127.0.0.1 ${sentinelOf} 1`, 'sentinel down-after-milliseconds taskchart-primary 500', 'sentinel failover-timeout taskchart-primary 3000');
    } else {
      lines.push('save ""', `appendonly ${appendonly === true ? 'yes' : 'no'}`, 'enable-debug-command yes');
    }
    if (requirepass !== undefined) lines.push(`requirepass ${quoted(requirepass)}`);
    for (const user of users) lines.push(`user ${user}`);
    if (maxmemory !== undefined) lines.push(`maxmemory ${maxmemory}`);
    if (cluster === true) lines.push('cluster-enabled yes', 'cluster-announce-ip 127.0.0.1', 'cluster-node-timeout 2000');
    if (this.#certificate !== undefined) lines.push(...this.#tlsLines(this.#certificate));
    for (const [name, value] of Object.entries(config)) lines.push(`${name} ${value}`);
    return `${lines.join('\n')}\n`;
  }

  #tlsLines({ certificate, key }: Certificate): string[] {
    const [certificateFile, keyFile] = [join(this.folder, 'tls.crt'), join(this.folder, 'tls.key')];
    writeFileSync(certificateFile, certificate);
    writeFileSync(keyFile, key, { mode: 0o600 });
    return [`tls-port ${this.tlsPort}`, `tls-cert-file "${certificateFile}"`, `tls-key-file "${keyFile}"`, `tls-ca-cert-file "${certificateFile}"`, 'tls-auth-clients no'];
  }
}

export interface SharedServer {
  readonly url: string;
  /** Of this test file alone. */
  readonly namespace: string;
  /** A plain connection, closed by `dispose`. */
  client(): Redis;
  /** Removes what the namespace holds, and ends the server if it was started here. */
  dispose(): Promise<void>;
}

/** A server for tests that do it no harm: that of REDIS_URL, else one of its own. Call it once in a file. */
export async function sharedServer(): Promise<SharedServer> {
  const given = process.env['REDIS_URL'];
  const namespace = `test-${randomBytes(6).toString('hex')}`;
  if (given === undefined || given === '') {
    const server = await startServer();
    return { url: server.url, namespace, client: () => server.client(), dispose: () => server.dispose() };
  }
  const clients = new Set<Redis>();
  const client = (): Redis => {
    const one = new Redis(given);
    clients.add(one);
    return one;
  };
  const dispose = async (): Promise<void> => {
    await removeKeys(client(), namespace);
    for (const one of clients) one.disconnect();
  };
  return { url: given, namespace, client, dispose };
}

async function removeKeys(client: Redis, namespace: string): Promise<void> {
  let cursor = '0';
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', `*{${namespace}*`, 'COUNT', 1000);
    if (keys.length > 0) await client.unlink(...keys);
    cursor = next;
  } while (cursor !== '0');
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('there is no free port');
  // A cluster's bus listens 10,000 above.
  return address.port > 55_000 ? freePort() : address.port;
}

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
