/**
 * The groups of a run: which are open, which have ended, and what that means for the nodes of the graph.
 *
 * Owns: the trackers of groups, the members that tokens and branches stand for. Does not own: the states of members (groups.ts),
 * what a failure means beyond its group (run-tracker.ts).
 *
 * Invariants
 * 1. At most TRACKED groups are followed member by member; of the others only the nodes' counts are kept.
 * 2. Every group that was followed is told as ended, once.
 */
import { Vec, type ExecutionContext, type Group, type Report, type Scope, type Token } from '../../machines/index.ts';
import { failedMembers } from './failed-members.ts';
import type { GraphIndex } from './graph-index.ts';
import { GroupTracker, type HeldCode, type MemberEnd, type MemberOf } from './groups.ts';
import type { NodeId } from '../core/graph.ts';
import type { GroupMessage, MessageBase } from './messages.ts';
import type { NodeLedger } from './nodes.ts';
import type { PlaceChange, TokenLedger } from './tokens.ts';
import { diffVec } from './vec-diff.ts';

const TRACKED = 250;
const ENDED_KEPT = 20;
const ENDED_MEMBERS_KEPT = 50_000;
const MESSAGES_PER_TAKE = 150;

/** A group that is not in the context any more, as it was right before, and what its last step was told. */
export interface GroupEnd {
  readonly group: Group;
  readonly reports: readonly Report[];
  readonly before: ExecutionContext;
}

/** A member's outcome that means something for the graph. */
export interface MemberEnded extends MemberEnd {
  readonly group: Group;
}

export class GroupLedger {
  readonly trackers = new Map<number, GroupTracker>();
  /** Followed groups that have ended, newest last: for those who ask for their values. */
  readonly ended = new Map<number, GroupTracker>();
  /** Members that run as part of ranges, over all groups. */
  running = 0;
  /** Tokens that wait for a slot of their group. */
  queued = 0;
  readonly #index: GraphIndex;
  readonly #nodes: NodeLedger;
  readonly #tokens: TokenLedger;
  readonly #rangeRunning = new Map<number, number>();
  readonly #untold: GroupTracker[] = [];

  constructor(index: GraphIndex, nodes: NodeLedger, tokens: TokenLedger) {
    this.#index = index;
    this.#nodes = nodes;
    this.#tokens = tokens;
  }

  /** `completions`: how often nodes have completed since `before`; those of ended groups are taken out. */
  update(before: ExecutionContext | undefined, after: ExecutionContext, moved: readonly PlaceChange[], ends: ReadonlyMap<number, GroupEnd>, completions: Map<NodeId, number>): MemberEnded[] {
    const changed: [number, Group | undefined, Group | undefined][] = [];
    diffVec(before?.groups ?? Vec.emptyVec<Group>(), after.groups, (id, from, to) => {
      changed.push([id, from, to]);
      if (from === undefined && to !== undefined) this.#open(to, after.at);
    });
    for (const { before: was, after: is } of moved) this.#hold(was?.token ?? is?.token, is && ({ running: 'r', waiting: 'w', retrying: 't' } as const)[is.state]);
    diffVec(before?.branches ?? Vec.emptyVec<Scope>(), after.branches, (_id, from, to) => this.#branch(from, to, after.at));
    const list: MemberEnded[] = [];
    for (const [id, from, to] of changed) {
      if (to !== undefined) this.#update(to, from, list);
      else if (from !== undefined) this.#end(from, after, ends.get(id), this.#takeCompletion(from.parent.node, after, completions), list);
    }
    return list;
  }

  /** What has changed, once; the rest comes with the next frame. */
  take(base: MessageBase): GroupMessage[] {
    const list: GroupMessage[] = [];
    for (const tracker of this.#untold.splice(0, MESSAGES_PER_TAKE)) list.push(tracker.message(base));
    for (const tracker of this.trackers.values()) {
      if (list.length >= MESSAGES_PER_TAKE) break;
      if (tracker.changed) list.push(tracker.message(base));
    }
    return list;
  }

  get hasChanged(): boolean {
    if (this.#untold.length > 0) return true;
    for (const { changed } of this.trackers.values()) if (changed) return true;
    return false;
  }

  find(id: number): GroupTracker | undefined {
    return this.trackers.get(id) ?? this.ended.get(id);
  }

  #open(group: Group, at: number): void {
    const { node } = group.parent;
    this.#nodes.begun(node, at);
    this.#nodes.running(node, 1);
    this.#nodes.members(node, group.size, 0, 0, 0);
    const kind = this.#index.nodes[node];
    if (kind?.kind === 'each') this.#nodes.begun(kind.body, at);
    if (this.trackers.size >= TRACKED) return;
    const limit = kind?.kind === 'parallel' || kind?.kind === 'each' || kind?.kind === 'dag' ? kind.execution.concurrency : group.size;
    const distinct = kind?.kind === 'parallel' ? (index: number, by: 1 | -1, stopped = false) => this.#rangeMember(node, index, by, stopped, at) : undefined;
    this.trackers.set(group.id, new GroupTracker(group, limit, at, distinct));
  }

  #rangeMember(node: string, index: number, by: 1 | -1, stopped: boolean, at: number): void {
    const entry = this.#index.entryOf(node, index);
    if (entry === undefined) return;
    if (by === 1) this.#nodes.begun(entry, at);
    this.#nodes.running(entry, by);
    if (stopped) this.#nodes.stopped(entry, at);
  }

  #update(to: Group, from: Group | undefined, list: MemberEnded[]): void {
    const tracker = this.trackers.get(to.id);
    const fresh = tracker?.update(to, from) ?? [];
    for (const end of fresh) list.push({ ...end, group: to });
    const running = this.#countRunning(to, tracker);
    const failed = to.failed - (from?.failed ?? 0);
    this.#nodes.members(to.parent.node, 0, to.outcomes.size - (from?.outcomes.size ?? 0) - failed, failed, running);
    this.queued += to.ready.size - (from?.ready.size ?? 0);
  }

