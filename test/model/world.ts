/**
 * Two pretended I/O actors around the pure `step`, for random event sequences.
 *
 * Owns: what the executor and the timers would know from the commands that they were given, events that they could send
 * now (legal ones), and events that nobody should send (illegal ones).
 *
 * Invariants checked with every event
 * 1. The old context is not changed, and the same event on a copy that went through JSON gives the same context.
 * 2. What the commands say is what the context says: the executor holds exactly what is in flight, and the timers
 *    exactly what is delayed.
 * 3. The context keeps its own invariants (invariants.ts), and each step those of members that are executed elsewhere (away.ts).
 * 4. Late, doubled and foreign messages change nothing.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Fragment, GraphNode, NodeId, TaskNode } from '../../src/core/graph.ts';
import type { Json } from '../../src/core/json.ts';
import { cellOf, isValue } from '../../machines/execution-context/cells.ts';
import { Vec, initialContext, step, type ExecuteCommand, type ExecutionContext, type ExecutionEvent, type Outcome, type Plan, type Report, type RunFacts, type Step } from '../../machines/index.ts';
import { comesBack, endsWell, isBare, leavesAlone, leavesTogether, moreSteps, wrongAway, type AwayMember, type Way } from './away.ts';
import { assertInvariants, deepFreeze } from './invariants.ts';

/** One random decision: what kind of thing happens, and numbers to choose with. */
export interface Choice extends Way {
  readonly what: 'settle' | 'due' | 'signal' | 'pause' | 'resume' | 'cancel' | 'ready' | 'noise' | 'moves';
  readonly batch: number;
}

export interface Facts {
  readonly concurrency: number;
  readonly maxSteps?: number | undefined;
}

interface Held {
  readonly node: NodeId;
  readonly input: Json | undefined;
  ahead: boolean;
  /** May have gone on by itself before it was held back. */
  wasAhead: boolean;
  iteration: number;
  /** Set for a member that is executed elsewhere as a whole. */
  readonly away: AwayMember | undefined;
}

interface HeldMember {
  readonly group: number;
  readonly index: number;
  readonly away: AwayMember | undefined;
}

/** A step that no graph declares: it comes with the outcome that names it. */
const EXTRA: Fragment = { entry: 'extra', nodes: { extra: { kind: 'task', id: 'extra', next: 'extra2', maxIterations: 2 }, extra2: { kind: 'task', id: 'extra2' } } };

type Open = ({ readonly id: number } | { readonly group: number; readonly index: number }) & { readonly away: AwayMember | undefined };

export class World {
  readonly plan: Plan;
  context: ExecutionContext;
  /** The same run, through JSON at every event. */
  shadow: ExecutionContext;
  readonly log: ExecutionEvent[] = [];
  readonly facts: RunFacts;
  readonly tokens = new Map<number, Held>();
  readonly members = new Map<string, HeldMember>();
  readonly armed = new Map<number, number>();
  readonly #old: Report[] = [];
  #paused = false;
  /** Executions that the executor was told of, or told of itself. */
  #steps = 0;
  readonly #known = new Set<number | string>();

  constructor(plan: Plan, facts: Facts, input: Json | undefined) {
    this.plan = plan;
    this.facts = { id: 'run', startedAt: 1, graphHash: plan.graphHash, ...facts };
    this.context = initialContext(plan.graph.workflow, plan.graph.root, input);
    this.shadow = throughJson(this.context);
    assertInvariants(plan, this.context);
  }

  get over(): boolean {
    return this.context.verdict !== null;
  }

