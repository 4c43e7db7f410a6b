/**
 * From a workflow's graph to boxes and lines.
 *
 * Owns: which nodes are shown (what is closed is one box), what is inside what, sizes. Does not own: the arrangement
 * (block.ts), states, drawing.
 *
 * Invariants
 * 1. Pure, and independent of any state: a run that goes on moves no box.
 * 2. What is closed is not walked, and so many boxes are open by default that the picture stays readable.
 * 3. A graph that names nodes which it does not have is drawn without them.
 */
import type { GraphNode, NodeId } from '../../../core/graph.ts';
import type { GraphMessage } from '../../messages.ts';
import { arrange, pack, shifted, type Block, type Box, type Edge, type Line } from './block.ts';

export interface GraphBox {
  readonly id: NodeId;
  readonly node: GraphNode;
  /** `card`: one step. `closed`: a group whose inside is not shown. `open`: one around its inside. */
  readonly shape: 'card' | 'closed' | 'open';
  /** What its group calls it, else its id without that of the workflow it is inside of. */
  readonly name: string;
  /** Reached by `goto` and `nextTask` alone. */
  readonly onDemand?: true | undefined;
}

export interface GraphEdge {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly kind: 'next' | 'recover' | 'need';
}

export type GraphPicture = Block<GraphBox, GraphEdge>;
export type PlacedBox = Box<GraphBox>;
export type PlacedEdge = Line<GraphEdge>;

type Nodes = GraphMessage['nodes'];

export const sizes = { width: 208, card: 50, closed: 66, open: 280, title: 34, padding: 16 } as const;

/** Members of a parallel group that are shown side by side without being asked for. */
const MEMBERS_OPEN = 16;
const BOXES_OPEN = 600;
const DEPTH_OPEN = 5;

export function isGroup(node: GraphNode): boolean {
  return node.kind === 'parallel' || node.kind === 'each' || node.kind === 'dag' || node.kind === 'scope';
}

interface Entry {
  readonly entry: NodeId;
  readonly memberId?: string | undefined;
}

/** Where a region is. */
interface Place {
  /** Ids within begin with it. */
  readonly prefix: string;
  readonly onDemand?: true;
}

/** The beginnings of what is inside a node. */
export function entriesOf(node: GraphNode): readonly Entry[] {
  switch (node.kind) {
    case 'parallel':
    case 'dag':
      return node.members.map(({ id, entry }) => ({ entry, ...(id === entry ? {} : { memberId: id }) }));
    case 'each':
      return [{ entry: node.body }];
    case 'scope':
      return [{ entry: node.entry }];
    default:
      return [];
  }
}

/** The nodes of one region: what follows its entry, without what is inside of them. */
export function regionOf(nodes: Nodes, entry: NodeId): GraphNode[] {
  const seen = new Set<NodeId>();
  const region: GraphNode[] = [];
  const stack = [entry];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    const node = own(nodes, id);
    if (node === undefined || seen.has(id)) continue;
    seen.add(id);
    region.push(node);
    if (node.recover !== undefined) stack.push(node.recover);
    if (node.next !== undefined) stack.push(node.next);
  }
  return region;
}

/** Every node that is inside of one, at any depth. */
export function insideOf(nodes: Nodes, id: NodeId): NodeId[] {
  const all = new Set<NodeId>();
  const stack = [id];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const node = own(nodes, at);
    if (node === undefined) continue;
    for (const { entry } of entriesOf(node)) {
      for (const inner of regionOf(nodes, entry)) {
        if (all.has(inner.id)) continue;
        all.add(inner.id);
        stack.push(inner.id);
      }
    }
  }
  return [...all];
}

/** The groups that are open until someone closes them: the outer ones first, as far as the picture stays readable. */
export function openByDefault(graph: Pick<GraphMessage, 'nodes' | 'root' | 'uses'>): Set<NodeId> {
  const open = new Set<NodeId>();
  let boxes = 0;
  let level = [graph.root, ...graph.uses].flatMap((entry) => regionOf(graph.nodes, entry));
  const alone = level.length === 1;
  for (let depth = 0; level.length > 0 && depth < DEPTH_OPEN; depth += 1) {
    boxes += level.length;
    const inner: GraphNode[] = [];
    for (const node of level) {
      const region = entriesOf(node).length > BOXES_OPEN ? [] : entriesOf(node).flatMap(({ entry }) => regionOf(graph.nodes, entry));
      if (!isGroup(node) || region.length === 0) continue;
      const few = node.kind === 'dag' || region.length <= MEMBERS_OPEN;
      const plain = node.kind === 'each' && region.length === 1 && !isGroup(region[0] as GraphNode);
      if ((few && !plain && boxes + inner.length + region.length <= BOXES_OPEN) || (alone && depth === 0 && node.kind === 'dag')) {
        open.add(node.id);
        inner.push(...region);
      }
    }
    level = inner;
  }
  return open;
}

