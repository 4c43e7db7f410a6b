/**
 * The context's in-memory task queue: a persistent (immutable) FIFO in plain JSON.
 *
 * Owns: order. Does not own: what is queued, or when something may start (admit.ts).
 *
 * Invariants
 * 1. A queue value never changes; every operation gives a new one that shares structure with the old.
 * 2. `chunks` holds full chunks only; the newest, unfilled part is `tail`, so that a push copies fewer than CHUNK items.
 * 3. `head` counts the items of the oldest part that are already taken; `size` counts those that are left.
 * 4. Push and take cost the same at any length, but for one pointer per CHUNK items.
 *
 * What comes from a file was looked at before (src/core/context-shape.ts, which knows CHUNK too).
 */
export interface Fifo<T> {
  readonly size: number;
  readonly head: number;
  readonly chunks: readonly (readonly T[])[];
  readonly tail: readonly T[];
}

const CHUNK = 128;
const EMPTY: Fifo<never> = Object.freeze({ size: 0, head: 0, chunks: Object.freeze([]), tail: Object.freeze([]) }) as Fifo<never>;

/** The queue without items. */
export function emptyFifo<T>(): Fifo<T> {
  return EMPTY;
}

/** Appends items in order. */
export function push<T>(queue: Fifo<T>, ...items: readonly T[]): Fifo<T> {
  return pushAll(queue, items);
}

/** Appends any number of items in order. */
export function pushAll<T>(queue: Fifo<T>, items: readonly T[]): Fifo<T> {
  if (items.length === 0) return queue;
  const size = queue.size + items.length;
  const tail = [...queue.tail, ...(items.length < CHUNK ? items : [])];
  if (items.length >= CHUNK) for (const item of items) tail.push(item);
  if (tail.length < CHUNK) return { size, head: queue.head, chunks: queue.chunks, tail };
  const chunks = queue.chunks.slice();
  let at = 0;
  for (; at + CHUNK <= tail.length; at += CHUNK) chunks.push(tail.slice(at, at + CHUNK));
  return { size, head: queue.head, chunks, tail: tail.slice(at) };
}

/** The oldest item, or undefined. */
export function peek<T>(queue: Fifo<T>): T | undefined {
  return (queue.chunks[0] ?? queue.tail)[queue.head];
}

/** Removes the oldest item; the caller has seen that there is one. */
export function dropFirst<T>(queue: Fifo<T>): Fifo<T> {
  if (queue.size <= 1) return EMPTY;
  const head = queue.head + 1;
  const oldest = queue.chunks[0] ?? queue.tail;
  if (head < oldest.length) return { size: queue.size - 1, head, chunks: queue.chunks, tail: queue.tail };
  return { size: queue.size - 1, head: 0, chunks: queue.chunks.slice(1), tail: queue.tail };
}

/** Up to `max` oldest items and what is left. */
export function take<T>(queue: Fifo<T>, max: number): readonly [readonly T[], Fifo<T>] {
  const count = Math.min(max, queue.size);
  if (count <= 0) return [[], queue];
  const taken: T[] = [];
  let { head } = queue;
  let used = 0;
  while (taken.length < count) {
    const part = queue.chunks[used] ?? queue.tail;
    taken.push(part[head] as T);
    head += 1;
    if (head === part.length) {
      used += 1;
      head = 0;
    }
  }
  if (count === queue.size) return [taken, EMPTY];
  return [taken, { size: queue.size - count, head, chunks: used === 0 ? queue.chunks : queue.chunks.slice(used), tail: queue.tail }];
}

/** The items, oldest first. */
export function* items<T>(queue: Fifo<T>): Generator<T> {
  let skip = queue.head;
  for (const part of [...queue.chunks, queue.tail]) {
    for (let at = skip; at < part.length; at += 1) yield part[at] as T;
    skip = 0;
  }
}
