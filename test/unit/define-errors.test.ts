/** Wrong definitions: refused while they are built, with ids and paths. ACCEPTANCE 6, 22, 23, 48, 49. */
import { expect, test } from 'vitest';
import { DefinitionError, channelKey, contract, dag, each, node, parallel, sequence, sleep, task, waitFor, workflow } from '../../src/index.ts';
import { z } from 'zod';

const t = (id: string) => task(id, (input: unknown) => input as null);

/** What a JavaScript user may hand over, past the types. */
const anything = (value: unknown) => value as never;

function refused(build: () => unknown): DefinitionError {
  try {
    build();
  } catch (error) {
    expect(error).toBeInstanceOf(DefinitionError);
    const { message, hint = '' } = error as DefinitionError;
    expect(message.length).toBeLessThan(600);
    expect(hint).not.toContain('undefined');
    return error as DefinitionError;
  }
  throw new Error('nothing was refused');
}

test('6: two tasks with one id name the id and both paths', () => {
  const error = refused(() => workflow('w', sequence(t('a'), parallel(t('b'), t('x').to(t('a'))).as('g'))));
  expect(error.code).toBe('definition/duplicate-id');
  expect(error.message).toBe('Workflow "w": two steps have the id "a": at w > step 1 and at w > step 2 > member "a" > step 2.');
  expect(error.details).toMatchObject({ workflow: 'w', id: 'a', paths: ['w > step 1', 'w > step 2 > member "a" > step 2'] });
});

test('6: the same step twice suggests .as', () => {
  const a = t('a');
  const error = refused(() => workflow('w', a.to(t('b')).to(a)));
  expect(error.code).toBe('definition/duplicate-step');
  expect(error.message).toBe('Workflow "w": the step "a" is placed twice: at w > step 1 and at w > step 3.');
  expect(error.hint).toContain(".as('otherId')");
  const nap = sleep(5);
  expect(refused(() => workflow('w', sequence(nap, t('b'), nap))).code).toBe('definition/duplicate-step');
  const group = parallel(t('b'));
  expect(refused(() => workflow('w', sequence(group, group))).message).toContain('"parallel@1" is placed twice: at w > step 1 and at w > step 2');
});

test('6: ids clash across kinds, handlers, uses and nodes', () => {
  const cases = {
    handler: () => workflow('w', sequence(t('a'), t('b').recover('a', () => null))),
    group: () => workflow('w', sequence(t('a'), parallel(t('b')).as('a'))),
    wait: () => workflow('w', sequence(waitFor('a'), t('a'))),
    uses: () => workflow('w', t('a'), { uses: [t('a')] }),
    each: () => workflow('w', sequence(t('a'), anything(each(t('a'))))),
    dag: () => workflow('w', sequence(t('a'), dag({ n: node(t('a')) }))),
    unnamed: () => workflow('w', sequence(t('parallel@1'), parallel(t('b')))),
    workflow: () => workflow('w', sequence(t('inner'), workflow('inner', t('x')))),
  };
  const messages = Object.fromEntries(Object.entries(cases).map(([name, build]) => [name, refused(build).message]));
  expect(messages).toMatchObject({
    handler: expect.stringContaining('at w > step 1 and at w > step 2 > recover'),
    uses: expect.stringContaining('at w and at w > uses[0]'),
    each: expect.stringContaining('at w > step 2 > each'),
    dag: expect.stringContaining('at w > step 2 > node "n"'),
  });
  expect(refused(() => parallel(t('a'), t('a'))).message).toBe('Members 1 and 2 of parallel both have the id "a".');
});

