/**
 * The call of the script `step` (scripts/step.ts describes it): packing a request, reading the reply, and remembering what
 * the slots of a worker hold.
 *
 * Owns: when a worker's word for what a slot holds is enough. Does not own: the script, connections.
 *
 * Invariants
 * 1. A unit is remembered only while the row of steps since it was given is unbroken: every reply has arrived, and nothing
 *    else was executed in between.
 * 2. A worker's word is enough only for a unit that is remembered.
 */
import type { Ack, StepReply, StepRequest } from '../../ports.ts';
import type { Argument, Reply } from './client.ts';
import type { Keys } from './keys.ts';
import { entryText } from './registry.ts';
import { badReply, countOf, countsOf, listOf, statusOf, textOf, textsOf } from './replies.ts';

/** One process of a worker. */
export class WorkerSlots {
  readonly nonce: string;
  readonly #units = new Map<number, string>();
  /** Tells the numbers of this client from those of another one of the same process. */
  readonly #client = Math.random().toString(36).slice(2, 8);
  #number = 0;
  /** The last call whose reply has arrived; nothing while a later one is under way, or lost. */
  #replied: number | undefined;

  constructor(nonce: string) {
    this.nonce = nonce;
  }

  holds(slot: number, unit: string): void {
    this.#units.set(slot, unit);
  }

  /** The leases before and after the call, where the first is known and the second another one; and how to tell what became of it. */
  begin({ acks, claims }: StepRequest): StepRow {
    const known = this.#replied === undefined ? '' : this.#lease(this.#replied);
    const trusted = acks.map((ack) => this.#isMine(ack));
    if (acks.length + claims.length === 0) return { known, next: '', trusted, end: () => undefined };
    const number = (this.#number += 1);
    this.#replied = undefined;
    for (const { slot } of acks) this.#units.delete(slot);
    const end = ({ status, claimed }: StepReply, isUnbroken: boolean): void => {
      if (!isUnbroken) this.#units.clear();
      if (status !== 'ok') return;
      for (const { slot, unit } of claimed) this.#units.set(slot, unit);
      if (number === this.#number) this.#replied = number;
    };
    return { known, next: this.#lease(number), trusted, end };
  }

  #lease(number: number): string {
    return `${this.nonce}|${this.#client}.${number}`;
  }

  #isMine({ slot, header }: Ack): boolean {
    const unit = this.#units.get(slot);
    return header !== '' && unit !== undefined && unit.startsWith(header) && unit[header.length] === '|';
  }
}

export interface StepRow {
  readonly known: string;
  readonly next: string;
  /** For each ack, whether its unit is remembered. */
  readonly trusted: readonly boolean[];
  readonly end: (reply: StepReply, isUnbroken: boolean) => void;
}

export interface PackedStep {
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
  /** The acks in the order in which they are said, by their places in the request. */
  readonly order: readonly number[];
}

function packStep(keys: Keys, request: StepRequest, now: number, { known, next, trusted }: StepRow): PackedStep {
  const { worker, nonce, leaseMs, slots, queue, acks, claims, runs } = request;
  const places = new Map<number, number>();
  const runPlaces = new Map<string, number>();
  // All or none, so that a run's results stay in their order.
  const inBulks = acks.every(({ kind }, at) => kind === 'result' && trusted[at] === true) && new Set(acks.map(({ slot }) => slot)).size === acks.length;
  const bulks = new Map<number, number[]>();
  if (inBulks) for (const [at, { header }] of acks.entries()) {
    const run = place(runPlaces, runOf(header));
    const bulk = bulks.get(run);
    if (bulk === undefined) bulks.set(run, [at]);
    else bulk.push(at);
  }
  const rest: Argument[] = [];
  for (const [run, bulk] of bulks) {
    rest.push(run, places.size + 1, bulk.length);
    for (const at of bulk) {
      const { slot, text } = acks[at] as Ack;
      places.set(slot, places.size + 1);
      rest.push(text);
    }
  }
  let isMore = 0;
  for (const { slot, kind, header, text } of inBulks ? [] : acks) {
    rest.push(place(places, slot), kind, header, header === '' ? 0 : place(runPlaces, runOf(header)), text);
    if (kind === 'dead' || kind === 'return') isMore = 1;
  }
  const claimed = claims.map((slot) => place(places, slot)).join(' ');
  for (const run of runs) rest.push(place(runPlaces, run));
  const names = [keys.lease(worker), keys.workers, keys.queue(queue), keys.dead];
  for (const slot of places.keys()) names.push(keys.slot(worker, slot));
  for (const run of runPlaces.keys()) names.push(keys.coordinator(run), keys.results(run), keys.cancelled(run));
  const counts = [places.size, runPlaces.size, inBulks ? 0 : acks.length, bulks.size, runs.length, isMore];
  return {
    keys: names,
    args: [worker, nonce, Math.ceil(leaseMs), entryText(worker, slots, queue), now, ...counts, known, next, claimed, ...rest],
    order: inBulks ? [...bulks.values()].flat() : [...acks.keys()],
  };
}

function runOf(header: string): string {
  return header.slice(header.indexOf('|') + 1, header.lastIndexOf('|'));
}

/** Says a step; where a bulk was not believed, and so nothing was done, once more without any. */
export async function sayStep(keys: Keys, request: StepRequest, now: number, row: StepRow, execute: (packed: PackedStep) => Promise<Reply>): Promise<StepReply> {
  let packed = packStep(keys, request, now, row);
  let answer = await execute(packed);
  if (Array.isArray(answer) && answer[0] === 'again') {
    packed = packStep(keys, request, now, { ...row, trusted: [] });
    answer = await execute(packed);
  }
  return readStep(request, row, answer, packed.order);
}

/** Tells `row` too. */
export function readStep({ acks, claims, runs }: StepRequest, row: StepRow, answer: Reply, order: readonly number[] = []): StepReply {
  const [status, pending, claimed, refused, cancelled, unbroken] = statusOf('step', answer);
  if (status === 'taken') {
    const reply: StepReply = { status, claimed: [], refused: [], cancelled: {}, pending: 0 };
    row.end(reply, false);
    return reply;
  }
  const flat = listOf('step', claimed);
  const entries = listOf('step', cancelled);
  if (status !== 'ok' || flat.length % 2 !== 0 || entries.length !== runs.length) throw badReply('step', status);
  const units: { slot: number; unit: string }[] = [];
  for (let at = 0; at < flat.length; at += 2) {
    const slot = claims[countOf('step', flat[at]) - 1];
    if (slot === undefined) throw badReply('step', flat[at]);
    units.push({ slot, unit: textOf('step', flat[at + 1]) });
  }
  const heard = runs.map((run, at) => [run, textsOf('step', entries[at])] as const).filter(([, texts]) => texts.length > 0);
  const places = countsOf('step', refused).map((at) => order[at - 1] ?? -1);
  if (places.some((at) => at < 0 || at >= acks.length)) throw badReply('step', refused);
  const reply: StepReply = { status, claimed: units, refused: places.sort((a, b) => a - b), cancelled: Object.fromEntries(heard), pending: countOf('step', pending) };
  row.end(reply, unbroken === 1);
  return reply;
}

/** Places count from 1, in the order in which names are first seen. */
function place<Name>(places: Map<Name, number>, name: Name): number {
  const known = places.get(name);
  if (known !== undefined) return known;
  places.set(name, places.size + 1);
  return places.size;
}
