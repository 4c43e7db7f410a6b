/**
 * The members of one fan-out that are in the executor's hands: lanes that take the next member as soon as one ends.
 *
 * Owns: never more than `limit` members at a time; each granted member runs once. Does not own: which members there
 * are (the machine grants them), reporting (outbox.ts).
 *
 * Invariants
 * 1. A lane holds the event loop for at most one time slice, however many members settle without waiting.
 * 2. What is aborted is not reported.
 * 3. The quick road and the slow road (a time limit, a backend, someone watching) give the same outcomes.
 */
import type { EachNode, NodeId, ParallelNode, TaskNode } from '../core/graph.ts';
import type { Json } from '../core/json.ts';
import { cellOf, type Outcome, type RangeStart } from '../../machines/index.ts';
import type { TaskImplementation } from '../define/definition.ts';
import type { Backend } from '../ports.ts';
import { abortedReason, execute, type Abortable, type Site } from './execution.ts';
import { Invocation, steered, type Spot } from './invocation.ts';
import type { Outbox } from './outbox.ts';
import type { Slice } from './slice.ts';

export interface RangeHost {
  readonly site: Site;
  readonly outbox: Outbox;
  readonly slice: Slice;
  readonly paused: boolean;
  /** A lane has nothing left to do. */
  laneEnded(range: Range): void;
  /** An outcome that others must not run past. */
  urgent(): void;
}

/** The task of a member, looked up once. */
interface MemberTask {
  readonly id: NodeId;
  readonly node: TaskNode;
  readonly implementation: TaskImplementation | undefined;
  readonly quick: boolean;
  readonly spot: Spot;
}

export class Range {
  readonly group: number;
  readonly #key: string;
  readonly #host: RangeHost;
  readonly #node: EachNode | ParallelNode;
  readonly #limit: number;
  readonly #size: number;
  readonly #items: readonly Json[] | undefined;
  readonly #input: Json | undefined;
  readonly #backend: Backend | undefined;
  readonly #tasks: MemberTask[] = [];
  readonly #granted: { at: number; readonly to: number }[] = [];
  /** What each lane is running. */
  readonly #running: (Abortable | undefined)[] = [];
  readonly #free: number[] = [];
  #lanes = 0;
  #aborted = false;

  constructor(host: RangeHost, start: RangeStart, node: EachNode | ParallelNode, backend: Backend | undefined) {
    this.#host = host;
    this.group = start.group;
    this.#key = start.key;
    this.#node = node;
    this.#limit = start.limit;
    this.#size = start.size;
    this.#items = start.items;
    this.#input = start.input;
    this.#backend = backend;
  }

  get idle(): boolean {
    return this.#lanes === 0;
  }

  get exhausted(): boolean {
    return this.#lanes === 0 && this.#granted.length === 0;
  }

  grant(from: number, to: number): void {
    this.#granted.push({ at: from, to });
    this.wake();
  }

  /** Opens as many lanes as there is work for. */
  wake(): void {
    let waiting = 0;
    for (const part of this.#granted) waiting += part.to - part.at;
    for (let open = Math.min(this.#limit - this.#lanes, waiting); open > 0; open -= 1) void this.#lane(this.#free.pop() ?? this.#running.length);
  }

  abort(): void {
    this.#aborted = true;
    this.#granted.length = 0;
    if (this.#lanes === 0) return;
    const reason = abortedReason(this.#host.site);
    for (const running of this.#running) running?.abort(reason);
  }

  #next(): number {
    const part = this.#granted[0];
    if (part === undefined || this.#host.paused) return -1;
    const index = part.at;
    part.at += 1;
    if (part.at >= part.to) this.#granted.shift();
    return index;
  }

  async #lane(lane: number): Promise<void> {
    this.#lanes += 1;
    this.#running[lane] = undefined;
    const { slice, site } = this.#host;
    for (;;) {
      // Before a member is taken: what is paused meanwhile has not started.
      if (slice.spent()) await slice.next();
      if (this.#aborted) break;
      const index = this.#next();
      if (index < 0) break;
      const task = this.#taskOf(index);
      const input = this.#items === undefined ? this.#input : this.#items[index];
      if (!task.quick || site.observers.watched) {
        await this.#slowly(lane, index, task, input);
        continue;
      }
      // The quick road stands here and not in a function of its own: an async function more costs a third of the speed.
      const invocation = new Invocation(task.spot, input, index);
      this.#running[lane] = invocation;
      try {
        let result = invocation.begin(task.implementation as TaskImplementation);
        if (isThenable(result)) result = await result;
        if (this.#aborted) break;
        const value = invocation.plainValue(result);
        if (value === steered) this.#report(index, invocation.settle(result));
        else this.#host.outbox.cell(this.group, index, cellOf(value));
      } catch (thrown) {
        if (this.#aborted) break;
        this.#report(index, invocation.fail(thrown, site.environment.random.next()));
      }
    }
    this.#running[lane] = undefined;
    this.#free.push(lane);
    this.#lanes -= 1;
    this.#host.laneEnded(this);
  }

  #taskOf(index: number): MemberTask {
    const at = this.#node.kind === 'each' ? 0 : index;
    return (this.#tasks[at] ??= this.#lookUp(this.#node.kind === 'each' ? this.#node.body : (this.#node.members[index]?.entry ?? '')));
  }

  #lookUp(id: NodeId): MemberTask {
    const { code } = this.#host.site;
    const node = code.node(id) as TaskNode;
    const implementation = code.implementation(id);
    const spot = { scene: this.#host.site, node: id, attempt: 1, iteration: 0, id: 0, hop: 0, path: this.#key };
    return { id, node, implementation, spot, quick: implementation !== undefined && node.timeoutMs === undefined && this.#backend === undefined };
  }

  async #slowly(lane: number, index: number, task: MemberTask, input: Json | undefined): Promise<void> {
    const key = `${this.#key}.${index}`;
    const place = { task: task.id, key, attempt: 1, iteration: 0, group: { id: this.#node.id, index, size: this.#size } };
    const job = { place, node: task.node, input, backend: this.#backend };
    const outcome = await execute(this.#host.site, job, (running) => (this.#running[lane] = running));
    if (!this.#aborted) this.#report(index, outcome);
  }

  #report(index: number, outcome: Outcome): void {
    const { outbox } = this.#host;
    if (outcome.kind === 'value' && outcome.spawned === undefined && outcome.channel === undefined && outcome.checkpoint === undefined) {
      outbox.cell(this.group, index, cellOf(outcome.value));
      return;
    }
    outbox.member(this.group, index, outcome);
    // A failure that ends nothing by itself may wait for the next batch: a fan-out may have many of them.
    if (outcome.kind === 'cancel' || (outcome.kind === 'failed' && 'failFast' in this.#node.policy)) this.#host.urgent();
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { readonly then?: unknown }).then === 'function';
}
