/**
 * Results: which are accepted, in which order they stand in `taken`, when they may go from there.
 *
 * Owns: acceptance, the memory of `taken`, how many are fetched at a time. Does not own: when to take (dispatch.ts), reading everything again (reconcile.ts).
 *
 * Invariants
 * 1. A result is accepted if its unit is open in this generation, and with that it is not open any more; everything else is
 *    dropped and counted. The attempt does not matter: only the holder of a slot can produce a result.
 * 2. Each element of `taken` is covered by the delivery that was the latest when it was read, and by the latest abort, also one
 *    that was dropped: it may be the trace of a result that is delivered, or of a unit that is aborted, but not durably.
 * 3. The order in `taken` is known only while one caller at a time moves results there. Where its length, or a trim, says that
 *    somebody else did (a blocking wait on a connection that died), it is read again from its beginning.
 */
import { cut } from '../../src/core/preview.ts';
import type { SerializedError } from '../../src/core/errors.ts';
import { failedEnd, unitId, type MemberEnd } from '../../src/core/messages.ts';
import { dropFirst, items, peek, push, take as takeFirst } from '../execution-context/queue.ts';
import type { OpenUnit, TakenPart } from './context.ts';
import type { Draft, GroupDraft } from './draft.ts';
import type { Accepted, Arrival, ArrivedResult, CoordinatorEvent, UnitRef } from './events.ts';
import { close, openUnit } from './open.ts';

/** The blocking wait has brought something, or nothing. */
export function heard(draft: Draft, { number, at, arrival }: Extract<CoordinatorEvent, { readonly type: 'HEARD' }>): void {
  const { now } = draft;
  if (now.wait === null || now.wait.number !== number) return;
  const { live } = now.wait;
  now.wait = null;
  now.at = at;
  if (live) settled(draft);
  if (arrival === undefined) return;
  // What was begun before a reset may have been read since, or not.
  if (!live) now.replay = true;
  else {
    take(draft, [arrival]);
    now.more = true;
  }
}

/** Takes in elements that stand behind those that are known. Ones that are read again are not counted again. */
export function take(draft: Draft, arrivals: readonly Arrival[], again = false): void {
  const { dropped, bad } = draft.now;
  receive(draft, arrivals);
  remember(draft, arrivals);
  if (again) Object.assign(draft.now, { dropped, bad });
}

/** Accepts what is waited for, and hands it to the run. */
export function receive(draft: Draft, arrivals: readonly Arrival[]): void {
  const results: Accepted[] = [];
  const units: UnitRef[] = [];
  for (const { result } of arrivals) {
    const accepted = result && acceptOne(draft, result);
    if (result === undefined) draft.now.bad += 1;
    else if (accepted !== undefined) {
      results.push(accepted);
      units.push([result.group, result.index, result.generation]);
    }
  }
  deliver(draft, results, units);
}

export function deliver(draft: Draft, results: readonly Accepted[], units: readonly UnitRef[]): void {
  if (results.length === 0) return;
  const { now } = draft;
  now.delivered += 1;
  now.unaccepted = push(now.unaccepted, { delivery: now.delivered, units });
  now.unacceptedUnits += units.length;
  now.movedAt = now.at;
  draft.host = { type: 'DELIVER', delivery: now.delivered, results };
}

function acceptOne(draft: Draft, result: ArrivedResult): Accepted | undefined {
  const { group: id, index, generation } = result;
  const group = draft.group(id);
  const unit = openUnit(group, index, generation);
  if (group === undefined || unit === undefined) {
    draft.now.dropped += 1;
    return undefined;
  }
  const members = membersOf(unit);
  if (result.kind === 'done' && result.ends.length !== members) {
    draft.now.bad += 1;
    return undefined;
  }
  markDelivered(draft, group, index, unit);
  if (result.kind === 'done') return result;
  return { group: id, index, generation, ends: failedEnds(members, deadUnit(group, result)), worker: undefined, startedAt: undefined, durationMs: undefined };
}

export function markDelivered(draft: Draft, group: GroupDraft, index: number, unit: OpenUnit): void {
  close(draft, group, unit);
  group.units.set(index, { ...unit, phase: 'delivered' });
  group.quietSince = draft.now.at;
}

export function membersOf({ body }: OpenUnit): number {
  return body.inputs?.length ?? 1;
}

export function failedEnds(members: number, error: SerializedError): readonly MemberEnd[] {
  return Array.from({ length: members }, () => failedEnd(error));
}

function deadUnit({ plan }: GroupDraft, { group, index, generation, deliveries, reason }: Extract<ArrivedResult, { readonly kind: 'dead' }>): SerializedError {
  const { node, workflow, runId } = plan.shared;
  const unit = unitId(group, index, generation);
  return {
    name: 'TaskError',
    code: 'task/dead-unit',
    message: `unit ${unit} of group "${node}" (workflow "${workflow}", run "${runId}") was given up after ${deliveries} ${deliveries === 1 ? 'delivery' : 'deliveries'}: ${cut(reason, 200)}`,
    hint: 'see what the task does to its process (memory, process.exit, a native crash); `taskchart doctor` shows the dead units with their history',
    details: { unit, deliveries, reason: cut(reason, 200), queue: plan.queue },
  };
}

/** Invariant 2. */
function remember(draft: Draft, arrivals: readonly Arrival[]): void {
  const last = arrivals.at(-1);
  if (last === undefined) return;
  const { now } = draft;
  now.held += arrivals.length;
  now.taken = push(now.taken, { count: arrivals.length, last: last.header, delivery: now.delivered, revision: now.abortedAt });
}

/** What may go: from `taken` the prefix that durable revisions hold, and shared parts of groups that are over. */
export function trimmable(draft: Draft): { readonly count: number; readonly last: string; readonly forget: readonly string[] } | null {
  const { taken, unneeded, covered, durable, settings } = draft.now;
  let count = 0;
  let last = '';
  for (const part of items<TakenPart>(taken)) {
    if (part.delivery > covered || part.revision > durable) break;
    count += part.count;
    last = part.last;
  }
  const forget: string[] = [];
  for (const { name, revision } of items(unneeded)) {
    if (revision > durable || forget.length === settings.batch) break;
    forget.push(name);
  }
  return count + forget.length === 0 ? null : { count, last, forget };
}

/** The first `count` elements are gone, and so many shared parts. */
export function trimmed(draft: Draft, count: number, forgets: number): void {
  const { now } = draft;
  now.unneeded = takeFirst(now.unneeded, forgets)[1];
  let left = count;
  for (let first = peek(now.taken); first !== undefined && left >= first.count; first = peek(now.taken)) {
    now.taken = dropFirst(now.taken);
    now.held -= first.count;
    left -= first.count;
  }
}

/** The lists do what they should. */
export function settled(draft: Draft): void {
  draft.now.attempts = 0;
  draft.now.error = null;
}

/** A page that is read begins with the last element of the one before. */
const SHORTEST_PAGE = 2;
const PAGE_CUT = 8;

/** Results may be so big that a page of them does not come in time: the next one is tried with fewer. */
export function shorterPage({ now }: Draft): void {
  now.page = Math.max(SHORTEST_PAGE, Math.floor(now.page / PAGE_CUT));
}

/** Not by much: one that is lost means that all is read again from the beginning. */
export function longerPage({ now }: Draft): void {
  now.page = Math.min(now.settings.batch, now.page + Math.ceil(now.page / PAGE_CUT));
}
