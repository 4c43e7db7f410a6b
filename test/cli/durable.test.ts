/** Stored runs and the command: waiting, signalling, crashing and taking over, each in processes of their own. */
import { existsSync, readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fileStore } from '../../src/stores.ts';
import { Bench, type Started } from './workbench.ts';

// Each test starts several processes.
vi.setConfig({ testTimeout: 60_000 });

const bench = new Bench();
afterAll(() => bench.remove());

beforeAll(() => {
  bench.write('flows.mts', `
    import { appendFileSync, existsSync } from 'node:fs';
    import { each, parallel, sleep, task, waitFor, workflow } from 'taskchart';

    /** Notes who runs, and stays until the file 'open-<name>' is there. */
    const gated = <const Id extends string>(id: Id) => task(id, async (name: string, ctx) => {
      appendFileSync('witness-' + name, id + ' ' + ctx.idempotencyKey + ' ' + ctx.attempt + '\\n');
      console.log(id + ' runs');
      while (!existsSync('open-' + name) && !ctx.signal.aborted) await new Promise((done) => setTimeout(done, 20));
      return name;
    });
    const noted = <const Id extends string>(id: Id) => task(id, (name: string, ctx) => {
      appendFileSync('witness-' + name, id + ' ' + ctx.idempotencyKey + ' ' + ctx.attempt + '\\n');
      return name;
    });
    const person = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) =>
      typeof (value as { by?: unknown } | null)?.by === 'string' ? { value: value as { by: string } } : { issues: [{ message: 'by must be a text' }] } } } as const;

    export const approval = workflow('approval', task('draft', () => 1).to(waitFor('approval', { schema: person })).to('publish', ({ by }) => 'approved by ' + by));
    export const both = workflow('both', task('a', () => 1).to(waitFor('one')).to(waitFor('two')).to('sum', (two) => two));
    export const again = workflow('again', task('a', () => 1).to(waitFor('go')).to('b', () => 2).to(waitFor('go').as('goAgain')).to('c', (value) => value));
    export const asks = workflow('asks', task('release', async (_: undefined, ctx) => 'to ' + String(await ctx.ask('channel', { question: 'which?' }))));
    export const nap = workflow('nap', sleep(3_600_000).to('x', () => 5));
    export const doze = workflow('doze', sleep(300).to('x', () => 5));
    export const steps = workflow('steps', noted('first').to(gated('middle')).to(noted('last')));
    export const mixed = workflow('mixed', parallel(gated('work'), waitFor('answer')).to('end', ({ answer }) => answer));
    export const flaky = workflow('flaky', task('ok', () => 1).to('fetch', () => { console.log('fetch fails'); throw new Error('reset by peer'); }, { retry: { attempts: 3, delay: 50_000 } }));
    export const held = workflow('held', task('a', () => { setInterval(() => undefined, 1000); return 1; }).to(waitFor('never')));
    export const marked = workflow('marked', task('a', (_: undefined, ctx) => { ctx.checkpoint(); return 1; }).to(waitFor('go')).to('b', (value) => value));
    export const notedFlow = workflow('noted', noted('draft').to(waitFor('go')));
    export const remote = workflow('remote', task('list', () => [1, 2]).to(each(task('m', (n: number) => n)).withExecution({ backend: 'redis', backendConfig: { url: 'redis://:secret@127.0.0.1:1', queue: 'mail' } })));
    export const fan = workflow('fan', task('list', () => [1, 2]).to(each(task('n', (n: number) => n))));`);
});

/** `flags` of every command on one store. */
function onStore(store: string): (id: string) => string[] {
  return (id) => ['--workflow', id, '--store', store];
}
const open = (name: string): string => bench.write(`open-${name}`, '');
const answerIn = (stderr: string): string[] => {
  const [, words = ''] = /answer: taskchart (.*)$/m.exec(stderr) ?? [];
  return words.split(' ').map((word) => word.replaceAll("'", ''));
};
/** Resolves when the store has as many entries of a run. */
const journaled = (store: string, runId: string, entries: number): Promise<void> =>
  vi.waitFor(async () => expect((await fileStore(join(bench.folder, store)).load(runId))?.journal.length).toBe(entries), { timeout: 10_000, interval: 20 });
const kill = async ({ child, finished }: Started, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
  child.kill(signal);
  await finished;
};

