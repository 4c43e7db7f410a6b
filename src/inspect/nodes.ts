/**
 * The states of a graph's nodes over all their executions.
 *
 * Owns: counters per node, the state that follows from them, which of them have changed. Does not own: finding out what has
 * happened (run-tracker.ts).
 *
 * Invariants
 * 1. `take` gives every node that has changed since the last `take`, and no other.
 * 2. After `end` a node is never running, waiting or retrying.
 */
import type { NodeId } from '../core/graph.ts';
import type { GraphIndex } from './graph-index.ts';
import type { RunCounts, TaskState, TaskStateName } from './messages.ts';
import type { Place } from './tokens.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface NodeRecord extends Mutable<Omit<TaskState, 'state' | 'members'>> {
  /** How the latest execution ended; of a fan-out's body: `failed` where any did. */
  outcome: 'done' | 'failed' | 'stopped' | undefined;
  /** When the progress was told. */
  progressAt: number;
  members: Mutable<NonNullable<TaskState['members']>> | undefined;
}

export class NodeLedger {
  readonly #index: GraphIndex;
  readonly #records = new Map<NodeId, NodeRecord>();
  readonly #changed = new Set<NodeId>();
  #over = false;
  /** Of tasks alone. */
  done = 0;
  failed = 0;

  constructor(index: GraphIndex) {
    this.#index = index;
  }

  stateOf(id: NodeId): TaskStateName {
    const record = this.#records.get(id);
    if (record === undefined) return this.#over ? 'skipped' : 'pending';
    if (record.running > 0) return this.#over ? 'stopped' : 'running';
    if (record.retrying > 0) return this.#over ? 'stopped' : 'retrying';
    if (record.waiting > 0) return this.#over ? 'stopped' : 'waiting';
    return record.outcome ?? (this.#over ? 'skipped' : 'pending');
  }

  /** One execution more or less in this state. */
  moved(place: Pick<Place, 'state'>, node: NodeId, by: 1 | -1): void {
    this.#touch(node)[place.state] += by;
  }

  running(node: NodeId, by: number): void {
    if (by !== 0) this.#touch(node).running += by;
  }

  /** An execution was seen that had not been seen before. */
  begun(node: NodeId, at: number): void {
    const record = this.#touch(node);
    if (record.startedAt === undefined || !this.#index.inFanOut.has(node)) record.startedAt = at;
    record.endedAt = undefined;
    // A task tells its progress before a frame sees that it has begun.
    if (record.progressAt < at) record.progress = undefined;
    record.attempt = 1;
    record.iteration = 0;
  }

  latest(node: NodeId, attempt: number, iteration: number): void {
    const record = this.#touch(node);
    record.attempt = attempt;
    record.iteration = iteration;
  }

  completed(node: NodeId, times: number, at: number): void {
    const record = this.#touch(node);
    record.done += times;
    record.endedAt = at;
    record.progress = undefined;
    if (this.#index.nodes[node]?.kind === 'task') this.done += times;
    if (record.outcome !== 'failed' || !this.#index.inFanOut.has(node)) record.outcome = 'done';
  }

  /** Seen to be left by a token, where the machine does not count. */
  left(node: NodeId, at: number): void {
    this.completed(node, 1, at);
  }

  failedFor(node: NodeId, times: number, at: number): void {
    const record = this.#touch(node);
    record.failed += times;
    record.endedAt = at;
    record.outcome = 'failed';
    if (this.#index.nodes[node]?.kind === 'task') this.failed += times;
  }

  stopped(node: NodeId, at: number): void {
    const record = this.#touch(node);
    record.endedAt = at;
    record.outcome = 'stopped';
  }

  progress(node: NodeId, progress: TaskState['progress'], at: number): void {
    const record = this.#touch(node);
    record.progress = progress;
    record.progressAt = at;
  }

  /** Members of the groups of a node: started ones, and how they ended. */
  members(node: NodeId, size: number, done: number, failed: number, running: number): void {
    const record = this.#touch(node);
    const members = (record.members ??= { size: 0, done: 0, failed: 0, running: 0 });
    members.size += size;
    members.done += done;
    members.failed += failed;
    members.running += running;
  }

  /** The steps behind one whose completions nobody counts have been reached, so it is done. */
  infer(at: number, completed: boolean): void {
    for (const id of this.#index.uncounted) {
      const record = this.#records.get(id);
      if (record !== undefined && (record.done > 0 || record.running + record.waiting + record.retrying > 0)) continue;
      if (this.#passed(id, completed)) this.completed(id, 1, at);
    }
    for (const id of this.#index.recovering) {
      const { recover } = this.#index.nodes[id] ?? {};
      const begun = recover === undefined ? 0 : this.#begunAt(recover);
      const failed = this.#records.get(id)?.failed ?? 0;
      if (begun > failed) this.failedFor(id, begun - failed, at);
    }
  }

  /** The run has ended: what was never reached is skipped. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const id in this.#index.nodes) this.#changed.add(id);
  }

  /** What has changed since the last time. */
  take(): Record<NodeId, TaskState> | undefined {
    if (this.#changed.size === 0) return undefined;
    const entries = [...this.#changed].map((id) => [id, this.#state(id)] as const);
    this.#changed.clear();
    return Object.fromEntries(entries);
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  summary(queued: number, running: number, waiting: number, retrying: number): RunCounts {
    return { queued, running, waiting, retrying, done: this.done, failed: this.failed };
  }

  #passed(id: NodeId, completed: boolean): boolean {
    let { next } = this.#index.nodes[id] ?? {};
    if (next === undefined) return completed && this.#index.mainPath.has(id) && !this.#index.parents.has(id);
    for (let hops = 0; next !== undefined && hops < 1000; hops += 1) {
      if (this.#begunAt(next) > 0) return true;
      next = this.#index.nodes[next]?.next;
    }
    return false;
  }

  #begunAt(id: NodeId): number {
    const record = this.#records.get(id);
    return record === undefined ? 0 : record.running + record.waiting + record.retrying + record.done + record.failed;
  }

  #state(id: NodeId): TaskState {
    const record = this.#records.get(id) ?? emptyRecord();
    const { outcome: _, progressAt: __, members, progress, startedAt, endedAt, ...counts } = record;
    const idle = this.#over ? { running: 0, waiting: 0, retrying: 0 } : {};
    return {
      state: this.stateOf(id), ...counts, ...idle,
      ...(startedAt === undefined ? {} : { startedAt }),
      ...(endedAt === undefined ? {} : { endedAt }),
      ...(progress === undefined || this.#over ? {} : { progress }),
      ...(members === undefined ? {} : { members: { ...members, ...(this.#over && { running: 0 }) } }),
    };
  }

  #touch(id: NodeId): NodeRecord {
    this.#changed.add(id);
    let record = this.#records.get(id);
    if (record === undefined) this.#records.set(id, (record = emptyRecord()));
    return record;
  }
}

function emptyRecord(): NodeRecord {
  return {
    running: 0, waiting: 0, retrying: 0, done: 0, failed: 0, attempt: 1, iteration: 0, startedAt: undefined, endedAt: undefined, progress: undefined, progressAt: 0,
    outcome: undefined, members: undefined,
  };
}
