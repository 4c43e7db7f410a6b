/**
 * What an outcome means: the rules by which a settled execution moves its token.
 *
 * Owns: accepting reports once, precedence of outcomes, retries, iterations. Does not own: where control goes after a
 * step (scopes.ts), who starts next (admit.ts).
 *
 * Invariants
 * 1. A report is accepted only for a token in flight, or for a range member without an outcome; others change nothing.
 * 2. A failed attempt leaves nothing behind: its spawned tasks and channel writes are dropped.
 * 3. The retry budget is that of one execution; iterations and loops start a fresh one.
 */
import { defaultMaxIterations, type NodeId, type ParallelNode, type TaskNode } from '../../src/core/graph.ts';
import { isRetryable, requestedDelayMs, retryDelayMs } from '../../src/core/retry.ts';
import { InvariantError } from '../../src/core/errors.ts';
import { isSingle } from './admit.ts';
import { applyOperations } from './channel.ts';
import { memberPath, type Running, type Token } from './context.ts';
import type { Draft, OpenGroup } from './draft.ts';
import type { MemberReport, Outcome, RangeReport, Report, TokenReport, UnitOutcome } from './events.ts';
import { iterationLimit, lastFailure, taskProblem } from './failures.ts';
import { memberEnded } from './members.ts';
import { boxed, cellOf, isValue } from './cells.ts';
import { completeScope, completeStep, conclude, enqueue, failStep, goTo, leave, spawn, withScope } from './scopes.ts';
import { takeEarly } from './early.ts';
import { cameBack, isAway } from './units.ts';
import { answered, park, signalled } from './waits.ts';

/** Takes in one batch, in the order in which the executor saw the outcomes. */
export function settle(draft: Draft, reports: readonly Report[]): void {
  for (const report of reports) {
    if (draft.verdict !== null) return;
    if ('id' in report) settleToken(draft, report);
    else if ('cells' in report) settleRange(draft, report);
    else settleMember(draft, report);
  }
}

function settleToken(draft: Draft, report: TokenReport): void {
  const running = draft.inFlight.get(report.id);
  if (running === undefined) return;
  const here = report.moves === undefined ? running : follow(draft, running, report.moves, report.input);
  if (report.end === undefined) {
    draft.inFlight.set(here.id, here);
    return;
  }
  draft.inFlight.delete(here.id);
  const { ahead: _, ...token } = here;
  if (token.group === undefined) leave(draft, token);
  ended(draft, token, report.end);
}

/** The token after the executions that it went through by itself. */
function follow(draft: Draft, running: Running, moves: readonly number[], input: Token['input']): Running {
  let { node, iteration, hop } = running;
  for (const move of moves) {
    if (move < 0) {
      draft.count(node, -move);
      iteration -= move;
      hop -= move;
      draft.steps -= move;
      continue;
    }
    for (let left = move; left > 0; left -= 1) {
      draft.count(node, 1);
      node = successor(draft, node);
    }
    iteration = 0;
    hop += move;
    draft.steps += move;
  }
  return { ...running, answers: undefined, node, iteration, hop, input, attempt: 1 };
}

function successor(draft: Draft, id: NodeId): NodeId {
  const { next } = draft.node(id);
  if (next === undefined) throw new InvariantError('invariant/past-the-end', `a token was reported to have moved on from "${id}", which has no successor`);
  return next;
}

