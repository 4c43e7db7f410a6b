/**
 * The borders of the layers hold, and the linter that says so can see.
 *
 * A linter that understands nothing reports nothing, so silence over the real tree counts only together with: files were
 * linted, and a violation planted on every border, in a copy of the real tree, is reported by the rule that it breaks.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');

interface Finding { code: string; message: string; filename: string }
interface Report { diagnostics: Finding[]; number_of_files: number }

function lint(folder: string): Promise<Report> {
  const linter = join(repository, 'node_modules/oxlint/bin/oxlint');
  return new Promise((done, fail) => {
    execFile(process.execPath, [linter, '--format=json'], { cwd: folder, maxBuffer: 1 << 26 }, (_, stdout, stderr) => {
      try {
        done(JSON.parse(stdout) as Report);
      } catch {
        fail(new Error(`the linter printed no report: ${stdout.slice(0, 200)} ${stderr.slice(0, 200)}`));
      }
    });
  });
}

/** Every TypeScript file of the folders, by its path from the repository's root. */
function sources(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts')).map((file) => `${folder}/${file}`));
}

const imports = 'no-restricted-imports';
const globals = 'no-restricted-globals';
const properties = 'no-restricted-properties';

const use = (specifier: string) => `import * as planted from '${specifier}';\nexport const used = planted;\n`;

/** [where the violation is planted, its text, the rule that must report it] */
const planted: [file: string, text: string, rule: string][] = [
  ['src/core/planted-1.ts', use('xstate'), imports],
  ['src/core/planted-2.ts', use('node:path'), imports],
  ['src/core/planted-3.ts', use('ioredis'), imports],
  ['src/core/planted-4.ts', use('../define/task.ts'), imports],
  ['src/core/planted-5.ts', use('../ports.ts'), imports],
  ['src/core/planted-6.ts', use('../../machines/index.ts'), imports],
  ['src/core/planted-7.ts', use('../runtime/run.ts'), imports],
  ['src/core/planted-8.ts', use('../index.ts'), imports],
  ['src/core/planted-9.ts', "export const used = (): unknown => import('node:fs');\n", imports],
  ['src/core/planted-10.ts', "export type { Task } from '../define/task.ts';\n", imports],
  ['src/core/planted-11.ts', 'export const used = () => Date.now();\n', globals],
  ['src/core/planted-12.ts', 'export const used = () => new Date();\n', globals],
  ['src/core/planted-13.ts', 'export const used = () => Math.random();\n', properties],
  ['src/core/planted-14.ts', 'export const used = () => performance.now();\n', globals],
  ['src/core/planted-15.ts', 'export const used = () => crypto.randomUUID();\n', globals],
  ['src/core/planted-16.ts', 'export const used = () => setTimeout(() => undefined, 1);\n', globals],
  ['src/core/planted-17.ts', 'export const used = () => globalThis.Date.now();\n', properties],
  ['src/core/planted-18.ts', 'export const used = () => process.pid;\n', globals],
  ['src/core/planted-19.ts', 'export const used = (value: any) => value;\n', 'no-explicit-any'],
  ['src/core/planted-20.ts', use('../adapters/system.ts'), imports],

  ['machines/planted-1.ts', use('node:fs'), imports],
  ['machines/planted-2.ts', use('ioredis'), imports],
  ['machines/planted-3.ts', use('nanoid'), imports],
  ['machines/planted-4.ts', use('../src/define/task.ts'), imports],
  ['machines/planted-5.ts', use('../src/ports.ts'), imports],
  ['machines/planted-6.ts', use('../src/runtime/run.ts'), imports],
  ['machines/planted-7.ts', use('../src/index.ts'), imports],
  ['machines/execution-context/planted-8.ts', use('../../src/adapters/system.ts'), imports],
  ['machines/execution-context/planted-9.ts', use('../../src/define/task.ts'), imports],
  ['machines/planted-10.ts', 'export const used = () => Date.now();\n', globals],
  ['machines/planted-11.ts', 'export const used = () => new Date();\n', globals],
  ['machines/planted-12.ts', 'export const used = () => Math.random();\n', properties],
  ['machines/execution-context/planted-13.ts', 'export const used = () => setTimeout(() => undefined, 1);\n', globals],
  ['machines/execution-context/planted-14.ts', 'export const used = (value: any) => value;\n', 'no-explicit-any'],
  ['machines/planted-15.ts', use('xstate-but-another'), imports],

  ['src/define/planted-1.ts', use('xstate'), imports],
  ['src/define/planted-2.ts', use('node:path'), imports],
  ['src/define/planted-3.ts', use('../runtime/run.ts'), imports],
  ['src/define/planted-4.ts', use('../../machines/index.ts'), imports],
  ['src/define/planted-5.ts', use('../ports.ts'), imports],
  ['src/define/planted-6.ts', use('../adapters/system.ts'), imports],

  ['src/runtime/planted-1.ts', use('node:fs'), imports],
  ['src/runtime/planted-2.ts', use('node:worker_threads'), imports],
  ['src/runtime/planted-3.ts', use('ioredis'), imports],
  ['src/runtime/planted-4.ts', use('tinypool'), imports],
  ['src/runtime/planted-5.ts', use('../adapters/system.ts'), imports],
  ['src/runtime/planted-6.ts', use('../cli/main.ts'), imports],
  ['src/runtime/planted-7.ts', use('../inspect/server.ts'), imports],
  ['src/runtime/planted-8.ts', use('../index.ts'), imports],

  ['src/adapters/planted-1.ts', use('../runtime/run.ts'), imports],
  ['src/adapters/planted-2.ts', use('../define/task.ts'), imports],
  ['src/adapters/planted-3.ts', use('../../machines/index.ts'), imports],
  ['src/adapters/planted/planted-4.ts', use('../../cli/main.ts'), imports],
  ['src/adapters/planted-5.ts', use('xstate'), imports],

  ['src/inspect/planted-1.ts', use('node:fs'), imports],
  ['src/inspect/planted-2.ts', use('ioredis'), imports],
  ['src/inspect/planted-3.ts', use('../cli/main.ts'), imports],

  ['src/cli/planted-1.ts', use('node:fs'), imports],
  ['src/cli/planted-2.ts', use('node:fs/promises'), imports],
  ['src/cli/planted-3.ts', use('node:worker_threads'), imports],
  ['src/cli/planted-4.ts', use('ioredis'), imports],
  ['src/cli/planted-5.ts', use('fs'), imports],

  ['src/index.ts', use('node:fs'), imports],
  ['src/ports.ts', use('./runtime/run.ts'), imports],
  ['examples/planted-1.ts', use('../src/index.ts'), imports],

  ['src/core/planted-cycle-a.ts', "import { b } from './planted-cycle-b.ts';\nexport const a = () => b;\n", 'no-cycle'],
  ['src/core/planted-cycle-b.ts', "import { a } from './planted-cycle-a.ts';\nexport const b = () => a;\n", 'no-cycle'],
  ['src/runtime/planted-cycle-a.ts', "import type { B } from './planted-cycle-b.ts';\nexport type A = { b: B };\n", 'no-cycle'],
  ['src/runtime/planted-cycle-b.ts', "import type { A } from './planted-cycle-a.ts';\nexport type B = { a: A };\n", 'no-cycle'],
  ['test/planted-1.test.ts', "import { it } from 'vitest';\nit.only('is the only one', () => undefined);\n", 'no-focused-tests'],
  ['test/planted-2.test.ts', "import { it } from 'vitest';\nit.skip('is never run', () => undefined);\n", 'no-disabled-tests'],
];

