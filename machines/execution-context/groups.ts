/**
 * Groups: parallel, each and dag, from the first member to the verdict of the policy.
 *
 * Owns: opening a group, what its policy says, its output. Does not own: when members start (admit.ts).
 *
 * Invariants
 * 1. A fan-out is a range: no token exists for a member that has not been started.
 * 2. A group ends once: with all outcomes in, or when a fail-fast policy is already lost.
 * 3. The output holds the members that succeeded: an object by id, an array in the order of the items, for a dag the
 *    members that nobody needs. An array keeps the place of a member without a value with null.
 */
import type { SerializedError } from '../../src/core/errors.ts';
import type { DagNode, GroupNode, MemberResult, PolicyPlan } from '../../src/core/graph.ts';
import { preview, type Json } from '../../src/core/json.ts';
import { decide, failsFast, type Tally } from '../../src/core/policies.ts';
import { isFailure, valueOf, type Cell } from './cells.ts';
import type { Handed, Token } from './context.ts';
import type { Draft, OpenGroup } from './draft.ts';
import { taskProblem } from './failures.ts';
import { readyMember } from './members.ts';
import { emptyFifo } from './queue.ts';
import { completeStep, drop, failStep, leave } from './scopes.ts';
import { batchOf } from './units.ts';
import { VecDraft, emptyVec } from './vec.ts';

const STRICT: PolicyPlan = { kind: 'strict' };

/** A token has reached a group: it stands for the group until that has ended. */
export function openGroup(draft: Draft, token: Token, node: GroupNode): void {
  if (node.kind === 'each' && !Array.isArray(token.input)) {
    leave(draft, token);
    const message = `each "${node.id}" of workflow "${draft.before.workflow}" needs an array as its input, but got ${preview(token.input)}`;
    failStep(draft, token, node, taskProblem(draft, token, 'group/not-an-array', message, 'let the step before it return an array'));
    return;
  }
  const size = node.kind === 'each' ? (token.input as Json[]).length : node.members.length;
  const group: OpenGroup = {
    id: draft.newId(),
    parent: token,
    size,
    batch: batchOf(draft, node),
    cursor: 0,
    active: 0,
    open: 0,
    failed: 0,
    outcomes: new VecDraft<Cell>(emptyVec()),
    apart: new VecDraft<1>(emptyVec()),
    ready: emptyFifo(),
    needs: node.kind === 'dag' ? new VecDraft<number>(emptyVec()) : undefined,
    handed: new VecDraft<Handed>(emptyVec()),
  };
  draft.addGroup(group);
  draft.agenda.add(group);
  if (node.kind !== 'dag') return;
  node.members.forEach((member, index) => {
    if (member.needs.length === 0) readyMember(draft, group, node, index);
  });
}

/** Ends the group if there is nothing more to wait for; says whether it has. */
export function endGroup(draft: Draft, group: OpenGroup, node: GroupNode): boolean {
  const policy = node.kind === 'dag' ? STRICT : node.policy;
  const tally = tallyOf(group, node);
  const early = node.kind === 'dag' ? group.failed > 0 : failsFast(policy, tally);
  if (!early && group.outcomes.size < group.size) return false;
  if (early) drop(draft, new Set(), new Set([group.id]));
  else draft.removeGroup(group.id);
  leave(draft, group.parent);
  const decision = decide(policy, tally, draft.plan.policies.get(node.id));
  if (decision.ok) {
    draft.count(node.id, 1);
    completeStep(draft, group.parent, node, outputOf(group, node));
  } else if (node.kind === 'dag') {
    failStep(draft, group.parent, node, firstError(group));
  } else {
    failStep(draft, group.parent, node, groupError(draft, group, node, decision.reason));
  }
  return true;
}

function tallyOf(group: OpenGroup, node: GroupNode): Tally {
  return {
    size: group.size,
    failed: group.failed,
    hasFailed: (id) => {
      const cell = node.kind === 'each' ? undefined : group.outcomes.get(node.members.findIndex((member) => member.id === id));
      return cell !== undefined && isFailure(cell);
    },
    results: () => results(group, node),
  };
}

function memberId(node: GroupNode, index: number): string {
  return node.kind === 'each' ? String(index) : (node.members[index]?.id ?? String(index));
}

function results(group: OpenGroup, node: GroupNode): MemberResult[] {
  const list: MemberResult[] = [];
  for (let index = 0; index < group.size; index += 1) {
    const cell = group.outcomes.get(index);
    if (cell === undefined) continue;
    const id = memberId(node, index);
    if (isFailure(cell)) {
      const { name, code, message } = cell.error;
      list.push({ id, ok: false, error: { name, message, ...(code === undefined ? {} : { code }) } });
      continue;
    }
    const value = valueOf(cell);
    list.push({ id, ok: true, ...(value === undefined ? {} : { value }) });
  }
  return list;
}

function outputOf(group: OpenGroup, node: GroupNode): Json {
  if (node.kind === 'each') {
    const list: Json[] = [];
    group.outcomes.forEach((cell, index) => {
      while (list.length < index) list.push(null);
      list.push(isFailure(cell) ? null : (valueOf(cell) ?? null));
    });
    return list;
  }
  const sinks = node.kind === 'dag' ? sinksOf(node) : undefined;
  const output: Record<string, Json> = {};
  node.members.forEach((member, index) => {
    const cell = group.outcomes.get(index);
    if (cell === undefined || isFailure(cell) || sinks?.has(member.id) === false) return;
    const value = valueOf(cell);
    if (value !== undefined) output[member.id] = value;
  });
  return output;
}

function sinksOf(node: DagNode): Set<string> {
  const sinks = new Set(node.members.map((member) => member.id));
  for (const member of node.members) for (const need of member.needs) sinks.delete(need);
  return sinks;
}

function firstError(group: OpenGroup): SerializedError {
  return (group.outcomes.values().find(isFailure) as { readonly error: SerializedError }).error;
}

/** Where all members failed for one and the same reason, its way out is the group's. */
function sharedHint(group: OpenGroup): string | undefined {
  if (group.failed === 0) return undefined;
  const { code, hint } = firstError(group);
  return code !== 'task/failed' && group.outcomes.values().filter(isFailure).every(({ error }) => error.code === code) ? hint : undefined;
}

function groupError(draft: Draft, group: OpenGroup, node: GroupNode, reason: string): SerializedError {
  const all = results(group, node);
  const failed = all.filter((result) => !result.ok);
  const names = failed.slice(0, 5).map((result) => `${result.id}: ${result.error.message}`).join('; ');
  const more = failed.length > 5 ? `; and ${failed.length - 5} more` : '';
  return {
    name: 'ParallelGroupError',
    code: 'group/policy',
    message: `group "${node.id}" of workflow "${draft.before.workflow}": ${reason}${names === '' ? '' : ` (${names}${more})`}`,
    hint: sharedHint(group) ?? 'mend the members that failed, choose another policy (.withPolicy), or give the group a .recover()',
    details: {
      groupId: node.id,
      failed: failed.map(({ id, error }) => ({ id, error: { ...error } })),
      succeeded: all.filter((result) => result.ok).map((result) => result.id),
      runId: draft.run?.id ?? null,
    },
  };
}
