/**
 * Becoming the run's coordinator, at first and again after every doubt: what is in the lists is compared with what should be.
 *
 * Owns: acquire, replay, audit, and what a lost reply leaves behind. Does not own: going on after that (dispatch.ts).
 *
 * Invariants
 * 1. After a lost reply nothing is believed: `taken` is read from its beginning, and every open unit is looked for. Pages of
 *    it overlap by one element: where that is another one, a trim of before was executed meanwhile, and it is read again.
 * 2. A push whose reply was lost is settled before the audit: either its number is known to the lists, or the number is
 *    used up, so that nothing of it can appear later.
 * 3. Units that an earlier life has left behind, and that this one does not know, are cancelled by their ids.
 * 4. Whoever finds the run without a coordinator, or with a newer one, goes on as the newest only when the run's store has
 *    confirmed that the run is still its own: a token in the lists alone does not say who owns a run.
 */
import type { SerializedError } from '../../src/core/errors.ts';
import { parseUnitId, unitId } from '../../src/core/messages.ts';
import { emptyFifo, items, pushAll } from '../execution-context/queue.ts';
import { longerPage, shorterPage, take } from './collect.ts';
import type { CoordinatorContext } from './context.ts';
import { goAgain } from './dispatch.ts';
import type { Draft, GroupDraft } from './draft.ts';
import type { CoordinatorEvent, ListsEvent, UnitRef } from './events.ts';
import { openUnit } from './open.ts';

type Of<T extends CoordinatorEvent['type']> = Extract<CoordinatorEvent, { readonly type: T }>;

export function acquire(draft: Draft): void {
  const { run, nonce, fence } = draft.now;
  draft.command({ type: 'ACQUIRE', run, nonce, fence, expireMs: draft.expireMs });
}

export function acquired(draft: Draft, { at, fence, seq }: Of<'ACQUIRED'>): void {
  const { now } = draft;
  now.at = at;
  now.command = null;
  now.fence = fence;
  now.seq = seq;
  // A number that is not the next cannot come any more, or was not lost.
  if (now.unsure?.batch !== seq + 1) now.unsure = null;
  forgetTaken(draft);
}

/** A run that has just begun has left nothing in the lists: what is there belongs to another one of the same id. */
export function isForeign({ fresh, audited }: CoordinatorContext, { fence, seq, held }: Of<'ACQUIRED'>): boolean {
  return fresh && !audited && (fence.epoch > 1 || seq > 0 || held > 0);
}

/** Invariant 4. */
export function confirm(draft: Draft): void {
  draft.host = { type: 'CONFIRM' };
}

/** The token is nobody's, or somebody else's: the next one is a new one. */
export function forgetFence({ now }: Draft): void {
  now.fence = null;
}

/** The lists were never used for this run: nothing to find. */
export function begin({ now }: Draft): void {
  now.audited = true;
  now.movedAt = now.at;
}

/** `taken` is read again from its beginning. */
export function forgetTaken({ now }: Draft): void {
  now.taken = emptyFifo();
  now.held = 0;
  now.lastRead = null;
  now.replay = false;
  if (now.wait !== null) now.wait = { ...now.wait, live: false };
}

export function read(draft: Draft): void {
  const { run, held, page } = draft.now;
  draft.command({ type: 'READ', run, from: Math.max(0, held - 1), most: page });
}

/** Invariant 1. */
export function isShifted({ lastRead }: CoordinatorContext, { arrivals }: Of<'READ'>): boolean {
  return lastRead !== null && arrivals[0]?.header !== lastRead;
}

export function hasRead(draft: Draft, event: Of<'READ'>): void {
  const { now } = draft;
  now.at = event.at;
  now.command = null;
  longerPage(draft);
  const arrivals = now.lastRead === null ? event.arrivals : event.arrivals.slice(1);
  now.lastRead = event.arrivals.at(-1)?.header ?? null;
  if (!now.audited) now.seen = pushAll(now.seen, arrivals.flatMap(({ result }) => (result === undefined ? [] : unitId(result.group, result.index, result.generation))));
  take(draft, arrivals, true);
}

export function audit(draft: Draft): void {
  const { run, unsure } = draft.now;
  draft.command({ type: 'AUDIT', run, fence: draft.fence, queues: draft.queues.map(({ name }) => name), seal: unsure, expireMs: draft.expireMs });
}

