/**
 * One event's work on a context: opened over the old context, changed in place, and closed into the new one.
 *
 * Owns: copying what is touched, once, and collecting the commands. Does not own: any rule of how a run moves.
 *
 * Invariants
 * 1. The context that it was opened over never changes.
 * 2. Its cost is in proportion to what the event touches.
 * 3. Scopes and groups that may be able to start something are on `agenda`, and every rule that frees a slot or
 *    queues a token puts them there; admit.ts empties it.
 */
import type { GraphNode, NodeId } from '../../src/core/graph.ts';
import { InvariantError } from '../../src/core/errors.ts';
import type { Cell } from './cells.ts';
import type { ChannelOperation } from './channel-operation.ts';
import type { Delayed, ExecutionContext, Group, Handed, Running, Scope, Token, Verdict, Waiting } from './context.ts';
import type { ArmCommand, ExecuteCommand, RangeStart, Start } from './events.ts';
import type { Plan } from './plan.ts';
import { VecDraft, emptyVec, entries, get, type Vec } from './vec.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type OpenScope = Mutable<Scope>;
export type OpenGroup = Mutable<Omit<Group, 'outcomes' | 'apart' | 'needs' | 'handed'>> & {
  readonly outcomes: VecDraft<Cell>;
  readonly apart: VecDraft<1>;
  readonly needs: VecDraft<number> | undefined;
  readonly handed: VecDraft<Handed>;
};
export type AgendaItem = OpenScope | OpenGroup;

export class Draft {
  readonly plan: Plan;
  readonly before: ExecutionContext;
  readonly agenda = new Set<AgendaItem>();
  readonly inFlight: VecDraft<Running>;
  readonly delayed: VecDraft<Delayed>;
  readonly waits: VecDraft<Waiting>;
  readonly completions: VecDraft<number>;
  at: number;
  nextId: number;
  steps: number;
  openMembers: number;
  paused: boolean;
  verdict: Verdict | null;
  run: ExecutionContext['run'];
  signals: ExecutionContext['signals'];
  posted: number;
  channel: ExecutionContext['channel'];
  fragments: ExecutionContext['fragments'];
  readonly operations: VecDraft<ChannelOperation> | undefined;

  readonly start: Start[] = [];
  readonly ranges: RangeStart[] = [];
  readonly hold: number[] = [];
  readonly abort: number[] = [];
  readonly abortGroups: number[] = [];
  readonly arm: [number, number][] = [];
  readonly disarm: number[] = [];

  readonly #root: OpenScope;
  #scopes: Map<number, OpenScope | null> | undefined;
  #groups: Map<number, OpenGroup | null> | undefined;

  constructor(plan: Plan, before: ExecutionContext, at: number | undefined) {
    this.plan = plan;
    this.before = before;
    this.at = at ?? before.at;
    this.nextId = before.nextId;
    this.steps = before.steps;
    this.openMembers = before.openMembers;
    this.paused = before.paused;
    this.verdict = before.verdict;
    this.run = before.run;
    this.signals = before.signals;
    this.posted = before.posted;
    this.channel = before.channel;
    this.fragments = before.fragments;
    this.operations = before.operations && new VecDraft(before.operations);
    this.inFlight = new VecDraft(before.inFlight);
    this.delayed = new VecDraft(before.delayed);
    this.waits = new VecDraft(before.waits);
    this.completions = new VecDraft(before.completions);
    this.#root = { ...before.root };
  }

  newId(): number {
    return this.nextId++;
  }

  /** A node of the graph or of a fragment. A token's node always exists: READY has checked it. */
  node(id: NodeId): GraphNode {
    const node = this.plan.graph.nodes[id] ?? this.fragmentNode(id);
    if (node === undefined) throw new InvariantError('invariant/unknown-node', `the run stands at "${id}", which is no step of workflow "${this.before.workflow}"`);
    return node;
  }

  fragmentNode(id: NodeId): GraphNode | undefined {
    for (const name in this.fragments) {
      const node = this.fragments[name]?.nodes[id];
      if (node !== undefined) return node;
    }
    return undefined;
  }

