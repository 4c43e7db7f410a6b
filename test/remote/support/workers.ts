/**
 * Real workers on the simulated lists, under a virtual clock: for real runs, and for units that a test writes by hand.
 *
 * Owns: one server, the workflows that reach it, the workers. After every operation of the server it checks that no unit is
 * in two places.
 */
import { SimulatedServer, type SimulatedClient } from '../../../src/adapters/simulated/lists.ts';
import { systemEnvironment } from '../../../src/adapters/system.ts';
import type { Graph } from '../../../src/core/graph.ts';
import { decodeResult, encodeUnit, unitHeader, type MemberEnd, type Result, type SharedBody, type UnitBody } from '../../../src/core/messages.ts';
import type { Step } from '../../../src/define/step.ts';
import type { Environment, Fence } from '../../../src/ports.ts';
import { linkRemote } from '../../../src/runtime/remote/link.ts';
import { RedisTaskQueue } from '../../../src/runtime/worker/queue.ts';
import { TaskWorker } from '../../../src/runtime/worker/worker.ts';
import type { TaskWorkerOptions } from '../../../src/runtime/worker/options.ts';
import type { Run } from '../../../src/runtime/run.ts';
import { Workflow } from '../../../src/runtime/workflow.ts';
import { VirtualClock, seededRandom } from '../../../src/testing.ts';

/** What a group needs to be sent to this server. */
export const onRedis = { backend: 'redis', backendConfig: { url: 'redis://127.0.0.1:6379' } } as const;

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>> | undefined;
}

export class World {
  readonly clock = new VirtualClock(1_000_000);
  readonly server = new SimulatedServer({ clock: this.clock, remember: 100 });
  readonly environment: Environment;
  readonly problems: string[] = [];
  readonly calls = new Map<string, number>();
  readonly logs: LogLine[] = [];
  readonly workers: TaskWorker[] = [];
  readonly held: object[] = [];
  #ids = 0;

  constructor(seed = 1) {
    const random = seededRandom(seed);
    const connect = (): SimulatedClient => this.server.connect(`run ${(this.#ids += 1)}`);
    this.environment = { ...systemEnvironment, clock: this.clock, random, newId: () => `id${(this.#ids += 1)}`, backends: {}, connect, remote: linkRemote };
    this.server.executed = ({ client, name }) => {
      const key = `${client} ${name}`;
      this.calls.set(key, (this.calls.get(key) ?? 0) + 1);
      this.#check();
    };
  }

  workflow<Id extends string, I, O>(id: Id, root: Step<I, O>): Workflow<Id, I, O> {
    return new Workflow(this.environment, id, root);
  }

  worker(id: string, { queueName = 'default', ...options }: Partial<TaskWorkerOptions> & { readonly queueName?: string } = {}): TaskWorker {
    const logger = { log: (level: string, message: string, fields?: Readonly<Record<string, unknown>>) => void this.logs.push({ level, message, fields }) };
    const queue = new RedisTaskQueue(queueName, this.server.connect(id));
    const worker = new TaskWorker({ queue, id, concurrency: 4, logger, ...options }, this.environment);
    this.workers.push(worker);
    return worker;
  }

  /** A worker that is registered. */
  async started(id: string, options: Parameters<World['worker']>[1] = {}): Promise<TaskWorker> {
    const worker = this.worker(id, options);
    await this.within(worker.start(), 100);
    return worker;
  }

  pass(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /** Lets time pass until the promise has settled: in small steps at first. */
  async within<T>(promise: Promise<T>, ms = 60_000): Promise<T> {
    let settled = false;
    const seen = promise.finally(() => (settled = true));
    seen.catch(() => undefined);
    for (let passed = 0; !settled && passed < ms; ) {
      const step = passed < 1000 ? 50 : 500;
      await this.pass(step);
      passed += step;
    }
    if (!settled) throw new Error(`it did not happen within ${ms} ms; the lists: ${JSON.stringify([...this.server.all()])}`);
    return seen;
  }

  /** Lets time pass until something is so. */
  async until(what: () => boolean, ms = 60_000): Promise<void> {
    for (let left = ms; !what(); left -= 10) {
      if (left <= 0) throw new Error(`it did not become so within ${ms} ms: ${String(what)}; the lists: ${JSON.stringify([...this.server.all()])}`);
      await this.pass(10);
    }
  }

  async run<O>(run: Run<O>, ms?: number): Promise<O> {
    return this.within(run.result, ms);
  }

  count(client: string, name: string): number {
    return this.calls.get(`${client} ${name}`) ?? 0;
  }

  /** Ends every worker; what is wrong by then is an error. */
  async close(): Promise<void> {
    for (const worker of this.workers) worker.actor.stop();
    await this.clock.settle();
    if (this.problems.length > 0) throw new Error(this.problems.slice(0, 3).join('\n'));
  }

  /** Every unit is in one list at a time. */
  #check(): void {
    const seen = new Map<string, string>();
    for (const [key, texts] of this.server.all()) {
      for (const text of texts) {
        const header = unitHeader(text);
        const id = header === undefined ? /^[RPD]\|([^|]+)\|/.exec(text)?.[1] : header.id;
        const run = header?.run ?? (/:(?:res|taken):(.+)$/.exec(key)?.[1] ?? '');
        if (id === undefined) continue;
        const place = `${run} ${id}`;
        if (seen.has(place)) this.problems.push(`unit ${place} is in ${seen.get(place)} and in ${key}`);
        seen.set(place, key);
      }
    }
  }
}

