/** The parts of the page that need no browser: layouts, reading statecharts, the way back through a history. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GraphNode } from '../../src/core/graph.ts';
import { SystemPicture } from '../../src/inspect/fold.ts';
import { STREAM_VERSION, type InspectorMessage, type RunMessage, type SourceMessage, type SystemMessage, type ViewerMessage } from '../../src/inspect/messages.ts';
import { layoutChart } from '../../src/inspect/page/chart/chart-layout.ts';
import { activePaths, readChart, valueText } from '../../src/inspect/page/chart/definition.ts';
import { arrange, pathOf, type Block, type Box, type Edge } from '../../src/inspect/page/layout/block.ts';
import { insideOf, layoutGraph, openByDefault } from '../../src/inspect/page/layout/graph-layout.ts';
import { duration, oneLine, pretty, until } from '../../src/inspect/page/model/format.ts';
import { framesOf, Replay } from '../../src/inspect/page/model/replay.ts';
import { listedRuns, OPEN_MOST, otherRows, shortId } from '../../src/inspect/page/model/run-rows.ts';
import { hashOfView, viewOfHash } from '../../src/inspect/page/model/view.ts';
import { Gates, layers, release } from './page-workflows.ts';

const single = (name: number, width = 100, height = 40): Block<number, number> => ({ width, height, boxes: [{ node: name, x: 0, y: 0, width, height, depth: 0 }], lines: [] });

function overlapping<N>(boxes: readonly Box<N>[]): [N, N][] {
  const over: [N, N][] = [];
  boxes.forEach((a, index) => boxes.slice(index + 1).forEach((b) => {
    if (a.x < b.x + b.width - 0.01 && b.x < a.x + a.width - 0.01 && a.y < b.y + b.height - 0.01 && b.y < a.y + a.height - 0.01) over.push([a.node, b.node]);
  }));
  return over;
}

describe('arranging boxes', () => {
  it.each([['few', 1, 60, 60], ['many', 100, 200, 15]])('never puts one over another, keeps within its size, and draws every edge: %s', (_, min, max, numRuns) => {
    fc.assert(fc.property(fc.integer({ min, max }), fc.array(fc.tuple(fc.nat(max - 1), fc.nat(max - 1)), { maxLength: max * 1.5 }), fc.array(fc.integer({ min: 20, max: 300 }), { minLength: max, maxLength: max }), (size, pairs, widths) => {
      const blocks = Array.from({ length: size }, (_, index) => single(index, widths[index], 20 + (widths[index] as number) / 3));
      const edges: Edge<number>[] = pairs.filter(([a, b]) => a < size && b < size && a !== b).map(([from, to], edge) => ({ from, to, edge }));
      const { boxes, lines, width, height } = arrange(blocks, edges);
      expect(boxes).toHaveLength(size);
      expect(overlapping(boxes)).toEqual([]);
      for (const box of boxes) {
        expect(box.x).toBeGreaterThanOrEqual(-0.01);
        expect(box.y).toBeGreaterThanOrEqual(-0.01);
        expect(box.x + box.width).toBeLessThanOrEqual(width + 0.01);
        expect(box.y + box.height).toBeLessThanOrEqual(height + 0.01);
      }
      expect(lines.map(({ edge }) => edge).toSorted((a, b) => a - b)).toEqual(edges.map(({ edge }) => edge));
      for (const line of lines) expect(pathOf(line)).not.toMatch(/NaN|Infinity|undefined/);
    }), { numRuns });
  });

  it('is quick and still without overlaps where there are too many for the library', () => {
    const blocks = Array.from({ length: 900 }, (_, index) => single(index));
    const edges = blocks.slice(1).flatMap((_, index): Edge<number>[] => [{ from: index, to: index + 1, edge: index }, ...(index > 10 ? [{ from: index - 10, to: index + 1, edge: 1000 + index }] : [])]);
    expect(overlapping(arrange(blocks, edges).boxes)).toEqual([]);
  });

  it('puts a long chain in several columns', () => {
    const blocks = Array.from({ length: 5000 }, (_, index) => single(index));
    const { width, height, boxes } = arrange(blocks, blocks.slice(1).map((_, index) => ({ from: index, to: index + 1, edge: index })));
    expect(width / height).toBeGreaterThan(0.5);
    expect(width / height).toBeLessThan(4);
    expect(new Set(boxes.map(({ x, y }) => `${x} ${y}`)).size).toBe(5000);
  });
});

describe('the layout of a workflow', () => {
  const { graph } = release(new Gates());

  it('holds what is inside a group within it', () => {
    const { boxes } = layoutGraph(graph, () => true);
    expect(boxes.map(({ node }) => node.id).toSorted()).toEqual(Object.keys(graph.nodes).toSorted());
    const at = new Map(boxes.map((box) => [box.node.id, box]));
    for (const box of boxes.filter(({ node }) => node.shape === 'open')) {
      for (const id of insideOf(graph.nodes, box.node.id)) {
        const inner = at.get(id) as typeof box;
        expect([inner.x > box.x, inner.y > box.y, inner.x + inner.width < box.x + box.width, inner.y + inner.height < box.y + box.height], id).toEqual([true, true, true, true]);
      }
    }
    expect(overlapping(boxes.filter(({ node }) => node.shape !== 'open'))).toEqual([]);
  });

  it('draws what is closed as one box', () => {
    expect(layoutGraph(graph, () => false).boxes.map(({ node }) => node.shape)).toEqual(['closed', 'card']);
  });

  it('opens a dag by itself, and no group of many members', () => {
    const { graph: many } = layers(10, 20, new Gates());
    expect(openByDefault(many)).toEqual(new Set([many.root]));
    const members = Array.from({ length: 40 }, (_, index) => ({ id: `m${index}`, entry: `m${index}` }));
    const wide: Record<string, GraphNode> = { all: { id: 'all', kind: 'parallel', members, policy: { kind: 'strict' }, execution: { backend: 'local', concurrency: 4 } } };
    for (const { id } of members) wide[id] = { id, kind: 'task' };
    expect(openByDefault({ nodes: wide, root: 'all', uses: [] })).toEqual(new Set());
  });

  it('shows all nodes where only their ids are known', () => {
    const nodes = Object.fromEntries(['a', 'b', 'c'].map((id): [string, GraphNode] => [id, { id, kind: 'task' }]));
    expect(layoutGraph({ nodes, root: 'a', uses: [], complete: false }, () => true).boxes.map(({ node }) => node.id)).toEqual(['a', 'b', 'c']);
  });

  it('draws a graph that names nodes which it does not have, or itself', () => {
    const nodes: Record<string, GraphNode> = {
      a: { id: 'a', kind: 'task', next: 'constructor', recover: 'b' }, b: { id: 'b', kind: 'scope', entry: 'b', next: 'a' }, c: { id: 'c', kind: 'each', body: 'gone', policy: { kind: 'bestEffort' }, execution: { backend: 'local', concurrency: 1 } },
    };
    expect(layoutGraph({ nodes, root: 'a', uses: ['c', 'gone'] }, () => true).boxes.map(({ node }) => node.id)).toEqual(['a', 'b', 'c']);
    expect(layoutGraph({ nodes: {}, root: 'a', uses: [] }, () => true).boxes).toEqual([]);
  });
});

describe('reading a machine', () => {
  const chart = readChart(JSON.stringify({
    id: 'door', initial: 'shut', on: { BREAK: '.broken', NOTE: { actions: 'note' } },
    states: {
      shut: { entry: ['lock', { type: 'beep' }], on: { OPEN: [{ guard: 'isFree', target: 'open.wide' }, { target: '#far' }] } },
      open: { initial: 'wide', states: { wide: { on: { PUSH: 'narrow' } }, narrow: { id: 'far', after: { 500: '#door.shut' } } }, always: { target: 'shut', guard: { type: 'isWindy' } } },
      broken: { type: 'final' },
    },
  }), 'x');

  it('finds the targets of all kinds', () => {
    const all: (string | undefined)[][] = [];
    const visit = (state: NonNullable<typeof chart>): void => {
      for (const { from, to, label, guard } of state.transitions) all.push([from, label, guard, to]);
      state.children.forEach(visit);
    };
    visit(chart as NonNullable<typeof chart>);
    expect(all).toEqual([
      ['', 'BREAK', undefined, 'broken'], ['', 'NOTE / note', undefined, undefined], ['shut', 'OPEN', 'isFree', 'open.wide'], ['shut', 'OPEN', undefined, 'open.narrow'],
      ['open', 'always', 'isWindy', 'shut'], ['open.wide', 'PUSH', undefined, 'open.narrow'], ['open.narrow', 'after 500 ms', undefined, 'shut'],
    ]);
  });

  it('lays the states out without overlaps', () => {
    const { boxes, lines } = layoutChart(chart as NonNullable<typeof chart>);
    expect(overlapping(boxes.filter(({ node }) => !node.compound))).toEqual([]);
    expect(lines.flatMap(({ edge }) => edge.texts)).toContain('OPEN [isFree]');
  });

  it('says which states are active', () => {
    expect([...activePaths({ open: 'wide', light: { colour: 'warm' } })].toSorted()).toEqual(['', 'light', 'light.colour', 'light.colour.warm', 'open', 'open.wide']);
    expect(valueText({ open: 'wide', light: { colour: 'warm', fan: 'on' } })).toBe('open.wide light.(colour.warm fan.on)');
  });

  it('never throws, whatever the text holds', () => {
    fc.assert(fc.property(fc.oneof(fc.json(), fc.string(), fc.record({ states: fc.dictionary(fc.string(), fc.jsonValue()), on: fc.jsonValue(), initial: fc.jsonValue(), invoke: fc.jsonValue() }).map((each) => JSON.stringify(each))), fc.jsonValue(), (text, value) => {
      const read = readChart(text, 'any');
      if (read !== undefined) expect(layoutChart(read).boxes.length).toBeGreaterThan(0);
      activePaths(value);
      valueText(value);
    }), { numRuns: 300 });
  });
});

describe('the history', () => {
  const rootId = 'source01/x:0';
  const base = (at: number) => ({ sessionId: rootId, rootId, createdAt: String(at), id: null, _version: STREAM_VERSION });
  const task = (state: 'running' | 'done', done: number) => ({ state, running: 0, waiting: 0, retrying: 0, done, failed: 0, attempt: 1, iteration: 0 });
  const frames: ViewerMessage[][] = Array.from({ length: 200 }, (_, at): ViewerMessage[] => [
    ...(at === 0 || at === 120 ? [{ ...base(at), type: '@taskchart.reset' } as const, { ...base(at), type: '@xstate.actor', name: 'run', snapshot: { status: 'active', value: 'running' } } as const] : []),
    { ...base(at), type: '@taskchart.tasks', nodes: { [`t${at % 7}`]: task(at % 2 === 0 ? 'running' : 'done', at) } },
    { ...base(at), type: '@xstate.event', event: { type: `E${at}` } },
    { ...base(at), type: '@xstate.snapshot', event: { type: `E${at}` }, snapshot: { status: 'active', value: at % 10 < 5 ? 'running' : 'waiting' } },
  ]);

  it('gives at any point what folding up to there gives, whatever was looked at before', () => {
    fc.assert(fc.property(fc.array(fc.nat(199), { minLength: 1, maxLength: 30 }), (visits) => {
      const replay = new Replay(rootId, framesOf(rootId, frames));
      for (const index of visits) {
        let picture = new SystemPicture(rootId);
        for (const message of frames.slice(0, index + 1).flat()) {
          if (message.type === '@taskchart.reset') picture = new SystemPicture(rootId);
          else picture.take(message as InspectorMessage);
        }
        const model = replay.at(index);
        expect(model.picture.messages()).toEqual(picture.messages());
        expect(model.events.map(({ event }) => event.type)).toEqual(picture.events.map(({ event }) => event.type));
        expect(replay.timeOf(index)).toBe(index);
      }
    }), { numRuns: 40 });
  });

  it('remembers the transitions before the point, and only those', () => {
    const replay = new Replay(rootId, framesOf(rootId, frames));
    for (const index of [119, 30, 80, 31]) replay.at(index);
    expect(replay.at(31).transitions.get(rootId)?.map(({ at }) => at)).toEqual([5, 10, 15, 20, 25, 30]);
  });

  it('leaves out what is about other systems', () => {
    const other = { ...base(1), rootId: 'other001/x:0', type: '@xstate.event', event: { type: 'E' } } as const;
    expect(framesOf(rootId, [[other], [], frames[0] ?? []])).toHaveLength(1);
  });
});

describe('words', () => {
  it.each([[0, '0 ms'], [999, '999 ms'], [1234, '1.2 s'], [61_000, '1 min 01 s'], [3_660_000, '1 h 01 min'], [90_000_000, '1 d 1 h'], [-5, '0 ms']])('%d milliseconds are %s', (given, text) => expect(duration(given)).toBe(text));

  it('says how long it still takes, or that it is due', () => {
    expect([until(5000, 1000), until(1000, 5000)]).toEqual(['in 4 s', 'now']);
  });

  it('shows JSON with line breaks, and what is no whole JSON as it is', () => {
    expect(pretty({ text: '{"a":1}' })).toBe('{\n  "a": 1\n}');
    expect(pretty({ text: '{"a":[1,2', cut: true })).toBe('{"a":[1,2');
    expect(pretty({ text: 'no JSON' })).toBe('no JSON');
  });

  it('names the bottom of an error in a line', () => {
    expect(oneLine({ name: 'TaskError', message: 'task failed', cause: { name: 'RangeError', message: 'too far' } })).toBe('RangeError: too far');
    expect(oneLine({ name: 'Error', message: 'plain' })).toBe('plain');
  });

  it('keeps what is looked at in the address', () => {
    const view = { tab: 'queue', run: 'a/x:0', root: 'a/x:0', node: '<b>&=#', group: 3, member: 0, actor: undefined } as const;
    expect(viewOfHash(hashOfView(view))).toEqual(view);
    expect(viewOfHash('#tab=nonsense&member=-1')).toMatchObject({ tab: 'graph', member: undefined });
  });
});

describe('the rows of the list of runs', () => {
  const base = (sessionId: string) => ({ sessionId, rootId: sessionId, createdAt: '1000', id: null, _version: STREAM_VERSION });
  const run = (session: string, fields: Partial<RunMessage>): RunMessage => ({ ...base(session), type: '@taskchart.run', workflow: 'w', state: 'running', origin: 'live', at: 0, startedAt: 1, revision: 1, steps: 1, control: [], counts: { queued: 0, running: 0, waiting: 0, retrying: 0, done: 0, failed: 0 }, ...fields });
  const system = (session: string, fields: Partial<SystemMessage>): SystemMessage => ({ ...base(session), type: '@taskchart.system', source: session.slice(0, 1), name: 'n', status: 'active', facts: {}, actors: 1, runs: [], ...fields });
  const source = (id: string, state: SourceMessage['state']): SourceMessage => ({ ...base(id), type: '@taskchart.source', state, kind: 'node', dropped: 0 });
  const by = <T extends { readonly sessionId: string }>(list: readonly T[]) => new Map(list.map((each) => [each.sessionId, each]));
  const sources = by([source('a', 'lost'), source('b', 'connected')]);

  it('puts earlier processes of a run under the newest, in whatever order they were told', () => {
    const runs = [run('a/x:0', { runId: 'r1' }), run('b/x:9', { runId: 'r1' }), run('b/x:10', { runId: 'r1' }), run('b/x:1', { runId: 'r2', startedAt: 5 }), run('b/x:2', { runId: 'r1', origin: 'branch' })];
    for (const order of [runs, runs.toReversed()]) {
      expect(listedRuns(by(order), sources).map(({ run: { sessionId }, earlier }) => [sessionId, earlier])).toEqual([['b/x:1', false], ['b/x:10', false], ['b/x:9', true], ['a/x:0', true]]);
    }
  });

  it('folds branches under the last worker of their process, and opens to a bounded list', () => {
    const branches = Array.from({ length: 500 }, (_, at) => run(`b/x:${at + 10}`, { origin: 'branch', at, state: at < 3 ? 'running' : 'completed' }));
    const workers = ['b/x:0', 'b/x:1'].map((session) => system(session, { machine: 'worker', facts: { queue: 'mail' } }));
    const systems = by([...workers, system('a/x:7', {}), ...branches.map(({ sessionId }) => system(sessionId, { runs: [sessionId] }))]);
    const given = { systems, runs: by(branches), sources, wanted: '' };
    const closed = otherRows({ ...given, open: new Set() });
    expect(closed.map((row) => (row.kind === 'system' ? row.system.rootId : row.kind === 'fold' ? row.text : row.kind))).toEqual(['b/x:0', 'b/x:1', '500 branches, 3 running', 'a/x:7']);
    const open = otherRows({ ...given, open: new Set(['b']) });
    expect(open.length - closed.length).toBe(OPEN_MOST);
    expect(open.slice(3, 7).map((row) => row.kind === 'branch' && row.run.sessionId)).toEqual(['b/x:12', 'b/x:11', 'b/x:10', 'b/x:509']);
    expect(open.at(-2)).toEqual({ kind: 'more', count: 500 - OPEN_MOST + 1 });
    expect(otherRows({ ...given, systems: new Map(), open: new Set() })).toMatchObject([{ kind: 'fold', text: '500 branches, 3 running' }]);
    expect(otherRows({ ...given, wanted: 'nothing', open: new Set() })).toEqual([]);
  });

  it('shortens long ids in the middle, and nothing that is short', () => {
    expect(shortId('order-17')).toBe('order-17');
    expect(shortId('0123456789abcdef-0123456789abcdef')).toBe('0123456789abc…23456789abcdef');
    expect(Array.from(shortId('😀'.repeat(100)))).toHaveLength(28);
  });
});
