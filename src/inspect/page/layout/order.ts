/**
 * The order of boxes within the rows of a layout, so that few lines cross: each box is put near the middle of what it is
 * connected with, row by row, down and up again.
 *
 * Owns: the order in large graphs, where the library's own way takes too long. Does not own: rows and coordinates (dagre).
 *
 * Invariants
 * 1. Linear in nodes and edges per sweep, and the number of sweeps is fixed.
 * 2. The order with the fewest crossings that was met is kept; the same graph gives the same order.
 */
const SWEEPS = 8;

/** The part of dagre's graph that is needed here. */
export interface RankedGraph {
  nodes(): string[];
  node(id: string): { rank?: number; order?: number };
  edges(): { v: string; w: string; name?: string | undefined }[];
  edge(edge: { v: string; w: string; name?: string | undefined }): { points?: { x: number; y: number }[] };
}

/** Sets `order` of every node. An edge without boxes of its own on its way gets a point, which the library relies on and nobody looks at. */
export function orderRows(graph: RankedGraph): void {
  for (const edge of graph.edges()) graph.edge(edge).points ??= [{ x: 0, y: 0 }];
  const rows = rowsOf(graph);
  const [before, after] = [new Map<string, string[]>(), new Map<string, string[]>()];
  for (const { v, w } of graph.edges()) {
    push(after, v, w);
    push(before, w, v);
  }
  const place = new Map<string, number>();
  for (const row of rows) setPlaces(row, place);
  let best = rows.map((row) => row.slice());
  let fewest = crossings(rows, before, place);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : rows.toReversed()) sortRow(row, down ? before : after, place);
    const count = crossings(rows, before, place);
    if (count >= fewest) continue;
    fewest = count;
    best = rows.map((row) => row.slice());
  }
  for (const row of best) row.forEach((id, order) => { graph.node(id).order = order; });
}

/** By rank, in the order in which following the edges comes upon them. */
function rowsOf(graph: RankedGraph): string[][] {
  const rows: string[][] = [];
  const after = new Map<string, string[]>();
  for (const { v, w } of graph.edges()) push(after, v, w);
  const seen = new Set<string>();
  const rank = (id: string): number => graph.node(id).rank ?? 0;
  for (const start of graph.nodes().toSorted((a, b) => rank(a) - rank(b))) {
    const stack = [start];
    for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
      if (seen.has(id)) continue;
      seen.add(id);
      (rows[rank(id)] ??= []).push(id);
      for (const next of (after.get(id) ?? []).toReversed()) stack.push(next);
    }
  }
  return Array.from(rows, (row) => row ?? []);
}

/** What is connected with nothing on that side stays at its place, the others share the rest. */
function sortRow(row: string[], neighbours: ReadonlyMap<string, readonly string[]>, place: Map<string, number>): void {
  const middle = new Map<string, number>();
  for (const id of row) {
    const near = neighbours.get(id);
    if (near !== undefined) middle.set(id, near.reduce((sum, each) => sum + (place.get(each) ?? 0), 0) / near.length);
  }
  const moving = row.filter((id) => middle.has(id)).sort((a, b) => (middle.get(a) as number) - (middle.get(b) as number));
  let next = 0;
  row.forEach((id, at) => {
    if (middle.has(id)) row[at] = moving[next++] as string;
  });
  setPlaces(row, place);
}

function setPlaces(row: readonly string[], place: Map<string, number>): void {
  row.forEach((id, at) => place.set(id, at));
}

/** Counted with a tree of sums, row by row. */
function crossings(rows: readonly (readonly string[])[], before: ReadonlyMap<string, readonly string[]>, place: ReadonlyMap<string, number>): number {
  let count = 0;
  rows.forEach((row, at) => {
    const above = rows[at - 1]?.length ?? 0;
    const sums = new Uint32Array(above + 1);
    let total = 0;
    for (const id of row) {
      const ends = (before.get(id) ?? []).map((each) => place.get(each) ?? 0).sort((a, b) => a - b);
      for (const end of ends) {
        let upTo = 0;
        for (let index = end + 1; index > 0; index -= index & -index) upTo += sums[index] ?? 0;
        count += total - upTo;
      }
      for (const end of ends) {
        total += 1;
        for (let index = end + 1; index <= above; index += index & -index) sums[index] = (sums[index] ?? 0) + 1;
      }
    }
  });
  return count;
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
