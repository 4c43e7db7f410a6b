/** Tables of hostile values, ids, options and thrown things: ACCEPTANCE 27, 48, 49, 50, 51. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DefinitionError, serializeError, ValueError } from '../../src/core/errors.ts';
import { checkId } from '../../src/core/ids.ts';
import { toJson } from '../../src/core/json.ts';
import * as options from '../../src/core/options.ts';

class Account {
  owner = 'x';
}
class List extends Array<number> {}

function cycle(): unknown {
  const users: unknown[] = [{ id: 1 }];
  const value = { users };
  users.push({ team: { all: users } });
  return value;
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = { a: value };
  return value;
}

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

const revoked = Proxy.revocable({}, {});
revoked.revoke();
const revokedArray = Proxy.revocable([], {});
revokedArray.revoke();

const hostile: readonly [name: string, value: unknown, code: string, message: string][] = [
  ['nested undefined', { a: { b: undefined } }, 'value/not-json', 'output.a.b is undefined'],
  ['undefined in an array', [1, undefined], 'value/not-json', 'output[1] is undefined'],
  ['NaN', Number.NaN, 'value/not-json', 'output is NaN'],
  ['nested NaN', { users: [{ at: Number.NaN }] }, 'value/not-json', 'output.users[0].at is NaN'],
  ['Infinity', [Infinity], 'value/not-json', 'output[0] is Infinity'],
  ['-Infinity', { a: -Infinity }, 'value/not-json', 'output.a is -Infinity'],
  ['BigInt', { id: 10n }, 'value/not-json', 'output.id is a BigInt'],
  ['BigInt on top', 10n, 'value/not-json', 'output is a BigInt'],
  ['Date', { users: [0, 1, 2, { at: new Date(0) }] }, 'value/not-json', 'output.users[3].at is a Date'],
  ['an invalid Date', { at: new Date(Number.NaN) }, 'value/not-json', 'output.at is a Date'],
  ['Map', { m: new Map() }, 'value/not-json', 'output.m is a Map'],
  ['Set', new Set([1]), 'value/not-json', 'output is a Set'],
  ['RegExp', [/a/], 'value/not-json', 'output[0] is a RegExp'],
  ['Promise', { later: Promise.resolve(1) }, 'value/not-json', 'output.later is a Promise'],
  ['Error', { error: new TypeError('m') }, 'value/not-json', 'output.error is a TypeError'],
  ['bytes', { data: new Uint8Array(2) }, 'value/not-json', 'output.data is an Uint8Array'],
  ['Buffer', { data: Buffer.from('x') }, 'value/not-json', 'output.data is a Buffer'],
  ['ArrayBuffer', new ArrayBuffer(2), 'value/not-json', 'output is an ArrayBuffer'],
  ['boxed number', { n: Object(1) as unknown }, 'value/not-json', 'output.n is a Number'],
  ['boxed string', { s: Object('a') as unknown }, 'value/not-json', 'output.s is a String'],
  ['class instance', { account: new Account() }, 'value/not-json', 'output.account is an Account'],
  ['Array subclass', { list: List.from([1]) }, 'value/not-json', 'output.list is a List'],
  ['object with a prototype', Object.create({ a: 1 }), 'value/not-json', 'output is an object with a prototype'],
  ['array without Array.prototype', Object.setPrototypeOf([1], null), 'value/not-json', 'output is'],
  ['URL', new URL('http://h/'), 'value/not-json', 'output is an URL'],
  ['WeakMap', new WeakMap(), 'value/not-json', 'output is a WeakMap'],
  ['function', { f: () => 1 }, 'value/not-json', 'output.f is a function'],
  ['class', Account, 'value/not-json', 'output is a function'],
  ['toJSON', { toJSON: () => 1 }, 'value/not-json', 'output.toJSON is a function'],
  ['symbol', [Symbol('s')], 'value/not-json', 'output[0] is a symbol'],
  ['symbol key', { a: { [Symbol('s')]: 1 } }, 'value/not-json', 'output.a has the symbol key Symbol(s)'],
  ['symbol key of an array', Object.assign([1], { [Symbol('s')]: 1 }), 'value/not-json', 'output has the symbol key'],
  ['throwing getter', { a: { get b() { throw new Error('no'); } } }, 'value/not-json', 'output.a.b cannot be read (Error "no")'],
  ['getter that throws a ValueError', { get b() { throw new ValueError('value/not-json', 'fake'); } }, 'value/not-json', 'output.b cannot be read'],
  ['getter that throws undefined', { get b() { throw undefined; } }, 'value/not-json', 'output.b cannot be read (undefined)'],
  ['throwing getter in an array', Object.defineProperty([1, 2], 1, { get() { throw new Error('no'); } }), 'value/not-json', 'output[1] cannot be read'],
  ['sparse array', [1, , 3], 'value/not-json', 'output[1] is a hole in a sparse array'], // oxlint-disable-line no-sparse-arrays
  ['huge sparse array', { a: Array(4_000_000_000) }, 'value/not-json', 'output.a[0] is a hole'],
  ['array with extra keys', Object.assign([1], { total: 1 }), 'value/not-json', 'output is an array with the extra key "total"'],
  ['match of a RegExp', /a/.exec('a'), 'value/not-json', 'output is an array with the extra key'],
  ['cycle', cycle(), 'value/cycle', 'output.users[1].team.all refers back to output.users'],
  ['depth over 100', nested(101), 'value/too-deep', 'is nested deeper than 100 levels'],
  ['depth of 100,000', nested(100_000), 'value/too-deep', 'is nested deeper than 100 levels'],
  ['own __proto__ key', JSON.parse('{"a":{"__proto__":{"polluted":1}}}'), 'value/reserved-key', 'output.a has an own __proto__ key'],
  ['actor look-alike', { actor: { sessionId: 'x:1', send: 1, ref: null } }, 'value/reserved-key', 'output.actor has the keys sessionId, send and ref'],
  ['actor marker', { a: [{ xstate$$type: 1 }] }, 'value/reserved-key', 'output.a[0] has the key xstate$$type'],
  ['revoked proxy', { p: revoked.proxy }, 'value/not-json', 'output.p cannot be read'],
  ['revoked array proxy', [revokedArray.proxy], 'value/not-json', 'output[0] cannot be read'],
  ['proxy whose keys throw', new Proxy({}, { ownKeys() { throw new Error('trap'); } }), 'value/not-json', 'output cannot be read'],
  ['proxy whose prototype throws', new Proxy({}, { getPrototypeOf() { throw new Error('trap'); } }), 'value/not-json', 'output cannot be read'],
  ['over the size limit', { a: 'x'.repeat(20_000_000), b: ['x'.repeat(20_000_000)] }, 'value/too-large', 'output.b[0] goes beyond the limit of about 33,554,432 characters'],
  ['a string over the size limit', 'x'.repeat(33_554_433), 'value/too-large', 'output goes beyond the limit'],
  ['odd key', { 'a b': { 'x"y': new Date() } }, 'value/not-json', 'output["a b"]["x\\"y"] is a Date'],
  ['huge key', { ['k'.repeat(1000)]: 1n }, 'value/not-json', 'output["kkkk'],
];

describe('values that JSON cannot carry (ACCEPTANCE 27, 50)', () => {
  it.each(hostile)('%s', (_name, value, code, message) => {
    const error = thrownBy(() => toJson(value, 'output'));
    expect(error).toBeInstanceOf(ValueError);
    const refused = error as ValueError;
    expect(refused.code).toBe(code);
    expect(refused.message).toContain(message);
    expect(refused.message.length).toBeLessThan(400);
    expect(refused.path).toMatch(/^output/);
    expect(refused.hint).toMatch(/\.$/);
    expect(({} as { polluted?: unknown }).polluted).toBe(undefined);
  });

  it('refuses every one of them also deep inside a good value, and leaves no prototype changed', () => {
    const names = Object.getOwnPropertyNames(Object.prototype).join();
    for (const [name, value] of hostile.filter(([, , code]) => code !== 'value/too-large')) {
      expect(() => toJson({ ok: [1, 'two', { three: value }] }, 'input'), name).toThrow(/^input\.ok\[2\]\.three/);
    }
    expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(names);
  });

  it('takes the single keys of an actor, and dangerous names that are only data', () => {
    for (const value of [{ sessionId: 'a', send: 'b' }, { send: 1, ref: 2 }, { constructor: 'x', prototype: 1, toString: 'y' }, { then: 1 }]) {
      expect(toJson(value, 'v')).toEqual(value);
    }
  });
});

describe('ids (ACCEPTANCE 48)', () => {
  const bad: readonly unknown[] = [
    '', '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'isPrototypeOf', '__defineGetter__', 'a'.repeat(201), 'a|b', 'a:b',
    'a b', ' a', 'a\n', '\u0000', 'a\u007f', 'a/b', 'a\\b', '../a', '.a', '-a', '@a', 'a\u202eb', '\u{1F600}', 'a,b', '{a}', '\ud800', 'e\u0301',
    undefined, null, 1, {}, [], ['a'], Symbol('a'), { toString: () => 'a' }, Object('a'),
  ];

  it.each(bad.map((id) => [id]))('refuses %o', (id) => {
    const error = thrownBy(() => checkId('task', id));
    expect(error).toBeInstanceOf(DefinitionError);
    expect(error).toMatchObject({ code: 'definition/bad-id' });
    expect((error as DefinitionError).message).toContain('The id of a task');
    expect((error as DefinitionError).message.length).toBeLessThan(200);
    expect((error as DefinitionError).hint).toContain('letters, digits and _ . @ -');
  });

  it.each(['a', 'A1', '0', '_', 'fetch-users', 'v1.2', 'user@host', 'größe', '名前', 'a'.repeat(200), 'then', 'length'])('takes %s', (id) => {
    expect(checkId('task', id)).toBe(id);
  });

  it('takes nothing that its own grammar does not describe', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 210 }), (id) => {
      const taken = thrownBy(() => checkId('task', id)) === undefined;
      expect(taken && !/^[\p{L}\p{N}_][\p{L}\p{N}_.@-]{0,199}$/u.test(id)).toBe(false);
    }));
  });
});

describe('options (ACCEPTANCE 49)', () => {
  const table: readonly [name: string, check: (value: unknown) => unknown, bad: readonly unknown[], good: readonly unknown[]][] = [
    ['attempts', (value) => options.integerOption('retry.attempts', value, 1), [-1, 0, Number.NaN, 1.5, '3', null, undefined, Infinity, 1n, [3], {}, true, 2 ** 53], [1, 3, 1000]],
    ['concurrency', (value) => options.integerOption('retry.attempts', value, 1, 100), [0, 101, '64'], [1, 100]],
    ['timeout', (value) => options.durationOption('retry.attempts', value), [-1, Number.NaN, Infinity, '50', null, new Date(0)], [0, 0.5, 1, 86_400_000]],
    ['jitter', (value) => options.numberOption('retry.attempts', value, 0, 1), [-0.1, 1.1, Number.NaN, '0'], [0, 0.5, 1]],
    ['factor', (value) => options.numberOption('retry.attempts', value, 1), [0.9, Infinity, Number.NaN, null], [1, 2.5]],
    ['backoff', (value) => options.oneOfOption('retry.attempts', value, ['fixed', 'linear']), ['', 'Fixed', 'fix', 1, null, ['fixed']], ['fixed', 'linear']],
    ['failFast', (value) => options.booleanOption('retry.attempts', value), [0, 'true', null, undefined], [true, false]],
    ['text', (value) => options.textOption('retry.attempts', value), ['', 1, null, undefined], ['a']],
    ['object', (value) => options.optionsObject('retry.attempts', value, ['a']), [null, 1, 'a', [], () => 1], [{}, { a: 1 }]],
  ];

  it.each(table)('%s', (_name, check, bad, good) => {
    for (const value of good) expect(check(value)).toBe(value);
    for (const value of bad) {
      const error = thrownBy(() => check(value));
      expect(error, String(value)).toBeInstanceOf(DefinitionError);
      expect(error).toMatchObject({ code: 'definition/bad-option', details: { option: 'retry.attempts' } });
      const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
      expect((error as Error).message).toMatch(new RegExp(`^Option retry\\.attempts must be .+, but is .+ \\(${type}\\)\\.$`));
    }
  });

  it('echoes value and type', () => {
    expect(() => options.integerOption('retry.attempts', '3', 1)).toThrow('Option retry.attempts must be an integer of at least 1, but is "3" (string).');
    expect(() => options.integerOption('concurrency', 0, 1)).toThrow('Option concurrency must be an integer of at least 1, but is 0 (number).');
    expect(() => options.textOption('module', 'x'.repeat(0) || { long: 'x'.repeat(5000) })).toThrow(/^.{1,250}$/);
  });

  it('suggests the nearest name', () => {
    const hint = (run: () => unknown) => (thrownBy(run) as DefinitionError | undefined)?.hint;
    expect(hint(() => options.optionsObject('retry', { atempts: 1 }, ['attempts', 'delay']))).toBe('Did you mean attempts?');
    expect(hint(() => options.optionsObject('retry', { zebra: 1 }, ['attempts', 'delay']))).toBe('Known options: attempts, delay.');
    expect(hint(() => options.oneOfOption('backoff', 'exponental', ['fixed', 'exponential']))).toBe('Did you mean exponential?');
    expect(() => options.optionsObject('', { zebra: 1 }, ['a'])).toThrow('There is no option "zebra".');
  });
});

describe('thrown things (ACCEPTANCE 51)', () => {
  const trap = () => {
    throw new Error('trap');
  };
  const traps = new Proxy({}, { get: trap, getPrototypeOf: trap, ownKeys: trap, has: trap, getOwnPropertyDescriptor: trap });
  const gettersThrow = Object.defineProperties(new Error('m'), {
    name: { get: trap }, code: { get: trap }, cause: { get: trap }, details: { get: trap }, hint: { get: trap }, errors: { get: trap },
  });
  const things: readonly [name: string, thrown: unknown, message: RegExp][] = [
    ['a string', 'boom', /not an Error was thrown: boom$/],
    ['undefined', undefined, /undefined$/],
    ['null', null, /null$/],
    ['a number', 42, /42$/],
    ['a BigInt', 1n, /1n$/],
    ['a symbol', Symbol('s'), /Symbol\(s\)$/],
    ['a function', trap, /a function$/],
    ['an object', { a: 1 }, /\{ a: 1 \}$/],
    ['an object like an error', { message: 'm', name: 'N' }, /^m$/],
    ['a long string', 'x'.repeat(100_000), /x…$/],
    ['a proxy that throws', traps, /cannot be read/],
    ['a revoked proxy', revoked.proxy, /not an Error/],
    ['an error whose message throws', Object.defineProperty(new Error('m'), 'message', { get: trap }), /not an Error/],
    ['an error whose message is no text', Object.assign(new Error('m'), { message: 7 }), /not an Error/],
    ['an error whose other fields throw', gettersThrow, /^m$/],
    ['an error whose cause is a trap', new Error('m', { cause: traps }), /^m$/],
    ['an error with odd fields', Object.assign(new Error('m'), { name: 7, code: {}, hint: [], details: 1n, errors: traps }), /^m$/],
  ];

  it.each(things)('%s', (_name, thrown, message) => {
    const data = serializeError(thrown);
    expect(data.message).toMatch(message);
    expect(data.message.length).toBeLessThan(300);
    expect(typeof data.name).toBe('string');
    expect(JSON.parse(JSON.stringify(data))).toEqual(data);
  });
});
