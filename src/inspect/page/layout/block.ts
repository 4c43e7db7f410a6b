/**
 * Placing boxes: a block is a set of boxes and lines with a size of its own, and blocks are put together to bigger blocks.
 *
 * Owns: the arrangement of blocks in a chain, in rows, and along edges (which @dagrejs/dagre decides). Does not own: what
 * the boxes stand for (graph-layout.ts, ../chart/layout.ts), drawing.
 *
 * Invariants
 * 1. Pure: the same blocks and edges give the same arrangement.
 * 2. No two boxes of one arrangement overlap.
 * 3. The time is bounded for any size: above `DAGRE_LIMIT` blocks a plain arrangement by rank takes dagre's place.
 */
import { Graph, layout } from '@dagrejs/dagre';
import { orderRows, type RankedGraph } from './order.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Line<E> {
  readonly edge: E;
  /** From the first to the last. */
  readonly points: readonly Point[];
  /** `ortho`: straight segments; `curve`: each point is passed vertically. */
  readonly bend: 'ortho' | 'curve';
  /** The middle of the edge's label, where it has one. */
  readonly label?: Point | undefined;
}

export interface Box<N> extends Point {
  readonly node: N;
  readonly width: number;
  readonly height: number;
  /** How many boxes it is inside of. */
  readonly depth: number;
}

export interface Block<N, E> {
  readonly width: number;
  readonly height: number;
  /** Outer ones before what is inside them. */
  readonly boxes: readonly Box<N>[];
  readonly lines: readonly Line<E>[];
}

/** Between two blocks of one arrangement, by their places in it. */
export interface Edge<E> {
  readonly from: number;
  readonly to: number;
  readonly edge: E;
  /** Room for a label on the way. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

export interface Gaps {
  readonly between: number;
  readonly along: number;
  /** Edges have labels: also what forms a line is placed with an eye on their width. */
  readonly labels?: true;
}

export const gaps: Gaps = { between: 20, along: 34 };
const DAGRE_LIMIT = 700;
/** Up to here the ways that give the best picture are fast enough. */
const TIDY_LIMIT = 80;
/** A chain that is taller than this goes on in a second column. */
const COLUMN_HEIGHT = 860;

export function emptyBlock<N, E>(): Block<N, E> {
  return { width: 0, height: 0, boxes: [], lines: [] };
}

/** Blocks with edges between them. */
export function arrange<N, E>(blocks: readonly Block<N, E>[], edges: readonly Edge<E>[], space: Gaps = gaps): Block<N, E> {
  const [only] = blocks;
  if (blocks.length === 1 && edges.length === 0 && only !== undefined) return only;
  const parts = components(blocks.length, edges).map(({ members, inner }) => {
    const at = new Map(members.map((member, index) => [member, index]));
    const own = members.map((member) => blocks[member] as Block<N, E>);
    const local = inner.map((edge) => ({ ...edge, from: at.get(edge.from) as number, to: at.get(edge.to) as number }));
    if (own.length === 1 && local.length === 0) return own[0] as Block<N, E>;
    const chain = space.labels ? undefined : chainOrder(own.length, local);
    if (chain !== undefined) return stack(chain.order.map((index) => own[index] as Block<N, E>), chain.edges, space);
    return own.length <= DAGRE_LIMIT ? byDagre(own, local, space) : byRank(own, local, space);
  });
  return pack(parts, space);
}

/** Blocks without edges: rows, about as wide as three quarters of their area's root would make them. */
export function pack<N, E>(blocks: readonly Block<N, E>[], space: Gaps = gaps): Block<N, E> {
  const [only] = blocks;
  if (only === undefined) return emptyBlock();
  if (blocks.length === 1) return only;
  const area = blocks.reduce((sum, { width, height }) => sum + (width + space.between) * (height + space.between), 0);
  const widest = Math.max(widestOf(blocks), blocks.length <= 3 ? Infinity : Math.sqrt(area * 1.7));
  const places: Point[] = [];
  let [x, y, rowHeight, width] = [0, 0, 0, 0];
  for (const block of blocks) {
    if (x > 0 && x + block.width > widest) {
      [x, y, rowHeight] = [0, y + rowHeight + space.between, 0];
    }
    places.push({ x, y });
    x += block.width + space.between;
    width = Math.max(width, x - space.between);
    rowHeight = Math.max(rowHeight, block.height);
  }
  return { width, height: y + rowHeight, ...joined(blocks, places, []) };
}

