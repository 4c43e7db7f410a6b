import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ExecutionEvent } from '../../machines/index.ts';
import { decodeEntry, encodeEntry } from '../../src/runtime/journal-codec.ts';

const json = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as never);
const cell = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.constant([]), json.map((value) => [value]));
const end = fc.oneof(
  json.map((value) => ({ kind: 'value', value })),
  fc.constant({ kind: 'value' }),
  json.map((value) => ({ kind: 'value', value, spawned: [{ node: 'x', input: value }] })),
  json.map((input) => ({ kind: 'iterate', input })),
  fc.double({ min: 0, max: 1, noNaN: true }).map((random) => ({ kind: 'failed', error: { name: 'Error', message: 'm' }, random: random === 0 ? 0 : random })),
);
const id = fc.nat(2 ** 30 - 1);
const report = fc.oneof(
  fc.record({ id, end }),
  fc.record({ id, moves: fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1 }), input: json }),
  fc.record({ id, moves: fc.constant([3]) }),
  fc.record({ group: id, index: fc.nat(), end }),
  fc.array(fc.tuple(fc.nat(50), cell)).map((pairs) => ({ group: 7, indexes: pairs.map(([index]) => index), cells: pairs.map(([, value]) => value) })),
);
const event = fc.oneof(
  fc.record({ type: fc.constant('SETTLED'), at: fc.nat(), reports: fc.array(report) }),
  fc.record({ type: fc.constant('DUE'), at: fc.nat(), ids: fc.array(fc.nat()) }),
  fc.record({ type: fc.constant('SIGNAL'), name: fc.string(), value: json }),
  fc.constantFrom({ type: 'PAUSE' }, { type: 'CANCEL', reason: 'r' }),
);

describe('journal entries', () => {
  it('decode to the event that was encoded', () => {
    fc.assert(
      fc.property(event, fc.nat(), fc.nat(), (given, revision, before) => {
        const entry = encodeEntry(given as unknown as ExecutionEvent, revision, before);
        expect(entry).not.toContain('\n');
        expect(decodeEntry(entry, before)).toEqual({ revision, event: given });
      }),
    );
  });

  it('take at most 60 bytes for one settled no-op task, and a few for a member of a fan-out', () => {
    const at = 1_790_000_000_000;
    const one = encodeEntry({ type: 'SETTLED', at: at + 3, reports: [{ id: 123_456, end: { kind: 'value', value: 7 } }] }, 1_000_000, at);
    expect(one.length).toBeLessThanOrEqual(45);
    const indexes = Array.from({ length: 1000 }, (_, index) => index + 5000);
    const many = encodeEntry({ type: 'SETTLED', at, reports: [{ group: 12, indexes, cells: indexes }] }, 99, at);
    expect(many.length / 1000).toBeLessThanOrEqual(6);
  });

  it.each(['', 'null', '[]', '{}', '[1]', '["1",{"type":"PAUSE"}]', '[1,{"type":"CONCLUDED"}]', '[1,null]', '[1,"x",[]]', '[1,0,[{}]]', '[1,0,[{"i":"x"}]]'])('refuse %j', (entry) => {
    expect(() => decodeEntry(entry, 0)).toThrow(Error);
  });
});
