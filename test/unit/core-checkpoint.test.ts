import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffGraphs, graphMismatch, parseCheckpoint } from '../../src/core/checkpoint.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import { contextFault } from '../../src/core/context-shape.ts';
import { CheckpointError, GraphMismatchError } from '../../src/core/errors.ts';

const hash = '0123456789abcdef0123456789abcdef';
const golden: Checkpoint = {
  format: 'taskchart/checkpoint',
  version: 1,
  workflow: 'enrich',
  graphHash: hash,
  machineVersion: 1,
  runId: 'run-1',
  seq: 7,
  savedAt: 1_700_000_000_000,
  nodes: { fetch: hash, 'stóre': hash },
  snapshot: { status: 'active', value: 'running', context: { queue: [{ id: 1, input: 'é✓ "quoted"' }], n: -1.5e-3, none: null } },
};
const text = JSON.stringify(golden);

function refusal(input: unknown): CheckpointError {
  try {
    parseCheckpoint(input);
  } catch (error) {
    if (error instanceof CheckpointError && error.message.length < 400) return error;
    throw error;
  }
  throw new Error('was accepted');
}

/** Whole or refused: the only two ends that there are. */
function isTakenOrRefused(input: unknown): boolean {
  try {
    return parseCheckpoint(input).format === golden.format;
  } catch (error) {
    return error instanceof CheckpointError;
  }
}

describe('parseCheckpoint', () => {
  it('reads text and objects alike, as a private copy (invariant 1)', () => {
    expect(parseCheckpoint(text)).toEqual(golden);
    const copy = parseCheckpoint(golden);
    expect(copy).toEqual(golden);
    expect(copy.snapshot).not.toBe(golden.snapshot);
    expect(copy.nodes).not.toBe(golden.nodes);
  });

  it('reads what a machine left in memory as if it had gone through text', () => {
    expect(parseCheckpoint({ ...golden, nodes: undefined, snapshot: { output: undefined, status: 'done' } }).snapshot).toEqual({ status: 'done' });
  });

  it('refuses a text that was cut anywhere, and says that it is torn', () => {
    for (let end = 1; end < text.length; end++) {
      const error = refusal(text.slice(0, end));
      expect(error.code, `cut at ${end}`).toBe('checkpoint/not-json');
      expect(error.message).toContain(`torn: its text ends in the middle, after ${end} characters`);
    }
  });

  it('refuses bytes that were cut anywhere', () => {
    const bytes = new TextEncoder().encode(text);
    for (let end = 0; end < bytes.length; end++) expect(refusal(new TextDecoder().decode(bytes.slice(0, end)))).toBeInstanceOf(CheckpointError);
  });

  it('throws only CheckpointError for any flipped bit', () => {
    const bytes = new TextEncoder().encode(text);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(isTakenOrRefused(new TextDecoder().decode(flipped)), `bit ${bit}`).toBe(true);
    }
  });

  it('throws only CheckpointError for anything at all', () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true });
    const spoiled = fc.tuple(fc.constantFrom(...Object.keys(golden)), anything).map(([key, value]) => ({ ...golden, [key]: value }));
    expect(fc.check(fc.property(fc.oneof(anything, spoiled, fc.json()), isTakenOrRefused), { numRuns: 500 }).counterexample).toBe(null);
  });

  const cyclic: Record<string, unknown> = { ...golden };
  cyclic['snapshot'] = cyclic;
  const { snapshot: _, ...withoutSnapshot } = golden;
  const deep = `${'['.repeat(5000)}${']'.repeat(5000)}`;

  it.each<[name: string, input: unknown, code: string, message: string]>([
    ['nothing', undefined, 'checkpoint/empty', 'it is undefined'],
    ['null', null, 'checkpoint/empty', 'it is null'],
    ['an empty text', '', 'checkpoint/empty', 'the text is empty'],
    ['blanks', ' \n', 'checkpoint/empty', 'the text is empty'],
    ['a number', 7, 'checkpoint/not-text', '7 (number)'],
    ['a function', () => 1, 'checkpoint/not-text', '(function)'],
    ['bytes', new TextEncoder().encode(text), 'checkpoint/not-text', 'Uint8Array'],
    ['a cycle', cyclic, 'checkpoint/not-json', 'JSON cannot carry'],
    ['a BigInt', { ...golden, snapshot: { n: 1n } }, 'checkpoint/not-json', 'JSON cannot carry'],
    ['a byte order mark', `\uFEFF${text}`, 'checkpoint/not-json', 'byte order mark'],
    ['trailing junk', `${text}x`, 'checkpoint/not-json', `something behind its end, at character ${text.length}`],
    ['two checkpoints', `${text}\n${text}`, 'checkpoint/not-json', 'something behind its end'],
    ['no JSON', 'hello', 'checkpoint/not-json', 'is not JSON'],
    ['JSON null', 'null', 'checkpoint/foreign', 'it is null'],
    ['an array', '[]', 'checkpoint/foreign', 'it is []'],
    ['an empty object', '{}', 'checkpoint/foreign', 'it has no field format'],
    ['a package.json', '{"name":"x","version":"1.0.0"}', 'checkpoint/foreign', 'it has no field format'],
    ['another format', { ...golden, format: 'other/thing' }, 'checkpoint/foreign', 'its format is "other/thing"'],
    ['a newer version', { ...golden, version: 2 }, 'checkpoint/version', 'has version 2; this package reads version 1'],
    ['version 0', { ...golden, version: 0 }, 'checkpoint/version', 'has version 0'],
    ['a version that is no number', { ...golden, version: '1' }, 'checkpoint/invalid', 'field version is "1"'],
    ['a missing field', withoutSnapshot, 'checkpoint/invalid', 'field snapshot is missing'],
    ['a field that is unknown', { ...golden, nodfs: {} }, 'checkpoint/invalid', 'field "nodfs" is unknown'],
    ['an empty workflow', { ...golden, workflow: '' }, 'checkpoint/invalid', 'field workflow is ""'],
    ['a short hash', { ...golden, graphHash: 'abc' }, 'checkpoint/invalid', 'field graphHash is "abc"'],
    ['a negative seq', { ...golden, seq: -1 }, 'checkpoint/invalid', 'field seq is -1'],
    ['half a seq', { ...golden, seq: 0.5 }, 'checkpoint/invalid', 'field seq is 0.5'],
    ['a date as text', { ...golden, savedAt: '2024-01-01' }, 'checkpoint/invalid', 'field savedAt is "2024-01-01"'],
    ['a run id with a bar', { ...golden, runId: 'a|b' }, 'checkpoint/invalid', 'field runId is "a|b"'],
    ['a run id with a control character', { ...golden, runId: 'a\u0000' }, 'checkpoint/invalid', 'field runId'],
    ['a long run id', { ...golden, runId: 'a'.repeat(5000) }, 'checkpoint/invalid', 'field runId'],
    ['a snapshot that is a list', { ...golden, snapshot: [] }, 'checkpoint/invalid', 'field snapshot is []'],
    ['nodes as a list', { ...golden, nodes: [] }, 'checkpoint/invalid', 'field nodes is []'],
    ['a node hash that is none', { ...golden, nodes: { a: 1 } }, 'checkpoint/invalid', 'field nodes["a"] is 1'],
    ['a __proto__ key', text.replace('"none"', '"__proto__"'), 'checkpoint/invalid', '__proto__'],
    ['a __proto__ key in disguise', text.replace('"none"', '"\\u005f_proto__"'), 'checkpoint/invalid', '__proto__'],
    ['a __proto__ field', text.replace('{', '{"__proto__":{},'), 'checkpoint/invalid', '"__proto__" is unknown'],
    ['a snapshot too deep to walk', text.replace('-0.0015', deep), 'checkpoint/invalid', 'nested deeper than 1000 levels'],
  ])('refuses %s', (_name, input, code, message) => {
    const error = refusal(input);
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(({} as { polluted?: unknown }).polluted).toBe(undefined);
  });

  it('never echoes the data beyond a few words', () => {
    const secret = 'hunter2'.repeat(100);
    expect(refusal(`{"password": "${secret}" x`).message).not.toContain('hunter2');
    expect(refusal({ ...golden, workflow: secret }).message.length).toBeLessThan(200);
  });
});

