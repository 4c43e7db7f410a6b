/**
 * A pretended server, run and pool of workers around the coordinator machine, for random sequences of what can happen.
 *
 * Owns: executing the machine's commands on real lists, sooner or later, with or without a reply; faults. Nothing here is
 * concurrent: one choice is one event.
 *
 * Invariants checked with every event
 * 1. The old context is not changed; the same event on a copy that went through JSON gives the same context and commands.
 * 2. At most one command for each actor, and none for an actor that still has one.
 * 3. The context agrees with itself: counters, phases, what is to leave.
 * 4. Nothing is in the lists that no durable revision planned; no unit is in two lists, but by a ghost after a flush.
 * 5. A unit's result is delivered once; it leaves `taken` when a durable revision holds it, and not before.
 * 6. The machine knows `taken`, unless something that it had given up was executed meanwhile.
 */
import { isDeepStrictEqual } from 'node:util';
import { initialTransition, transition, type SnapshotFrom } from 'xstate';
import { MemoryLists } from '../../src/adapters/simulated/memory.ts';
import * as runs from '../../src/adapters/simulated/run-operations.ts';
import * as workers from '../../src/adapters/simulated/worker-operations.ts';
import { keysOf } from '../../src/adapters/redis/keys.ts';
import { decodeResult, encodeDead, encodeResult, encodeUnit, headerOf, parseUnitId, resultHeader, unitHeader, unitId } from '../../src/core/messages.ts';
import { Fifo, Vec, createCoordinatorMachine, type Arrival, type CoordinatorContext, type CoordinatorEvent, type CoordinatorMachine, type CoordinatorSettings, type HostCommand, type ListsCommand, type TimersCommand, type UnitRef, type WaitCommand } from '../../machines/index.ts';
import { deepFreeze } from './invariants.ts';

type State = SnapshotFrom<CoordinatorMachine>;
type Command = ListsCommand | WaitCommand | TimersCommand | HostCommand;

/** One random decision. */
export interface Choice {
  readonly what:
    | 'plan' | 'again' | 'durable' | 'accept' | 'abort' | 'ended'
    | 'call' | 'execute' | 'reply' | 'late' | 'lose' | 'serve' | 'wait' | 'loseWait' | 'ghost'
    | 'work' | 'botch' | 'garbage' | 'dead' | 'flush' | 'undo' | 'rival'
    | 'tick' | 'retry' | 'confirm' | 'ready' | 'crash' | 'close';
  readonly pick: number;
}

interface Known {
  readonly revision: number;
  /** The revision that has aborted it. */
  abortedBy: number | undefined;
  delivered: number;
  /** The revision that holds the result. */
  heldBy: number | undefined;
}

const machine = createCoordinatorMachine();
const RUN = 'r';

export class CoordinatorWorld {
  state: State;
  readonly lists: MemoryLists;
  readonly keys = keysOf();
  readonly log: CoordinatorEvent[] = [];
  readonly #store: runs.Store;
  readonly units = new Map<string, Known>();
  now = 1000;
  revision = 0;
  durable = 0;
  failure: string | undefined;
  #deliveries: { readonly number: number; readonly units: readonly string[] }[] = [];
  #lastDelivery = 0;
  #nextGroup = 1;
  /** The lists' command in the machine's view: waiting to be executed, or its reply on the way. */
  command: { readonly command: ListsCommand; reply?: CoordinatorEvent } | undefined;
  wait: { readonly command: WaitCommand; text?: string; done: boolean } | undefined;
  /** Replies to commands that the machine has given up. */
  #late: CoordinatorEvent[] = [];
  /** Given up by the machine, and not executed yet. */
  ghosts: (ListsCommand | WaitCommand)[] = [];
  retryArmed = false;
  tickArmed = false;
  flushed = false;
  haunted = false;
  rival = false;
  readonly #journalled: boolean;
  #taken: readonly string[] = [];

  readonly #settings: Partial<CoordinatorSettings>;
  #lives = 0;
  /** How often each command was given. */
  readonly given = new Map<string, number>();

  readonly #confirms: boolean;
  #confirming = false;

