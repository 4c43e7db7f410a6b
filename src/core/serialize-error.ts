/**
 * Anything that was thrown, as plain JSON.
 *
 * Owns: the shape of errors as data and the way into it. Does not own: the way back (errors.ts, which knows the classes).
 *
 * Invariants
 * 1. serializeError never throws, whatever was thrown: proxies, throwing getters, cycles of causes.
 * 2. What it returns is JSON of bounded size and holds no stack: the same failure gives the same data.
 */
import { isJsonArray, preview, toJson } from './json.ts';
import type { Json, JsonObject } from './json-type.ts';
import { cut } from './preview.ts';

/** An error as plain JSON: what snapshots, results and `recover` handlers carry. */
export type SerializedError = {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
  readonly hint?: string;
  readonly details?: JsonObject;
  readonly cause?: SerializedError;
};

const maxMessage = 2000;
const maxHint = 1000;
const maxName = 100;
const maxCauses = 5;
const detailLimits = { maxChars: 1_000_000 };

/** Anything that was thrown, as plain JSON. Never throws. Messages are cut at 2000 characters, causes at 5. */
export function serializeError(thrown: unknown): SerializedError {
  return serialize(thrown, maxCauses, []);
}

/** The live errors behind data of this process: their stacks are worth more than a copy. No part of any state. */
const originals = new WeakMap<SerializedError, Error>();

/** The error itself, where the data was made in this process and has not been through JSON. */
export function originalOf(data: SerializedError): Error | undefined {
  return originals.get(data);
}

function serialize(thrown: unknown, causes: number, seen: unknown[]): SerializedError {
  // An Error, one of another realm, or an object that looks like one.
  if (typeof thrown !== 'object' || thrown === null) return wrapNonError(thrown);
  const message = read(thrown, 'message');
  if (typeof message !== 'string') return wrapNonError(thrown);
  seen.push(thrown);
  const code = readCode(thrown);
  const hint = read(thrown, 'hint');
  const details = readDetails(thrown);
  const errors = read(thrown, 'errors');
  const first: unknown = isList(errors) ? read(errors, '0') : undefined;
  const cause = read(thrown, 'cause') ?? first;
  const inner = causes > 0 && cause !== undefined && cause !== null && !seen.includes(cause) ? serialize(cause, causes - 1, seen) : undefined;
  const data: SerializedError = {
    name: cut(readText(thrown, 'name') || 'Error', maxName),
    ...(code === undefined ? undefined : { code }),
    // A failed connection to several addresses is an AggregateError without a message; the first inner one says why.
    message: cut(message === '' && first !== undefined && inner !== undefined ? inner.message : message, maxMessage),
    ...(typeof hint === 'string' ? { hint: cut(hint, maxHint) } : undefined),
    ...(details === undefined ? undefined : { details }),
    ...(inner === undefined ? undefined : { cause: inner }),
  };
  if (thrown instanceof Error) originals.set(data, thrown);
  return data;
}

function wrapNonError(thrown: unknown): SerializedError {
  const shown = typeof thrown === 'string' ? cut(thrown, 200) : preview(thrown);
  return {
    name: 'TaskError',
    code: 'task/non-error',
    message: `Something that is not an Error was thrown: ${shown}`,
    hint: 'Throw an Error, so that its message and stack are kept.',
    details: { type: thrown === null ? 'null' : typeof thrown },
  };
}

function isList(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

function read(from: object, key: string): unknown {
  try {
    return (from as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function readText(from: object, key: string): string | undefined {
  const value = read(from, key);
  return typeof value === 'string' ? value : undefined;
}

/** Our codes and Node's are strings; DOMException's and some databases' are numbers. */
function readCode(from: object): string | undefined {
  const code = read(from, 'code');
  if (typeof code === 'string' && code !== '') return cut(code, maxName);
  return typeof code === 'number' && Number.isFinite(code) && code !== 0 ? String(code) : undefined;
}

function readDetails(from: object): JsonObject | undefined {
  try {
    const details = toJson(read(from, 'details'), 'details', detailLimits);
    return isObject(details) ? details : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !isJsonArray(value);
}

/** Data that came from outside as an error, whatever it is; the fields that fit are kept. */
export function toSerializedError(data: Json | undefined): SerializedError {
  return serializeError(isObject(data) ? data : undefined);
}
