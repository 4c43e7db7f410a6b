import { runInNewContext } from 'node:vm';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as errors from '../../src/core/errors.ts';
import { errorCodes, isTaskchartError, reviveError, serializeError, TaskchartError } from '../../src/core/errors.ts';
import type { SerializedError } from '../../src/core/errors.ts';

const root = join(import.meta.dirname, '../..');

const samples: readonly TaskchartError[] = [
  new errors.DefinitionError('definition/bad-id', 'm', { hint: 'h' }),
  new errors.ValueError('value/not-json', 'm', { details: { path: 'output.a' } }),
  new errors.TaskError('task/failed', 'm', { details: { taskId: 't', attempts: 2 } }),
  new errors.RetryLimitError('task/retry-limit', 'm', { details: { taskId: 't', attempts: 3 }, cause: new TypeError('inner') }),
  new errors.TaskTimeoutError('task/timeout', 'm', { details: { timeoutMs: 50 } }),
  new errors.IterationLimitError('task/iteration-limit', 'm', { details: { maxIterations: 3 } }),
  new errors.StepLimitError('run/step-limit', 'm', { details: { maxSteps: 5 } }),
  new errors.ParallelGroupError('group/policy', 'm', {
    details: { groupId: 'g', failed: [{ id: 'b', error: { name: 'RangeError', message: 'broken' } }], succeeded: ['a'] },
  }),
  new errors.WorkflowCancelledError('run/cancelled', 'm', { details: { taskId: 't', reason: 'r' } }),
  new errors.CheckpointError('checkpoint/empty', 'm'),
  new errors.GraphMismatchError('checkpoint/graph-mismatch', 'm', { details: { added: ['a'], removed: ['r'], changed: ['c'] } }),
  new errors.ProtocolError('protocol/bad-message', 'm'),
  new errors.TransportError('transport/failed', 'm', { details: { retryable: true } }),
  new errors.InvariantError('invariant/broken', 'm'),
  new errors.NonRetryableError('m', { details: { a: 1 } }),
  new errors.RetryAfterError(250, 'm'),
];

describe('classes', () => {
  it.each(samples.map((error) => [error.name, error] as const))('%s survives JSON with its class and fields (invariant 2)', (name, error) => {
    const data = JSON.parse(JSON.stringify(serializeError(error))) as SerializedError;
    const revived = reviveError(data) as TaskchartError;
    expect(revived).toBeInstanceOf(error.constructor);
    expect(revived.name).toBe(name);
    expect(isTaskchartError(revived)).toBe(true);
    for (const key of ['code', 'message', 'hint', 'details'] as const) expect(revived[key]).toEqual(error[key]);
    expect(serializeError(revived)).toEqual(data);
    const getters = Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(error) as object)).filter(([, { get }]) => get !== undefined);
    expect(getters.map(([key]) => Reflect.get(revived, key) as unknown)).toEqual(getters.map(([key]) => Reflect.get(error, key) as unknown));
  });

  it('has every exported class in that list', () => {
    const exported = Object.entries(errors).filter(([, value]) => typeof value === 'function' && value.prototype instanceof TaskchartError);
    expect(samples.map((error) => error.name).sort()).toEqual(exported.map(([name]) => name).sort());
  });

  it('reads its fields from details', () => {
    const group = samples.find((error) => error instanceof errors.ParallelGroupError);
    expect(group?.groupId).toBe('g');
    expect(group?.succeeded).toEqual(['a']);
    expect(group?.failed[0]?.id).toBe('b');
    expect(group?.failed[0]?.error).toBeInstanceOf(RangeError);
    expect(group?.failed[0]?.error.message).toBe('broken');
    expect(new errors.RetryLimitError('task/retry-limit', 'm', { details: { taskId: 't', attempts: 3 } })).toMatchObject({ taskId: 't', attempts: 3 });
    expect(new errors.RetryAfterError(-1).delayMs).toBe(0);
    expect(new errors.RetryAfterError(Number.NaN).delayMs).toBe(0);
  });

  it('does not trust details: wrong shapes give empty fields', () => {
    const group = new errors.ParallelGroupError('group/policy', 'm', { details: { groupId: 7, failed: [1, { id: 2, error: null }], succeeded: 'x' } });
    expect(group.groupId).toBe(undefined);
    expect(group.succeeded).toEqual([]);
    expect(group.failed).toHaveLength(1);
    expect(group.failed[0]?.error).toBeInstanceOf(Error);
  });

  it('is recognised by brand, so that two copies of the package understand each other', () => {
    const other = Object.assign(new Error('m'), { [Symbol.for('taskchart.error')]: true });
    expect(isTaskchartError(other)).toBe(true);
    expect([new Error('m'), null, undefined, 'x', {}].some(isTaskchartError)).toBe(false);
    expect(isTaskchartError(new Proxy({}, { get: () => { throw new Error('trap'); } }))).toBe(false);
  });

  it('prints no empty fields', () => {
    expect(Object.keys(new errors.CheckpointError('checkpoint/empty', 'm'))).toEqual(['code']);
  });
});

