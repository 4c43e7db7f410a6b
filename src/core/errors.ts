/**
 * Every error class, and the way from data back to an error.
 *
 * Owns: the classes and `reviveError`. Does not own: errors as data (serialize-error.ts), the codes' meanings
 * (error-codes.ts), the wording of messages (whoever throws).
 *
 * Invariants
 * 1. All fields of our classes live in `details`, so they survive a checkpoint; the getters read them from there.
 * 2. reviveError(serializeError(e)) has e's class (ours and the language's own), name, code, message, hint, details, causes.
 */
import { TaskchartError, nameClass, numberDetail, textDetail, textsDetail, ValueError } from './base-error.ts';
import type { AnyCode, TaskchartErrorOptions } from './base-error.ts';
import { isJsonArray } from './json.ts';
import type { Json, JsonObject } from './json-type.ts';
import { isObject, originalOf, toSerializedError } from './serialize-error.ts';
import type { SerializedError } from './serialize-error.ts';

export { TaskchartError, ValueError, isTaskchartError } from './base-error.ts';
export type { AnyCode, TaskchartErrorOptions } from './base-error.ts';
export { errorCodes } from './error-codes.ts';
export type { ErrorCode } from './error-codes.ts';
export { serializeError, toSerializedError } from './serialize-error.ts';
export type { SerializedError } from './serialize-error.ts';

/** The graph or an option is wrong. Thrown while the graph is built, before anything runs. */
export class DefinitionError extends TaskchartError {
  static {
    nameClass(this, 'DefinitionError');
  }
}

/** A task failed, and how. */
export class TaskError extends TaskchartError {
  static {
    nameClass(this, 'TaskError');
  }

  get taskId(): string | undefined {
    return textDetail(this, 'taskId');
  }

  /** How often the task was tried. */
  get attempts(): number | undefined {
    return numberDetail(this, 'attempts');
  }
}

/** A task failed in every attempt that it had; `cause` is the last failure. */
export class RetryLimitError extends TaskError {
  static {
    nameClass(this, 'RetryLimitError');
  }
}

/** A task took longer than its timeout. */
export class TaskTimeoutError extends TaskError {
  static {
    nameClass(this, 'TaskTimeoutError');
  }

  get timeoutMs(): number | undefined {
    return numberDetail(this, 'timeoutMs');
  }
}

/** A task asked for more iterations than `maxIterations`. */
export class IterationLimitError extends TaskError {
  static {
    nameClass(this, 'IterationLimitError');
  }

  get maxIterations(): number | undefined {
    return numberDetail(this, 'maxIterations');
  }
}

/** The run executed `maxSteps` tasks and had more to do. */
export class StepLimitError extends TaskError {
  static {
    nameClass(this, 'StepLimitError');
  }

  get maxSteps(): number | undefined {
    return numberDetail(this, 'maxSteps');
  }
}

export interface FailedMember {
  readonly id: string;
  readonly error: Error;
}

/** A policy's verdict on a finished group, with the outcome of every member. */
export class ParallelGroupError extends TaskchartError {
  #failed: readonly FailedMember[] | undefined;

  static {
    nameClass(this, 'ParallelGroupError');
  }

  get groupId(): string | undefined {
    return textDetail(this, 'groupId');
  }

  /** Read from `details.failed`: `[{ id, error: SerializedError }]`. */
  get failed(): readonly FailedMember[] {
    this.#failed ??= failedMembers(this.details?.['failed']);
    return this.#failed;
  }

  get succeeded(): readonly string[] {
    return textsDetail(this, 'succeeded');
  }
}

/** Someone cancelled the run: a task, or the caller (then there is no `taskId`). */
export class WorkflowCancelledError extends TaskchartError {
  static {
    nameClass(this, 'WorkflowCancelledError');
  }

  get taskId(): string | undefined {
    return textDetail(this, 'taskId');
  }

  get reason(): string | undefined {
    return textDetail(this, 'reason');
  }
}

/** Stored state that cannot be used, and why. */
export class CheckpointError extends TaskchartError {
  static {
    nameClass(this, 'CheckpointError');
  }
}

/** The checkpoint was written by another graph than the one in the code. */
export class GraphMismatchError extends CheckpointError {
  static {
    nameClass(this, 'GraphMismatchError');
  }

  /** Nodes that only the code has. */
  get added(): readonly string[] {
    return textsDetail(this, 'added');
  }

  /** Nodes that only the checkpoint has. */
  get removed(): readonly string[] {
    return textsDetail(this, 'removed');
  }

  get changed(): readonly string[] {
    return textsDetail(this, 'changed');
  }
}

/** A message that is none of ours. */
export class ProtocolError extends TaskchartError {
  static {
    nameClass(this, 'ProtocolError');
  }
}

