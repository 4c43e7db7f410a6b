/**
 * Units as texts: encoded when they leave, and no sooner.
 *
 * Owns: the size of a push, and whether a shared part travels in the units or beside them. Does not own: which units leave.
 *
 * Invariants
 * 1. A push holds at least one unit, and no more text than about `MOST_TEXT` unless one unit alone is longer.
 * 2. Whether a group's shared part travels in its units depends on that part alone: the same for all of its units.
 */
import type { Graph } from '../../core/graph.ts';
import { MESSAGE_VERSION, encodeUnit, unitId, type SharedBody, type SharedGraph } from '../../core/messages.ts';
import type { ListsCommand, PushPart } from '../../../machines/index.ts';
import type { PushRequest, SharedPart } from '../../ports.ts';

const MOST_TEXT = 2_000_000;
/** Groups of up to so many members send a shared part of up to so much text with each unit: that saves a worker the way to it. */
const FEW_MEMBERS = 4;
const SHORT_TEXT = 4096;

export interface Push {
  readonly request: PushRequest;
  readonly units: number;
  /** Groups whose shared parts need not be sent again. */
  readonly groups: readonly number[];
}

type Turn = Extract<ListsCommand, { readonly type: 'TURN' }>;

export function pushRequest({ run, fence, expireMs }: Turn, part: PushPart, graph: Graph | undefined): Push {
  const { batch, queue, units, groups, missing } = part;
  const plans = new Map(groups.map((group) => [group.id, packed(group.shared)]));
  const absent = new Set(missing);
  const shared: SharedPart[] = [];
  if (part.graph && graph !== undefined) shared.push({ name: 'graph', text: JSON.stringify({ v: MESSAGE_VERSION, graph } satisfies SharedGraph) });
  const texts: string[] = [];
  const stored: number[] = [];
  let length = 0;
  for (const { group, index, generation, body } of units) {
    const plan = plans.get(group);
    const text = encodeUnit({ attempt: 1, run, id: unitId(group, index, generation), body: plan?.within === undefined ? body : { ...body, shared: plan.within } });
    const beside = absent.has(group) ? (plan?.beside ?? '') : '';
    if (texts.length > 0 && length + text.length + beside.length > MOST_TEXT) break;
    length += text.length + beside.length;
    texts.push(text);
    if (!absent.delete(group)) continue;
    stored.push(group);
    if (beside !== '') shared.push({ name: body.group, text: beside });
  }
  return { request: { run, fence, batch, queue, units: texts, shared, expireMs }, units: texts.length, groups: stored };
}

/** A shared part, to be sent within each unit or as a text beside them. */
function packed(shared: SharedBody): { readonly within?: SharedBody; readonly beside?: string } {
  const text = JSON.stringify(shared);
  return shared.size === 1 || (shared.size <= FEW_MEMBERS && text.length <= SHORT_TEXT) ? { within: shared } : { beside: text };
}
