/**
 * Members that are executed elsewhere, each as a whole: what leaves, how it comes back, what it waits for meanwhile.
 *
 * Owns: handing out, taking back, reviving. Does not own: when members start (admit.ts), the way there (the executor).
 *
 * Invariants
 * 1. A member is away at most once at a time: as part of a range, or as one token in flight.
 * 2. Where a group's members are executed is settled when it begins, so a run whose code has changed since finds them again.
 * 3. A member that came back unfinished is in `handed` until it has an outcome; while it waits, `waiting` names the tokens
 *    that stand for what it waits for, and no other place holds a token of it.
 */
import type { GroupNode, NodeId } from '../../src/core/graph.ts';
import { InvariantError } from '../../src/core/errors.ts';
import { isFailure, type Boxed } from './cells.ts';
import { applyOperations } from './channel.ts';
import { groupKey, type Handed, type Token } from './context.ts';
import type { Draft, OpenGroup } from './draft.ts';
import type { RangeStart, UnitOutcome, UnitStart } from './events.ts';
import { stepLimit, taskProblem } from './failures.ts';
import { memberEnded } from './members.ts';
import { push } from './queue.ts';
import { conclude } from './scopes.ts';
import { takeEarly } from './early.ts';

type Parked = Extract<UnitOutcome, { kind: 'parked' }>;

/** Members that travel together; nothing where they are executed here. With a step limit each is counted by itself. */
export function batchOf(draft: Draft, node: GroupNode): number | undefined {
  if (!draft.plan.isRemote(node)) return undefined;
  return node.kind === 'each' && draft.run?.maxSteps === undefined ? (node.batch ?? 1) : 1;
}

/** Whether a group's members are executed elsewhere. */
export function isAway(group: OpenGroup): boolean {
  return group.batch !== undefined;
}

/** What the executor is told of members that leave as a range from `from` on, once they are counted as started. */
export function unitsOf(draft: Draft, { batch = 1 }: OpenGroup, node: GroupNode, from: number): NonNullable<RangeStart['units']> {
  return { batch, ...stepsLeft(draft, isTask(draft, entryOf(node, from)) ? 1 : 0) };
}

/** The same for a member that leaves by itself; nothing where its group is executed here. */
export function unitOf(draft: Draft, token: Token): UnitStart | undefined {
  const group = token.group === undefined || token.index === undefined ? undefined : draft.group(token.group);
  if (group === undefined || !isAway(group)) return undefined;
  const handed = group.handed.get(token.index as number);
  const back = handed === undefined ? {} : { branch: handed.branch, signals: handed.signals };
  const { node, input } = group.parent;
  const common = draft.node(node).kind === 'parallel' && input !== undefined ? { input } : {};
  return { generation: handed?.generation ?? 0, ...back, ...common, key: groupKey(group.parent), size: group.size, ...stepsLeft(draft, isPaid(draft, token) ? 1 : 0) };
}

/**
 * Whether an execution is taken from the limit when a token starts for the first time. A member that is executed elsewhere
 * says afterwards how many it took; what it takes surely, the task that it begins with, is taken at once.
 */
export function isPaid(draft: Draft, { node, group, index = -1 }: Token): boolean {
  return isTask(draft, node) && (group === undefined || draft.group(group)?.handed.get(index) === undefined);
}

/** The same for the members of a range that leaves: they are all alike in it. */
export function isRangePaid(draft: Draft, group: OpenGroup, node: GroupNode): boolean {
  return isTask(draft, entryOf(node, group.cursor));
}

/** Whether two members can leave in one range. */
export function areAlike(draft: Draft, node: GroupNode, one: number, other: number): boolean {
  return node.kind === 'each' || isTask(draft, entryOf(node, one)) === isTask(draft, entryOf(node, other));
}

function isTask(draft: Draft, node: NodeId): boolean {
  return draft.node(node).kind === 'task';
}

function entryOf(node: GroupNode, index: number): NodeId {
  return node.kind === 'each' ? node.body : (node.members[index]?.entry ?? '');
}

/** `own`: executions that were taken from the limit for it when it was started. */
function stepsLeft(draft: Draft, own: number): { readonly stepsLeft?: number } {
  const limit = draft.run?.maxSteps;
  return limit === undefined ? {} : { stepsLeft: Math.max(0, limit - draft.steps) + own };
}

