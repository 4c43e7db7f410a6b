/** compile: what graph comes out, and where step objects stand in it. */
import { expect, test } from 'vitest';
import { contract, dag, each, node, parallel, sequence, sleep, task, waitFor, workflow } from '../../src/index.ts';
import { compileFragment } from '../../src/define/compile.ts';
import type { GraphNode } from '../../src/core/graph.ts';
import { z } from 'zod';

const t = (id: string) => task(id, (input: unknown) => input as null);

/** `id -> next` (and `!recover`) of every node, in reading order. */
function links(nodes: Readonly<Record<string, GraphNode>>): string[] {
  return Object.values(nodes).map(({ id, next, recover }) => `${id}${next === undefined ? '' : ` -> ${next}`}${recover === undefined ? '' : ` !${recover}`}`);
}

test('the README example compiles to this JSON', () => {
  const alertOps = task('alertOps', async (_message: string) => {});
  const enrich = workflow(
    'enrich',
    task('fetchUsers', async (region: string) => ({ region, users: [{ id: 1, age: 30 }] }))
      .fork({
        geo: async ({ users }) => users.map((u) => ({ id: u.id, city: 'Oslo' })),
        score: ({ users, region }) => users.length * region.length,
      })
      .withExecution({ backend: 'redis', backendConfig: { url: 'redis://user:secret@127.0.0.1:6379' } })
      .withPolicy({ critical: ['score'] })
      .to('store', ({ geo, score }, ctx) => {
        if (score < 0) return ctx.goto(alertOps, 'negative');
        ctx.nextTask(alertOps, `stored ${score}`);
        return { rows: geo?.length ?? 0, pass: 0 };
      })
      .to('converge', (s, ctx) => (s.pass < 3 ? ctx.nextIteration({ ...s, pass: s.pass + 1 }) : { done: true, rows: s.rows })),
  );
  const golden = {
    format: 'taskchart/graph',
    version: 1,
    workflow: 'enrich',
    root: 'fetchUsers',
    uses: [],
    nodes: {
      fetchUsers: { kind: 'task', id: 'fetchUsers', next: 'parallel@1' },
      'parallel@1': {
        kind: 'parallel',
        id: 'parallel@1',
        next: 'store',
        members: [
          { id: 'geo', entry: 'geo' },
          { id: 'score', entry: 'score' },
        ],
        policy: { kind: 'critical', ids: ['score'] },
        execution: { backend: 'redis', concurrency: 4096 },
      },
      geo: { kind: 'task', id: 'geo' },
      score: { kind: 'task', id: 'score' },
      store: { kind: 'task', id: 'store', next: 'converge' },
      converge: { kind: 'task', id: 'converge' },
    },
  };
  expect(enrich.graph).toStrictEqual(golden);
  expect(Object.keys(enrich.graph.nodes)).toStrictEqual(Object.keys(golden.nodes));
  expect(JSON.parse(JSON.stringify(enrich.graph))).toStrictEqual(golden);
  expect(JSON.stringify(enrich.graph)).not.toContain('secret');
  expect(enrich.definition.settings.get('parallel@1')).toStrictEqual({ url: 'redis://user:secret@127.0.0.1:6379' });
  expect([...enrich.definition.tasks.keys()]).toStrictEqual(['fetchUsers', 'geo', 'score', 'store', 'converge']);
});

test('sequence and .to nest to one flat chain', () => {
  const graph = workflow('w', sequence(t('a'), sequence(t('b'), t('c').to(t('d'))), t('e')).to(t('f')).to(sequence(t('g')))).graph;
  expect(links(graph.nodes)).toStrictEqual(['a -> b', 'b -> c', 'c -> d', 'd -> e', 'e -> f', 'f -> g', 'g']);
  expect(graph.root).toBe('a');
});

test('ACCEPTANCE 3: the members of a group may be flows; each ends where its flow ends', () => {
  const graph = workflow('w', parallel(sequence(t('a'), t('b')), sequence(t('c'), t('d'))).to(t('e'))).graph;
  expect(links(graph.nodes)).toStrictEqual(['parallel@1 -> e', 'a -> b', 'b', 'c -> d', 'd', 'e']);
  expect(graph.nodes['parallel@1']).toMatchObject({ members: [{ id: 'b', entry: 'a' }, { id: 'd', entry: 'c' }] });
});