/** One after the other, downwards; a long chain in several columns. The line between two columns runs through the gap. */
function stack<N, E>(blocks: readonly Block<N, E>[], edges: readonly Edge<E>[], space: Gaps): Block<N, E> {
  const columns = columnsOf(blocks, space);
  const places: Point[] = [];
  const gutter = space.along + 10;
  let [x, height] = [0, 0];
  const starts: number[] = [];
  for (const column of columns) {
    const width = widestOf(column);
    let y = 0;
    for (const block of column) {
      starts.push(x);
      places.push({ x: x + (width - block.width) / 2, y });
      y += block.height + space.along;
      height = Math.max(height, y - space.along);
    }
    x += width + gutter;
  }
  const lines = edges.map((edge, index): Line<E> => {
    const [a, b] = [places[index] as Point, places[index + 1] as Point];
    const [from, to] = [blocks[index] as Block<N, E>, blocks[index + 1] as Block<N, E>];
    const start = { x: a.x + from.width / 2, y: a.y + from.height };
    const end = { x: b.x + to.width / 2, y: b.y };
    if (starts[index] === starts[index + 1]) return { edge: edge.edge, points: [start, end], bend: 'curve' };
    const gap = (starts[index + 1] as number) - gutter / 2;
    const points = [start, { x: start.x, y: start.y + 12 }, { x: gap, y: start.y + 12 }, { x: gap, y: end.y - 12 }, { x: end.x, y: end.y - 12 }, end];
    return { edge: edge.edge, points, bend: 'ortho' };
  });
  const wraps = columns.length > 1 ? 12 : 0;
  return { width: x - gutter, height: height + 2 * wraps, ...shifted(joined(blocks, places, lines), 0, wraps) };
}

function columnsOf<N, E>(blocks: readonly Block<N, E>[], space: Gaps): Block<N, E>[][] {
  const total = blocks.reduce((sum, block) => sum + block.height + space.along, 0);
  if (total <= COLUMN_HEIGHT * 1.25) return [[...blocks]];
  const limit = Math.max(COLUMN_HEIGHT, Math.sqrt(total * (widestOf(blocks) + space.along) * 0.6));
  const columns: Block<N, E>[][] = [];
  let [column, height]: [Block<N, E>[], number] = [[], 0];
  for (const block of blocks) {
    if (column.length > 0 && height + block.height > limit) {
      columns.push(column);
      [column, height] = [[], 0];
    }
    column.push(block);
    height += block.height + space.along;
  }
  return [...columns, column];
}

function byDagre<N, E>(blocks: readonly Block<N, E>[], edges: readonly Edge<E>[], space: Gaps): Block<N, E> {
  const graph = new Graph({ multigraph: true });
  const ranker = blocks.length <= TIDY_LIMIT ? 'network-simplex' : 'tight-tree';
  // The library halves the distance of rows and doubles the length of edges, to have a row for labels between any two: where
  // there are no labels, and many boxes, that is taken back, as each edge would have a box of its own there.
  const plain = !space.labels && blocks.length > TIDY_LIMIT;
  const minlen = plain ? 0.5 : 1;
  graph.setGraph({ rankdir: 'TB', nodesep: space.between, edgesep: 14, ranksep: space.along * (plain ? 2 : 1), ranker });
  blocks.forEach(({ width, height }, index) => graph.setNode(String(index), { width, height }));
  edges.forEach(({ from, to, width, height }, index) => graph.setEdge(String(from), String(to), { width: width ?? 0, height: height ?? 0, labelpos: 'c', minlen }, String(index)));
  layout(graph, plain ? { customOrder: (ranked: unknown) => orderRows(ranked as RankedGraph) } : {});
  const places = blocks.map((block, index) => {
    const { x, y } = graph.node(String(index)) as Point;
    return { x: x - block.width / 2, y: y - block.height / 2 };
  });
  const lines = edges.map(({ from, to, edge }, index): Line<E> => {
    const { points, x, y } = graph.edge(String(from), String(to), String(index)) as { points: Point[]; x?: number; y?: number };
    const via = points.slice(1, -1);
    return { edge, ...between(blocks, places, from, to, space.labels || via.length > 1 ? via : []), ...(x === undefined || y === undefined ? {} : { label: { x, y } }) };
  });
  const { width, height } = graph.graph() as { width: number; height: number };
  return { width, height, ...joined(blocks, places, lines) };
}