describe('a run that waits (ACCEPTANCE 32)', () => {
  it('leaves its process, and the command that it tells completes it in another one', async () => {
    const waiting = await bench.run('run', 'flows.mts', '--workflow', 'approval', '--store', '.taskchart', '--run-id', 'r1');
    expect(waiting).toMatchObject({ code: 4, stdout: '' });
    expect(waiting.stderr).toMatch(/^taskchart: run r1 is stored in \.taskchart\ntaskchart: run r1 waits, and everything is stored\n {2}it waits for the signal approval, for .*\n {2}answer: taskchart signal flows\.mts r1 approval '<json>' --workflow approval\n$/);
    const words = answerIn(waiting.stderr);
    const answer = (value: string): string[] => words.map((word) => (word === '<json>' ? value : word));
    expect(await bench.run(...answer('{"by":7}'))).toMatchObject({ code: 2, stderr: expect.stringMatching(/^taskchart: ValueError: signal "approval".*by must be a text/) as string });
    expect(await bench.run(...answer('{"by":"Ada"}'))).toMatchObject({ code: 0, stdout: '"approved by Ada"\n', stderr: '' });
    // Not lost in silence: the run has ended, and says so.
    expect(await bench.run(...answer('{"by":"Bob"}'))).toMatchObject({ code: 1, stdout: '', stderr: 'taskchart: run r1 has ended (completed), so the signal approval was not stored\n' });
    expect(await bench.run('resume', 'flows.mts', 'r1', '--workflow', 'approval')).toMatchObject({ code: 0, stdout: '"approved by Ada"\n', stderr: expect.stringContaining('already ended') as string });
  });

  it('keeps a signal that comes early, and one that comes twice', async () => {
    const flags = onStore('early');
    await bench.run('run', 'flows.mts', ...flags('both'), '--run-id', 'r');
    expect(await bench.run('signal', 'flows.mts', 'r', 'two', '"second"', ...flags('both'))).toMatchObject({ code: 4, stderr: expect.stringContaining('it waits for the signal one') as string });
    expect((await bench.run('why', 'r', '--store', 'early')).stdout).toContain('it keeps a signal two, for which nobody waits yet');
    expect(await bench.run('signal', 'flows.mts', 'r', 'one', ...flags('both'))).toMatchObject({ code: 0, stdout: '"second"\n' });
    await bench.run('run', 'flows.mts', ...flags('again'), '--run-id', 'a');
    expect(await bench.run('signal', 'flows.mts', 'a', 'go', '1', ...flags('again'))).toMatchObject({ code: 4 });
    expect(await bench.run('signal', ...flags('again'), 'flows.mts', 'a', 'go', '--', '-2')).toMatchObject({ code: 0, stdout: '-2\n' });
  });

  it('takes an answer from a file of any name and from stdin, and questions of tasks', async () => {
    const flags = onStore('asked');
    const asked = await bench.run('run', 'flows.mts', ...flags('asks'), '--run-id', 'r', '--json');
    expect(asked.code).toBe(4);
    const [stored, waiting] = asked.stderr.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown);
    expect(stored).toEqual({ type: 'run.stored', run: 'r', store: 'asked' });
    expect(waiting).toMatchObject({ waiting: { run: 'r', state: 'waiting', waitsFor: [{ kind: 'signal', name: 'channel' }], next: ["answer: taskchart signal flows.mts r channel '<json>' --workflow asks --store asked"] } });
    bench.write('answer.txt', '\ufeff"beta"');
    expect(await bench.run('signal', 'flows.mts', 'r', 'channel', '@answer.txt', ...flags('asks'))).toMatchObject({ code: 0, stdout: '"to beta"\n' });
    await bench.run('run', 'flows.mts', ...flags('asks'), '--run-id', 's');
    expect(await bench.runWith('"stable"', 'signal', 'flows.mts', 's', 'channel', '-', ...flags('asks'), '--json')).toMatchObject({ code: 0, stdout: '"to stable"\n' });
  });

  it('leaves for a time that is far, stays for one that is near, and leaves although a task holds the process', async () => {
    const flags = onStore('times');
    expect(await bench.run('run', 'flows.mts', ...flags('nap'), '--run-id', 'far')).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/it waits for sleep@1 \(sleep\), due in .*\n {2}go on: taskchart resume flows\.mts far --workflow nap --store times\n$/) as string,
    });
    expect(await bench.run('run', 'flows.mts', ...flags('doze'))).toMatchObject({ code: 0, stdout: '5\n' });
    const left = expect.stringMatching(/\nheld: waits, after .*, 1 done\ntaskchart: run h waits, .*\n.*\n {2}answer: taskchart signal/) as string;
    expect(await bench.run('run', 'flows.mts', ...flags('held'), '--run-id', 'h', '--watch')).toMatchObject({ code: 4, stderr: left });
    const again = await bench.run('resume', 'flows.mts', 'h', ...flags('held'), '--watch');
    expect(again).toMatchObject({ code: 4, stderr: expect.stringMatching(/^(.*\n)*held: waits, after .*, 0 done\ntaskchart: run h waits, /) as string });
  });

  it('works with SQLite, by a variable, and by hand', async () => {
    const store = 'sqlite:runs.db';
    expect(await bench.runUnder({ TASKCHART_STORE: store }, 'run', 'flows.mts', '--workflow', 'marked', '--run-id', 'r', '--manual')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("signal flows.mts r go '<json>' --workflow marked\n") as string,
    });
    expect(await bench.run('signal', 'flows.mts', 'r', 'go', '3', '--workflow', 'marked', '--store', store, '--manual')).toMatchObject({ code: 0, stdout: '3\n' });
    expect((await bench.runUnder({ TASKCHART_STORE: store }, 'ps')).stdout).toMatch(/^RUN +WORKFLOW +STATE +SINCE +REVISION +OWNER\nr +marked +completed +.* ago +\d+ +-\n$/);
  });
});

