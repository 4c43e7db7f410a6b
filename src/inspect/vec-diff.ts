/** What has changed between two Vecs of one run: their equal parts are shared, so the cost is that of the changes. */
import type { Vec } from '../../machines/index.ts';

type Slots = readonly unknown[];

const BITS = 5;

/** Calls `visit` for every key whose value is another one, in ascending order. Absent is `undefined`. */
export function diffVec<T>(before: Vec.Vec<T>, after: Vec.Vec<T>, visit: (key: number, before: T | undefined, after: T | undefined) => void): void {
  if (before === after) return;
  const depth = Math.max(before.depth, after.depth);
  walk(deepened(before, depth), deepened(after, depth), depth, 0, visit as (key: number, before: unknown, after: unknown) => void);
}

/** A Vec of fewer levels is the first subtree of one that has more. */
function deepened(vec: Vec.Vec<unknown>, depth: number): Slots {
  let root = vec.root as Slots;
  for (let level = vec.depth; level < depth; level += 1) root = [root];
  return root;
}

const NONE: Slots = [];

function walk(before: Slots, after: Slots, level: number, base: number, visit: (key: number, before: unknown, after: unknown) => void): void {
  const length = Math.max(before.length, after.length);
  for (let at = 0; at < length; at += 1) {
    const [a, b] = [before[at] ?? undefined, after[at] ?? undefined];
    if (a === b) continue;
    const key = base + at * 2 ** (BITS * level);
    if (level === 0) visit(key, a, b);
    else walk((a ?? NONE) as Slots, (b ?? NONE) as Slots, level - 1, key, visit);
  }
}
