/** What the contract suite of TaskLists and Signals needs of an implementation, and small helpers for its cases. */
import { expect } from 'vitest';
import { encodeResult, encodeUnit, headerOf, unitHeader, unitId } from '../../../src/core/messages.ts';
import type { Unit } from '../../../src/core/messages.ts';
import type { Ack, Fence, StepReply, StepRequest, Transport } from '../../../src/ports.ts';
import type { Keys } from '../../../src/adapters/redis/keys.ts';

export interface ListsUnderTest {
  readonly keys: Keys;
  /** Another client of the same lists. */
  connect(): Transport;
  list(key: string): Promise<readonly string[]>;
  /** Every list of the namespace by its key. */
  all(): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Puts elements in the place of a list, as another program could. `[]` removes it. */
  put(key: string, texts: readonly string[]): Promise<void>;
  /** Milliseconds; nothing for a list that stays or is not there. */
  timeLeft(key: string): Promise<number | undefined>;
  /** Lets time pass. */
  pass(ms: number): Promise<void>;
  dispose(): Promise<void>;
}

export type MakeLists = () => Promise<ListsUnderTest>;

export function unit(run: string, id: string, attempt = 1, inputs: readonly unknown[] = []): string {
  const [group = 0, index = 0] = id.split('.').map(Number);
  return encodeUnit({ attempt, run, id, body: { v: 1, group: String(group), index, entry: 'task', ...(inputs.length === 0 ? {} : { inputs: [inputs as [number]] }) } } as Unit);
}

export function result(text: string, value: number = 1): string {
  return encodeResult(headerParts(text), 'ended', { v: 1, ends: [[value]], worker: 'w', startedAt: 0, durationMs: 0 });
}

export function headerParts(text: string): Pick<Unit, 'attempt' | 'run' | 'id'> {
  const header = unitHeader(text);
  if (header === undefined) throw new Error(`no unit: ${text}`);
  return header;
}

export function ids(group: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => unitId(group, index, 0));
}

export function idsOf(units: readonly string[]): readonly string[] {
  return units.map((text) => headerParts(text).id);
}

/** A coordinator of a run, with what it must remember from call to call. */
export class TestCoordinator {
  readonly transport: Transport;
  readonly run: string;
  readonly queue: string;
  readonly expireMs: number | undefined;
  fence: Fence = { epoch: 0, nonce: '' };
  seq = 0;

  constructor(subject: ListsUnderTest, run: string, options: { readonly queue?: string; readonly expireMs?: number } = {}) {
    this.transport = subject.connect();
    this.run = run;
    this.queue = options.queue ?? 'q';
    this.expireMs = options.expireMs;
  }

  get lists(): Transport['lists'] {
    return this.transport.lists;
  }

  get held(): { readonly run: string; readonly fence: Fence } {
    return { run: this.run, fence: this.fence };
  }

  async acquire(nonce = 'a', fence?: Fence): Promise<this> {
    const reply = await this.lists.acquire({ run: this.run, nonce, fence, expireMs: this.expireMs });
    if (reply.status !== 'acquired') throw new Error(reply.status);
    this.fence = reply.fence;
    this.seq = reply.seq;
    return this;
  }

  async push(units: readonly string[], shared: readonly { readonly name: string; readonly text: string }[] = []): Promise<void> {
    this.seq += 1;
    expect(await this.lists.push({ ...this.held, batch: this.seq, queue: this.queue, units, shared, expireMs: this.expireMs })).toEqual({ status: 'ok' });
  }

  /** Pushes units with these ids, and gives their texts. */
  async plan(unitIds: readonly string[]): Promise<readonly string[]> {
    const units = unitIds.map((id) => unit(this.run, id));
    await this.push(units);
    return units;
  }
}

export class TestWorker {
  readonly transport: Transport;
  readonly identity: { readonly worker: string; readonly nonce: string; readonly queue: string; readonly slots: number };
  readonly leaseMs: number;

  constructor(subject: ListsUnderTest, worker: string, options: { readonly nonce?: string; readonly queue?: string; readonly slots?: number; readonly leaseMs?: number } = {}) {
    this.transport = subject.connect();
    this.identity = { worker, nonce: options.nonce ?? `${worker}n`, queue: options.queue ?? 'q', slots: options.slots ?? 4 };
    this.leaseMs = options.leaseMs ?? 60_000;
  }

  get lists(): Transport['lists'] {
    return this.transport.lists;
  }

  async register(deliveries = 3): Promise<this> {
    expect(await this.lists.register({ ...this.identity, leaseMs: this.leaseMs, deliveries, at: 1 })).toEqual({ status: 'ok' });
    return this;
  }

  step(request: Partial<StepRequest> = {}): Promise<StepReply> {
    return this.lists.step({ ...this.identity, leaseMs: this.leaseMs, acks: [], claims: [], runs: [], ...request });
  }

  /** Claims into slots and gives the units' texts. */
  async claim(...slots: readonly number[]): Promise<readonly string[]> {
    const { claimed } = await this.step({ claims: slots });
    return claimed.map(({ unit: text }) => text);
  }
}

export function done(slot: number, text: string, value = 1): Ack {
  return { slot, header: headerOf(headerParts(text)), kind: 'result', text: result(text, value) };
}

export async function until(subject: ListsUnderTest, holds: () => Promise<boolean>): Promise<void> {
  for (let left = 2_000; left > 0; left -= 1) {
    if (await holds()) return;
    await subject.pass(5);
  }
  throw new Error('it did not come about');
}

/** Waits as `promise` does, and lets so much time pass meanwhile. */
export async function during<T>(subject: ListsUnderTest, promise: Promise<T>, ms: number): Promise<T> {
  const [value] = await Promise.all([promise, subject.pass(ms)]);
  return value;
}