/** The hot path of a fan-out: no token, one entry in the outcomes per member. */
function settleRange(draft: Draft, report: RangeReport): void {
  const group = draft.group(report.group);
  if (group === undefined) return;
  const { indexes, cells } = report;
  const node = draft.node(group.parent.node);
  const someApart = group.apart.size > 0;
  const away = isAway(group);
  let closed = 0;
  for (let at = 0; at < indexes.length; at += 1) {
    const index = indexes[at] as number;
    const cell = cells[at];
    if (!isValue(cell) || !(Number.isInteger(index) && index >= 0 && index < group.cursor) || closed >= group.open) continue;
    if (node.kind === 'parallel' && !away && !isRanged(draft, node, index)) continue;
    if ((someApart && group.apart.get(index) !== undefined) || !group.outcomes.add(index, cell)) continue;
    closed += 1;
    if (node.kind === 'parallel') draft.count(node.members[index]?.entry ?? '', 1);
  }
  if (closed === 0) return;
  if (node.kind === 'each') draft.count(node.body, closed);
  group.open -= closed;
  group.active -= closed;
  draft.openMembers -= closed;
  draft.agenda.add(group);
}

function settleMember(draft: Draft, report: MemberReport): void {
  const group = draft.group(report.group);
  if (group === undefined || !isOpen(draft, group, report.index)) return;
  closeMember(draft, group);
  const { input } = group.parent;
  const each = draft.node(group.parent.node).kind === 'each';
  ended(draft, {
    id: draft.newId(),
    node: memberNodes(draft, group)(report.index),
    scope: -1,
    input: each ? (input as [])[report.index] : input,
    attempt: 1, iteration: 0, hop: 0, path: memberPath(group.parent, report.index), main: true, group: group.id, index: report.index,
  }, report.end);
}

/** A range member is open from the moment the cursor has passed it until it has an outcome or a token of its own. */
function isOpen(draft: Draft, group: OpenGroup, index: number): boolean {
  if (group.open === 0 || draft.verdict !== null || !Number.isInteger(index) || index < 0 || index >= group.cursor) return false;
  if (group.outcomes.get(index) !== undefined || group.apart.get(index) !== undefined) return false;
  const node = draft.node(group.parent.node);
  return node.kind !== 'parallel' || isAway(group) || isRanged(draft, node, index);
}

/** Branches stand beside range members in a parallel only: the members of an each are all alike. */
function isRanged(draft: Draft, node: ParallelNode, index: number): boolean {
  return isSingle(draft.node(node.members[index]?.entry ?? ''));
}

function closeMember(draft: Draft, group: OpenGroup): void {
  group.open -= 1;
  draft.openMembers -= 1;
}

function memberNodes(draft: Draft, group: OpenGroup): (index: number) => NodeId {
  const node = draft.node(group.parent.node);
  if (node.kind === 'each') return () => node.body;
  if (node.kind === 'parallel' || node.kind === 'dag') return (index) => node.members[index]?.entry ?? '';
  throw new InvariantError('invariant/not-a-group', `"${node.id}" has members but is no group`);
}

/** A member that was executed elsewhere; what it was told and did not use is for others. */
function back(draft: Draft, token: Token, end: UnitOutcome): void {
  cameBack(draft, token, end);
  for (const name in end.signals) for (const value of end.signals[name] ?? []) if (draft.verdict === null) signalled(draft, name, value);
}

/** Applies the outcome of the execution at which a token stood; the token holds no slot of its scope any more. */
function ended(draft: Draft, token: Token, end: Outcome): void {
  if (end.kind === 'ended' || end.kind === 'parked') return back(draft, token, end);
  const node = draft.node(token.node);
  // A member that is executed elsewhere may begin with any step; it is cancelled as a whole.
  if (end.kind === 'cancel') return conclude(draft, { kind: 'cancelled', error: end.error });
  if (node.kind !== 'task') throw new InvariantError('invariant/not-a-task', `"${node.id}" was executed but is no task`);
  if (end.kind === 'failed') return failed(draft, token, node, end);
  if (end.kind === 'ask') return ask(draft, token, end);
  const misfit = end.channel === undefined ? undefined : applyOperations(draft, end.channel);
  if (misfit !== undefined) {
    if (node.recover !== undefined) setApart(draft, token);
    const message = `task "${token.node}" of workflow "${draft.before.workflow}": ${misfit}`;
    return failStep(draft, token, node, taskProblem(draft, token, 'task/channel', message, 'use one kind of value for each key'));
  }
  if (end.fragments !== undefined) draft.fragments = { ...draft.fragments, ...end.fragments };
  const { spawned } = end;
  if (end.kind !== 'value' || spawned !== undefined) setApart(draft, token);
  if (end.kind === 'iterate') return iterate(draft, token, node, end);
  draft.count(token.node, 1);
  switch (end.kind) {
    case 'value':
      return completeStep(draft, token, node, end.value, spawned);
    case 'goto':
      return goTo(draft, token, end.target, spawned);
    case 'terminate':
      return terminate(draft, token, end);
  }
}

