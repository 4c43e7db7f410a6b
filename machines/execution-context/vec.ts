/**
 * A persistent (immutable) map from whole numbers to values, as a radix tree of 32-wide arrays in plain JSON.
 *
 * Everything in the context that can have an entry per member, branch or open task lives in one: a change copies
 * a path of a few short arrays, never the collection.
 *
 * Invariants
 * 1. A Vec value never changes; changes are made on a draft, which copies what it touches once, and gives a new Vec.
 * 2. Absent is `null` or `undefined` (JSON turns one into the other); values are never either.
 * 3. `size` is the number of values. A subtree without values is absent.
 * 4. Keys are whole numbers from 0 to 2 ** 30 - 1.
 *
 * What comes from a file was looked at before (src/core/context-shape.ts, which knows width and depth too).
 */
import { InvariantError } from '../../src/core/errors.ts';

export interface Vec<T> {
  readonly size: number;
  /** Levels below the root: 0 means that the root holds values. */
  readonly depth: number;
  readonly root: Node<T>;
}

type Node<T> = readonly (Node<T> | T | null | undefined)[];
type Open<T> = (Open<T> | T | null | undefined)[];

const BITS = 5;
const WIDTH = 1 << BITS;
const MASK = WIDTH - 1;
/** Six levels take all keys below 2 ** 30; one more would not fit the shifts of 32-bit numbers. */
const DEEPEST = 5;
const EMPTY: Vec<never> = Object.freeze({ size: 0, depth: 0, root: Object.freeze([]) }) as Vec<never>;

/** The map without values. */
export function emptyVec<T>(): Vec<T> {
  return EMPTY;
}

/** The value at `key`, or undefined. */
export function get<T>(vec: Vec<T>, key: number): T | undefined {
  if (key >>> (BITS * (vec.depth + 1)) !== 0) return undefined;
  let node: Node<T> | null | undefined = vec.root;
  for (let level = vec.depth; level > 0; level -= 1) {
    node = node[(key >>> (BITS * level)) & MASK] as Node<T> | null | undefined;
    if (node === null || node === undefined) return undefined;
  }
  return (node[key & MASK] as T | null | undefined) ?? undefined;
}

/** Keys and values in ascending order of keys. */
export function* entries<T>(vec: Vec<T>): Generator<readonly [number, T]> {
  yield* walk<T>(vec.root, vec.depth, 0);
}

function* walk<T>(node: Node<T>, level: number, base: number): Generator<readonly [number, T]> {
  for (let at = 0; at < node.length; at += 1) {
    const child = node[at];
    if (child === null || child === undefined) continue;
    const key = base + at * 2 ** (BITS * level);
    if (level === 0) yield [key, child as T];
    else yield* walk<T>(child as Node<T>, level - 1, key);
  }
}

function visitAll<T>(node: Node<T>, level: number, base: number, visit: (value: T, key: number) => void): void {
  for (let at = 0; at < node.length; at += 1) {
    const child = node[at];
    if (child === null || child === undefined) continue;
    const key = base + at * 2 ** (BITS * level);
    if (level === 0) visit(child as T, key);
    else visitAll(child as Node<T>, level - 1, key, visit);
  }
}

/** The values in ascending order of keys. */
export function* values<T>(vec: Vec<T>): Generator<T> {
  for (const [, value] of entries(vec)) yield value;
}

/** Collects changes to one Vec; cheap to open, and untouched parts stay shared. */
export class VecDraft<T> {
  #base: Vec<T>;
  #size: number;
  #depth: number;
  #root: Open<T> | null = null;
  /** Arrays that this draft has made, and may change. Made late: most drafts of an event stay untouched. */
  #owned: Set<Open<T>> | undefined;
  #leaf: Open<T> | null = null;
  #leafKey = -1;

  constructor(base: Vec<T>) {
    this.#base = base;
    this.#size = base.size;
    this.#depth = base.depth;
  }

