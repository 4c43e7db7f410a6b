/**
 * What coordinators do to the lists, each operation in one go.
 *
 * Owns: fencing, numbered batches, taking and trimming, cancelling. Does not own: when an operation is executed, and
 * whether its reply arrives (connection.ts).
 *
 * The numbers in comments are those of the contract of TaskLists.
 */
import { resultHeader, unitHeader } from '../../core/messages.ts';
import type { Audit, Fence, PushRequest, Refused, TaskLists } from '../../ports.ts';
import { parseEntries } from '../redis/registry.ts';
import { CANCEL_LIMIT } from '../redis/requests.ts';
import type { Keys } from '../redis/keys.ts';
import type { MemoryLists } from './memory.ts';

export interface Store {
  readonly lists: MemoryLists;
  readonly keys: Keys;
  readonly now: () => number;
  /** Tells everyone who listens on the control channel. */
  readonly publish: (text: string) => void;
}

type RequestOf<Name extends keyof TaskLists> = Parameters<TaskLists[Name]>[0];
type ReplyOf<Name extends keyof TaskLists> = Awaited<ReturnType<TaskLists[Name]>>;

export function acquire({ lists, keys }: Store, { run, nonce, fence, expireMs }: RequestOf<'acquire'>): ReplyOf<'acquire'> {
  const held = readFence(lists.first(keys.coordinator(run)));
  if (fence !== undefined && held === undefined) return { status: 'gone' };
  if (fence !== undefined && held !== undefined && held.nonce !== fence.nonce && held.epoch >= fence.epoch) return { status: 'fenced' };
  // Asked again after a lost reply, the newest stays the newest.
  const mine = fence === undefined ? { epoch: (held?.epoch ?? 0) + (held?.nonce === nonce ? 0 : 1), nonce } : { epoch: Math.max(fence.epoch, held?.nonce === fence.nonce ? held.epoch : 0), nonce: fence.nonce };
  lists.set(keys.coordinator(run), [fenceText(mine)]);
  refresh({ lists, keys }, run, expireMs);
  return { status: 'acquired', fence: mine, seq: Number(lists.first(keys.sequence(run)) ?? 0), held: lists.length(keys.taken(run)) };
}

/** Rules 2 and 4. A number that leaves a gap says that the lists have lost what came before it. */
export function push({ lists, keys }: Store, request: PushRequest): { readonly status: 'ok' } | Refused {
  const { run, fence, batch, queue, units, shared = [], expireMs } = request;
  const refused = checkFence(lists, keys, run, fence);
  if (refused !== undefined) return refused;
  const last = Number(lists.first(keys.sequence(run)) ?? 0);
  if (batch <= last) return { status: 'ok' };
  if (batch > last + 1) return { status: 'gone' };
  for (const { name, text } of shared) {
    lists.set(keys.shared(run, name), [text]);
    if (expireMs !== undefined) lists.expire(keys.shared(run, name), expireMs);
  }
  lists.append(keys.queue(queue), units);
  lists.set(keys.sequence(run), [String(batch), ...new Set([...lists.list(keys.sequence(run)).slice(1), ...shared.map(({ name }) => name)])]);
  if (expireMs !== undefined) lists.expire(keys.sequence(run), expireMs);
  return { status: 'ok' };
}

/** Rule 5. `shared` are the names of the run's shared parts, as far as its coordinator has said. */
export function take({ lists, keys }: Store, { run, fence, most, expireMs }: RequestOf<'take'>, shared: readonly string[]): ReplyOf<'take'> {
  const refused = checkFence(lists, keys, run, fence);
  if (refused !== undefined) return refused;
  const items = lists.shift(keys.results(run), most);
  lists.append(keys.taken(run), items);
  refresh({ lists, keys }, run, expireMs, shared);
  return { status: 'ok', items, held: lists.length(keys.taken(run)) };
}

/** What a wait has moved to `taken` lives as long as the token of its coordinator. */
export function keepTaken({ lists, keys }: Store, run: string): void {
  const timeLeft = lists.timeLeft(keys.coordinator(run));
  if (timeLeft !== undefined) lists.expire(keys.taken(run), timeLeft);
}

export function trim({ lists, keys }: Store, { run, fence, count, last, forget = [] }: RequestOf<'trim'>): ReplyOf<'trim'> {
  const refused = checkFence(lists, keys, run, fence);
  if (refused !== undefined) return refused;
  if (count > 0) {
    const found = lists.list(keys.taken(run))[count - 1];
    if (found === undefined || resultHeader(found) !== last) return { status: 'mismatch' };
    lists.shift(keys.taken(run), count);
  }
  for (const name of forget) lists.remove(keys.shared(run, name));
  if (forget.length > 0) lists.keep(keys.sequence(run), (text) => !forget.includes(text));
  return { status: 'ok' };
}

