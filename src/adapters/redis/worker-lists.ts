/**
 * The part of TaskLists that workers use, and whoever looks after workers, over Redis.
 *
 * Owns: which script does it, with which keys. Does not own: what the scripts do (scripts/step.ts, scripts/workers.ts),
 * connections.
 *
 * Invariant: every key that a script touches is declared. What a script would need beyond that it asks for, and is called
 * again.
 */
import { TransportError } from '../../core/errors.ts';
import type { Ack, StepReply, StepRequest, TaskLists, WorkerIdentity, WorkerNote } from '../../ports.ts';
import type { RedisClient } from './client.ts';
import type { Keys } from './keys.ts';
import { entryText } from './registry.ts';
import type { Entry } from './registry.ts';
import type { RegistryView } from './registry-view.ts';
import { badReply, countOf, listOf, optionalText, statusOf, textsOf } from './replies.ts';
import { checkStep, MOST_ELEMENTS } from './requests.ts';
import { sayStep, WorkerSlots } from './step-call.ts';
import { step } from './scripts/step.ts';
import * as scripts from './scripts/workers.ts';
import type { Waits } from './waits.ts';

type RequestOf<Name extends keyof TaskLists> = Parameters<TaskLists[Name]>[0];

/** Acknowledgements of one call: what is longer may not arrive in the time that a call has. */
const MOST_CHARS = 4_000_000;

/** Nothing lands in the slots of a worker that has gone but by a rare accident, so they are looked at rarely. */
const LOOK_AT_GONE_MS = 60_000;

export class WorkerLists {
  readonly #client: RedisClient;
  readonly #keys: Keys;
  readonly #waits: Waits;
  readonly #registry: RegistryView;
  readonly #now: () => number;
  /** What the slots of the workers in this process hold. */
  readonly #slots = new Map<string, WorkerSlots>();
  /** When the slots of workers that have gone were looked at last, by their entries. */
  readonly #lookedAt = new Map<string, number>();

  constructor(client: RedisClient, keys: Keys, waits: Waits, registry: RegistryView, now: () => number) {
    this.#client = client;
    this.#keys = keys;
    this.#waits = waits;
    this.#registry = registry;
    this.#now = now;
  }

