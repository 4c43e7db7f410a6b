/** `taskchart run` and `taskchart graph` as processes: what goes where, exit codes, signals, runs that cannot go on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bench, Screen, hasTerminal } from './workbench.ts';

const bench = new Bench();
afterAll(() => bench.remove());

/** What another copy of the package exports: the brand and the methods, of other classes. */
function foreign(output: string): string {
  return `{
    [Symbol.for('taskchart.step')]: { kind: 'workflow' }, id: 'foreign', graph: { nodes: {}, uses: [], root: 'x' }, describe: () => 'described', mermaid: () => '',
    start: () => ({ id: 'r', result: Promise.resolve(${output}), on: () => () => undefined, cancel() {}, status: () => ({ waitsFor: [], queued: 0 }) }),
  }`;
}

beforeAll(() => {
  bench.write('id.mjs', `import { task, workflow } from 'taskchart'; export default workflow('id', task('id', (x) => { console.log('a word'); return x; }));`);
  bench.write('typed.ts', `
    import { each, task, workflow } from 'taskchart';
    enum Factor { Two = 2 }
    const double = task('double', async (n: number): Promise<number> => n * Factor.Two);
    export const doubled = workflow('doubled', task('list', (n: number) => Array.from({ length: n }, (_, at) => at)).to(each(double)));`);
  bench.write('commonjs/package.json', '{ "type": "commonjs" }');
  bench.write('commonjs/flow.cts', `const made: object = ${foreign('7')}; exports.flow = made;`);
  bench.write('foreign.mjs', `export default ${foreign('{ foreign: true }')};`);
  bench.write('input.json', '\ufeff{"city":"Oslo"}');
  bench.write('ends.mts', `
    import { parallel, sleep, task, waitFor, workflow } from 'taskchart';
    const boom = (id: string) => task(id, (): number => { throw new Error('no ' + id); });
    export const nothing = workflow('nothing', task('n', () => undefined));
    export const stuck = workflow('stuck', task('hang', () => new Promise<number>(() => undefined)));
    export const approval = workflow('approval', task('ask', () => 1).to(waitFor('approval')));
    export const quits = workflow('quits', task('quit', () => { process.exit(0); }));
    export const cancels = workflow('cancels', task('c', (_: undefined, ctx) => ctx.cancel('enough')));
    export const limited = workflow('limited', task('l', (n: number, ctx) => ctx.nextIteration(n)));
    export const group = workflow('group', parallel(task('a', () => 1), boom('b'), boom('c')));
    export const retried = workflow('retried', task('r', () => { throw new Error('x'.repeat(9000) + 'END', { cause: new TypeError('inner\\u001b[31m') }); }, { retry: { attempts: 2 } }));
    export const sleeps = workflow('sleeps', sleep(200).to('x', () => 5));
    export const held = workflow('held', task('h', () => { setInterval(() => undefined, 1000); return 1; }));`);
  bench.write('signals.mts', `
    import { task, workflow } from 'taskchart';
    export const polite = workflow('polite', task('p', (_: undefined, ctx) => new Promise((_done, fail) => {
      const timer = setInterval(() => undefined, 1000);
      ctx.signal.addEventListener('abort', () => { clearInterval(timer); console.log('cleaned up'); fail(ctx.signal.reason); });
      console.log('ready');
    })));
    export const deaf = workflow('deaf', task('d', () => { console.log('ready'); return new Promise((done) => setTimeout(done, 60_000)); }));
    export const blocked = workflow('blocked', task('b', (_: undefined, ctx) => {
      ctx.signal.addEventListener('abort', () => { console.log('blocking'); for (;;); });
      console.log('ready');
      return new Promise((done) => setTimeout(done, 60_000));
    }));`);
  bench.write('remote.mts', `
    import { each, task, workflow } from 'taskchart';
    export default workflow('remote', task('list', () => [1, 2]).to(each(task('n', (n: number) => n)).withExecution({ backend: 'redis', backendConfig: { url: 'redis://127.0.0.1:1' } })));`);
  bench.write('show.mts', `
    import { each, task, workflow } from 'taskchart';
    const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));
    // On a terminal one member waits until the tree has been drawn with the fan-out under way, however slow the machine is.
    const drawn = async () => { for (const before = process.stderr.bytesWritten; process.stderr.isTTY && process.stderr.bytesWritten === before; ) await wait(5); };
    export default workflow('show', task('list', () => Array.from({ length: 60 }, (_, at) => at))
      .to(each(task('resize', async (n: number) => { await wait(50); if (n === 12) await drawn(); if (n === 7) console.log('seven'); return n; })).withExecution({ backend: 'local', concurrency: 10 }))
      .to('end', (all) => all.length));`);
});

