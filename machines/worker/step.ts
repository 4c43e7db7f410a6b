/**
 * One event → one new context → at most one command for each I/O actor. Pure.
 *
 * Invariants
 * 1. An answer to a call that is not outstanding changes nothing.
 * 2. No failure of a call ends a worker that has worked: it enters again, reads its slots, and goes on.
 * 3. An actor that starts, fresh or again, is told everything that it needs; what it had in hand is looked up in the lists.
 */
import { ask } from './ask.ts';
import type { Outstanding, WorkerContext } from './context.ts';
import { WorkerDraft, type WorkerStep } from './draft.ts';
import type { WorkerActorName, WorkerEvent } from './events.ts';
import { cutOff, idTaken } from './failures.ts';
import { compared, filled, finished, isExecuted, stepped } from './places.ts';

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;

/** Applies one event. Events after the verdict change nothing. */
export function workerStep(context: WorkerContext, event: WorkerEvent): WorkerStep {
  const draft = new WorkerDraft(context, 'at' in event ? Math.max(event.at, context.at) : context.at);
  if (context.verdict === null) {
    apply(draft, event);
    ask(draft);
  }
  return draft.done();
}

function apply(draft: WorkerDraft, event: WorkerEvent): void {
  const { now } = draft;
  switch (event.type) {
    case 'READY':
      return ready(draft, event.from);
    case 'REGISTERED':
    case 'SLOTS_READ':
    case 'STEPPED':
    case 'REAPED':
    case 'LEFT':
      return answered(draft, event);
    case 'WAITED':
      return waited(draft, event.wait, event.unit);
    case 'LOST':
      return lost(draft, event);
    case 'FINISHED':
      return finished(draft, event.ends);
    case 'CANCELLED':
      // Anyone may publish: it is a reason to ask, and no more.
      now.hinted ||= draft.places.some((place) => isExecuted(place, event.run, [event.entry]));
      return;
    case 'DUE':
      now.alarm = null;
      now.soon = false;
      if (now.drain !== null && !now.drain.over && now.at >= now.drain.until) giveBack(draft);
      return;
    case 'DRAIN':
      return now.drain === null ? drain(draft) : giveBack(draft);
    case 'STOP':
      if (now.drain === null) drain(draft);
      return giveBack(draft);
    case 'IDLE':
    case 'BUSY':
    case 'CUT':
    case 'DRAINING':
    case 'CONCLUDED':
      return;
  }
}

function ready(draft: WorkerDraft, from: WorkerActorName): void {
  const { now } = draft;
  switch (from) {
    case 'lists':
      now.call = null;
      now.link = 'entering';
      return;
    case 'waiter':
      return waitLost(draft);
    case 'units':
      return forgetRunning(draft);
    case 'timers':
      now.alarm = null;
      return;
    case 'signals':
      return;
  }
}

/** Whoever executed them does not know them any more; the slots still do. */
function forgetRunning(draft: WorkerDraft): void {
  draft.places.forEach((place, slot) => {
    if (place === null || place.ack !== undefined) return;
    draft.put(slot, null);
    draft.now.unsure = true;
  });
}

type Answer = Extract<WorkerEvent, { readonly call: number }>;

function answered(draft: WorkerDraft, event: Answer): void {
  const { now } = draft;
  const { call } = now;
  if (call === null || call.number !== event.call || call.kind !== answers[event.type]) return;
  now.call = null;
  switch (event.type) {
    case 'REGISTERED':
      if (event.status === 'taken') return taken(draft);
      now.link = 'reading';
      now.beatAt = call.since;
      return;
    case 'SLOTS_READ':
      if (now.link === 'reading') now.link = 'open';
      now.known = true;
      now.unsure = false;
      // There may be work: only a step says that there is none.
      now.empty = false;
      compared(draft, event.units, call.since);
      return;
    case 'STEPPED':
      return steppedOk(draft, call, event);
    case 'REAPED':
      if (event.returned > 0) now.empty = false;
      return;
    case 'LEFT':
      now.verdict = { kind: 'drained' };
      return;
  }
}

