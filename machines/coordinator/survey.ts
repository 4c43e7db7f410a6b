/**
 * Looking around now and then: who serves the queues, what does not move, and what is said to those who ask.
 *
 * Owns: ticks, start timeouts, the reasons. Does not own: the commands that follow (dispatch.ts).
 *
 * Invariant: a group's units fail for want of a worker only if a look at the workers has just shown none.
 */
import type { SerializedError } from '../../src/core/errors.ts';
import { values } from '../execution-context/vec.ts';
import { deliver, failedEnds, markDelivered, membersOf, settled } from './collect.ts';
import type { CoordinatorContext, OpenUnit } from './context.ts';
import type { Draft, GroupDraft } from './draft.ts';
import type { Accepted, CoordinatorEvent, UnitRef } from './events.ts';

type Of<T extends CoordinatorEvent['type']> = Extract<CoordinatorEvent, { readonly type: T }>;

export function ticked({ now }: Draft, { at }: Of<'TICK'>): void {
  now.at = at;
  now.tickMs = null;
}

/** The timers have started again: nothing is armed. */
export function rearm(draft: Draft): void {
  const { now } = draft;
  now.tickMs = null;
  if (now.closing) draft.timers = { ...draft.timers, type: 'ARM', closeMs: now.settings.closeMs };
}

/** What only a tick sees to. */
export function lookAround({ now }: Draft): void {
  // Also what a dying connection has put into `taken` is found by the next take.
  if (now.pushed > 0) now.more = true;
  if (!now.journalled) now.refresh = true;
  now.trimNow = true;
  if (now.open === 0) return;
  now.surveyDue = true;
  if (now.pushed > 0 && now.at - now.movedAt >= now.settings.auditAfterMs) now.auditDue = true;
}

export function surveyed(draft: Draft, { at, workers }: Of<'SURVEYED'>): void {
  const { now } = draft;
  now.at = at;
  now.command = null;
  settled(draft);
  for (const queue of draft.queues) {
    queue.workers = workers.filter((worker) => worker.alive && worker.queue === queue.name).length;
    if (queue.workers > 0) queue.servedAt = at;
  }
  const results: Accepted[] = [];
  const units: UnitRef[] = [];
  for (const group of draft.allGroups()) if (isAbandoned(draft, group)) failAll(draft, group, results, units);
  deliver(draft, results, units);
}

function isAbandoned(draft: Draft, { plan, queue: at, open, quietSince }: GroupDraft): boolean {
  const queue = draft.queue(at);
  if (plan.startTimeoutMs === undefined || open === 0 || queue.workers !== 0) return false;
  return draft.now.at - Math.max(quietSince, queue.servedAt) >= plan.startTimeoutMs;
}

function failAll(draft: Draft, group: GroupDraft, results: Accepted[], units: UnitRef[]): void {
  const { id } = group.plan;
  const error = noWorker(group);
  const open: [number, OpenUnit][] = [];
  group.units.forEach((unit, index) => {
    if (unit.phase !== 'delivered') open.push([index, unit]);
  });
  for (const [index, unit] of open) {
    const { generation, phase } = unit;
    markDelivered(draft, group, index, phase === 'pushed' ? { ...unit, stop: true } : unit);
    results.push({ group: id, index, generation, ends: failedEnds(membersOf(unit), error), worker: undefined, startedAt: undefined, durationMs: undefined });
    units.push([id, index, generation]);
  }
}

function noWorker({ plan: { queue, shared, startTimeoutMs } }: GroupDraft): SerializedError {
  return {
    name: 'TaskError',
    code: 'task/no-worker',
    message: `nobody started the units of group "${shared.node}" (workflow "${shared.workflow}", run "${shared.runId}") within ${startTimeoutMs} ms: no live worker serves the queue "${queue}"`,
    hint: `start one with the same namespace: taskchart worker <module> --redis <url> --queue ${queue}`,
    details: { queue, startTimeoutMs: startTimeoutMs ?? null },
  };
}

/** Open units by queue. */
export interface UnitsWait {
  readonly kind: 'units';
  readonly queue: string;
  readonly units: number;
  readonly since: number;
  readonly reason?: string | undefined;
}

/** What a coordinator waits for, since when and why. Linear in what is open: for those who ask. */
export function unitsWaiting(context: CoordinatorContext): readonly UnitsWait[] {
  const open = context.queues.map(() => ({ units: 0, since: Number.MAX_SAFE_INTEGER }));
  for (const group of values(context.groups)) {
    const queue = open[group.queue];
    if (queue === undefined || group.open === 0) continue;
    queue.units += group.open;
    for (const { phase, at } of values(group.units)) if (phase !== 'delivered') queue.since = Math.min(queue.since, at);
  }
  return context.queues.flatMap(({ name, workers }, at) => {
    const { units, since } = open[at] as { units: number; since: number };
    const reason = reasonOf(context, workers);
    return units === 0 ? [] : [{ kind: 'units', queue: name, units, since, ...(reason !== undefined && { reason }) }];
  });
}

function reasonOf({ error, bad }: CoordinatorContext, workers: number | null): string | undefined {
  if (error !== null) {
    const cut = error.code === 'transport/unreachable' || error.code === 'transport/timeout';
    return `${cut ? 'the connection to Redis is lost' : 'Redis cannot be used for now'}: ${error.message}`;
  }
  if (workers === 0) return 'no live worker serves the queue';
  return bad === 0 ? undefined : `${bad} ${bad === 1 ? 'message was' : 'messages were'} dropped that ${bad === 1 ? 'is no result' : 'are no results'}`;
}