  get size(): number {
    return this.#size;
  }

  get(key: number): T | undefined {
    if (this.#root === null) return get(this.#base, key);
    if (this.#leafKey === key >>> BITS) return (this.#leaf?.[key & MASK] as T | null | undefined) ?? undefined;
    return get({ size: this.#size, depth: this.#depth, root: this.#root as Node<T> }, key);
  }

  set(key: number, value: T): void {
    const leaf = this.#leafFor(key);
    const at = key & MASK;
    const before = leaf[at];
    if (before === null || before === undefined) this.#size += 1;
    while (leaf.length < at) leaf.push(null);
    leaf[at] = value;
  }

  /** Sets a key that is absent; says whether it was. */
  add(key: number, value: T): boolean {
    const leaf = this.#leafFor(key);
    const at = key & MASK;
    const before = leaf[at];
    if (before !== null && before !== undefined) return false;
    while (leaf.length < at) leaf.push(null);
    leaf[at] = value;
    this.#size += 1;
    return true;
  }

  delete(key: number): void {
    if (this.get(key) === undefined) return;
    const leaf = this.#leafFor(key);
    leaf[key & MASK] = null;
    this.#size -= 1;
    if (leaf.every(isAbsent)) this.#prune(key);
  }

  /** The present values, in ascending order of keys. */
  values(): T[] {
    const list: T[] = [];
    if (this.#size > 0) this.forEach((value) => list.push(value));
    return list;
  }

  /** Calls `visit` for every value, in ascending order of keys. */
  forEach(visit: (value: T, key: number) => void): void {
    visitAll<T>((this.#root ?? this.#base.root) as Node<T>, this.#depth, 0, visit);
  }

  /** The Vec with all changes; the draft is spent. */
  done(): Vec<T> {
    if (this.#root === null) return this.#base;
    if (this.#size === 0) return EMPTY;
    return { size: this.#size, depth: this.#depth, root: this.#root as Node<T> };
  }

  #leafFor(key: number): Open<T> {
    if (this.#leafKey === key >>> BITS && this.#leaf !== null) return this.#leaf;
    if (this.#root === null) this.#root = this.#own(this.#base.root);
    while (key >>> (BITS * (this.#depth + 1)) !== 0) {
      if (this.#depth === DEEPEST) throw new InvariantError('invariant/too-many-ids', `${key} is beyond the ids that a run can give out`);
      const above: Open<T> = this.#root.length === 0 ? [] : [this.#root];
      (this.#owned ??= new Set()).add(above);
      this.#root = above;
      this.#depth += 1;
    }
    let node = this.#root;
    for (let level = this.#depth; level > 0; level -= 1) {
      const at = (key >>> (BITS * level)) & MASK;
      while (node.length < at) node.push(null);
      const child = this.#own((node[at] ?? []) as Node<T>);
      node[at] = child;
      node = child;
    }
    this.#leaf = node;
    this.#leafKey = key >>> BITS;
    return node;
  }

  #own(node: Node<T>): Open<T> {
    if (this.#owned?.has(node as Open<T>) === true) return node as Open<T>;
    const copy = node.slice() as Open<T>;
    (this.#owned ??= new Set()).add(copy);
    return copy;
  }

  #prune(key: number): void {
    const path: Open<T>[] = [];
    let node = this.#root as Open<T>;
    for (let level = this.#depth; level > 0; level -= 1) {
      path.push(node);
      node = node[(key >>> (BITS * level)) & MASK] as Open<T>;
    }
    for (let up = path.length - 1; up >= 0 && node.every(isAbsent); up -= 1) {
      const parent = path[up] as Open<T>;
      parent[(key >>> (BITS * (this.#depth - up))) & MASK] = null;
      node = parent;
    }
    this.#leafKey = -1;
    this.#leaf = null;
  }
}

function isAbsent(slot: unknown): boolean {
  return slot === null || slot === undefined;
}
