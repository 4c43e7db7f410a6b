/**
 * What a worker asks for next: a call, a blocking wait, an alarm.
 *
 * Owns: that work flows. Invariants
 * 1. One call at a time; the acks of a turn ride on one step, and so do its claims.
 * 2. A blocking wait only for a free slot, when the queue was empty when it was last looked at.
 * 3. The lease is refreshed in every step, and there is a step at least every third of it.
 * 4. While anything is to be done later, the alarm is set to it.
 */
import type { Outstanding, WorkerContext } from './context.ts';
import type { WorkerDraft } from './draft.ts';
import type { SlotAck, WorkerCall } from './events.ts';

/** Called once at the end of every event. */
export function ask(draft: WorkerDraft): void {
  const { now } = draft;
  if (now.verdict !== null) return;
  askLists(draft);
  askWaiter(draft);
  setAlarm(draft);
}

function askLists(draft: WorkerDraft): void {
  const { now } = draft;
  if (now.call !== null) return;
  if (now.link === 'lost') {
    if (now.retryAt !== null && now.at < now.retryAt) return;
    now.retryAt = null;
    now.link = 'entering';
  }
  const call = nextCall(draft);
  if (call === undefined) return;
  now.calls += 1;
  const spoken = call.kind === 'step' ? { acked: call.acks.map(({ slot }) => slot), claims: call.claims } : { acked: [], claims: [] };
  const outstanding: Outstanding = { number: now.calls, kind: call.kind, since: now.at, ...spoken };
  now.call = outstanding;
  draft.call = { type: 'CALL', number: now.calls, call };
}

function nextCall(draft: WorkerDraft): WorkerCall | undefined {
  const { now } = draft;
  if (now.link === 'entering') return { kind: 'register' };
  if (now.link === 'reading') return { kind: 'slots' };
  if (now.link !== 'open') return undefined;
  if (now.unsure) return { kind: 'slots' };
  if (mayLeave(draft)) return { kind: 'leave' };
  if (now.at >= now.reapAt && now.drain === null) {
    now.reapAt = now.at + now.reapMs;
    return { kind: 'reap' };
  }
  return nextStep(draft);
}

/** Nothing is in the slots, and nothing comes into them any more; whoever gives back does not wait for the end of a wait. */
function mayLeave({ now, places }: WorkerDraft): boolean {
  return now.drain !== null && (now.wait === null || now.drain.over) && places.every((place) => place === null);
}

function nextStep(draft: WorkerDraft): WorkerCall | undefined {
  const { now } = draft;
  const acks: SlotAck[] = [];
  const runs = new Set<string>();
  for (const place of draft.places) {
    if (place === null) continue;
    if (place.ack !== undefined) acks.push(place.ack);
    else runs.add(place.run);
  }
  const speaks = acks.length > 0;
  const claims = mayClaim(now) ? claimable(draft) : [];
  const claiming = claims.length > 0 && !now.empty && !now.soon;
  if (!speaks && !claiming && !now.hinted && now.at < beatAt(now)) return undefined;
  now.soon = false;
  now.hinted = false;
  return { kind: 'step', acks, claims, runs: [...runs] };
}

/** When the next step is due, whatever there is to say. */
function beatAt({ beatAt: before, leaseMs }: WorkerContext): number {
  return before === null ? 0 : before + leaseMs / 3;
}

function mayClaim(now: WorkerContext): boolean {
  return now.drain === null && now.at >= now.claimAt;
}

/** Free slots, and those that this very step frees. */
function claimable({ now, places }: WorkerDraft): number[] {
  const free: number[] = [];
  places.forEach((place, slot) => {
    if (slot === now.wait?.slot) return;
    if (place === null || place.ack !== undefined) free.push(slot);
  });
  return free;
}

function askWaiter(draft: WorkerDraft): void {
  const { now } = draft;
  if (now.wait !== null || now.link !== 'open' || now.unsure || !now.empty || !mayClaim(now) || now.at < now.waitAt) return;
  // A step that is on its way may fill what it claims.
  const claimed = new Set(now.call?.claims);
  const slot = draft.places.findLastIndex((place, at) => place === null && !claimed.has(at));
  if (slot < 0) return;
  now.calls += 1;
  now.wait = { number: now.calls, slot };
  draft.wait = { type: 'WAIT', number: now.calls, slot, timeoutMs: now.waitMs };
}

function setAlarm(draft: WorkerDraft): void {
  const { now } = draft;
  const dueAt = nextTime(draft);
  if (dueAt === undefined || (now.alarm !== null && now.alarm <= dueAt)) return;
  now.alarm = dueAt;
  draft.alarm = { type: 'ALARM', dueAt };
}

function nextTime(draft: WorkerDraft): number | undefined {
  const { now } = draft;
  const times: number[] = [];
  if (now.soon) times.push(now.at);
  if (now.link === 'lost' && now.retryAt !== null) times.push(now.retryAt);
  if (now.drain !== null && !now.drain.over) times.push(now.drain.until);
  if (now.link === 'open' && now.call === null) {
    times.push(beatAt(now));
    if (now.drain === null) times.push(now.reapAt);
  }
  for (const later of [now.claimAt, now.waitAt]) if (later > now.at) times.push(later);
  return times.length === 0 ? undefined : Math.min(...times);
}
