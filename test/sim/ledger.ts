/**
 * Where every unit is, after every operation of the server, and whether it may have come there that way.
 *
 * Owns: the places of units, their moves, how often each was handed out. Does not own: what of a run is durable (oracle.ts).
 *
 * Invariants checked after every operation
 * 1. A unit is in one list at most. It appears by a push, and goes by a trim, a cancel, a release, a drop or a death.
 * 2. A push holds nothing whose planning is not durable.
 * 3. Acknowledged implies saved: nothing leaves `taken` by a trim before the durable run is done with it; the same for what a
 *    cancel takes out of the queue. A release follows a durable verdict.
 * 4. Only the holder of the fence changes a run's intake.
 * 5. A unit leaves a slot by its worker's ack with the very header that it had; or goes back, its attempt raised, when its
 *    worker has no lease.
 * 6. While nothing has gone wrong nobody loses a lease, and no unit is handed out again.
 */
import type { SimulatedCall, SimulatedServer } from '../../src/adapters/simulated/lists.ts';
import { unitHeader } from '../../src/core/messages.ts';
import type { Fence, TaskLists } from '../../src/ports.ts';

type RequestOf<Name extends keyof TaskLists> = Parameters<TaskLists[Name]>[0];

export interface LedgerHost {
  readonly server: SimulatedServer;
  say(problem: string): void;
  /** What the durable run says of a unit; nothing for runs without a journal. */
  stateOf(run: string, group: number, index: number, generation: number): 'unplanned' | 'open' | 'over' | undefined;
  /** Whether the durable run has its verdict; nothing for runs without a journal. */
  isOver(run: string): boolean | undefined;
  /** What a run's key in the lists stands for: its id, where it has a journal. */
  nameOf(run: string): string;
  /** Whether anything has gone wrong that may cost a worker its lease: this one, or any. */
  isDisturbed(worker?: string): boolean;
  /** Whether a worker may give back what it has not finished. */
  givesBack(worker: string): boolean;
  /** The lists have lost something at some time. */
  hasLost(): boolean;
}

type Where = 'queue' | 'slot' | 'results' | 'taken';

interface Place {
  readonly where: Where;
  readonly key: string;
  readonly text: string;
  readonly run: string;
  readonly id: string;
  readonly attempt: number;
}

interface Parsed {
  readonly run: string;
  readonly id: string;
  readonly attempt: number;
}

/** How often a unit was handed out. */
export interface Handed {
  stays: number;
}

const calls = new Set<keyof TaskLists>(['acquire', 'push', 'take', 'trim', 'cancel', 'release', 'waitResult', 'register', 'step', 'waitUnit', 'leave', 'reap']);

export class Ledger {
  /** By `run id`. */
  readonly handed = new Map<string, Handed>();
  /** Results that were ever in the lists, by `run id`. */
  readonly results = new Set<string>();
  /** Units that were given up, by run. */
  readonly dead = new Map<string, number>();
  readonly #host: LedgerHost;
  readonly #parsed = new Map<string, Map<string, Parsed | undefined>>();
  #places = new Map<string, Place>();
  #fences = new Map<string, string>();
  /** Slots that were stranded at some time, and units that are in two places for that reason. */
  readonly #stranded = new Set<string>();
  readonly doubled = new Set<string>();
  /** Units that shared a slot: a wait on a connection that had died was served late. One of them begins again when the slot is read. */
  readonly crowded = new Set<string>();

  constructor(host: LedgerHost) {
    this.#host = host;
  }

  /** The lists have lost something: what is there now is where it begins again. What is back in a slot is executed again. */
  lost(): void {
    const before = this.#places;
    this.#read();
    for (const [unit, place] of this.#places) {
      const handed = this.handed.get(unit);
      if (handed !== undefined && place.where === 'slot' && before.get(unit)?.where !== 'slot') handed.stays += 1;
    }
  }