test('names: .as on a flow is its key, on a group its node id, on a task a second instance', () => {
  const a = t('a');
  const graph = workflow('w', parallel(a.as('x').to(t('y')).as('flow'), parallel(a, t('b')).as('inner'), t('c').fork({ p: () => 1 }).as('forked'))).graph;
  expect(graph.nodes['parallel@1']).toMatchObject({ members: [{ id: 'flow', entry: 'x' }, { id: 'inner', entry: 'inner' }, { id: 'forked', entry: 'c' }] });
  expect(graph.nodes['c']).toMatchObject({ next: 'forked' });
});

test('options of tasks become plans, with the defaults filled in', () => {
  const step = task('a', () => 1, { retry: { attempts: 3, backoff: 'exponential', delay: 10 }, timeout: 50, maxIterations: 7 });
  expect(workflow('w', step).graph.nodes['a']).toStrictEqual({
    kind: 'task',
    id: 'a',
    retry: { attempts: 3, backoff: 'exponential', delayMs: 10, factor: 2, maxDelayMs: 30_000, jitter: 0 },
    timeoutMs: 50,
    maxIterations: 7,
  });
});

test('each, dag, waitFor and sleep', () => {
  const join = task('join', (from: { b: null; c: null }) => from);
  const from = (id: string) => task(id, (_: { a: null }) => null);
  const graph = workflow(
    'w',
    sequence(
      task('items', () => [1, 2]),
      each(t('one').to(t('two')), { batch: 2 }).withPolicy({ atLeast: 1, failFast: true }).withExecution({ backend: 'local', concurrency: 3 }),
      sleep(20),
      waitFor('go', { timeout: 99 }),
      dag({ a: node(t('na')), b: node(from('nb'), { needs: ['a'] }), c: node(from('nc'), { needs: ['a'] }), d: node(join, { needs: ['b', 'c'] }) }),
    ),
  ).graph;
  expect(graph.nodes['each@1']).toStrictEqual({
    kind: 'each', id: 'each@1', next: 'sleep@1', body: 'one', batch: 2, policy: { kind: 'atLeast', count: 1, failFast: true }, execution: { backend: 'local', concurrency: 3 },
  });
  expect(graph.nodes['two']).toStrictEqual({ kind: 'task', id: 'two' });
  expect(graph.nodes['sleep@1']).toStrictEqual({ kind: 'sleep', id: 'sleep@1', next: 'go', delayMs: 20 });
  expect(graph.nodes['go']).toStrictEqual({ kind: 'wait', id: 'go', next: 'dag@1', signal: 'go', timeoutMs: 99 });
  expect(graph.nodes['dag@1']).toStrictEqual({
    kind: 'dag',
    id: 'dag@1',
    members: [
      { id: 'a', entry: 'na', needs: [] },
      { id: 'b', entry: 'nb', needs: ['a'] },
      { id: 'c', entry: 'nc', needs: ['a'] },
      { id: 'd', entry: 'join', needs: ['b', 'c'] },
    ],
    execution: { backend: 'local', concurrency: 64 },
  });
});

test('recover: on a step it hangs on its node, on a flow it makes a scope, and recovers chain', () => {
  const single = workflow('w', sequence(t('a').recover('h1', () => null).recover('h2', () => null), t('b'))).graph;
  expect(links(single.nodes)).toStrictEqual(['a -> b !h1', 'h1 -> b !h2', 'h2 -> b', 'b']);

  const flow = workflow('w', sequence(t('a'), t('b')).recover('h1', () => null).recover('h2', () => null).to(t('c'))).graph;
  expect(links(flow.nodes)).toStrictEqual(['scope@1 -> c !h1', 'a -> b', 'b', 'h1 -> c !h2', 'h2 -> c', 'c']);
  expect(flow.nodes['scope@1']).toMatchObject({ kind: 'scope', entry: 'a' });
  expect(flow.root).toBe('scope@1');

  const named = workflow('w', sequence(t('a'), t('b')).as('pair').recover('h', () => null)).graph;
  expect(named.root).toBe('pair');

  const group = workflow('w', parallel(t('a'), t('b')).recover('h', () => null).to(t('c'))).graph;
  expect(links(group.nodes)).toStrictEqual(['parallel@1 -> c !h', 'a', 'b', 'h -> c', 'c']);
});

