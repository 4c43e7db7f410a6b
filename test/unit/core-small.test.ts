import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NonRetryableError, RetryAfterError, serializeError, ValueError } from '../../src/core/errors.ts';
import type { RetryPlan } from '../../src/core/graph.ts';
import { createHasher, hashJson } from '../../src/core/hash.ts';
import type { Json } from '../../src/core/json.ts';
import { nearestName } from '../../src/core/options.ts';
import { defaultRetry, isRetryable, requestedDelayMs, retryDelayMs } from '../../src/core/retry.ts';

function plan(part: Partial<RetryPlan>): RetryPlan {
  return { ...defaultRetry, attempts: 6, ...part };
}

describe('retryDelayMs', () => {
  const delays = (part: Partial<RetryPlan>) => [1, 2, 3, 4, 5].map((failed) => retryDelayMs(plan(part), failed, 0.5));

  it('grows as its backoff says (ACCEPTANCE 18)', () => {
    expect(delays({ backoff: 'exponential', delayMs: 1000, factor: 2, maxDelayMs: 5000 })).toEqual([1000, 2000, 4000, 5000, 5000]);
    expect(delays({ backoff: 'linear', delayMs: 1000, maxDelayMs: 3500 })).toEqual([1000, 2000, 3000, 3500, 3500]);
    expect(delays({ backoff: 'fixed', delayMs: 60_000 })).toEqual([60_000, 60_000, 60_000, 60_000, 60_000]);
  });

  it('stays finite however many attempts failed', () => {
    expect(retryDelayMs(plan({ backoff: 'exponential', delayMs: 1, factor: 10 }), 100_000, 0)).toBe(30_000);
    expect(retryDelayMs(plan({ backoff: 'exponential', delayMs: 0, factor: 10 }), 100_000, 0)).toBe(0);
  });

  it('draws the jitter from the random number alone, within bounds (ACCEPTANCE 18)', () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    const backoff = fc.constantFrom('fixed' as const, 'linear' as const, 'exponential' as const);
    fc.assert(
      fc.property(fc.nat(100_000), unit, unit, backoff, fc.integer({ min: 1, max: 50 }), (delayMs, jitter, random, kind, failed) => {
        const full = retryDelayMs(plan({ delayMs, backoff: kind }), failed, random);
        const drawn = retryDelayMs(plan({ delayMs, backoff: kind, jitter }), failed, random);
        expect(drawn).toBeLessThanOrEqual(full);
        expect(drawn).toBeGreaterThanOrEqual(Math.floor(full * (1 - jitter)));
        expect(retryDelayMs(plan({ delayMs, backoff: kind, jitter }), failed, random)).toBe(drawn);
      }),
    );
    expect(retryDelayMs(plan({ delayMs: 1000, jitter: 1 }), 1, 0.25)).toBe(750);
  });
});

describe('what an error says about retrying', () => {
  it('knows what another attempt cannot help', () => {
    expect(isRetryable(serializeError(new Error('m')))).toBe(true);
    expect(isRetryable(serializeError('text'))).toBe(true);
    expect(isRetryable(serializeError(new RetryAfterError(5)))).toBe(true);
    expect(isRetryable(serializeError(new NonRetryableError('m')))).toBe(false);
    expect(isRetryable(serializeError(new ValueError('value/not-json', 'm')))).toBe(false);
  });

  it('reads the delay that a task asked for', () => {
    expect(requestedDelayMs(serializeError(new RetryAfterError(1500)))).toBe(1500);
    expect(requestedDelayMs(serializeError(new Error('m')))).toBe(undefined);
    expect(requestedDelayMs({ name: 'x', message: 'm', code: 'task/retry-after', details: { delayMs: 'soon' } })).toBe(undefined);
  });
});

describe('hashJson', () => {
  const jsonValue = fc.jsonValue() as fc.Arbitrary<Json>;

  function shuffled(value: Json): Json {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return (value as readonly Json[]).map(shuffled);
    return Object.fromEntries(Object.entries(value).reverse().map(([key, item]) => [key, shuffled(item)]));
  }

  it('does not depend on the order of keys (invariant 1)', () => {
    fc.assert(fc.property(jsonValue, (value) => {
      expect(hashJson(shuffled(value))).toBe(hashJson(value));
      expect(hashJson(value)).toMatch(/^[0-9a-f]{32}$/);
    }));
  });

  it('tells different values apart', () => {
    const different: Json[] = [
      null, true, false, 0, 1, '', '0', 'null', [], {}, [[]], [null], [0], ['0'], [1, 2], [2, 1], [[1], 2], [1, [2]], { a: 1 }, { a: '1' }, { b: 1 },
      { a: 1, b: 2 }, { a: 2, b: 1 }, { a: { b: 1 } }, { a: { b: 1 }, c: {} }, ['ab'], ['a', 'b'], ['a\u0000'], 'a', 'a\u0000', 'ab', 'ba', 1.5, -1, { '': 0 },
    ];
    expect(new Set(different.map(hashJson)).size).toBe(different.length);
    expect(new Set(Array.from({ length: 20_000 }, (_, i) => hashJson({ id: `t${i}` }))).size).toBe(20_000);
  });

  it('is what stored checkpoints hold: these values never change (invariant 3)', () => {
    expect([null, 'taskchart', { a: [1, 2.5, 'x'], b: { c: true } }].map((value) => hashJson(value as Json))).toMatchInlineSnapshot(`
      [
        "1d195ba909dc7ac17eb6bf379df3736b",
        "708d75594886e1c3468daa390caa00f6",
        "5c89832891fdce9d4d8c374da8403f89",
      ]
    `);
  });

  it('is quick for a graph of 100,000 nodes (invariant 2)', () => {
    const nodes = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`t${i}`, { kind: 'task', id: `t${i}`, next: `t${i + 1}` }]));
    const started = performance.now();
    hashJson(nodes);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('createHasher', () => {
  it('depends on every string and on where each begins', () => {
    const digest = (...parts: string[]) => parts.reduce((hasher, part) => hasher.add(part), createHasher()).digest();
    expect(digest('ab', 'c')).toBe(digest('ab', 'c'));
    expect(new Set([digest(), digest(''), digest('ab', 'c'), digest('a', 'bc'), digest('abc'), digest('c', 'ab')]).size).toBe(6);
  });

  it('can be read in the middle', () => {
    const hasher = createHasher().add('a');
    const first = hasher.digest();
    expect(hasher.digest()).toBe(first);
    expect(hasher.add('b').digest()).toBe(createHasher().add('a').add('b').digest());
  });
});

describe('nearestName', () => {
  it('finds a slip of the finger and nothing far away', () => {
    expect(nearestName('atempts', ['attempts', 'delay'])).toBe('attempts');
    expect(nearestName('timeOut', ['timeout', 'retry'])).toBe('timeout');
    expect(nearestName('zebra', ['attempts', 'delay'])).toBe(undefined);
    expect(nearestName('x'.repeat(10_000), ['attempts'])).toBe(undefined);
  });
});
