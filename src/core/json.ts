/**
 * The border that every value crosses: inputs, outputs, channel writes, signals.
 *
 * Owns: the check and the private copy, with the path of what is refused. Does not own: schemas (the run time validates
 * them), the checkpoint's own shape.
 *
 * Invariants
 * 1. What toJson returns equals `JSON.parse(JSON.stringify(value))`, and shares no object with the value.
 * 2. A value is never changed silently: what JSON would drop or alter is refused. (-0 becomes 0, as in JSON text.)
 * 3. Every property is read once, so a getter cannot show one value to the check and another to the copy.
 * 4. Nothing but ValueError is thrown, also for proxies and throwing getters.
 * 5. The copy has no own `__proto__` key and nothing that XState would take for an actor.
 */
import { ValueError } from './base-error.ts';
import type { ErrorCode } from './error-codes.ts';
import type { Json } from './json-type.ts';
import { className, cut, preview } from './preview.ts';

export type { Json } from './json-type.ts';
export { preview } from './preview.ts';

export interface JsonLimits {
  /** Objects and arrays inside each other. Default 100. */
  readonly maxDepth?: number;
  /** About the length of the JSON text. Default 33,554,432. */
  readonly maxChars?: number;
}

const defaultDepth = 100;
const defaultChars = 33_554_432;

/** The state of one pass. `keys[d]` is the key under which the holder at depth d + 1 stands in the holder at depth d. */
interface Walk {
  readonly where: string;
  readonly maxDepth: number;
  readonly maxChars: number;
  readonly keys: (string | number)[];
  readonly holders: object[];
  left: number;
  refusal: ValueError | undefined;
}

/**
 * Checks that JSON can carry the value and returns a private copy of it. `undefined` on top means "no value" and stays so.
 * `where` names the value in messages and begins the path: `output.users[3].at`.
 */
export function toJson(value: unknown, where: string, limits?: JsonLimits): Json | undefined {
  switch (typeof value) {
    case 'undefined':
    case 'boolean':
      return value;
    case 'number':
      if (value - value === 0) return value === 0 ? 0 : value;
      break;
    case 'string':
      if (value.length <= (limits?.maxChars ?? defaultChars)) return value;
      break;
    case 'object':
      if (value === null) return null;
      break;
    default:
  }
  return walkFrom(value, where, limits);
}

function walkFrom(value: unknown, where: string, limits: JsonLimits | undefined): Json {
  const maxChars = limits?.maxChars ?? defaultChars;
  const walk: Walk = {
    where,
    maxDepth: limits?.maxDepth ?? defaultDepth,
    maxChars,
    keys: [],
    holders: [],
    left: maxChars,
    refusal: undefined,
  };
  if (typeof value === 'object' && value !== null) return copyHolder(walk, value, 0);
  return copyLeaf(walk, value, 0);
}

/** Anything but an object. The path's last key is already in `walk.keys`. */
function copyLeaf(walk: Walk, value: unknown, depth: number): Json {
  switch (typeof value) {
    case 'string':
      walk.left -= value.length + 3;
      if (walk.left < 0) refuseSize(walk, depth);
      return value;
    case 'number':
      walk.left -= 4;
      if (value - value !== 0) refuse(walk, depth, `is ${value}`, 'JSON has no such number; send null or a string.');
      return value === 0 ? 0 : value;
    case 'boolean':
      walk.left -= 5;
      return value;
    case 'undefined':
      return refuse(walk, depth, 'is undefined', 'Leave the key out, or send null.');
    case 'bigint':
      return refuse(walk, depth, 'is a BigInt', 'Send it as a string.');
    case 'function':
      return refuse(walk, depth, 'is a function', 'Functions stay in the code; send data.');
    default:
      return refuse(walk, depth, `is a ${typeof value}`, 'Send a string.');
  }
}

function copyHolder(walk: Walk, value: object, depth: number): Json {
  if (depth >= walk.maxDepth) refuseDepth(walk, value, depth);
  for (let i = 0; i < depth; i++) if (walk.holders[i] === value) refuseCycle(walk, depth, i);
  walk.holders[depth] = value;
  walk.left -= 2;
  if (walk.left < 0) refuseSize(walk, depth);
  return isArray(walk, value, depth) ? copyArray(walk, value, depth) : copyObject(walk, value, depth);
}

/** The short way for most values: no length to count, nothing to change. Zero takes the long way, as it may be -0. */
function isPlainLeaf(item: unknown): item is null | boolean | number {
  return typeof item === 'number' ? item - item === 0 && item !== 0 : item === true || item === false || item === null;
}

