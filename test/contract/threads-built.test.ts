/**
 * The backend `threads` outside the test runner: from the built package, with compiled and with TypeScript modules, where
 * something is missing, and where memory runs out. The processes have to end by themselves.
 */
import { execFile, type ExecFileException } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');
const folder = mkdtempSync(join(tmpdir(), 'taskchart-threads-'));
const native = Boolean((process.features as { typescript?: unknown }).typescript);

interface Ended { readonly code: number; readonly stdout: string; readonly stderr: string }

function node(args: readonly string[]): Promise<Ended> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_OPTIONS' && !name.startsWith('VITEST')));
  return new Promise((done) => {
    execFile(process.execPath, args, { cwd: folder, env, timeout: 30_000 }, (error: ExecFileException | null, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

function write(file: string, text: string): string {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** The package as the build script makes it, with its dependencies and, where asked, tinypool. */
async function install(place: string, withTinypool: boolean): Promise<void> {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  const [, ...words] = (scripts['build:code'] as string).split(' ');
  const flags = words.filter((word) => !word.startsWith('cli=') && !word.startsWith('--outdir='));
  await new Promise<void>((done, fail) => {
    execFile(join(repository, 'node_modules/.bin/esbuild'), [...flags, `--outdir=${join(folder, place, 'dist')}`], { cwd: repository }, (error) => (error === null ? done() : fail(error)));
  });
  mkdirSync(join(folder, place, 'node_modules'), { recursive: true });
  for (const name of ['xstate', 'nanoid', ...(withTinypool ? ['tinypool'] : [])]) symlinkSync(join(repository, 'node_modules', name), join(folder, place, 'node_modules', name));
  write(`${place}/package.json`, '{ "type": "module" }\n');
}

const jobs = (types: string, module = 'import.meta.url') => `
  import { each, task, workflow } from './dist/index.js';
  const square = task('square', (n${types}, ctx) => { ctx.log.info('n is ' + n); return n * n; });
  const hungry = task('hungry', (n${types}, ctx) => {
    for (const held${types === '' ? '' : ': unknown[]'} = []; ctx.attempt === 1;) held.push(new Array(10_000).fill(n + held.length / 2));
    return n;
  }, { retry: { attempts: 2 } });
  const execution = { backend: 'threads', backendConfig: { module: ${module}, maxThreads: 2 } }${types === '' ? '' : ' as const'};
  export const squares = workflow('squares', each(square).withExecution(execution));
  export const memory = workflow('memory', each(hungry).withExecution(execution));
`;
const main = (module: string, flow = 'squares') => `
  import { ${flow} } from './${module}';
  const run = ${flow}.start([1, 2, 3]);
  run.on((event) => { if (event.type === 'task.failed' && event.final) console.log(event.error.code + ' | ' + event.error.message + ' | ' + event.error.hint); });
  console.log(JSON.stringify(await run.result.catch((error) => error.code)));
`;

beforeAll(async () => {
  await install('full', true);
  await install('bare', false);
  for (const place of ['full', 'bare']) {
    write(`${place}/jobs.js`, jobs(''));
    write(`${place}/main.js`, main('jobs.js'));
  }
  write('full/typed.ts', jobs(': number'));
  write('full/main-typed.ts', main('typed.ts'));
  write('full/names-typed.js', jobs('', "new URL('./typed.ts', import.meta.url)"));
  write('full/main-names-typed.js', main('names-typed.js'));
  write('full/main-memory.js', main('jobs.js', 'memory'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('from the built package', () => {
  it('runs a compiled module in threads, and the process ends by itself', async () => {
    expect(await node(['full/main.js'])).toEqual({ code: 0, stdout: '[1,4,9]\n', stderr: '' });
  });

  it('runs a TypeScript module in threads where tsx runs the program, wherever it is installed', async () => {
    expect(await node([join(repository, 'node_modules/tsx/dist/cli.mjs'), 'full/main-typed.ts'])).toEqual({ code: 0, stdout: '[1,4,9]\n', stderr: '' });
  });

  it('says that tinypool is missing, and how to get it', async () => {
    const { code, stdout } = await node(['bare/main.js']);
    expect({ code, lines: stdout.trim().split('\n') }).toEqual({
      code: 0,
      lines: [...Array.from({ length: 3 }, () => 'definition/backend-unavailable | The backend "threads" needs the package tinypool, which cannot be loaded. | Install it: npm install tinypool'), '"group/policy"'],
    });
  });

  it('says that tsx is missing where a module needs it, and Node does not read TypeScript by itself', async () => {
    const { stdout } = await node(['full/main-names-typed.js']);
    expect(stdout).toMatch(native ? /^\[1,4,9\]/ : /^definition\/backend-unavailable \| A worker thread cannot load the TypeScript module ".*typed\.ts": tsx is not installed\. \| Install it \(npm install --save-dev tsx\)/);
  });

  it('survives a task that takes all memory: a failed attempt, and the next one gets another thread', async () => {
    const { code, stdout } = await node(['--max-old-space-size=40', 'full/main-memory.js']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '[1,2,3]\n' });
  }, 60_000);

  it('says why no thread could be started, to everybody who waits for one', async () => {
    symlinkSync(join(repository, 'node_modules/tinypool'), join(folder, 'bare/node_modules/tinypool'));
    write('bare/dist/threads-worker.js', 'process.exit(7);');
    const { code, stdout } = await node(['bare/main.js']);
    const lines = stdout.trim().split('\n');
    expect({ code, ended: lines.pop() }).toEqual({ code: 0, ended: '"group/policy"' });
    expect(lines.map((line) => line.split(' | ').slice(0, 2))).toEqual(Array.from({ length: 3 }, () =>
      ['task/failed', 'The worker thread that executed task "square" of workflow "squares" ended before the task did: it exited with code 7']));
  });

  it('says what is wrong when its worker file was not bundled with it', async () => {
    rmSync(join(folder, 'bare/dist/threads-worker.js'));
    const { stdout } = await node(['bare/main.js']);
    expect(stdout).toMatch(/^definition\/backend-unavailable \| The worker file of the backend "threads" is not where it should be: ".*threads-worker\.js"/);
  });
});
