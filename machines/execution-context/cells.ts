/**
 * A member's outcome as it is stored: one of them per member of a fan-out, so small ones are stored bare.
 * Invariant: a cell is never null or undefined, which mean "absent" in a Vec.
 */
import type { SerializedError } from '../../src/core/errors.ts';
import { isJsonArray, type Json } from '../../src/core/json.ts';

/** A value in a place where JSON has no "no value". */
export type Boxed = readonly [] | readonly [Json];

/** A failure, or a value: bare where it cannot be taken for anything else. */
export type Cell = { readonly error: SerializedError } | Value;
export type Value = number | string | boolean | Boxed;

const NO_VALUE: Boxed = Object.freeze([] as const);

export function boxed(value: Json | undefined): Boxed {
  return value === undefined ? NO_VALUE : [value];
}

export function cellOf(value: Json | undefined): Value {
  return typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean' ? value : boxed(value);
}

export function isFailure(cell: Cell): cell is { readonly error: SerializedError } {
  return typeof cell === 'object' && 'error' in cell;
}

export function valueOf(cell: Value): Json | undefined {
  return typeof cell === 'object' ? cell[0] : cell;
}

/** A cell that a report brings, if it is one. */
export function isValue(cell: unknown): cell is Value {
  if (typeof cell === 'number' || typeof cell === 'string' || typeof cell === 'boolean') return true;
  return isJsonArray(cell as Json) && (cell as Json[]).length <= 1;
}