export function audited(draft: Draft, { at, present }: Of<'AUDITED'>): void {
  const { now } = draft;
  now.at = at;
  now.command = null;
  if (now.unsure !== null) now.seq = now.unsure.batch;
  now.unsure = null;
  const there = new Set(present);
  const missing = new Map<number, UnitRef[]>();
  for (const group of draft.allGroups()) compare(draft, group, there, missing);
  for (const [queue, refs] of missing) goAgain(draft, draft.queue(queue), refs);
  if (!now.audited) cancelStrays(draft, present);
  now.audited = true;
  now.seen = emptyFifo();
  now.auditDue = false;
  now.movedAt = at;
  now.more = true;
}

function compare(draft: Draft, group: GroupDraft, there: ReadonlySet<string>, missing: Map<number, UnitRef[]>): void {
  const { id } = group.plan;
  if (group.open === 0) return;
  const found: number[] = [];
  group.units.forEach(({ phase, generation }, index) => {
    if (phase === 'delivered') return;
    const present = there.has(unitId(id, index, generation));
    if (phase === 'planned' && present) found.push(index);
    if (phase === 'pushed' && !present) {
      const refs = missing.get(group.queue) ?? [];
      missing.set(group.queue, refs);
      refs.push([id, index, generation]);
    }
  });
  for (const index of found) {
    const unit = group.units.get(index);
    if (unit !== undefined) group.units.set(index, { ...unit, phase: 'pushed' });
  }
  draft.queue(group.queue).pushed += found.length;
  draft.now.pushed += found.length;
}

/** Invariant 3. By unit: a group may have more to plan. Those in `taken` are over. */
function cancelStrays(draft: Draft, present: readonly string[]): void {
  const seen = new Set(items(draft.now.seen));
  const strays = present.filter((id) => {
    const unit = parseUnitId(id);
    return unit !== undefined && !seen.has(id) && openUnit(draft.group(unit.group), unit.index, unit.generation) === undefined;
  });
  draft.now.cancels = pushAll(draft.now.cancels, strays.map((entry) => ({ entry, revision: 0 })));
}

/** A reply was lost, or the lists said that nobody owns the run. */
export function lost(draft: Draft, event: Of<'LOST'>): void {
  const { now } = draft;
  if (event.from === 'lists' && (now.command?.type === 'READ' || now.command?.takes === true)) shorterPage(draft);
  reset(draft, event.from === 'results');
  delay(draft, event.error, event);
}

export function gone(draft: Draft, event: Extract<ListsEvent, { readonly type: 'REFUSED' }>): void {
  reset(draft);
  delay(draft, { name: 'TransportError', code: 'transport/failed', message: 'the lists of the run are gone: the server has lost or removed them', details: { retryable: true } }, event);
}

function delay({ now }: Draft, error: SerializedError, { at, random }: { readonly at: number; readonly random: number }): void {
  const { retryMs, longestRetryMs } = now.settings;
  now.at = at;
  now.error = error;
  now.retryMs = Math.min(longestRetryMs, retryMs * 2 ** Math.min(now.attempts, 20)) * (0.5 + random / 2);
  now.attempts += 1;
}

/** Whatever is under way is not believed any more. */
export function reset({ now }: Draft, waitLost = false): void {
  const { command, wait } = now;
  if (command?.push !== undefined) now.unsure = { batch: command.push.batch, queue: now.queues[command.push.queue]?.name ?? '' };
  now.command = null;
  if (wait !== null) now.wait = waitLost ? null : { ...wait, live: false };
  now.resets += 1;
}

/** The blocking wait has started again: what it had may be in `taken`. */
export function forgetWait({ now }: Draft): void {
  if (now.wait !== null) now.replay = true;
  now.wait = null;
}

export function scheduleRetry(draft: Draft): void {
  draft.timers = { ...draft.timers, type: 'ARM', retryMs: draft.now.retryMs };
}

/** The run has started again, and knows nothing of what it was given and did not take in: it is still in `taken`. */
export function reopen(draft: Draft): void {
  const { now } = draft;
  for (const group of draft.allGroups()) {
    const back: number[] = [];
    group.units.forEach(({ phase }, index) => {
      if (phase === 'delivered') back.push(index);
    });
    for (const index of back) {
      const unit = group.units.get(index);
      if (unit !== undefined) group.units.set(index, { ...unit, phase: 'pushed', stop: undefined });
    }
    group.open += back.length;
    draft.queue(group.queue).pushed += back.length;
    now.open += back.length;
    now.pushed += back.length;
  }
  now.unaccepted = emptyFifo();
  now.unacceptedUnits = 0;
}