/** Where only ids are known, all of them, side by side. */
export function layoutGraph(graph: Pick<GraphMessage, 'nodes' | 'root' | 'uses'> & { readonly complete?: boolean }, isOpen: (id: NodeId) => boolean): GraphPicture {
  const drawer = new Drawer(graph.nodes, isOpen);
  if (graph.complete === false) return pack(Object.keys(graph.nodes).map((entry) => drawer.region({ entry }, { prefix: '' })).filter(({ boxes }) => boxes.length > 0));
  const main = drawer.region({ entry: graph.root }, { prefix: '' });
  const others = graph.uses.map((entry) => drawer.region({ entry }, { prefix: '', onDemand: true })).filter(({ boxes }) => boxes.length > 0);
  if (others.length === 0) return main;
  const aside = pack(others);
  const x = main.width + 48;
  const moved = shifted(aside, x, 0);
  return { width: x + aside.width, height: Math.max(main.height, aside.height), boxes: [...main.boxes, ...moved.boxes], lines: [...main.lines, ...moved.lines] };
}

class Drawer {
  readonly #nodes: Nodes;
  readonly #isOpen: (id: NodeId) => boolean;
  /** A node is drawn once, wherever it is named. */
  readonly #drawn = new Set<NodeId>();

  constructor(nodes: Nodes, isOpen: (id: NodeId) => boolean) {
    this.#nodes = nodes;
    this.#isOpen = isOpen;
  }

  region({ entry, memberId }: Entry, place: Place): GraphPicture {
    const region = regionOf(this.#nodes, entry).filter(({ id }) => !this.#drawn.has(id));
    for (const { id } of region) this.#drawn.add(id);
    const at = new Map(region.map(({ id }, index) => [id, index]));
    const edges: Edge<GraphEdge>[] = [];
    const link = (from: NodeId, to: NodeId | undefined, kind: GraphEdge['kind']): void => {
      const [start, end] = [at.get(from), to === undefined ? undefined : at.get(to)];
      if (start !== undefined && end !== undefined && to !== undefined) edges.push({ from: start, to: end, edge: { from, to, kind } });
    };
    for (const { id, next, recover } of region) {
      link(id, next, 'next');
      link(id, recover, 'recover');
    }
    // A member of several steps has the name of its group for none of them.
    const name = region.length === 1 ? memberId : undefined;
    return arrange(region.map((node) => this.#box(node, place, name)), edges);
  }

  #box(node: GraphNode, { prefix, onDemand }: Place, name: string | undefined): GraphPicture {
    const { id } = node;
    const { width, card, closed, open, title, padding } = sizes;
    const box = { id, node, name: name ?? (id.startsWith(prefix) ? id.slice(prefix.length) : id), ...(onDemand && { onDemand }) };
    if (!isGroup(node)) return single({ ...box, shape: 'card' }, width, card);
    if (!this.#isOpen(id)) return single({ ...box, shape: 'closed' }, width, closed);
    const inside = this.#inside(node, node.kind === 'scope' && node.workflow !== undefined ? `${id}/` : prefix);
    const outer = { width: Math.max(inside.width, open) + 2 * padding, height: inside.height + title + padding };
    const content = shifted(inside, (outer.width - inside.width) / 2, title, 1);
    return { ...outer, boxes: [{ node: { ...box, shape: 'open' }, x: 0, y: 0, ...outer, depth: 0 }, ...content.boxes], lines: content.lines };
  }

  #inside(node: GraphNode, prefix: string): GraphPicture {
    const entries = entriesOf(node);
    const blocks = entries.map((entry) => this.region(entry, { prefix }));
    if (node.kind !== 'dag') return pack(blocks);
    const at = new Map(node.members.map(({ id }, index) => [id, index]));
    const edges = node.members.flatMap(({ entry, needs }, to) => needs.flatMap((need): Edge<GraphEdge>[] => {
      const from = at.get(need);
      return from === undefined ? [] : [{ from, to, edge: { from: node.members[from]?.entry ?? need, to: entry, kind: 'need' } }];
    }));
    return arrange(blocks, edges);
  }
}

function single(node: GraphBox, width: number, height: number): GraphPicture {
  return { width, height, boxes: [{ node, x: 0, y: 0, width, height, depth: 0 }], lines: [] };
}

/** Names of nodes may be those of `Object.prototype`. */
function own(nodes: Nodes, id: NodeId): GraphNode | undefined {
  return Object.hasOwn(nodes, id) ? nodes[id] : undefined;
}
