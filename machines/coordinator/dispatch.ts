/**
 * What is done next: one command for the lists at a time, and a blocking wait beside it where nothing else moves results.
 *
 * Owns: choosing, and the order in which units leave. Does not own: what results mean (collect.ts).
 *
 * Invariants
 * 1. A unit leaves when the revision that planned it is durable, and not before.
 * 2. At most `window` units of a queue are in the lists.
 * 3. A take and a live blocking wait are never under way at the same time: each puts results behind those that are known.
 * 4. Trims ride along with what has to go anyway, but for those that have waited for a tick.
 */
import { emptyFifo, items, pushAll, take as takeFrom, type Fifo } from '../execution-context/queue.ts';
import { longerPage, receive, settled, take, trimmable, trimmed } from './collect.ts';
import type { Outstanding } from './context.ts';
import type { Draft, GroupDraft, QueueDraft } from './draft.ts';
import type { ListsCommand, ListsEvent, PlannedGroup, PlannedUnit, PushPart, UnitRef } from './events.ts';
import { openUnit, unpush } from './open.ts';

type Of<T extends ListsEvent['type']> = Extract<ListsEvent, { readonly type: T }>;
type TakePart = Extract<ListsCommand, { readonly type: 'TURN' }>['take'];

/** Goes on, from wherever the context stands. */
export function proceed(draft: Draft): void {
  if (draft.now.command === null && !draft.now.replay && !draft.now.auditDue) next(draft);
  if (mayListen(draft)) draft.listen();
  armTick(draft);
}

function next(draft: Draft): void {
  const { now } = draft;
  const { run, settings } = now;
  const entries = cancelsDue(draft);
  if (entries.length > 0) {
    return draft.command({ type: 'CANCEL', run, fence: draft.fence, entries, queues: draft.queues.map(({ name }) => name), forMs: settings.cancelMs }, { cancels: entries.length });
  }
  if (turn(draft)) return;
  if (now.surveyDue) {
    now.surveyDue = false;
    draft.command({ type: 'SURVEY', deliveries: settings.deliveries });
  }
}

function cancelsDue({ now: { cancels, durable, settings } }: Draft): readonly string[] {
  const entries: string[] = [];
  for (const { entry, revision } of items(cancels)) {
    if (revision > durable || entries.length === settings.batch) break;
    entries.push(entry);
  }
  return entries;
}

function turn(draft: Draft): boolean {
  const { now } = draft;
  const picked = pick(draft);
  const taken = takePart(draft);
  const done = trimmable(draft);
  const trim = done !== null && (picked !== undefined || taken !== null || now.trimNow || done.count + done.forget.length >= now.settings.batch) ? done : null;
  if (picked === undefined && taken === null && trim === null) return false;
  const push = picked === undefined ? null : leaving(draft, picked);
  const kept = { trim: trim?.count, forgets: trim?.forget.length, takes: taken !== null, ...(picked !== undefined && push !== null && { push: { batch: push.batch, queue: picked.queue, units: picked.units.map(({ group, index, generation }): UnitRef => [group, index, generation]), missing: push.missing } }) };
  draft.command({ type: 'TURN', run: now.run, fence: draft.fence, push, trim, take: taken, expireMs: draft.expireMs }, kept);
  return true;
}

function takePart({ now }: Draft): TakePart {
  if (now.pushed === 0) now.more = false;
  const wanted = now.refresh || (now.more && !isFull(now));
  return wanted && now.wait?.live !== true ? { most: now.page } : null;
}

/** The run is behind: it gets no more until it has taken in what it was given. */
function isFull({ unacceptedUnits, settings }: Draft['now']): boolean {
  return unacceptedUnits >= settings.window;
}

function mayListen({ now }: Draft): boolean {
  const { command, wait, pushed, more, refresh, replay } = now;
  return wait === null && pushed > 0 && command?.takes !== true && !more && !refresh && !replay && !isFull(now);
}

interface Picked {
  readonly queue: number;
  readonly units: readonly PlannedUnit[];
}

/** Units that may leave now; the queues take turns. */
function pick(draft: Draft): Picked | undefined {
  const { now, queues } = draft;
  for (let step = 1; step <= queues.length; step += 1) {
    const at = (now.turn + step) % queues.length;
    const queue = draft.queue(at);
    const room = Math.min(queue.most, now.settings.batch, now.settings.window - queue.pushed);
    const units: PlannedUnit[] = [];
    queue.again = pickFrom(draft, queue.again, room, units);
    queue.planned = pickFrom(draft, queue.planned, room, units);
    if (units.length === 0) continue;
    queue.pushed += units.length;
    now.pushed += units.length;
    now.turn = at;
    return { queue: at, units };
  }
  return undefined;
}

/**
 * The rest of the line. Invariant 1. What leaves counts as being in the lists from here on: who wants to stop it has to look
 * for it there, and a line that names it once more passes it over.
 */
