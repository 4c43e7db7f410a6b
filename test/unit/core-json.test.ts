import { createContext, runInContext } from 'node:vm';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ValueError } from '../../src/core/errors.ts';
import { copyJson, isJsonArray, preview, toJson } from '../../src/core/json.ts';
import type { Json } from '../../src/core/json.ts';

const runs = { numRuns: 300 };

/** Without the reserved keys; the bad-input tables have those. */
const jsonValue = fc
  .jsonValue({ maxDepth: 6, stringUnit: 'binary' })
  .filter((value) => !/"(__proto__|xstate\$\$type|sessionId)":/.test(JSON.stringify(value))) as fc.Arbitrary<Json>;

function objectsIn(value: unknown, found: object[] = []): object[] {
  if (typeof value !== 'object' || value === null) return found;
  found.push(value);
  for (const item of Object.values(value)) objectsIn(item, found);
  return found;
}

function verdict(value: unknown): string {
  let copy: Json | undefined;
  try {
    copy = toJson(value, 'here');
  } catch (error) {
    if (!(error instanceof ValueError)) return `threw ${String(error)}`;
    if (error.path?.startsWith('here') !== true) return `wrong path ${error.path}`;
    return error.message.length < 500 ? 'fine' : `long message ${error.message}`;
  }
  return JSON.stringify(copy) === JSON.stringify(value) ? 'fine' : `changed to ${JSON.stringify(copy)}`;
}

describe('toJson', () => {
  it('equals the way through JSON text (invariant 1)', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        expect(toJson(value, 'value')).toEqual(JSON.parse(JSON.stringify(value)));
        expect(JSON.stringify(toJson(value, 'value'))).toBe(JSON.stringify(value));
      }),
      runs,
    );
  });

  it('shares no object with the value, and neither does copyJson (invariant 1)', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        const originals = new Set(objectsIn(value));
        for (const copy of [toJson(value, 'value'), copyJson(value)]) {
          expect(JSON.stringify(copy)).toBe(JSON.stringify(value));
          expect(objectsIn(copy).some((part) => originals.has(part))).toBe(false);
        }
      }),
      runs,
    );
  });

  it('returns a value or throws a ValueError with a path, for anything at all (invariant 4)', () => {
    const anything = fc.anything({
      withBigInt: true, withBoxedValues: true, withDate: true, withMap: true, withSet: true, withNullPrototype: true,
      withObjectString: true, withSparseArray: true, withTypedArray: true, withUnicodeString: true,
    });
    fc.assert(
      fc.property(anything, (value) => {
        expect(verdict(value)).toBe('fine');
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps undefined on top as "no value"', () => {
    expect(toJson(undefined, 'output')).toBe(undefined);
    expect(copyJson(undefined)).toBe(undefined);
  });

  it('turns -0 into 0, as JSON text does', () => {
    for (const value of [-0, [-0], { a: -0 }]) {
      expect(Object.is((objectsIn(toJson(value, 'v'))[0] as { a?: number }[] | undefined)?.[0], -0)).toBe(false);
      expect(toJson(value, 'v')).toEqual(JSON.parse(JSON.stringify(value)));
    }
    expect(Object.is(toJson(-0, 'v'), 0)).toBe(true);
    expect(Object.is((toJson({ a: -0 }, 'v') as { a: number }).a, 0)).toBe(true);
  });

  it('takes the same object twice when it does not contain itself', () => {
    const shared = { n: 1 };
    const copy = toJson({ a: shared, b: [shared, shared] }, 'v') as { a: object; b: object[] };
    expect(copy).toEqual({ a: { n: 1 }, b: [{ n: 1 }, { n: 1 }] });
    expect(copy.a).not.toBe(copy.b[0]);
  });

  it('reads every property once (invariant 3)', () => {
    let reads = 0;
    const value = { get n() { return ++reads; } };
    expect(toJson(value, 'v')).toEqual({ n: 1 });
    const list: unknown[] = [];
    Object.defineProperty(list, 0, { get: () => ++reads, enumerable: true });
    expect(toJson(list, 'v')).toEqual([2]);
  });

  it('survives a getter that itself calls toJson', () => {
    const value = { a: { get inner() { return toJson({ deep: [1] }, 'other'); } }, b: 2 };
    expect(toJson(value, 'v')).toEqual({ a: { inner: { deep: [1] } }, b: 2 });
  });

  it('takes plain objects and arrays of another realm, and refuses its classes', () => {
    const realm = createContext({});
    expect(toJson(runInContext('({ a: [1, { b: null }] })', realm), 'v')).toEqual({ a: [1, { b: null }] });
    expect(() => toJson(runInContext('({ at: new Date(0) })', realm), 'v')).toThrow('v.at is a Date');
    expect(() => toJson(runInContext('new (class Thing {})', realm), 'v')).toThrow('v is a Thing');
  });

  it('takes objects without a prototype and ignores what JSON cannot see', () => {
    const bare = Object.assign(Object.create(null) as object, { a: 1 });
    expect(toJson(bare, 'v')).toEqual({ a: 1 });
    const hidden = Object.defineProperty({ a: 1 }, Symbol('meta'), { value: 1, enumerable: false });
    expect(toJson(hidden, 'v')).toEqual({ a: 1 });
  });

  it('counts depth and size from the limits it is given', () => {
    expect(toJson([[1]], 'v', { maxDepth: 2 })).toEqual([[1]]);
    expect(() => toJson([[[1]]], 'v', { maxDepth: 2 })).toThrow('v[0][0] is nested deeper than 2 levels');
    expect(() => toJson('x'.repeat(11), 'v', { maxChars: 10 })).toThrow('v goes beyond the limit of about 10 characters');
    expect(() => toJson({ a: 'x'.repeat(50) }, 'v', { maxChars: 40 })).toThrow('v.a goes beyond');
    expect(() => toJson(Array.from({ length: 50 }, () => 1), 'v', { maxChars: 40 })).toThrow('v goes beyond');
  });

  it('ends with an array that says it is endless', () => {
    const get = (list: object, key: string | symbol): unknown => {
      if (key === 'length') return 2 ** 53;
      return typeof key === 'string' && /^\d+$/.test(key) ? 1 : Reflect.get(list, key);
    };
    expect(() => toJson(new Proxy([], { get }), 'v', { maxChars: 1000 })).toThrow('v goes beyond the limit');
  });

  it('takes 100 levels and refuses 101', () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    expect(toJson(nested(100), 'v')).toEqual(nested(100));
    expect(() => toJson(nested(101), 'v')).toThrow('nested deeper than 100 levels');
  });
});