describe('a run whose process is killed (ACCEPTANCE 29)', () => {
  it('does not run again what was finished, and the rest with the same key', async () => {
    const flags = onStore('killed');
    const first = bench.start('run', 'flows.mts', ...flags('steps'), '--run-id', 'r', '--input', '"killed"');
    await first.says('middle runs');
    await journaled('killed', 'r', 2);
    await kill(first);
    expect((await bench.run('ps', '--store', 'killed')).stdout).toMatch(/\nr +steps +interrupted +.* ago +2 +\d+ \(gone\)\n$/);
    const blind = await bench.run('why', 'r', '--store', 'killed');
    expect(blind.stdout).toMatch(/^run r of workflow steps: interrupted,(.|\n)*is gone(.|\n)*seen at the snapshot of revision 0; 2 later events are not in it\. Exactly: taskchart why r <file> --store killed\n$/);
    const exact = await bench.run('why', 'r', 'flows.mts', ...flags('steps'));
    expect(exact.stdout).toMatch(/it waits for task middle, which has not settled\n {2}go on: taskchart resume flows\.mts r --workflow steps --store killed\n(.|\n)*seen at revision 2, which is the newest\n$/);
    open('killed');
    expect(await bench.run('resume', 'flows.mts', 'r', ...flags('steps'))).toMatchObject({ code: 0, stdout: '"killed"\n' });
    const [before, after] = ['first', 'middle'].map((id) => bench.lines('witness-killed').filter((line) => line.startsWith(id)));
    expect(before).toHaveLength(1);
    expect(after).toHaveLength(2);
    expect(new Set(after)).toHaveProperty('size', 1);
  });

  it('can be asked what failed last', async () => {
    const flags = onStore('flaky');
    const run = bench.start('run', 'flows.mts', ...flags('flaky'), '--run-id', 'r', '--watch');
    await run.says('tries again');
    await journaled('flaky', 'r', 3);
    await kill(run);
    const { stdout } = await bench.run('why', 'r', 'flows.mts', ...flags('flaky'));
    expect(stdout).toMatch(/it waits for fetch \(retry\), due in \d+(\.\d)? s, after: reset by peer\n/);
    expect(stdout).toMatch(/last error \(fetch, .* ago\): Error: reset by peer\n/);
    const [line] = (await bench.run('why', 'r', '--store', 'flaky', '--json')).stdout.split('\n');
    expect(JSON.parse(line ?? '')).toMatchObject({ run: 'r', exact: false, shown: 0, owner: { state: 'gone' }, lastFailure: { error: { message: 'reset by peer' } } });
  });

  it('is stopped, not cancelled, by SIGTERM', async () => {
    const flags = onStore('stopped');
    const run = bench.start('run', 'flows.mts', ...flags('steps'), '--run-id', 'r', '--input', '"stopped"');
    await run.says('middle runs');
    run.child.kill('SIGTERM');
    expect(await run.finished).toMatchObject({ code: 143, stdout: '', stderr: expect.stringContaining('taskchart: stopped by SIGTERM; the run is stored\n  go on: taskchart resume flows.mts r --workflow steps --store stopped\n') as string });
    open('stopped');
    expect(await bench.run('resume', 'flows.mts', 'r', ...flags('steps'))).toMatchObject({ code: 0, stdout: '"stopped"\n' });
  });
});

