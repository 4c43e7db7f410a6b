/**
 * Starting what may start: empties the agenda of a draft.
 *
 * Owns: slots (of scopes and groups), the step limit, running ahead. Does not own: what an outcome means.
 *
 * Invariants
 * 1. A scope never has more tokens running than its concurrency; a group never more members than its own.
 * 2. While paused nothing new starts, but what has ended is still accounted for.
 * 3. Order is first in, first out; members of a range come before what is in the group's `ready`.
 * 4. Iterative: the depth of a graph never becomes depth of the call stack.
 */
import type { GraphNode, GroupNode, NodeId } from '../../src/core/graph.ts';
import { groupKey, memberPath, type Token } from './context.ts';
import { isGroup, type Draft, type OpenGroup, type OpenScope } from './draft.ts';
import type { Start } from './events.ts';
import { stepLimit } from './failures.ts';
import { endGroup, openGroup } from './groups.ts';
import { dropFirst, peek, push } from './queue.ts';
import { completeScope, conclude, enqueue, withScope } from './scopes.ts';
import { alignedRun, isAway, isPaid, isRangePaid, unitOf, unitsOf } from './units.ts';
import { startSleep, startWait } from './waits.ts';

/**
 * Members of an `each` that the executor may hold beyond the group's concurrency, so that it can refill its lanes
 * without asking. Measured: with none a fan-out of no-op tasks runs at a third of the speed.
 */
const READ_AHEAD = 1024;

/** Ends and starts everything that can be; afterwards the agenda is empty. */
export function admit(draft: Draft): void {
  for (const item of draft.agenda) {
    draft.agenda.delete(item);
    if (draft.verdict !== null) break;
    if (isGroup(item)) admitGroup(draft, item);
    else admitScope(draft, item);
  }
  draft.agenda.clear();
}

function admitScope(draft: Draft, scope: OpenScope): void {
  if (scope.running === 0 && scope.parked === 0 && scope.queue.size === 0) {
    completeScope(draft, scope, scope.output ?? []);
    return;
  }
  const limit = scope.id === 0 ? (draft.run?.concurrency ?? 1) : 1;
  while (!draft.paused && draft.verdict === null && scope.running < limit) {
    const token = peek(scope.queue);
    if (token === undefined) break;
    scope.queue = dropFirst(scope.queue);
    startToken(draft, scope, token, limit === 1 && scope.queue.size === 0);
    // A group that cannot begin has failed its scope by now.
    if (draft.scope(scope.id) !== scope) return;
  }
  if (scope.running === 0 && scope.queue.size === 0 && scope.parked > 0) giveSlotBack(draft, scope);
}

/** A branch that only waits does not keep others from starting. */
function giveSlotBack(draft: Draft, scope: OpenScope): void {
  if (scope.owner.kind !== 'member' || !scope.slot) return;
  const group = draft.group(scope.owner.group);
  if (group === undefined) return;
  scope.slot = false;
  group.active -= 1;
  draft.agenda.add(group);
}

function startToken(draft: Draft, scope: OpenScope, token: Token, alone: boolean): void {
  const node = draft.node(token.node);
  switch (node.kind) {
    case 'task':
      // Counted first: at the step limit the start ends the run, which counts nothing as running.
      scope.running += 1;
      startTask(draft, token, scope.within, alone);
      if (draft.inFlight.get(token.id)?.ahead === true) scope.runner = token.id;
      break;
    case 'parallel':
    case 'each':
    case 'dag':
      scope.running += 1;
      openGroup(draft, token, node);
      break;
    case 'scope':
      scope.running += 1;
      openScope(draft, scope, token, node.entry);
      break;
    case 'wait':
      startWait(draft, scope, token, node);
      break;
    case 'sleep':
      startSleep(draft, scope, token, node);
      break;
  }
}

function openScope(draft: Draft, outer: OpenScope, token: Token, entry: NodeId): void {
  const inner: OpenScope = {
    id: draft.newId(),
    owner: { kind: 'step', token },
    queue: { size: 0, head: 0, chunks: [], tail: [] },
    running: 0,
    parked: 0,
    slot: true,
    within: outer.within,
  };
  draft.addScope(inner);
  enqueue(draft, { id: draft.newId(), node: entry, scope: inner.id, input: token.input, attempt: 1, iteration: 0, hop: 0, path: memberPath(token, 0), main: true });
}

/** Hands one execution to the executor. Retries were paid for by the first attempt. */
function startTask(draft: Draft, token: Token, within: NodeId | undefined, alone: boolean): void {
  const fresh = token.attempt === 1 && token.answers === undefined && isPaid(draft, token);
  if (fresh && spend(draft, 1) === 0) return;
  const ahead = alone && draft.run?.maxSteps === undefined;
  draft.inFlight.set(token.id, { ...token, ahead });
  const { id, node, input, attempt, iteration, hop, path, answers, group, index } = token;
  const unit = unitOf(draft, token);
  draft.start.push({ id, node, input, attempt, iteration, hop, path, answers, ahead, group, index, within, member: memberOf(draft, token), ...(unit && { unit }) });
}