  #read(): void {
    const { places, fences } = this.#look();
    this.#places = places;
    this.#fences = fences;
  }

  /** To be called after every operation. */
  executed(call: SimulatedCall): void {
    if (!calls.has(call.name)) return;
    const before = this.#places;
    const held = this.#fences;
    this.#read();
    for (const [unit, place] of this.#places) {
      const was = before.get(unit);
      if (was?.text === place.text && was.key === place.key) continue;
      if (this.doubled.has(unit)) continue;
      if (was === undefined) this.#appeared(call, place);
      else this.#moved(call, was, place);
      if (place.where === 'slot') this.#entered(unit, place);
      this.#fenced(call, place.run, held);
    }
    for (const [unit, was] of before) {
      if (this.#places.has(unit) || this.doubled.has(unit)) continue;
      // Without a journal, and without a coordinator, its keys live for a time only.
      if (this.#host.isOver(was.run) === undefined && !this.#fences.has(was.run)) continue;
      this.#gone(call, was);
      this.#fenced(call, was.run, held);
    }
  }

  #noteStranded(key: string): void {
    if (this.isStranded(key)) this.#stranded.add(key);
  }

  /**
   * A slot that nobody looks at: the registry has lost its worker, and a wait of that worker was served after that. What is there
   * is missed by an audit, and pushed again.
   */
  isStranded(key: string): boolean {
    const { server } = this.#host;
    if (!this.#host.hasLost()) return false;
    const { worker } = slotOf(key);
    return !server.list(server.keys.workers).some((entry) => entry.startsWith(`${worker}|`));
  }

  /** The places of a run's units. */
  of(run: string): readonly string[] {
    return [...this.#places.values()].filter((place) => this.#host.nameOf(place.run) === run).map(({ id, key }) => `${id} in ${key}`);
  }

  #look(): { places: Map<string, Place>; fences: Map<string, string> } {
    const { server, say } = { server: this.#host.server, say: (problem: string) => this.#host.say(problem) };
    const places = new Map<string, Place>();
    const fences = new Map<string, string>();
    const base = server.keys.control.length - 3;
    for (const [key, texts] of server.all()) {
      const [what = '', ...rest] = key.slice(base).split(':');
      if (what === 'coord') fences.set(rest.join(':'), texts[0] ?? '');
      const where = wheres[what];
      if (where === undefined) continue;
      if (where === 'slot') this.#noteStranded(key);
      for (const text of texts) {
        const parsed = this.#parse(text, where, key, rest.join(':'));
        if (parsed === undefined) {
          say(`${key} holds what is neither a unit nor a result: ${text.slice(0, 80)}`);
          continue;
        }
        const unit = `${this.#host.nameOf(parsed.run)} ${parsed.id}`;
        const other = places.get(unit);
        if (where === 'slot' && texts.length > 1) this.crowded.add(unit);
        if (where === 'results' || where === 'taken') this.results.add(unit);
        if (other === undefined) places.set(unit, { where, key, text, ...parsed });
        else if (this.#stranded.has(key) || this.#stranded.has(other.key)) this.doubled.add(unit);
        // What was doubled stays so until both copies have ended: one may have become a result meanwhile.
        else if (this.doubled.has(unit)) continue;
        else say(`unit ${unit} is in ${other.key} and in ${key}`);
      }
    }
    return { places, fences };
  }

  #parse(text: string, where: Where, key: string, run: string): Parsed | undefined {
    let known = this.#parsed.get(key);
    if (known === undefined) this.#parsed.set(key, (known = new Map()));
    let parsed = known.get(text);
    if (parsed !== undefined) return parsed;
    if (where === 'queue' || where === 'slot') parsed = unitHeader(text);
    else {
      const parts = /^[RPD]\|(\d+\.\d+\.\d+)\|(\d+)\|/.exec(text);
      if (parts !== null) parsed = { run, id: parts[1] as string, attempt: Number(parts[2]) };
    }
    known.set(text, parsed);
    return parsed;
  }

  #appeared({ name }: SimulatedCall, place: Place): void {
    const { run, id, where, key } = place;
    if (name !== 'push' || (where !== 'queue' && where !== 'slot')) return this.#host.say(`unit ${run} ${id} has appeared in ${key} by ${name}`);
    if (this.#stateOf(place) === 'unplanned') this.#host.say(`unit ${run} ${id} was pushed, but nothing durable has planned it`);
  }

  #moved(call: SimulatedCall, was: Place, now: Place): void {
    const say = (why: string): void => this.#host.say(`unit ${was.run} ${was.id} went from ${was.key} to ${now.key} by ${call.name}: ${why}`);
    const way = `${was.where} ${now.where}`;
    switch (way) {
      case 'queue slot':
        if (was.text !== now.text) say('as another text');
        return;
      case 'slot results':
        return this.#answered(call, was, now, say);
      case 'slot queue':
        return this.#back(call, was, now, say);
      case 'results taken':
        if (was.text !== now.text) say('as another text');
        if (!['take', 'waitResult', 'step', 'register', 'reap'].includes(call.name)) say('that is no way');
        return;
      // Whoever waits is served in the same operation.
      case 'slot taken':
        return this.#answered(call, was, now, say);
      case 'slot slot':
        return this.#back(call, was, now, say);
      default:
        say('that is no way');
    }
  }

  /** Invariant 5. */
  #answered(call: SimulatedCall, was: Place, now: Place, say: (why: string) => void): void {
    if (now.text.startsWith('D|')) {
      const name = this.#host.nameOf(was.run);
      this.dead.set(name, (this.dead.get(name) ?? 0) + 1);
      if (call.name !== 'step') this.#lostLease(was, say);
      return;
    }
    if (call.name !== 'step') return say('nobody has answered');
    const { worker, acks } = call.request as RequestOf<'step'>;
    const header = `${was.attempt}|${was.run}|${was.id}`;
    const slot = slotOf(was.key);
    if (slot.worker !== worker) return say(`${worker} has answered for ${slot.worker}`);
    const ack = acks.find((one) => one.slot === slot.slot && one.kind === 'result');
    if (ack === undefined || ack.header !== header) say(`the ack is for ${ack?.header ?? 'nothing'}, the slot held ${header}`);
    if (now.attempt !== was.attempt) say(`the result is of attempt ${now.attempt}, the unit was at ${was.attempt}`);
  }

  #back(call: SimulatedCall, was: Place, now: Place, say: (why: string) => void): void {
    const { worker } = slotOf(was.key);
    if (call.name === 'reap' || call.name === 'register') {
      if (now.attempt !== was.attempt + 1) say(`attempt ${was.attempt} became ${now.attempt}`);
      this.#lostLease(was, say);
      return;
    }
    if (call.name !== 'step' && call.name !== 'leave') return say('that is no way');
    if (now.attempt !== was.attempt) say(`attempt ${was.attempt} became ${now.attempt}`);
    if (!this.#host.givesBack(worker)) say(`${worker} has given it back`);
  }

  #lostLease(was: Place, say: (why: string) => void): void {
    const { worker } = slotOf(was.key);
    const { server } = this.#host;
    // A worker that registers has its lease again by now; it had none before.
    if (!this.#host.isDisturbed(worker)) say(`nothing has happened to ${worker}, but it has lost its lease`);
    else if (server.list(server.keys.lease(worker)).length > 0 && !this.#registered.has(worker)) say(`${worker} has its lease`);
  }

  /** Workers that have just registered again. */
  readonly #registered = new Set<string>();

  /** To be called before `executed` for a worker that enters again. */
  registers(worker: string): void {
    this.#registered.clear();
    this.#registered.add(worker);
  }

  #gone(call: SimulatedCall, was: Place): void {
    const say = (why: string): void => this.#host.say(`unit ${was.run} ${was.id} has gone from ${was.key} by ${call.name}: ${why}`);
    switch (`${was.where} ${call.name}`) {
      case 'taken trim':
        if (this.#stateOf(was) !== 'over' && this.#isJournalled(was)) say(`the durable run still waits for it`);
        return;
      case 'queue cancel':
        if (this.#stateOf(was) !== 'over' && this.#isJournalled(was)) say(`the durable run still waits for it`);
        return;
      case 'slot step':
        return this.#dropped(call, was, say);
      case 'slot reap':
      case 'slot register':
        return this.#host.isOver(was.run) === false && this.#fences.has(was.run) ? say('nobody was told') : undefined;
      default:
        if (call.name === 'release') return this.#isJournalled(was) && this.#host.isOver(was.run) !== true ? say('the run has no durable verdict') : undefined;
        say('that is no way');
    }
  }

  #dropped(call: SimulatedCall, was: Place, say: (why: string) => void): void {
    const { acks } = call.request as RequestOf<'step'>;
    const { slot } = slotOf(was.key);
    const ack = acks.find((one) => one.slot === slot);
    if (ack === undefined || ack.header !== `${was.attempt}|${was.run}|${was.id}`) return say(`nobody has said anything of it`);
    if (ack.kind === 'drop' || !this.#fences.has(was.run)) {
      if (this.#isJournalled(was) && this.#stateOf(was) === 'open' && this.#fences.has(was.run)) say('the durable run still waits for it');
      return;
    }
    say(`after an ack of kind ${ack.kind}`);
  }

  #isJournalled({ run }: Place): boolean {
    return this.#host.isOver(run) !== undefined;
  }

  #entered(unit: string, place: Place): void {
    const handed = this.handed.get(unit) ?? { stays: 0 };
    this.handed.set(unit, handed);
    handed.stays += 1;
    if (handed.stays > 1 && this.#isJournalled(place) && !this.#host.isDisturbed()) this.#host.say(`unit ${unit} was handed out again (${place.key}), though nothing has gone wrong`);
  }

  /** Invariant 4. */
  #fenced({ name, request }: SimulatedCall, run: string, held: ReadonlyMap<string, string>): void {
    if (!fencedCalls.has(name)) return;
    const { run: asked, fence } = request as { readonly run: string; readonly fence: Fence };
    if (asked !== run) this.#host.say(`${name} for run ${asked} has changed run ${run}`);
    const holder = held.get(run);
    if (holder !== `${fence.epoch}|${fence.nonce}`) this.#host.say(`${name} for run ${run} with fence ${fence.epoch}|${fence.nonce}, but ${holder ?? 'nobody'} holds it`);
  }

  #stateOf({ run, id }: Place): 'unplanned' | 'open' | 'over' | undefined {
    const [group, index, generation] = id.split('.').map(Number) as [number, number, number];
    return this.#host.stateOf(run, group, index, generation);
  }
}

const wheres: Readonly<Record<string, Where>> = { q: 'queue', w: 'slot', res: 'results', taken: 'taken' };
const fencedCalls: ReadonlySet<string> = new Set(['push', 'take', 'trim', 'cancel', 'release']);

function slotOf(key: string): { readonly worker: string; readonly slot: number } {
  const parts = /:w:(.+):(\d+)$/.exec(key);
  return { worker: parts?.[1] ?? '', slot: Number(parts?.[2]) };
}