const answers = { REGISTERED: 'register', SLOTS_READ: 'slots', STEPPED: 'step', REAPED: 'reap', LEFT: 'leave' } as const satisfies Record<Answer['type'], Outstanding['kind']>;

function steppedOk(draft: WorkerDraft, call: Outstanding, { answer }: Extract<WorkerEvent, { type: 'STEPPED' }>): void {
  const { now } = draft;
  if (answer.status === 'taken') return taken(draft);
  // Only this says that all is well: who may enter the registry may still have no way to the queue.
  now.failures = 0;
  now.problem = null;
  now.beatAt = call.since;
  now.steppedAt = now.at;
  now.pending = answer.pending;
  now.empty = answer.pending === 0 || answer.claimed.length < call.claims.length;
  stepped(draft, call, answer);
}

function waited(draft: WorkerDraft, number: number, unit: string | undefined): void {
  const { now } = draft;
  if (now.wait?.number !== number) return;
  const { slot } = now.wait;
  now.wait = null;
  now.waitFailures = 0;
  // Without a unit too: only a claim sees what a wait that was given up has moved into the slot since.
  now.empty = false;
  if (unit === undefined) return;
  const held = draft.place(slot);
  // It was seen when the slots were read.
  if (held !== null) return;
  filled(draft, slot, unit);
  now.soon = true;
}

/** A wait that nobody hears of may have been served: the next claim of its slot shows. */
function waitLost({ now }: WorkerDraft): void {
  if (now.wait === null) return;
  now.wait = null;
  now.empty = false;
}

function lost(draft: WorkerDraft, event: Extract<WorkerEvent, { type: 'LOST' }>): void {
  const { now } = draft;
  if (event.from === 'waiter') {
    if (now.wait?.number !== event.number) return;
    waitLost(draft);
    now.waitAt = now.at + retryDelayMs(now, now.waitFailures, event.random);
    now.waitFailures += 1;
    return;
  }
  const { call } = now;
  if (call === null || call.number !== event.number) return;
  now.call = null;
  now.problem = event.error;
  // What has never worked and cannot get better by itself is told at once.
  if (!event.retryable && now.steppedAt === null) {
    now.verdict = { kind: 'failed', error: event.error };
    return;
  }
  now.link = 'lost';
  now.retryAt = now.at + retryDelayMs(now, now.failures, event.random);
  now.failures += 1;
  if (now.drain !== null) giveUp(draft);
}

function retryDelayMs({ leaseMs }: WorkerContext, failures: number, random: number): number {
  const most = Math.max(FIRST_RETRY_MS, Math.min(LONGEST_RETRY_MS, leaseMs / 2));
  return Math.round(Math.min(most, FIRST_RETRY_MS * 2 ** Math.min(failures, 20)) * (0.5 + random / 2));
}

function drain(draft: WorkerDraft): void {
  const { now } = draft;
  now.drain = { since: now.at, until: now.at + now.drainMs, over: false };
  draft.handOver = true;
  giveUp(draft);
}

function giveBack(draft: WorkerDraft): void {
  const { now } = draft;
  if (now.drain === null || now.drain.over) return;
  now.drain = { ...now.drain, over: true };
  draft.giveBack = true;
  giveUp(draft);
}

/** Without a connection nothing can be given back: whoever had nothing may go, and others after the time that they had. */
function giveUp(draft: WorkerDraft): void {
  const { now } = draft;
  const idle = now.call === null && now.link !== 'open' && now.link !== 'reading';
  if (!idle || now.drain === null) return;
  if (!now.known) now.verdict = { kind: 'drained' };
  else if (now.drain.over) now.verdict = { kind: 'failed', error: cutOff(now) };
}

function taken(draft: WorkerDraft): void {
  const { now } = draft;
  now.verdict = { kind: 'taken', error: idTaken(now) };
}