  /** Applies one event with every check there is. */
  send(event: ExecutionEvent): Step {
    this.log.push(event);
    deepFreeze(event);
    const before = deepFreeze(this.context);
    const next = step(this.plan, before, event);
    const again = step(this.plan, this.shadow, throughJson(event));
    this.context = next.context;
    this.shadow = throughJson(again.context);
    if (!isDeepStrictEqual(throughJson(next.context), this.shadow)) throw new Error(`a replay through JSON differs after ${this.trail()}\n${JSON.stringify(next.context)}\n${JSON.stringify(this.shadow)}`);
    if (!isDeepStrictEqual(throughJson([next.execute, next.arm]), throughJson([again.execute, again.arm]))) throw new Error(`the commands of a replay differ after ${this.trail()}`);
    if ('post' in event && event.post !== undefined && event.post <= before.posted && !isDeepStrictEqual({ ...next.context, revision: 0, at: 0 }, { ...before, revision: 0, at: 0 })) throw new Error(`an old post changed something after ${this.trail()}`);
    const wrong = wrongAway(this.plan, before, event, next);
    if (wrong.length > 0) throw new Error(`${wrong.join('\n')}\nafter ${this.trail()}`);
    this.#countMoves(before, event);
    this.#hear(next, event);
    assertInvariants(this.plan, this.context, this.log);
    this.#agree(next);
    return next;
  }

  /** One choice, as events. */
  play(choice: Choice): void {
    const event = this.eventOf(choice);
    if (event === undefined) return;
    const before = this.context;
    this.send(event);
    if (choice.what !== 'noise' || event.type === 'SIGNAL') return;
    const { revision: _, at: __, ...rest } = this.context;
    if (!isDeepStrictEqual({ ...before, ...rest }, before)) throw new Error(`noise changed something after ${this.trail()}`);
  }

