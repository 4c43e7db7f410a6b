/**
 * One token in the executor's hands: one execution, or with `ahead` a walk along plain values.
 *
 * Owns: where the token stands and the moves that the machine has not heard of. Does not own: the meaning of anything
 * but a plain value and a plain iteration, which only lead straight on.
 *
 * Invariant: `reportMoves` and the final report together say every move once.
 */
import { defaultMaxIterations, type NodeId, type TaskNode } from '../core/graph.ts';
import type { Json } from '../core/json.ts';
import { executionKey, type Outcome, type Start } from '../../machines/index.ts';
import type { Backend } from '../ports.ts';
import { abortedReason, execute, type Abortable, type Site } from './execution.ts';
import { unknownTask } from './errors.ts';
import { Invocation } from './invocation.ts';
import type { TaskPlace } from './observer.ts';
import type { Outbox } from './outbox.ts';
import type { Slice } from './slice.ts';

export interface TokenHost {
  readonly site: Site;
  readonly outbox: Outbox;
  readonly slice: Slice;
  readonly paused: boolean;
  backendFor(within: NodeId | undefined): Backend | undefined;
  tokenEnded(run: TokenRun): void;
  urgent(): void;
}

export class TokenRun {
  readonly id: number;
  readonly #host: TokenHost;
  readonly #start: Start;
  readonly #backend: Backend | undefined;
  #node: NodeId;
  #input: Json | undefined;
  #attempt: number;
  #iteration: number;
  #hop: number;
  #answers: Start['answers'];
  #ahead: boolean;
  #moves: number[] = [];
  #running: Abortable | undefined;
  #aborted = false;

  constructor(host: TokenHost, start: Start) {
    this.#host = host;
    this.#start = start;
    this.id = start.id;
    this.#backend = host.backendFor(start.within);
    this.#node = start.node;
    this.#input = start.input;
    this.#attempt = start.attempt;
    this.#iteration = start.iteration;
    this.#hop = start.hop;
    this.#answers = start.answers;
    this.#ahead = start.ahead;
  }

  begin(): void {
    void this.#walk();
  }

  /** From now on it ends with its present execution. */
  hold(): void {
    this.#ahead = false;
  }

  abort(): void {
    this.#aborted = true;
    this.#running?.abort(abortedReason(this.#host.site));
  }

  reportMoves(): void {
    if (this.#moves.length === 0) return;
    this.#host.outbox.add({ id: this.id, moves: this.#moves, input: this.#input });
    this.#moves = [];
  }

  async #walk(): Promise<void> {
    const { slice } = this.#host;
    for (;;) {
      if (slice.spent()) await slice.next();
      if (this.#aborted) return;
      const outcome = await this.#execute();
      if (this.#aborted) return;
      if (!this.#goOn(outcome)) return this.#end(outcome);
    }
  }

  async #execute(): Promise<Outcome> {
    const { site } = this.#host;
    const node = site.code.node(this.#node);
    const implementation = site.code.implementation(this.#node);
    if (node?.kind === 'task' && implementation !== undefined && (node.timeoutMs !== undefined || this.#backend !== undefined || site.observers.watched)) {
      const job = { place: this.#place(), node, input: this.#input, answers: this.#answers, backend: this.#backend };
      return execute(site, job, (running) => (this.#running = running));
    }
    const invocation = new Invocation({ scene: site, node: this.#node, attempt: this.#attempt, iteration: this.#iteration, id: this.id, hop: this.#hop, path: this.#start.path, answers: this.#answers }, this.#input, undefined);
    this.#running = invocation;
    try {
      if (implementation === undefined) throw unknownTask(site.code, this.#node);
      return invocation.settle(await invocation.begin(implementation));
    } catch (thrown) {
      return invocation.fail(thrown, site.environment.random.next());
    }
  }

  #place(): TaskPlace {
    const { member } = this.#start;
    return { task: this.#node, key: executionKey({ id: this.id, hop: this.#hop, path: this.#start.path }), attempt: this.#attempt, iteration: this.#iteration, ...(member && { group: member }) };
  }

  /** Takes the move itself where it may: then the machine hears of it with the next batch. */
  #goOn(outcome: Outcome): boolean {
    if (!this.#ahead || this.#host.paused) return false;
    if (outcome.kind !== 'value' && outcome.kind !== 'iterate') return false;
    if (outcome.spawned !== undefined || outcome.channel !== undefined || outcome.fragments !== undefined || outcome.checkpoint !== undefined) return false;
    const node = this.#host.site.code.node(this.#node) as TaskNode;
    if (outcome.kind === 'iterate') {
      if (this.#iteration >= (node.maxIterations ?? defaultMaxIterations)) return false;
      this.#iteration += 1;
      this.#input = outcome.input;
      this.#note(-1);
    } else {
      const next = node.next === undefined ? undefined : this.#host.site.code.node(node.next);
      if (next?.kind !== 'task') return false;
      this.#node = next.id;
      this.#iteration = 0;
      this.#input = outcome.value;
      this.#note(1);
    }
    this.#attempt = 1;
    this.#answers = undefined;
    this.#hop += 1;
    this.#host.outbox.schedule();
    return true;
  }

  #note(move: 1 | -1): void {
    const last = this.#moves.length - 1;
    const before = this.#moves[last];
    if (before !== undefined && before > 0 === move > 0) this.#moves[last] = before + move;
    else this.#moves.push(move);
  }

  #end(end: Outcome): void {
    const moved = this.#moves.length > 0 ? { moves: this.#moves, input: this.#input } : {};
    this.#moves = [];
    this.#host.outbox.add({ id: this.id, ...moved, end });
    this.#host.tokenEnded(this);
    // A failed member without a scope of its own ends nothing but itself, and a fan-out may have many of them.
    if (end.kind === 'cancel' || (end.kind === 'failed' && this.#start.group === undefined)) this.#host.urgent();
  }
}
