/**
 * A server of one's own with places on it, folders, and workers that end with the test.
 *
 * Owns: setting up and clearing away. Does not own: servers (server.ts), processes (worker-process.ts), what tasks do (fixtures/work.ts).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Redis } from 'ioredis';
import { createTaskQueue, TaskWorker, type TaskWorkerOptions } from 'taskchart/redis';
import type { Item } from './fixtures/work.ts';
import { startServer, type ServerOptions, type TestServer } from './server.ts';
import { OwnProcess, WorkerProcess } from './worker-process.ts';

export interface Place {
  readonly url: string;
  readonly namespace: string;
}

export const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

export class Bench {
  readonly server: TestServer;
  readonly client: Redis;
  #places = 0;
  readonly #folders: string[] = [];
  readonly #processes: OwnProcess[] = [];
  #clearing: (() => Promise<unknown>)[] = [];

  constructor(server: TestServer) {
    this.server = server;
    this.client = server.client();
  }

  static async open(options: ServerOptions = {}): Promise<Bench> {
    return new Bench(await startServer(options));
  }

  /** A namespace that nobody uses. */
  place(): Place {
    this.#places += 1;
    return { url: this.server.url, namespace: `n${this.#places}` };
  }

  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'taskchart-work-'));
    this.#folders.push(folder);
    return folder;
  }

  /** `taskchart worker`, when it is registered. */
  async worker(place: Place, flags: Readonly<Record<string, string | number>> = {}, module = 'serve.ts'): Promise<WorkerProcess> {
    const worker = this.starting(place, flags, module);
    await worker.registered();
    return worker;
  }

  starting({ url, namespace }: Place, flags: Readonly<Record<string, string | number>> = {}, module = 'serve.ts'): WorkerProcess {
    const worker = new WorkerProcess([fixture(module)], { redis: url, namespace, ...flags });
    this.#processes.push(worker);
    return worker;
  }

  script(name: string, ...args: readonly string[]): OwnProcess {
    const started = OwnProcess.script(fixture(name), args);
    this.#processes.push(started);
    return started;
  }

  /** A worker in this process, when it is registered. */
  async workerHere(place: Place, options: Partial<TaskWorkerOptions> = {}): Promise<TaskWorker> {
    const queue = createTaskQueue({ backend: 'redis', ...place });
    const worker = new TaskWorker({ queue, blockedMs: 0, ...options });
    this.#clearing.push(async () => {
      await worker.stop().catch(() => undefined);
      await queue.close();
    });
    await worker.start();
    return worker;
  }

  /** Keys of a namespace besides those of its workers. */
  async keys({ namespace }: Place): Promise<readonly string[]> {
    const keys = await this.client.keys(`*{${namespace}}:*`);
    return keys.map((key) => key.slice(key.indexOf('}:') + 2)).filter((key) => !/^(workers$|lease:|w:)/.test(key)).toSorted();
  }

  list({ namespace }: Place, key: string): Promise<readonly string[]> {
    return this.client.lrange(`{${namespace}}:${key}`, 0, -1);
  }

  /** To be called after each test. */
  async clear(): Promise<void> {
    const clearing = this.#clearing.splice(0);
    const processes = this.#processes.splice(0);
    await Promise.all([...clearing.map((one) => one()), ...processes.map((one) => one.kill())]);
  }

  async close(): Promise<void> {
    await this.clear();
    await this.server.dispose();
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
  }
}

/** Items 0 to `count`, alike but for what `more` says. */
export function itemsIn(folder: string, count: number, more: (n: number) => Readonly<Record<string, string | number | boolean | undefined>> = () => ({})): Item[] {
  return Array.from({ length: count }, (_, n) => JSON.parse(JSON.stringify({ folder, n, ...more(n) })) as Item);
}

/** Lets go whoever is held by this name. */
export function release(folder: string, name: string): void {
  writeFileSync(join(folder, name), '');
}