describe('a run', () => {
  it('prints its output as JSON on stdout, and the rest on stderr', async () => {
    expect(await bench.run('run', 'id.mjs', '--input', '{"a":[1,null]}')).toMatchObject({ code: 0, stdout: '{\n  "a": [\n    1,\n    null\n  ]\n}\n', stderr: 'a word\n' });
    expect(await bench.run('run', 'id.mjs', '--input', '{"a":[1,null]}', '--json')).toMatchObject({ code: 0, stdout: '{"a":[1,null]}\n' });
    expect(await bench.run('run', 'ends.mts', '--workflow', 'nothing')).toMatchObject({ code: 0, stdout: '' });
  });

  it('takes input from a file and from stdin', async () => {
    expect(await bench.run('run', 'id.mjs', '--input', '@input.json', '--json')).toMatchObject({ code: 0, stdout: '{"city":"Oslo"}\n' });
    expect(await bench.runWith('"Bergen"\n', 'run', 'id.mjs', '--input', '-')).toMatchObject({ code: 0, stdout: '"Bergen"\n' });
  });

  it('takes TypeScript, CommonJS, and a workflow of another copy of the package', async () => {
    expect(await bench.run('run', 'typed.ts', '--input', '3', '--json', '--concurrency', '4')).toMatchObject({ code: 0, stdout: '[0,2,4]\n', stderr: '' });
    expect(await bench.run('run', 'commonjs/flow.cts')).toMatchObject({ code: 0, stdout: '7\n', stderr: '' });
    expect(await bench.run('run', 'foreign.mjs', '--json')).toMatchObject({ code: 0, stdout: '{"foreign":true}\n', stderr: '' });
    expect(await bench.run('graph', 'foreign.mjs')).toMatchObject({ code: 0, stdout: 'described\n' });
  });

  it('leaves when it is done, also where a task holds the process', async () => {
    expect(await bench.run('run', 'ends.mts', '--workflow', 'held')).toMatchObject({ code: 0, stdout: '1\n' });
    expect(await bench.run('run', 'ends.mts', '--workflow', 'sleeps')).toMatchObject({ code: 0, stdout: '5\n' });
  });

  it('says events as JSON lines, for programs', async () => {
    const { stderr, stdout } = await bench.run('run', 'typed.ts', '--input', '2', '--watch', '--json');
    const types = stderr.trimEnd().split('\n').map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types.filter((type) => type === 'task.completed')).toHaveLength(3);
    expect(types.at(-1)).toBe('run.completed');
    expect(stdout).toBe('[0,2]\n');
    const failed = await bench.run('run', 'ends.mts', '--workflow', 'retried', '--json');
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(JSON.parse(failed.stderr)).toMatchObject({ error: { name: 'RetryLimitError', code: 'task/retry-limit', cause: { name: 'Error', cause: { name: 'TypeError' } } } });
    expect(failed.stderr.length).toBeLessThan(1500);
  });
});

describe('a run that fails', () => {
  it('tells name, message, hint and causes, and at most 200 characters of data', async () => {
    const { code, stdout, stderr } = await bench.run('run', 'ends.mts', '--workflow', 'retried');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/^RetryLimitError: task "r" of workflow "retried" failed 2 times.*: x{199}… \[task\/retry-limit\]$/) as string,
      expect.stringMatching(/^ {2}hint: /) as string,
      expect.stringMatching(/^ {2}caused by Error: x{199}…$/) as string,
      '    caused by TypeError: inner',
      '',
    ]);
  });

  it('tells the members of a group, and limits', async () => {
    const group = await bench.run('run', 'ends.mts', '--workflow', 'group');
    expect(group.code).toBe(1);
    for (const text of ['ParallelGroupError', 'no b', 'no c']) expect(group.stderr).toContain(text);
    const limit = await bench.run('run', 'ends.mts', '--workflow', 'limited', '--input', '1', '--max-steps', '5');
    expect(limit).toMatchObject({ code: 1, stderr: expect.stringContaining('StepLimitError') as string });
  });

  it('has a code of its own when a task cancels it', async () => {
    const { code, stderr } = await bench.run('run', 'ends.mts', '--workflow', 'cancels');
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining('enough') as string });
  });
});