/** Array.isArray throws for a revoked proxy. */
function isArray(walk: Walk, value: object, depth: number): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch (error) {
    return refuseUnreadable(walk, depth, error);
  }
}

function copyObject(walk: Walk, value: object, depth: number): Json {
  let key: string | undefined;
  try {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) checkForeignPrototype(walk, depth, value, prototype, 'Object');
    if (Object.getOwnPropertySymbols(value).length > 0) checkSymbols(walk, depth, value);
    const copy: Record<string, Json> = {};
    const keys = Object.keys(value);
    for (let i = 0; i < keys.length; i++) {
      key = keys[i] as string;
      walk.left -= key.length + 4;
      const item = (value as Record<string, unknown>)[key];
      if (key.length >= 9) checkKey(walk, depth, key, value);
      if (typeof item === 'string' && item.length < walk.left) {
        walk.left -= item.length;
        copy[key] = item;
      } else if (isPlainLeaf(item)) copy[key] = item;
      else {
        walk.keys[depth] = key;
        copy[key] = typeof item === 'object' ? copyHolder(walk, item, depth + 1) : copyLeaf(walk, item, depth + 1);
      }
    }
    if (walk.left < 0) refuseSize(walk, depth);
    return copy;
  } catch (error) {
    if (error === walk.refusal && error !== undefined) throw error;
    if (key === undefined) return refuseUnreadable(walk, depth, error);
    walk.keys[depth] = key;
    return refuseUnreadable(walk, depth + 1, error);
  }
}

function copyArray(walk: Walk, value: readonly unknown[], depth: number): Json {
  let index = -1;
  try {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Array.prototype) checkForeignPrototype(walk, depth, value, prototype, 'Array');
    const length = value.length;
    const copy: Json[] = [];
    for (index = 0; index < length; index++) {
      walk.left -= 2;
      if (walk.left < 0) refuseSize(walk, depth);
      const item = value[index];
      if (isPlainLeaf(item)) copy.push(item);
      else {
        walk.keys[depth] = index;
        if (item === undefined && !(index in value)) refuseHole(walk, depth + 1);
        copy.push(typeof item === 'object' ? copyHolder(walk, item, depth + 1) : copyLeaf(walk, item, depth + 1));
      }
    }
    index = -1;
    checkArrayKeys(walk, depth, value, length);
    return copy;
  } catch (error) {
    if (error === walk.refusal && error !== undefined) throw error;
    if (index < 0) return refuseUnreadable(walk, depth, error);
    walk.keys[depth] = index;
    return refuseUnreadable(walk, depth + 1, error);
  }
}

/** Keys that are no data: `__proto__` can change a prototype, the others make XState see an actor in plain data. */
function checkKey(walk: Walk, depth: number, key: string, holder: object): void {
  if (key === '__proto__') refuseKey(walk, depth, 'has an own __proto__ key', 'Rename the key.');
  if (key === 'xstate$$type') refuseKey(walk, depth, 'has the key xstate$$type, which XState keeps for itself', 'Rename the key.');
  if (key === 'sessionId' && Object.hasOwn(holder, 'send') && Object.hasOwn(holder, 'ref')) {
    const look = 'has the keys sessionId, send and ref together, which XState takes for an actor';
    refuseKey(walk, depth, look, 'Rename one of the keys, or send only the data that the next task needs.');
  }
}

function checkArrayKeys(walk: Walk, depth: number, value: readonly unknown[], length: number): void {
  const keys = Object.keys(value);
  if (keys.length > length) {
    const extra = preview(keys[keys.length - 1], 40);
    refuse(walk, depth, `is an array with the extra key ${extra}`, 'JSON drops such keys; send an object instead.');
  }
  if (Object.getOwnPropertySymbols(value).length > 0) checkSymbols(walk, depth, value);
}

function checkSymbols(walk: Walk, depth: number, value: object): void {
  for (const symbol of Object.getOwnPropertySymbols(value)) {
    if (!Object.prototype.propertyIsEnumerable.call(value, symbol)) continue;
    refuse(walk, depth, `has the symbol key ${preview(symbol, 60)}`, 'JSON drops symbol keys; use a string key.');
  }
}

