/**
 * The rows of a task tree: one per task, wait and group of a graph, in the order in which they run.
 *
 * Owns: which rows there are, their order, depth and names, and which tasks count towards which row. Does not own: what
 * happens to them (tree-model.ts), how they are written (tree-lines.ts).
 *
 * Invariants
 * 1. A parent stands before its children, and a row's children before the row's next sibling.
 * 2. A fan-out of a single task is one row, however many members it has: an `each`, or a parallel group of many.
 * 3. Linear in the graph, without recursion.
 */
import type { Graph, GraphNode, NodeId } from '../core/graph.ts';
import { duration } from './text.ts';

/** More members than this, each a single task, make one row. */
const MEMBERS_SHOWN = 8;

export interface Row {
  /** Its place in `Layout.rows`. */
  readonly index: number;
  readonly id: NodeId;
  readonly kind: 'task' | 'wait' | 'sleep' | 'group' | 'each';
  readonly label: string;
  readonly depth: number;
  readonly parent: Row | undefined;
  /** The group, wait or sleep that stands right before it in its sequence: it is over when this row begins. */
  readonly before: Row | undefined;
  /** Executions are counted, not shown one by one. */
  readonly counted: boolean;
  /** The fan-out whose size is also the number of this row's executions. */
  readonly sizedBy: Row | undefined;
  /** Shown only once it has been used: what runs on failure or on demand. */
  readonly optional: boolean;
  /** A failure of a member does not fail the group. */
  readonly tolerant: boolean;
  /** Another step runs in its place when it fails. */
  readonly recovers: boolean;
  /** `each`: the body's first and last task; the row's own counts come from them. */
  readonly body: { readonly first: NodeId; readonly last: NodeId | undefined; readonly single: boolean } | undefined;
  readonly signal: string | undefined;
}

export interface Layout {
  readonly rows: Row[];
  /** The waits and sleeps among them. */
  readonly pauses: Row[];
  /** Where the executions of a task are counted. */
  readonly rowOf: Map<NodeId, Row>;
  /** The fan-outs that a task opens an item of, when it is started as the first of a body. */
  readonly opens: Map<NodeId, Row>;
}

/** A node that is to get a row, and where. */
interface Place {
  readonly node: NodeId;
  readonly depth: number;
  readonly parent: Row | undefined;
  readonly before: Row | undefined;
  readonly counted: boolean;
  readonly sizedBy: Row | undefined;
  readonly optional: boolean;
  readonly name: string | undefined;
}

/** The rows of a graph. */
export function layOut(graph: Graph): Layout {
  const layout: Layout = { rows: [], pauses: [], rowOf: new Map(), opens: new Map() };
  const seen = new Set<NodeId>();
  const stack: Place[] = [...graph.uses].reverse().map((node) => top(node, true));
  stack.push(top(graph.root, false));
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    const node = graph.nodes[place.node];
    if (node === undefined || seen.has(node.id)) continue;
    seen.add(node.id);
    const row = isPlainScope(node) ? undefined : addRow(layout, graph, node, place);
    const { depth, parent, counted, sizedBy, optional } = place;
    const before = row?.kind === 'task' ? undefined : row;
    if (node.next !== undefined) stack.push({ node: node.next, depth, parent, before, counted, sizedBy, optional, name: undefined });
    if (node.recover !== undefined) stack.push({ node: node.recover, depth, parent, before, counted, sizedBy, optional: true, name: `on failure: ${node.recover}` });
    if (node.kind !== 'task') stack.push(...insideOf(graph, node, place, row).reverse());
  }
  return layout;
}

function top(node: NodeId, optional: boolean): Place {
  return { node, depth: 0, parent: undefined, before: undefined, counted: false, sizedBy: undefined, optional, name: undefined };
}

/** A row for a task that no graph declares: a run may meet one. */
export function addUnknown(layout: Layout, id: NodeId): Row {
  return addRow(layout, undefined, { kind: 'task', id }, top(id, true));
}

