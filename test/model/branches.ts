/**
 * One graph, executed in two ways: all in one context, and with the members of its group each as a branch of its own, on
 * pretended workers that hand branches back at any moment.
 *
 * Owns: tasks that always do the same for the same execution, both ways of executing, and what can be told of them.
 * Does not own: what must be equal (the tests).
 *
 * Invariants
 * 1. What a task does follows from its idempotency key, its attempt and its answers alone, and no task looks at the others.
 * 2. Time stands still while anything can be executed. When nothing can, signals come first, and then the next due time.
 * 3. A branch that is handed over goes through JSON, and so does what it comes back with.
 */
import { hashJson } from '../../src/core/hash.ts';
import type { Fragment, GraphNode, NodeId, PolicyPlan, TaskNode } from '../../src/core/graph.ts';
import type { Json } from '../../src/core/json.ts';
import { cellOf } from '../../machines/execution-context/cells.ts';
import {
  Vec, branchContext, branchOutcome, executionKey, initialContext, planOf, revivedBranch, step, type ChannelOperation, type ExecuteCommand, type ExecutionContext, type ExecutionEvent, type Outcome, type Plan, type Report, type Start,
  type UnitOutcome, type UnitStart,
} from '../../machines/index.ts';
import type { Shape } from './graphs.ts';
import { assertInvariants } from './invariants.ts';
import { throughJson } from './world.ts';

/** A step that no graph declares. */
const EXTRA: Fragment = { entry: 'extra', nodes: { extra: { kind: 'task', id: 'extra', next: 'extra2', retry: { attempts: 2, backoff: 'fixed', delayMs: 20, factor: 1, maxDelayMs: 20, jitter: 0 } }, extra2: { kind: 'task', id: 'extra2' } } };

/** One execution, as a task would see it. */
interface Execution {
  readonly key: string;
  readonly node: NodeId;
  readonly attempt: number;
  readonly iteration: number;
  readonly answers: Json | undefined;
  readonly hop: number;
  readonly report: (end: Outcome) => Report;
}

/** Something that leaves for a worker. */
interface Unit {
  readonly group: number;
  readonly index: number;
  readonly token: number | undefined;
  readonly entry: NodeId;
  readonly input: Json | undefined;
  readonly channel: Readonly<Record<string, Json>>;
  readonly stepsLeft: number | undefined;
  readonly key: string;
  readonly unit: UnitStart | undefined;
}

export interface Facts {
  readonly concurrency: number;
  readonly maxSteps?: number | undefined;
}

/** One context with its executor and its timers. */
export class Played {
  readonly plan: Plan;
  context: ExecutionContext;
  readonly #facts: Facts;
  #queue: Execution[] = [];
  /** What has left since someone asked. */
  units: Unit[] = [];
  /** Every execution that has ended here. */
  readonly done: string[] = [];

  constructor(plan: Plan, context: ExecutionContext, facts: Facts) {
    this.plan = plan;
    this.context = context;
    this.#facts = facts;
  }

  get busy(): boolean {
    return this.#queue.length > 0;
  }

  get over(): boolean {
    return this.context.verdict !== null;
  }

  /** The earliest due time. */
  get dueAt(): number {
    return Math.min(Infinity, ...[...Vec.values(this.context.delayed)].map(({ dueAt }) => dueAt));
  }

  /** The signal that someone waits for who will get it. Waits for "never" have a timeout. */
  get asksFor(): string | undefined {
    return [...Vec.values(this.context.waits)].find(({ signal }) => signal !== 'never')?.signal;
  }

