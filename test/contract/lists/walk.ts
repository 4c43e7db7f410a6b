/**
 * A random walk over the operations, the same for the same seed: every third call is said twice, as after a lost reply.
 *
 * Checked after every call: no unit is in two lists, and none disappears but by a call that says so (rule 1).
 */
import { expect } from 'vitest';
import { headerOf, resultHeader, unitHeader } from '../../../src/core/messages.ts';
import type { Ack, Random } from '../../../src/ports.ts';
import { seededRandom } from '../../../src/testing/seeded-random.ts';
import { headerParts, result, TestCoordinator, TestWorker, unit } from './subject.ts';
import type { ListsUnderTest } from './subject.ts';

/** What the clocks show all the time; whoever reaps says a later time, each time. */
export const WALK_STARTS_AT = 1_000_000;

export interface WalkStep {
  readonly call: string;
  readonly reply: unknown;
  readonly lists: readonly (readonly [string, readonly string[]])[];
}

export async function walk(subject: ListsUnderTest, seed: number, length: number): Promise<readonly WalkStep[]> {
  const walker = new Walker(subject, seededRandom(seed));
  const steps: WalkStep[] = [];
  for (let step = 0; step < length; step += 1) {
    try {
      steps.push(await walker.step());
    } catch (error) {
      throw new Error(`seed ${seed}, step ${step + 1}, after ${steps.slice(-5).map(({ call }) => call).join(', ')}`, { cause: error });
    }
  }
  return steps;
}

interface Move {
  readonly name: string;
  /** Units may leave the lists. */
  readonly ends?: boolean;
  /** Units that it brings. */
  readonly brings?: readonly string[];
  readonly run: () => Promise<unknown>;
}

class Walker {
  readonly #subject: ListsUnderTest;
  readonly #random: Random;
  readonly #coordinators: TestCoordinator[] = [];
  readonly #workers: TestWorker[] = [];
  #nonces = 0;
  #units = 0;
  #at = WALK_STARTS_AT;

  constructor(subject: ListsUnderTest, random: Random) {
    this.#subject = subject;
    this.#random = random;
    for (const run of ['a', 'b']) this.#coordinators.push(new TestCoordinator(subject, run, { queue: run === 'a' ? 'q' : 'p' }));
    for (const [worker, queue] of [['v', 'q'], ['w', 'q'], ['x', 'p']] as const) this.#workers.push(new TestWorker(subject, worker, { queue, slots: 3, nonce: 'n0' }));
  }

