/**
 * Which parts of values are nobody's business.
 *
 * A path is a list of keys: what the value is called, then the keys down to the part; the places in arrays are no part of it. A
 * pattern fits every path that ends in it, so `password` fits a key of that name at any depth, `card.number` the key `number` of
 * anything called `card`. `*` stands for any one key. The values of a task are called `<task>.input`, `<task>.output` and
 * `<task>.error`, those of the run `run.input` and `run.output`; a signal's value `<signal>.signal`, what a task asks
 * `<signal>.question`; what the channel holds `channel.<key>`; contexts, events and outputs of other actors `context`, `event`, `output`.
 */
import { badOption } from '../core/options.ts';

export type RedactPattern = string | readonly string[];

export const REDACTED = '[redacted]';

export class Redactor {
  readonly #patterns: readonly (readonly string[])[];

  /** A pattern is a path with dots, or a list of keys (which may hold dots themselves). */
  constructor(patterns: readonly RedactPattern[] = []) {
    if (!Array.isArray(patterns)) throw badOption('redact', patterns, 'a list of paths, such as ["password", "card.number"]');
    this.#patterns = patterns.map((pattern, at) => compile(pattern as RedactPattern, at));
  }

  /** Nothing is ever left out. */
  get idle(): boolean {
    return this.#patterns.length === 0;
  }

  /** Whether what stands at this path is to be left out. */
  hides(path: readonly string[]): boolean {
    return this.#patterns.length > 0 && this.#patterns.some((pattern) => fits(pattern, path));
  }
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
