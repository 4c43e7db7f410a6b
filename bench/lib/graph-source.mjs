/**
 * Writes TypeScript programs that compose a workflow of a given number of tasks, as users write them: outputs inferred,
 * inputs of inline steps inferred from upstream, one annotation where a reusable task begins.
 */

/** `.to` with an inline function, over and over: every step's input is inferred from the one before. */
export function chainSource(tasks) {
  const steps = Array.from({ length: tasks - 1 }, (_, i) => `  .to('t${i + 1}', async ({ n, tag }) => ({ n: n + 1, tag: \`\${tag}.\` }))`);
  return [
    `import { task, workflow } from 'taskchart';`,
    `export const chain = workflow('chain', task('t0', async (n: number) => ({ n, tag: 'x' }))`,
    ...steps,
    `);`,
    `export const output: Promise<{ n: number; tag: string }> = chain.run(1);`,
    '',
  ].join('\n');
}

/** One `sequence(...)` of tasks that were declared one by one. */
export function sequenceSource(tasks) {
  const names = Array.from({ length: tasks }, (_, i) => `t${i}`);
  return [
    `import { sequence, task, workflow } from 'taskchart';`,
    ...names.map((name, i) => `const ${name} = task('${name}', async (x: { n: number; s${i % 7}: string }) => ({ n: x.n + 1, s${(i + 1) % 7}: 'x' }));`),
    `export const flat = workflow('flat', sequence(${names.join(', ')}));`,
    `export const output: Promise<{ n: number }> = flat.run({ n: 1, s0: 'x' });`,
    '',
  ].join('\n');
}

/** Blocks of ten tasks with a fork, a join, a reused task and a dag, put together by `sequence`. */
export function mixedSource(tasks) {
  const blocks = Math.max(1, Math.floor(tasks / 10));
  const names = Array.from({ length: blocks }, (_, i) => `block${i}`);
  return [
    `import { dag, node, sequence, task, workflow } from 'taskchart';`,
    `interface State { n: number; tag: string }`,
    ...names.map((_, i) => blockSource(i)),
    `export const mixed = workflow('mixed', sequence(${names.join(', ')}));`,
    `export const output: Promise<{ n: number; tag: string }> = mixed.run({ n: 1, tag: 'x' });`,
    '',
  ].join('\n');
}

function blockSource(i) {
  return `
const check${i} = task('check${i}', async (s: State) => ({ ...s, ok: s.n > ${i} }), { retry: { attempts: 3 } });
const inner${i} = dag({
  load${i}: node(task('load${i}', async (s: State & { ok: boolean }) => [s.n, s.ok ? 1 : 0])),
  sum${i}: node(task('sum${i}', async ({ load${i}: xs }: { load${i}: number[] }) => xs.reduce((a, b) => a + b, 0)), { needs: ['load${i}'] }),
  max${i}: node(task('max${i}', async ({ load${i}: xs }: { load${i}: number[] }) => Math.max(...xs)), { needs: ['load${i}'] }),
});
const block${i} = task('start${i}', async (s: State) => ({ n: s.n + 1, tag: s.tag, items: [{ id: ${i}, name: s.tag }] }))
  .fork({
    left${i}: async ({ items }) => items.map((item) => ({ id: item.id, city: item.name })),
    right${i}: async ({ n, tag }) => ({ n, tag }),
    middle${i}: ({ items }) => items.length,
  })
  .withPolicy({ critical: ['right${i}', 'left${i}'] })
  .to('join${i}', ({ left${i}: left, right${i}: right, middle${i}: middle }) => ({ n: right.n + left.length + (middle ?? 0), tag: right.tag }))
  .to(check${i})
  .to(inner${i})
  .to('end${i}', ({ sum${i}: sum, max${i}: max }) => ({ n: sum + max, tag: 'x' }));`;
}
