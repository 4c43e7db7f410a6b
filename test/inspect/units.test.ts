/** The small parts: differences of Vecs, redaction, texts of values, definitions, the derived statechart, folding. */
import * as fc from 'fast-check';
import { createActor, createMachine } from 'xstate';
import { describe, expect, it } from 'vitest';
import { dag, each, node, parallel, sequence, task, workflow } from 'taskchart';
import { Vec } from 'taskchart/machines';
import { DerivedChart } from '../../src/inspect/derived-chart.ts';
import { Members, RunPicture, SystemPicture } from '../../src/inspect/fold.ts';
import { GraphIndex } from '../../src/inspect/graph-index.ts';
import type { MemberCode, MessageBase, RunMessage, TaskState, TaskStateName } from '../../src/inspect/messages.ts';
import { Redactor } from '../../src/inspect/redact.ts';
import { errorSummary, summarise, valueText } from '../../src/inspect/values.ts';
import { diffVec } from '../../src/inspect/vec-diff.ts';

const nothing = new Redactor();

describe('diffVec', () => {
  const writes = fc.array(fc.tuple(fc.nat(40_000), fc.option(fc.nat(9))), { maxLength: 60 });
  const write = (vec: Vec.Vec<number>, list: readonly (readonly [number, number | null])[]): Vec.Vec<number> => {
    const draft = new Vec.VecDraft(vec);
    for (const [key, value] of list) if (value === null) draft.delete(key);
      else draft.set(key, value);
    return draft.done();
  };

  it('tells every key whose value is another one, and no other, in order', () => {
    fc.assert(fc.property(writes, writes, (first, second) => {
      const before = write(Vec.emptyVec(), first);
      const after = write(before, second);
      const told: [number, number | undefined, number | undefined][] = [];
      diffVec(before, after, (key, a, b) => told.push([key, a, b]));
      const keys = [...new Set([...Vec.entries(before), ...Vec.entries(after)].map(([key]) => key))].toSorted((a, b) => a - b);
      expect(told).toEqual(keys.filter((key) => Vec.get(before, key) !== Vec.get(after, key)).map((key) => [key, Vec.get(before, key), Vec.get(after, key)]));
      // A checkpoint shares nothing with what was before it.
      const copied: number[] = [];
      diffVec(before, JSON.parse(JSON.stringify(before)) as Vec.Vec<number>, (key) => copied.push(key));
      expect(copied).toEqual([]);
    }));
  });

  it('costs what has changed, not what there is', () => {
    const large = write(Vec.emptyVec(), Array.from({ length: 40_000 }, (_, key) => [key, 1] as const));
    const after = write(large, [[77, 2], [39_999, null], [900_000, 5]]);
    let looked = 0;
    const counted = (slots: readonly unknown[]): readonly unknown[] => new Proxy(slots, { get: (target, key) => ((looked += typeof key === 'string' && /^\d+$/.test(key) ? 1 : 0), Reflect.get(target, key)) });
    const told: number[] = [];
    diffVec({ ...large, root: counted(large.root as never) as never }, after, (key) => told.push(key));
    expect(told).toEqual([77, 39_999, 900_000]);
    expect(looked).toBeLessThan(200);
  });
});

describe('redaction', () => {
  it.each([
    [['password'], { user: 'me', password: 'x', list: [{ password: 'y' }] }, '{"user":"me","password":"[redacted]","list":[{"password":"[redacted]"}]}'],
    [['card.number'], { number: 1, card: { number: 2, more: { number: 3 } } }, '{"number":1,"card":{"number":"[redacted]","more":{"number":3}}}'],
    [['*.secret'], { secret: 1, a: { secret: 2 } }, '{"secret":"[redacted]","a":{"secret":"[redacted]"}}'],
    [[['a.b']], { 'a.b': 1, a: { b: 2 } }, '{"a.b":"[redacted]","a":{"b":2}}'],
    [['login.output'], { whole: 1 }, '"[redacted]"'],
    [['output.whole'], { whole: 1 }, '{"whole":"[redacted]"}'],
    [['logout.output'], { whole: 1 }, '{"whole":1}'],
  ] as const)('%j over %j', (patterns, value, expected) => {
    const redactor = new Redactor(patterns as never);
    const text = valueText(value, 1000, redactor, ['login', 'output']);
    expect(text.text).toBe(expected);
    expect(text.redacted).toBe(expected.includes('[redacted]') ? true : undefined);
    expect(JSON.stringify(summarise(value, redactor, ['login', 'output']))).toBe(expected);
  });

  it.each([[['']], [[[]]], ['password'], [[7]], [['a..b']]])('refuses %j', (patterns) => {
    expect(() => new Redactor(patterns as never)).toThrow(expect.objectContaining({ code: 'definition/bad-option' }));
  });

  it('of errors: message, hint and causes alike', () => {
    const error = { name: 'TaskError', code: 'task/failed', message: 'm1', hint: 'h', cause: { name: 'Error', code: 'theirs', message: 'm2' } };
    expect(errorSummary(error, new Redactor(['error.message']), ['t', 'error'])).toEqual({ name: 'TaskError', code: 'task/failed', message: '[redacted]', hint: '[redacted]', cause: { name: 'Error', code: '[redacted]', message: '[redacted]' } });
    expect(errorSummary(error, new Redactor(['error.hint']), ['t', 'error'])).toMatchObject({ message: 'm1', hint: '[redacted]', cause: { code: 'theirs', message: 'm2' } });
    expect(errorSummary(error, new Redactor(['t.error']), ['t', 'error'])).toEqual({ name: 'Error', message: '[redacted]' });
  });
});

