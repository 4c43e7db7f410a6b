/**
 * The executor: the root actor that runs tasks for one ExecutionContext and reports how they ended.
 *
 * Owns: executions in progress. Does not own: what an outcome means, or what runs next (the machine), except that a
 * token with `ahead` may go on along plain values, as the machine's own rules would have it.
 *
 * Invariants
 * 1. A command for something that is already running changes nothing, so READY may be answered at any time.
 * 2. An aborted execution is never reported.
 * 3. A cancel, and a failure that may end something, is reported before anything else is started by this executor's own
 *    decision. A failed member of a group that waits for all of its members goes with the next batch.
 * 4. While everything waits for the machine, reports do not wait for the next turn.
 */
import type { EachNode, NodeId, ParallelNode } from '../core/graph.ts';
import type { ExecuteCommand, ExecutionEvent, RangeStart, Start } from '../../machines/index.ts';
import type { Backend } from '../ports.ts';
import type { Site } from './execution.ts';
import type { GroupExecutor } from './group-executor.ts';
import type { RemoteGroups } from './remote/groups.ts';
import { unknownTask } from './errors.ts';
import { Outbox } from './outbox.ts';
import { Range, type RangeHost } from './range.ts';
import { Slice } from './slice.ts';
import { TokenRun, type TokenHost } from './token-run.ts';

export class Executor implements RangeHost, TokenHost {
  readonly site: Site;
  readonly outbox: Outbox;
  readonly slice: Slice;
  readonly #groups: GroupExecutor;
  /** Made when the first member leaves. */
  readonly #makeRemote: () => RemoteGroups;
  #remote: RemoteGroups | undefined;
  readonly #tokens = new Map<number, TokenRun>();
  readonly #ranges = new Map<number, Range>();
  paused = false;
  #flushing = false;

  constructor(site: Site, groups: GroupExecutor, remote: () => RemoteGroups, send: (event: ExecutionEvent) => void, congestion: () => Promise<void> | undefined) {
    this.site = site;
    this.#groups = groups;
    this.#makeRemote = remote;
    this.slice = new Slice(site.environment.clock, congestion);
    this.outbox = new Outbox(site.environment.clock, send, () => {
      for (const run of this.#tokens.values()) run.reportMoves();
    });
  }

  receive(command: ExecuteCommand): void {
    if (command.fragments !== undefined) this.site.code.restore(command.fragments);
    this.site.channel = command.channel;
    // Groups first: their members need not be stopped one by one then.
    for (const id of command.abortGroups) this.#abortRange(id);
    for (const id of command.abort) this.#abortToken(id);
    for (const id of command.hold) this.#tokens.get(id)?.hold();
    const resumed = this.paused && !command.paused;
    this.paused = command.paused;
    for (const start of command.start) this.#startToken(start, command.revision);
    // The answer to READY tells of all members again, also of those that are in these hands.
    const held = command.fragments === undefined ? undefined : new Set(this.#ranges.keys());
    for (const range of command.ranges) if (held?.has(range.group) !== true) this.#startRange(range, command.revision);
    if (resumed) for (const range of this.#ranges.values()) range.wake();
  }

  /** Reports everything that is known, now: before a snapshot, or when nothing else is left to do. */
  flush(): void {
    this.outbox.flush();
  }

  close(): void {
    this.outbox.close();
    for (const id of [...this.#tokens.keys()]) this.#abortToken(id);
    for (const id of [...this.#ranges.keys()]) this.#abortRange(id);
  }

  /** A failure must be known before more is started: what comes next may be an abort. */
  urgent(): void {
    this.outbox.flush();
  }

  laneEnded(range: Range): void {
    if (range.exhausted && this.#ranges.get(range.group) === range) this.#ranges.delete(range.group);
    this.#flushWhenIdle();
  }

  tokenEnded(run: TokenRun): void {
    if (this.#tokens.get(run.id) === run) this.#tokens.delete(run.id);
    this.#flushWhenIdle();
  }

  /** What is executed by workers. */
  get remote(): RemoteGroups {
    return (this.#remote ??= this.#makeRemote());
  }

  /** Whether anything was ever sent to workers. */
  get reached(): RemoteGroups | undefined {
    return this.#remote;
  }

  backendFor(within: NodeId | undefined): Backend | undefined {
    return within === undefined ? undefined : this.#groups.backendFor(within);
  }

  /** Nothing is being executed here. */
  get idle(): boolean {
    if (this.#tokens.size > 0) return false;
    for (const range of this.#ranges.values()) if (!range.idle) return false;
    return true;
  }

  /** Nothing runs, so nothing is gained by gathering more; unless others had no turn for too long. */
  #flushWhenIdle(): void {
    if (this.#flushing || this.#tokens.size > 0 || this.slice.spent() || !this.idle) return;
    this.#flushing = true;
    try {
      this.outbox.flush();
    } finally {
      this.#flushing = false;
    }
  }

  #startToken(start: Start, revision: number): void {
    if (this.#tokens.has(start.id)) return;
    if (start.unit !== undefined) return this.remote.startToken(start, revision);
    this.#needCode(start.node);
    const run = new TokenRun(this, start);
    this.#tokens.set(start.id, run);
    run.begin();
  }

  #startRange(start: RangeStart, revision: number): void {
    if (start.units !== undefined) return this.remote.startRange(start, revision);
    let range = this.#ranges.get(start.group);
    if (range === undefined) {
      this.#needCode(start.node);
      const node = this.site.code.node(start.node) as EachNode | ParallelNode;
      range = new Range(this, start, node, this.backendFor(start.node));
      this.#ranges.set(start.group, range);
    }
    range.grant(start.from, start.to);
  }

  /** A restored run may stand at a step that this process has not loaded. That ends the actor, and not the run: it can be resumed elsewhere. */
  #needCode(node: NodeId): void {
    if (this.site.code.node(node) === undefined) throw unknownTask(this.site.code, node);
  }

  #abortToken(id: number): void {
    const run = this.#tokens.get(id);
    if (run === undefined) return this.#remote?.abortToken(id);
    this.#tokens.delete(id);
    run.abort();
  }

  #abortRange(group: number): void {
    const range = this.#ranges.get(group);
    if (range === undefined) return this.#remote?.abortGroup(group);
    this.#ranges.delete(group);
    range.abort();
  }
}