/** Parks the execution, as it is, until the answer has come: the same attempt, the same key. */
function ask(draft: Draft, token: Token, end: Extract<Outcome, { kind: 'ask' }>): void {
  setApart(draft, token);
  giveMemberSlotBack(draft, token);
  const scope = draft.scope(token.scope);
  if (scope !== undefined) scope.parked += 1;
  const early = takeEarly(draft, end.signal);
  draft.waits.set(token.id, { token, signal: end.signal, since: draft.at, asked: true, ...(end.question === undefined ? {} : { question: end.question }) });
  if (early !== undefined) answered(draft, token.id, early);
}

function iterate(draft: Draft, token: Token, node: TaskNode, end: Extract<Outcome, { kind: 'iterate' }>): void {
  const limit = node.maxIterations ?? defaultMaxIterations;
  if (token.iteration >= limit) return failStep(draft, token, node, iterationLimit(draft, token, limit));
  draft.count(token.node, 1);
  let again: Token = { ...token, answers: undefined, input: end.input, attempt: 1, iteration: token.iteration + 1, hop: token.hop + 1 };
  if (end.spawned === undefined) giveMemberSlotBack(draft, again);
  else {
    again = withScope(draft, again);
    spawn(draft, { ...token, scope: again.scope }, end.spawned);
  }
  enqueue(draft, again);
}

function terminate(draft: Draft, token: Token, end: Extract<Outcome, { kind: 'terminate' }>): void {
  if (token.group !== undefined && token.index !== undefined) return memberEnded(draft, token.group, token.index, cellOf(end.output));
  const scope = draft.scope(token.scope);
  if (scope !== undefined) completeScope(draft, scope, boxed(end.output));
}

function failed(draft: Draft, token: Token, node: TaskNode, end: Extract<Outcome, { kind: 'failed' }>): void {
  const { retry } = node;
  const retryable = isRetryable(end.error);
  if (!retryable || retry === undefined || token.attempt >= retry.attempts) {
    if (node.recover !== undefined) setApart(draft, token);
    return failStep(draft, token, node, lastFailure(draft, token, node, end.error, retryable));
  }
  setApart(draft, token);
  giveMemberSlotBack(draft, token);
  const again: Token = { ...token, attempt: token.attempt + 1 };
  const delayMs = requestedDelayMs(end.error) ?? retryDelayMs(retry, token.attempt, end.random);
  if (delayMs <= 0) return enqueue(draft, again);
  const scope = draft.scope(again.scope);
  if (scope !== undefined) scope.parked += 1;
  const { name, code, message } = end.error;
  park(draft, again, delayMs, 'retry', { name, message, ...(code === undefined ? {} : { code }) });
}

/** From now on this member of one task is a token or a branch, and no part of the range. */
function setApart(draft: Draft, token: Token): void {
  if (token.group === undefined || token.index === undefined) return;
  draft.group(token.group)?.apart.set(token.index, 1);
}

/** Between two executions a member of one task waits its turn like the others. */
function giveMemberSlotBack(draft: Draft, token: Token): void {
  const group = token.group === undefined ? undefined : draft.group(token.group);
  if (group === undefined) return;
  group.active -= 1;
  draft.agenda.add(group);
}
