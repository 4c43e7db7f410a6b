/**
 * A coordinator over the simulated lists, with a run that a test plays and workers that do what they are told.
 *
 * Owns: the pretended run (what it planned, what it was given, what it holds durably) and pretended workers. Invariants that
 * it checks after every operation of the server
 * 1. Nothing is in the lists that was not planned by a durable revision.
 * 2. A unit is in one list at a time.
 * 3. A result leaves `taken` only when a durable revision holds it, or nobody waited for it.
 * 4. The run is given a unit's result once.
 */
import type { Json } from '../../../src/core/json-type.ts';
import { encodeResult, parseUnitId, unitHeader, unitId, type MemberEnd, type SharedBody } from '../../../src/core/messages.ts';
import { SimulatedServer, type SimulatedClient } from '../../../src/adapters/simulated/lists.ts';
import { RedisCoordinator, type CoordinatorOptions } from '../../../src/runtime/remote/coordinator.ts';
import type { Delivered, PlannedGroup, PlannedUnit } from '../../../src/runtime/remote/dispatch.ts';
import type { Environment, PushRequest } from '../../../src/ports.ts';
import { VirtualClock, seededRandom } from '../../../src/testing.ts';

export function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, at) => from + at);
}

export class Bench {
  readonly clock = new VirtualClock(1_000_000);
  readonly server: SimulatedServer;
  readonly problems: string[] = [];
  /** How often each operation was executed. */
  readonly calls = new Map<string, number>();
  readonly runs: PlayedRun[] = [];
  /** Names of the shared parts that were pushed, in order. */
  readonly shared: string[] = [];
  /** Texts in the lists that no worker has executed a unit for. */
  readonly forged = new Set<string>();
  readonly environment: Pick<Environment, 'clock' | 'random' | 'newId'>;
  #ids = 0;

  constructor(seed = 1) {
    this.server = new SimulatedServer({ clock: this.clock, remember: 1000 });
    this.environment = { clock: this.clock, random: seededRandom(seed), newId: () => `n${(this.#ids += 1)}` };
    this.server.executed = ({ name, request }) => {
      if (name === 'push') this.shared.push(...((request as PushRequest).shared ?? []).map((part) => part.name));
      this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
      for (const run of this.runs) run.check();
    };
  }

  run(name = 'r1', options: Partial<Pick<CoordinatorOptions, 'journalled' | 'settings' | 'queues' | 'graph' | 'durable' | 'parent'>> = {}): PlayedRun {
    const run = new PlayedRun(this, name, options);
    this.runs.push(run);
    return run;
  }

  worker(name = 'w1', options: { readonly slots?: number; readonly queue?: string; readonly leaseMs?: number } = {}): PlayedWorker {
    return new PlayedWorker(this, name, options);
  }

  count(name: string): number {
    return this.calls.get(name) ?? 0;
  }

  pass(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /** Puts results where no worker did. */
  forge(run: string, texts: readonly string[]): void {
    for (const text of texts) this.forged.add(text);
    this.server.put(this.server.keys.results(run), texts);
  }

  /** All keys of the namespace, without those of workers. */
  keys(): string[] {
    return [...this.server.all().keys()].filter((key) => !/:(w|lease|workers)(:|$)/.test(key));
  }
}

/** A run, as its coordinator sees it. */
export class PlayedRun {
  readonly bench: Bench;
  readonly name: string;
  readonly client: SimulatedClient;
  readonly coordinator: RedisCoordinator;
  readonly given: Delivered[] = [];
  readonly deliveries: number[] = [];
  readonly failures: Error[] = [];
  readonly notes: unknown[] = [];
  /** Takes deliveries in as they come. */
  accepts = true;
  /** Called with each delivery, before it is taken in. */
  onDeliver: (() => void) | undefined;
  /** Each revision is durable at once. */
  isDurable = true;
  revision = 0;
  durable = 0;
  readonly #journalled: boolean;
  readonly #planned = new Map<string, number>();
  readonly #aborted = new Set<string>();
  /** By unit: the revision that holds its result. */
  readonly #held = new Map<string, number>();
  readonly #times = new Map<string, number>();
  #taken: readonly string[] = [];

  constructor(bench: Bench, name: string, options: Partial<CoordinatorOptions>) {
    this.bench = bench;
    this.name = name;
    this.client = bench.server.connect(`coordinator ${bench.runs.length + 1}`);
    this.revision = this.durable = options.durable ?? 0;
    this.#journalled = options.journalled ?? true;
    this.coordinator = new RedisCoordinator({
      run: name, journalled: true, transport: this.client, environment: bench.environment, ...options,
      host: {
        deliver: (delivery, results) => this.#deliver(delivery, results),
        failed: (error) => void this.failures.push(error),
        note: (unit, note) => void this.notes.push([unit, note]),
      },
    });
  }