/** Rule 1: a unit is in one list only, so whoever looks into all of them at once misses none. */
export function audit({ lists, keys }: Store, { run, fence, queues }: RequestOf<'audit'>): Audit | Refused {
  const refused = checkFence(lists, keys, run, fence);
  if (refused !== undefined) return refused;
  const slots = parseEntries(lists.list(keys.workers)).flatMap((entry) => Array.from({ length: entry.slots }, (_, slot) => keys.slot(entry.worker, slot)));
  const units = [...queues.map(keys.queue), ...slots].flatMap((key) => lists.list(key).flatMap((text) => unitHeader(text) ?? []));
  const results = [keys.results(run), keys.taken(run)].flatMap((key) => lists.list(key).flatMap((text) => /^[RPD]\|(\d+\.\d+\.\d+)\|/.exec(text)?.[1] ?? []));
  return { status: 'ok', present: [...units.filter((unit) => unit.run === run).map((unit) => unit.id), ...results] };
}

export function cancel({ lists, keys, publish }: Store, { run, fence, entries, queues, forMs }: RequestOf<'cancel'>): ReplyOf<'cancel'> {
  const refused = checkFence(lists, keys, run, fence);
  if (refused !== undefined) return refused;
  const key = keys.cancelled(run);
  lists.append(key, entries.filter((entry) => !lists.list(key).includes(entry)));
  lists.shift(key, Math.max(0, lists.length(key) - CANCEL_LIMIT));
  lists.expire(key, forMs);
  const removed = purge(lists, run, entries, queues.map(keys.queue));
  for (const entry of entries) publish(`C|${run}|${entry}`);
  return { status: 'ok', removed };
}

export function release({ lists, keys }: Store, { run, fence, queues, shared }: RequestOf<'release'>): ReplyOf<'release'> {
  const refused = checkFence(lists, keys, run, fence);
  if (refused !== undefined) return refused;
  purge(lists, run, ['*'], queues.map(keys.queue));
  const names = [...shared, ...lists.list(keys.sequence(run)).slice(1)];
  for (const key of [...runKeys(keys, run), ...names.map((name) => keys.shared(run, name))]) lists.remove(key);
  return { status: 'ok' };
}

/** Whether the entries (`*`, a group's id, a unit's id) name the unit. */
function isNamed(entries: ReadonlySet<string>, id: string): boolean {
  return entries.has('*') || entries.has(id) || entries.has(id.slice(0, id.indexOf('.')));
}

function purge(lists: MemoryLists, run: string, entries: readonly string[], queues: readonly string[]): number {
  const named = new Set(entries);
  const stays = (text: string): boolean => {
    const unit = unitHeader(text);
    return unit === undefined || unit.run !== run || !isNamed(named, unit.id);
  };
  return queues.reduce((removed, queue) => removed + lists.keep(queue, stays), 0);
}

function refresh({ lists, keys }: Pick<Store, 'lists' | 'keys'>, run: string, expireMs: number | undefined, shared: readonly string[] = []): void {
  if (expireMs === undefined) return;
  const refreshed = [keys.coordinator(run), keys.sequence(run), keys.results(run), keys.taken(run), ...shared.map((name) => keys.shared(run, name))];
  for (const key of refreshed) lists.expire(key, expireMs);
}

function runKeys(keys: Keys, run: string): readonly string[] {
  return [keys.coordinator(run), keys.sequence(run), keys.results(run), keys.taken(run), keys.cancelled(run)];
}

function fenceText({ epoch, nonce }: Fence): string {
  return `${epoch}|${nonce}`;
}

function readFence(text: string | undefined): Fence | undefined {
  const parts = text === undefined ? null : /^(\d+)\|(.*)$/s.exec(text);
  return parts === null ? undefined : { epoch: Number(parts[1]), nonce: parts[2] as string };
}

/** Rule 4. An older token than the caller's has come back after a loss, another one of its own was taken by a call that came late: it has to ask for it again. */
function checkFence(lists: MemoryLists, keys: Keys, run: string, fence: Fence): Refused | undefined {
  const held = readFence(lists.first(keys.coordinator(run)));
  if (held?.nonce === fence.nonce && held.epoch === fence.epoch) return undefined;
  return held === undefined || held.nonce === fence.nonce || held.epoch < fence.epoch ? { status: 'gone' } : { status: 'fenced' };
}
