/** describe and mermaid: what people see of a graph, and that no name can break it. */
import { expect, test } from 'vitest';
import { dag, each, node, parallel, sequence, sleep, task, waitFor, workflow, type Graph } from '../../src/index.ts';
import { describe } from '../../src/define/describe.ts';
import { mermaid } from '../../src/define/mermaid.ts';

const t = (id: string) => task(id, (input: unknown) => input as null);

const sample = workflow(
  'report',
  sequence(
    task('load', () => [1], { retry: { attempts: 3 } }),
    each(t('hash').recover('skip', () => null), { batch: 5 }).withPolicy('bestEffort'),
    parallel(t('sum').to(t('round')), t('max')).withPolicy({ critical: ['max'] }).as('stats'),
    sleep(10),
    waitFor('go', { timeout: 5 }),
    dag({ a: node(t('left')), b: node(task('right', (_: { a: null }) => null), { needs: ['a'] }) }),
    workflow('inner', t('x')),
  ),
  { uses: [t('alert')] },
);

test('describe is an outline', () => {
  expect(sample.describe()).toBe(`workflow report
  task load (3 attempts, fixed backoff)
  each each@1 (best effort, local, 64 at a time, batches of 5)
    for each: task hash
      on failure: task skip
  parallel stats (2 members, critical: max, local, 64 at a time)
    round: task sum
    task round
    task max
  sleep sleep@1 (10 ms)
  wait go for the signal go (at most 5 ms)
  dag dag@1 (2 nodes, local, 64 at a time)
    a: task left
    b (needs a): task right
  workflow inner as inner
    task inner/x
  on demand: task alert
`);
});

test('mermaid draws groups as subgraphs', () => {
  expect(sample.mermaid()).toBe(`flowchart TD
  n0["load"]
  subgraph n1["each@1 (for each item)"]
    n3["hash"]
    n4["skip"]
  end
  subgraph n2["stats"]
    n6["sum"]
    n7["round"]
    n8["max"]
  end
  n5(["sleep 10 ms"])
  n9{{"wait: go"}}
  subgraph n10["dag@1"]
    n12["left"]
    n13["right"]
  end
  subgraph n11["inner (workflow inner)"]
    n14["inner/x"]
  end
  n15["alert"]
  n0 --> n1
  n1 --> n2
  n3 -. failure .-> n4
  n2 --> n5
  n6 --> n7
  n5 --> n9
  n9 --> n10
  n10 --> n11
  n12 --> n13
`);
});

test('hostile ids and names cannot change the drawing', () => {
  const hostile = ['x"] --> evil["y', 'end', '`rm`', '<script>alert(1)</script>', 'a\nsubgraph b', '%%{init: {}}%%', 'click n0 "javascript:alert(1)"', '#quot;', ']]', '}}"'];
  const nodes = Object.fromEntries(hostile.map((id, index) => [id, { kind: index % 2 === 0 ? 'task' : 'wait', id, signal: id, ...(hostile[index + 1] === undefined ? {} : { next: hostile[index + 1] }) }]));
  const graph = { format: 'taskchart/graph', version: 1, workflow: hostile[0], root: hostile[0], uses: [], nodes: { ...nodes, group: { kind: 'scope', id: 'group', entry: hostile[0], workflow: '"]; evil' } } } as unknown as Graph;
  for (const drawn of [mermaid(graph), mermaid({ ...graph, root: 'group' })]) {
    for (const line of drawn.trimEnd().split('\n').slice(1)) {
      expect(line).toMatch(/^ +(n\d+(\["[^"<>`[\]{}%]*"\]|\{\{"[^"<>`[\]{}%]*"\}\})|subgraph n\d+\["[^"<>`[\]{}%]*"\]|end|n\d+ --> n\d+|n\d+ -\. failure \.-> n\d+)$/);
    }
  }
  expect(describe(graph)).toContain('workflow');
});