/** Ends at the middle of a box's upper and lower side, whatever the way between them is. */
function between<N, E>(blocks: readonly Block<N, E>[], places: readonly Point[], from: number, to: number, via: readonly Point[]): { points: readonly Point[]; bend: 'curve' } {
  const [a, b] = [places[from] as Point, places[to] as Point];
  const [source, target] = [blocks[from] as Block<N, E>, blocks[to] as Block<N, E>];
  const up = a.y > b.y;
  const start = { x: a.x + source.width / 2, y: up ? a.y : a.y + source.height };
  const end = { x: b.x + target.width / 2, y: up ? b.y + target.height : b.y };
  return { points: [start, ...via, end], bend: 'curve' };
}

/** Rows by rank, each in the order of first mention. */
function byRank<N, E>(blocks: readonly Block<N, E>[], edges: readonly Edge<E>[], space: Gaps): Block<N, E> {
  const rows = new Map<number, number[]>();
  ranks(blocks.length, edges).forEach((rank, index) => {
    const row = rows.get(rank);
    if (row === undefined) rows.set(rank, [index]);
    else row.push(index);
  });
  const places: Point[] = [];
  let [y, width] = [0, 0];
  for (const rank of [...rows.keys()].sort((a, b) => a - b)) {
    let [x, height] = [0, 0];
    for (const index of rows.get(rank) ?? []) {
      const block = blocks[index] as Block<N, E>;
      places[index] = { x, y };
      x += block.width + space.between;
      height = Math.max(height, block.height);
    }
    width = Math.max(width, x - space.between);
    y += height + space.along * 1.5;
  }
  const lines = edges.map(({ from, to, edge }): Line<E> => ({ edge, ...between(blocks, places, from, to, []) }));
  return { width, height: y - space.along * 1.5, ...joined(blocks, places, lines) };
}

/** One more than the highest rank that leads to it; what is part of a cycle counts as if it were not. */
function ranks(size: number, edges: readonly Edge<unknown>[]): number[] {
  const open = Array.from({ length: size }, () => 0);
  const after: number[][] = Array.from({ length: size }, () => []);
  for (const { from, to } of edges) {
    open[to] = (open[to] as number) + 1;
    (after[from] as number[]).push(to);
  }
  const rank = Array.from({ length: size }, () => 0);
  const ready = open.flatMap((count, index) => (count === 0 ? [index] : []));
  for (let at = 0; at < ready.length; at += 1) {
    const index = ready[at] as number;
    for (const next of after[index] as number[]) {
      rank[next] = Math.max(rank[next] as number, (rank[index] as number) + 1);
      open[next] = (open[next] as number) - 1;
      if (open[next] === 0) ready.push(next);
    }
  }
  return rank;
}

