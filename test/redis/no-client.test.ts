/**
 * The built package where its optional peer ioredis is not installed, does not load, or belongs to the application alone: in
 * folders outside the repository, in processes that have to end by themselves.
 */
import { execFile, type ExecFileException } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharedServer, type SharedServer } from './server.ts';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');
const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { scripts: Record<string, string>; peerDependencies: Record<string, string> };
const folder = mkdtempSync(join(tmpdir(), 'taskchart-no-client-'));
/** Nothing listens there: whoever looks says so with another code. */
const nowhere = 'redis://user:hunter2@127.0.0.1:1';
const missing = 'Redis at 127.0.0.1:1 cannot be used: the package ioredis is not installed.';
const install = 'Install it: npm install ioredis@6';
const toPeople = `TransportError: ${missing} [transport/no-client]\n  hint: ${install}\n`;

interface Ended { readonly code: number; readonly stdout: string; readonly stderr: string }

function node(place: string, ...args: string[]): Promise<Ended> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_OPTIONS|REDIS_URL|(VITEST|TASKCHART_).*)$/.test(name)));
  return new Promise((done) => {
    execFile(process.execPath, args, { cwd: join(folder, place), env: { ...env, NODE_NO_WARNINGS: '1' }, timeout: 30_000 }, (error: ExecFileException | null, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

const taskchart = (place: string, ...args: string[]): Promise<Ended> => node(place, 'dist/cli.js', ...args);

function write(file: string, text: string): void {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

const tasks = `
  import { each, task, workflow } from './dist/index.js';
  const double = task('double', (n) => n * 2);
  export const twice = workflow('twice', each(double).withExecution({ backend: 'redis', backendConfig: { url: '${nowhere}' } }));
`;

/** What a program sees of an error. */
const seen = "const seen = ({ name, code, message, hint, retryable }) => console.log(JSON.stringify({ name, code, message, hint, retryable }));";

/** The package as the build script makes it, with its dependencies but for ioredis. */
async function unpack(place: string): Promise<void> {
  const [, ...words] = (manifest.scripts['build:code'] as string).split(' ');
  const flags = words.filter((word) => !word.startsWith('--outdir='));
  await new Promise<void>((done, fail) => {
    execFile(join(repository, 'node_modules/.bin/esbuild'), [...flags, `--outdir=${join(folder, place, 'dist')}`], { cwd: repository }, (error) => (error === null ? done() : fail(error)));
  });
  mkdirSync(join(folder, place, 'node_modules'), { recursive: true });
  for (const name of ['xstate', 'nanoid', 'commander']) symlinkSync(join(repository, 'node_modules', name), join(folder, place, 'node_modules', name));
  write(`${place}/package.json`, '{ "type": "module" }\n');
  write(`${place}/tasks.mjs`, tasks);
}

beforeAll(async () => {
  for (const place of ['bare', 'broken', 'incomplete']) await unpack(place);
  for (const place of ['broken', 'incomplete']) write(`${place}/node_modules/ioredis/package.json`, '{ "name": "ioredis", "version": "6.0.0", "main": "index.js" }\n');
  write('broken/node_modules/ioredis/index.js', "throw new Error('this Node is too old.\\nand more');");
  write('incomplete/node_modules/ioredis/index.js', "require('redis-parser');");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('where ioredis is not installed', () => {
  it('the hint names the version that the package asks for', () => {
    expect(`npm install ioredis@${/^\^(\d+)\./.exec(manifest.peerDependencies['ioredis'] as string)?.[1]}`).toBe(install.replace('Install it: ', ''));
  });

  it('a run fails at once, for programs too', async () => {
    const run = await taskchart('bare', 'run', 'tasks.mjs', '--input', '[1,2]');
    expect(run).toMatchObject({ code: 1, stdout: '' });
    expect(run.stderr).toContain(`${missing} [transport/no-client]\n`);
    expect(run.stderr).toContain(`hint: ${install}\n`);
    write('bare/run.mjs', `
      import { twice } from './tasks.mjs';
      ${seen}
      await twice.start([1, 2]).result.catch(seen);
    `);
    const { code, stdout } = await node('bare', 'run.mjs');
    expect({ code, error: JSON.parse(stdout) as unknown }).toEqual({ code: 0, error: { name: 'TransportError', code: 'transport/no-client', message: missing, hint: install, retryable: false } });
  });

  it('a worker ends with 1 and says why in one line', async () => {
    const { code, stderr } = await taskchart('bare', 'worker', 'tasks.mjs', '--redis', nowhere);
    expect(stderr.trim().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual([expect.objectContaining({ level: 'error', message: missing, code: 'transport/no-client', hint: install })]);
    expect(code).toBe(1);
  });

  it('doctor says just that', async () => {
    expect(await taskchart('bare', 'doctor', '--redis', nowhere)).toEqual({ code: 1, stdout: '', stderr: toPeople });
    const { code, stdout } = await taskchart('bare', 'doctor', '--redis', nowhere, '--json');
    expect({ code, said: JSON.parse(stdout) as unknown }).toMatchObject({ code: 1, said: { ok: false, error: { name: 'TransportError', code: 'transport/no-client', message: missing, hint: install } } });
  });

  it.each([
    ['ps', ['ps']],
    ['why', ['why', 'r']],
    ['checkpoints', ['checkpoints', 'r']],
    ['cancel', ['cancel', 'r']],
    ['run', ['run', 'tasks.mjs', '--input', '[1]']],
    ['resume', ['resume', 'tasks.mjs', 'r']],
  ])('%s --store redis:// says so, too', async (_, args) => {
    expect(await taskchart('bare', ...args, '--store', nowhere)).toEqual({ code: 1, stdout: '', stderr: toPeople });
  });

  it('a store says so at whatever is asked of it', async () => {
    write('bare/store.mjs', `
      import { RedisCheckpointStore } from './dist/redis.js';
      ${seen}
      const store = new RedisCheckpointStore({ url: '${nowhere}' });
      const owner = { id: 'o', host: 'h', pid: 1, startedAt: 0 };
      for (const ask of [() => store.list(), () => store.load('r'), () => store.open('r', owner), () => store.post('r', 'x')]) await ask().catch(seen);
    `);
    const { code, stdout } = await node('bare', 'store.mjs');
    const error = { name: 'TransportError', code: 'transport/no-client', message: missing, hint: install, retryable: false };
    expect({ code, errors: stdout.trim().split('\n').map((line) => JSON.parse(line) as unknown) }).toEqual({ code: 0, errors: [error, error, error, error] });
  });
});

describe('where ioredis does not load', () => {
  it.each([
    ['broken', 'it throws', 'this Node is too old'],
    ['incomplete', 'what it needs is missing', "Cannot find module 'redis-parser'"],
  ])('%s (%s): the same code, with the reason', async (place, _, reason) => {
    const told = `Redis at 127.0.0.1:1 cannot be used: the package ioredis cannot be loaded (${reason}).`;
    const again = 'Install it again: npm install ioredis@6';
    expect(await taskchart(place, 'doctor', '--redis', nowhere)).toEqual({ code: 1, stdout: '', stderr: `TransportError: ${told} [transport/no-client]\n  hint: ${again}\n` });
    expect((await taskchart(place, 'run', 'tasks.mjs', '--input', '[1]')).stderr).toContain(`${told} [transport/no-client]\n`);
    const { code, stderr } = await taskchart(place, 'worker', 'tasks.mjs', '--redis', nowhere);
    expect({ code, said: JSON.parse(stderr) as unknown }).toMatchObject({ code: 1, said: { level: 'error', code: 'transport/no-client', message: told, hint: again } });
  });
});

describe('where only the application has ioredis', () => {
  let server: SharedServer;
  beforeAll(async () => { server = await sharedServer(); });
  afterAll(() => server.dispose());

  it('its own client is enough', async () => {
    write('bare/own.mjs', `
      import { createRequire } from 'node:module';
      import { RedisCheckpointStore } from './dist/redis.js';
      const { Redis } = createRequire('${repository}/package.json')('ioredis');
      const client = new Redis('${server.url}', { lazyConnect: true });
      console.log(JSON.stringify(await new RedisCheckpointStore({ client, namespace: '${server.namespace}' }).list()));
    `);
    expect(await node('bare', 'own.mjs')).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
  });
});