/** What each layer may import: nothing of this may be reported. */
const allowed: [file: string, text: string][] = [
  ['src/core/allowed.ts', use('./ids.ts')],
  ['machines/allowed.ts', use('xstate') + use('xstate/graph').replaceAll('planted', 'graph').replace('used', 'drawn')],
  ['machines/execution-context/allowed.ts', use('../../src/core/ids.ts')],
  ['src/define/allowed.ts', use('../core/ids.ts')],
  ['src/define/allowed-types.ts', "import type { StandardSchemaV1 } from '@standard-schema/spec';\nexport type Used = StandardSchemaV1;\n"],
  ['src/runtime/allowed.ts', use('../../machines/index.ts')],
  ['src/runtime/allowed-define.ts', use('../define/task.ts')],
  ['src/runtime/allowed-ports.ts', use('../ports.ts')],
  ['src/runtime/allowed-nanoid.ts', use('nanoid')],
  ['src/adapters/allowed.ts', use('node:fs/promises')],
  ['src/adapters/allowed-ports.ts', use('../ports.ts')],
  ['src/adapters/allowed-pool.ts', use('tinypool')],
  ['src/cli/allowed.ts', use('node:path')],
  ['src/cli/allowed-adapters.ts', use('../adapters/allowed.ts')],
  ['examples/allowed.ts', use('taskchart')],
  ['examples/allowed-node.ts', use('node:fs')],
];

describe('the borders of the layers', () => {
  const copy = mkdtempSync(join(tmpdir(), 'taskchart-borders-'));
  const found = new Map<string, Set<string>>();
  let report: Report;

  beforeAll(async () => {
    for (const name of ['src', 'machines', 'examples', '.oxlintrc.json', 'package.json', 'tsconfig.json']) {
      if (existsSync(join(repository, name))) cpSync(join(repository, name), join(copy, name), { recursive: true });
    }
    symlinkSync(join(repository, 'node_modules'), join(copy, 'node_modules'));
    for (const [file, text] of [...planted, ...allowed]) {
      mkdirSync(dirname(join(copy, file)), { recursive: true });
      writeFileSync(join(copy, file), text);
    }
    report = await lint(copy);
    for (const { filename, code } of report.diagnostics) {
      const file = relative(copy, resolve(copy, filename));
      found.set(file, (found.get(file) ?? new Set()).add(/\((.+)\)/.exec(code)?.[1] ?? code));
    }
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  it.each(planted)('reports what is planted in %s', (file, _text, rule) => {
    expect([...(found.get(file) ?? [])]).toContain(rule);
  });

  it.each(allowed)('lets %s import what its layer may', (file) => {
    expect([...(found.get(file) ?? [])]).toEqual([]);
  });
});

describe('the real tree', () => {
  it('is linted, every source file of it, and has no finding', async () => {
    const report = await lint(repository);
    expect(report.diagnostics.map((one) => `${one.filename}: ${one.code} ${one.message}`)).toEqual([]);
    const files = sources('src', 'machines', 'examples', 'test');
    expect(files.length).toBeGreaterThan(20);
    expect(report.number_of_files).toBeGreaterThanOrEqual(files.length);
  });

  it('has barrels only where the package has entries', () => {
    const barrels = sources('src', 'machines').filter((file) => file.endsWith('/index.ts'));
    expect(barrels.sort()).toEqual(['machines/index.ts', 'src/index.ts']);
  });
});
