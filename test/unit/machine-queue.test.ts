/** The context's queue and its maps, against plain arrays and Maps. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as Fifo from '../../machines/execution-context/queue.ts';
import * as Vec from '../../machines/execution-context/vec.ts';
import { contextFault } from '../../src/core/context-shape.ts';
import { deepFreeze } from '../model/invariants.ts';

type FifoCommand = { readonly do: 'push' | 'pushAll' | 'take' | 'drop' | 'json'; readonly many: number };

/** Sizes around the chunk (128) and its multiples matter most. */
const many = fc.oneof(fc.nat(5), fc.constantFrom(126, 127, 128, 129, 255, 256, 257, 400));
const fifoCommands = fc.array(fc.record({ do: fc.constantFrom('push', 'push', 'pushAll', 'take', 'drop', 'drop', 'json') as fc.Arbitrary<FifoCommand['do']>, many }), { maxLength: 60 });

function throughJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

describe('Fifo', () => {
  it('is an array with push and shift, at every moment, also through JSON', () => {
    fc.assert(
      fc.property(fifoCommands, (commands) => {
        let queue = Fifo.emptyFifo<number>();
        const model: number[] = [];
        let next = 0;
        const old: { queue: Fifo.Fifo<number>; items: number[] }[] = [];
        for (const command of commands) {
          if (old.length < 20) old.push({ queue: deepFreeze(queue), items: [...model] });
          const fresh = Array.from({ length: command.many }, () => next++);
          switch (command.do) {
            case 'push':
              queue = Fifo.push(queue, ...fresh);
              model.push(...fresh);
              break;
            case 'pushAll':
              queue = Fifo.pushAll(queue, fresh);
              model.push(...fresh);
              break;
            case 'take': {
              const [taken, rest] = Fifo.take(queue, command.many);
              expect(taken).toEqual(model.splice(0, command.many));
              queue = rest;
              break;
            }
            case 'drop':
              for (let n = 0; n < command.many && model.length > 0; n += 1) {
                expect(Fifo.peek(queue)).toBe(model.shift());
                queue = Fifo.dropFirst(queue);
              }
              break;
            case 'json':
              queue = throughJson(queue);
          }
          expect(queue.size).toBe(model.length);
          expect(Fifo.peek(queue)).toBe(model[0]);
          expect(contextFault({ root: { queue } })).toBeUndefined();
          expect(queue.chunks.every((chunk) => chunk.length === 128) && queue.tail.length < 128).toBe(true);
        }
        expect([...Fifo.items(queue)]).toEqual(model);
        for (const version of old) expect([...Fifo.items(version.queue)]).toEqual(version.items);
      }),
    );
  });

  it('is empty again after the last item, whatever it held', () => {
    for (const size of [1, 127, 128, 129, 300]) {
      let queue = Fifo.pushAll(Fifo.emptyFifo<number>(), Array.from({ length: size }, (_, at) => at));
      for (let left = size; left > 0; left -= 1) queue = Fifo.dropFirst(queue);
      expect(queue).toEqual(Fifo.emptyFifo());
      expect(Fifo.take(queue, 5)).toEqual([[], queue]);
      expect(Fifo.peek(queue)).toBeUndefined();
    }
  });

  it('holds 100,000 items, one by one and at once, and gives them back in order', () => {
    const size = 100_000;
    let queue = Fifo.emptyFifo<number>();
    for (let item = 0; item < size; item += 1) queue = Fifo.push(queue, item);
    expect(throughJson(queue)).toEqual(queue);
    const atOnce = Fifo.pushAll(Fifo.emptyFifo<number>(), Array.from({ length: size }, (_, at) => at));
    expect(atOnce).toEqual(queue);
    let wrong = 0;
    for (let item = 0; item < size; item += 1) {
      if (Fifo.peek(queue) !== item) wrong += 1;
      queue = Fifo.dropFirst(queue);
    }
    expect({ wrong, left: queue.size }).toEqual({ wrong: 0, left: 0 });
    const [taken, rest] = Fifo.take(atOnce, size - 1);
    expect([taken.length, taken.at(-1), rest.size, Fifo.peek(rest)]).toEqual([size - 1, size - 2, 1, size - 1]);
  });
});

type VecCommand = { readonly do: 'set' | 'add' | 'delete' | 'get' | 'done' | 'json'; readonly key: number };

/** Keys around the width (32) and its powers, and far away ones: ids are sparse. */
const key = fc.oneof(fc.nat(70), fc.constantFrom(31, 32, 33, 1023, 1024, 1025, 32_767, 32_768, 1_048_576, 33_554_432, 2 ** 30 - 1));
const vecCommands = fc.array(fc.record({ do: fc.constantFrom('set', 'set', 'add', 'delete', 'delete', 'get', 'done', 'json') as fc.Arbitrary<VecCommand['do']>, key }), { maxLength: 120 });

