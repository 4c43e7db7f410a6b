/** ACCEPTANCE 48–51 at the public border: refused early, nothing half-started, nothing polluted. The tables of values and ids are in test/bad-input. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { channelKey, contract, dag, each, node, parallel, sequence, sleep, task, waitFor, workflow, DefinitionError, TaskError, ValueError, isTaskchartError } from 'taskchart';
import { workflow as inBrowser } from '../../src/browser.ts';
import { z } from 'zod';
import { drive, TestClock } from './support/clock.ts';
import { Trace } from './support/trace.ts';
import { rejection, thrownBy } from './support/watch.ts';

const prototypes = [Object.prototype, Array.prototype, Function.prototype, Promise.prototype, Map.prototype, Error.prototype] as const;
const namesOf = (): string => prototypes.map((prototype) => Object.getOwnPropertyNames(prototype).join()).join('|');
const before = namesOf();

afterEach(() => {
  expect(namesOf()).toBe(before);
  expect(({} as { polluted?: unknown }).polluted).toBe(undefined);
});

const ok = (id: string) => task(id, (n: number) => n);

describe('48. ids', () => {
  const bad = ['__proto__', 'constructor', '', 'x'.repeat(201), 'a|b', 'a:b', 'a b', 'a\u0007b', 'a\nb', 'prototype', 'toString', '-a', 'a/b'];
  const makers: readonly [name: string, make: (id: string) => unknown][] = [
    ['task', (id) => ok(id)],
    ['.to', (id) => ok('a').to(id, (n) => n)],
    ['.fork', (id) => ok('a').fork(Object.fromEntries([[id, () => 1]]))],
    ['.as of a task', (id) => ok('a').as(id)],
    ['.as of a flow', (id) => ok('a').to(ok('b')).as(id)],
    ['.as of a group', (id) => parallel(ok('a')).as(id)],
    ['.recover', (id) => ok('a').recover(id, () => 1)],
    ['workflow', (id) => workflow(id, ok('a'))],
    ['workflow.as', (id) => workflow('w', ok('a')).as(id)],
    ['contract', (id) => contract(id, { input: z.number(), output: z.number() })],
    ['waitFor', (id) => waitFor(id)],
    ['sleep.as', (id) => sleep(1).as(id)],
    ['dag', (id) => dag(Object.fromEntries([[id, node(ok('a'))]]))],
    ['channelKey', (id) => channelKey(id)],
    ['run id', (id) => workflow('w', ok('a')).start(1, { runId: id })],
  ];

  it.each(makers)('48. %s refuses each of them with the grammar', (_name, make) => {
    for (const id of bad) {
      const error = thrownBy(() => make(id));
      expect(error, JSON.stringify(id)).toBeInstanceOf(DefinitionError);
      expect(error).toMatchObject({ code: 'definition/bad-id' });
      expect(error['hint']).toContain('letters, digits and _ . @ -');
      expect(error.message.length).toBeLessThan(250);
    }
  });

  it('48. a sequence of 5,000 steps and 10,000 tasks work', async () => {
    const steps = Array.from({ length: 5000 }, (_, index) => task(`s${index}`, (n: number) => n + 1));
    expect(await workflow('long', (sequence as (...given: unknown[]) => ReturnType<typeof ok>)(...steps)).run(0)).toBe(5000);
    let chain: { to(next: ReturnType<typeof ok>): unknown } = ok('c0');
    for (let index = 1; index < 10_000; index += 1) chain = chain.to(task(`c${index}`, (n: number) => n + 1)) as typeof chain;
    expect(await workflow('longer', chain as never).run(0 as never)).toBe(9999);
    const wide = Array.from({ length: 10_000 }, (_, index) => task(`w${index}`, (n: number) => n + index));
    const output = (await workflow('wide', (parallel as unknown as (...given: unknown[]) => ReturnType<typeof ok>)(...wide)).run(1)) as unknown as Record<string, number>;
    expect(Object.keys(output)).toHaveLength(10_000);
    expect(output['w9999']).toBe(10_000);
  });

  it('48. groups that nest 2,000 deep work, and so does a snapshot in the midst of them', async () => {
    const group = parallel as unknown as (step: unknown) => { as(id: string): { to(id: string, run: () => number): unknown } };
    let deep: unknown = waitFor('go');
    for (let depth = 0; depth < 2000; depth += 1) deep = group(deep).as(`g${depth}`).to(`t${depth}`, () => depth);
    const flow = workflow('deep', deep as ReturnType<typeof ok>);
    const run = flow.start(7);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'run.waiting' && resolve()));
    const again = flow.resume(JSON.stringify(run.snapshot()));
    again.signal('go', 1);
    expect(await again.result).toBe(1999);
    run.cancel();
    await rejection(run.result);
  });
});

describe('49. options', () => {
  const cases: readonly [name: string, make: () => unknown, echo: RegExp][] = [
    ...[-1, 0, Number.NaN, 1.5, '3', null, Infinity].map((attempts): [string, () => unknown, RegExp] => [
      `attempts ${JSON.stringify(attempts)}`, () => task('t', () => 1, { retry: { attempts: attempts as number } }), new RegExp(`retry\\.attempts .*${typeof attempts === 'string' ? '"3" \\(string\\)' : attempts === null ? 'null' : `${attempts} \\(number\\)`}`),
    ]),
    ['concurrency 0 of a group', () => each(ok('a')).withExecution({ backend: 'local', concurrency: 0 }), /concurrency .* 0 \(number\)/],
    ['concurrency 0 of a run', () => workflow('w', ok('a')).start(1, { concurrency: 0 }), /concurrency .* 0 \(number\)/],
    ['concurrency of with', () => workflow('w', ok('a')).with({ concurrency: 1.5 }), /concurrency .* 1\.5 \(number\)/],
    ['maxSteps -1', () => workflow('w', ok('a')).with({ maxSteps: -1 }), /maxSteps .* -1 \(number\)/],
    ['a negative timeout', () => task('t', () => 1, { timeout: -5 }), /timeout .* -5 \(number\)/],
    ['a timeout that is a text', () => task('t', () => 1, { timeout: '5s' as never }), /timeout .*"5s" \(string\)/],
    ['a negative timeout of a wait', () => waitFor('w', { timeout: -1 }), /timeout .* -1 \(number\)/],
    ['a negative sleep', () => sleep(-1), /sleep .* -1 \(number\)/],
    ['maxIterations 0', () => task('t', () => 1, { maxIterations: 0 }), /maxIterations .* 0 \(number\)/],
    ['an unknown backoff', () => task('t', () => 1, { retry: { attempts: 2, backoff: 'exponental' as never } }), /backoff .*"exponental" \(string\)/],
    ['jitter 2', () => task('t', () => 1, { retry: { attempts: 2, jitter: 2 } }), /jitter .* 2 \(number\)/],
    ['an unknown option', () => task('t', () => 1, { retries: 3 } as never), /no option .*retries/],
    ['an unknown option of a run', () => workflow('w', ok('a')).start(1, { concurency: 2 } as never), /no option .*concurency/],
    ['an unknown backend', () => each(ok('a')).withExecution({ backend: 'remote' as never }), /backend .*"remote" \(string\)/],
    ['redis without settings', () => each(ok('a')).withExecution({ backend: 'redis' } as never), /backendConfig .*undefined/],
    ['batch 0', () => each(ok('a'), { batch: 0 }), /batch .* 0 \(number\)/],
    ['an unknown policy', () => each(ok('a')).withPolicy('lenient' as never), /"lenient" \(string\)/],
    ['atLeast 0', () => each(ok('a')).withPolicy({ atLeast: 0 }), /atLeast .* 0 \(number\)/],
  ];

  it.each(cases)('49. %s is refused, echoing value and type', (_name, make, echo) => {
    const error = thrownBy(make);
    expect(error).toBeInstanceOf(DefinitionError);
    expect(error.message).toMatch(echo);
    expect(error.message.length).toBeLessThan(300);
  });

  it('49. a backend that is not there is an error before anything runs, and says what is missing', async () => {
    const t = new Trace();
    // The browser's entry has no way to Redis.
    const flow = inBrowser('w', sequence(t.task('a', (n: number) => [n]), each(t.task('b', (n: number) => n)).withExecution({ backend: 'redis', backendConfig: { url: 'redis://user:secret@h/' } })));
    const error = await rejection(flow.run(1));
    expect(error).toMatchObject({ name: 'DefinitionError', code: 'definition/backend-unavailable' });
    expect(`${error.message} ${String(error['hint'])}`).toContain('redis');
    expect(JSON.stringify([error.message, error['hint'], error['details'], flow.graph])).not.toContain('secret');
    expect(t.started).toEqual([]);
  });
});

describe('50. results', () => {
  class Account {
    owner = 'x';
  }
  const nested = (levels: number): unknown => {
    let value: unknown = 1;
    for (let level = 0; level < levels; level += 1) value = [value];
    return value;
  };
  const hostile: readonly [name: string, make: () => unknown, path: string][] = [
    ['nested undefined', () => ({ a: [{ b: undefined }] }), 'output.a[0].b'],
    ['a function', () => ({ f: () => 1 }), 'output.f'],
    ['a symbol', () => [Symbol('s')], 'output[0]'],
    ['a class instance', () => ({ account: new Account() }), 'output.account'],
    ['a throwing getter', () => ({ get x() { throw new Error('trap'); } }), 'output.x'],
    ['a sparse array', () => [1, , 3], 'output[1]'], // oxlint-disable-line no-sparse-arrays
    ['depth over 100', () => nested(101), 'output'],
    ['depth of 100,000', () => nested(100_000), 'output'],
    ['over the size limit', () => ['x'.repeat(20_000_000), 'x'.repeat(20_000_000)], 'output[1]'],
    ['an Error', () => ({ error: new Error('m') }), 'output.error'],
    ['a revoked proxy', () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return { proxy };
    }, 'output.proxy'],
  ];

  it('50. undefined on top is no value, and the same after a restore', async () => {
    const flow = (seen: unknown[]) => workflow('nothing', sequence(task('a', () => undefined), waitFor('go'), parallel(task('b', () => undefined), task('c', (value: unknown) => void seen.push(value))), task('d', (value: unknown) => void seen.push(value))));
    const seen: unknown[] = [];
    const run = flow(seen).start(undefined);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'run.waiting' && resolve()));
    const again = flow(seen).resume(JSON.stringify(run.snapshot()));
    for (const each of [run, again]) {
      each.signal('go');
      expect(await each.result).toBe(undefined);
    }
    expect(seen).toEqual([undefined, {}, undefined, {}]);
  });

  it.each(hostile)('50. %s: ValueError with the path, no retry, and the run is intact', async (_name, make, path) => {
    let calls = 0;
    const t = new Trace();
    const flow = workflow('intact', sequence(
      t.task('first', (n: number) => n),
      task('bad', () => {
        calls += 1;
        return make() as null;
      }, { retry: { attempts: 5, delay: 1000 } }).recover('told', ({ code, details }) => ({ code: code ?? '', path: details?.['path'] as string })),
      waitFor('go'),
      task('end', (word: unknown) => word as string),
    ));
    const run = flow.start(1);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'run.waiting' && resolve()));
    expect(calls).toBe(1);
    const again = flow.resume(JSON.stringify(run.snapshot()));
    for (const each of [run, again]) {
      each.signal('go', 'on');
      expect(await each.result).toBe('on');
    }
    const error = await rejection(workflow('fails', task('bad', () => make() as null)).run(undefined));
    expect(error).toBeInstanceOf(ValueError);
    expect(String((error as unknown as ValueError).path).startsWith(path)).toBe(true);
    expect(error.message.length).toBeLessThan(450);
  });

  it.each(hostile)('50. the same in a member of a group: %s', async (_name, make) => {
    const flow = workflow('group', each(task('item', (n: number) => (n === 2 ? (make() as number) : n), { retry: { attempts: 3 } })).withPolicy('bestEffort'));
    expect(await flow.run([1, 2, 3])).toEqual([1, null, 3]);
  });

  it('50. a step that is returned or awaited by mistake is named', async () => {
    const other = ok('other');
    expect(await rejection(workflow('returns', task('bad', () => other as unknown as number)).run(undefined))).toMatchObject({ code: 'task/bad-result' });
    expect(await rejection(workflow('awaits', task('bad', async () => (await (other as unknown as Promise<number>)))).run(undefined))).toMatchObject({ code: 'task/bad-result' });
    expect('then' in other).toBe(false);
  });

  it('50. a hostile input starts nothing, and a hostile signal changes nothing', async () => {
    const t = new Trace();
    const flow = workflow('w', sequence(t.task('a', (value: unknown) => value as null), waitFor('go')));
    for (const [, make] of hostile) {
      expect(thrownBy(() => flow.start(make()))).toBeInstanceOf(ValueError);
      expect(await rejection(flow.run(make()))).toBeInstanceOf(ValueError);
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(t.started).toEqual([]);
    const run = flow.start(1);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'run.waiting' && resolve()));
    for (const [, make] of hostile) expect(thrownBy(() => run.signal('go', make()))).toBeInstanceOf(ValueError);
    expect(run.status().state).toBe('waiting');
    run.signal('go', 'fine');
    expect(await run.result).toBe('fine');
  });

  it('50. keys that are dangerous elsewhere are only data', async () => {
    const value = { constructor: 'c', prototype: 1, toString: 'y', hasOwnProperty: 1, then: 1, length: 3, sessionId: 's', send: 's' };
    const flow = workflow('keys', sequence(task('a', (given: unknown) => given as typeof value), parallel(task('b', (given: unknown) => given as null), task('c', (): null => {
      throw new Error('c');
    })).recover('r', ({ input }) => input as null), waitFor('go')));
    const run = flow.start(value as never);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'run.waiting' && resolve()));
    const again = flow.resume(JSON.stringify(run.snapshot()));
    again.signal('go', value);
    expect(await again.result).toEqual(value);
  });

  it('50. the channel refuses keys and values that cannot be, and holds nothing of a failed attempt', async () => {
    const says = async (how: (channel: { set(key: string, value: never): void; add(key: string, amount?: number): void; append(key: string, value: never): void }) => void) =>
      rejection(workflow('channel', task('t', (_: unknown, ctx) => how(ctx.channel as never))).run(undefined));
    for (const key of ['__proto__', 'constructor', '', 'toString']) expect(await says((channel) => channel.set(key, 1 as never))).toBeInstanceOf(TaskError);
    expect(await says((channel) => channel.add('n', Number.NaN))).toBeInstanceOf(ValueError);
    expect(await says((channel) => channel.add('n', '1' as never))).toBeInstanceOf(TaskError);
    expect(await says((channel) => (channel.set('k', 'text' as never), channel.add('k', 1)))).toBeInstanceOf(TaskError);
    expect(await says((channel) => (channel.set('k', 1 as never), channel.append('k', 1 as never)))).toBeInstanceOf(TaskError);
    const flow = workflow('attempts', sequence(task('t', (_: unknown, ctx) => {
      ctx.channel.add('n', ctx.attempt);
      if (ctx.attempt < 3) throw new Error('again');
      return null;
    }, { retry: { attempts: 3 } }), task('read', (_: unknown, ctx) => ctx.channel.get('n') as number)));
    expect(await flow.run(undefined)).toBe(3);
  });

  it('50. two members whose channel writes do not fit: the later one fails, the earlier one stays', async () => {
    const flow = workflow('misfit', parallel(
      task('a', (_: unknown, ctx) => ctx.channel.set('k', 'text') ?? 1),
      task('b', (_: unknown, ctx) => ctx.channel.add('k', 1) ?? 2).recover('mend', ({ code }) => code ?? ''),
    ).withExecution({ backend: 'local', concurrency: 2 }).to('read', (given, ctx) => ({ ...given, k: ctx.channel.get('k') as string })));
    expect(await flow.run(undefined)).toEqual({ a: 1, b: 'task/channel', k: 'text' });
  });
});

describe('51. tasks that misbehave', () => {
  it.each([
    ['a text', 'boom', 'boom'], ['undefined', undefined, 'undefined'], ['null', null, 'null'], ['a number', 42, '42'], ['an object', { secret: 'x' }, ''], ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['a function', () => 1, 'function'], ['a BigInt', 1n, '1n'], ['a hostile proxy', new Proxy({}, { get: () => { throw new Error('trap'); } }), ''],
  ])('51. throwing %s is wrapped', async (_name, thrown, says) => {
    const flow = workflow('throws', task('bad', () => {
      throw thrown as Error;
    }, { retry: { attempts: 2 } }));
    const error = await rejection(flow.run(undefined));
    expect(error).toMatchObject({ name: 'RetryLimitError', attempts: 2 });
    expect(isTaskchartError(error.cause)).toBe(true);
    expect((error.cause as Error).message).toContain(says);
    const rejects = workflow('rejects', each(task('bad', (): Promise<number> => Promise.reject(thrown as Error))).withPolicy('bestEffort'));
    expect(await rejects.run([1])).toEqual([null]);
  });

  it('51. a promise that is settled twice: the first wins', async () => {
    const flow = workflow('twice', task('t', () => new Promise<string>((resolve, reject) => {
      resolve('first');
      reject(new Error('second'));
      resolve('third');
    })));
    expect(await flow.run(undefined)).toBe('first');
    const thenable = workflow('thenable', task('t', () => ({ then(resolve: (value: string) => void, reject: (error: Error) => void) {
      resolve('first');
      reject(new Error('second'));
    } }) as unknown as Promise<string>));
    expect(await thenable.run(undefined)).toBe('first');
  });

  it('51. a task that never settles: its timeout ends it', async () => {
    const clock = new TestClock();
    const flow = workflow('hangs', parallel(task('hangs', () => new Promise<number>(() => undefined), { timeout: 50, retry: { attempts: 2 } }), task('ok', () => 1)).withPolicy('bestEffort'));
    expect(await drive(flow.start(undefined, { clock }), clock)).toEqual({ kind: 'completed', output: { ok: 1 } });
    expect(clock.now() - 1_000_000).toBe(100);
  });

  it('51. ctx that is used after the task has settled has no effect, and says so', async () => {
    let late: unknown;
    const t = new Trace();
    const side = t.task('side', () => 1);
    const flow = workflow('late', sequence(t.task('a', (_: unknown, ctx) => {
      setImmediate(() => {
        late = thrownBy(() => ctx.nextTask(side));
        expect(thrownBy(() => ctx.channel.set('k', 1))).toBeInstanceOf(TaskError);
      });
      return 1;
    }), t.task('b', (n: number) => n, { turns: 3 })));
    expect(await flow.run(undefined)).toBe(1);
    expect(late).toMatchObject({ code: 'task/late-call' });
    expect(t.started).toEqual(['a', 'b']);
  });

  it('51. a listener, an inspector and a policy that throw do not take the run along', async () => {
    const flow = workflow('robust', each(task('a', (n: number) => n)).withPolicy(() => {
      throw new Error('policy');
    }).recover('r', ({ message }) => message.includes('policy')));
    const errors: unknown[] = [];
    const { error: print } = console;
    console.error = (...given: unknown[]) => void errors.push(given);
    try {
      const run = flow.start([1]);
      run.on(() => {
        throw new Error('listener');
      });
      expect(await run.result).toBe(true);
    } finally {
      console.error = print;
    }
    expect(errors).toHaveLength(1);
  });

  it.each([
    ['calls process.exit', 'exit', 3],
    ['kills its process', 'kill', null],
    ['never settles, without a timeout', 'hang', 13],
  ])('51. a task that %s: the run is resumed in another process, from what was stored', (_name, how, status) => {
    const folder = mkdtempSync(join(tmpdir(), 'taskchart-'));
    try {
      const file = join(folder, 'run.json');
      const script = fileURLToPath(new URL('fixtures/crash.ts', import.meta.url));
      const child = (...args: string[]) => spawnSync(process.execPath, ['--import', 'tsx', script, file, ...args], { encoding: 'utf8', timeout: 30_000 });
      const first = child('start', how);
      expect(first.status, first.stderr).toBe(status);
      expect(first.stdout.match(/ (first|l|r|list|item|last)$/gm)).toEqual([' first', ' l', ' r', ' list', ' item', ' item']);
      const again = child('resume');
      expect(again.stderr).toBe('');
      expect(again.status).toBe(0);
      expect(again.stdout.split('\n').filter((line) => line.endsWith(' item'))).toHaveLength(2);
      expect(again.stdout).not.toMatch(/ (first|l|r|list)$/m);
      expect(again.stdout).toContain('ended "9,13,21"');
      // The member that ended the process is the one that runs again, under the same key.
      const keyOf = (text: string, at: number): string | undefined => text.split('\n').filter((line) => line.endsWith(' item')).at(at)?.split(' ')[0];
      expect(keyOf(again.stdout, 0)).toBe(keyOf(first.stdout, -1));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
