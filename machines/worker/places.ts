/**
 * The slots of a worker: what moves into them and out of them.
 *
 * Owns: filling, ending, cancelling, and comparing with what the lists say. Does not own: when the lists are asked (ask.ts).
 *
 * Invariants
 * 1. A unit is started when it is seen in a slot that was not known to hold it, and only then.
 * 2. A unit that is not in its slot any more is stopped: someone else has it, or nobody wants it.
 * 3. What is said of a unit is said again until the lists accept it or do not hold the unit any more.
 */
import { unitHeader } from '../../src/core/messages.ts';
import type { Held, Outstanding, Place } from './context.ts';
import type { WorkerDraft } from './draft.ts';
import type { SlotAck, StepAnswer, UnitEnd } from './events.ts';

/** A unit has come into a slot. */
export function filled(draft: WorkerDraft, slot: number, unit: string): void {
  const { now } = draft;
  const header = unitHeader(unit);
  const held: Held = { header: header?.text ?? '', run: header?.run ?? '', id: header?.id ?? '', since: now.at };
  if (header === undefined) return draft.put(slot, { ...held, ack: { slot, header: '', kind: 'dead', text: 'it has no header attempt|run|id' } });
  // Asked for before the drain began: it goes as it came.
  if (now.drain !== null) return draft.put(slot, { ...held, ack: { slot, header: held.header, kind: 'return', text: unit } });
  draft.put(slot, held);
  draft.start.push({ slot, unit });
}

/** Units that are not being executed any more. What was stopped meanwhile is not heard. */
export function finished(draft: WorkerDraft, ends: readonly UnitEnd[]): void {
  let known = 0;
  let refused = 0;
  for (const ack of ends) {
    const held = draft.place(ack.slot);
    if (held === null || held.header !== ack.header || held.ack !== undefined) continue;
    const { header, run, id, since } = held;
    draft.put(ack.slot, { header, run, id, since, ack });
    if (ack.refused === true) refused += 1;
    else known += 1;
  }
  if (known > 0) draft.now.refusals = 0;
  else if (refused > 0) holdBack(draft);
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;

/** Whoever gets nothing but what it must give back leaves it to others for a while. */
function holdBack(draft: WorkerDraft): void {
  const { now } = draft;
  now.claimAt = now.at + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** now.refusals);
  now.refusals = Math.min(now.refusals + 1, 20);
}

/** Nobody wants these any more: `*`, a group's id or a unit's id. */
function cancelled(draft: WorkerDraft, run: string, entries: readonly string[]): void {
  draft.places.forEach((held, slot) => {
    if (!isExecuted(held, run, entries)) return;
    draft.halt(slot);
    draft.put(slot, { ...held, ack: dropOf(slot, held) });
  });
}

/** Whether it is a unit in the making, and one of these. */
export function isExecuted(held: Place, run: string, entries: readonly string[]): held is Held {
  return held !== null && held.run === run && held.ack === undefined && entries.some((entry) => covers(entry, held.id));
}

function covers(entry: string, id: string): boolean {
  return entry === '*' || entry === id || id.startsWith(`${entry}.`);
}

function dropOf(slot: number, { header }: Held): SlotAck {
  return { slot, header, kind: 'drop', text: '' };
}

/** A step was answered: what it said has left, and what it claimed has come. */
export function stepped(draft: WorkerDraft, call: Outstanding, answer: StepAnswer): void {
  const { now } = draft;
  const refused = new Set(answer.refused);
  call.acked.forEach((slot, at) => {
    const held = draft.place(slot);
    if (held === null) return;
    draft.put(slot, null);
    if (refused.has(at)) {
      // The slot holds another unit by now, or the run is gone: what became of the other slots shows when they are read.
      now.refused += 1;
      now.unsure = true;
    } else if (held.ack?.kind === 'result') now.served += 1;
  });
  for (const { slot, unit } of answer.claimed) filled(draft, slot, unit);
  for (const run in answer.cancelled) cancelled(draft, run, answer.cancelled[run] ?? []);
}

/** What the lists say of the slots, by a call that was sent at `asked`. */
export function compared(draft: WorkerDraft, units: readonly (string | null)[], asked: number): void {
  for (let slot = 0; slot < draft.now.slots; slot += 1) {
    const unit = units[slot] ?? undefined;
    const held = draft.place(slot);
    if (held !== null && unit !== undefined && isSame(held, unit)) continue;
    // It came after the lists were asked.
    if (held !== null && held.since >= asked && unit === undefined) continue;
    if (held !== null && held.ack === undefined) draft.halt(slot);
    if (unit !== undefined) filled(draft, slot, unit);
    else if (held !== null) draft.put(slot, null);
  }
}

/** Whether a text is the unit that is held. */
export function isSame(held: Held, unit: string): boolean {
  return held.header === '' ? unitHeader(unit) === undefined : unit.startsWith(`${held.header}|`);
}