  begin(at: number): void {
    // The answer to READY tells of everything, also of what a signal before it has started.
    this.#queue = [];
    this.units = [];
    this.send({ type: 'READY', from: 'executor', at, run: { id: 'run', startedAt: 1, graphHash: 'hash', ...this.#facts } });
  }

  send(event: ExecutionEvent): void {
    const { context, execute } = step(this.plan, this.context, event);
    this.context = context;
    assertInvariants(this.plan, context);
    if (execute !== undefined) this.#obey(execute);
  }

  /** Ends the execution that was started first. */
  settleOne(at: number): void {
    const execution = this.#queue.shift();
    if (execution === undefined) return;
    const { key, node, attempt, iteration, answers } = execution;
    this.done.push(`${key} ${node} ${attempt} ${iteration} ${JSON.stringify(answers ?? null)}`);
    this.send({ type: 'SETTLED', at, reports: [execution.report(this.#act(execution))] });
  }

  due(at: number): void {
    const ids = [...Vec.values(this.context.delayed)].filter(({ dueAt }) => dueAt <= at).map(({ token }) => token.id);
    if (ids.length > 0) this.send({ type: 'DUE', at, ids });
  }

  #obey(command: ExecuteCommand): void {
    const aborted = new Set(command.abort);
    const abortedGroups = new Set(command.abortGroups);
    const place = (execution: Execution): Report => execution.report({ kind: 'value' });
    this.#queue = this.#queue.filter((execution) => {
      const report = place(execution);
      return 'id' in report ? !aborted.has(report.id) : !abortedGroups.has(report.group);
    });
    for (const start of command.start) if (start.unit === undefined) this.#queue.push(executionOf(start));
      else this.units.push({ group: start.group ?? -1, index: start.index ?? -1, token: start.id, entry: start.node, input: start.input, channel: command.channel, stepsLeft: start.unit.stepsLeft, key: start.unit.key, unit: start.unit });
    for (const { group, key, node, from, to, units, items, input } of command.ranges) for (let index = from; index < to; index += 1) {
      const given = items === undefined ? input : items[index];
      const entry = entryOf(this.#node(node), index);
      if (units !== undefined) this.units.push({ group, index, token: undefined, entry, input: given, channel: command.channel, stepsLeft: units.stepsLeft, key, unit: undefined });
      else this.#queue.push({ key: `${key}.${index}`, node: entry, attempt: 1, iteration: 0, answers: undefined, hop: 0, report: (end) => (isPlain(end) ? { group, indexes: [index], cells: [cellOf(end.value)] } : { group, index, end }) });
    }
  }

  #node(id: NodeId): GraphNode {
    return (this.plan.graph.nodes[id] ?? EXTRA.nodes[id]) as GraphNode;
  }

  /** Invariant 1. Long paths come to an end. */
  #act({ key, node, attempt, iteration, answers, hop }: Execution): Outcome {
    const draws = hashJson([key, node, attempt, iteration, answers ?? null]).split('').map((digit) => digit.charCodeAt(0));
    const draw = (at: number, sides: number): number => ((draws[at] ?? 0) * 31 + (draws[at + 1] ?? 0)) % sides;
    const { maxIterations = 100 } = this.#node(node) as TaskNode;
    const channel: ChannelOperation[] = draw(0, 4) > 0 ? [] : [{ op: 'add', key: 'sum', value: 1 }, { op: 'append', key: `at ${key.split('+')[0]}`, value: draw(2, 9) }];
    // Does not fit where the one above came before it.
    if (draw(4, 12) === 0) channel.push({ op: 'add', key: `at ${key.split('+')[0]}`, value: 1 });
    const value = [draw(6, 99), `${node} said so`, [node, attempt], { node }, true, null, undefined][draw(8, 7)];
    const effects = channel.length > 0 ? { channel } : {};
    const plain: Outcome = { kind: 'value', ...(value === undefined ? {} : { value }), ...effects };
    const kind = draw(10, 40);
    if (kind < 6) return { kind: 'failed', error: { name: 'Error', message: `no, says ${node}` }, random: 0 };
    if (kind === 6) return { kind: 'failed', error: { name: 'NonRetryableError', code: 'task/non-retryable', message: 'never' }, random: 0 };
    if (kind < 10 && answers === undefined) return { kind: 'ask', signal: 'go', ...(draw(12, 2) === 0 ? { question: { node } } : {}) };
    if (kind < 14 && iteration <= Math.min(3, maxIterations)) return { kind: 'iterate', input: draw(12, 9), ...effects };
    if (hop > 4 || key.split(/[~.]/).length > 5) return plain;
    const targets = [...this.plan.graph.uses, 'extra', ...Object.keys(this.plan.graph.nodes)].filter((id) => id !== this.plan.graph.root);
    const target = { node: targets[draw(14, targets.length)] as NodeId, input: draw(16, 9) };
    const fragments = { fragments: { extra: EXTRA } };
    if (kind < 17) return { kind: 'goto', target, ...effects, ...fragments };
    if (kind < 20) return { ...plain, spawned: [target, { node: 'extra' }], ...fragments };
    if (kind === 20) return { kind: 'terminate', ...(value === undefined ? {} : { output: value }), ...effects };
    if (kind === 21 && draw(18, 8) === 0) return { kind: 'cancel', error: { name: 'WorkflowCancelledError', code: 'run/cancelled', message: `stopped by ${key}` } };
    return plain;
  }
}

function executionOf({ id, node, attempt, iteration, answers, hop, path }: Start): Execution {
  return { key: executionKey({ id, hop, path }), node, attempt, iteration, answers: answers as Json | undefined, hop, report: (end) => ({ id, end }) };
}

function isPlain(end: Outcome): end is Extract<Outcome, { kind: 'value' }> {
  return end.kind === 'value' && end.channel === undefined && end.spawned === undefined && end.fragments === undefined;
}

function entryOf(node: GraphNode, index: number): NodeId {
  if (node.kind === 'each') return node.body;
  return node.kind === 'parallel' || node.kind === 'dag' ? (node.members[index]?.entry ?? '') : '';
}

/** A member on a worker. */
interface Stay {
  readonly unit: Unit;
  readonly played: Played;
}

/** A graph whose groups' members are executed as branches. `draw` decides who is next, and who hands what back. */
export class Elsewhere {
  readonly main: Played;
  readonly done: string[] = [];
  readonly #here: Plan;
  readonly #draw: (sides: number) => number;
  readonly #handsOver: boolean;
  #stays: Stay[] = [];
  #now = 10;
  /** How often a branch went through JSON, waiting or handed over. */
  parked = 0;
  handedOver = 0;

  /** With `handsOver` workers give branches back also while these could go on. */
  constructor(plan: Plan, input: Json, facts: Facts, draw: (sides: number) => number, handsOver = true) {
    this.main = new Played(plan, initialContext(plan.graph.workflow, plan.graph.root, input), facts);
    this.#here = planOf(plan.graph, plan.graphHash, plan.policies, () => true);
    this.#draw = draw;
    this.#handsOver = handsOver;
  }

  /** Says whether the run has ended. */
  run(limit = 20_000): boolean {
    this.main.begin(this.#now);
    for (let left = limit; left > 0 && !this.main.over; left -= 1) {
      this.#take();
      const busy = this.#stays.filter(({ played }) => played.busy || played.over);
      if (this.main.busy && this.#draw(2) === 0) this.main.settleOne(this.#now);
      else if (busy.length > 0) this.#goOn(busy[this.#draw(busy.length)] as Stay);
      else if (this.main.busy) this.main.settleOne(this.#now);
      else this.#idle();
    }
    this.done.push(...this.main.done);
    return this.main.over;
  }

  /** Workers take what has left. */
  #take(): void {
    for (const unit of this.main.units.splice(0)) {
      const facts: Facts = { concurrency: 1 };
      const { entry, key, index, channel, stepsLeft, unit: back } = unit;
      const context = back?.branch === undefined
        ? branchContext({ workflow: this.main.plan.graph.workflow, entry, path: `${key}.${index}`, input: unit.input, channel, stepsLeft })
        : revivedBranch(back.branch as unknown as ExecutionContext, channel, stepsLeft);
      const played = new Played(this.#here, throughJson(context), facts);
      for (const [name, ...value] of back?.signals ?? []) played.send({ type: 'SIGNAL', at: this.#now, name, ...(value.length === 0 ? {} : { value: value[0] }) });
      played.begin(this.#now);
      if (!played.busy && played.asksFor === undefined) played.due(this.#now);
      this.#stays.push({ unit, played });
    }
    // A worker that has nothing to do for a member hands it back, or holds it until its time comes.
    for (const stay of this.#stays) if (!stay.played.busy && !stay.played.over && (stay.played.asksFor !== undefined || this.#draw(2) === 0)) this.#back(stay);
  }

  #goOn(stay: Stay): void {
    const begun = stay.played.done.length > 0;
    if (stay.played.over || (this.#handsOver && begun && this.#draw(6) === 0)) {
      if (!stay.played.over) this.handedOver += 1;
      this.#back(stay);
    } else stay.played.settleOne(this.#now);
  }

  #back({ unit, played }: Stay): void {
    const { group, index, token } = unit;
    const end = throughJson(branchOutcome(this.#here, played.context)) as UnitOutcome;
    if (end.kind === 'parked') this.parked += 1;
    this.#stays = this.#stays.filter((stay) => stay.played !== played);
    this.done.push(...played.done);
    this.main.send({ type: 'SETTLED', at: this.#now, reports: [token === undefined ? { group, index, end } : { id: token, end }] });
    // Whoever was told to stop, stops.
    this.#stays = this.#stays.filter((stay) => Vec.get(this.main.context.groups, stay.unit.group) !== undefined);
  }

  /** Invariant 2. */
  #idle(): void {
    if (this.main.units.length > 0) return;
    const signal = this.main.asksFor;
    if (signal !== undefined) return this.main.send({ type: 'SIGNAL', at: this.#now, name: signal, value: `to ${signal}` });
    this.#now = Math.max(this.#now, Math.min(this.main.dueAt, ...this.#stays.map(({ played }) => played.dueAt)));
    this.main.due(this.#now);
    for (const { played } of this.#stays) played.due(this.#now);
  }
}

/** The same graph in one context. */
export function playHere(plan: Plan, input: Json, facts: Facts, limit = 20_000): Played {
  const here = planOf(plan.graph, plan.graphHash, plan.policies, () => true);
  const played = new Played(here, initialContext(plan.graph.workflow, plan.graph.root, input), facts);
  let now = 10;
  played.begin(now);
  for (let left = limit; left > 0 && !played.over; left -= 1) {
    const signal = played.asksFor;
    if (played.busy) played.settleOne(now);
    else if (signal !== undefined) played.send({ type: 'SIGNAL', at: now, name: signal, value: `to ${signal}` });
    else {
      now = Math.max(now, played.dueAt);
      played.due(now);
    }
  }
  return played;
}

/**
 * A shape in which it does not matter which of two members is first: to get a signal, or to fail and end the others. Those
 * races are decided otherwise where a branch is handed over.
 */
export function fairly(shape: Shape): Shape {
  switch (shape.kind) {
    case 'wait':
      return { ...shape, signal: shape.signal === 'stop' && shape.timeoutMs !== undefined ? 'never' : 'go' };
    case 'sequence':
      return { ...shape, parts: shape.parts.map(fairly) };
    case 'parallel':
      return { ...shape, parts: shape.parts.map(fairly), policy: patient(shape.policy) };
    case 'dag':
      // Each needs all before it.
      return { ...shape, parts: shape.parts.map(fairly), needs: shape.needs.map((needs) => needs.map(() => true)) };
    case 'each':
      return { ...shape, body: fairly(shape.body), policy: patient(shape.policy) };
    case 'scope':
      return { ...shape, body: fairly(shape.body) };
    default:
      return shape;
  }
}

function patient(policy: PolicyPlan): PolicyPlan {
  if (!('failFast' in policy)) return policy;
  const { failFast: _, ...waits } = policy;
  return waits;
}
