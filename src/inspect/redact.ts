/**
 * Which parts of values are nobody's business.
 *
 * A path is a list of keys: what the value is called, then the keys down to the part; the places in arrays are no part of it. A
 * pattern fits every path that ends in it, so `password` fits a key of that name at any depth, `card.number` the key `number` of
 * anything called `card`. `*` stands for any one key. The values of a task are called `<task>.input`, `<task>.output` and
 * `<task>.error`, what it says `<task>.log` and `<task>.progress`; those of the run `run.input`, `run.output`, `run.error` and
 * `run.cancel`; a signal's value `<signal>.signal`, what a task asks `<signal>.question`; what the channel holds `channel.<key>`;
 * contexts, events and outputs of other actors `context`, `event`, `output`.
 *
 * One value has many places: what a task gives is what the next one takes. So a path stands for those that the graph says are the
 * same (`same`), and what was hidden once is known again (hidden-values.ts).
 *
 * Invariants
 * 1. Without patterns nothing is looked at and nothing is kept.
 * 2. Before anything is hidden or shown, everything that was seen has been learned: `settle`.
 */
import { badOption } from '../core/options.ts';
import type { SerializedError } from '../core/errors.ts';
import { HiddenValues } from './hidden-values.ts';

export type RedactPattern = string | readonly string[];

export const REDACTED = '[redacted]';

/** Names that are equal in two workflows are taken to be one: it hides too much, and never too little. */
const SAME_MOST = 50_000;
/** Of one value. */
const PLACES_MOST = 200;
const FOUND_MOST = 10_000;
/** How much of one value is looked through. */
const PARTS_MOST = 5000;
const DEEPEST = 100;
/** More than a group's message names. */
const MEMBERS_TOLD = 50;

type ErrorLike = Pick<SerializedError, 'message'> & Partial<SerializedError>;

export class Redactor {
  readonly #patterns: readonly (readonly string[])[];
  readonly #longest: number;
  readonly #same = new Map<string, (readonly string[])[]>();
  #sames = 0;
  /** What was found out about paths. */
  readonly #found = new Map<string, boolean>();
  readonly #hidden = new HiddenValues();
  readonly #pending = new Set<() => void>();

  /** A pattern is a path with dots, or a list of keys (which may hold dots themselves). */
  constructor(patterns: readonly RedactPattern[] = []) {
    if (!Array.isArray(patterns)) throw badOption('redact', patterns, 'a list of paths, such as ["password", "card.number"]');
    this.#patterns = patterns.map((pattern, at) => compile(pattern as RedactPattern, at));
    this.#longest = Math.max(0, ...this.#patterns.map(({ length }) => length));
  }

  /** Nothing is ever left out. */
  get idle(): boolean {
    return this.#patterns.length === 0;
  }

  /** Whether what stands at this path is to be left out. */
  hides(path: readonly string[]): boolean {
    if (this.idle) return false;
    return this.#fits(path) || (this.#same.size > 0 && path.length - 3 < this.#longest && this.#isHiddenElsewhere(path));
  }

  /** The same for a value that is about to be told: it may also be one that was hidden elsewhere. */
  conceals(value: unknown, path: readonly string[]): boolean {
    if (this.idle) return false;
    this.settle();
    if (!this.hides(path)) return this.#hidden.knows(value);
    this.#hidden.add(value);
    return true;
  }

  /** What stands at `path` is what stands at `other`. A path begins with two keys, and has three at most. `oneWay`: not the other way round. */
  same(path: readonly string[], other: readonly string[], oneWay = false): void {
    if (this.idle) return;
    this.#isAlso(path, other);
    if (!oneWay) this.#isAlso(other, path);
  }

  #isAlso(path: readonly string[], other: readonly string[]): void {
    if (this.#sames >= SAME_MOST) return;
    const key = path.join('\0');
    const list = this.#same.get(key) ?? [];
    if (list.some((known) => known.join('\0') === other.join('\0'))) return;
    this.#same.set(key, [...list, other]);
    this.#sames += 1;
    this.#found.clear();
  }

  /** Remembers the hidden parts of a value that nobody is told yet. */
  learn(value: unknown, path: readonly string[]): void {
    if (this.idle) return;
    try {
      this.#learn(value, [...path], 0, { left: PARTS_MOST });
    } catch {
      // A proxy or a getter. Where it is told it is looked at again.
    }
  }

  /** Remembers the texts of an error that is hidden, of its causes, and of the members whose failures it tells of. */
  learnError(error: ErrorLike, path: readonly string[]): void {
    if (!this.idle) this.#learnError(error, [path], 0);
  }

  /** All of an error is hidden: by its path, or because it is that of a step which is hidden. */
  hidesError(error: ErrorLike, path: readonly string[]): boolean {
    return !this.idle && errorPaths(error, [path]).some((one) => this.hides(one));
  }

