/** What a group learns when one of its members has ended; what that means for the group is decided on the agenda. */
import { InvariantError } from '../../src/core/errors.ts';
import type { DagNode } from '../../src/core/graph.ts';
import type { Json } from '../../src/core/json.ts';
import { isFailure, valueOf, type Cell } from './cells.ts';
import { memberPath } from './context.ts';
import type { Draft, OpenGroup } from './draft.ts';
import { push } from './queue.ts';

/** Records a member's outcome, once; a second one for the same member is not wanted and changes nothing. */
export function memberEnded(draft: Draft, groupId: number, index: number, cell: Cell, heldSlot = true): void {
  const group = draft.group(groupId);
  if (group === undefined || group.outcomes.get(index) !== undefined) return;
  group.outcomes.set(index, cell);
  if (heldSlot) group.active -= 1;
  if (isFailure(cell)) group.failed += 1;
  else if (group.needs !== undefined) releaseDependants(draft, group, index);
  draft.agenda.add(group);
}

function releaseDependants(draft: Draft, group: OpenGroup, index: number): void {
  const node = dagOf(draft, group);
  for (const dependant of draft.plan.dag(node).dependants[index] ?? []) {
    const left = (group.needs?.get(dependant) ?? node.members[dependant]?.needs.length ?? 0) - 1;
    group.needs?.set(dependant, left);
    if (left === 0) readyMember(draft, group, node, dependant);
  }
}

/** Queues a dag member that has all it needs, with the values that it needs as its input. */
export function readyMember(draft: Draft, group: OpenGroup, node: DagNode, index: number): void {
  const member = node.members[index];
  if (member === undefined) throw new InvariantError('invariant/unknown-member', `dag "${node.id}" has no member ${index}`);
  let input = group.parent.input;
  if (member.needs.length > 0) {
    const given: Record<string, Json> = {};
    for (const at of draft.plan.dag(node).needs[index] ?? []) {
      const cell = group.outcomes.get(at);
      const needed = node.members[at];
      const value = cell === undefined || isFailure(cell) ? undefined : valueOf(cell);
      if (needed !== undefined && value !== undefined) given[needed.id] = value;
    }
    input = given;
  }
  group.ready = push(group.ready, {
    id: draft.newId(), node: member.entry, scope: -1, input, attempt: 1, iteration: 0, hop: 0, path: memberPath(group.parent, index), main: true, group: group.id, index,
  });
}

function dagOf(draft: Draft, group: OpenGroup): DagNode {
  const node = draft.node(group.parent.node);
  if (node.kind !== 'dag') throw new InvariantError('invariant/not-a-dag', `group "${node.id}" has needs but is no dag`);
  return node;
}
