/**
 * Lists in memory with the semantics of Redis: a list that gets empty is gone, and its time to live with it.
 *
 * Owns: the lists, their times to live, and the way back over the last operations. Does not own: what the lists mean,
 * who is told.
 *
 * Invariants
 * 1. No list is empty.
 * 2. `undo(n)` brings back exactly what was there before the last n operations, times to live included.
 */

interface Stored {
  readonly texts: readonly string[];
  readonly expireAt: number | undefined;
}

export class MemoryLists {
  readonly #now: () => number;
  readonly #remember: number;
  readonly #lists = new Map<string, { texts: string[]; expireAt: number | undefined }>();
  /** For each of the last operations, what its keys held before it. */
  readonly #history: Map<string, Stored | undefined>[] = [];

  constructor(now: () => number, remember: number) {
    this.#now = now;
    this.#remember = remember;
  }

  /** Begins an operation: what changes from here on is undone together. */
  begin(): void {
    if (this.#remember === 0) return;
    this.#history.push(new Map());
    if (this.#history.length > this.#remember) this.#history.shift();
  }

  undo(count: number): void {
    for (let left = count; left > 0; left -= 1) {
      for (const [key, before] of this.#history.pop() ?? []) {
        if (before === undefined) this.#lists.delete(key);
        else this.#lists.set(key, { texts: [...before.texts], expireAt: before.expireAt });
      }
    }
  }

  keys(): readonly string[] {
    return [...this.#lists.keys()].filter((key) => this.#live(key) !== undefined);
  }

  /** What is there now, and changes with it: to be copied by whoever keeps it. */
  list(key: string): readonly string[] {
    return this.#live(key)?.texts ?? [];
  }

  length(key: string): number {
    return this.list(key).length;
  }

  has(key: string): boolean {
    return this.#live(key) !== undefined;
  }

  first(key: string): string | undefined {
    return this.list(key)[0];
  }

  append(key: string, texts: readonly string[]): void {
    if (texts.length === 0) return;
    const { texts: held } = this.#change(key);
    for (const text of texts) held.push(text);
  }

  prepend(key: string, texts: readonly string[]): void {
    if (texts.length > 0) this.#change(key).texts.unshift(...texts);
  }

  /** Takes the first `count` elements away. */
  shift(key: string, count = 1): readonly string[] {
    const list = this.#live(key);
    if (list === undefined) return [];
    const first = this.#change(key).texts.splice(0, count);
    this.#tidy(key);
    return first;
  }

  /** The first element of one list becomes the last of another. */
  move(from: string, to: string): string | undefined {
    const [first] = this.shift(from);
    if (first !== undefined) this.append(to, [first]);
    return first;
  }

  removeFirst(key: string, text: string): void {
    const at = this.list(key).indexOf(text);
    if (at >= 0) this.#change(key).texts.splice(at, 1);
    this.#tidy(key);
  }

  /** Keeps the elements that the test accepts; says how many went. */
  keep(key: string, test: (text: string) => boolean): number {
    const held = this.list(key);
    const kept = held.filter(test);
    if (kept.length === held.length) return 0;
    this.#change(key).texts = kept;
    this.#tidy(key);
    return held.length - kept.length;
  }

  /** Puts a new list in the place of what was there, without a time to live. */
  set(key: string, texts: readonly string[]): void {
    this.remove(key);
    this.append(key, texts);
  }

  remove(key: string): void {
    if (!this.#lists.has(key)) return;
    this.#change(key);
    this.#lists.delete(key);
  }

  expire(key: string, ms: number): void {
    if (this.#live(key) !== undefined) this.#change(key).expireAt = this.#now() + ms;
  }

  /** Milliseconds; nothing for a list that stays, or is not there. */
  timeLeft(key: string): number | undefined {
    const expireAt = this.#live(key)?.expireAt;
    return expireAt === undefined ? undefined : expireAt - this.#now();
  }

  #live(key: string): { texts: string[]; expireAt: number | undefined } | undefined {
    const list = this.#lists.get(key);
    if (list?.expireAt === undefined || list.expireAt > this.#now()) return list;
    this.#lists.delete(key);
    return undefined;
  }

  /** The list, to be changed: there from now on, and as it was in the history. */
  #change(key: string): { texts: string[]; expireAt: number | undefined } {
    const list = this.#live(key);
    const last = this.#history.at(-1);
    if (last !== undefined && !last.has(key)) last.set(key, list === undefined ? undefined : { texts: [...list.texts], expireAt: list.expireAt });
    if (list !== undefined) return list;
    const made = { texts: [], expireAt: undefined };
    this.#lists.set(key, made);
    return made;
  }

  #tidy(key: string): void {
    if (this.#lists.get(key)?.texts.length === 0) this.#lists.delete(key);
  }
}
