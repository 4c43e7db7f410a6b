/**
 * Chaos: real processes, a real redis-server, a proxy that misbehaves, and a witness file that knows nothing of them.
 *
 * Owns: the cast, the schedule of faults, and what must hold afterwards. Does not own: the faults (faults.ts), the witness
 * (check.ts).
 *
 * Invariants
 * 1. The schedule follows from the seed; what happens between two faults is up to the machine.
 * 2. After the last fault everything heals, and then every run must end.
 */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { seededRandom } from 'taskchart/testing';
import { startProxy, type Proxy } from '../redis/proxy.ts';
import { startServer, type TestServer } from '../redis/server.ts';
import { OwnProcess, WorkerProcess, eventually } from '../redis/worker-process.ts';
import { readWitness, tally, type Span, type Tally } from './check.ts';
import { faults, isDrained, type Cast } from './faults.ts';

export interface ChaosOptions {
  readonly seed: number;
  /** How long faults go on. */
  readonly seconds: number;
  /** At least so many: then it goes on until they are done. */
  readonly leastFaults?: number;
  readonly say?: (line: string) => void;
}

export interface ChaosReport extends Tally {
  readonly seed: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly runs: number;
  /** Outputs that differ from that of a run without faults. */
  readonly wrong: readonly string[];
  /** Keys that the ended runs have left, and that do not expire. */
  readonly left: readonly string[];
  readonly slowestRecoveryMs: number;
}

const WORKERS = 3;
const LANES = 2;
const NAMESPACE = 'chaos';
const LEASE_MS = 1500;
/** Whoever waits for a dead worker's units, or for a connection, has them by then. */
const RECOVERY_MS = 12_000;
const HEALED_MS = 120_000;
const SIZE = ['120', '40'];
const script = fileURLToPath(new URL('coordinator.ts', import.meta.url));
const flow = fileURLToPath(new URL('flow.ts', import.meta.url));

export async function runChaos({ seed, seconds, leastFaults = 0, say = () => undefined }: ChaosOptions): Promise<ChaosReport> {
  const folder = mkdtempSync(join(tmpdir(), 'taskchart-chaos-'));
  const server = await startServer({ appendonly: true });
  const proxy = await startProxy(server.port);
  const stage = new Stage(folder, server, proxy, seed, say);
  let done = false;
  try {
    const expected = await stage.rehearse();
    stage.begin();
    const spans = await stage.disturb(seconds * 1000, leastFaults);
    await stage.heal();
    const report = await stage.judge(expected, spans);
    done = true;
    return report;
  } finally {
    await stage.end();
    if (done) rmSync(folder, { recursive: true, force: true });
    else say(`what happened is in ${folder}; again by: npm run chaos -- --seed ${seed} --seconds ${seconds}`);
  }
}

interface Expected {
  readonly output: string;
  readonly ends: ReadonlySet<string>;
}

class Stage implements Cast {
  readonly server: TestServer;
  readonly proxy: Proxy;
  readonly random: Cast['random'];
  readonly workers: WorkerProcess[] = [];
  readonly coordinators: OwnProcess[] = [];
  readonly say: (line: string) => void;
  readonly #folder: string;
  readonly #seed: number;
  readonly #all: OwnProcess[] = [];
  #slowest = 0;

  constructor(folder: string, server: TestServer, proxy: Proxy, seed: number, say: (line: string) => void) {
    this.#folder = folder;
    this.server = server;
    this.proxy = proxy;
    this.#seed = seed;
    this.random = seededRandom(seed);
    this.say = (line) => say(`${((Date.now() - this.#began) / 1000).toFixed(1).padStart(6)} ${line}`);
  }

  readonly #began = Date.now();

  pause(ms: number): Promise<void> {
    return pause(ms);
  }