describe('texts of values', () => {
  it('are the JSON of the value, or its beginning', () => {
    fc.assert(fc.property(fc.jsonValue(), fc.integer({ min: 1, max: 400 }), (value, most) => {
      const { text, cut } = valueText(value, most, nothing, ['x']);
      const whole = JSON.stringify(value);
      if (cut === undefined) expect(text).toBe(whole);
      else expect(text.length).toBeLessThanOrEqual(most);
      if (cut === true && !whole.includes('__proto__')) expect(whole.length).toBeGreaterThan(most - 1);
    }));
  });

  it('cost the limit, and not the value', () => {
    let looked = 0;
    const huge = new Proxy([] as number[], { get: (list, key) => (key === 'length' ? 1_000_000_000 : /^\d+$/.test(String(key)) ? ((looked += 1), 7) : Reflect.get(list, key)), has: () => true });
    expect(valueText(huge, 100, nothing, ['x'])).toMatchObject({ cut: true, text: expect.stringMatching(/^\[7,7/) });
    expect(looked).toBeLessThan(200);
    expect(JSON.stringify(summarise(Array.from({ length: 100_000 }, () => ({ a: [1, 2, { b: 'x'.repeat(5000) }] })), nothing, ['x'])).length).toBeLessThan(60_000);
  });

  it('never throw', () => {
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    for (const value of [revoked.proxy, cycle, { get a(): never { throw new Error('no'); } }, Symbol('s'), 10n, () => 1, new Map(), undefined, NaN, Object.create(null)]) {
      expect(typeof valueText(value, 100, nothing, ['x']).text).toBe('string');
      expect(() => JSON.stringify(summarise(value, nothing, ['x']))).not.toThrow();
    }
  });
});

describe('the derived statechart', () => {
  const draw = (graph: ConstructorParameters<typeof GraphIndex>[0]): { chart: DerivedChart; index: GraphIndex } => {
    const index = new GraphIndex(graph);
    return { chart: new DerivedChart(graph.workflow, index), index };
  };
  const names: readonly TaskStateName[] = ['pending', 'running', 'waiting', 'retrying', 'done', 'failed', 'skipped', 'stopped'];
  const regionsIn = (definition: string): number => definition.split('"initial":"pending"').length - 1;

  it('is a config that XState takes, and its values are configurations of it', () => {
    const flow = workflow('drawn', sequence(
      task('a.b', async () => [1]), each(task('item', async (n: number) => n)).as('all'),
      parallel(task('x', async () => 1), sequence(task('y1', async () => 1), task('y2', async () => 1)).as('y')).recover('mend', () => ({})),
      dag({ p: node(task('p', async () => 1)), q: node(task('q', async () => 2), { needs: ['p'] }) }),
      workflow('inner', task('deep', async () => 1)),
    ));
    const { chart } = draw(flow.graph);
    const machine = createMachine(JSON.parse(chart.definition) as Parameters<typeof createMachine>[0]);
    expect(createActor(machine).start().getSnapshot().value).toEqual(chart.value(() => 'pending'));
    for (const [at, state] of names.entries()) {
      const value = chart.value((id) => (id.length % 2 === 0 ? state : (names[(at + 1) % names.length] as TaskStateName)));
      expect(machine.resolveState({ value: value as never }).value).toEqual(value);
    }
    expect(chart.value((id) => (id === 'y2' ? 'running' : 'done'))).toMatchObject({ a_b: 'done', all: { '(group)': 'done', item: 'done' } });
    expect(JSON.stringify(chart.value((id) => (id === 'inner/deep' ? 'failed' : 'done')))).toContain('failed');
    expect(regionsIn(chart.definition)).toBe(Object.keys(flow.graph.nodes).length);
  });

  it('is grouped above 200 nodes: by outermost steps, and those in parts', () => {
    const many = workflow('many', sequence(task('first', async () => 1), parallel(...Array.from({ length: 300 }, (_, at) => task(`m${at}`, async () => at))).as('group'), task('last', async () => 1)));
    const { chart } = draw(many.graph);
    expect(regionsIn(chart.definition)).toBe(3);
    expect(chart.value((id) => (id === 'm7' ? 'running' : id === 'last' ? 'pending' : 'done'))).toEqual({ first: 'done', group: 'running', last: 'pending' });
    const nodes = Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [`t${at}`, { kind: 'task' as const, id: `t${at}`, ...(at < 1000 ? { next: `t${at + 1}` } : {}) }]));
    const long = draw({ workflow: 'long', root: 't0', uses: [], nodes });
    expect(regionsIn(long.chart.definition)).toBeLessThanOrEqual(200);
    const value = long.chart.value((id) => (Number(id.slice(1)) < 8 ? 'done' : 'pending'));
    expect(Object.values(value as object).slice(0, 3)).toEqual(['done', 'running', 'pending']);
    expect(createMachine(JSON.parse(long.chart.definition) as never).resolveState({ value: value as never }).value).toEqual(value);
  });
});