  /** `confirms`: the run's store says whose the run is. */
  constructor(journalled: boolean, confirms = false, settings: Partial<CoordinatorSettings> = { batch: 3, window: 7 }) {
    this.#journalled = journalled;
    this.#confirms = journalled && confirms;
    this.#settings = settings;
    this.lists = new MemoryLists(() => this.now, 200);
    this.#store = { lists: this.lists, keys: this.keys, now: () => this.now, publish: () => undefined };
    this.state = this.#born();
    workers.register(this.#store, { worker: 'w', nonce: 'w', queue: 'a', slots: 2, leaseMs: 1e9, deliveries: 3, at: 0 });
    workers.register(this.#store, { worker: 'v', nonce: 'v', queue: 'b', slots: 2, leaseMs: 1e9, deliveries: 3, at: 0 });
  }

  #born(): State {
    this.#lives += 1;
    const [state] = initialTransition(machine, { run: RUN, nonce: `n${this.#lives}`, journalled: this.#journalled, confirms: this.#confirms, durable: this.durable, graph: true, settings: this.#settings }) as unknown as [State];
    return state;
  }

  /** The process dies and the run is resumed: what was not durable has never been. */
  crash(pick: number): void {
    if (!this.#journalled || this.isOver) return;
    if (this.command !== undefined && this.command.reply === undefined && pick % 2 === 0) this.ghosts.push(this.command.command);
    if (this.wait !== undefined && !this.wait.done) this.ghosts.push(this.wait.command);
    // Where no store says whose the run is, nothing tells a dead process's request for the token from one of a newer process.
    if (!this.#confirms) this.ghosts = this.ghosts.filter((ghost) => ghost.type !== 'ACQUIRE');
    this.#confirming = false;
    this.command = this.wait = undefined;
    this.retryArmed = this.tickArmed = false;
    this.#late = [];
    this.#deliveries = [];
    this.#lastDelivery = 0;
    this.revision = this.durable;
    const { durable } = this;
    for (const [id, unit] of this.units) {
      if (unit.revision > durable) this.units.delete(id);
      if ((unit.abortedBy ?? 0) > durable) unit.abortedBy = undefined;
      if ((unit.heldBy ?? Infinity) > durable) {
        unit.heldBy = undefined;
        unit.delivered = 0;
      }
    }
    for (const [group, revision] of this.#endedGroups) if (revision > durable) this.#endedGroups.delete(group);
    this.state = this.#born();
    this.haunted = false;
    this.#tellAgain();
  }

  get context(): CoordinatorContext {
    return this.state.context;
  }

  get isOver(): boolean {
    return this.state.status !== 'active';
  }

  /** Open units of the run, by its own books. */
  open(): string[] {
    return [...this.units].filter(([, unit]) => unit.abortedBy === undefined && unit.delivered === 0).map(([id]) => id);
  }

  fail(problem: string): never {
    throw new Error(`${problem}\n${this.trail()}`);
  }

  /** Of the run in the lists, but for what is in the hands of workers. */
  leftovers(): string[] {
    const { keys, lists } = this;
    const own = [keys.coordinator(RUN), keys.sequence(RUN), keys.results(RUN), keys.taken(RUN), keys.cancelled(RUN), keys.shared(RUN, 'graph'), ...Array.from({ length: this.#nextGroup }, (_, group) => keys.shared(RUN, `g${group}`))];
    return [...own.filter((key) => lists.has(key)), ...['a', 'b'].flatMap((queue) => lists.list(keys.queue(queue)))];
  }

  /** All lists but the two that a blocking wait moves results between, as that has no fence, and the marks that expire. */
  withoutResults(): unknown {
    const moved = [this.keys.results(RUN), this.keys.taken(RUN), this.keys.cancelled(RUN)];
    return this.lists.keys().filter((key) => !moved.includes(key)).map((key) => [key, [...this.lists.list(key)]]);
  }

  trail(): string {
    return (`after ${JSON.stringify(this.log.slice(-15).map((event) => (event.type === 'PLANNED' ? { ...event, groups: event.groups.map(({ id }) => id), units: event.units.map((unit) => unitId(unit.group, unit.index, unit.generation)) } : event)))}\nin ${JSON.stringify(this.state.value)} ${JSON.stringify(this.context)}\nlists ${JSON.stringify([...this.lists.keys()].map((key) => [key, this.lists.list(key)]))}`);
  }

  send(event: CoordinatorEvent): void {
    this.log.push(event);
    const before = this.state;
    deepFreeze(before.context);
    const [next, actions] = transition(machine, before, event) as unknown as [State, Sent[]];
    const copy = { ...before, context: throughJson(before.context) };
    const [again, repeated] = transition(machine, copy, throughJson(event)) as unknown as [State, Sent[]];
    if (before.status === 'active' && !isDeepStrictEqual(throughJson(next.context), throughJson(again.context))) this.fail('a replay through JSON gives another context');
    const sent = commandsOf(actions);
    if (before.status === 'active' && !isDeepStrictEqual(throughJson(sent), throughJson(commandsOf(repeated)))) this.fail('a replay through JSON gives other commands');
    this.state = next;
    const actors = sent.map(([actor]) => actor);
    if (new Set(actors).size !== actors.length) this.fail(`more than one command for an actor: ${actors.join(', ')}`);
    for (const [actor, command] of sent) this.#obey(actor, command);
    this.check();
  }

  /** Does what the choice says, if it can be done now. */
  play({ what, pick }: Choice): void {
    switch (what) {
      case 'plan': return this.#plan(pick);
      case 'again': return this.#tellAgain();
      case 'durable': return this.makeDurable(this.durable + (pick % Math.max(1, this.revision - this.durable + 1)));
      case 'accept': return this.acceptAll(pick);
      case 'abort': return this.#abort(pick);
      case 'ended': return this.#endGroups();
      case 'call':
        this.execute();
        return this.reply();
      case 'execute': return this.execute();
      case 'reply': return this.reply();
      case 'late': return this.#replyLate(pick);
      case 'lose': return this.lose(pick);
      case 'serve': return this.#serve();
      case 'wait': return this.endWait(pick);
      case 'loseWait': return this.loseWait();
      case 'ghost': return this.#haunt(pick);
      case 'work': return this.work(pick);
      case 'botch': return this.work(pick, [[1], [2]]);
      case 'garbage': return this.#garbage(pick);
      case 'dead': return this.#giveUp();
      case 'flush': return this.#flush();
      case 'undo': return this.#undo(pick);
      case 'rival': return this.#takeOver();
      case 'tick': return this.tick(pick);
      case 'retry': return this.retry();
      case 'confirm': return this.#confirm();
      case 'ready': return this.#ready(pick);
      case 'crash': return this.crash(pick);
      case 'close': return this.send({ type: 'CLOSE', how: 'ended' });
    }
  }

  // The run.

  #plan(pick: number): void {
    this.#move();
    const isNew = pick % 3 === 0 || this.#nextGroup === 1;
    const group = isNew ? this.#nextGroup++ : 1 + (pick % (this.#nextGroup - 1));
    const from = [...this.units.keys()].map(parseUnitId).filter((unit) => unit?.group === group).length;
    const refs = Array.from({ length: 1 + (pick % 5) }, (_, at): UnitRef => [group, from + at, 0]);
    // Some come back with the next generation.
    if (pick % 4 === 0) {
      const ended = [...this.units].find(([id, unit]) => unit.heldBy !== undefined && id.startsWith(`${group}.`) && this.units.get(next(id)) === undefined && unit.abortedBy === undefined);
      const unit = ended && parseUnitId(ended[0]);
      if (unit !== undefined) refs.push([group, unit.index, unit.generation + 1]);
    }
    if (this.#endedGroups.has(group)) return;
    for (const ref of refs) this.units.set(unitId(...ref), { revision: this.revision, abortedBy: undefined, delivered: 0, heldBy: undefined });
    this.#tell(refs);
  }

  /** By group: the revision of its verdict. */
  readonly #endedGroups = new Map<number, number>();

  #tell(refs: readonly UnitRef[]): void {
    const groups = [...new Set(refs.map(([group]) => group))];
    this.send({
      type: 'PLANNED', at: this.now, revision: this.revision,
      groups: groups.map((id) => ({ id, queue: queueOf(id), beside: `g${id}`, shared: { v: 1, runId: RUN, workflow: 'f', graphHash: 'h', startedAt: 0, node: 'g', key: String(id), size: 9, queue: queueOf(id), channel: {} } })),
      units: refs.map(([id, index, generation]) => ({ group: id, index, generation, body: { v: 1, group: String(id), index, entry: 't' } })),
    });
  }

  /** Tells of everything that is open, as after a restart of the executor. */
  #tellAgain(): void {
    const refs = [...this.units].flatMap(([id, unit]): UnitRef[] => {
      const { group, index, generation } = parseUnitId(id) as { group: number; index: number; generation: number };
      return unit.abortedBy === undefined && unit.heldBy === undefined && !this.#endedGroups.has(group) ? [[group, index, generation]] : [];
    });
    if (refs.length > 0) this.#tell(refs);
  }

  /** The run has another revision; without a journal it is as durable as it will be. */
  #move(): void {
    this.revision += 1;
    if (!this.#journalled) this.durable = this.revision;
  }

  makeDurable(revision: number): void {
    if (!this.#journalled) return;
    this.durable = Math.max(this.durable, Math.min(revision, this.revision));
    this.send({ type: 'DURABLE', revision: this.durable });
  }

  acceptAll(pick = 0): void {
    if (this.#deliveries.length === 0) return;
    this.#move();
    const accepted = this.#deliveries.splice(0, 1 + (pick % this.#deliveries.length));
    for (const { units } of accepted) for (const id of units) (this.units.get(id) as Known).heldBy = this.revision;
    this.send({ type: 'ACCEPTED', delivery: accepted.at(-1)?.number ?? 0, revision: this.revision });
  }

  #abort(pick: number): void {
    const open = this.open();
    const id = open[pick % Math.max(1, open.length)];
    const unit = id === undefined ? undefined : parseUnitId(id);
    if (unit === undefined) return;
    const whole = pick % 2 === 0;
    this.#move();
    if (whole) this.#endedGroups.set(unit.group, this.revision);
    for (const [other, known] of this.units) if (other === id || (whole && other.startsWith(`${unit.group}.`))) known.abortedBy ??= this.revision;
    this.send({ type: 'ABORTED', revision: this.revision, groups: whole ? [unit.group] : [], units: whole ? [] : [[unit.group, unit.index, unit.generation]] });
  }

  /** Groups of which everything is over have their verdicts. */
  #endGroups(): void {
    const groups = new Set([...this.units.keys()].map((id) => parseUnitId(id)?.group ?? 0));
    for (const [id, unit] of this.units) if (unit.abortedBy === undefined && unit.heldBy === undefined) groups.delete(parseUnitId(id)?.group ?? 0);
    const ended = [...groups].filter((group) => !this.#endedGroups.has(group));
    for (const group of ended) this.#endedGroups.set(group, this.revision);
    if (ended.length > 0) this.send({ type: 'ENDED', revision: this.revision, groups: ended });
  }

  #give(command: Extract<HostCommand, { type: 'DELIVER' }>): void {
    if (command.delivery !== this.#lastDelivery + 1) this.fail(`delivery ${command.delivery} follows ${this.#lastDelivery}`);
    this.#lastDelivery = command.delivery;
    const ids = command.results.map(({ group, index, generation }) => unitId(group, index, generation));
    for (const id of ids) {
      const known = this.units.get(id);
      if (known === undefined) this.fail(`unit ${id} was delivered, and nobody planned it`);
      if (known.abortedBy !== undefined) this.fail(`unit ${id} was delivered, and it was aborted`);
      known.delivered += 1;
      if (known.delivered > 1) this.fail(`unit ${id} was delivered twice`);
    }
    this.#deliveries.push({ number: command.delivery, units: ids });
  }

  // The lists.

  /** The server executes the machine's command. */
  execute(): void {
    if (this.command === undefined || this.command.reply !== undefined) return;
    const { command } = this.command;
    this.command.reply = this.#execute(command);
    this.check();
  }

  reply(): void {
    const reply = this.command?.reply;
    if (reply === undefined) return;
    this.command = undefined;
    this.send({ ...reply, at: this.now } as CoordinatorEvent);
  }

  /** The connection breaks: the command was executed, or is not, or is much later. */
  #replyLate(pick: number): void {
    const [reply] = this.#late.splice(pick % Math.max(1, this.#late.length), 1);
    if (reply !== undefined) this.send(reply);
  }

  lose(pick: number): void {
    if (this.command === undefined) return;
    const { command, reply } = this.command;
    this.command = undefined;
    if (reply === undefined && pick % 2 === 0) this.ghosts.push(command);
    this.send({ type: 'LOST', from: 'lists', number: command.number, at: this.now, error: { name: 'E', message: 'cut' }, retryable: true, random: 0.5 });
  }

  /** The server has a result for the blocking wait; its reply is on the way. */
  #serve(): void {
    if (this.wait === undefined || this.wait.done) return;
    const text = this.#moveResult();
    if (text !== undefined) Object.assign(this.wait, { text, done: true });
    this.check();
  }

  endWait(pick: number): void {
    if (this.wait === undefined) return;
    const { command } = this.wait;
    const text = this.wait.done ? this.wait.text : this.#moveResult();
    if (text === undefined && pick % 3 !== 0) return;
    this.wait = undefined;
    this.send({ type: 'HEARD', number: command.number, at: this.now, ...(text !== undefined && { arrival: arrivalOf(text) }) });
  }

  loseWait(): void {
    if (this.wait === undefined) return;
    const { command, done } = this.wait;
    this.wait = undefined;
    if (!done) this.ghosts.push(command);
    this.send({ type: 'LOST', from: 'results', number: command.number, at: this.now, error: { name: 'E', message: 'cut' }, retryable: true, random: 0.5 });
  }

  /** What was given up is executed after all. */
  #haunt(pick: number): void {
    const [ghost] = this.ghosts.splice(pick % Math.max(1, this.ghosts.length), 1);
    if (ghost === undefined) return;
    this.haunted = true;
    if (ghost.type === 'WAIT') this.#moveResult();
    else this.#execute(ghost);
    this.check();
  }

  #moveResult(): string | undefined {
    this.lists.begin();
    return this.lists.move(this.keys.results(RUN), this.keys.taken(RUN));
  }

  #execute(command: ListsCommand): CoordinatorEvent {
    this.lists.begin();
    const { number } = command;
    const stamp = { number, at: this.now };
    const refused = (status: 'fenced' | 'gone'): CoordinatorEvent => ({ type: 'REFUSED', status, ...stamp, random: 0.5 });
    const store = this.#store;
    switch (command.type) {
      case 'ACQUIRE': {
        const answer = runs.acquire(store, { ...command, fence: command.fence ?? undefined });
        return answer.status === 'acquired' ? { type: 'ACQUIRED', ...stamp, fence: answer.fence, seq: answer.seq, held: answer.held } : refused(answer.status);
      }
      case 'READ':
        return { type: 'READ', ...stamp, arrivals: this.lists.list(this.keys.taken(RUN)).slice(command.from, command.from + command.most).map(arrivalOf) };
      case 'AUDIT': {
        if (command.seal !== null) {
          const sealed = runs.push(store, { run: RUN, fence: command.fence, ...command.seal, units: [] });
          if (sealed.status !== 'ok') return refused(sealed.status);
        }
        const answer = runs.audit(store, command);
        return answer.status === 'ok' ? { type: 'AUDITED', ...stamp, present: answer.present } : refused(answer.status);
      }
      case 'TURN':
        return this.#turn(command, refused);
      case 'CANCEL': {
        const answer = runs.cancel(store, command);
        return answer.status === 'ok' ? { type: 'CANCELLED', ...stamp } : refused(answer.status);
      }
      case 'SURVEY':
        return { type: 'SURVEYED', ...stamp, workers: workers.workers(store) };
      case 'RELEASE': {
        const answer = runs.release(store, command);
        return answer.status === 'ok' ? { type: 'RELEASED', ...stamp } : refused(answer.status);
      }
    }
  }

  /** A push is cut after two units now and then. */
  #turn({ number, fence, push, trim, take }: Extract<ListsCommand, { type: 'TURN' }>, refused: (status: 'fenced' | 'gone') => CoordinatorEvent): CoordinatorEvent {
    const store = this.#store;
    const most = (push?.batch ?? 0) % 3 === 0 ? 2 : 1000;
    const leaving = push?.units.slice(0, most) ?? [];
    const units = leaving.map(({ group, index, generation, body }) => encodeUnit({ attempt: 1, run: RUN, id: unitId(group, index, generation), body }));
    const pushed = push === null ? undefined : runs.push(store, { run: RUN, fence, batch: push.batch, queue: push.queue, units, shared: push.missing.map((id) => ({ name: `g${id}`, text: 's' })) });
    const trimmed = trim === null ? undefined : runs.trim(store, { run: RUN, fence, ...trim });
    const taken = take === null ? undefined : runs.take(store, { run: RUN, fence, ...take }, []);
    for (const reply of [pushed, trimmed, taken]) if (reply?.status === 'fenced' || reply?.status === 'gone') return refused(reply.status);
    return {
      type: 'TURNED', number, at: this.now,
      ...(push !== null && { pushed: { units: leaving.length, groups: push.missing.filter((id) => leaving.some((unit) => unit.group === id)) } }),
      ...(trimmed && { trimmed: trimmed.status as 'ok' | 'mismatch' }),
      ...(taken?.status === 'ok' && { taken: { arrivals: taken.items.map(arrivalOf), held: taken.held } }),
    };
  }

  // Workers and accidents.

  /** A worker takes what it can, and ends what it has. */
  work(pick: number, ends: readonly (readonly [number])[] = [[1]]): void {
    const worker = pick % 2 === 0 ? { worker: 'w', nonce: 'w', queue: 'a' } : { worker: 'v', nonce: 'v', queue: 'b' };
    this.lists.begin();
    const before = workers.slots(this.#store, { worker: worker.worker, slots: 2 });
    const acks = before.flatMap((text, slot) => {
      const unit = text === undefined ? undefined : unitHeader(text);
      if (unit === undefined || (pick % 5 === 0 && slot === 0)) return [];
      return [{ slot, header: headerOf(unit), kind: 'result', text: encodeResult(unit, 'ended', { v: 1, ends, worker: 'w', startedAt: 0, durationMs: 0 }) } as const];
    });
    workers.step(this.#store, { ...worker, slots: 2, leaseMs: 1e9, acks, claims: [0, 1].filter((slot) => before[slot] === undefined || acks.some((ack) => ack.slot === slot)), runs: [] });
    this.check();
  }

  #garbage(pick: number): void {
    this.lists.begin();
    const some = [...this.units.keys()][pick % Math.max(1, this.units.size)];
    const texts = ['garbage', 'R|9.9.9|1|{"v":1,"ends":[[1]],"worker":"w","startedAt":0,"durationMs":0}', 'D|8.8.8|3|"no"', 'R|1.0.0|1|{'];
    // A second result for a unit can only be a forged one: it must not be taken for a unit in two lists.
    if (some !== undefined && this.units.get(some)?.delivered === 1 && this.units.get(some)?.heldBy !== undefined) texts.push(`R|${some}|1|{"v":1,"ends":[[1]],"worker":"w","startedAt":0,"durationMs":0}`);
    if (this.lists.has(this.keys.coordinator(RUN))) this.lists.append(this.keys.results(RUN), [texts[pick % texts.length] as string]);
  }

  /** A unit in a queue is given up. */
  #giveUp(): void {
    this.lists.begin();
    const [text] = this.lists.shift(this.keys.queue('a'));
    const unit = text === undefined ? undefined : unitHeader(text);
    if (unit !== undefined && this.lists.has(this.keys.coordinator(RUN))) this.lists.append(this.keys.results(RUN), [encodeDead(unit.id, 3, 'why')]);
    this.check();
  }

  #flush(): void {
    this.lists.begin();
    for (const key of this.lists.keys()) this.lists.remove(key);
    this.#uncertain();
  }

  /** The server has lost the last operations. With them goes every connection. */
  #undo(pick: number): void {
    if (this.context.fence === null) return;
    this.lists.undo(pick % 6);
    this.#uncertain();
    this.lose(1);
    this.loseWait();
  }