/** The parts that no edge connects, each in the order of its members. */
function components<E>(size: number, edges: readonly Edge<E>[]): { members: number[]; inner: Edge<E>[] }[] {
  const parent = Array.from({ length: size }, (_, index) => index);
  const find = (index: number): number => {
    let root = index;
    while (parent[root] !== root) root = parent[root] as number;
    for (let at = index; parent[at] !== root; ) [at, parent[at]] = [parent[at] as number, root];
    return root;
  };
  for (const { from, to } of edges) parent[find(to)] = find(from);
  const parts = new Map<number, { members: number[]; inner: Edge<E>[] }>();
  for (let index = 0; index < size; index += 1) {
    const root = find(index);
    const part = parts.get(root) ?? { members: [], inner: [] };
    part.members.push(index);
    parts.set(root, part);
  }
  for (const edge of edges) parts.get(find(edge.from))?.inner.push(edge);
  return [...parts.values()];
}

/** The members in order, if they form one line. */
function chainOrder<E>(size: number, edges: readonly Edge<E>[]): { order: number[]; edges: Edge<E>[] } | undefined {
  if (edges.length !== size - 1) return undefined;
  const next = new Map(edges.map((edge) => [edge.from, edge]));
  const entered = new Set(edges.map((edge) => edge.to));
  if (next.size !== edges.length || entered.size !== edges.length) return undefined;
  const order: number[] = [];
  const path: Edge<E>[] = [];
  for (let at: number | undefined = Array.from({ length: size }, (_, index) => index).find((index) => !entered.has(index)); at !== undefined; ) {
    order.push(at);
    const edge = next.get(at);
    if (edge !== undefined) path.push(edge);
    at = edge?.to;
  }
  return order.length === size ? { order, edges: path } : undefined;
}

function joined<N, E>(blocks: readonly Block<N, E>[], places: readonly Point[], lines: readonly Line<E>[]): Pick<Block<N, E>, 'boxes' | 'lines'> {
  const boxes: Box<N>[] = [];
  const all: Line<E>[] = [...lines];
  blocks.forEach((block, index) => {
    const { x, y } = places[index] as Point;
    const moved = shifted(block, x, y);
    for (const box of moved.boxes) boxes.push(box);
    for (const line of moved.lines) all.push(line);
  });
  return { boxes, lines: all };
}

/** The same, further right and down, and deeper inside. */
export function shifted<N, E>(block: Pick<Block<N, E>, 'boxes' | 'lines'>, x: number, y: number, depth = 0): Pick<Block<N, E>, 'boxes' | 'lines'> {
  if (x === 0 && y === 0 && depth === 0) return block;
  const move = (point: Point): Point => ({ x: point.x + x, y: point.y + y });
  return {
    boxes: block.boxes.map((box) => ({ ...box, x: box.x + x, y: box.y + y, depth: box.depth + depth })),
    lines: block.lines.map((line) => ({ ...line, points: line.points.map(move), ...(line.label && { label: move(line.label) }) })),
  };
}

function widestOf<N, E>(blocks: readonly Block<N, E>[]): number {
  return blocks.reduce((widest, { width }) => Math.max(widest, width), 0);
}

/** As the `d` of an SVG path. */
export function pathOf({ points, bend }: Pick<Line<unknown>, 'points' | 'bend'>): string {
  const [start, ...rest] = points;
  if (start === undefined) return '';
  let [path, last] = [`M${at(start)}`, start];
  rest.forEach((point, index) => {
    const following = rest[index + 1];
    if (bend === 'curve') {
      const half = (last.y + point.y) / 2;
      path += last.x === point.x ? `V${round(point.y)}` : `C${at({ x: last.x, y: half })} ${at({ x: point.x, y: half })} ${at(point)}`;
    } else if (following === undefined) path += `L${at(point)}`;
    else path += `L${at(towards(point, last, 6))}Q${at(point)} ${at(towards(point, following, 6))}`;
    last = point;
  });
  return path;
}

/** On the way from `from` to `to`, so far from `from`. */
function towards(from: Point, to: Point, distance: number): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const share = length === 0 ? 0 : Math.min(distance, length / 2) / length;
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
}

function at({ x, y }: Point): string {
  return `${round(x)} ${round(y)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
