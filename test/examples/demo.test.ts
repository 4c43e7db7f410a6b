/**
 * The demo's figures against a count of its own: a walk that starts from the files and finds each one's package by its
 * path, where the demo starts from the packages and finds their files.
 */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judge, usuallyAllowed } from '../../examples/demo/licences.ts';
import { byBytes, isTransient, readContents } from '../../examples/demo/packages.ts';
import { Progress } from '../../examples/demo/progress.ts';
import type { Package } from '../../examples/demo/findings.ts';
import { packageReport } from '../../examples/demo/workflow.ts';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');
const scratch = mkdtempSync(join(tmpdir(), 'taskchart-demo-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

type Report = { packages: Package[]; unreadable: string[]; links: string[]; sizes: { packages: number; files: number; bytes: number } };

interface Owned { files: string[]; bytes: number }

/** Every file of the tree, by the longest chain of `node_modules/<package>` that its path begins with. */
function countIndependently(root: string): Map<string, Owned> {
  const owner = /^((?:node_modules\/(?:@[^/]+\/)?[^/.@][^/]*\/)+)(.*)$/;
  const owned = new Map<string, Owned>();
  for (const entry of readdirSync(join(root, 'node_modules'), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(root.length + 1);
    const [, folder, inside] = owner.exec(entry.isDirectory() ? `${path}/` : path) ?? [];
    if (folder === undefined || inside === undefined) continue;
    const key = folder.slice(0, -1);
    const at = owned.get(key) ?? { files: [], bytes: 0 };
    if (entry.isDirectory() && inside === '') owned.set(key, at);
    if (!entry.isFile()) continue;
    owned.set(key, { files: [...at.files, inside], bytes: at.bytes + statSync(join(root, path)).size });
  }
  return owned;
}

function hashIndependently(folder: string, files: readonly string[]): string {
  const sum = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
  return sum([...files].sort(byBytes).map((file) => `${sum(readFileSync(join(folder, file)))}  ${file}\n`).join(''));
}

async function report(root: string, out: string, allowed: string[] = usuallyAllowed): Promise<Report> {
  await packageReport.run({ root, out, allowed });
  return JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')) as Report;
}

describe('the demo on the packages that are installed here', () => {
  it('finds, sizes and hashes exactly what an independent walk finds', async () => {
    const written = await report(repository, join(scratch, 'real'));
    const expected = countIndependently(repository);
    expect(written.packages.map((one) => one.path)).toEqual([...expected.keys()].sort(byBytes));
    expect(expected.size).toBeGreaterThan(100);
    for (const one of written.packages) {
      const owned = expected.get(one.path)!;
      expect([one.path, one.files, one.bytes]).toEqual([one.path, owned.files.length, owned.bytes]);
      expect([one.path, one.sha256]).toEqual([one.path, hashIndependently(join(repository, one.path), owned.files)]);
      const manifest = JSON.parse(readFileSync(join(repository, one.path, 'package.json'), 'utf8')) as { name: string; version: string };
      expect([one.name, one.version]).toEqual([manifest.name, manifest.version]);
    }
    const all = [...expected.values()];
    expect(written.sizes).toMatchObject({
      packages: all.length,
      files: all.reduce((sum, one) => sum + one.files.length, 0),
      bytes: all.reduce((sum, one) => sum + one.bytes, 0),
    });
    expect(written.unreadable).toEqual([]);
  }, 60_000);

  it('says so in main: progress in plain lines, a summary, exit code 0', async () => {
    const { code, stdout, stderr } = await demo(['--out', join(scratch, 'main')]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^find packages: done in \d+ ms\nread and hash: 0 of \d+\n/);
    expect(stdout).toMatch(/read and hash: [\d,]+ in [\d.]+ m?s\n/);
    expect(stdout).toMatch(/packages {4}[\d,]+ with [\d,]+ files, [\d.]+ MB, every file hashed\n/);
    expect(stdout).toContain(join(scratch, 'main', 'report.md'));
    expect(readFileSync(join(scratch, 'main', 'report.md'), 'utf8')).toContain('# Installed packages');
  }, 60_000);
});

describe('the demo on a small tree with known numbers', () => {
  const root = join(scratch, 'tree');
  let written: Report & Record<string, unknown>;
  beforeAll(async () => {
    makeTree(root);
    written = (await report(root, join(scratch, 'small'), ['MIT', 'ISC'])) as typeof written;
  });

  it('counts every package once and keeps links, fixtures and hidden folders out', () => {
    expect(written.packages.map((one) => [one.path, one.name, one.version, one.files, one.bytes])).toEqual([
      ['node_modules/@scope/part', '@scope/part', '1.0.0', 1, manifestBytes('@scope/part') + 3],
      ['node_modules/broken', 'broken', null, 2, 10 + 5],
      ['node_modules/empty', 'empty', null, 0, 0],
      ['node_modules/old', 'old', '0.1.0', 1, manifestBytes('old')],
      ['node_modules/old/node_modules/plain', 'plain', '2.0.0', 2, manifestBytes('plain 2') + 3],
      ['node_modules/plain', 'plain', '1.0.0', 3, manifestBytes('plain 1') + 4 + 2],
    ]);
    expect(written.links).toEqual(['node_modules/linked']);
  });

  it('names what is wrong with a manifest and goes on', () => {
    const problems = written.packages.filter((one) => one.problem !== null).map((one) => [one.name, one.problem]);
    expect(problems).toEqual([['broken', expect.stringContaining('JSON')], ['empty', expect.stringContaining('ENOENT')]]);
  });

  it('names a package that cannot be read at all', () => {
    expect(written.unreadable).toEqual(['node_modules/unreadable']);
  });

  it('judges the licences by the list', () => {
    expect(written['licences']).toMatchObject({ counts: { allowed: 2, refused: 1, unknown: 1, missing: 2 } });
  });

  it('finds the name that has two versions, and what one of them would save', () => {
    const bigger = manifestBytes('plain 1') + 6;
    const smaller = manifestBytes('plain 2') + 3;
    expect(written['duplicates']).toMatchObject({
      several: [{ name: 'plain', extraBytes: Math.min(bigger, smaller), versions: [{ version: '2.0.0' }, { version: '1.0.0' }] }],
      differing: [],
    });
  });

  it('writes the same report for the same packages', async () => {
    await report(root, join(scratch, 'again'), ['MIT', 'ISC']);
    for (const file of ['report.json', 'report.md']) {
      expect(readFileSync(join(scratch, 'again', file), 'utf8')).toBe(readFileSync(join(scratch, 'small', file), 'utf8'));
    }
  });

  it.runIf(process.platform === 'linux')('has the hash that the recipe in packages.ts gives', async () => {
    const recipe = "find . -path ./node_modules -prune -o -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum";
    const folder = join(root, 'node_modules/plain');
    const printed = execFileSync('sh', ['-c', recipe], { cwd: folder, encoding: 'utf8' });
    expect(`${(await readContents(folder)).sha256}  -\n`).toBe(printed);
  });

  it('draws a fan-out as one line on a terminal, and nothing after the end', async () => {
    const drawn: string[] = [];
    const progress = new Progress({ isTTY: true, write: (text) => drawn.push(text) });
    const run = packageReport.start({ root, out: join(scratch, 'tty'), allowed: [] });
    run.on(progress.see);
    await run.result;
    progress.end();
    const last = drawn.at(-1)!.split('\n');
    expect(last).toHaveLength(progress.stages.length + 1);
    expect(last[1]).toMatch(/✔ read and hash +7 +[\d.]+ m?s/);
  });
});

describe('the demo, used wrongly', () => {
  it('refuses an unknown flag with exit code 2 and one line', async () => {
    const { code, stdout, stderr } = await demo(['--rot', 'x']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^Unknown option '--rot'.*\n$/);
  });

  it('says what to do where nothing is installed', async () => {
    const { code, stderr } = await demo(['--root', scratch, '--out', join(scratch, 'none')]);
    expect(code).toBe(1);
    expect(stderr).toContain(`There is no folder node_modules in ${scratch}`);
  });
});

describe('judge', () => {
  it.each([
    ['MIT', 'allowed'], ['mit', 'allowed'], ['GPL-3.0-only', 'refused'], ['(MIT OR GPL-2.0)', 'allowed'], ['MIT AND GPL-2.0', 'refused'],
    ['MIT AND (GPL-2.0 OR ISC)', 'allowed'], ['ISC OR GPL-2.0 AND GPL-3.0', 'allowed'], ['Apache-2.0 WITH LLVM-exception', 'refused'],
    ['MIT WITH some-exception', 'allowed'], ['SEE LICENSE IN LICENSE.md', 'unknown'], ['(MIT', 'unknown'], ['MIT OR', 'unknown'], ['', 'unknown'],
    ['UNLICENSED', 'refused'], [null, 'missing'],
  ])('%s is %s', (licence, verdict) => {
    expect(judge(licence, ['MIT', 'ISC'])).toBe(verdict);
  });
});

it('tries again only after errors that pass', () => {
  expect(isTransient(Object.assign(new Error('too many open files'), { code: 'EMFILE' }))).toBe(true);
  for (const other of [Object.assign(new Error('gone'), { code: 'ENOENT' }), new Error('no code'), null, 'EMFILE']) expect(isTransient(other)).toBe(false);
});

const manifests: Record<string, string> = {
  'plain 1': '{"name":"plain","version":"1.0.0","license":"MIT"}',
  'plain 2': '{"name":"plain","version":"2.0.0","license":{"type":"GPL-2.0"}}',
  old: '{"name":"old","version":"0.1.0","licenses":[{"type":"GPL-2.0"},{"type":"ISC"}]}',
  '@scope/part': '{"name":"@scope/part","version":"1.0.0","license":"SEE LICENSE IN it"}',
};

function manifestBytes(which: string): number {
  return Buffer.byteLength(manifests[which]!);
}

function makeTree(root: string): void {
  const put = (path: string, text: string | Buffer) => {
    const full = join(root, 'node_modules', path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  };
  put('plain/package.json', manifests['plain 1']!);
  put('plain/index.js', 'four');
  symlinkSync('index.js', join(root, 'node_modules/plain/alias.js'));
  put('plain/test/node_modules/fixture/package.json', '{}');
  put('old/package.json', manifests['old']!);
  put('old/node_modules/plain/package.json', manifests['plain 2']!);
  put('old/node_modules/plain/lib/a.js', 'abc');
  put('@scope/part/package.json', `\uFEFF${manifests['@scope/part']!}`);
  put('broken/package.json', '{ not json');
  put('broken/index.js', 'fives');
  mkdirSync(join(root, 'node_modules/empty'));
  put('.bin/tool', 'not a package');
  put('.cache/thing/package.json', '{"name":"thing"}');
  put('a-file', 'not a package');
  mkdirSync(join(root, 'elsewhere'));
  symlinkSync('../elsewhere', join(root, 'node_modules/linked'));
  put('unreadable/package.json', '{"name":"unreadable","version":"1.0.0","license":"MIT"}');
  // A name that is no UTF-8 cannot be opened by its decoded form: a package that stays unreadable, for root as well.
  writeFileSync(Buffer.concat([Buffer.from(`${join(root, 'node_modules/unreadable')}/`), Buffer.from([0xff, 0xfe])]), 'x');
}

function demo(flags: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = ['--import', 'tsx', join(repository, 'examples/demo/main.ts'), ...flags];
  return new Promise((done) => {
    execFile(process.execPath, command, { cwd: repository }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr });
    });
  });
}
