/** The worker command as a process of its own, on a real server: what it tells, how it ends, and that its lease outlives a blocked event loop. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { each, task, workflow } from 'taskchart';
import { Bench, type Started } from '../cli/workbench.ts';
import { startServer, type TestServer } from './server.ts';

const PASSWORD = 'p@ss/w?rd#1';
const bench = new Bench();
let server: TestServer;
let started: Started[] = [];
let names = 0;
let namespace = '';

beforeAll(async () => {
  server = await startServer({ requirepass: PASSWORD });
  bench.write('tasks.mts', `
    import { appendFileSync } from 'node:fs';
    import { each, task, workflow } from 'taskchart';
    const work = async (n: number): Promise<number> => {
      appendFileSync('witness', \`\${process.pid} \${n}\\n\`);
      if (n < 0) { const until = Date.now() - n; while (Date.now() < until); }
      if (n >= 1000) await new Promise((resolve) => setTimeout(resolve, n));
      return n * 2;
    };
    export const flow = workflow('cli-flow', each(task('work', work)).withExecution({ backend: 'redis', backendConfig: { url: 'redis://nowhere' } }));
  `);
  bench.write('nothing.mjs', 'export const answer = 42;');
});
afterAll(async () => {
  await server.dispose();
  bench.remove();
});
beforeEach(() => {
  namespace = `ns${(names += 1)}`;
  appendFileSync(join(bench.folder, 'witness'), '');
});
afterEach(async () => {
  for (const { child } of started) if (child.exitCode === null) child.kill('SIGKILL');
  await Promise.all(started.map(({ finished }) => finished));
  started = [];
});

const connection = () => ['--redis-host', server.host, '--redis-port', String(server.port), '--redis-password', PASSWORD, '--namespace', namespace];

function worker(...flags: string[]): Started {
  const one = bench.start('worker', 'tasks.mts', ...connection(), ...flags);
  started.push(one);
  return one;
}

async function registered(...flags: string[]): Promise<Started> {
  const one = worker(...flags);
  await one.says('the worker is registered');
  return one;
}

/** The same graph as in the workers' module, in this process. */
const flowIn = () => workflow('cli-flow', each(task('work', async (n: number): Promise<number> => n)).withExecution({ backend: 'redis', backendConfig: { host: server.host, port: server.port, password: PASSWORD, namespace } }));

/** What was executed since, by whom. */
function witnessed(from: number): string[] {
  return bench.lines('witness').slice(from);
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await pause(20);
}