describe('reviveError', () => {
  it('gives back the errors of the language', () => {
    const revived = reviveError(serializeError(new RangeError('out', { cause: new SyntaxError('s') })));
    expect(revived).toBeInstanceOf(RangeError);
    expect(revived.cause).toBeInstanceOf(SyntaxError);
  });

  it("keeps a user's class by name, code and details", () => {
    class PaymentError extends Error {
      override name = 'PaymentError';
      code = 'E_DECLINED';
      details = { card: 'x' };
    }
    const revived = reviveError(serializeError(new PaymentError('declined')));
    expect(revived).toMatchObject({ name: 'PaymentError', message: 'declined', code: 'E_DECLINED', details: { card: 'x' } });
    expect(isTaskchartError(revived)).toBe(false);
  });

  it("keeps the steering of a user's subclass", () => {
    class Declined extends errors.NonRetryableError {
      override name = 'Declined';
    }
    const revived = reviveError(serializeError(new Declined('no')));
    expect(revived).toBeInstanceOf(errors.NonRetryableError);
    expect(revived.name).toBe('Declined');
  });

  it("does not take a user's TaskError for ours", () => {
    expect(isTaskchartError(reviveError({ name: 'TaskError', message: 'm', code: 'E_MINE' }))).toBe(false);
  });

  it('cannot be tricked by names that every object has', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(reviveError({ name, code: `${name}/x`, message: 'm' }).message).toBe('m');
    }
  });
});

describe('serializeError', () => {
  it('cuts long messages at 2000 characters', () => {
    const { message } = serializeError(new Error('x'.repeat(10_000)));
    expect(message).toHaveLength(2000);
    expect(message.endsWith('…')).toBe(true);
  });

  it('keeps five causes and ends a circle of causes', () => {
    let error = new Error('0');
    for (let i = 1; i < 20; i++) error = new Error(String(i), { cause: error });
    let depth = 0;
    for (let at: SerializedError | undefined = serializeError(error).cause; at !== undefined; at = at.cause) depth++;
    expect(depth).toBe(5);
    const circle = new Error('a');
    circle.cause = new Error('b', { cause: circle });
    expect(serializeError(circle)).toEqual({ name: 'Error', message: 'a', cause: { name: 'Error', message: 'b' } });
  });

  it('keeps the codes of Node and of DOMException', () => {
    expect(serializeError(Object.assign(new Error('m'), { code: 'ECONNREFUSED' })).code).toBe('ECONNREFUSED');
    expect(serializeError(new DOMException('m', 'AbortError'))).toMatchObject({ name: 'AbortError', code: '20' });
  });

  it('says why for an AggregateError without a message', () => {
    const data = serializeError(new AggregateError([new Error('connect ECONNREFUSED'), new Error('other')]));
    expect(data).toMatchObject({ name: 'AggregateError', message: 'connect ECONNREFUSED', cause: { message: 'connect ECONNREFUSED' } });
  });

  it('takes errors of another realm as errors', () => {
    expect(serializeError(runInNewContext('new TypeError("there")'))).toEqual({ name: 'TypeError', message: 'there' });
  });

  it('drops details that are no plain JSON object', () => {
    for (const details of [1n, new Map(), { at: new Date(0) }, [1], 'text', { __proto__: { a: 1 } }, JSON.parse('{"__proto__":1}')]) {
      expect(serializeError(Object.assign(new Error('m'), { details }))).toEqual({ name: 'Error', message: 'm' });
    }
  });

  it('takes anything, and what it gives is JSON that revives (invariant 1)', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }), (thrown) => {
        const data = serializeError(thrown);
        expect(JSON.parse(JSON.stringify(data))).toEqual(data);
        expect(reviveError(data)).toBeInstanceOf(Error);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('error codes', () => {
  const doc = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  const sections = new Map(doc.split(/^### /m).slice(1).map((part) => [/^`([^`]+)`/.exec(part)?.[1] ?? '', part]));

  it('have a section each in docs/errors.md, and no section is left over', () => {
    expect([...sections.keys()].sort()).toEqual(Object.keys(errorCodes).sort());
  });

  it.each(Object.entries(errorCodes))('%s is explained: what happened (the table\'s sentence) and what to do', (code, sentence) => {
    const section = sections.get(code) ?? '';
    expect(section).toContain(`**What happened.** ${sentence}`);
    expect(section).toMatch(/\*\*What to do\.\*\* \S/);
  });

  it('are all listed, wherever the source uses one', () => {
    const used = new Map<string, string>();
    for (const folder of ['src', 'machines']) {
      for (const file of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
        if (!file.endsWith('.ts')) continue;
        const text = readFileSync(join(root, folder, file), 'utf8');
        const families = 'definition|value|task|group|run|checkpoint|protocol|transport';
        for (const match of text.matchAll(new RegExp(`'((?:${families})/[a-z-]+)'`, 'g'))) used.set(match[1] ?? '', `${folder}/${file}`);
      }
    }
    expect([...used].filter(([code]) => !Object.hasOwn(errorCodes, code))).toEqual([]);
  });
});