  /** Ghosts of before would meet numbers that are used again: such a fault upon a fault is for the periodic audit. */
  #uncertain(): void {
    this.flushed = true;
    this.ghosts = this.ghosts.filter((ghost) => (this.#confirms || ghost.type !== 'ACQUIRE') && (ghost.type !== 'TURN' || ghost.push === null));
    this.#taken = [...this.lists.list(this.keys.taken(RUN))];
    if (this.command !== undefined && this.command.reply === undefined && this.command.command.type === 'TURN') this.lose(1);
  }

  #takeOver(): void {
    this.lists.begin();
    runs.acquire(this.#store, { run: RUN, nonce: 'rival' });
    this.rival = true;
  }

  tick(pick: number): void {
    this.now += pick % 3 === 0 ? 40_000 : 5000;
    if (!this.tickArmed) return;
    this.tickArmed = false;
    this.send({ type: 'TICK', at: this.now });
  }

  retry(): void {
    if (!this.retryArmed) return;
    this.retryArmed = false;
    this.send({ type: 'RETRY', at: this.now });
  }

  /** The store takes a write of this process in, unless somebody else has opened the run. */
  #confirm(): void {
    if (!this.#confirming || this.rival) return;
    this.#confirming = false;
    this.send({ type: 'CONFIRMED' });
  }

  /** An actor starts again: what it had in its hands is lost to it, and may be executed. */
  #ready(pick: number): void {
    const from = (['lists', 'results', 'timers'] as const)[pick % 3] ?? 'lists';
    if (from === 'lists') {
      if (this.command !== undefined && this.command.reply === undefined) this.ghosts.push(this.command.command);
      this.command = undefined;
    }
    if (from === 'results') {
      if (this.wait !== undefined && !this.wait.done) this.ghosts.push(this.wait.command);
      this.wait = undefined;
    }
    if (from === 'timers') this.tickArmed = this.retryArmed = false;
    this.send({ type: 'READY', from, at: this.now });
  }