  /** Plans units of one group; each with one member whose input is its index. */
  plan(group: number, indexes: readonly number[], { generation = 0, queue = 'q', size = 10, members = 1, startTimeoutMs = undefined as number | undefined, input = (at: number): Json => at } = {}): void {
    this.revision += 1;
    for (const index of indexes) this.#planned.set(unitId(group, index, generation), this.revision);
    const units = indexes.map((index): PlannedUnit => ({
      group, index, generation,
      body: { v: 1, group: `g${group}`, index, entry: 'task', inputs: Array.from({ length: members }, (_, at) => [input(index + at)] as const) },
    }));
    this.coordinator.plan(this.revision, [groupOf(group, queue, size, startTimeoutMs)], units);
    this.#next();
  }

  /** The same again, as after a restart of the executor. */
  tellAgain(group: number, indexes: readonly number[], { generation = 0, queue = 'q', size = 10 } = {}): void {
    for (const index of indexes) this.#planned.set(unitId(group, index, generation), Math.min(this.revision, this.#planned.get(unitId(group, index, generation)) ?? this.revision));
    const units = indexes.map((index): PlannedUnit => ({ group, index, generation, body: { v: 1, group: `g${group}`, index, entry: 'task', inputs: [[index]] } }));
    this.coordinator.plan(this.revision, [groupOf(group, queue, size)], units);
  }

