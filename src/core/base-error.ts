/**
 * The root of all our errors, and ValueError.
 *
 * Owns: the brand, the fields. Does not own: the other classes; they use the JSON check, which throws ValueError.
 *
 * Invariants
 * 1. An error is ours exactly when it carries the brand, whichever copy of the package made it.
 * 2. Absent fields are absent, not undefined.
 */
import type { ErrorCode } from './error-codes.ts';
import type { JsonObject } from './json-type.ts';

const brand = Symbol.for('taskchart.error');

export interface TaskchartErrorOptions {
  /** What to do next. */
  readonly hint?: string | undefined;
  /** Data for programs: ids, counts, paths. Plain JSON, so that it survives a checkpoint. */
  readonly details?: JsonObject | undefined;
  readonly cause?: unknown;
}

/** A listed code, or that of a newer copy of the package. */
export type AnyCode = ErrorCode | (string & {});

/** The base of every error that the library throws. Recognise it with `isTaskchartError`: two copies of a package may meet. */
export class TaskchartError extends Error {
  /** A stable string; docs/errors.md has a section for each. */
  readonly code: AnyCode;
  declare readonly hint?: string;
  declare readonly details?: JsonObject;

  static {
    nameClass(this, 'TaskchartError');
    Object.defineProperty(this.prototype, brand, { value: true });
  }

  constructor(code: AnyCode, message: string, options: TaskchartErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.details !== undefined) this.details = options.details;
  }
}

/** Data that cannot cross a border. */
export class ValueError extends TaskchartError {
  static {
    nameClass(this, 'ValueError');
  }

  /** Where in the value it stands, such as `output.users[3].at`. */
  get path(): string | undefined {
    return textDetail(this, 'path');
  }
}

/** True for our errors, also for those of another copy of the package. Never throws. */
export function isTaskchartError(thrown: unknown): thrown is TaskchartError {
  try {
    return typeof thrown === 'object' && thrown !== null && (thrown as { [brand]?: unknown })[brand] === true;
  } catch {
    return false;
  }
}

/** The name sits on the prototype, so that it survives minifying and does not clutter printed errors. */
export function nameClass(errorClass: { readonly prototype: Error }, name: string): void {
  Object.defineProperty(errorClass.prototype, 'name', { value: name, configurable: true, writable: true });
}

export function textDetail(error: TaskchartError, key: string): string | undefined {
  const value = error.details?.[key];
  return typeof value === 'string' ? value : undefined;
}

export function numberDetail(error: TaskchartError, key: string): number | undefined {
  const value = error.details?.[key];
  return typeof value === 'number' ? value : undefined;
}

export function textsDetail(error: TaskchartError, key: string): readonly string[] {
  const value = error.details?.[key];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}