function addRow(layout: Layout, graph: Graph | undefined, node: GraphNode, place: Place): Row {
  const { depth, parent, before, sizedBy, optional } = place;
  const absorbs = node.kind === 'parallel' && graph !== undefined && isWide(graph, node);
  const body = node.kind === 'each' ? bodyOf(graph, node.body) : undefined;
  const row: Row = {
    index: layout.rows.length,
    id: node.id,
    kind: node.kind === 'task' || node.kind === 'wait' || node.kind === 'sleep' ? node.kind : node.kind === 'each' || absorbs ? 'each' : 'group',
    label: place.name ?? labelOf(node, body?.single === true),
    depth,
    parent,
    before,
    counted: place.counted || absorbs || node.kind === 'each',
    sizedBy: node.kind === 'task' ? sizedBy : undefined,
    optional,
    tolerant: (node.kind === 'each' || node.kind === 'parallel') && node.policy.kind !== 'strict',
    recovers: node.recover !== undefined,
    body,
    signal: node.kind === 'wait' ? node.signal : undefined,
  };
  layout.rows.push(row);
  if (row.kind === 'wait' || row.kind === 'sleep') layout.pauses.push(row);
  if (row.kind === 'task') layout.rowOf.set(node.id, row);
  if (body !== undefined) layout.opens.set(body.first, row);
  if (body?.single === true) layout.rowOf.set(body.first, row);
  if (absorbs) {
    for (const { entry } of node.members) {
      layout.rowOf.set(entry, row);
      layout.opens.set(entry, row);
    }
  }
  return row;
}

/** What runs inside the node, as places for rows. */
function insideOf(graph: Graph, node: GraphNode, place: Place, row: Row | undefined): Place[] {
  const inner: Place = { ...place, depth: place.depth + 1, parent: row, before: undefined, sizedBy: undefined, name: undefined };
  switch (node.kind) {
    case 'each':
      return row?.body?.single === true ? [] : [{ ...inner, node: node.body, counted: true, sizedBy: row }];
    case 'parallel':
    case 'dag':
      if (row?.kind === 'each') return [];
      return node.members.map(({ id, entry }) => ({ ...inner, node: entry, name: graph.nodes[entry]?.kind !== 'task' || entry.endsWith(id) ? undefined : `${id}: ${entry}` }));
    case 'scope':
      return [row === undefined ? { ...place, node: node.entry } : { ...inner, node: node.entry }];
    default:
      return [];
  }
}

function isWide(graph: Graph, node: Extract<GraphNode, { kind: 'parallel' }>): boolean {
  return node.members.length > MEMBERS_SHOWN && node.members.every(({ entry }) => isSingle(graph.nodes[entry]));
}

function isSingle(node: GraphNode | undefined): boolean {
  return node?.kind === 'task' && node.next === undefined && node.recover === undefined;
}

function bodyOf(graph: Graph | undefined, entry: NodeId): Row['body'] {
  let first = graph?.nodes[entry];
  while (first !== undefined && isPlainScope(first)) first = graph?.nodes[first.entry];
  let last = graph?.nodes[entry];
  while (last?.next !== undefined) last = graph?.nodes[last.next];
  return { first: first?.id ?? entry, last: last?.kind === 'task' && last.recover === undefined ? last.id : undefined, single: isSingle(graph?.nodes[entry]) };
}

/** A scope that only holds a sequence together says nothing to people. */
function isPlainScope(node: GraphNode): node is Extract<GraphNode, { kind: 'scope' }> {
  return node.kind === 'scope' && node.workflow === undefined;
}

/** Ids that were made for nodes without a name are no names. */
function labelOf(node: GraphNode, single: boolean): string {
  const unnamed = /(^|\/)[a-z]+@\d+$/.test(node.id);
  if (node.kind === 'sleep') return unnamed ? `sleep ${duration(node.delayMs)}` : node.id;
  if (node.kind === 'each') return single ? (unnamed ? `each ${node.body}` : `${node.id}: each ${node.body}`) : unnamed ? 'each' : node.id;
  if (node.kind === 'wait') return `wait ${node.id}`;
  return unnamed && node.kind !== 'task' ? node.kind : node.id;
}