  async register(request: RequestOf<'register'>): Promise<{ readonly status: 'ok' | 'taken' }> {
    const { worker, nonce, leaseMs, slots, queue } = request;
    for (let tries = 0; tries < 50; tries += 1) {
      const { entries } = await this.#registry.read();
      const mine = entries.map(({ entry }) => entry).filter((entry) => entry.worker === worker);
      const keys = [this.#keys.lease(worker), this.#keys.workers, ...mine.flatMap((entry) => this.#slotKeys(worker, entry.slots))];
      const args = [worker, nonce, Math.ceil(leaseMs), entryText(worker, slots, queue), ...mine.map(({ text }) => text)];
      const [status] = statusOf('register', await this.#client.commands.run(scripts.register, keys, args));
      if (status === 'ok' || status === 'taken') return { status };
      if (status !== 'leftover' && status !== 'changed') throw badReply('register', status);
      if (status === 'leftover') for (const entry of mine) await this.#empty(entry, request);
    }
    throw new TransportError('transport/failed', `others change the registry of worker ${worker} all the time`, { details: { retryable: true } });
  }

  async step(request: StepRequest): Promise<StepReply> {
    checkStep(request);
    const { acks, claims, runs } = request;
    const chars = acks.reduce((sum, { text }) => sum + text.length, 0);
    if (acks.length + claims.length <= MOST_ELEMENTS && runs.length <= MOST_ELEMENTS && chars <= MOST_CHARS) return this.#step(request);
    const all: { claimed: StepReply['claimed'][number][]; refused: number[]; cancelled: Record<string, readonly string[]>; pending: number } = { claimed: [], refused: [], cancelled: {}, pending: 0 };
    for (const { from, ...part } of partsOf(request)) {
      const reply = await this.#step({ ...request, ...part });
      if (reply.status !== 'ok') return reply;
      all.claimed.push(...reply.claimed);
      all.refused.push(...reply.refused.map((at) => from + at));
      all.cancelled = { ...all.cancelled, ...reply.cancelled };
      all.pending = reply.pending;
    }
    return { status: 'ok', ...all };
  }

  async waitUnit({ worker, slot, queue, timeoutMs }: RequestOf<'waitUnit'>): Promise<string | undefined> {
    const unit = await this.#waits.move(this.#keys.queue(queue), this.#keys.slot(worker, slot), timeoutMs);
    if (unit !== undefined) this.#slots.get(worker)?.holds(slot, unit);
    return unit;
  }

  async slots({ worker, slots }: RequestOf<'slots'>): Promise<readonly (string | undefined)[]> {
    const reply = await this.#client.commands.run(scripts.firsts, this.#slotKeys(worker, slots), []);
    return listOf('slots', reply).map((text) => optionalText('slots', text));
  }

  async shared({ run, name }: RequestOf<'shared'>): Promise<string | undefined> {
    return optionalText('LINDEX', await this.#client.commands.call('LINDEX', [this.#keys.shared(run, name), 0]));
  }

  async leave({ worker, nonce, queue, slots }: WorkerIdentity): Promise<void> {
    const keys = [this.#keys.lease(worker), this.#keys.workers, this.#keys.queue(queue), ...this.#slotKeys(worker, slots)];
    this.#slots.delete(worker);
    statusOf('leave', await this.#client.commands.run(scripts.leave, keys, [worker, nonce, this.#now()]));
  }

  async reap(request: RequestOf<'reap'>): Promise<{ readonly returned: number; readonly dead: number }> {
    const { entries } = await this.#registry.read();
    const lost = entries.filter(({ entry, alive }) => !alive && this.#isDue(entry, request.at));
    let [returned, dead] = [0, 0];
    let failure: unknown;
    for (const { entry } of lost) {
      try {
        const counts = await this.#empty(entry, request);
        returned += counts.returned;
        dead += counts.dead;
      } catch (thrown) {
        // A foreign key under the name of one worker's slot must not keep the units of the others.
        if ((thrown as TransportError).code !== 'transport/wrong-type') throw thrown;
        failure ??= thrown;
      }
    }
    if (failure !== undefined) throw failure;
    return { returned, dead };
  }

  async workers(): Promise<readonly WorkerNote[]> {
    const { entries } = await this.#registry.read();
    const listed = entries.filter(({ entry }) => entry.goneAt === undefined);
    return listed.map(({ entry: { worker, queue, slots }, alive }) => ({ worker, queue, slots, alive }));
  }

  async pending(queue: string): Promise<number> {
    return countOf('LLEN', await this.#client.commands.call('LLEN', [this.#keys.queue(queue)]));
  }

  async #step(request: StepRequest): Promise<StepReply> {
    const row = this.#slotsOf(request).begin(request);
    return sayStep(this.#keys, request, this.#now(), row, ({ keys, args }) => this.#client.commands.run(step, keys, args));
  }

  #slotsOf({ worker, nonce }: WorkerIdentity): WorkerSlots {
    let known = this.#slots.get(worker);
    if (known?.nonce !== nonce) this.#slots.set(worker, (known = new WorkerSlots(nonce)));
    return known;
  }

  /** Rule 6, for one worker that had no lease when somebody looked. */
  async #empty(entry: Entry, { deliveries, at }: { readonly deliveries: number; readonly at: number }): Promise<{ readonly returned: number; readonly dead: number }> {
    const { lease, workers, queue, dead, coordinator, results } = this.#keys;
    const first = [lease(entry.worker), workers, queue(entry.queue), dead, ...this.#slotKeys(entry.worker, entry.slots)];
    const runs = new Set<string>();
    for (let tries = 0; tries < 50; tries += 1) {
      const keys = [...first, ...[...runs].flatMap((run) => [coordinator(run), results(run)])];
      const [status, ...rest] = statusOf('reap', await this.#client.commands.run(scripts.reap, keys, [entry.worker, entry.text, at, deliveries, entry.slots, ...runs]));
      if (status === 'alive' || status === 'changed') return { returned: 0, dead: 0 };
      if (status === 'ok') return { returned: countOf('reap', rest[0]), dead: countOf('reap', rest[1]) };
      if (status !== 'runs') throw badReply('reap', status);
      for (const run of textsOf('reap', rest[0])) runs.add(run);
    }
    throw new TransportError('transport/failed', `the slots of worker ${entry.worker} change all the time, although it has no lease`, { details: { retryable: true } });
  }

  #isDue({ text, goneAt }: Entry, at: number): boolean {
    if (goneAt === undefined) return true;
    if (at - (this.#lookedAt.get(text) ?? -Infinity) < LOOK_AT_GONE_MS) return false;
    for (const [known, since] of this.#lookedAt) if (at - since > LOOK_AT_GONE_MS) this.#lookedAt.delete(known);
    this.#lookedAt.set(text, at);
    return true;
  }

  #slotKeys(worker: string, count: number): readonly string[] {
    return Array.from({ length: count }, (_, slot) => this.#keys.slot(worker, slot));
  }
}

/** The parts of a step that is too long for one call: acks first, so that their slots are free for the claims. */
function* partsOf({ acks, claims, runs }: StepRequest): Generator<Pick<StepRequest, 'acks' | 'claims' | 'runs'> & { readonly from: number }> {
  for (let from = 0; from < acks.length; ) {
    let to = from;
    for (let chars = 0; to < acks.length && to - from < MOST_ELEMENTS; to += 1) {
      chars += (acks[to] as Ack).text.length;
      if (to > from && chars > MOST_CHARS) break;
    }
    yield { from, acks: acks.slice(from, to), claims: [], runs: [] };
    from = to;
  }
  for (let from = 0; from < claims.length; from += MOST_ELEMENTS) yield { from: 0, acks: [], claims: claims.slice(from, from + MOST_ELEMENTS), runs: [] };
  for (let from = 0; from < runs.length; from += MOST_ELEMENTS) yield { from: 0, acks: [], claims: [], runs: runs.slice(from, from + MOST_ELEMENTS) };
}