/** Redis, or the way to it, failed. */
export class TransportError extends TaskchartError {
  static {
    nameClass(this, 'TransportError');
  }

  /** Whether trying again can help. */
  get retryable(): boolean {
    return this.details?.['retryable'] === true;
  }
}

/** Our own bug: stop, never continue. */
export class InvariantError extends TaskchartError {
  static {
    nameClass(this, 'InvariantError');
  }
}

/** Throw it in a task to say that another attempt is useless. */
export class NonRetryableError extends TaskchartError {
  static {
    nameClass(this, 'NonRetryableError');
  }

  constructor(message: string, options?: TaskchartErrorOptions) {
    super('task/non-retryable', message, options);
  }
}

/** Throw it in a task to say when the next attempt may begin. Attempts are counted as usual. */
export class RetryAfterError extends TaskchartError {
  static {
    nameClass(this, 'RetryAfterError');
  }

  constructor(delayMs: number, message?: string, options: TaskchartErrorOptions = {}) {
    const delay = delayMs >= 0 && delayMs <= Number.MAX_SAFE_INTEGER ? delayMs : 0;
    super('task/retry-after', message ?? `Try again after ${delay} ms.`, { ...options, details: { ...options.details, delayMs: delay } });
  }

  get delayMs(): number {
    return numberDetail(this, 'delayMs') ?? 0;
  }
}

/** What a `recover` handler gets: the error that a step failed with for good. */
export type TaskFailure = SerializedError & {
  /** The id of the step that failed. */
  readonly step: string;
  readonly attempts?: number;
};

type Maker = (code: AnyCode, message: string, options: TaskchartErrorOptions) => Error;

const classes = {
  TaskchartError,
  DefinitionError,
  ValueError,
  TaskError,
  RetryLimitError,
  TaskTimeoutError,
  IterationLimitError,
  StepLimitError,
  ParallelGroupError,
  WorkflowCancelledError,
  CheckpointError,
  GraphMismatchError,
  ProtocolError,
  TransportError,
  InvariantError,
};

const makers: ReadonlyMap<string, Maker> = new Map<string, Maker>([
  ...Object.entries(classes).map(([name, Class]): [string, Maker] => [name, (code, message, options) => new Class(code, message, options)]),
  ['NonRetryableError', (_, message, options) => new NonRetryableError(message, options)],
  ['RetryAfterError', (_, message, options) => new RetryAfterError(delayIn(options.details), message, options)],
]);

/** A user's own subclass of a steering error keeps its steering when its name is unknown here. */
const makerNames: ReadonlyMap<string, string> = new Map([
  ['task/non-retryable', 'NonRetryableError'],
  ['task/retry-after', 'RetryAfterError'],
]);

const languageErrors: ReadonlyMap<string, ErrorConstructor> = new Map<string, ErrorConstructor>([
  ['TypeError', TypeError],
  ['RangeError', RangeError],
  ['SyntaxError', SyntaxError],
  ['ReferenceError', ReferenceError],
  ['EvalError', EvalError],
  ['URIError', URIError],
]);

/** The error that the data describes: itself where this process made the data, else one of its class with its fields and causes. */
export function reviveError(data: SerializedError): Error {
  const original = originalOf(data);
  if (original !== undefined) return original;
  const cause = data.cause === undefined ? undefined : reviveError(data.cause);
  const ours = data.code !== undefined && data.code.includes('/');
  const maker = ours ? (makers.get(data.name) ?? makers.get(makerNames.get(data.code) ?? '')) : undefined;
  const error = maker === undefined ? reviveForeign(data, cause) : maker(data.code ?? '', data.message, { ...data, cause });
  if (error.name !== data.name) define(error, 'name', data.name);
  return error;
}

function reviveForeign(data: SerializedError, cause: Error | undefined): Error {
  const Class = languageErrors.get(data.name) ?? Error;
  const error = cause === undefined ? new Class(data.message) : new Class(data.message, { cause });
  const { code, hint, details } = data;
  return Object.assign(error, code === undefined ? {} : { code }, hint === undefined ? {} : { hint }, details === undefined ? {} : { details });
}

function define(error: Error, key: string, value: string): void {
  Object.defineProperty(error, key, { value, configurable: true, writable: true });
}

function delayIn(details: JsonObject | undefined): number {
  const delay = details?.['delayMs'];
  return typeof delay === 'number' ? delay : 0;
}

function failedMembers(failed: Json | undefined): readonly FailedMember[] {
  if (!isJsonArray(failed)) return [];
  return failed.filter(isObject).map((member) => ({
    id: typeof member['id'] === 'string' ? member['id'] : '',
    error: reviveError(toSerializedError(member['error'])),
  }));
}
