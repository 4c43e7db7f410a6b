/**
 * A workflow as a statechart: a region per node, with the states that the node goes through.
 *
 * It is a picture for viewers that draw statecharts, such as Stately's inspector. Nothing executes it: its states are those of
 * the nodes, once per frame. A graph of more than MOST nodes is drawn by its outermost steps, and a longer row of those in parts.
 *
 * Invariants
 * 1. The definition is a config that XState accepts, and every value is a configuration of it.
 * 2. At most MOST regions, whatever the graph.
 */
import type { NodeId } from '../core/graph.ts';
import type { Json } from '../core/json-type.ts';
import type { GraphIndex } from './graph-index.ts';
import { entriesOf } from './graph-index.ts';
import type { TaskStateName } from './messages.ts';

const MOST = 200;

/** A group is a region of its own beside those of what is inside it. */
const SELF = '(group)';

const STATES = {
  pending: { on: { start: 'running', skip: 'skipped' } },
  running: { on: { wait: 'waiting', fail: 'retrying', value: 'done', error: 'failed', stop: 'stopped' } },
  waiting: { on: { answer: 'running', value: 'done', error: 'failed' } },
  retrying: { on: { start: 'running' } },
  done: { on: { again: 'running' } },
  failed: { on: { again: 'running' } },
  skipped: {},
  stopped: {},
} as const satisfies Record<TaskStateName, object>;

interface Region {
  readonly key: string;
  readonly title: string;
  /** The nodes that it stands for. */
  readonly nodes: readonly NodeId[];
  readonly inside: readonly Region[];
}

export class DerivedChart {
  readonly #regions: readonly Region[];
  /** JSON text of a machine's config. */
  readonly definition: string;

  constructor(workflow: string, index: GraphIndex) {
    this.#regions = Object.keys(index.nodes).length <= MOST ? nested(index) : grouped(index);
    this.definition = JSON.stringify({ id: `${workflow} (tasks)`, type: 'parallel', description: 'The states of the tasks. A picture: nothing executes it.', states: statesOf(this.#regions) });
  }

  value(stateOf: (id: NodeId) => TaskStateName): Json {
    return valueOf(this.#regions, stateOf);
  }
}

function statesOf(regions: readonly Region[]): object {
  return Object.fromEntries(regions.map((region) => [region.key, region.inside.length === 0 ? leaf(region.title) : { type: 'parallel', description: region.title, states: { [SELF]: leaf(region.title), ...statesOf(region.inside) } }]));
}

function leaf(title: string): object {
  return { initial: 'pending', description: title, states: STATES };
}

function valueOf(regions: readonly Region[], stateOf: (id: NodeId) => TaskStateName): Json {
  return Object.fromEntries(
    regions.map((region): [string, Json] => {
      const own = together(region.nodes.map(stateOf));
      return [region.key, region.inside.length === 0 ? own : { [SELF]: own, ...(valueOf(region.inside, stateOf) as Record<string, Json>) }];
    }),
  );
}

/** The state of several nodes as one. */
function together(states: readonly TaskStateName[]): TaskStateName {
  const [first] = states;
  if (first === undefined) return 'pending';
  for (const urgent of ['failed', 'running', 'retrying', 'waiting', 'stopped'] as const) if (states.includes(urgent)) return urgent;
  if (states.every((state) => state === first)) return first;
  return states.includes('pending') ? 'running' : 'done';
}

/** A region per node, inside that of the group or scope where it stands. */
function nested(index: GraphIndex): Region[] {
  const inside = new Map<NodeId | undefined, NodeId[]>();
  for (const id in index.nodes) {
    const parent = index.parents.get(id);
    inside.set(parent, [...(inside.get(parent) ?? []), id]);
  }
  const build = (parent: NodeId | undefined): Region[] => {
    const keys = new Keys();
    return (inside.get(parent) ?? []).map((id) => ({ key: keys.for(id), title: id, nodes: [id], inside: build(id) }));
  };
  return build(undefined);
}

/** The outermost steps, each with all that is inside it; in parts where there are too many. */
function grouped(index: GraphIndex): Region[] {
  const outer = Object.keys(index.nodes).filter((id) => !index.parents.has(id));
  const size = Math.ceil(outer.length / MOST);
  const keys = new Keys();
  const regions: Region[] = [];
  for (let at = 0; at < outer.length; at += size) {
    const part = outer.slice(at, at + size);
    const [first = '', last = first] = [part[0], part.at(-1)];
    const nodes = part.flatMap((id) => withInside(index, id));
    const title = part.length === 1 ? `${first}${nodes.length > 1 ? ` (${nodes.length - 1} inside)` : ''}` : `${first} … ${last} (${part.length} steps)`;
    regions.push({ key: keys.for(part.length === 1 ? first : `${first} to ${last}`), title, nodes, inside: [] });
  }
  return regions;
}

function withInside(index: GraphIndex, outer: NodeId): NodeId[] {
  const found = new Set<NodeId>([outer]);
  const stack = [...entriesOf(index.nodes[outer] ?? { id: outer, kind: 'sleep', delayMs: 0 })];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    const node = index.nodes[id];
    if (node === undefined || found.has(id)) continue;
    found.add(id);
    for (const next of [node.next, node.recover, ...entriesOf(node)]) if (next !== undefined) stack.push(next);
  }
  return [...found];
}

/** Names of states: without what means something in a path of states, and each one once. */
class Keys {
  readonly #taken = new Set<string>([SELF]);

  for(id: NodeId): string {
    const plain = id.replaceAll('.', '_').replace(/^#/, '_');
    let key = plain;
    for (let n = 2; this.#taken.has(key); n += 1) key = `${plain} ${n}`;
    this.#taken.add(key);
    return key;
  }
}