describe('taskchart worker', () => {
  it('executes units, tells what it serves, logs JSON without secrets, and drains on SIGTERM (ACCEPTANCE 40, 45)', async () => {
    const before = witnessed(0).length;
    const { child, finished } = await registered('--concurrency', '5', '--id', 'w1', '--lease', '5000');
    expect(await flowIn().run([1, 2, 3])).toEqual([2, 4, 6]);
    expect(witnessed(before)).toHaveLength(3);
    child.kill('SIGTERM');
    const { code, stdout, stderr } = await finished;
    expect(code).toBe(0);
    expect(stdout).toBe(`taskchart worker w1\n  queue      default, namespace ${namespace}, 5 at a time\n  workflows  cli-flow\n  tasks      work\n`);
    const lines = stderr.trim().split('\n').map((line) => JSON.parse(line) as { level: string; message: string; worker: string });
    expect(lines.map(({ message }) => message)).toEqual(['the worker is registered', 'draining', 'drained']);
    expect(lines.every((line) => line.worker === 'w1')).toBe(true);
    expect(`${stdout}${stderr}`).not.toContain(PASSWORD);
  });

  it('keeps its lease while a task blocks its event loop for several leases', { timeout: 60_000 }, async () => {
    const before = witnessed(0).length;
    const [one, two] = [await registered('--lease', '2000'), await registered('--lease', '2000')];
    expect(await flowIn().run([-7000, 1])).toEqual([-14_000, 2]);
    // The one that was blocked has done it, once.
    expect(witnessed(before).map((line) => line.split(' ')[1]).sort()).toEqual(['-7000', '1']);
    for (const { child, finished } of [one, two]) {
      child.kill('SIGTERM');
      expect((await finished).code).toBe(0);
    }
  });

  it('loses its units when it is killed: another worker executes them (ACCEPTANCE 35)', async () => {
    const before = witnessed(0).length;
    const first = await registered('--lease', '1000', '--concurrency', '2');
    const run = flowIn().start([3000, 3001]);
    await until(() => witnessed(before).length === 2);
    first.child.kill('SIGKILL');
    await registered('--lease', '1000');
    expect(await run.result).toEqual([6000, 6002]);
    expect(witnessed(before).map((line) => line.split(' ')[1]).sort()).toEqual(['3000', '3000', '3001', '3001']);
  });

  it('gives units back at the second signal', async () => {
    const before = witnessed(0).length;
    const first = await registered();
    const run = flowIn().start([60_000]);
    await until(() => witnessed(before).length === 1);
    first.child.kill('SIGTERM');
    await first.says('"draining"');
    first.child.kill('SIGTERM');
    expect((await first.finished).code).toBe(0);
    run.cancel();
    await expect(run.result).rejects.toMatchObject({ code: 'run/cancelled' });
  });

  it('answers how it is, by its last successful step', async () => {
    const one = await registered('--lease', '1500', '--health-port', '0', '--id', 'healthy');
    await until(() => one.printed.stdout.includes('health'));
    const url = /http:\/\/0\.0\.0\.0:(\d+)\//.exec(one.printed.stdout)?.[1];
    const ask = (): Promise<Response> => fetch(`http://127.0.0.1:${url}/`);
    const first = await ask();
    expect(first.status).toBe(200);
    expect(await first.json()).toMatchObject({ healthy: true, id: 'healthy', queue: 'default', state: 'claim', running: 0, concurrency: 16 });
    server.pause();
    try {
      let last = await ask();
      while (last.status === 200) last = (await pause(100), await ask());
      expect(last.status).toBe(503);
      expect(await last.json()).toMatchObject({ healthy: false });
    } finally {
      server.resume();
    }
    while ((await ask()).status !== 200) await pause(100);
    expect((await fetch(`http://127.0.0.1:${url}/`, { method: 'POST' })).status).toBe(405);
  });

  it('ends with 3 where its id is taken, and with 1 where it can never work', async () => {
    await registered('--id', 'one');
    const second = await worker('--id', 'one').finished;
    expect(second).toMatchObject({ code: 3 });
    expect(JSON.parse(second.stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({ level: 'error', code: 'worker/id-taken' });
    const wrong = await bench.run('worker', 'tasks.mts', '--redis', `redis://:wrong-${PASSWORD.replace('@', '%40')}@${server.host}:${server.port}`);
    expect(wrong.code).toBe(1);
    expect(JSON.parse(wrong.stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({ level: 'error', code: 'transport/auth' });
    expect(`${wrong.stdout}${wrong.stderr}`).not.toMatch(/wrong-|p@ss|w\?rd/);
  });

  it('takes its settings from variables, too, and a flag before its variable', async () => {
    const variables = {
      TASKCHART_REDIS_HOST: server.host, TASKCHART_REDIS_PORT: String(server.port), TASKCHART_REDIS_PASSWORD: PASSWORD, TASKCHART_NAMESPACE: namespace,
      TASKCHART_QUEUE: 'other', TASKCHART_CONCURRENCY: '7', TASKCHART_WORKER_ID: 'from-variable', TASKCHART_LEASE: '2000', TASKCHART_DRAIN: '0', REDIS_URL: 'redis://127.0.0.1:1',
    };
    const one = bench.startUnder(variables, 'worker', 'tasks.mts', '--id', 'from-flag');
    started.push(one);
    await one.says('the worker is registered');
    one.child.kill('SIGINT');
    const { code, stdout } = await one.finished;
    expect(code).toBe(0);
    expect(stdout).toContain('taskchart worker from-flag\n  queue      other, namespace ');
    expect(stdout).toContain(', 7 at a time\n');
  });

  it.each([
    ['no Redis', ['tasks.mts'], /which Redis is meant: give --redis <url>/],
    ['no module', ['--redis', 'redis://127.0.0.1'], /missing required argument 'module'/],
    ['a module that is not there', ['nope.mts', '--redis', 'redis://127.0.0.1'], /there is no module nope\.mts/],
    ['a module without tasks', ['nothing.mjs', '--redis', 'redis://127.0.0.1'], /nothing\.mjs defines no workflow and no task\n$/],
    ['a bad URL', ['tasks.mts', '--redis', 'http://user:secret-word@host'], /--redis is no URL of a Redis/],
    ['a bad number', ['tasks.mts', '--redis', 'redis://127.0.0.1', '--concurrency', 'abc'], /'--concurrency <n>' argument 'abc' is invalid/],
    ['a bad id', ['tasks.mts', '--redis', 'redis://127.0.0.1', '--id', 'a b'], /--id must be up to 200 letters/],
    ['a bad queue', ['tasks.mts', '--redis', 'redis://127.0.0.1', '--queue', 'a|b'], /--queue does not follow the grammar of ids/],
    ['an unknown flag', ['tasks.mts', '--redis', 'redis://127.0.0.1', '--concurency', '3'], /Did you mean --concurrency\?/],
  ])('refuses %s with one line and exit code 2 (ACCEPTANCE 55)', async (_, args, line) => {
    const { code, stdout, stderr } = await bench.run('worker', ...args);
    expect(stderr).toMatch(line);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(`${stdout}${stderr}`).not.toContain('secret-word');
    expect(code).toBe(2);
  });

  it('refuses a variable that is wrong', async () => {
    const { code, stderr } = await bench.runUnder({ TASKCHART_LEASE: 'soon' }, 'worker', 'tasks.mts', '--redis', 'redis://127.0.0.1');
    expect(stderr).toBe('taskchart: the variable TASKCHART_LEASE must be a whole number from 100 to 86400000\n');
    expect(code).toBe(2);
  });
});