/** A plain object or array of another realm (a vm context, a test runner's sandbox) is as plain as one of ours. */
function checkForeignPrototype(walk: Walk, depth: number, value: object, prototype: unknown, expected: string): void {
  if (typeof prototype === 'object' && prototype !== null && Object.prototype.hasOwnProperty.call(prototype, 'constructor')) {
    const parent: unknown = Object.getPrototypeOf(prototype);
    const maker: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
    const foreign = typeof maker === 'function' && maker !== Object && maker.name === expected && isNative(maker);
    const root = expected === 'Object' ? parent === null : parent !== null && Object.getPrototypeOf(parent) === null;
    if (foreign && root) return;
  }
  const name = className(value);
  refuse(walk, depth, `is ${article(name)} ${name}`, hintFor(name));
}

function isNative(maker: object): boolean {
  return Function.prototype.toString.call(maker).includes('[native code]');
}

function hintFor(name: string): string {
  if (name === 'Date') return 'Send date.toISOString() or date.getTime().';
  if (name === 'Map') return 'Send Object.fromEntries(map) or [...map].';
  if (name === 'Set') return 'Send [...set].';
  if (name === 'Promise') return 'Await it first.';
  if (name.endsWith('Error')) return 'Send its message, or throw it.';
  if (name === 'Buffer' || name.endsWith('Array')) return 'Send a base64 string, or a path or key where the bytes are.';
  return 'Send a plain object with the data that the next task needs.';
}

function article(name: string): string {
  return /^[AEIOU]/i.test(name) ? 'an' : 'a';
}

function refuse(walk: Walk, depth: number, problem: string, hint: string, code: ErrorCode = 'value/not-json'): never {
  const path = pathOf(walk, depth);
  const text = code === 'value/not-json' ? `${path} ${problem}, which JSON cannot carry.` : `${path} ${problem}.`;
  walk.refusal = new ValueError(code, text, { hint, details: { path } });
  throw walk.refusal;
}

function refuseHole(walk: Walk, depth: number): never {
  return refuse(walk, depth, 'is a hole in a sparse array', 'Fill the array, or send null there.');
}

function refuseUnreadable(walk: Walk, depth: number, error: unknown): never {
  return refuse(walk, depth, `cannot be read (${preview(error, 100)})`, 'Send plain data instead of a getter or a proxy.');
}

function refuseKey(walk: Walk, depth: number, problem: string, hint: string): never {
  return refuse(walk, depth, problem, hint, 'value/reserved-key');
}

function refuseCycle(walk: Walk, depth: number, ancestor: number): never {
  const problem = `refers back to ${pathOf(walk, ancestor)}, so it contains itself`;
  return refuse(walk, depth, problem, 'Send ids instead of references.', 'value/cycle');
}

function refuseDepth(walk: Walk, value: object, depth: number): never {
  const ancestor = walk.holders.lastIndexOf(value);
  if (ancestor >= 0 && ancestor < depth) refuseCycle(walk, depth, ancestor);
  return refuse(walk, depth, `is nested deeper than ${walk.maxDepth} levels`, 'Flatten the value.', 'value/too-deep');
}

function refuseSize(walk: Walk, depth: number): never {
  const limit = walk.maxChars.toLocaleString('en-US');
  const hint = 'Store the data elsewhere and send a path or key to it.';
  return refuse(walk, depth, `goes beyond the limit of about ${limit} characters`, hint, 'value/too-large');
}

const maxPath = 160;

function pathOf(walk: Walk, depth: number): string {
  let path = walk.where;
  for (let i = 0; i < depth; i++) {
    const key = walk.keys[i] as string | number;
    if (typeof key === 'number') path += `[${key}]`;
    else path += /^[A-Za-z_$][\w$]{0,60}$/.test(key) ? `.${key}` : `[${JSON.stringify(cut(key, 40))}]`;
  }
  return path.length <= maxPath ? path : `${path.slice(0, maxPath / 2)}…${path.slice(-maxPath / 2)}`;
}

/** A deep copy of data that is known to be JSON. Primitives are returned as they are. */
export function copyJson(value: Json): Json;
export function copyJson(value: Json | undefined): Json | undefined;
export function copyJson(value: Json | undefined): Json | undefined {
  if (typeof value !== 'object' || value === null) return value;
  if (isJsonArray(value)) return value.map(copyItem);
  const copy: Record<string, Json> = { ...value };
  for (const key of Object.keys(copy)) {
    const item = copy[key];
    if (typeof item === 'object' && item !== null) copy[key] = copyJson(item);
  }
  return copy;
}

function copyItem(item: Json): Json {
  return typeof item === 'object' ? copyJson(item) : item;
}

/** `Array.isArray` for Json: it narrows read-only arrays too. */
export function isJsonArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
