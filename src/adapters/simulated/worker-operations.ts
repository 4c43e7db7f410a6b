/**
 * What workers, and those who look after them, do to the lists, each operation in one go.
 *
 * Owns: slots, leases, the registry, what becomes of the units of a lost worker. Does not own: when an operation is
 * executed (connection.ts), what a run does with its results.
 *
 * The numbers in comments are those of the contract of TaskLists.
 */
import { encodeDead, unitHeader } from '../../core/messages.ts';
import type { Ack, StepReply, StepRequest, TaskLists, WorkerIdentity, WorkerNote } from '../../ports.ts';
import { DEAD_LIMIT, DEAD_UNIT_LENGTH, lostReason, NO_UNIT } from '../redis/dead.ts';
import type { DeadUnit } from '../redis/dead.ts';
import { entryText, GONE_MS, parseEntries } from '../redis/registry.ts';
import type { Entry } from '../redis/registry.ts';
import type { Store } from './run-operations.ts';

type RequestOf<Name extends keyof TaskLists> = Parameters<TaskLists[Name]>[0];

export function register(store: Store, request: RequestOf<'register'>): { readonly status: 'ok' | 'taken' } {
  const { lists, keys } = store;
  const lease = lists.first(keys.lease(request.worker));
  if (lease !== undefined && lease !== request.nonce) return { status: 'taken' };
  if (lease === undefined) for (const entry of entriesOf(store, request.worker)) empty(store, entry, request);
  enter(store, request);
  return { status: 'ok' };
}

export function step(store: Store, request: StepRequest): StepReply {
  const { lists, keys } = store;
  const { worker, queue, acks, claims, runs } = request;
  const queueKey = keys.queue(queue);
  const lease = lists.first(keys.lease(worker));
  if (lease !== undefined && lease !== request.nonce) return { status: 'taken', claimed: [], refused: [], cancelled: {}, pending: 0 };
  if (lease === undefined) enter(store, request);
  else lists.expire(keys.lease(worker), request.leaseMs);
  const refused = acks.flatMap((ack, at) => (settle(store, request, ack) ? [] : [at]));
  const claimed = claims.flatMap((slot) => {
    const key = keys.slot(worker, slot);
    // A slot that holds a unit was filled by a call whose reply was lost.
    const unit = lists.first(key) ?? lists.move(queueKey, key);
    return unit === undefined ? [] : [{ slot, unit }];
  });
  // A run without a coordinator wants nothing any more.
  const cancelled = runs.map((run) => [run, lists.has(keys.coordinator(run)) ? [...lists.list(keys.cancelled(run))] : ['*']] as const);
  return { status: 'ok', claimed, refused, cancelled: Object.fromEntries(cancelled.filter(([, entries]) => entries.length > 0)), pending: lists.length(queueKey) };
}

/** Rule 3: whether the slot still held what the worker speaks of, and its run still wants to know. */
function settle(store: Store, { worker, queue }: StepRequest, { slot, header, kind, text }: Ack): boolean {
  const { lists, keys } = store;
  const key = keys.slot(worker, slot);
  const unit = lists.list(key).find((held) => (header === '' ? unitHeader(held) === undefined : held.startsWith(`${header}|`)));
  if (unit === undefined) return false;
  lists.removeFirst(key, unit);
  const run = unitHeader(unit)?.run;
  if (kind === 'dead') bury(store, worker, unit, text, store.now());
  if (kind === 'drop' || kind === 'dead' || run === undefined) return true;
  if (kind === 'result') return report(store, run, text);
  if (lists.has(keys.coordinator(run))) lists.append(keys.queue(queue), [text]);
  return lists.has(keys.coordinator(run));
}

/** Rule 7. The results live as long as the token of the run's coordinator. */
function report({ lists, keys }: Store, run: string, text: string): boolean {
  if (!lists.has(keys.coordinator(run))) return false;
  const isNew = !lists.has(keys.results(run));
  lists.append(keys.results(run), [text]);
  const timeLeft = lists.timeLeft(keys.coordinator(run));
  if (isNew && timeLeft !== undefined) lists.expire(keys.results(run), timeLeft);
  return true;
}