/** A member has come back; its token holds no place any more, but still its slot. */
export function cameBack(draft: Draft, token: Token, end: UnitOutcome): void {
  const { group: groupId = -1, index = -1 } = token;
  const group = draft.group(groupId);
  if (group === undefined || !isAway(group)) throw new InvariantError('invariant/not-away', `"${token.node}" came back from elsewhere, but was executed here`);
  const handed = group.handed.get(index);
  draft.steps += Math.max(0, end.steps - (isPaid(draft, token) ? 1 : 0));
  count(draft, token, end);
  const misfit = end.channel === undefined ? undefined : applyOperations(draft, end.channel);
  const limit = draft.run?.maxSteps;
  if ((end.kind === 'ended' && end.over === true) || (limit !== undefined && draft.steps > limit)) return conclude(draft, { kind: 'failed', error: stepLimit(draft, limit ?? end.steps) });
  if (misfit !== undefined) {
    const message = `task "${token.node}" of workflow "${draft.before.workflow}": ${misfit}`;
    return over(draft, group, index, { error: taskProblem(draft, token, 'task/channel', message, 'use one kind of value for each key') });
  }
  if (end.kind === 'ended') over(draft, group, index, end.cell);
  else parked(draft, group, token, end, handed);
}

function count(draft: Draft, token: Token, end: UnitOutcome): void {
  if (end.counts !== undefined) for (const node in end.counts) draft.count(node, end.counts[node] as number);
  else if (end.kind === 'ended' && !isFailure(end.cell)) draft.count(token.node, 1);
}

function over(draft: Draft, group: OpenGroup, index: number, cell: Parameters<typeof memberEnded>[3]): void {
  group.handed.delete(index);
  memberEnded(draft, group.id, index, cell);
}

function parked(draft: Draft, group: OpenGroup, token: Token, end: Parked, before: Handed | undefined): void {
  const index = token.index as number;
  group.apart.set(index, 1);
  group.active -= 1;
  draft.agenda.add(group);
  const signals = end.waits.flatMap(({ signal }): Handed['signals'] => {
    const early = takeEarly(draft, signal);
    return early === undefined ? [] : [[signal, ...early]];
  });
  const waiting = signals.length > 0 ? [] : standIns(draft, token, end);
  group.handed.set(index, { generation: (before?.generation ?? 0) + 1, branch: end.branch, signals, waiting });
  if (waiting.length === 0) goesOn(draft, group, token);
}

/** A token for each wait of a member, and one for its due time. */
function standIns(draft: Draft, token: Token, { waits, due }: Parked): number[] {
  const ids: number[] = [];
  const standIn = (node: NodeId, attempt: number): Token => {
    const id = draft.newId();
    ids.push(id);
    return { ...token, id, node, attempt };
  };
  for (const { node, ...wait } of waits) {
    const stand = standIn(node, 1);
    draft.waits.set(stand.id, { token: stand, ...wait });
  }
  if (due !== undefined) {
    const { node, attempt, ...time } = due;
    const stand = standIn(node, attempt);
    draft.delayed.set(stand.id, { token: stand, ...time });
    draft.arm.push([stand.id, time.dueAt]);
  }
  return ids;
}

/** Something has come that a member waits for; says whether it was one that is executed elsewhere. */
export function revive(draft: Draft, token: Token, signal?: readonly [name: string, value: Boxed]): boolean {
  const group = token.group === undefined ? undefined : draft.group(token.group);
  const handed = group?.handed.get(token.index ?? -1);
  if (group === undefined || handed === undefined) return false;
  if (signal !== undefined) group.handed.set(token.index as number, { ...handed, signals: [...handed.signals, [signal[0], ...signal[1]]] });
  goesOn(draft, group, token);
  return true;
}

/** The member waits for a slot, and then leaves again. What else it waits for is forgotten: it says so again if it still does. */
function goesOn(draft: Draft, group: OpenGroup, token: Token): void {
  const index = token.index as number;
  const handed = group.handed.get(index) as Handed;
  for (const id of handed.waiting) {
    draft.waits.delete(id);
    draft.forgetTime(id);
  }
  group.handed.set(index, { ...handed, waiting: [] });
  const entry = entryOf(draft.node(group.parent.node) as GroupNode, index);
  group.ready = push(group.ready, { ...token, id: draft.newId(), node: entry, attempt: 1 });
  draft.agenda.add(group);
}

/**
 * Members from the cursor on that leave together, about `most`: whole batches, so the last one may go beyond the limit of the
 * group; of a parallel those that begin alike, for the sake of the step limit.
 */
export function alignedRun(draft: Draft, group: OpenGroup, node: GroupNode, most: number): number {
  if (node.kind === 'each') {
    const { batch = 1 } = group;
    return Math.min(group.size - group.cursor, Math.max(1, Math.floor(most / batch)) * batch);
  }
  let run = 1;
  while (run < most && areAlike(draft, node, group.cursor, group.cursor + run)) run += 1;
  return run;
}