  /** Settles, signals and waits, without failures, until the run is over. Says whether it got there. */
  finish(limit = 3000): boolean {
    this.send({ type: 'READY', from: 'executor', at: this.context.at, run: this.facts });
    this.send({ type: 'RESUME' });
    for (let left = limit; left > 0 && !this.over; left -= 1) {
      const open = this.open();
      const wait = [...Vec.values(this.context.waits)][0];
      if (open.length > 0) this.send({ type: 'SETTLED', at: this.context.at, reports: open.map((place) => this.#report(place, place.away === undefined ? { kind: 'value', value: [1] } : endsWell(place.away, [1]))) });
      else if (wait !== undefined) this.send({ type: 'SIGNAL', name: wait.signal, value: [2] });
      else this.send({ type: 'DUE', at: Math.max(this.context.at, ...this.armed.values()), ids: [...this.armed.keys()] });
    }
    return this.over;
  }

  open(): Open[] {
    return [...[...this.tokens].map(([id, { away }]) => ({ id, away })), ...this.members.values()];
  }

  trail(): string {
    return JSON.stringify(this.log);
  }

  eventOf(choice: Choice): ExecutionEvent | undefined {
    const { pick, what } = choice;
    const at = this.context.at + (pick % 40);
    switch (what) {
      case 'settle':
        return this.#settled(choice, at);
      case 'moves':
        return this.#moves(choice, at);
      case 'due': {
        const ids = [...this.armed.keys()];
        const id = ids[pick % Math.max(1, ids.length)];
        return id === undefined ? undefined : { type: 'DUE', at: Math.max(at, this.armed.get(id) ?? 0), ids: choice.batch > 1 ? ids : [id] };
      }
      case 'signal':
        if (pick % 13 === 0) return { type: 'REFUSED', post: this.context.posted + (pick % 3) };
        return { type: 'SIGNAL', ...(pick % 2 === 0 ? { at } : {}), name: pick % 3 === 0 ? 'stop' : 'go', ...(pick % 5 === 0 ? {} : { value: [pick] }), ...(pick % 4 === 0 ? { post: this.context.posted + 1 } : {}) };
      case 'pause':
        return { type: 'PAUSE' };
      case 'resume':
        return { type: 'RESUME' };
      case 'cancel':
        return { type: 'CANCEL', reason: 'enough' };
      case 'ready':
        if (pick % 4 === 0) return { type: 'READY', from: 'timers', at };
        return { type: 'READY', from: 'executor', at, run: this.facts };
      case 'noise':
        return this.#noise(choice, at);
    }
  }

  #settled(choice: Choice, at: number): ExecutionEvent | undefined {
    const open = this.open();
    const reports: Report[] = [];
    for (let n = 0; n < choice.batch && open.length > 0; n += 1) {
      const [place] = open.splice((choice.pick + n) % open.length, 1);
      // Outcomes of one batch differ, so that a failure meets values and the other way round.
      const kinds = [choice.outcome, 'value', 'fail', 'spawn'] as const;
      if (place === undefined) break;
      reports.push(this.#report(place, this.#outcome(kinds[n % kinds.length] ?? 'value', choice, place)));
      // The members of one unit come back in one event.
      for (const other of open.filter((one) => isOneUnit(place, one))) {
        open.splice(open.indexOf(other), 1);
        reports.push(this.#report(other, this.#outcome(kinds[reports.length % kinds.length] ?? 'value', { ...choice, also: choice.also + 1 }, other)));
      }
    }
    if (reports.length === 0) return undefined;
    this.#old.push(...reports);
    return { type: 'SETTLED', at, reports };
  }

  #report({ away, ...place }: Open, end: Outcome): Report {
    if ('id' in place) return { id: place.id, end };
    if (isBare(end) && away?.paid === 1) return { ...place, indexes: [place.index], cells: [end.cell] };
    const plain = end.kind === 'value' && end.spawned === undefined && end.channel === undefined;
    if (plain) return { group: place.group, indexes: [place.index], cells: [cellOf(end.value)] };
    return { ...place, end };
  }

  #outcome(kind: Choice['outcome'], { pick, also }: Choice, { away }: { readonly away?: AwayMember | undefined }): Outcome {
    if (away !== undefined) return comesBack(this.plan, away, { outcome: kind, pick, also }, this.context.at);
    const channel = also % 3 === 0 ? { channel: [{ op: 'add' as const, key: 'n', value: 1 }] } : also % 7 === 0 ? { channel: [{ op: 'append' as const, key: 'n', value: 1 }] } : {};
    const spawned = also % 4 === 0 ? { spawned: [{ node: this.#anyTask(pick), input: [pick] }, { node: this.#anyEntry(also) }] } : {};
    const effects = { ...channel, ...spawned, fragments: { extra: EXTRA } };
    switch (kind) {
      case 'value':
        return { kind, ...(pick % 6 === 0 ? {} : { value: [pick, `${pick}`, [pick], { pick }, true, null, []][pick % 7] as Json }), ...channel };
      case 'spawn':
        return { kind: 'value', value: [pick], spawned: [{ node: this.#anyEntry(pick) }], ...channel, fragments: { extra: EXTRA } };
      case 'fail':
        return { kind: 'failed', error: { name: 'Error', message: 'no' }, random: (pick % 100) / 100 };
      case 'fatal':
        return { kind: 'failed', error: { name: 'NonRetryableError', code: 'task/non-retryable', message: 'never' }, random: 0 };
      case 'goto':
        return { kind, target: { node: this.#anyEntry(pick), input: [pick] }, ...effects };
      case 'iterate':
        return { kind, input: [pick], ...effects };
      case 'terminate':
        return { kind, output: [pick], ...channel };
      case 'cancel':
        return { kind, error: { name: 'WorkflowCancelledError', code: 'run/cancelled', message: 'stop' } };
    }
  }

  /** Walks along plain values and iterations, as a token with `ahead` does. */
  #moves(choice: Choice, at: number): ExecutionEvent | undefined {
    const ahead = [...this.tokens].filter(([, held]) => held.wasAhead);
    const chosen = ahead[choice.pick % Math.max(1, ahead.length)];
    if (chosen === undefined) return undefined;
    const [id, held] = chosen;
    const moves: number[] = [];
    let { node, iteration } = held;
    for (let n = 0; n <= choice.batch; n += 1) {
      const here = this.#node(node) as TaskNode;
      const next = here.next === undefined ? undefined : this.#node(here.next);
      if ((choice.also + n) % 3 === 0 && iteration < (here.maxIterations ?? 100)) {
        iteration += 1;
        moves.push(-1);
      } else if (next?.kind === 'task') {
        node = next.id;
        iteration = 0;
        moves.push(1);
      } else break;
    }
    if (moves.length === 0) return undefined;
    const moved = { id, moves, input: [choice.pick] };
    if (choice.also % 2 === 0) {
      const report = { ...moved, end: this.#outcome(choice.outcome, choice, {}) };
      this.#old.push(report);
      return { type: 'SETTLED', at, reports: [report] };
    }
    this.tokens.set(id, { ...held, node, iteration });
    return { type: 'SETTLED', at, reports: [moved] };
  }

  /** What a late, doubled or foreign message looks like. */
  #noise(choice: Choice, at: number): ExecutionEvent | undefined {
    const { pick, also } = choice;
    const free = this.context.nextId + 1 + pick;
    const end = this.#outcome(choice.outcome, choice, {});
    const ended = [...Vec.entries(this.context.groups)].flatMap(([group, { outcomes }]) => [...Vec.entries(outcomes)].map(([index]) => ({ group, index })));
    const done = ended[pick % Math.max(1, ended.length)];
    const anyGroup = [...Vec.entries(this.context.groups)][0]?.[0] ?? free;
    switch (also % 11) {
      case 0:
        return { type: 'SETTLED', at, reports: this.#old.filter((report) => this.#isOld(report)) };
      case 1:
        return { type: 'SETTLED', at, reports: [{ id: free, end }, { group: free, index: 0, end }, { group: free, indexes: [0, 1], cells: [[], [1]] }] };
      case 2:
        return done && { type: 'SETTLED', at, reports: [{ ...done, end }, { group: done.group, indexes: [done.index], cells: [[1]] }] };
      case 3:
        return { type: 'SETTLED', at, reports: [-1, 2 ** 20, 2 ** 31, 0.5].flatMap((index) => [{ group: anyGroup, index, end }, { group: anyGroup, indexes: [index], cells: [[1]] }]) };
      case 4:
        return { type: 'DUE', at, ids: [free, -1, ...this.tokens.keys()] };
      case 5:
        return { type: (['CONCLUDED', 'PARKED', 'UNPARKED'] as const)[pick % 3] ?? 'PARKED' };
      case 6:
        return { type: 'SETTLED', at, reports: [] };
      case 7:
        return { type: 'SETTLED', at, reports: [{ group: anyGroup, indexes: [1, 2, 3], cells: [] }, { group: anyGroup, indexes: [0, 1, 2, 3, 4], cells: [null, undefined, [1, 2], {}, { error: { name: 'E', message: 'm' } }] as never }] };
      case 8: {
        // Members that are branches or tokens of their own are no range members.
        const own = [...Vec.values(this.context.groups)].flatMap(({ id, size }) => Array.from({ length: size }, (_, index) => ({ group: id, index }))).filter(({ group, index }) => !this.members.has(`${group}.${index}`));
        return { type: 'SETTLED', at, reports: own.flatMap(({ group, index }) => [{ group, index, end }, { group, indexes: [index], cells: [[1]] }]) };
      }
      case 9:
        // A mailbox that shows what was taken in before.
        return pick % 2 === 0 ? { type: 'SIGNAL', at, name: 'go', value: 'old', post: this.context.posted } : { type: 'CANCEL', post: this.context.posted - 1 };
      default:
        return { type: 'SIGNAL', name: 'nobody', value: null };
    }
  }

  #isOld(report: Report): boolean {
    if ('id' in report) return !this.tokens.has(report.id);
    return 'index' in report ? !this.members.has(`${report.group}.${report.index}`) : report.indexes.every((index) => !this.members.has(`${report.group}.${index}`));
  }

  /** Each move is one completed execution. */
  #countMoves(before: ExecutionContext, event: ExecutionEvent): void {
    const report = event.type === 'SETTLED' && event.reports.length === 1 ? event.reports[0] : undefined;
    if (report === undefined || !('id' in report) || report.end !== undefined || !this.tokens.has(report.id)) return;
    const completed = (context: ExecutionContext): number => [...Vec.entries(context.completions)].reduce((sum, [at, times]) => (at < Object.keys(this.plan.graph.nodes).length ? sum + times : sum), 0);
    const moved = (report.moves ?? []).reduce((sum, move) => sum + Math.abs(move), 0);
    const extra = EXTRA.nodes[Vec.get(before.inFlight, report.id)?.node ?? ''] !== undefined;
    if (!extra && completed(this.context) - completed(before) !== moved) throw new Error(`${moved} moves were reported, but ${completed(this.context) - completed(before)} completions counted after ${this.trail()}`);
  }

  /** Keeps the books of both actors by the commands alone. */
  #hear({ execute, arm }: Step, event: ExecutionEvent): void {
    if (event.type === 'SETTLED') for (const report of event.reports) this.#told(report);
    if (event.type === 'DUE') for (const id of event.ids) this.armed.delete(id);
    if (execute !== undefined) this.#obey(execute, event.type === 'READY' && event.from === 'executor');
    for (const id of arm?.disarm ?? []) this.armed.delete(id);
    for (const [id, dueAt] of arm?.arm ?? []) this.armed.set(id, dueAt);
  }

  #told(report: Report): void {
    const away = 'id' in report ? this.tokens.get(report.id)?.away : 'index' in report ? this.members.get(`${report.group}.${report.index}`)?.away : undefined;
    if (away !== undefined && 'end' in report && report.end !== undefined) this.#steps += moreSteps(away, report.end);
    if ('id' in report) {
      if (this.tokens.has(report.id)) for (const move of report.moves ?? []) this.#steps += Math.abs(move);
      if (report.end !== undefined) this.tokens.delete(report.id);
    } else if ('index' in report) this.members.delete(`${report.group}.${report.index}`);
    else report.indexes.forEach((index, at) => isValue(report.cells[at]) && this.members.delete(`${report.group}.${index}`));
  }

  #obey(command: ExecuteCommand, everything: boolean): void {
    if (everything) {
      // READY asks for all that is in flight: an executor that has just been restored knows nothing else.
      for (const id of this.tokens.keys()) this.#known.add(id);
      for (const key of this.members.keys()) this.#known.add(key);
      this.tokens.clear();
      this.members.clear();
    }
    for (const id of command.abort) this.tokens.delete(id);
    for (const group of command.abortGroups) for (const [key, member] of this.members) if (member.group === group) this.members.delete(key);
    for (const id of command.hold) {
      const held = this.tokens.get(id);
      if (held !== undefined) held.ahead = false;
    }
    this.#paused = command.paused;
    for (const start of command.start) {
      const { id, node, input, ahead, iteration, attempt, group, index } = start;
      const away = leavesAlone(this.plan, this.context, start);
      if (this.#paused && !this.#known.has(id)) throw new Error(`token ${id} was started in a pause after ${this.trail()}`);
      if (attempt === 1 && !this.#known.has(id)) this.#steps += away?.paid ?? 1;
      if (this.tokens.has(id)) throw new Error(`token ${id} was started twice after ${this.trail()}`);
      if (away !== undefined && this.members.has(`${group}.${index}`)) throw new Error(`member ${index} of group ${group} is away twice after ${this.trail()}`);
      this.tokens.set(id, { node, input, ahead, wasAhead: ahead, iteration, away });
    }
    for (const range of command.ranges) for (let index = range.from; index < range.to; index += 1) {
      const { group } = range;
      const away = leavesTogether(this.plan, this.context, range, index);
      if (this.members.has(`${group}.${index}`)) throw new Error(`member ${index} of group ${group} was granted twice after ${this.trail()}`);
      this.members.set(`${group}.${index}`, { group, index, away });
      if (this.#known.has(`${group}.${index}`)) continue;
      if (this.#paused) throw new Error(`member ${index} of group ${group} was granted in a pause after ${this.trail()}`);
      this.#steps += away?.paid ?? 1;
    }
    this.#known.clear();
  }

  #agree({ waiting }: Step): void {
    const { inFlight, openMembers, delayed, paused, run, verdict } = this.context;
    const told = [...this.tokens].map(([id, { ahead, node, iteration }]) => `${id}@${node}#${iteration}${ahead ? '+' : ''}`).sort();
    const there = [...Vec.values(inFlight)].map(({ id, ahead, node, iteration }) => `${id}@${node}#${iteration}${ahead ? '+' : ''}`).sort();
    if (told.join() !== there.join()) throw new Error(`the executor holds [${told.join()}], in flight are [${there.join()}] after ${this.trail()}`);
    if (this.members.size !== openMembers) throw new Error(`the executor holds ${this.members.size} members, ${openMembers} are open after ${this.trail()}`);
    const due = [...Vec.entries(delayed)].map(([id, { dueAt }]) => `${id}@${dueAt}`).sort();
    const armed = [...this.armed].map(([id, dueAt]) => `${id}@${dueAt}`).sort();
    if (due.join() !== armed.join()) throw new Error(`the timers hold [${armed.join()}], delayed are [${due.join()}] after ${this.trail()}`);
    // What starts and is dropped within one event has been counted, but nobody was told.
    const elsewhere = Object.values(this.plan.graph.nodes).some((node) => 'execution' in node && this.plan.isRemote(node));
    // Of what comes back elsewhere together with the end of the run nothing is counted.
    if (this.context.steps < this.#steps && (verdict === null || !elsewhere)) throw new Error(`${this.context.steps} steps are counted, the executor knows ${this.#steps} after ${this.trail()}`);
    // Members that are away together may take more than is left for all of them: then the run ends.
    const over = elsewhere && verdict?.kind === 'failed' && verdict.error.code === 'run/step-limit';
    if (this.facts.maxSteps !== undefined && this.context.steps > this.facts.maxSteps && !over) throw new Error(`${this.context.steps} steps were taken, the limit is ${this.facts.maxSteps} after ${this.trail()}`);
    if (run !== null && this.#paused !== paused) throw new Error(`the executor believes paused is ${this.#paused} after ${this.trail()}`);
    if (waiting !== (run !== null && verdict === null && inFlight.size + openMembers === 0)) throw new Error(`waiting is ${waiting} after ${this.trail()}`);
  }

  #node(id: NodeId): GraphNode | undefined {
    return this.plan.graph.nodes[id] ?? EXTRA.nodes[id];
  }

  #anyTask(pick: number): NodeId {
    const tasks = Object.values(this.plan.graph.nodes).filter((node) => node.kind === 'task');
    return tasks[pick % tasks.length]?.id ?? '';
  }

  #anyEntry(pick: number): NodeId {
    const ids = [...Object.keys(this.plan.graph.nodes), 'extra'];
    return ids[pick % ids.length] ?? '';
  }
}

/** Whether another member left in the same batch as this one. */
function isOneUnit(place: Open, other: Open): boolean {
  if ('id' in place || 'id' in other || place.away === undefined || place.group !== other.group) return false;
  const { batch } = place.away;
  return Math.floor(place.index / batch) === Math.floor(other.index / batch);
}

export function throughJson<T>(value: T): T {
  return (value === undefined ? undefined : JSON.parse(JSON.stringify(value))) as T;
}