test('a workflow as a step: its nodes are inside its id, twice under two ids', () => {
  const innermost = workflow('deep', t('x'));
  const inner = workflow('inner', sequence(t('a'), parallel(t('b'), t('c')).withPolicy(() => true), innermost).recover('h', () => null), { uses: [t('side')] });
  const { graph, definition } = workflow('outer', sequence(t('a'), inner, inner.as('again').recover('fallback', () => null)));
  expect(graph.nodes['inner']).toStrictEqual({ kind: 'scope', id: 'inner', next: 'again', entry: 'inner/scope@1', workflow: 'inner' });
  expect(graph.nodes['again']).toStrictEqual({ kind: 'scope', id: 'again', recover: 'fallback', entry: 'again/scope@1', workflow: 'inner' });
  expect(graph.nodes['inner/scope@1']).toStrictEqual({ kind: 'scope', id: 'inner/scope@1', recover: 'inner/h', entry: 'inner/a' });
  expect(graph.nodes['inner/deep']).toMatchObject({ kind: 'scope', entry: 'inner/deep/x', workflow: 'deep' });
  expect(graph.nodes['again/side']).toMatchObject({ kind: 'task' });
  expect(definition.tasks.get('again/deep/x')?.id).toBe('x');
  expect(definition.policies.has('again/parallel@1')).toBe(true);
  for (const node of Object.values(graph.nodes)) {
    for (const id of [node.next, node.recover]) if (id !== undefined) expect(graph.nodes[id]).toBeDefined();
  }
});

test('targetOf: tasks, groups, flows and embedded workflows; inner steps are found from inside first', () => {
  const shared = t('shared');
  const a = t('a');
  const flow = a.to(t('b'));
  const longer = flow.to(t('c'));
  const group = parallel(t('p'), t('q'));
  const inner = workflow('inner', t('i'), { uses: [shared] });
  const { definition } = workflow('w', longer.to(group).to(inner), { uses: [shared, flow] });
  expect(definition.targetOf(a)).toBe('a');
  expect(definition.targetOf(flow)).toBe('a');
  expect(definition.targetOf(longer)).toBe('a');
  expect(definition.targetOf(group)).toBe('parallel@1');
  expect(definition.targetOf(group.withPolicy('bestEffort'))).toBeUndefined();
  expect(definition.targetOf(inner)).toBe('inner');
  expect(definition.targetOf(shared)).toBe('shared');
  expect(definition.targetOf(shared, 'a')).toBe('shared');
  expect(definition.targetOf(shared, 'inner/i')).toBe('inner/shared');
  expect(definition.targetOf(a, 'inner/i')).toBe('a');
  expect(definition.targetOf(t('a'))).toBeUndefined();
  expect(definition.targetOf(t('x').to(a))).toBeUndefined();
  expect(definition.graph.uses).toStrictEqual(['shared', 'a']);
});

test('fragments: steps with an id may be added to a run, others must be declared', () => {
  const { fragment, tasks } = compileFragment(t('late'));
  expect(fragment).toStrictEqual({ entry: 'late', nodes: { late: { kind: 'task', id: 'late' } } });
  expect(tasks.get('late')?.id).toBe('late');
  expect(Object.keys(compileFragment(workflow('sub', t('a'))).fragment.nodes)).toStrictEqual(['sub', 'sub/a']);
  expect(() => compileFragment(sequence(t('a'), t('b')))).toThrow(expect.objectContaining({ code: 'definition/undeclared-step', hint: expect.stringContaining('uses: [step]') }));
});

test('a contract is found live: its function may come after the graph', () => {
  const late = contract('late', { input: z.string(), output: z.number(), retry: { attempts: 2 } });
  const { definition, graph } = workflow('w', parallel(late, late.as('second').recover('h', () => 0)));
  expect(definition.tasks.get('late')?.run).toBeUndefined();
  const run = (text: string) => text.length;
  expect(late.implement(run)).toBe(late);
  expect(definition.tasks.get('late')?.run).toBe(run);
  expect(definition.tasks.get('second')?.run).toBe(run);
  expect(workflow('v', late).definition.inputSchema).toBe(definition.tasks.get('second')?.input);
  expect(graph.nodes['late']).toMatchObject({ retry: { attempts: 2 } });
  expect(() => late.implement(run)).toThrow(/implemented already/);
});

test('steps are frozen, branded, and are no thenables', () => {
  const steps = [t('a'), t('a').to(t('b')), parallel(t('a')), each(t('a')), dag({ a: node(t('x')) }), waitFor('w'), sleep(1), workflow('w', t('a')), contract('c', { input: z.string(), output: z.string() })];
  for (const step of steps) {
    expect(Object.isFrozen(step)).toBe(true);
    expect('then' in step).toBe(false);
    expect(Reflect.has(step, Symbol.for('taskchart.step'))).toBe(true);
  }
});
