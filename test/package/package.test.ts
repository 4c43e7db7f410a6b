/**
 * The packed tarball, as a stranger gets it: well formed, small, and the README's program runs from it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, transform } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installed, node, readmeProgram, repository, setUp, tool, type Workbench } from './workbench.ts';

const entries = ['taskchart', 'taskchart/machines', 'taskchart/testing', 'taskchart/redis', 'taskchart/inspect'];
const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string };

let bench: Workbench;
beforeAll(async () => { bench = await setUp(); }, 180_000);
afterAll(() => bench?.remove());

describe('the tarball', () => {
  it('holds the code, its types and the texts, and nothing else', () => {
    const paths = bench.packed.files.map((file) => file.path);
    expect(paths).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json', 'dist/index.js', 'dist/cli.js', 'dist/threads-worker.js', 'dist/lease-thread.js', 'dist/browser.js', 'dist/inspect-page.html']));
    expect(paths.filter((path) => !/^(LICENSE|README\.md|CHANGELOG\.md|package\.json|dist\/[\w.-]+\.js|dist\/inspect-page\.html|dist\/types\/.+\.d\.ts)$/.test(path))).toEqual([]);
    expect(bench.packed.unpackedSize).toBeLessThan(2_000_000);
  });

  it('has nothing that publint objects to', async () => {
    const { code, stdout, stderr } = await tool('publint/src/cli.js', ['run', bench.tarball, '--strict'], repository);
    expect({ code, said: stdout + stderr }).toEqual({ code: 0, said: expect.stringContaining('All good!') as string });
  });

  it('has types that resolve for every kind of importer', async () => {
    const { code, stdout, stderr } = await tool('@arethetypeswrong/cli/dist/index.js', [bench.tarball, '--profile', 'esm-only', '--format', 'json'], repository);
    expect(stderr).toBe('');
    const { analysis } = JSON.parse(stdout) as { analysis: { entrypoints: object; types: { kind: string } } };
    expect(analysis.types).toMatchObject({ kind: 'included' });
    expect(Object.keys(analysis.entrypoints)).toEqual(expect.arrayContaining(['.', './machines', './testing']));
    expect({ code, stdout: code === 0 ? '' : stdout }).toEqual({ code: 0, stdout: '' });
  }, 60_000);
});

describe('the installation', () => {
  it('is at most 10 packages and 5 MB', () => {
    const { packages, bytes } = installed(bench.app);
    expect(packages).toContain('taskchart');
    expect(packages).toContain('xstate');
    expect(packages.length).toBeLessThanOrEqual(10);
    expect(bytes).toBeLessThanOrEqual(5_000_000);
  });

  it("runs the README's program and prints what the README says", async () => {
    const { program, output } = readmeProgram();
    const { code } = await transform(program, { loader: 'ts', format: 'esm', target: 'node20' });
    bench.write('readme.mjs', code);
    expect(await node(['readme.mjs'], bench.app)).toEqual({ code: 0, stdout: output, stderr: '' });
  });

  it.each(entries)('gives %s to import and to require, the same module', async (entry) => {
    bench.write('both.cjs', `
      const required = require('${entry}');
      import('${entry}').then((imported) => {
        const names = Object.keys(imported).filter((name) => name !== 'default' && name !== 'module.exports');
        const same = names.every((name) => required[name] === imported[name]);
        console.log(JSON.stringify({ some: names.length > 0, same }));
      });
    `);
    expect(await node(['both.cjs'], bench.app)).toEqual({ code: 0, stdout: '{"some":true,"same":true}\n', stderr: '' });
  });

  it('has a command that answers its version and its help', async () => {
    const command = join(bench.app, 'node_modules/.bin/taskchart');
    expect(existsSync(command)).toBe(true);
    expect((await node([command, '--version'], bench.app)).stdout).toContain(manifest.version);
    const help = await node([command, '--help'], bench.app);
    expect(help).toMatchObject({ code: 0, stdout: expect.stringMatching(/run[^]*graph/) as string });
  });

  it('loads nothing of Node, no pool and no command line before it is asked to', async () => {
    for (const entry of entries.filter((name) => !/redis|inspect/.test(name))) {
      const { metafile } = await build({
        stdin: { contents: `export * from '${entry}';`, resolveDir: bench.app },
        bundle: true, write: false, metafile: true, format: 'esm', platform: 'neutral', splitting: true, outdir: bench.folder,
        external: ['node:*', 'xstate', 'nanoid', 'tinypool', 'ioredis', 'commander'], logLevel: 'error',
      });
      const outputs = metafile.outputs;
      const first = Object.keys(outputs).find((path) => outputs[path]!.entryPoint === '<stdin>')!;
      const reached = new Set([first]);
      const packages = new Set<string>();
      for (const path of reached) {
        for (const one of outputs[path]!.imports) {
          if (one.kind !== 'import-statement') continue;
          if (one.external) packages.add(one.path);
          else reached.add(one.path);
        }
      }
      expect([...packages].filter((name) => !/^(xstate|nanoid)(\/|$)/.test(name))).toEqual([]);
    }
  });
});

describe.each(['typescript-5.9', 'typescript', 'typescript-7'])('a program compiled with %s', (compiler) => {
  const options = { strict: true, noEmit: true, skipLibCheck: false, target: 'ES2022', types: [] };
  const configurations: [name: string, options: object][] = [
    ['nodenext', { module: 'NodeNext', moduleResolution: 'NodeNext' }],
    ['bundler', { module: 'ESNext', moduleResolution: 'Bundler' }],
  ];
  it.each(configurations)('finds and accepts all declarations (%s)', async (name, resolution) => {
    bench.write('typed/readme.ts', readmeProgram().program);
    bench.write('typed/entries.ts', entries.map((entry, at) => `export * as entry${at} from '${entry}';\n`).join(''));
    const config = bench.write(`typed/${name}.json`, JSON.stringify({ compilerOptions: { ...options, ...resolution }, files: ['readme.ts', 'entries.ts'] }));
    const { code, stdout } = await tool(`${compiler}/bin/tsc`, ['-p', config], bench.app);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  }, 60_000);
});

describe('the lock files', () => {
  it.each(['package-lock.json', 'bench/package-lock.json'])('%s is pinned and names no host to fetch from', (file) => {
    const { packages } = JSON.parse(readFileSync(join(repository, file), 'utf8')) as { packages: Record<string, { version?: string; integrity?: string; resolved?: string; link?: boolean }> };
    const foreign = Object.entries(packages).filter(([path]) => path !== '');
    expect(foreign.length).toBeGreaterThan(5);
    expect(foreign.filter(([, one]) => one.resolved !== undefined || one.version === undefined || one.integrity === undefined).map(([path]) => path)).toEqual([]);
  });
});