describe('folding', () => {
  const base: MessageBase = { sessionId: 's/x:0', rootId: 's/x:0', createdAt: '1', id: null, _version: 'v' };

  it('members: what is written is read back as ranges', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(120), fc.nat(120), fc.constantFrom<MemberCode>('q', 'r', 'd', 'f', 'x'))), (writes) => {
      const members = new Members(100);
      const plain: string[] = Array.from({ length: 100 }, () => 'p');
      for (const [from, to, state] of writes) {
        members.set(from, to, state);
        for (let at = from; at < Math.min(to, 100); at += 1) plain[at] = state;
      }
      expect(Array.from({ length: 100 }, (_, at) => members.at(at))).toEqual(plain);
      const again = new Members(100);
      for (const [from, to, state] of members.ranges()) again.set(from, to, state);
      expect(again.ranges()).toEqual(members.ranges());
    }));
  });

  it('keeps values within its bounds: the oldest are cut first', () => {
    const run = new RunPicture();
    run.take({ ...base, type: '@taskchart.run', workflow: 'w', state: 'running', origin: 'live', at: 1, revision: 1, steps: 1, counts: { queued: 0, running: 0, waiting: 0, retrying: 0, done: 0, failed: 0 }, control: [] });
    for (let at = 0; at < 400; at += 1) run.take({ ...base, type: '@taskchart.values', nodes: { [`n${at}`]: { input: { text: 'x'.repeat(15_000) } } } });
    const sizes = [...run.values.values()].map(({ input }) => input?.text.length ?? 0);
    expect(sizes.length).toBe(400);
    expect(sizes.reduce((a, b) => a + b)).toBeLessThan(2_100_000);
    expect(run.values.get('n399')?.input?.text.length).toBe(15_000);
    expect(run.values.get('n0')?.input).toMatchObject({ cut: true });
  });

  it('keeps a bounded number of groups, those that are open longest', () => {
    const run = new RunPicture();
    const group = (id: number, open: boolean) => ({ ...base, type: '@taskchart.group' as const, group: id, node: 'g', key: String(id), size: 10, limit: 4, running: 0, waiting: 0, retrying: 0, done: 0, failed: 0, open, startedAt: 1 });
    run.take(group(0, true));
    for (let id = 1; id <= 1000; id += 1) run.take(group(id, false));
    expect(run.groups.size).toBeLessThanOrEqual(300);
    expect(run.groups.has(0)).toBe(true);
    expect(run.groups.has(1000)).toBe(true);
  });

  it('keeps a bounded number of runs of a system: ended ones go first, and what is under way stays', () => {
    const system = new SystemPicture('s/x:0');
    const run = (at: number, state: RunMessage['state']): RunMessage => ({ ...base, sessionId: `s/x:${at}`, type: '@taskchart.run', workflow: 'w', state, origin: 'live', at, revision: 1, steps: 1, counts: { queued: 0, running: 0, waiting: 0, retrying: 0, done: 0, failed: 0 }, control: [] });
    system.take(run(0, 'running'));
    for (let at = 1; at <= 2000; at += 1) {
      system.take(run(at, 'running'));
      system.take(run(at, 'completed'));
    }
    expect([system.runs.size, system.runs.has('s/x:0'), system.runs.has('s/x:2000'), system.runs.has('s/x:1')]).toEqual([500, true, true, false]);
    // What comes late of one that is gone neither brings it back nor costs another one its place.
    system.take({ ...base, sessionId: 's/x:1', type: '@taskchart.tasks', nodes: { a: { state: 'done' } as TaskState } });
    expect([system.runs.size, system.runs.has('s/x:1')]).toEqual([500, false]);
    for (let at = 3000; at < 4000; at += 1) system.take(run(at, 'waiting'));
    expect([...system.runs.keys()]).toEqual(['s/x:0', ...Array.from({ length: 499 }, (_, at) => `s/x:${at + 3000}`)]);
    const again = new SystemPicture('s/x:0');
    for (const message of system.messages()) again.take(message);
    expect(again.messages()).toEqual(system.messages());
  });
});
