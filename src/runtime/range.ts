/**
 * The members of one fan-out that are in the executor's hands: lanes that take the next member as soon as one ends.
 *
 * Owns: never more than `limit` members at a time; each granted member runs once. Does not own: which members there
 * are (the machine grants them), reporting (outbox.ts).
 *
 * Invariant: a lane holds the event loop for at most one time slice, however many members settle without waiting.
 */
import type { EachNode, NodeId, ParallelNode, TaskNode } from '../core/graph.ts';
import type { Json } from '../core/json.ts';
import { executionKey, type Outcome, type RangeStart } from '../../machines/index.ts';
import type { TaskImplementation } from '../define/definition.ts';
import type { Backend } from '../ports.ts';
import { abortedReason, callOf, execute, type Abortable, type Site } from './execution.ts';
import { Invocation } from './invocation.ts';
import type { Outbox } from './outbox.ts';
import type { Slice } from './slice.ts';
import type { TaskPlace } from './observer.ts';

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

const NO_VALUE = [] as const;

export class Range {
  readonly group: number;
  readonly #host: RangeHost;
  readonly #node: EachNode | ParallelNode;
  readonly #limit: number;
  readonly #size: number;
  readonly #items: readonly Json[] | undefined;
  readonly #input: Json | undefined;
  readonly #backend: Backend | undefined;
  readonly #granted: { at: number; readonly to: number }[] = [];
  readonly #running = new Set<Abortable>();
  #lanes = 0;
  #aborted = false;

  constructor(host: RangeHost, start: RangeStart, node: EachNode | ParallelNode, backend: Backend | undefined) {
    this.#host = host;
    this.group = start.group;
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
    const waiting = this.#granted.reduce((sum, part) => sum + part.to - part.at, 0);
    for (let open = Math.min(this.#limit - this.#lanes, waiting); open > 0; open -= 1) void this.#lane();
  }

  abort(): void {
    this.#aborted = true;
    this.#granted.length = 0;
    if (this.#running.size === 0) return;
    const reason = abortedReason(this.#host.site);
    for (const running of this.#running) running.abort(reason);
  }

  #next(): number {
    const part = this.#granted[0];
    if (part === undefined || this.#host.paused) return -1;
    const index = part.at;
    part.at += 1;
    if (part.at >= part.to) this.#granted.shift();
    return index;
  }

  async #lane(): Promise<void> {
    this.#lanes += 1;
    const { slice } = this.#host;
    for (let index = this.#next(); index >= 0; index = this.#next()) {
      if (slice.spent()) await slice.next();
      if (this.#aborted) break;
      await this.#run(index);
      if (this.#aborted) break;
    }
    this.#lanes -= 1;
    this.#host.laneEnded(this);
  }

  #run(index: number): Promise<void> | undefined {
    const { site } = this.#host;
    const entry = this.#node.kind === 'each' ? this.#node.body : (this.#node.members[index]?.entry ?? '');
    const task = site.code.node(entry) as TaskNode;
    const implementation = site.code.implementation(entry);
    const input = this.#items === undefined ? this.#input : this.#items[index];
    const place = this.#place(entry, index);
    if (implementation === undefined || task.timeoutMs !== undefined || this.#backend !== undefined || site.observers.watched) {
      return this.#slowly(index, place, task, input);
    }
    return this.#quickly(index, new Invocation(callOf(site, place, input)), implementation);
  }

  #place(task: NodeId, index: number): TaskPlace {
    const key = executionKey({ id: 0, hop: 0, group: this.group, index });
    return { task, key, attempt: 1, iteration: 0, group: { id: this.#node.id, index, size: this.#size } };
  }

  async #slowly(index: number, place: TaskPlace, task: TaskNode, input: Json | undefined): Promise<void> {
    let running: Abortable | undefined;
    const outcome = await execute(this.#host.site, place, task, input, this.#backend, (abortable) => {
      running = abortable;
      this.#running.add(abortable);
    });
    if (running !== undefined) this.#running.delete(running);
    if (!this.#aborted) this.#report(index, outcome);
  }

  async #quickly(index: number, invocation: Invocation, implementation: TaskImplementation): Promise<void> {
    this.#running.add(invocation);
    let outcome: Outcome;
    try {
      outcome = invocation.settle(await invocation.begin(implementation));
    } catch (thrown) {
      outcome = invocation.fail(thrown, this.#host.site.environment.random.next());
    }
    this.#running.delete(invocation);
    if (!this.#aborted) this.#report(index, outcome);
  }

  #report(index: number, outcome: Outcome): void {
    const { outbox } = this.#host;
    if (outcome.kind === 'value' && outcome.spawned === undefined && outcome.channel === undefined) {
      outbox.cell(this.group, index, outcome.value === undefined ? NO_VALUE : [outcome.value]);
      return;
    }
    outbox.member(this.group, index, outcome);
    if (outcome.kind === 'cancel' || outcome.kind === 'failed') this.#host.urgent();
  }
}
