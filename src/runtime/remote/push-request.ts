/**
 * Units as texts: encoded when they leave, and no sooner.
 *
 * Owns: the size of a push. Does not own: which units leave, whether a shared part travels in them or beside them (groups.ts).
 *
 * Invariant: a push holds at least one unit, and no more text than about `MOST_TEXT` unless one unit alone is longer.
 */
import type { Graph } from '../../core/graph.ts';
import { MESSAGE_VERSION, encodeUnit, unitId, type SharedGraph } from '../../core/messages.ts';
import type { ListsCommand, PushPart } from '../../../machines/index.ts';
import type { PushRequest, SharedPart } from '../../ports.ts';

const MOST_TEXT = 2_000_000;
export interface Push {
  readonly request: PushRequest;
  readonly units: number;
  /** Groups whose shared parts need not be sent again. */
  readonly groups: readonly number[];
}

type Turn = Extract<ListsCommand, { readonly type: 'TURN' }>;

export function pushRequest({ run, fence, expireMs }: Turn, part: PushPart, graph: Graph | undefined): Push {
  const { batch, queue, units, groups, missing } = part;
  const plans = new Map(groups.map((group) => [group.id, group]));
  const absent = new Map(missing.map((id) => [id, JSON.stringify(plans.get(id)?.shared)]));
  const shared: SharedPart[] = [];
  if (part.graph && graph !== undefined) shared.push({ name: 'graph', text: JSON.stringify({ v: MESSAGE_VERSION, graph } satisfies SharedGraph) });
  const texts: string[] = [];
  const stored: number[] = [];
  let length = 0;
  for (const { group, index, generation, body } of units) {
    const plan = plans.get(group);
    const within = plan !== undefined && plan.beside === undefined;
    const text = encodeUnit({ attempt: 1, run, id: unitId(group, index, generation), body: within ? { ...body, shared: plan.shared } : body });
    const beside = absent.get(group);
    const more = text.length + (beside?.length ?? 0);
    if (texts.length > 0 && length + more > MOST_TEXT) break;
    length += more;
    texts.push(text);
    if (beside === undefined) continue;
    absent.delete(group);
    stored.push(group);
    shared.push({ name: body.group, text: beside });
  }
  return { request: { run, fence, batch, queue, units: texts, shared, expireMs }, units: texts.length, groups: stored };
}