  get #variables(): Record<string, string> {
    return { CHAOS_URL: `redis://127.0.0.1:${this.proxy.port}`, CHAOS_NAMESPACE: NAMESPACE, CHAOS_WITNESS: join(this.#folder, 'witness') };
  }

  /** One run on the backend `local`, without Redis and faults: what it gives and executes is what every run must. */
  async rehearse(): Promise<Expected> {
    const folder = join(this.#folder, 'rehearsal');
    const witness = join(this.#folder, 'rehearsal-witness');
    const process = OwnProcess.script(script, [folder, 'r', ...SIZE], { CHAOS_WITNESS: witness });
    await process.until('the rehearsal had ended', () => /ended r-0/.exec(process.stdout) ?? undefined);
    await process.kill();
    const ends = new Set(readWitness(readFileSync(witness, 'utf8')).filter(({ what, run }) => what === 'end' && run === 'r-0').map(({ key, attempt }) => `${key} ${attempt}`));
    return { output: readFileSync(join(folder, 'results', 'r-0.json'), 'utf8'), ends };
  }

  begin(): void {
    for (let place = 0; place < WORKERS; place += 1) this.startWorker(place);
    for (let place = 0; place < LANES; place += 1) this.startCoordinator(place);
  }

  startWorker(place: number): void {
    const { CHAOS_URL = '', ...variables } = this.#variables;
    const worker = new WorkerProcess([flow], { redis: CHAOS_URL, namespace: NAMESPACE, concurrency: 8, lease: LEASE_MS, drain: 2000, deliveries: 50 }, { ...variables, CHAOS_URL });
    this.workers[place] = worker;
    this.#all.push(worker);
  }

  startCoordinator(place: number): void {
    const coordinator = OwnProcess.script(script, [this.#folder, `lane${place}`, ...SIZE], this.#variables);
    this.coordinators[place] = coordinator;
    this.#all.push(coordinator);
  }

  async disturb(ms: number, leastFaults: number): Promise<Span[]> {
    const spans: Span[] = [];
    await Promise.all([...this.workers.map((worker) => worker.registered()), ...this.coordinators.map((one) => one.until('it ran', () => /ed lane/.exec(one.stdout) ?? undefined))]);
    const until = Date.now() + ms;
    const under: Promise<void>[] = [];
    let failure: unknown;
    while ((Date.now() < until || spans.length < leastFaults) && failure === undefined) {
      const [kind, , fault] = this.#draw();
      const from = Date.now();
      const span = { kind, from, to: Number.POSITIVE_INFINITY };
      spans.push(span);
      this.say(kind);
      const one = fault(this).then(() => void (span.to = Date.now() + RECOVERY_MS), (thrown: unknown) => void (failure ??= thrown));
      // Sometimes the next one comes before this is over.
      if (this.random.next() < 0.7) await one;
      else under.push(one);
      await this.pause(300 + this.random.next() * 1700);
      await this.#watch();
    }
    await Promise.all(under);
    if (failure !== undefined) throw failure as Error;
    return spans;
  }

  /** A process that has ended by itself is a failure, unless chaos ended it. */
  async #watch(): Promise<void> {
    for (const [place, { over, stderr, stdout }] of this.coordinators.entries()) {
      if (over !== undefined && over.signal === null && over.code !== 0) throw new Error(`the coordinator of lane ${place} ended by itself with ${over.code}: ${stdout.slice(-500)} ${stderr.slice(-2000)}`);
    }
    for (const { over, stderr } of this.workers) {
      if (over !== undefined && over.signal === null) throw new Error(`a worker ended by itself with ${over.code}: ${stderr.slice(-2000)}`);
    }
  }

  #draw(): (typeof faults)[number] {
    const sum = faults.reduce((all, [, weight]) => all + weight, 0);
    let at = this.random.next() * sum;
    for (const one of faults) {
      at -= one[1];
      if (at < 0) return one;
    }
    return faults[0] as (typeof faults)[number];
  }

  /** No more faults: every run that has begun must end now. */
  async heal(): Promise<void> {
    this.proxy.flow();
    this.proxy.accept();
    writeFileSync(join(this.#folder, 'stop'), '');
    const from = Date.now();
    const ends = this.coordinators.map(async (one, place) => {
      const ended = await Promise.race([one.ended, pause(HEALED_MS, undefined, { ref: false })]);
      if (ended === undefined) throw new Error(`lane ${place} does not end:\n${one.stdout.slice(-3000)}\n${one.stderr.slice(-2000)}`);
      if (ended.code !== 0) throw new Error(`the coordinator of lane ${place} ended with ${ended.code}: ${ended.stderr.slice(-2000)}`);
    });
    await Promise.all(ends);
    this.#slowest = Date.now() - from;
    const drained = this.workers.map(async (worker) => {
      worker.signal('SIGTERM');
      const ended = await worker.ended;
      if (!isDrained(ended)) throw new Error(`a worker ended with ${ended.code} ${ended.signal} when nothing was wrong: ${ended.stderr.slice(-2000)}`);
    });
    await Promise.all(drained);
  }

  async judge(expected: Expected, spans: readonly Span[]): Promise<ChaosReport> {
    const results = readdirSync(join(this.#folder, 'results')).filter((file) => file.endsWith('.json'));
    const wrong = results.filter((file) => readFileSync(join(this.#folder, 'results', file), 'utf8') !== expected.output);
    const runs = results.map((file) => file.slice(0, -'.json'.length));
    const counts: Record<string, number> = {};
    for (const { kind } of spans) counts[kind] = (counts[kind] ?? 0) + 1;
    const lines = readWitness(existsSync(join(this.#folder, 'witness')) ? readFileSync(join(this.#folder, 'witness'), 'utf8') : '');
    return { seed: this.#seed, faults: counts, runs: runs.length, wrong, left: await this.#left(), slowestRecoveryMs: this.#slowest, ...tally(lines, runs, expected.ends, spans) };
  }

  /** What is of a run and would stay for ever. */
  async #left(): Promise<string[]> {
    const client = this.server.client();
    const look = async (): Promise<string[]> => {
      const keys = (await client.keys(`{${NAMESPACE}}:*`)).filter((key) => !/:(workers|dead)$/.test(key));
      const left = await Promise.all(keys.map(async (key) => ((await client.pttl(key)) < 0 ? [key] : [])));
      return left.flat();
    };
    // A worker that was killed last may still be waited for.
    return eventually('nothing is left', async () => ((await look()).length === 0 ? [] : undefined), 5000).catch(look);
  }

  async end(): Promise<void> {
    await Promise.all(this.#all.filter(({ over }) => over === undefined).map((one) => one.kill()));
    await this.proxy.close();
    await this.server.dispose();
  }
}