  /** A text of an error is hidden by its path, or quotes one that is. */
  hidesText(error: ErrorLike, path: readonly string[], key: 'message' | 'hint' | 'code', text: string): boolean {
    if (this.idle) return false;
    if (this.#hidden.knows(text) || errorPaths(error, [path]).some((one) => this.hides([...one, key]))) return true;
    // The error of a group tells what the first of its members said, however short that was.
    return key === 'message' && failedIn(error).slice(0, MEMBERS_TOLD).some(({ id, error: inner }) => errorPaths(inner, [[id, 'error']]).some((one) => this.hides([...one, key]) || this.hides(one)));
  }

  /** A text that other texts may quote. */
  learnQuoted(text: unknown, path: readonly string[]): void {
    if (this.hides(path)) this.#hidden.addQuoted(text);
  }

  /** `work` tells what there is to learn; it is done before the next thing is told. */
  awaits(work: () => void): void {
    if (!this.idle) this.#pending.add(work);
  }

  /** It was done by someone else. */
  done(work: () => void): void {
    this.#pending.delete(work);
  }

  settle(): void {
    for (const work of this.#pending) {
      this.#pending.delete(work);
      work();
    }
  }

  #fits(path: readonly string[]): boolean {
    return this.#patterns.some((pattern) => fits(pattern, path));
  }

  #isHiddenElsewhere(path: readonly string[]): boolean {
    const key = path.join('\0');
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const hidden = this.#hiddenElsewhere(path, new Set([key]));
    if (this.#found.size >= FOUND_MOST) this.#found.clear();
    this.#found.set(key, hidden);
    return hidden;
  }

  #hiddenElsewhere(path: readonly string[], seen: Set<string>): boolean {
    for (const length of [2, 3]) {
      if (path.length < length) return false;
      const others = this.#same.get(path.slice(0, length).join('\0'));
      if (others === undefined) continue;
      const rest = path.slice(length);
      for (const other of others) {
        const there = [...other, ...rest];
        const key = there.join('\0');
        if (seen.has(key) || seen.size >= PLACES_MOST) continue;
        seen.add(key);
        if (this.#fits(there) || this.#hiddenElsewhere(there, seen)) return true;
      }
    }
    return false;
  }

  #learn(value: unknown, path: string[], depth: number, budget: { left: number }): void {
    if ((budget.left -= 1) < 0 || depth > DEEPEST) return;
    if (this.hides(path)) return this.#hidden.add(value);
    if (typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      for (const item of value) {
        if (budget.left < 0) return;
        if (typeof item === 'object' && item !== null) this.#learn(item, path, depth + 1, budget);
      }
      return;
    }
    for (const key in value) {
      if (budget.left < 0) return;
      if (!Object.hasOwn(value, key)) continue;
      path.push(key);
      this.#learn((value as Record<string, unknown>)[key], path, depth + 1, budget);
      path.pop();
    }
  }

  #learnError(error: ErrorLike, paths: readonly (readonly string[])[], level: number): void {
    if (level > 5) return;
    const all = errorPaths(error, paths);
    const whole = all.some((path) => this.hides(path));
    for (const key of ['message', 'hint'] as const) if (whole || all.some((path) => this.hides([...path, key]))) this.#hidden.addQuoted(error[key]);
    if (whole) this.#hidden.addDetails(error.details);
    if (error.cause !== undefined) this.#learnError(error.cause, all, level + 1);
    for (const { id, error: inner } of failedIn(error)) this.#learnError(inner, [[id, 'error'], ...(whole ? all : [])], level + 1);
  }
}

/** An error is called after where it is told, and after the step that its details name. */
function errorPaths({ details }: ErrorLike, paths: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const named = [details?.['taskId'], details?.['groupId']].filter((id): id is string => typeof id === 'string');
  return named.length === 0 ? paths : [...paths, ...named.map((id) => [id, 'error'])];
}

/** The members of whose failures the error of a group tells. */
function failedIn({ details }: ErrorLike): { readonly id: string; readonly error: ErrorLike }[] {
  const failed: unknown = details?.['failed'];
  if (!Array.isArray(failed)) return [];
  return (failed as readonly ({ readonly id?: unknown; readonly error?: Partial<ErrorLike> | null } | null)[]).flatMap((member) =>
    typeof member?.error?.message === 'string' ? [{ id: String(member.id), error: member.error as ErrorLike }] : []);
}

function compile(pattern: RedactPattern, at: number): readonly string[] {
  const keys: unknown = typeof pattern === 'string' ? pattern.split('.') : pattern;
  if (Array.isArray(keys) && keys.length > 0 && keys.every((key) => typeof key === 'string' && key !== '')) return keys as string[];
  throw badOption(`redact[${at}]`, pattern, 'a path such as "card.number", or a list of keys');
}

function fits(pattern: readonly string[], path: readonly string[]): boolean {
  const ahead = path.length - pattern.length;
  if (ahead < 0) return false;
  for (let at = pattern.length - 1; at >= 0; at -= 1) if (pattern[at] !== '*' && pattern[at] !== path[ahead + at]) return false;
  return true;
}