  async step(): Promise<WalkStep> {
    const move = await this.#pick();
    const before = await this.#present();
    let reply = await move.run();
    const twice = this.#random.next() < 0.33;
    if (twice) reply = [reply, await move.run()];
    const after = await this.#present();
    expect(after, `${move.name}: a unit is in two lists`).toEqual([...new Set(after)]);
    if (move.ends !== true) expect(after, move.name).toEqual([...before, ...(move.brings ?? [])].sort());
    const lists = [...(await this.#subject.all())].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, texts]) => [key, key.includes(':lease:') ? texts.map((text) => text.split('|', 1)[0] as string) : texts] as const);
    return { call: `${move.name}${twice ? ' twice' : ''}`, reply: reply ?? null, lists };
  }

  async #pick(): Promise<Move> {
    const coordinator = this.#one(this.#coordinators);
    const worker = this.#one(this.#workers);
    const moves: readonly (readonly [number, () => Move | Promise<Move>])[] = [
      [1, () => this.#acquire(coordinator)],
      [5, () => this.#push(coordinator)],
      [6, () => this.#stepOf(worker)],
      [3, () => this.#take(coordinator)],
      [2, () => this.#trim(coordinator)],
      [1, () => this.#cancel(coordinator)],
      [0.3, () => ({ name: 'release', ends: true, run: () => coordinator.lists.release({ ...coordinator.held, queues: ['q', 'p'], shared: ['s'] }) })],
      [1, () => ({ name: 'register', run: () => worker.lists.register({ ...worker.identity, leaseMs: 60_000, deliveries: 1000, at: this.#at }) })],
      [0.5, () => ({ name: 'leave', run: () => worker.lists.leave(worker.identity).then(() => null) })],
      [1, () => this.#loseLease(worker)],
      [2, () => ({ name: 'reap', ends: true, run: () => worker.lists.reap({ deliveries: 3, at: (this.#at += 90_000) }) })],
      [1, () => ({ name: 'audit', run: async () => sorted(await coordinator.lists.audit({ ...coordinator.held, queues: ['q', 'p'] })) })],
      [1, () => this.#wait(worker, coordinator)],
      [0.5, () => ({ name: 'slots', run: async () => (await worker.lists.slots({ worker: worker.identity.worker, slots: 3 })).map((text) => text ?? null) })],
      [0.5, () => ({ name: 'workers', run: () => worker.lists.workers() })],
    ];
    let left = this.#random.next() * moves.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, make] of moves) {
      left -= weight;
      if (left <= 0) return make();
    }
    throw new Error('no move');
  }

  #acquire(coordinator: TestCoordinator): Move {
    const nonce = `n${(this.#nonces += 1)}`;
    const fence = this.#random.next() < 0.3 && coordinator.fence.epoch > 0 ? coordinator.fence : undefined;
    const run = async (): Promise<unknown> => {
      const reply = await coordinator.lists.acquire({ run: coordinator.run, nonce, fence });
      if (reply.status === 'acquired') [coordinator.fence, coordinator.seq] = [reply.fence, reply.seq];
      return reply;
    };
    return { name: `acquire ${coordinator.run}`, run };
  }

  async #push(coordinator: TestCoordinator): Promise<Move> {
    const units = Array.from({ length: this.#below(4) }, () => unit(coordinator.run, `${this.#below(3)}.${(this.#units += 1)}.0`));
    const [held] = await this.#subject.list(this.#subject.keys.coordinator(coordinator.run));
    const isOwner = held === `${coordinator.fence.epoch}|${coordinator.fence.nonce}`;
    const batch = coordinator.seq + (this.#random.next() < 0.1 ? 2 : 1);
    const last = Number((await this.#subject.list(this.#subject.keys.sequence(coordinator.run)))[0] ?? 0);
    const run = async (): Promise<unknown> => {
      const reply = await coordinator.lists.push({ ...coordinator.held, batch, queue: coordinator.queue, units, shared: [{ name: 's', text: String(batch) }] });
      if (reply.status === 'ok') coordinator.seq = Math.max(batch, coordinator.seq);
      return reply;
    };
    return { name: `push ${coordinator.run} ${batch}`, brings: isOwner && batch === last + 1 ? units.map(idOf) : [], run };
  }

  async #stepOf(worker: TestWorker): Promise<Move> {
    const { worker: name, slots } = worker.identity;
    const acks: Ack[] = [];
    let ends = false;
    for (let slot = 0; slot < slots; slot += 1) {
      const [text] = await this.#subject.list(this.#subject.keys.slot(name, slot));
      if (text === undefined || this.#random.next() < 0.4) continue;
      const header = headerOf(headerParts(text));
      const kind = this.#one(['result', 'result', 'result', 'return', 'drop', 'dead'] as const);
      ends = true;
      const body = { result: result(text), return: text, drop: '', dead: 'no/good "body"' }[kind];
      acks.push({ slot, header: this.#random.next() < 0.1 ? `${header}0` : header, kind, text: body });
    }
    const claims = [0, 1, 2].filter(() => this.#random.next() < 0.6);
    return { name: `step ${name}`, ends, run: () => worker.step({ acks, claims, runs: ['a', 'b', 'never'] }) };
  }

  #take(coordinator: TestCoordinator): Move {
    const most = 1 + this.#below(4);
    return { name: `take ${coordinator.run}`, run: () => coordinator.lists.take({ ...coordinator.held, most }) };
  }

  async #trim(coordinator: TestCoordinator): Promise<Move> {
    const taken = await this.#subject.list(this.#subject.keys.taken(coordinator.run));
    const count = this.#below(taken.length + 2);
    const last = resultHeader(taken[this.#random.next() < 0.9 ? count - 1 : 0] ?? '');
    return { name: `trim ${coordinator.run} ${count}`, ends: true, run: () => coordinator.lists.trim({ ...coordinator.held, count, last }) };
  }

  #cancel(coordinator: TestCoordinator): Move {
    const entry = this.#one(['*', '0', '1', '2', `1.${this.#below(this.#units + 1)}.0`]);
    return { name: `cancel ${coordinator.run} ${entry}`, ends: true, run: () => coordinator.lists.cancel({ ...coordinator.held, entries: [entry], queues: ['q', 'p'], forMs: 60_000 }) };
  }

  #loseLease(worker: TestWorker): Move {
    return { name: `lose ${worker.identity.worker}`, run: () => this.#subject.put(this.#subject.keys.lease(worker.identity.worker), []).then(() => null) };
  }

  /** Only where something is there: time must not matter. */
  async #wait(worker: TestWorker, coordinator: TestCoordinator): Promise<Move> {
    const { worker: name, queue } = worker.identity;
    const slot = this.#below(3);
    const [units, results] = [await this.#subject.list(this.#subject.keys.queue(queue)), await this.#subject.list(this.#subject.keys.results(coordinator.run))];
    if (units.length > 1 && this.#random.next() < 0.5) return { name: `waitUnit ${name}`, run: () => worker.lists.waitUnit({ worker: name, slot, queue, timeoutMs: 1000 }) };
    if (results.length > 1) return { name: `waitResult ${coordinator.run}`, run: () => coordinator.lists.waitResult({ run: coordinator.run, timeoutMs: 1000 }) };
    return { name: 'pending', run: () => worker.lists.pending(queue) };
  }

  /** Every unit and result that is in a list, as `run id`, sorted. */
  async #present(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const [key, texts] of await this.#subject.all()) {
      const run = /:(?:res|taken):(\w+)$/.exec(key)?.[1];
      if (run !== undefined) found.push(...texts.map((text) => `${run} ${text.split('|')[1]}`));
      else if (/:(?:q|w):/.test(key)) found.push(...texts.map(idOf));
    }
    return found.sort();
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }

  #one<Item>(items: readonly Item[]): Item {
    return items[this.#below(items.length)] as Item;
  }
}

function idOf(text: string): string {
  const header = unitHeader(text);
  return header === undefined ? text : `${header.run} ${header.id}`;
}

function sorted(reply: { readonly status: string; readonly present?: readonly string[] }): unknown {
  return reply.present === undefined ? reply : { ...reply, present: [...reply.present].sort() };
}
