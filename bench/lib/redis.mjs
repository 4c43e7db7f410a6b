/**
 * The Redis server of the bench, and what it counts.
 *
 * Owns: finding and starting a server that nothing else uses, its counters. Does not own: what is measured on it.
 *
 * Invariants
 * 1. The server is one of our own: it is emptied before each measurement.
 * 2. It ends with the process that started it, however that ends: it hangs on a pipe.
 * 3. It keeps nothing on disk, so the disk is in no figure.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { rootDir } from './places.mjs';

/** Measured processes read the address here: it is in no result. */
const ADDRESS = 'BENCH_REDIS_PORT';
const TIED = '"$@" </dev/null & cat >/dev/null; kill -9 $!; wait $! 2>/dev/null';

export const redisPort = () => Number(process.env[ADDRESS]);
export const redisUrl = () => `redis://127.0.0.1:${redisPort()}`;

/** The program that is installed, or the one that the tests have unpacked. */
function program() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const installed = ['redis-server', 'valkey-server'].flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
  if (installed !== undefined) return { path: installed, env: {} };
  const root = join(rootDir, 'node_modules/.cache/taskchart-redis/root');
  const path = join(root, 'usr/bin/redis-server');
  if (!isProgram(path)) throw new Error('This case needs a Redis server: install redis-server or valkey-server, or run `npx vitest run test/redis` once, which unpacks one.');
  const libraries = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => /\.so(\.|$)/.test(entry.name));
  return { path, env: { LD_LIBRARY_PATH: [...new Set(libraries.map((entry) => entry.parentPath))].join(delimiter) } };
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return existsSync(path);
  } catch {
    return false;
  }
}

async function freePort() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Runs `work` while a server is there, for this process and those that it starts. */
export async function withServer(work) {
  const { path, env } = program();
  const port = await freePort();
  const args = [path, '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--loglevel', 'warning', '--maxmemory-policy', 'noeviction'];
  const holder = spawn('sh', ['-c', TIED, 'sh', ...args], { env: { ...process.env, ...env }, stdio: ['pipe', 'ignore', 'ignore'] });
  process.env[ADDRESS] = String(port);
  try {
    await answers(port);
    return await work();
  } finally {
    const ended = once(holder, 'close');
    holder.stdin.end();
    await ended;
    delete process.env[ADDRESS];
  }
}

async function answers(port) {
  for (let tries = 0; tries < 500; tries += 1) {
    const socket = createConnection({ host: '127.0.0.1', port });
    const there = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').catch(() => false).then(() => false)]).catch(() => false);
    socket.destroy();
    if (there) return;
    await pause(10);
  }
  throw new Error('The Redis server did not start.');
}

/** A plain connection, on which commands and replies are read by the client library of the checkout. */
export async function connect() {
  const { Redis } = await import('ioredis');
  return new Redis({ host: '127.0.0.1', port: redisPort() });
}

/** Field of INFO, as a number. */
export async function info(client, section, field) {
  const found = new RegExp(`^${field}:(\\d+)`, 'm').exec(await client.info(section));
  return found === null ? NaN : Number(found[1]);
}

/**
 * Counts what the server executes while `work` runs: calls of clients, and commands inside of scripts. By MONITOR, which
 * tells the two apart and slows everything down: never beside a measurement of time.
 */
export async function counted(work) {
  const client = await connect();
  const monitor = await client.monitor();
  const seen = { client: new Map(), script: new Map() };
  monitor.on('monitor', (_, [name], source) => {
    const where = source === 'lua' ? seen.script : seen.client;
    const command = name.toLowerCase();
    where.set(command, (where.get(command) ?? 0) + 1);
  });
  await work();
  // What has been executed is reported, in its order: the marker comes last.
  const marker = `end-${process.pid}`;
  const last = new Promise((resolve) => monitor.on('monitor', (_, [, text]) => text === marker && resolve()));
  await client.echo(marker);
  await last;
  monitor.disconnect();
  client.disconnect();
  const sum = (counts) => [...counts].reduce((total, [name, count]) => total + (name === 'echo' ? 0 : count), 0);
  return { client: sum(seen.client), script: sum(seen.script), commands: { client: Object.fromEntries(seen.client), script: Object.fromEntries(seen.script) } };
}

export async function flush() {
  const client = await connect();
  await client.flushall();
  await client.config('RESETSTAT');
  client.disconnect();
}
