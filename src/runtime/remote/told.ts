/**
 * What happened inside a branch, for those who watch the run: told with the branch's end, in order, and not without limit.
 * Hints for people: nothing depends on them.
 */
import { reviveError, serializeError, toSerializedError } from '../../core/errors.ts';
import type { Json } from '../../core/json.ts';
import type { MemberEnd } from '../../core/messages.ts';
import type { GroupPlace, RunEvent, RunListener } from '../observer.ts';

/** More than so many are not told of one branch. */
const TOLD_MOST = 200;

type TaskEvent = Extract<RunEvent, { readonly type: 'task.started' | 'task.completed' | 'task.failed' }>;

/** Listens to a branch, and adds what it heard to an end. */
export class Told {
  readonly #events: Json[] = [];

  readonly listener: RunListener = (event) => {
    if (this.#events.length >= TOLD_MOST || !isTold(event)) return;
    const { group: _, ...others } = event;
    this.#events.push((others.type === 'task.failed' ? { ...others, error: serializeError(others.error) } : others) as unknown as Json);
  };

  addTo(end: MemberEnd): MemberEnd {
    return this.#events.length === 0 || Array.isArray(end) ? end : ({ ...end, told: this.#events } as MemberEnd);
  }
}

/** The events that came with an end, as those of the member at `group`. Whatever is no event is left out. */
export function toldIn(end: MemberEnd, group: GroupPlace): readonly RunEvent[] {
  const told = Array.isArray(end) ? undefined : (end as { readonly told?: unknown }).told;
  if (!Array.isArray(told)) return [];
  const events: RunEvent[] = [];
  for (const given of told.slice(0, TOLD_MOST) as unknown[]) {
    if (!isTold(given)) continue;
    events.push(given.type === 'task.failed' ? { ...given, group, error: reviveError(toSerializedError(given.error as unknown as Json)) } : { ...given, group });
  }
  return events;
}

function isTold(event: unknown): event is TaskEvent {
  if (typeof event !== 'object' || event === null) return false;
  const { type, at, task, key, attempt } = event as Readonly<Record<string, unknown>>;
  const known = type === 'task.started' || type === 'task.completed' || type === 'task.failed';
  return known && typeof at === 'number' && typeof task === 'string' && typeof key === 'string' && typeof attempt === 'number';
}