export function leave(store: Store, { worker, nonce, queue, slots: count }: WorkerIdentity): void {
  const { lists, keys } = store;
  const lease = lists.first(keys.lease(worker));
  if (lease !== undefined && lease !== nonce) return;
  const mine = slotKeys(store, worker, count);
  lists.prepend(keys.queue(queue), mine.flatMap((key) => lists.list(key)));
  for (const key of mine) lists.remove(key);
  for (const entry of entriesOf(store, worker)) markGone(store, entry, store.now());
  lists.remove(keys.lease(worker));
}

export function reap(store: Store, request: RequestOf<'reap'>): { readonly returned: number; readonly dead: number } {
  const { lists, keys } = store;
  let returned = 0;
  let dead = 0;
  for (const entry of parseEntries(lists.list(keys.workers))) {
    if (lists.has(keys.lease(entry.worker))) continue;
    const counts = empty(store, entry, request);
    returned += counts.returned;
    dead += counts.dead;
  }
  return { returned, dead };
}

export function workers({ lists, keys }: Store): readonly WorkerNote[] {
  const listed = parseEntries(lists.list(keys.workers)).filter(({ goneAt }) => goneAt === undefined);
  return listed.map(({ worker, queue, slots }) => ({ worker, queue, slots, alive: lists.has(keys.lease(worker)) }));
}

export function slots({ lists, keys }: Store, request: RequestOf<'slots'>): readonly (string | undefined)[] {
  return Array.from({ length: request.slots }, (_, slot) => lists.first(keys.slot(request.worker, slot)));
}

/** Rule 6, for one worker without a lease. */
function empty(store: Store, entry: Entry, { deliveries, at }: { readonly deliveries: number; readonly at: number }): { readonly returned: number; readonly dead: number } {
  const { lists, keys } = store;
  const back: string[] = [];
  let dead = 0;
  for (const key of slotKeys(store, entry.worker, entry.slots)) {
    for (const text of lists.list(key)) {
      const unit = unitHeader(text);
      // Nobody wants it.
      if (unit !== undefined && !lists.has(keys.coordinator(unit.run))) continue;
      if (unit !== undefined && unit.attempt < deliveries) {
        back.push(`${unit.attempt + 1}${text.slice(String(unit.attempt).length)}`);
        continue;
      }
      bury(store, entry.worker, text, unit === undefined ? NO_UNIT : lostReason(unit.attempt), at);
      dead += 1;
    }
    lists.remove(key);
  }
  lists.prepend(keys.queue(entry.queue), back);
  markGone(store, entry, at);
  return { returned: back.length, dead };
}

function bury(store: Store, worker: string, text: string, reason: string, at: number): void {
  const { lists, keys } = store;
  const unit = unitHeader(text);
  const entry: DeadUnit = { at, reason, worker, unit: text.slice(0, DEAD_UNIT_LENGTH), deliveries: unit?.attempt ?? 0 };
  lists.append(keys.dead, [JSON.stringify(entry)]);
  lists.shift(keys.dead, Math.max(0, lists.length(keys.dead) - DEAD_LIMIT));
  if (unit !== undefined) report(store, unit.run, encodeDead(unit.id, unit.attempt, reason));
}

/** The worker is listed once, and as live. */
function enter({ lists, keys }: Store, { worker, nonce, slots: count, queue, leaseMs }: WorkerIdentity & { readonly leaseMs: number }): void {
  lists.keep(keys.workers, (text) => !text.startsWith(`${worker}|`));
  lists.append(keys.workers, [entryText(worker, count, queue)]);
  lists.set(keys.lease(worker), [nonce]);
  lists.expire(keys.lease(worker), leaseMs);
}

function markGone({ lists, keys }: Store, entry: Entry, at: number): void {
  if (entry.goneAt !== undefined && at - entry.goneAt <= GONE_MS) return;
  lists.keep(keys.workers, (text) => text !== entry.text);
  if (entry.goneAt === undefined) lists.append(keys.workers, [entryText(entry.worker, entry.slots, entry.queue, at)]);
}

function entriesOf({ lists, keys }: Store, worker: string): readonly Entry[] {
  return parseEntries(lists.list(keys.workers)).filter((entry) => entry.worker === worker);
}

function slotKeys({ keys }: Store, worker: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, slot) => keys.slot(worker, slot));
}