/** The group member that a token belongs to, directly or as the first scope of its branch. */
export function memberOf(draft: Draft, token: Token): Start['member'] {
  const owner = token.group === undefined ? draft.scope(token.scope)?.owner : undefined;
  const at = owner === undefined ? token : owner.kind === 'member' ? owner : undefined;
  const group = at?.group === undefined ? undefined : draft.group(at.group);
  return group === undefined || at?.index === undefined ? undefined : { id: group.parent.node, index: at.index, size: group.size };
}

/** Takes up to `wanted` executions from the step limit; none left ends the run. */
function spend(draft: Draft, wanted: number): number {
  const limit = draft.run?.maxSteps;
  const granted = limit === undefined ? wanted : Math.min(wanted, limit - draft.steps);
  if (granted <= 0) {
    conclude(draft, { kind: 'failed', error: stepLimit(draft, limit ?? 0) });
    return 0;
  }
  draft.steps += granted;
  return granted;
}

function admitGroup(draft: Draft, group: OpenGroup): void {
  const node = draft.node(group.parent.node) as GroupNode;
  if (endGroup(draft, group, node) || draft.paused) return;
  const limit = node.execution.concurrency;
  if (node.kind !== 'dag') startRange(draft, group, node, limit);
  while (draft.verdict === null && (node.kind === 'dag' || group.cursor === group.size)) {
    const token = peek(group.ready);
    if (token === undefined || (group.active >= limit && !hasSlot(draft, token))) break;
    group.ready = dropFirst(group.ready);
    startMember(draft, group, node.id, token);
  }
}

function hasSlot(draft: Draft, token: Token): boolean {
  return draft.scope(token.scope)?.slot === true;
}

function startRange(draft: Draft, group: OpenGroup, node: Exclude<GroupNode, { kind: 'dag' }>, limit: number): void {
  const ahead = node.kind === 'each' && limit > 1 && !('failFast' in node.policy) && draft.run?.maxSteps === undefined;
  const away = isAway(group);
  const window = ahead && !away && isSingle(draft.node(node.body)) ? Math.max(limit, READ_AHEAD) + limit : limit;
  while (draft.verdict === null && group.cursor < group.size && group.active < window) {
    const most = Math.min(group.size - group.cursor, window - group.active);
    const run = away ? alignedRun(draft, group, node, most) : singlesFrom(draft, group, node, most);
    if (run === 0) {
      startBranch(draft, group, node);
      continue;
    }
    const granted = away && !isRangePaid(draft, group, node) ? run : spend(draft, run);
    if (granted === 0) return;
    const from = group.cursor;
    group.cursor += granted;
    group.active += granted;
    group.open += granted;
    draft.openMembers += granted;
    const { input } = group.parent;
    draft.ranges.push({
      group: group.id, key: groupKey(group.parent), node: node.id, from, to: from + granted, limit, size: group.size,
      ...(node.kind === 'each' ? { items: input as [] } : { input }), ...(away && { units: unitsOf(draft, group, node, from) }),
    });
  }
}

/** How many members from the cursor on, up to `most`, are one task each. */
function singlesFrom(draft: Draft, group: OpenGroup, node: Exclude<GroupNode, { kind: 'dag' }>, most: number): number {
  if (node.kind === 'each') return isSingle(draft.node(node.body)) ? most : 0;
  let count = 0;
  while (count < most && isSingle(draft.node(node.members[group.cursor + count]?.entry ?? ''))) count += 1;
  return count;
}

/** A member of one task needs no scope of its own. */
export function isSingle(node: GraphNode): boolean {
  return node.kind === 'task' && node.next === undefined;
}

function startBranch(draft: Draft, group: OpenGroup, node: Exclude<GroupNode, { kind: 'dag' }>): void {
  const index = group.cursor;
  group.cursor += 1;
  const { input } = group.parent;
  const token: Token = {
    id: draft.newId(),
    node: node.kind === 'each' ? node.body : (node.members[index]?.entry ?? ''),
    scope: -1,
    input: node.kind === 'each' ? (input as [])[index] : input,
    attempt: 1, iteration: 0, hop: 0, path: memberPath(group.parent, index), main: true, group: group.id, index,
  };
  startMember(draft, group, node.id, token);
}

/** A token that needs a slot of the group: a member, a retry of one, or a branch that was parked. */
function startMember(draft: Draft, group: OpenGroup, within: NodeId, token: Token): void {
  const parked = draft.scope(token.scope);
  if (parked !== undefined) {
    if (!parked.slot) group.active += 1;
    parked.slot = true;
    parked.parked -= 1;
    parked.queue = push(parked.queue, token);
    draft.agenda.add(parked);
    return;
  }
  if (token.scope !== -1) return;
  group.active += 1;
  if (isAway(group) || isSingle(draft.node(token.node))) startTask(draft, token, within, false);
  else enqueue(draft, withScope(draft, token));
}