  // The machine's word.

  #obey(actor: string, command: Command): void {
    this.given.set(command.type, (this.given.get(command.type) ?? 0) + 1);
    if (actor === 'host') {
      if (command.type === 'DELIVER') this.#give(command);
      if (command.type === 'CONFIRM') this.#confirming = true;
      if (command.type === 'FAIL') this.failure = command.error.code ?? command.error.message;
      return;
    }
    if (actor === 'timers') {
      const { tickMs, retryMs } = command as TimersCommand;
      if (tickMs !== undefined) this.tickArmed = true;
      if (retryMs !== undefined) this.retryArmed = true;
      return;
    }
    if (actor === 'results') {
      if (this.wait !== undefined) this.fail('a second blocking wait');
      this.wait = { command: command as WaitCommand, done: false };
      return;
    }
    // One that the machine has given up, by a loss of the other connection, is still on its way.
    if (command.type === 'TURN' && command.push !== null) for (const queue of this.context.queues) if (queue.name === command.push.queue && queue.pushed > this.context.settings.window) this.fail(`more units than the window leave for queue ${queue.name}`);
    if (this.command !== undefined) this.#late.push(this.command.reply ?? this.#execute(this.command.command));
    if (command.type === 'ACQUIRE' || (command.type === 'READ' && command.from === 0)) this.haunted = false;
    this.command = { command: command as ListsCommand };
  }

  // Invariants.

  check(): void {
    this.#checkCounters();
    this.#checkLists();
    this.#checkTaken();
  }

  #checkCounters(): void {
    const { context } = this;
    let open = 0;
    const pushed = context.queues.map(() => 0);
    for (const group of Vec.values(context.groups)) {
      let own = 0;
      for (const { phase } of Vec.values(group.units)) {
        if (phase === 'delivered') continue;
        own += 1;
        if (phase === 'pushed') pushed[group.queue] = (pushed[group.queue] ?? 0) + 1;
      }
      if (own !== group.open) this.fail(`group ${group.plan.id} counts ${group.open} open units and has ${own}`);
      open += own;
    }
    if (open !== context.open) this.fail(`${context.open} units are counted as open, and there are ${open}`);
    context.queues.forEach((queue, at) => {
      if (queue.pushed !== pushed[at]) this.fail(`queue ${queue.name} counts ${queue.pushed} pushed units and has ${pushed[at]}`);
    });
    if (pushed.reduce((sum, one) => sum + one, 0) !== context.pushed) this.fail('the count of pushed units is wrong');
    const held = [...Fifo.items(context.taken)].reduce((sum, { count }) => sum + count, 0);
    if (held !== context.held) this.fail(`held is ${context.held}, and the parts are ${held}`);
    // Every planned unit is on its way out: in a line of its queue.
    const lines = new Set(context.queues.flatMap((queue) => [...Fifo.items(queue.again), ...Fifo.items(queue.planned)]).map((ref) => unitId(...ref)));
    for (const group of Vec.values(context.groups)) for (const [index, { phase, generation }] of Vec.entries(group.units)) {
      const id = unitId(group.plan.id, index, generation);
      if (phase === 'planned' && !lines.has(id)) this.fail(`unit ${id} is planned, and in no line`);
    }
    const expected = this.open().sort();
    const known = [...Vec.values(context.groups)].flatMap((group) => [...Vec.entries(group.units)].filter(([, { phase }]) => phase !== 'delivered').map(([index, { generation }]) => unitId(group.plan.id, index, generation)));
    if (!isDeepStrictEqual(known.sort(), expected) && !this.isOver) this.fail(`open are ${expected.join(' ')}, the machine says ${known.join(' ')}`);
  }

  #checkLists(): void {
    const { lists, keys } = this;
    const slots = ['w', 'v'].flatMap((worker) => [0, 1].map((slot) => keys.slot(worker, slot)));
    const ids = [keys.queue('a'), keys.queue('b'), ...slots].flatMap((key) => lists.list(key).map((text) => unitHeader(text)?.id ?? ''));
    for (const id of ids) {
      const unit = this.units.get(id);
      if (unit === undefined) this.fail(`unit ${id} is in the lists, and nobody planned it`);
      if (unit.revision > this.durable) this.fail(`unit ${id} is in the lists, and revision ${unit.revision} is not durable`);
    }
    if (this.flushed) return;
    const { context } = this;
    const isQuiet = typeof this.state.value === 'object' && context.command?.type !== 'CANCEL' && ![...Fifo.items(context.cancels)].some(({ revision }) => revision <= this.durable);
    if (isQuiet) for (const key of [keys.queue('a'), keys.queue('b')]) for (const text of lists.list(key)) {
      const id = unitHeader(text)?.id ?? '';
      if ((this.units.get(id)?.abortedBy ?? Infinity) <= this.durable) this.fail(`unit ${id} was aborted, and waits for a worker`);
    }
    const results = [keys.results(RUN), keys.taken(RUN)].flatMap((key) => lists.list(key)).filter((text) => this.#isReal(text)).map((text) => text.split('|')[1] ?? '');
    const all = [...ids, ...results].filter((id) => this.units.get(id)?.heldBy === undefined);
    if (new Set(all).size !== all.length) this.fail(`a unit is in two lists: ${all.join(' ')}`);
  }

  #isReal(text: string): boolean {
    try {
      return this.units.has(decodeResult(text).id);
    } catch {
      return false;
    }
  }

  #checkTaken(): void {
    const { context, lists } = this;
    const taken = lists.list(this.keys.taken(RUN));
    const at = String(typeof this.state.value === 'string' ? this.state.value : Object.keys(this.state.value)[0]);
    const believes = (at === 'working' || at === 'audit') && !context.replay;
    if (believes && !this.flushed && !this.haunted && !this.rival) {
      let end = 0;
      // A trim that was executed, and whose reply is on its way, has moved everything.
      const gone = this.command?.reply?.type === 'TURNED' && this.command.reply.trimmed === 'ok' ? (context.command?.trim ?? 0) : 0;
      for (const part of Fifo.items(context.taken)) {
        end += part.count;
        const text = taken[end - 1 - gone];
        if (end > gone && (text === undefined || resultHeader(text) !== part.last)) this.fail(`element ${end} of taken is ${text}, and was ${part.last}`);
      }
    }
    for (const text of this.#taken) {
      if (taken.includes(text) || !this.#isReal(text)) continue;
      const known = this.units.get(text.split('|')[1] ?? '');
      if (known === undefined || this.isOver || context.closing) continue;
      if (known.abortedBy !== undefined && known.abortedBy <= this.durable) continue;
      // A result with a wrong number of ends is none: the unit will be looked for.
      if (hasBadEnds(text)) continue;
      if (known.heldBy === undefined || known.heldBy > this.durable) this.fail(`${text} has left, and the run ${known.heldBy === undefined ? 'does not hold it' : `holds it by revision ${known.heldBy} only`}`);
    }
    this.#taken = [...taken];
  }
}