describe('the collections of a context', () => {
  const map = (root: unknown, size: unknown, depth: unknown = 0) => ({ size, depth, root });
  const queue = (tail: unknown, size: unknown, fields: object = {}) => ({ size, head: 0, chunks: [], tail, ...fields });
  const scope = { id: 0, queue: queue([{ id: 1 }], 1) };
  const group = { outcomes: map([1, null, [], [[1, 2]], { error: {} }], 4), apart: map([null, 1], 1), ready: queue([], 0), needs: map([0], 1) };
  const context = { root: scope, branches: map([null, scope], 1), groups: map([null, [null, group]], 1, 1), inFlight: map([], 0), completions: map([1], 1) };
  const inGroup = (fields: object) => ({ ...context, groups: map([null, [null, { ...group, ...fields }]], 1, 1) });
  const chunk = Array.from({ length: 128 }, () => 1);
  const wide = Array.from({ length: 33 }, () => 1);
  const handed = (branch: unknown) => inGroup({ handed: map([{ generation: 1, branch, signals: [], waiting: [] }], 1) });

  it('are taken as the machine makes them, also in branches that came back', () => {
    for (const one of [context, handed(handed(context)), { ...context, root: { queue: queue([1], 128, { head: 1, chunks: [chunk] }) } }]) {
      expect(parseCheckpoint({ ...golden, snapshot: { status: 'active', context: one } }).snapshot).toEqual({ status: 'active', context: one });
    }
  });

  it.each<[name: string, context: unknown, message: string]>([
    ['no object', [], 'snapshot.context is []'],
    ['a depth without end', { ...context, groups: map([], 0, 1e9) }, 'snapshot.context.groups.depth is 1000000000, not a whole number from 0 to 5'],
    ['a depth below a million', { ...context, waits: map([], 0, 6) }, 'context.waits.depth is 6'],
    ['half a level', { ...context, waits: map([], 0, 0.5) }, 'context.waits.depth is 0.5'],
    ['a negative level', { ...context, waits: map([], 0, -1) }, 'context.waits.depth is -1'],
    ['no depth', { ...context, waits: { size: 0, root: [] } }, 'context.waits.depth is undefined'],
    ['less nesting than it says', { ...context, delayed: map([{}], 1, 2) }, 'context.delayed.root is {}, not a list'],
    ['more nesting than it says', { ...context, inFlight: map([[{}]], 1) }, 'context.inFlight[0] is [{}], not an object'],
    ['more nesting in counts', { ...context, completions: map([[1]], 1) }, 'context.completions[0] is [1], not a number'],
    ['more nesting in cells', inGroup({ outcomes: map([[1, 2]], 1) }), 'context.groups[33].outcomes[0] is [1, 2], not a cell'],
    ['a size above what is there', { ...context, completions: map([1], 1e9) }, 'context.completions.size is 1000000000, not the number of its values, 1'],
    ['a size below what is there', { ...context, branches: map([scope, scope], 1) }, 'context.branches.size is 1'],
    ['no size', { ...context, branches: { depth: 0, root: [] } }, 'context.branches.size is undefined'],
    ['a wide root', { ...context, completions: map(wide, 33) }, 'context.completions.root is [1,'],
    ['a wide leaf', { ...context, completions: map([wide], 33, 1) }, 'context.completions.root is [1,'],
    ['no map', { ...context, groups: null }, 'context.groups is null, not a map'],
    ['no queue', { ...context, root: { queue: [] } }, 'context.root.queue is [], not a queue'],
    ['a queue longer than it is', { ...context, root: { queue: queue([1], 2) } }, 'context.root.queue.size is 2'],
    ['a head behind the end', { ...context, root: { queue: queue([1], 0, { head: 1 }) } }, 'context.root.queue.head is 1'],
    ['a negative head', { ...context, root: { queue: queue([1], 2, { head: -1 }) } }, 'context.root.queue.head is -1'],
    ['an empty chunk', { ...context, root: { queue: queue([1], 1, { chunks: [[]] }) } }, 'context.root.queue.chunks is []'],
    ['chunks that are none', { ...context, root: { queue: queue([1], 1, { chunks: 'x' }) } }, 'context.root.queue.chunks is "x"'],
    ['a long tail', { ...context, root: { queue: queue(chunk, 128) } }, 'context.root.queue.tail is [1,'],
    ['a queue in a branch', { ...context, branches: map([{ queue: queue([], 1) }], 1) }, 'context.branches[0].queue.size is 1'],
    ['a queue in a group', inGroup({ ready: queue([], -1) }), 'context.groups[33].ready.size is -1'],
    ['a branch that came back', handed({ ...context, groups: map([], 0, 1e9) }), 'context.groups[33].handed[0].branch.groups.depth is 1000000000'],
  ])('are refused with %s', (_name, spoiled, message) => {
    const error = refusal({ ...golden, snapshot: { status: 'active', context: spoiled } });
    expect(error.code).toBe('checkpoint/invalid');
    expect(error.message).toContain(message);
    expect(error.message).toContain("checkpoint's field snapshot.context");
  });

  it('are looked at once each, however they are filled', () => {
    let looks = 0;
    const counting = <T extends object>(value: T): T => new Proxy(value, { get: (target, key, receiver) => (looks += Number(typeof key === 'string' && /^\d+$/.test(key)), Reflect.get(target, key, receiver)) });
    const leaves = Array.from({ length: 32 }, () => counting(Array.from({ length: 32 }, () => 1)));
    expect(contextFault({ completions: map(counting(leaves), 1024, 1) })).toBeUndefined();
    expect(looks).toBe(32 + 1024);
  });
});

describe('diffGraphs', () => {
  it('lists what was added, removed and changed', () => {
    const diff = diffGraphs({ nodes: { a: '1', b: '1', toString: '1' } }, { a: '1', b: '2', c: '1' });
    expect(diff).toEqual({ added: ['c'], removed: ['toString'], changed: ['b'] });
    expect(diffGraphs({}, { a: '1' })).toEqual({ added: [], removed: [], changed: [] });
  });

  it('becomes an error that says it', () => {
    const error = graphMismatch('enrich', { added: ['c'], removed: [], changed: Array.from({ length: 12 }, (_, i) => `n${i}`) });
    expect(error).toBeInstanceOf(GraphMismatchError);
    expect(error.message).toContain('workflow "enrich". Since then: added "c"; changed "n0"');
    expect(error.message).toContain('and 2 more');
    expect(error.changed).toHaveLength(12);
  });
});
