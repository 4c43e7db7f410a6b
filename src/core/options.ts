/**
 * Checks of options, made where the options are given.
 *
 * Owns: the small validators. Does not own: defaults and meanings; those belong to whoever takes the option.
 *
 * Invariants
 * 1. Every refusal is a DefinitionError `definition/bad-option` that names the option's path, the value and its type.
 * 2. A validator returns exactly the value that it was given.
 */
import { DefinitionError } from './errors.ts';
import { preview } from './json.ts';

/** The error that every validator throws; also for checks that only one option needs. */
export function badOption(path: string, value: unknown, expected: string, hint?: string): DefinitionError {
  const message = `Option ${path} must be ${expected}, but is ${preview(value, 100)} (${typeName(value)}).`;
  return new DefinitionError('definition/bad-option', message, { hint, details: { option: path, value: preview(value, 100) } });
}

/** An integer from `min` to `max`. */
export function integerOption(path: string, value: unknown, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw badOption(path, value, `an integer ${range}`);
}

/** A finite number from `min` to `max`. */
export function numberOption(path: string, value: unknown, min: number, max: number = Number.MAX_VALUE): number {
  if (typeof value === 'number' && value >= min && value <= max) return value;
  const range = max === Number.MAX_VALUE ? `of at least ${min}` : `from ${min} to ${max}`;
  throw badOption(path, value, `a number ${range}`);
}

/** A length of time in milliseconds, finite and not below `min` (default 0). */
export function durationOption(path: string, value: unknown, min = 0): number {
  if (typeof value === 'number' && value >= min && value <= Number.MAX_SAFE_INTEGER) return value;
  const hint = value === Infinity ? 'Leave the option out for no limit.' : undefined;
  throw badOption(path, value, `a time in milliseconds of at least ${min}`, hint);
}

export function booleanOption(path: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw badOption(path, value, 'true or false');
}

/** A string with at least one character. */
export function textOption(path: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw badOption(path, value, 'a string that is not empty');
}

export function oneOfOption<const Name extends string>(path: string, value: unknown, names: readonly Name[]): Name {
  const found = names.find((name) => name === value);
  if (found !== undefined) return found;
  throw badOption(path, value, `one of ${names.map((name) => `"${name}"`).join(', ')}`, suggestion(value, names));
}

/** A plain object whose keys are all known. Unknown names are refused, with the nearest known one suggested. */
export function optionsObject(path: string, value: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badOption(path, value, 'an object of options');
  for (const key of Object.keys(value)) {
    if (names.includes(key)) continue;
    const known = names.length === 0 ? 'There are no options here.' : `Known options: ${names.join(', ')}.`;
    const full = path === '' ? key : `${path}.${key}`;
    throw new DefinitionError('definition/bad-option', `There is no option ${preview(full, 100)}.`, {
      hint: suggestion(key, names) ?? known,
      details: { option: preview(full, 100) },
    });
  }
  return value as Readonly<Record<string, unknown>>;
}

/** The known name that looks most like `name`, if one is close. */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  if (name.length > 60) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function suggestion(value: unknown, names: readonly string[]): string | undefined {
  const nearest = typeof value === 'string' ? nearestName(value, names) : undefined;
  return nearest === undefined ? undefined : `Did you mean ${nearest}?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1);
    }
    row = next;
  }
  return row[b.length] as number;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