describe('a run that a living process owns', () => {
  it('takes in a signal there', async () => {
    const flags = onStore('alive');
    const owner = bench.start('run', 'flows.mts', ...flags('mixed'), '--run-id', 'r', '--input', '"alive"');
    await owner.says('work runs');
    expect(await bench.run('signal', 'flows.mts', 'r', 'answer', '42', ...flags('mixed'))).toMatchObject({ code: 0, stdout: '', stderr: 'taskchart: run r has taken the signal answer in, and goes on in the process that owns it\n' });
    expect((await bench.run('ps', '--store', 'alive')).stdout).toMatch(new RegExp(`\\nr +mixed +running +.* ago +\\d+ +${owner.child.pid}\\n$`));
    open('alive');
    expect(await owner.finished).toMatchObject({ code: 0, stdout: '42\n' });
  });

  it('takes in a cancel there', async () => {
    const owner = bench.start('run', 'flows.mts', ...onStore('cancelled')('steps'), '--run-id', 'r', '--input', '"cancelled"');
    await owner.says('middle runs');
    expect(await bench.run('cancel', 'r', '--store', 'cancelled', '--reason', 'not needed')).toMatchObject({ code: 0, stdout: '', stderr: 'taskchart: run r is cancelled\n' });
    expect(await owner.finished).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('not needed') as string });
  });

  it('goes on in exactly one of two processes (ACCEPTANCE 34)', async () => {
    const flags = onStore('two');
    const args = ['resume', 'flows.mts', 'r', ...flags('steps')];
    const first = bench.start('run', 'flows.mts', ...flags('steps'), '--run-id', 'r', '--input', '"two"');
    await first.says('middle runs');
    expect(await bench.run(...args)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^taskchart: run r belongs to process \d+ on this host, which is alive;.*--take-over/) as string });
    await kill(first);
    // Both may find the owner gone, but only the later one keeps the run.
    const both = [bench.start(...args), bench.start(...args)];
    await Promise.all(both.map((one) => Promise.race([one.says('middle runs'), one.finished])));
    const third = bench.start(...args, '--take-over');
    await third.says('middle runs');
    open('two');
    const ends = await Promise.all([...both, third].map(({ finished }) => finished));
    expect(ends.map(({ code }) => code).toSorted()).toEqual([0, 1, 1]);
    expect(ends[2]).toMatchObject({ code: 0, stdout: '"two"\n' });
    for (const { stdout, stderr } of ends.slice(0, 2)) {
      expect(stdout).toBe('');
      expect(stderr).toMatch(/belongs to process \d+ on this host|checkpoint\/conflict/);
    }
  });
});

describe('a run that nobody owns', () => {
  it('is cancelled here, without running its tasks', async () => {
    const flags = onStore('lost');
    const first = bench.start('run', 'flows.mts', ...flags('steps'), '--run-id', 'r', '--input', '"lost"');
    await first.says('middle runs');
    await kill(first);
    expect(await bench.run('cancel', 'r', '--store', 'lost')).toMatchObject({ code: 2, stderr: expect.stringMatching(/is gone;.*give its file: taskchart cancel r <file>\n$/) as string });
    expect(await bench.run('cancel', 'r', 'flows.mts', ...flags('steps'))).toMatchObject({ code: 0, stderr: 'taskchart: run r is cancelled\n' });
    expect(bench.lines('witness-lost').filter((line) => line.startsWith('middle'))).toHaveLength(1);
    expect(await bench.run('cancel', 'r', '--store', 'lost')).toMatchObject({ code: 1, stderr: 'taskchart: run r has ended already (cancelled)\n' });
    expect(await bench.run('resume', 'flows.mts', 'r', ...flags('steps'))).toMatchObject({ code: 3, stdout: '' });
  });

  it('says that workers execute its members, where the workflow is known, and not where Redis is', async () => {
    const flags = onStore('remote')('remote');
    const run = bench.start('run', 'flows.mts', ...flags, '--run-id', 'r');
    await journaled('remote', 'r', 2);
    await kill(run);
    const { code, stdout } = await bench.run('why', 'r', 'flows.mts', ...flags);
    expect(code).toBe(0);
    expect(stdout).toMatch(/it waits for 2 members of each@1, .*\n(.*\n)* {2}hint: its members are executed by workers: taskchart worker flows\.mts --redis <url> --queue mail executes them, taskchart doctor --redis <url> says which workers live\n/);
    expect(stdout).not.toMatch(/time limit|secret/);
  });

  it('is not disturbed by a run of the same id', async () => {
    const flags = onStore('same');
    await bench.run('run', 'flows.mts', ...flags('nap'), '--run-id', 'r');
    expect(await bench.run('run', 'flows.mts', ...flags('nap'), '--run-id', 'r')).toMatchObject({ code: 2, stderr: 'taskchart: the store same has a run r already; taskchart resume goes on with it\n' });
  });
});

