/** Size: compiling is linear and has no recursion. ACCEPTANCE 48. */
import { expect, test } from 'vitest';
import { each, parallel, sequence, task, workflow, type Step } from '../../src/index.ts';
import { compile } from '../../src/define/compile.ts';

const t = (id: string) => task(id, (n: number) => n);
const many = (count: number) => Array.from({ length: count }, (_, i) => t(`t${i}`));

test('a sequence of 5,000 steps', () => {
  const { graph } = workflow('w', sequence(...many(5_000)));
  expect(Object.keys(graph.nodes)).toHaveLength(5_000);
  expect(graph.nodes['t4998']).toMatchObject({ next: 't4999' });
});

test('a group of 10,000 tasks, and groups nested 10,000 deep', () => {
  expect(workflow('w', parallel(...many(10_000))).graph.nodes['parallel@1']).toMatchObject({ members: { length: 10_000 } });
  let nested: Step<number, unknown> = t('core');
  for (let i = 0; i < 10_000; i++) nested = parallel(nested, t(`t${i}`)).as(`g${i}`);
  const wide = workflow('deep', nested);
  expect(Object.keys(wide.graph.nodes)).toHaveLength(20_001);
  expect(wide.definition.graphHash).toHaveLength(32);
  expect(wide.describe().split('\n')).toHaveLength(20_003);
  expect(wide.mermaid()).toContain('flowchart');
});

test('recovers, names and flows nested 10,000 deep', () => {
  let flow = t('a').as('a0').to(t('b'));
  for (let i = 0; i < 10_000; i++) flow = flow.recover(`r${i}`, () => 0).as(`n${i}`);
  expect(Object.keys(workflow('recovers', flow).graph.nodes)).toHaveLength(10_003);
  let left = sequence(t('l'));
  let right = sequence(t('r'));
  for (let i = 0; i < 10_000; i++) {
    left = sequence(left, t(`l${i}`));
    right = sequence(t(`r${i}`), right);
  }
  const { graph } = workflow('flows', sequence(left, right));
  expect(Object.keys(graph.nodes)).toHaveLength(20_002);
  expect(graph.nodes['l9999']).toMatchObject({ next: 'r9999' });
  let deep: Step<never, unknown> = t('e') as Step<never, unknown>;
  for (let i = 0; i < 2_000; i++) deep = each(deep) as Step<never, unknown>;
  expect(Object.keys(compile('eaches', deep).graph.nodes)).toHaveLength(2_001);
});

test('a chain of 1,000,000 steps made with .to', () => {
  const run = (n: number) => n;
  let chain = task('first', run).to('c0', run);
  for (let i = 1; i < 999_999; i++) chain = chain.to(`c${i}`, run) as unknown as typeof chain;
  const definition = compile('million', chain);
  expect(Object.keys(definition.graph.nodes)).toHaveLength(1_000_000);
  expect(definition.graph.nodes['c999997']).toMatchObject({ next: 'c999998' });
  expect(definition.graphHash).toHaveLength(32);
}, 120_000);
