/**
 * Several worker machines on lists in one process, stepped by hand and by chance: every answer may be lost, come late, or
 * not come at all; workers stop and die; time passes.
 *
 * Owns: the interleaving. What it checks after every step
 * 1. A unit is in one list at a time, and has at most one result.
 * 2. A machine has at most one call and one wait under way, claims no slot that it knows to be full, and never starts a unit
 *    in a slot that it believes to hold another one.
 * 3. No machine starts a unit twice that it has not given back, unless its hands have forgotten it.
 * 4. While it is not over there is something that it waits for: an answer, a unit that ends, or an alarm.
 */
import { unitHeader, headerOf } from '../../src/core/messages.ts';
import { keysOf } from '../../src/adapters/redis/keys.ts';
import { MemoryLists } from '../../src/adapters/simulated/memory.ts';
import * as runs from '../../src/adapters/simulated/run-operations.ts';
import * as workers from '../../src/adapters/simulated/worker-operations.ts';
import { initialWorker, workerStep, type CallCommand, type WaitUnitCommand, type WorkerContext, type WorkerEvent, type WorkerStep } from '../../machines/index.ts';
import type { Random, WorkerIdentity } from '../../src/ports.ts';
import { notPlain } from './invariants.ts';

const RUN = 'r';
const lost = { name: 'TransportError', code: 'transport/unreachable', message: 'lost', details: { retryable: true } };

interface Player {
  readonly identity: WorkerIdentity;
  context: WorkerContext;
  call: CallCommand | undefined;
  /** Of the call that is under way: it was executed. */
  reply: WorkerEvent | undefined;
  wait: WaitUnitCommand | undefined;
  /** What it executes, by slot. */
  readonly units: Map<number, string>;
  /** Headers that it has started and not given back. */
  readonly begun: Set<string>;
  alarm: number | undefined;
  dead: boolean;
}

export class WorkerWorld {
  at = 1000;
  faults = true;
  readonly players: Player[] = [];
  readonly keys = keysOf('t');
  readonly lists = new MemoryLists(() => this.at, 0);
  readonly store: runs.Store = { lists: this.lists, keys: this.keys, now: () => this.at, publish: () => undefined };
  readonly trail: string[] = [];
  /** Moves that nobody expects any more. */
  late: (() => void)[] = [];
  readonly pushed = new Set<string>();
  readonly cancelled = new Set<string>();
  started = 0;
  readonly #random: Random;
  #fence = { epoch: 1, nonce: 'n' };
  #batch = 0;
  #names = 0;

  constructor(random: Random, count: number, slots: number) {
    this.#random = random;
    runs.acquire(this.store, { run: RUN, nonce: 'n' });
    for (let at = 0; at < count; at += 1) this.add(slots);
  }

  add(slots: number): void {
    const worker = `w${(this.#names += 1)}`;
    const identity = { worker, nonce: `n${this.#names}`, queue: 'q', slots };
    const context = initialWorker({ ...identity, leaseMs: 3000, deliveries: 1000, reapMs: 1500, waitMs: 1000, drainMs: 2000 });
    const player: Player = { identity, context, call: undefined, reply: undefined, wait: undefined, units: new Map(), begun: new Set(), alarm: undefined, dead: false };
    this.players.push(player);
    for (const from of ['timers', 'units', 'signals', 'waiter', 'lists'] as const) this.send(player, { type: 'READY', from, at: this.at });
  }