/** A run whose units are written by hand. */
export class HandRun {
  /** Held: what nobody holds is not found any more. */
  readonly workflow: object;
  readonly world: World;
  readonly name: string;
  readonly client: SimulatedClient;
  readonly shared: SharedBody;
  fence: Fence = { epoch: 0, nonce: '' };
  #batch = 0;

  constructor(world: World, name: string, workflow: { readonly graph: Graph; readonly definition: { readonly graphHash: string } }, shared: Partial<SharedBody> = {}) {
    this.workflow = workflow;
    this.world = world;
    this.name = name;
    this.client = world.server.connect(`hand ${name}`);
    world.held.push(this);
    this.shared = { v: 1, runId: name, workflow: workflow.graph.workflow, graphHash: workflow.definition.graphHash, startedAt: 0, node: 'group', key: '1', size: 10, queue: 'default', channel: {}, ...shared };
  }

  async begin(graph?: Graph): Promise<this> {
    const acquired = await this.world.within(this.client.lists.acquire({ run: this.name, nonce: 'n' }), 1000);
    if (acquired.status !== 'acquired') throw new Error(acquired.status);
    this.fence = acquired.fence;
    await this.#push([], [{ name: '5', text: JSON.stringify(this.shared) }, ...(graph === undefined ? [] : [{ name: 'graph', text: JSON.stringify({ v: 1, graph }) }])]);
    return this;
  }

  /** Units of one member each. */
  async units(entry: string, inputs: readonly unknown[], body: Partial<UnitBody> = {}, from = 0): Promise<void> {
    const texts = inputs.map((input, at) =>
      encodeUnit({ attempt: 1, run: this.name, id: `5.${from + at}.0`, body: { v: 1, group: '5', index: from + at, entry, inputs: [input === undefined ? [] : [input as never]], ...body } }),
    );
    await this.#push(texts, []);
  }

  texts(...units: readonly string[]): Promise<void> {
    return this.#push(units, []);
  }

  async #push(units: readonly string[], shared: readonly { readonly name: string; readonly text: string }[]): Promise<void> {
    this.#batch += 1;
    const reply = await this.world.within(this.client.lists.push({ run: this.name, fence: this.fence, batch: this.#batch, queue: 'default', units, shared }), 1000);
    if (reply.status !== 'ok') throw new Error(reply.status);
  }

  cancel(...entries: readonly string[]): Promise<unknown> {
    return this.world.within(this.client.lists.cancel({ run: this.name, fence: this.fence, entries, queues: ['default'], forMs: 60_000 }), 1000);
  }

  get results(): readonly Result[] {
    return this.world.server.list(this.world.server.keys.results(this.name)).map((text) => decodeResult(text));
  }

  /** Ends by unit id. */
  get ends(): Readonly<Record<string, readonly MemberEnd[]>> {
    return Object.fromEntries(this.results.map((result) => [result.id, result.kind === 'dead' ? [] : result.body.ends]));
  }
}

/** A promise that a test resolves. */
export function gate<T = void>(): { readonly opened: Promise<T>; open(value: T): void; readonly waiting: number; wait(): Promise<T> } {
  let open: (value: T) => void = () => undefined;
  const opened = new Promise<T>((resolve) => (open = resolve));
  let waiting = 0;
  return {
    opened,
    open: (value) => open(value),
    get waiting() {
      return waiting;
    },
    wait() {
      waiting += 1;
      return opened;
    },
  };
}