test('6: empty groups, unnamed members, things that are no steps', () => {
  expect(refused(() => parallel()).code).toBe('definition/empty-group');
  expect(refused(() => t('a').fork({})).code).toBe('definition/empty-group');
  expect(refused(() => dag({})).code).toBe('definition/empty-group');
  expect(refused(() => sequence(...([] as never[]))).code).toBe('definition/empty-group');
  expect(refused(() => parallel(anything(parallel(t('a'))))).code).toBe('definition/unnamed-member');
  expect(refused(() => sequence(t('a'), anything(undefined))).message).toBe('Argument 2 of sequence must be a step, but is undefined.');
  expect(refused(() => t('a').to(anything(() => 1)))).toMatchObject({ code: 'definition/not-a-step', hint: "Give the function an id: task('id', fn)." });
  expect(refused(() => t('a').to(anything({ kind: 'task', id: 'x' }))).code).toBe('definition/not-a-step');
  expect(refused(() => each(anything('a'))).code).toBe('definition/not-a-step');
  expect(refused(() => workflow('w', anything(null))).message).toContain('The second argument of workflow "w" must be a step');
  expect(refused(() => workflow('w', t('a'), { uses: [anything(3)] })).message).toContain('uses[0]');
  expect(refused(() => task('a', anything('text'))).code).toBe('definition/not-a-step');
  expect(refused(() => t('a').to('b', anything(null))).code).toBe('definition/not-a-step');
  expect(refused(() => t('a').recover('b', anything(undefined))).code).toBe('definition/not-a-step');
  expect(refused(() => contract('c', anything({ input: z.string(), output: {} }))).code).toBe('definition/bad-schema');
  expect(refused(() => contract('c', { input: z.string(), output: z.string() }).implement(anything(null))).code).toBe('definition/bad-option');
});

test('6: a dag cycle is spelled out, an unknown need gets the nearest name', () => {
  const need = (id: string, ...needs: string[]) => node(t(id), anything({ needs }));
  const cycle = refused(() => dag(anything({ start: node(t('s')), a: need('a', 'start', 'c'), b: need('b', 'a'), c: need('c', 'b'), end: need('e', 'c') })));
  expect(cycle.code).toBe('definition/cycle');
  expect(cycle.message).toContain('a → c → b → a');
  expect(refused(() => dag(anything({ a: need('a', 'a') }))).message).toContain('a → a');
  const unknown = refused(() => dag(anything({ load: node(t('a')), b: need('b', 'laod') })));
  expect(unknown.code).toBe('definition/unknown-need');
  expect(unknown.message).toContain('Dag node "b" needs "laod"');
  expect(unknown.hint).toBe('Did you mean load?');
  expect(refused(() => dag(anything({ a: t('a') }))).message).toContain('must be made by node(step)');
});

test('22, 23: impossible policies are refused when they are given', () => {
  const group = parallel(t('t0'), t('t1'), t('t2'), t('t3'));
  const atLeast = refused(() => group.withPolicy({ atLeast: 9 }));
  expect(atLeast.code).toBe('definition/bad-policy');
  expect(atLeast.message).toContain('asks for 9 successes, but the group has 4 members');
  const critical = refused(() => group.withPolicy({ critical: anything(['t1', 'tt']) }));
  expect(critical.code).toBe('definition/bad-policy');
  expect(critical.message).toContain('names "tt", which is no member');
  for (const policy of ['lenient', null, 3, {}, { atLeast: 0 }, { atLeast: 1.5 }, { critical: [] }, { critical: 't0' }, { atLeast: 1, critical: ['t0'] }, { failFast: 'yes' }, { atleast: 2 }]) {
    expect(refused(() => group.withPolicy(anything(policy))).code).toBe('definition/bad-option');
  }
  expect(refused(() => each(t('a')).withPolicy(anything({ critical: ['a'] }))).code).toBe('definition/bad-option');
  const noPolicy = dag({ a: node(t('a')) }) as unknown as { withPolicy(policy: string): unknown };
  expect(refused(() => noPolicy.withPolicy('strict')).code).toBe('definition/bad-policy');
});

