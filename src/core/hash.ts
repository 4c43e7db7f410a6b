/**
 * A stable 128-bit hash of JSON and text, for comparing graphs and traces.
 *
 * Owns: the hash. Does not own: security; it finds accidents, not forgery.
 *
 * Invariants
 * 1. Equal JSON gives equal hashes, whatever the order of keys; -0 and 0 are equal.
 * 2. Time is linear in the size: keys are not sorted, the hashes of an object's entries are added up.
 * 3. The result is the same on every machine and in every version: it is stored in checkpoints.
 */
import { isJsonArray } from './json.ts';
import type { Json } from './json-type.ts';

export interface Hasher {
  /** Feeds one string. `add('ab')` and `add('a'), add('b')` differ. */
  add(text: string): Hasher;
  /** 32 hex characters for what was fed so far. */
  digest(): string;
}

/** A hasher to feed with strings, for data that is too large to be one value. */
export function createHasher(): Hasher {
  const state = new State();
  const hasher: Hasher = {
    add(text) {
      state.text(text);
      return hasher;
    },
    digest: () => state.hex(),
  };
  return hasher;
}

/** 32 hex characters; the order of keys does not matter. */
export function hashJson(value: Json): string {
  const state = new State();
  feed(state, value);
  return state.hex();
}

const tag = { null: 1, true: 2, false: 3, number: 4, text: 5, array: 6, object: 7 } as const;

function feed(state: State, value: Json): void {
  switch (typeof value) {
    case 'string':
      state.word(tag.text);
      return state.text(value);
    case 'number':
      state.word(tag.number);
      return state.text(String(value));
    case 'boolean':
      return state.word(value ? tag.true : tag.false);
    default:
  }
  if (value === null) return state.word(tag.null);
  if (!isJsonArray(value)) return feedObject(state, value);
  state.word(tag.array);
  state.word(value.length);
  for (const item of value) feed(state, item);
}

function feedObject(state: State, value: { readonly [key: string]: Json }): void {
  const keys = Object.keys(value);
  const { a: outerA, b: outerB, c: outerC, d: outerD } = state;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let count = 0;
  for (const key of keys) {
    const item = value[key];
    // As in JSON text: an optional field that is set to undefined is absent.
    if (item === undefined) continue;
    count++;
    state.reset();
    state.text(key);
    feed(state, item);
    state.finish();
    a = (a + state.a) | 0;
    b = (b + state.b) | 0;
    c = (c + state.c) | 0;
    d = (d + state.d) | 0;
  }
  state.set(outerA, outerB, outerC, outerD);
  state.word(tag.object);
  state.word(count);
  state.word(a);
  state.word(b);
  state.word(c);
  state.word(d);
}

/** Four 32-bit lanes; each word passes through all of them, and each step can be undone, so nothing that was fed is lost. */
class State {
  a = 0;
  b = 0;
  c = 0;
  d = 0;

  constructor() {
    this.reset();
  }

  reset(): void {
    this.a = 0x243f6a88;
    this.b = 0x85a308d3 | 0;
    this.c = 0x13198a2e;
    this.d = 0x03707344;
  }

  set(a: number, b: number, c: number, d: number): void {
    this.a = a;
    this.b = b;
    this.c = c;
    this.d = d;
  }

  word(word: number): void {
    let { a, b, c, d } = this;
    a = Math.imul(a ^ word, 0x9e3779b1);
    a ^= a >>> 15;
    b = Math.imul(b ^ a, 0x85ebca77);
    b ^= b >>> 13;
    c = Math.imul(c ^ b, 0xc2b2ae3d);
    c ^= c >>> 16;
    d = Math.imul(d ^ c, 0x27d4eb2f);
    d ^= d >>> 14;
    this.a = a ^ ((d << 13) | (d >>> 19));
    this.b = b;
    this.c = c;
    this.d = d;
  }

  /** Two UTF-16 units per word; the length goes first, so that neighbours cannot run into each other. */
  text(text: string): void {
    const { length } = text;
    this.word(length);
    let { a, b, c, d } = this;
    // The steps of `word` again, on locals: this loop is most of the work.
    for (let i = 0; i < length; i += 2) {
      const next = i + 1 < length ? text.charCodeAt(i + 1) << 16 : 0;
      a = Math.imul(a ^ text.charCodeAt(i) ^ next, 0x9e3779b1);
      a ^= a >>> 15;
      b = Math.imul(b ^ a, 0x85ebca77);
      b ^= b >>> 13;
      c = Math.imul(c ^ b, 0xc2b2ae3d);
      c ^= c >>> 16;
      d = Math.imul(d ^ c, 0x27d4eb2f);
      d ^= d >>> 14;
      a ^= (d << 13) | (d >>> 19);
    }
    this.set(a, b, c, d);
  }

  /** Spreads the last words over all lanes. */
  finish(): void {
    for (let round = 0; round < 4; round++) this.word(round);
  }

  hex(): string {
    const { a, b, c, d } = this;
    this.finish();
    const text = [this.a, this.b, this.c, this.d].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
    this.set(a, b, c, d);
    return text;
  }
}