  scope(id: number): OpenScope | undefined {
    if (id === 0) return this.#root;
    let open = this.#scopes?.get(id);
    if (open === undefined) {
      const stored = get(this.before.branches, id);
      (this.#scopes ??= new Map()).set(id, (open = stored === undefined ? null : { ...stored }));
    }
    return open ?? undefined;
  }

  addScope(scope: OpenScope): void {
    (this.#scopes ??= new Map()).set(scope.id, scope);
  }

  removeScope(id: number): void {
    (this.#scopes ??= new Map()).set(id, null);
  }

  group(id: number): OpenGroup | undefined {
    let open = this.#groups?.get(id);
    if (open === undefined) {
      const stored = get(this.before.groups, id);
      open = stored === undefined ? null : { ...stored, outcomes: new VecDraft(stored.outcomes), apart: new VecDraft(stored.apart), needs: stored.needs && new VecDraft(stored.needs), handed: new VecDraft(stored.handed ?? emptyVec<Handed>()) };
      (this.#groups ??= new Map()).set(id, open);
    }
    return open ?? undefined;
  }

  addGroup(group: OpenGroup): void {
    (this.#groups ??= new Map()).set(group.id, group);
  }

  removeGroup(id: number): void {
    (this.#groups ??= new Map()).set(id, null);
  }

  /** Every open branch scope and group: for the rare events that end something early. Linear in what is open. */
  openScopes(): OpenScope[] {
    return this.#all(this.#scopes, this.before.branches, (id) => this.scope(id));
  }

  openGroups(): OpenGroup[] {
    return this.#all(this.#groups, this.before.groups, (id) => this.group(id));
  }

  #all<T>(touched: Map<number, T | null> | undefined, stored: Vec<unknown>, open: (id: number) => T | undefined): T[] {
    const ids = new Set(touched?.keys());
    for (const [id] of entries(stored)) ids.add(id);
    return [...ids].map(open).filter((found) => found !== undefined);
  }

  count(node: NodeId, times: number): void {
    const at = this.plan.ordinal.get(node);
    if (at !== undefined) this.completions.set(at, (this.completions.get(at) ?? 0) + times);
  }

  /** A time is waited for no more. */
  forgetTime(id: number): void {
    if (this.delayed.get(id) === undefined) return;
    this.delayed.delete(id);
    this.disarm.push(id);
    // The timers disarm before they arm: what this very event wanted armed is not told at all.
    const armed = this.arm.findIndex(([told]) => told === id);
    if (armed !== -1) this.arm.splice(armed, 1);
  }

  /** Whether the executor has anything in its hands. */
  get busy(): boolean {
    return this.inFlight.size > 0 || this.openMembers > 0;
  }

  /** Closes the draft. */
  done(): ExecutionContext {
    return {
      workflow: this.before.workflow,
      ...(this.before.limits && { limits: this.before.limits }),
      run: this.run,
      at: this.at,
      revision: this.before.revision + 1,
      nextId: this.nextId,
      steps: this.steps,
      paused: this.paused,
      root: this.#root,
      branches: this.#branchesDone(),
      groups: this.#groupsDone(),
      inFlight: this.inFlight.done(),
      openMembers: this.openMembers,
      delayed: this.delayed.done(),
      timed: this.before.timed || this.arm.length > 0,
      waits: this.waits.done(),
      signals: this.signals,
      posted: this.posted,
      channel: this.channel,
      completions: this.completions.done(),
      fragments: this.fragments,
      verdict: this.verdict,
      ...(this.operations && { operations: this.operations.done() }),
    };
  }

  #branchesDone(): ExecutionContext['branches'] {
    if (this.#scopes === undefined) return this.before.branches;
    const branches = new VecDraft(this.before.branches);
    for (const [id, scope] of this.#scopes) if (scope === null) branches.delete(id);
      else branches.set(id, scope);
    return branches.done();
  }

  #groupsDone(): ExecutionContext['groups'] {
    if (this.#groups === undefined) return this.before.groups;
    const groups = new VecDraft(this.before.groups);
    for (const [id, group] of this.#groups) if (group === null) groups.delete(id);
      else groups.set(id, { ...group, outcomes: group.outcomes.done(), apart: group.apart.done(), needs: group.needs?.done(), handed: group.handed.size === 0 ? undefined : group.handed.done() });
    return groups.done();
  }

  /** What the executor is told, or nothing. */
  executeCommand(always = false): ExecuteCommand | undefined {
    const { start, ranges, hold, abort, abortGroups, paused, channel } = this;
    const changed = paused !== this.before.paused || channel !== this.before.channel;
    if (!always && !changed && start.length + ranges.length + hold.length + abort.length + abortGroups.length === 0) return undefined;
    return { type: 'EXECUTE', revision: this.before.revision + 1, start, ranges, hold, abort, abortGroups, paused, channel };
  }

  /** What the timers are told, or nothing. */
  armCommand(): ArmCommand | undefined {
    const { arm, disarm } = this;
    if (arm.length + disarm.length === 0) return undefined;
    return { type: 'ARM', revision: this.before.revision + 1, arm, disarm };
  }
}

export function isGroup(item: AgendaItem): item is OpenGroup {
  return 'outcomes' in item;
}

/** A token about to run `node` as a fresh execution. */
export function moved(token: Token, node: NodeId, input: Token['input']): Token {
  return { id: token.id, node, scope: token.scope, input, attempt: 1, iteration: 0, hop: token.hop + 1, path: token.path, main: token.main };
}