  abort(groups: readonly number[], units: readonly (readonly [number, number, number])[] = []): void {
    for (const id of this.#planned.keys()) if (groups.includes(parseUnitId(id)?.group ?? -1)) this.#aborted.add(id);
    for (const unit of units) this.#aborted.add(unitId(...unit));
    this.revision += 1;
    this.coordinator.abort(groups, units.map(([group, index, generation]) => ({ group, index, generation })), this.revision);
    this.#next();
  }

  makeDurable(revision = this.revision): void {
    this.durable = revision;
    this.coordinator.durable(revision);
  }

  /** Says that it holds everything that it was given. */
  accept(): void {
    this.revision += 1;
    for (const { group, index, generation } of this.given) {
      const id = unitId(group, index, generation);
      if (!this.#held.has(id)) this.#held.set(id, this.revision);
    }
    this.coordinator.accepted(this.deliveries.at(-1) ?? 0, this.revision);
    this.#next();
  }

  /** What an earlier life of the run holds already. */
  holds(ids: readonly string[]): void {
    for (const id of ids) this.#held.set(id, this.durable);
  }

  ids(): string[] {
    return this.given.map(({ group, index, generation }) => unitId(group, index, generation));
  }

  get pending(): readonly string[] {
    return this.queue();
  }

  queue(name = 'q'): readonly string[] {
    return this.bench.server.list(this.bench.server.keys.queue(name)).filter((text) => unitHeader(text)?.run === this.name);
  }

  get results(): readonly string[] {
    return this.bench.server.list(this.bench.server.keys.results(this.name));
  }

  get taken(): readonly string[] {
    return this.bench.server.list(this.bench.server.keys.taken(this.name));
  }

  /** Planned, not aborted, and without a result. */
  open(): string[] {
    return [...this.#planned.keys()].filter((id) => !this.#aborted.has(id) && !this.#times.has(id));
  }

  pendingIds(): string[] {
    return this.pending.map((text) => unitHeader(text)?.id ?? text);
  }

  takenIds(): string[] {
    return this.taken.map((text) => text.split('|')[1] ?? text);
  }

  /** The states of the machine, outermost first. */
  get state(): string {
    const { value } = this.coordinator.actor.getSnapshot() as { value: string | Record<string, string> };
    return typeof value === 'string' ? value : Object.entries(value).flat().join('.');
  }

  get context(): Readonly<Record<string, unknown>> {
    return (this.coordinator.actor.getSnapshot() as { context: Readonly<Record<string, unknown>> }).context;
  }

  check(): void {
    const { server, forged } = this.bench;
    const seen = new Set<string>();
    for (const [key, texts] of server.all()) {
      if (!key.startsWith(server.keys.queue('')) && !key.startsWith(server.keys.slot('', 0).slice(0, -2))) continue;
      for (const text of texts) {
        const unit = unitHeader(text);
        if (unit?.run !== this.name) continue;
        this.#see(seen, unit.id);
        if ((this.#planned.get(unit.id) ?? 0) > this.durable && this.#journalled) this.#say(`unit ${unit.id} is in the lists, but not durable`);
      }
    }
    const taken = new Set(this.taken);
    for (const text of [...this.results, ...taken]) if (!forged.has(text)) this.#see(seen, text.split('|')[1] ?? '');
    for (const text of this.#taken) {
      const id = text.split('|')[1] ?? '';
      if (taken.has(text) || forged.has(text) || this.#aborted.has(id) || !this.#journalled || this.isReleased) continue;
      const held = this.#held.get(id);
      if (held === undefined || held > this.durable) this.#say(`the result of ${id} has left, but ${held === undefined ? 'the run does not hold it' : `revision ${held} is not durable`}`);
    }
    this.#taken = this.taken;
  }

  #see(seen: Set<string>, id: string): void {
    if (!this.#planned.has(id)) return;
    if (seen.has(id)) this.#say(`unit ${id} is in more than one list`);
    seen.add(id);
  }

  /** Its keys were removed on purpose, or by a fault of the test. */
  isReleased = false;

  #deliver(delivery: number, results: readonly Delivered[]): void {
    if (delivery !== (this.deliveries.at(-1) ?? 0) + 1) this.#say(`delivery ${delivery} follows ${this.deliveries.at(-1)}`);
    this.deliveries.push(delivery);
    for (const result of results) {
      const id = unitId(result.group, result.index, result.generation);
      this.#times.set(id, (this.#times.get(id) ?? 0) + 1);
      if ((this.#times.get(id) ?? 0) > 1) this.#say(`unit ${id} was delivered twice`);
      this.given.push(result);
    }
    this.onDeliver?.();
    if (this.accepts) this.accept();
  }

  #next(): void {
    if (this.isDurable) this.makeDurable();
  }

  #say(problem: string): void {
    this.bench.problems.push(`${this.name}: ${problem}`);
  }
}

/** A worker that does what a test says, by the same operations as a real one. */
export class PlayedWorker {
  readonly bench: Bench;
  readonly client: SimulatedClient;
  readonly identity: { readonly worker: string; readonly nonce: string; readonly queue: string; readonly slots: number };
  readonly leaseMs: number;
  readonly units = new Map<number, string>();
  /** Every unit that it was given, by id. */
  readonly claimed: string[] = [];

  constructor(bench: Bench, worker: string, { slots = 4, queue = 'q', leaseMs = 10_000 }: { readonly slots?: number; readonly queue?: string; readonly leaseMs?: number }) {
    this.bench = bench;
    this.client = bench.server.connect(worker);
    this.identity = { worker, nonce: `nonce${worker}`, queue, slots };
    this.leaseMs = leaseMs;
  }

  async register(): Promise<this> {
    await this.client.lists.register({ ...this.identity, leaseMs: this.leaseMs, deliveries: 3, at: 0 });
    return this;
  }

  /** Fills its free slots. */
  async claim(most = this.identity.slots): Promise<readonly string[]> {
    const claims = Array.from({ length: this.identity.slots }, (_, slot) => slot).filter((slot) => !this.units.has(slot)).slice(0, most);
    const { claimed } = await this.client.lists.step({ ...this.identity, leaseMs: this.leaseMs, acks: [], claims, runs: [] });
    for (const { slot, unit } of claimed) {
      this.units.set(slot, unit);
      this.claimed.push(unitHeader(unit)?.id ?? '');
    }
    return claimed.map(({ unit }) => unitHeader(unit)?.id ?? '');
  }

  /** What of its units it hears to be cancelled. */
  async cancelled(): Promise<Readonly<Record<string, readonly string[]>>> {
    const runs = [...new Set([...this.units.values()].map((unit) => unitHeader(unit)?.run ?? ''))];
    return (await this.client.lists.step({ ...this.identity, leaseMs: this.leaseMs, acks: [], claims: [], runs })).cancelled;
  }

  /** Ends what it holds. `isNone`: what it writes is no result. */
  async finish(ends: (id: string) => readonly MemberEnd[] = (id) => [[`done ${id}`]], isNone = false): Promise<void> {
    const acks = [...this.units].map(([slot, unit]) => {
      const header = unitHeader(unit) as NonNullable<ReturnType<typeof unitHeader>>;
      const body = { v: 1, ends: ends(header.id), worker: this.identity.worker, startedAt: 5, durationMs: 7 } as const;
      return { slot, header: `${header.attempt}|${header.run}|${header.id}`, kind: 'result', text: encodeResult(header, 'ended', body) } as const;
    });
    this.units.clear();
    if (isNone) for (const { text } of acks) this.bench.forged.add(text);
    await this.client.lists.step({ ...this.identity, leaseMs: this.leaseMs, acks, claims: [], runs: [] });
  }
}

function groupOf(id: number, queue: string, size: number, startTimeoutMs?: number): PlannedGroup {
  const shared: SharedBody = { v: 1, runId: 'r1', workflow: 'flow', graphHash: 'h', startedAt: 1, node: 'group', key: String(id), size, queue, channel: {} };
  return { id, queue, shared, ...(size > 4 && { beside: `g${id}` }), ...(startTimeoutMs !== undefined && { startTimeoutMs }) };
}