function contentOf<T>(vec: Vec.Vec<T>): [number, T][] {
  return [...Vec.entries(vec)].map(([at, value]) => [at, value]);
}

function inOrder<T>(model: ReadonlyMap<number, T>): [number, T][] {
  return [...model].sort(([a], [b]) => a - b);
}

describe('VecDraft', () => {
  it('is a Map with keys in order, at every moment, also through JSON; old versions never change', () => {
    fc.assert(
      fc.property(vecCommands, (commands) => {
        let base = Vec.emptyVec<{ n: number }>();
        let draft = new Vec.VecDraft(base);
        const model = new Map<number, { n: number }>();
        const old: { vec: typeof base; content: ReturnType<typeof inOrder<{ n: number }>> }[] = [{ vec: base, content: [] }];
        commands.forEach((command, n) => {
          switch (command.do) {
            case 'set':
              draft.set(command.key, { n });
              model.set(command.key, { n });
              break;
            case 'add':
              expect(draft.add(command.key, { n })).toBe(!model.has(command.key));
              if (!model.has(command.key)) model.set(command.key, { n });
              break;
            case 'delete':
              draft.delete(command.key);
              model.delete(command.key);
              break;
            case 'get':
              expect(draft.get(command.key)).toEqual(model.get(command.key));
              break;
            default:
              base = draft.done();
              if (command.do === 'json') base = throughJson(base);
              old.push({ vec: deepFreeze(base), content: inOrder(model) });
              draft = new Vec.VecDraft(base);
          }
          expect(draft.size).toBe(model.size);
          for (const probe of [command.key, command.key + 1, command.key ^ 32]) expect(draft.get(probe)).toEqual(model.get(probe));
        });
        expect(draft.values()).toEqual(inOrder(model).map(([, value]) => value));
        const last = draft.done();
        expect(contentOf(last)).toEqual(inOrder(model));
        expect(last.size).toBe(model.size);
        for (const { vec } of old) expect(contextFault({ inFlight: vec, delayed: last })).toBeUndefined();
        for (const [at, value] of model) expect(Vec.get(last, at)).toEqual(value);
        for (const { vec, content } of old) expect(contentOf(vec)).toEqual(content);
      }),
    );
  });

  it('an untouched draft gives back the very same map, and an emptied one the empty map', () => {
    const draft = new Vec.VecDraft(Vec.emptyVec<number>());
    for (let at = 0; at < 5000; at += 7) draft.set(at, at);
    const full = draft.done();
    expect(new Vec.VecDraft(full).done()).toBe(full);
    const emptied = new Vec.VecDraft(full);
    for (let at = 0; at < 5000; at += 7) emptied.delete(at);
    emptied.delete(3);
    expect(emptied.done()).toEqual(Vec.emptyVec());
    expect(full.size).toBe(715);
  });

  it('keeps no trace of ids that are gone: a map that slides along stays as small as what it holds', () => {
    let vec = Vec.emptyVec<number>();
    for (let id = 0; id < 20_000; id += 1) {
      const draft = new Vec.VecDraft(vec);
      draft.set(id, 1);
      if (id >= 3) draft.delete(id - 3);
      vec = draft.done();
    }
    expect(vec.size).toBe(3);
    // A few paths of short arrays; absent slots before the first value are nulls.
    expect(JSON.stringify(vec).length).toBeLessThan(600);
  });

  it('100,000 values: set, read, through JSON, deleted', () => {
    const size = 100_000;
    const draft = new Vec.VecDraft(Vec.emptyVec<number>());
    for (let at = 0; at < size; at += 1) draft.set(at, at);
    const vec = throughJson(draft.done());
    let wrong = 0;
    for (let at = 0; at < size; at += 1) if (Vec.get(vec, at) !== at) wrong += 1;
    expect({ wrong, size: vec.size, beyond: Vec.get(vec, size) }).toEqual({ wrong: 0, size, beyond: undefined });
    const emptied = new Vec.VecDraft(vec);
    for (let at = size - 1; at >= 0; at -= 1) emptied.delete(at);
    expect(emptied.done()).toEqual(Vec.emptyVec());
  });

  it('refuses a key that it could not tell from another', () => {
    const draft = new Vec.VecDraft(Vec.emptyVec<number>());
    draft.set(2 ** 30 - 1, 1);
    expect(() => draft.set(2 ** 30, 1)).toThrow(/beyond the ids/);
    expect([Vec.get(draft.done(), 2 ** 30), Vec.get(draft.done(), 2 ** 30 - 1)]).toEqual([undefined, 1]);
  });

  it('reads nothing at keys that it never had, in an empty map too', () => {
    const one = new Vec.VecDraft(Vec.emptyVec<number>());
    one.set(5, 5);
    for (const vec of [Vec.emptyVec<number>(), one.done()]) for (const at of [0, 4, 6, 31, 32, 1024, 2 ** 31 - 1]) expect(Vec.get(vec, at)).toBeUndefined();
  });
});
