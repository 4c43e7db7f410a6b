/** The simulation still sees: each planted bug is found within a bounded number of seeds. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { planted } from './planted.ts';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');
const tsx = pathToFileURL(join(repository, 'node_modules/tsx/dist/loader.mjs')).href;
const SEEDS = 150;
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** The sources as they are, to be changed. */
function copy(): string {
  const folder = mkdtempSync(join(tmpdir(), 'taskchart-planted-'));
  folders.push(folder);
  for (const part of ['src', 'machines', 'test/sim', 'test/model', 'package.json', 'tsconfig.json']) cpSync(join(repository, part), join(folder, part), { recursive: true });
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

function hunt(folder: string, seeds: number): Promise<{ readonly found: boolean; readonly said: string }> {
  return new Promise((done) => {
    execFile(process.execPath, ['--import', tsx, join(folder, 'test/sim/hunt.ts'), '1', String(seeds)], { cwd: folder, env: { ...process.env, VITEST: '' } }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (code !== 0 && code !== 1) throw new Error(`the hunt broke down: ${stderr.slice(-2000)}`);
      done({ found: code === 0, said: `${stdout}${stderr}`.slice(0, 2000) });
    });
  });
}

describe('the simulation', () => {
  it('has at least twelve bugs to find', () => {
    expect(planted.length).toBeGreaterThanOrEqual(12);
    expect(new Set(planted.map(({ name }) => name)).size).toBe(planted.length);
  });

  it('finds nothing in the sources as they are', async () => {
    expect(await hunt(copy(), 10)).toMatchObject({ found: false });
  }, 120_000);

  it.concurrent.each(planted)('finds it when $name', async ({ file, piece, instead }) => {
    const folder = copy();
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    expect(text.split(piece).length, `${file} holds the piece once`).toBe(2);
    writeFileSync(path, text.replace(piece, () => instead));
    const { found, said } = await hunt(folder, SEEDS);
    expect({ found, said }).toMatchObject({ found: true });
  }, 300_000);
});
