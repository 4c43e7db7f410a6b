/**
 * What the run says: which units are open, what of it is durable, what it holds.
 *
 * Owns: the open set. Does not own: pushing (dispatch.ts), results (collect.ts).
 *
 * Invariants
 * 1. A unit that is open already, or whose result the run is about to take in, changes nothing when it is planned again.
 * 2. What was aborted is cancelled in the lists if it may be there, and when the revision that has aborted it is durable: a
 *    crash before that would bring it back to a run that waits for it.
 * 3. What a delivery covers becomes trimmable when the revision that holds it is durable, and not before.
 * 4. Nobody becomes the run's coordinator for what is not durable: another process may own the run by now.
 */
import { InvariantError } from '../../src/core/errors.ts';
import { unitId } from '../../src/core/messages.ts';
import { dropFirst, peek, push, pushAll } from '../execution-context/queue.ts';
import { values } from '../execution-context/vec.ts';
import type { CoordinatorContext, OpenUnit } from './context.ts';
import type { Draft, GroupDraft } from './draft.ts';
import type { PlannedUnit, RunEvent, UnitRef } from './events.ts';

type Of<T extends RunEvent['type']> = Extract<RunEvent, { readonly type: T }>;

export function plan(draft: Draft, { at, revision, groups, units }: Of<'PLANNED'>): void {
  draft.now.at = at;
  if (draft.now.open === 0) draft.now.movedAt = at;
  for (const given of groups) {
    if (draft.group(given.id) === undefined) draft.addGroup(given);
    const { startTimeoutMs } = given;
    if (startTimeoutMs !== undefined) draft.now.shortestStartMs = Math.min(startTimeoutMs, draft.now.shortestStartMs ?? startTimeoutMs);
  }
  const fresh = new Map<number, UnitRef[]>();
  for (const unit of units) {
    const queue = planUnit(draft, unit, revision);
    if (queue === undefined) continue;
    const refs = fresh.get(queue) ?? [];
    fresh.set(queue, refs);
    refs.push([unit.group, unit.index, unit.generation]);
  }
  for (const [at, refs] of fresh) {
    const queue = draft.queue(at);
    queue.planned = pushAll(queue.planned, refs);
  }
}

/** The queue that the unit is for; nothing where it is open already. */
function planUnit(draft: Draft, { group: id, index, generation, body }: PlannedUnit, revision: number): number | undefined {
  const group = draft.group(id);
  if (group === undefined) throw new InvariantError('invariant/unknown-group', `unit ${unitId(id, index, generation)} was planned, but its group was not`);
  const known = group.units.get(index);
  if (known !== undefined) {
    if (known.generation >= generation) return undefined;
    forget(draft, group, index, known);
  }
  const { at } = draft.now;
  if (group.open === 0) group.quietSince = at;
  group.units.set(index, { generation, revision, at, phase: 'planned', body });
  group.open += 1;
  draft.now.open += 1;
  return group.queue;
}

/** Takes a unit out of the open set. */
export function forget(draft: Draft, group: GroupDraft, index: number, unit: OpenUnit): void {
  group.units.delete(index);
  if (unit.phase === 'delivered') return;
  close(draft, group, unit);
}

/** A unit is not open any more, whatever else becomes of it. */
export function close(draft: Draft, group: GroupDraft, unit: OpenUnit): void {
  group.open -= 1;
  draft.now.open -= 1;
  if (unit.phase === 'pushed') unpush(draft, group);
}

/** A unit is not in the lists, or not as far as anybody cares. */
export function unpush(draft: Draft, group: GroupDraft): void {
  draft.queue(group.queue).pushed -= 1;
  draft.now.pushed -= 1;
}

/** The unit, if it is open and of this generation. */
export function openUnit(group: GroupDraft | undefined, index: number, generation: number): OpenUnit | undefined {
  const unit = group?.units.get(index);
  return unit !== undefined && unit.generation === generation && unit.phase !== 'delivered' ? unit : undefined;
}

export function abort(draft: Draft, { revision, groups, units }: Of<'ABORTED'>): void {
  draft.now.abortedAt = Math.max(draft.now.abortedAt, revision);
  for (const id of groups) abortGroup(draft, id, revision);
  for (const [id, index, generation] of units) {
    const group = draft.group(id);
    const unit = openUnit(group, index, generation);
    if (group === undefined || unit === undefined) continue;
    forget(draft, group, index, unit);
    if (mayBeThere(draft, unit)) cancel(draft, unitId(id, index, generation), revision);
  }
}

/** Groups that have their verdicts. One with open units was left early. */
export function groupsEnded(draft: Draft, { revision, groups }: Of<'ENDED'>): void {
  for (const id of groups) abortGroup(draft, id, revision);
}

function abortGroup(draft: Draft, id: number, revision: number): void {
  const group = draft.group(id);
  if (group === undefined) return;
  let there = false;
  const stop: string[] = [];
  group.units.forEach((unit, index) => {
    if (unit.stop === true) stop.push(unitId(id, index, unit.generation));
    if (unit.phase === 'delivered') return;
    there ||= mayBeThere(draft, unit);
    close(draft, group, unit);
  });
  for (const entry of there ? [String(id)] : stop) cancel(draft, entry, revision);
  draft.removeGroup(id);
  draft.discard(group.plan, revision);
}

/** Before the first audit, what an earlier life of the run has pushed may be there too. */
function mayBeThere(draft: Draft, unit: OpenUnit): boolean {
  return unit.phase === 'pushed' || !draft.now.audited;
}

function cancel(draft: Draft, entry: string, revision: number): void {
  draft.now.cancels = push(draft.now.cancels, { entry, revision });
}

/** Invariant 4: whether something is to leave, or to be cancelled, once this revision is durable. */
export function isDue({ groups, cancels }: CoordinatorContext, revision: number): boolean {
  const first = peek(cancels);
  if (first !== undefined && first.revision <= revision) return true;
  for (const { units } of values(groups)) for (const unit of values(units)) if (unit.revision <= revision) return true;
  return false;
}

export function durable(draft: Draft, { revision }: Of<'DURABLE'>): void {
  if (revision <= draft.now.durable) return;
  draft.now.durable = revision;
  cover(draft);
}

/** The run holds all deliveries up to this one. */
export function accept(draft: Draft, { delivery, revision }: Of<'ACCEPTED'>): void {
  const { now } = draft;
  for (let first = peek(now.unaccepted); first !== undefined && first.delivery <= delivery; first = peek(now.unaccepted)) {
    now.unaccepted = dropFirst(now.unaccepted);
    now.unacceptedUnits -= first.units.length;
    for (const ref of first.units) release(draft, ref, revision);
  }
  now.accepted = push(now.accepted, { delivery, revision });
  cover(draft);
}

function release(draft: Draft, [id, index, generation]: UnitRef, revision: number): void {
  const group = draft.group(id);
  const unit = group?.units.get(index);
  if (unit?.phase !== 'delivered' || unit.generation !== generation) return;
  group?.units.delete(index);
  if (unit.stop === true) cancel(draft, unitId(id, index, generation), revision);
}

function cover(draft: Draft): void {
  const { now } = draft;
  for (let first = peek(now.accepted); first !== undefined && first.revision <= now.durable; first = peek(now.accepted)) {
    now.accepted = dropFirst(now.accepted);
    now.covered = Math.max(now.covered, first.delivery);
  }
}