  push(count: number): void {
    const from = this.pushed.size;
    const ids = Array.from({ length: count }, (_, at) => `1.${from + at}.0`);
    for (const id of ids) this.pushed.add(id);
    this.#batch += 1;
    runs.push(this.store, { run: RUN, fence: this.#fence, batch: this.#batch, queue: 'q', units: ids.map((id) => `1|${RUN}|${id}|{"v":1,"group":"1","index":0,"entry":"t"}`) });
  }

  get results(): readonly string[] {
    return this.lists.list(this.keys.results(RUN)).map((text) => text.split('|')[1] as string);
  }

  get open(): number {
    const done = new Set(this.results);
    return [...this.pushed].filter((id) => !done.has(id) && !this.cancelled.has(id)).length;
  }

  /** One thing happens. */
  act(): void {
    const alive = this.players.filter(({ dead, context }) => !dead && context.verdict === null);
    const player = alive[Math.floor(this.chance() * alive.length)];
    const dice = this.chance();
    if (player === undefined || dice < 0.1) this.pass(this.chance() < 0.2 ? 2000 : 100);
    else if (dice < 0.45) this.answer(player);
    else if (dice < 0.6) this.answerWait(player);
    else if (dice < 0.9) this.finish(player);
    else if (dice < 0.95 && this.late.length > 0) this.late.splice(Math.floor(this.chance() * this.late.length), 1)[0]?.();
    else if (this.faults) this.trouble(player);
    this.ring();
    this.check();
  }

  chance(): number {
    return this.#random.next();
  }

  pass(ms: number): void {
    this.at += ms;
    this.ring();
  }

  ring(): void {
    for (const player of this.players) {
      if (player.dead || player.alarm === undefined || player.alarm > this.at) continue;
      player.alarm = undefined;
      this.send(player, { type: 'DUE', at: this.at });
    }
  }

  send(player: Player, event: WorkerEvent): void {
    this.trail.push(`${player.identity.worker} ${JSON.stringify(event).slice(0, 160)}`);
    const before = player.context;
    if (event.type === 'READY' && event.from === 'units') player.begun.clear();
    if (event.type === 'FINISHED') for (const end of event.ends) if (end.kind === 'return') player.begun.delete(end.header);
    const step = workerStep(before, event);
    player.context = step.context;
    if (step.alarm !== undefined) player.alarm = step.alarm.dueAt;
    this.#take(player, step);
    if (player.context.verdict !== null) player.units.clear();
  }

  #take(player: Player, { units, call, wait }: WorkerStep): void {
    for (const slot of units?.stop ?? []) player.units.delete(slot);
    for (const { slot, unit } of units?.start ?? []) {
      if (player.units.has(slot)) this.fail(`${player.identity.worker} starts a unit in slot ${slot}, where one is being executed`);
      if (player.begun.has(header(unit))) this.fail(`${player.identity.worker} starts ${header(unit)} once more`);
      player.begun.add(header(unit));
      player.units.set(slot, unit);
      this.started += 1;
    }
    if (units?.giveBack === true) {
      const ends = [...player.units].map(([slot, unit]) => ({ slot, header: header(unit), kind: 'return' as const, text: unit }));
      player.units.clear();
      if (ends.length > 0) this.send(player, { type: 'FINISHED', at: this.at, ends });
    }
    if (call !== undefined) {
      if (player.call !== undefined) this.fail(`${player.identity.worker} has two calls under way`);
      player.call = call;
      this.#checkCall(player, call);
    }
    if (wait !== undefined) {
      if (player.wait !== undefined) this.fail(`${player.identity.worker} has two waits under way`);
      if (player.context.drain !== null) this.fail(`${player.identity.worker} waits for a unit while it is draining`);
      player.wait = wait;
    }
  }

  #checkCall(player: Player, { call }: CallCommand): void {
    if (call.kind !== 'step') return;
    const { places, wait, drain } = player.context;
    const acked = new Set(call.acks.map(({ slot }) => slot));
    for (const slot of call.claims) {
      if (slot === wait?.slot) this.fail(`slot ${slot} is claimed and waited for`);
      if (places[slot] !== null && !acked.has(slot)) this.fail(`slot ${slot} is claimed, and full`);
      if (drain !== null) this.fail('a claim while draining');
    }
    if (new Set(call.claims).size !== call.claims.length || acked.size !== call.acks.length) this.fail('a slot is named twice');
  }

  /** The lists execute the call, or lose it on one of the ways. */
  answer(player: Player): void {
    const { call, reply } = player;
    if (call === undefined) return;
    if (reply === undefined && this.chance() < 0.3) {
      // Executed by now; what comes meanwhile comes before its reply.
      player.reply = this.execute(player, call);
      return;
    }
    player.call = undefined;
    player.reply = undefined;
    if (reply !== undefined) return this.send(player, { ...reply, at: this.at } as WorkerEvent);
    const dice = this.faults ? this.chance() : 1;
    const gone: WorkerEvent = { type: 'LOST', at: this.at, from: 'lists', number: call.number, error: lost, retryable: true, random: this.chance() };
    if (dice < 0.08) return this.send(player, gone);
    if (dice < 0.16) {
      this.execute(player, call);
      return this.send(player, gone);
    }
    if (dice < 0.2) {
      this.late.push(() => void this.execute(player, call));
      return this.send(player, gone);
    }
    this.send(player, this.execute(player, call));
  }

  execute({ identity, context }: Player, { number, call }: CallCommand): WorkerEvent {
    const { at } = this;
    switch (call.kind) {
      case 'register':
        return { type: 'REGISTERED', at, call: number, ...workers.register(this.store, { ...identity, leaseMs: context.leaseMs, deliveries: 1000, at }) };
      case 'slots':
        return { type: 'SLOTS_READ', at, call: number, units: workers.slots(this.store, identity).map((unit) => unit ?? null) };
      case 'step':
        return { type: 'STEPPED', at, call: number, answer: workers.step(this.store, { ...identity, leaseMs: context.leaseMs, acks: call.acks, claims: call.claims, runs: call.runs }) };
      case 'reap':
        return { type: 'REAPED', at, call: number, ...workers.reap(this.store, { deliveries: 1000, at }) };
      case 'leave':
        workers.leave(this.store, identity);
        return { type: 'LEFT', at, call: number };
    }
  }