describe('isJsonArray', () => {
  it('tells arrays from the rest', () => {
    expect([[], {}, null, 'a', 1, undefined].map((value) => isJsonArray(value))).toEqual([true, false, false, false, false, false]);
  });
});

describe('preview', () => {
  it('is short and safe for anything', () => {
    const max = fc.integer({ min: 20, max: 300 });
    fc.assert(fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withSparseArray: true }), max, (value, limit) => {
      expect(preview(value, limit).length).toBeLessThanOrEqual(limit);
    }));
  });

  it('shows what a person needs', () => {
    expect(preview('a"b')).toBe('"a\\"b"');
    expect(preview({ a: [1, 'x', null], 'odd key': undefined })).toBe('{ a: [1, "x", null], "odd key": undefined }');
    expect(preview(10n)).toBe('10n');
    expect(preview(new Map())).toBe('Map');
    expect(preview(new TypeError('bad'))).toBe('TypeError "bad"');
    expect(preview({ get secret() { throw new Error('no'); } })).toBe('{ secret: (getter) }');
    expect(preview('x'.repeat(1000)).length).toBe(200);
    expect(preview(Proxy.revocable({}, {}).proxy)).toBe('{}');
  });

  it('looks at the beginning of a huge array only', () => {
    const huge = new Proxy(Array.from({ length: 5 }, () => 1), {
      get: (target, key) => (key === 'length' ? 4e9 : Reflect.get(target, key)),
    });
    expect(preview(huge).length).toBeLessThanOrEqual(200);
  });
});