interface Sent {
  readonly type: string;
  readonly params?: { readonly targetId?: string; readonly to?: { readonly id?: string } | string; readonly event?: Command };
}

function commandsOf(actions: readonly Sent[]): readonly (readonly [string, Command])[] {
  return actions.flatMap(({ type, params }) => {
    if (type !== 'xstate.sendTo' || params?.event === undefined) return [];
    const to = params.targetId ?? (typeof params.to === 'string' ? params.to : params.to?.id) ?? '';
    return [[to, params.event] as const];
  });
}

function arrivalOf(text: string): Arrival {
  const header = resultHeader(text);
  try {
    const result = decodeResult(text);
    const { group, index, generation } = result;
    const unit = { group, index, generation };
    if (result.kind === 'dead') return { header, result: { ...unit, kind: 'dead', deliveries: result.attempt, reason: result.reason } };
    const { ends, worker, startedAt, durationMs } = result.body;
    return { header, result: { ...unit, kind: 'done', ends, worker, startedAt, durationMs } };
  } catch {
    return { header };
  }
}

function queueOf(group: number): string {
  return group % 2 === 0 ? 'a' : 'b';
}

function hasBadEnds(text: string): boolean {
  const result = decodeResult(text);
  return result.kind !== 'dead' && result.body.ends.length !== 1;
}

function next(id: string): string {
  const unit = parseUnitId(id) as { group: number; index: number; generation: number };
  return unitId(unit.group, unit.index, unit.generation + 1);
}

function throughJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