describe('fork', () => {
  it('goes on from a revision, with signals of its own', async () => {
    const flags = onStore('forks');
    await bench.run('run', 'flows.mts', ...flags('both'), '--run-id', 'r');
    await bench.run('signal', 'flows.mts', 'r', 'one', '1', ...flags('both'));
    const known = (await bench.run('checkpoints', 'r', '--store', 'forks', '--json')).stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as { revision: number; savedAt: number; bytes: number });
    expect(known.length).toBeGreaterThan(1);
    expect((await bench.run('checkpoints', 'r', '--store', 'forks')).stdout).toMatch(/^REVISION +SAVED +BYTES\n\d+ +\d{4}-\d\d-\d\dT.* ago\) +[\d,]+\n/);
    const [newest, before] = known.map(({ revision }) => String(revision));
    expect(await bench.run('fork', 'flows.mts', 'r', '--at', before ?? '', '--as', 'f', ...flags('both'))).toMatchObject({ code: 4, stderr: expect.stringMatching(new RegExp(`^taskchart: run f goes on from revision ${before} of r\\n(.|\\n)*the signal one`)) as string });
    expect(await bench.run('fork', 'flows.mts', 'r', '--at', newest ?? '', '--as', 'g', ...flags('both'))).toMatchObject({ code: 4, stderr: expect.stringContaining('the signal two') as string });
    expect(await bench.run('signal', 'flows.mts', 'g', 'two', '"g"', ...flags('both'))).toMatchObject({ code: 0, stdout: '"g"\n' });
    expect((await bench.run('why', 'r', '--store', 'forks')).stdout).toContain('the signal two');
    expect(await bench.run('fork', 'flows.mts', 'r', '--at', '999', ...flags('both'))).toMatchObject({ code: 2, stderr: expect.stringMatching(/no revision 999\. It has \d+/) as string });
    expect(await bench.run('fork', 'flows.mts', 'r', '--at', newest ?? '', '--as', 'g', ...flags('both'))).toMatchObject({ code: 2, stderr: expect.stringContaining('already has a run "g"') as string });
  });
});

describe('a store', () => {
  it('without runs is no error, and is not made by looking', async () => {
    expect(await bench.run('ps', '--store', 'none')).toMatchObject({ code: 0, stdout: '', stderr: 'taskchart: the store none has no runs\n' });
    expect(await bench.run('ps', '--store', 'none', '--json')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(existsSync(join(bench.folder, 'none'))).toBe(false);
  });

  it('with a damaged run lists the others, and the revision that is still good can be forked', async () => {
    const flags = onStore('damaged');
    for (const id of ['good', 'bad']) await bench.run('run', 'flows.mts', ...flags('noted'), '--run-id', id, '--input', '"damaged"');
    const folder = join(bench.folder, 'damaged/bad');
    for (const name of readdirSync(folder)) if (name.endsWith('-2.snapshot')) truncateSync(join(folder, name), 100);
    const listed = await bench.run('ps', '--store', 'damaged');
    expect(listed.stdout).toMatch(/\ngood +noted +waiting/);
    expect(listed.stdout).toMatch(/\nbad .*unreadable/);
    expect(listed.stderr).toMatch(/^bad: CheckpointError: /);
    expect(await bench.run('why', 'bad', '--store', 'damaged')).toMatchObject({ code: 1, stdout: '' });
    expect(await bench.run('resume', 'flows.mts', 'bad', ...flags('noted'))).toMatchObject({ code: 1, stderr: expect.stringMatching(/Revision 2 can still be loaded(.|\n)*taskchart fork --at 2/) as string });
    expect(await bench.run('fork', 'flows.mts', 'bad', '--at', '2', '--as', 'saved', ...flags('noted'))).toMatchObject({ code: 4, stderr: expect.stringContaining('the signal go') as string });
    // The draft was made before that revision, so the copy does not make it again.
    expect(bench.lines('witness-damaged')).toHaveLength(2);
  });
});