test('48: ids follow the grammar, wherever they are given', () => {
  const bad = ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', '', 'x'.repeat(201), 'a|b', 'a:b', 'a b', 'a\u0000b', 'a\nb', 'a/b', '-a', '.a', 5, null, undefined, Symbol('a')];
  for (const id of bad) {
    const builds = [
      () => task(anything(id), () => 1), () => contract(anything(id), { input: z.string(), output: z.string() }), () => t('a').as(anything(id)), () => t('a').recover(anything(id), () => 1),
      () => workflow(anything(id), t('a')), () => waitFor(anything(id)), () => sleep(1).as(anything(id)), () => parallel(t('a')).as(anything(id)), () => sequence(t('a')).as(anything(id)), () => channelKey(anything(id)),
    ];
    for (const build of builds) expect(refused(build)).toMatchObject({ code: 'definition/bad-id', hint: expect.stringContaining('1 to 200 characters') });
    if (typeof id === 'string') {
      const own = Object.defineProperty({}, id, { value: () => 1, enumerable: true });
      expect(refused(() => t('a').fork(own)).code).toBe('definition/bad-id');
    }
  }
  for (const id of ['a', '_a', '1', 'sum@v2', 'größe', '名前', 'a.b-c', 'x'.repeat(200)]) expect(task(id, () => 1).id).toBe(id);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

test('49: options are refused with path, value and type', () => {
  const bad: [unknown, string][] = [
    [{ retry: { attempts: -1 } }, 'Option task "a".retry.attempts must be an integer of at least 1, but is -1 (number).'],
    [{ retry: { attempts: 0 } }, 'is 0 (number)'], [{ retry: { attempts: Number.NaN } }, 'is NaN (number)'], [{ retry: { attempts: 1.5 } }, 'is 1.5 (number)'],
    [{ retry: { attempts: '3' } }, 'is "3" (string)'], [{ retry: {} }, 'is undefined (undefined)'], [{ retry: 3 }, '(number)'], [{ retry: { attempts: 2, backoff: 'cubic' } }, '"cubic"'],
    [{ retry: { attempts: 2, delay: -5 } }, '.retry.delay'], [{ retry: { attempts: 2, jitter: 2 } }, '.retry.jitter'], [{ retry: { attempts: 2, factor: 0.5 } }, '.retry.factor'],
    [{ timeout: -1 }, '.timeout'], [{ timeout: Infinity }, '.timeout'], [{ timeout: '5' }, '"5" (string)'], [{ maxIterations: 0 }, '.maxIterations'], [{ retries: 3 }, 'There is no option'], ['fast', '(string)'], [[], '(array)'], [null, '(null)'],
  ];
  for (const [options, text] of bad) {
    for (const build of [() => task('a', () => 1, anything(options)), () => t('x').to('a', () => 1, anything(options))]) {
      const error = refused(build);
      expect(error.code).toBe('definition/bad-option');
      expect(error.message).toContain(text);
    }
  }
});

test('49: executions and other options too, and a secret is never echoed', () => {
  const group = parallel(t('a'));
  const executions: unknown[] = [
    undefined, 'local', {}, { backend: 'cloud' }, { backend: 'local', concurrency: 0 }, { backend: 'local', concurrency: 1.5 }, { backend: 'direct', concurrency: 2 }, { backend: 'threads' },
    { backend: 'threads', backendConfig: {} }, { backend: 'threads', backendConfig: { module: 'x', maxThreads: 0 } }, { backend: 'redis' }, { backend: 'redis', backendConfig: { password: 'hunter2' } },
    { backend: 'redis', backendConfig: { url: 'redis://:hunter2@h', host: 'h' } }, { backend: 'redis', backendConfig: { host: 'h', password: 5 } }, { backend: 'redis', backendConfig: { url: 'redis://:hunter2@h', port: 0 } },
    { backend: 'local', limit: 3 }, { backend: 'local', backendConfig: { a: 1 } },
  ];
  for (const execution of executions) {
    const error = refused(() => group.withExecution(anything(execution)));
    expect(error.code).toBe('definition/bad-option');
    expect(`${error.message}${error.hint}${JSON.stringify(error.details)}`).not.toContain('hunter2');
  }
  for (const build of [() => each(t('a'), { batch: 0 }), () => sleep(-1), () => sleep(anything('5')), () => waitFor('a', { timeout: 0 }), () => node(t('a'), anything({ needs: 'a' })), () => workflow('w', t('a'), anything({ use: [] })), () => workflow('w', t('a'), anything({ uses: t('b') }))]) {
    expect(refused(build).code).toBe('definition/bad-option');
  }
});