  /** Returns by how much the running members of the group have changed. */
  #countRunning(group: Group, tracker: GroupTracker | undefined): number {
    const now = tracker?.rangeRunning ?? group.open;
    const by = now - (this.#rangeRunning.get(group.id) ?? 0);
    this.#rangeRunning.set(group.id, now);
    this.running += by;
    const node = this.#index.nodes[group.parent.node];
    if (node?.kind === 'each') this.#nodes.running(node.body, by);
    return by;
  }

  #takeCompletion(node: NodeId, { verdict }: ExecutionContext, completions: Map<NodeId, number>): boolean {
    const times = completions.get(node) ?? 0;
    if (times > 0) completions.set(node, times - 1);
    return times > 0 || (!this.#index.isCounted(node) && verdict?.kind !== 'failed' && verdict?.kind !== 'cancelled');
  }

  #end(seen: Group, after: ExecutionContext, end: GroupEnd | undefined, completed: boolean, list: MemberEnded[]): void {
    const { id: group, parent: { node } } = seen;
    const tracker = this.trackers.get(group);
    if (end !== undefined && end.group !== seen) this.#update(end.group, seen, list);
    const last = end?.group ?? seen;
    const failures = failedMembers(after, node, (member) => this.#memberIndex(node, member, last.size));
    const late = tracker?.end(end?.reports ?? [], (token) => (end === undefined ? undefined : memberOf(end.before, token, group)), completed, failures, after.at) ?? [];
    for (const one of late) list.push({ ...one, group: last });
    const running = this.#rangeRunning.get(group) ?? 0;
    this.#rangeRunning.delete(group);
    this.running -= running;
    const body = this.#index.nodes[node];
    if (body?.kind === 'each') this.#nodes.running(body.body, -running);
    if (!completed) for (const id of body?.kind === 'each' && running > 0 ? [node, body.body] : [node]) this.#nodes.stopped(id, after.at);
    this.queued -= last.ready.size;
    const counts = tracker?.counts ?? { done: completed ? last.size - last.failed : last.outcomes.size - last.failed, failed: last.failed };
    this.#nodes.members(node, 0, counts.done - (last.outcomes.size - last.failed), counts.failed - last.failed, -running);
    this.#nodes.running(node, -1);
    if (tracker !== undefined) this.#retire(tracker);
  }

  #retire(tracker: GroupTracker): void {
    this.trackers.delete(tracker.id);
    if (this.#untold.length < TRACKED) this.#untold.push(tracker);
    this.ended.set(tracker.id, tracker);
    let members = 0;
    for (const one of this.ended.values()) members += one.group.size;
    for (const [id, one] of this.ended) {
      if ((this.ended.size <= ENDED_KEPT && members <= ENDED_MEMBERS_KEPT) || id === tracker.id) break;
      members -= one.group.size;
      this.ended.delete(id);
    }
  }

  #hold(token: Token | undefined, code: HeldCode | undefined): void {
    if (token?.group !== undefined && token.index !== undefined) this.trackers.get(token.group)?.hold(token.index, code);
  }

  #branch(from: Scope | undefined, to: Scope | undefined, at: number): void {
    const owner = (to ?? from)?.owner;
    this.queued += (to?.queue.size ?? 0) - (from?.queue.size ?? 0);
    if (owner?.kind === 'member') this.trackers.get(owner.group)?.hold(owner.index, to && this.#codeOf(to));
    if (owner?.kind !== 'step') return;
    const { node } = owner.token;
    if (from === undefined) {
      this.#nodes.begun(node, at);
      this.#nodes.running(node, 1);
    } else if (to === undefined) this.#nodes.running(node, -1);
  }

  #codeOf(scope: Scope): HeldCode {
    if (scope.running > 0) return 'r';
    const parked = this.#tokens.parked.get(scope.id);
    if (scope.queue.size > 0 || parked === undefined) return scope.slot ? 'r' : 'q';
    return parked.waiting > 0 ? 'w' : 't';
  }

  #memberIndex(node: string, id: string, size: number): number {
    const { kind, members } = (this.#index.nodes[node] ?? {}) as { readonly kind?: string; readonly members?: readonly { readonly id: string }[] };
    const index = kind === 'each' ? Number(id) : (members ?? []).findIndex((member) => member.id === id);
    return Number.isInteger(index) && index < size ? index : -1;
  }
}

/** The member of this group that a token stood for, by itself or by its branch. */
function memberOf(context: ExecutionContext, id: number, group: number): ReturnType<MemberOf> {
  const token = Vec.get(context.inFlight, id);
  if (token === undefined) return undefined;
  const { node } = token;
  if (token.group === group && token.index !== undefined) return { index: token.index, node };
  const owner = token.scope > 0 ? Vec.get(context.branches, token.scope)?.owner : undefined;
  return owner?.kind === 'member' && owner.group === group ? { index: owner.index, node } : undefined;
}
