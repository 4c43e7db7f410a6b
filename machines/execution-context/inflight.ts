/** The answer to READY: everything that an I/O actor has to take up again, fresh or restored. */
import { memberOf } from './admit.ts';
import { groupKey, type Token } from './context.ts';
import type { Draft, OpenGroup } from './draft.ts';
import type { UnitStart } from './events.ts';
import { areAlike, isAway, unitOf, unitsOf } from './units.ts';

/** Tells the executor of every execution that is in flight. */
export function restart(draft: Draft): void {
  for (const token of draft.inFlight.values()) {
    const { id, node, input, attempt, iteration, hop, path, answers, ahead, group, index, scope } = token;
    const within = group === undefined ? draft.scope(scope)?.within : draft.group(group)?.parent.node;
    draft.start.push({ id, node, input, attempt, iteration, hop, path, answers, ahead, group, index, within, member: memberOf(draft, token), ...withUnit(draft, token) });
  }
  if (draft.openMembers === 0) return;
  for (const group of draft.openGroups()) if (group.open > 0) restartRange(draft, group);
}

function restartRange(draft: Draft, group: OpenGroup): void {
  const node = draft.node(group.parent.node);
  if (node.kind !== 'each' && node.kind !== 'parallel') return;
  const { input } = group.parent;
  const away = isAway(group);
  const given = node.kind === 'each' ? { items: input as [] } : { input };
  const isOpen = (index: number): boolean => {
    if (group.outcomes.get(index) !== undefined || group.apart.get(index) !== undefined) return false;
    if (away) return true;
    const entry = draft.node(node.kind === 'each' ? node.body : (node.members[index]?.entry ?? ''));
    return entry.kind === 'task' && entry.next === undefined;
  };
  for (let from = 0; from < group.cursor; ) {
    let to = from;
    while (to < group.cursor && isOpen(to) && (!away || areAlike(draft, node, from, to))) to += 1;
    const units = away ? { units: unitsOf(draft, group, node, from) } : {};
    if (to > from) draft.ranges.push({ group: group.id, key: groupKey(group.parent), node: node.id, from, to, limit: node.execution.concurrency, size: group.size, ...given, ...units });
    from = Math.max(to, from + 1);
  }
}

/** Tells the timers of every due time. */
export function rearm(draft: Draft): void {
  for (const { token, dueAt } of draft.delayed.values()) draft.arm.push([token.id, dueAt]);
}

function withUnit(draft: Draft, token: Token): { readonly unit?: UnitStart } {
  const unit = unitOf(draft, token);
  return unit === undefined ? {} : { unit };
}
