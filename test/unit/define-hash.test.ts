/** The graph hash: structure counts, tuning and order do not. */
import { expect, test } from 'vitest';
import type { AnyStep } from '../../src/define/step.ts';
import { dag, each, node, parallel, sequence, sleep, task, waitFor, workflow, type Graph, type GraphNode } from '../../src/index.ts';
import { hashGraph, nodeHash } from '../../src/define/graph-hash.ts';

const t = (id: string) => task(id, (input: unknown) => input as null);
const hash = (root: AnyStep) => workflow('w', root).definition.graphHash;

const build = () =>
  sequence(
    t('a'),
    parallel(t('b'), t('c')).withPolicy({ critical: ['b', 'c'], failFast: true }),
    sleep(5),
    waitFor('go'),
    dag({ x: node(t('nx')), y: node(t('ny')), z: node(task('nz', (_: { x: null; y: null }) => null), { needs: ['x', 'y'] }) }),
    workflow('inner', t('i')),
  );

test('the same source gives the same hash, whatever the functions do', () => {
  expect(hash(build())).toBe(hash(build()));
  expect(hash(build())).toMatch(/^[0-9a-f]{32}$/);
});

test('the order of keys does not matter', () => {
  const { graph } = workflow('w', build());
  const reversed = reverseKeys(graph) as Graph;
  expect(Object.keys(reversed.nodes)).not.toStrictEqual(Object.keys(graph.nodes));
  expect(hashGraph(reversed)).toBe(hashGraph(graph));
  expect(hashGraph(JSON.parse(JSON.stringify(reversed)) as Graph)).toBe(hashGraph(graph));
});

test('tuning does not count', () => {
  expect(hash(task('a', () => 1, { retry: { attempts: 3 }, timeout: 5, maxIterations: 2 }))).toBe(hash(task('a', () => 2)));
  expect(hash(parallel(t('a'), t('b')).withExecution({ backend: 'direct' }))).toBe(hash(parallel(t('a'), t('b')).withExecution({ backend: 'local', concurrency: 2 })));
  expect(hash(each(t('a'), { batch: 10 }))).toBe(hash(each(t('a'))));
  expect(hash(sleep(1))).toBe(hash(sleep(2)));
  expect(hash(waitFor('go', { timeout: 1 }))).toBe(hash(waitFor('go')));
});

test('structure counts', () => {
  const variants = [
    t('a'), t('b'), sequence(t('a'), t('b')), sequence(t('b'), t('a')), parallel(t('a'), t('b')), parallel(t('b'), t('a')),
    parallel(t('a'), t('b')).withPolicy('bestEffort'), parallel(t('a'), t('b')).withPolicy({ atLeast: 1 }), parallel(t('a'), t('b')).withPolicy({ atLeast: 2 }),
    parallel(t('a'), t('b')).withPolicy({ failFast: true }), parallel(t('a'), t('b')).withPolicy({ critical: ['a'] }), parallel(t('a'), t('b')).withPolicy(() => true),
    each(t('a')), t('a').recover('b', () => null), waitFor('a'), waitFor('x').as('a'), dag({ a: node(t('a')), b: node(t('b')) }),
    dag({ a: node(t('a')), b: node(task('b', (_: { a: null }) => null), { needs: ['a'] }) }), workflow('a', t('a')), sleep(1).as('a'),
  ];
  const hashes = variants.map(hash);
  expect(new Set(hashes).size).toBe(variants.length);
  expect(workflow('v', t('a')).definition.graphHash).not.toBe(hash(t('a')));
  expect(workflow('w', t('a'), { uses: [t('b')] }).definition.graphHash).not.toBe(hash(t('a')));
});

test('nodeHash tells which node differs', () => {
  const before = workflow('w', sequence(t('a'), t('b'), t('c'))).graph.nodes;
  const after = workflow('w', sequence(t('a'), t('x'), t('c'))).graph.nodes;
  expect(nodeHash(before['a'] as GraphNode)).not.toBe(nodeHash(after['a'] as GraphNode));
  expect(nodeHash(before['c'] as GraphNode)).toBe(nodeHash(after['c'] as GraphNode));
});

function reverseKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reverseKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).reverse().map(([key, inner]) => [key, reverseKeys(inner)]));
}