describe('a run that cannot go on', () => {
  it.each<[string, string, number, RegExp]>([
    ['a task that never settles', 'stuck', 4, /it waits for task hang, which has not settled\n.*timeout/],
    ['a signal that nobody gives', 'approval', 4, /it waits for the signal approval, for .*\n.*run\.signal\('approval'/],
    ['a task that ends the process', 'quits', 1, /the process was ended with code 0 before the run had ended\n.*task quit/],
  ])('says what it waits for: %s', async (_what, id, code, text) => {
    const end = await bench.run('run', 'ends.mts', '--workflow', id);
    expect(end).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(text) as string });
  });
});

describe('signals', () => {
  it('cancel the run, and let its tasks clean up', async () => {
    const { child, finished, says } = bench.start('run', 'signals.mts', '--workflow', 'polite');
    await says('ready');
    child.kill('SIGINT');
    const end = await finished;
    expect(end).toMatchObject({ code: 130, stdout: '' });
    expect(end.stderr).toContain('cleaned up');
    expect(end.stderr).toContain('cancelled by SIGINT');
  });

  it('have the exit code that a shell gives them', async () => {
    const { child, finished, says } = bench.start('run', 'signals.mts', '--workflow', 'polite', '--watch');
    await says('ready');
    child.kill('SIGTERM');
    expect(await finished).toMatchObject({ code: 143, stderr: expect.stringContaining('polite: cancelled after') as string });
  });

  it('kill when a second one comes, also where a task blocks', async () => {
    const deaf = bench.start('run', 'signals.mts', '--workflow', 'deaf');
    await deaf.says('ready');
    deaf.child.kill('SIGINT');
    await deaf.says('cancelled by SIGINT');
    deaf.child.kill('SIGINT');
    expect(await deaf.finished).toMatchObject({ code: null, signal: 'SIGINT' });
    const blocked = bench.start('run', 'signals.mts', '--workflow', 'blocked');
    await blocked.says('ready');
    blocked.child.kill('SIGINT');
    await blocked.says('blocking');
    blocked.child.kill('SIGINT');
    expect(await blocked.finished).toMatchObject({ code: null, signal: 'SIGINT' });
  });
});

describe('--watch', () => {
  it('writes plain lines where there is no terminal', async () => {
    const { code, stdout, stderr } = await bench.run('run', 'show.mts', '--watch');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '60\n' });
    expect(stderr).toMatch(/^show: started\n(.*\n)*each resize: 60 done in .*\n(.*\n)*show: completed in .*, 62 done\n$/);
    expect(stderr).toContain('seven\n');
    expect(stderr).not.toContain('\u001b');
  });

  it.runIf(hasTerminal)('draws a tree on a terminal, keeps printed lines above it, and gives the cursor back', async () => {
    const { code, received } = await bench.onTerminal(20, 70, 'run', 'show.mts', '--watch');
    expect(code).toBe(0);
    const screen = new Screen(20, 70);
    // Each frame is one write that ends by clearing what is below it.
    // eslint-disable-next-line no-control-regex
    for (const frame of received.replaceAll('\r\n', '\n\r').split(/(?<=\u001b\[0J)/u)) screen.write(frame);
    expect(screen.cursorShown).toBe(true);
    expect(screen.seen.some((frame) => /▸ each resize {2}[█░]{12} \d+\/60 done, \d+ running/.test(frame))).toBe(true);
    expect(screen.text).toMatch(/^seven\n✔ show {2}completed .*, 62 done\n {2}✔ list +\d+ ms\n {2}✔ each resize {2}60 done {2}\d+ ms\n {2}✔ end +\d+ ms\n60$/);
  });
});

describe('a run whose members workers are to execute', () => {
  it('says once why none does', async () => {
    // Nothing listens there.
    const run = bench.start('run', 'remote.mts', '--watch');
    await run.says('remote: started');
    await run.says('taskchart: the run waits for 2 units on the queue default, for ');
    run.child.kill('SIGTERM');
    const { stderr } = await run.finished;
    expect(stderr).toMatch(/^taskchart: the run waits for 2 units on the queue default, for .*: the connection to Redis is lost: .+$/m);
    expect(stderr.split('the run waits for')).toHaveLength(2);
  }, 30_000);
});

describe('graph', () => {
  it('prints the outline, Mermaid or JSON', async () => {
    const outline = await bench.run('graph', 'typed.ts');
    expect(outline).toMatchObject({ code: 0, stderr: '' });
    expect(outline.stdout).toMatch(/^workflow doubled\n {2}task list\n {2}each/);
    expect((await bench.run('graph', 'typed.ts', '--mermaid')).stdout).toMatch(/^flowchart/);
    expect(JSON.parse((await bench.run('graph', 'ends.mts', '--workflow', 'group', '--json')).stdout)).toMatchObject({ format: 'taskchart/graph', workflow: 'group' });
  });
});