  answerWait(player: Player): void {
    const { wait, identity } = player;
    if (wait === undefined) return;
    player.wait = undefined;
    const move = (): string | undefined => this.lists.move(this.keys.queue('q'), this.keys.slot(identity.worker, wait.slot));
    const dice = this.faults ? this.chance() : 1;
    if (dice < 0.2) {
      if (dice < 0.07) move();
      else if (dice < 0.14) this.late.push(() => void move());
      return this.send(player, { type: 'LOST', at: this.at, from: 'waiter', number: wait.number, error: lost, retryable: true, random: this.chance() });
    }
    const unit = move();
    this.send(player, { type: 'WAITED', at: this.at, wait: wait.number, ...(unit !== undefined && { unit }) });
  }

  finish(player: Player): void {
    const running = [...player.units];
    const [slot, unit] = running[Math.floor(this.chance() * running.length)] ?? [];
    if (slot === undefined || unit === undefined) return;
    player.units.delete(slot);
    const refused = this.faults && this.chance() < 0.1;
    const of = unitHeader(unit);
    const text = refused ? unit : `R|${of?.id}|${of?.attempt}|{}`;
    this.send(player, { type: 'FINISHED', at: this.at, ends: [{ slot, header: header(unit), kind: refused ? 'return' : 'result', text, ...(refused && { refused }) }] });
  }

  trouble(player: Player): void {
    const dice = this.chance();
    const { at } = this;
    if (dice < 0.3) this.startAgain(player, dice < 0.2 ? 'lists' : 'waiter');
    else if (dice < 0.45) {
      player.units.clear();
      this.send(player, { type: 'READY', from: 'units', at });
    } else if (dice < 0.55) {
      player.alarm = undefined;
      this.send(player, { type: 'READY', from: 'timers', at });
    } else if (dice < 0.65) {
      const id = `1.${Math.floor(this.chance() * this.pushed.size)}.0`;
      if (this.results.includes(id)) return;
      this.cancelled.add(id);
      runs.cancel(this.store, { run: RUN, fence: this.#fence, entries: [id], queues: ['q'], forMs: 1_000_000 });
      if (dice < 0.6) this.send(player, { type: 'CANCELLED', at, run: RUN, entry: id });
    } else if (dice < 0.75) this.pass(4000);
    else if (this.players.filter((one) => !one.dead && one.context.verdict === null && one.context.drain === null).length > 1) {
      if (dice < 0.85) this.send(player, { type: 'DRAIN', at });
      else if (dice < 0.9) this.send(player, { type: 'STOP', at });
      else player.dead = true;
      this.add(player.identity.slots);
    }
  }

  /** An actor that starts again has forgotten what it was asked; the lists may still execute it. */
  startAgain(player: Player, from: 'lists' | 'waiter'): void {
    const { call, wait, identity } = player;
    const executed = player.reply !== undefined;
    if (from === 'lists') [player.call, player.reply] = [undefined, undefined];
    else player.wait = undefined;
    if (from === 'lists' && call !== undefined && !executed && this.chance() < 0.5) this.late.push(() => void this.execute(player, call));
    if (from === 'waiter' && wait !== undefined && this.chance() < 0.5) this.late.push(() => void this.lists.move(this.keys.queue('q'), this.keys.slot(identity.worker, wait.slot)));
    this.send(player, { type: 'READY', from, at: this.at });
  }

  check(): void {
    const seen = new Map<string, string>();
    for (const key of this.lists.keys()) {
      for (const text of this.lists.list(key)) {
        const id = unitHeader(text)?.id ?? /^R\|([^|]+)\|/.exec(text)?.[1];
        if (id === undefined || key === this.keys.cancelled(RUN)) continue;
        if (seen.has(id)) this.fail(`unit ${id} is in ${seen.get(id)} and ${key}`);
        seen.set(id, key);
      }
    }
    for (const player of this.players) {
      if (player.dead) continue;
      const { context, identity, units, alarm } = player;
      const problems = notPlain(context);
      if (problems.length > 0) this.fail(problems.join(', '));
      if (context.verdict !== null) continue;
      if (context.call === null && context.wait === null && units.size === 0 && alarm === undefined) this.fail(`${identity.worker} waits for nothing`);
      if ((context.call === null) !== (player.call === undefined)) this.fail(`${identity.worker} and its lists disagree about what was asked`);
      if ((context.wait === null) !== (player.wait === undefined)) this.fail(`${identity.worker} and its waiter disagree about what was asked`);
      context.places.forEach((place, slot) => {
        const unit = units.get(slot);
        if ((place !== null && place.ack === undefined) !== (unit !== undefined)) this.fail(`${identity.worker} and its hands disagree about slot ${slot}: ${JSON.stringify(place)}, ${unit}`);
        if (unit !== undefined && place?.header !== header(unit)) this.fail(`${identity.worker} executes another unit in slot ${slot} than it believes`);
        if (place?.ack !== undefined && (place.ack.slot !== slot || place.ack.header !== place.header)) this.fail(`the ack of slot ${slot} is not its own`);
      });
    }
  }

  fail(why: string): never {
    throw new Error(`${why}\n${this.trail.slice(-30).join('\n')}`);
  }
}

function header(unit: string): string {
  const of = unitHeader(unit);
  return of === undefined ? '' : headerOf(of);
}