function pickFrom(draft: Draft, line: Fifo<UnitRef>, room: number, picked: PlannedUnit[]): Fifo<UnitRef> {
  let passed = 0;
  if (room > 0) for (const [id, index, generation] of items(line)) {
    const group = draft.group(id);
    const unit = openUnit(group, index, generation);
    if (group !== undefined && unit?.phase === 'planned') {
      if (picked.length >= room || unit.revision > draft.now.durable) break;
      group.units.set(index, { ...unit, phase: 'pushed' });
      picked.push({ group: id, index, generation, body: unit.body });
    }
    passed += 1;
  }
  return passed === 0 ? line : takeFrom(line, passed)[1];
}

function leaving(draft: Draft, { queue: at, units }: Picked): PushPart {
  const { now } = draft;
  const queue = draft.queue(at);
  const groups = new Map<number, PlannedGroup>();
  for (const { group } of units) if (!groups.has(group)) groups.set(group, (draft.group(group) as GroupDraft).plan);
  const missing = [...groups.values()].flatMap(({ id, beside }) => (beside === undefined || draft.storedAt(id) === now.resets ? [] : id));
  // Their names are known from here on: whatever becomes of the push, they can be removed.
  for (const id of missing) draft.stored(id, now.resets);
  const graph = now.graph.wanted && now.graph.storedAt !== now.resets;
  if (graph) now.graph = { ...now.graph, storedAt: now.resets };
  return { batch: now.seq + 1, queue: queue.name, units, groups: [...groups.values()], missing, graph };
}

/** At no reset. */
const NOT_STORED = -1;

/** A turn is over. */
export function turned(draft: Draft, { at, pushed, trimmed: trim, taken }: Of<'TURNED'>): void {
  const { now } = draft;
  const command = now.command as Outstanding;
  now.command = null;
  now.at = at;
  settled(draft);
  if (command.push !== undefined && pushed !== undefined) hasLeft(draft, command.push, pushed);
  if (command.trim !== undefined && trim !== undefined) {
    now.trimNow = false;
    if (trim === 'ok') trimmed(draft, command.trim, command.forgets ?? 0);
    else now.replay = true;
  }
  if (taken !== undefined) hasTaken(draft, taken);
}

function hasLeft(draft: Draft, { batch, queue: at, units, missing }: NonNullable<Outstanding['push']>, { units: count, groups }: NonNullable<Of<'TURNED'>['pushed']>): void {
  const { now } = draft;
  now.seq = batch;
  now.movedAt = now.at;
  for (const id of missing) if (!groups.includes(id) && draft.group(id) !== undefined) draft.stored(id, NOT_STORED);
  const queue = draft.queue(at);
  const stayed = units.slice(count);
  queue.most = stayed.length > 0 ? Math.max(1, count * 2) : Math.min(now.settings.batch, queue.most * 2);
  if (stayed.length > 0) goAgain(draft, queue, stayed);
}

/** Units that are not in the lists though it was said that they are: the next to leave. */
export function goAgain(draft: Draft, queue: QueueDraft, refs: readonly UnitRef[]): void {
  const back: UnitRef[] = [];
  for (const ref of refs) {
    const [id, index, generation] = ref;
    const group = draft.group(id);
    const unit = openUnit(group, index, generation);
    if (group === undefined || unit?.phase !== 'pushed') continue;
    group.units.set(index, { ...unit, phase: 'planned' });
    unpush(draft, group);
    back.push(ref);
  }
  queue.again = pushAll(pushAll(emptyFifo<UnitRef>(), back), [...items(queue.again)]);
}

/** What was taken is the end of `taken`, unless somebody else has put something there (collect.ts, invariant 3). */
function hasTaken(draft: Draft, { arrivals, held }: NonNullable<Of<'TURNED'>['taken']>): void {
  const { now } = draft;
  longerPage(draft);
  now.refresh = false;
  now.more = arrivals.length > 0;
  if (held === now.held + arrivals.length) return take(draft, arrivals);
  receive(draft, arrivals);
  now.replay = true;
}

export function cancelled(draft: Draft): void {
  const { now } = draft;
  now.cancels = takeFrom(now.cancels, now.command?.cancels ?? 0)[1];
  now.command = null;
}

/** The first look at the workers comes soon: until then nobody can say why nothing moves. */
const FIRST_LOOK_MS = 1000;
const SHORTEST_TICK_MS = 50;

function armTick(draft: Draft): void {
  const { now } = draft;
  const { settings, shortestStartMs, tickMs } = now;
  if (now.open === 0 && now.taken.size === 0 && now.unneeded.size === 0 && now.journalled) return;
  const start = shortestStartMs === null ? settings.tickMs : Math.max(SHORTEST_TICK_MS, Math.ceil(shortestStartMs / 2));
  const look = now.queues.some(({ workers }) => workers === null) && now.open > 0 ? FIRST_LOOK_MS : settings.tickMs;
  const wanted = Math.min(settings.tickMs, start, look);
  if (tickMs !== null && tickMs <= wanted) return;
  now.tickMs = wanted;
  draft.timers = { ...draft.timers, type: 'ARM', tickMs: wanted };
}
