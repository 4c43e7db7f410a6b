/** Every numbered example runs as a user would run it and prints exactly what its last comment says. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');
const folder = join(repository, 'examples');
const examples = readdirSync(folder).filter((name) => /^\d\d-.*\.ts$/.test(name)).sort();
const run = promisify(execFile);

it('finds the examples', () => {
  expect(examples.map((name) => name.slice(0, 2))).toEqual(expect.arrayContaining(['01', '02', '03', '04', '05', '06', '07', '08', '09', '10', '11', '12']));
});

describe.each(examples)('examples/%s', (name) => {
  const source = readFileSync(join(folder, name), 'utf8');

  it('is short, says what it shows, and imports the package by its name', () => {
    expect(source.split('\n').length).toBeLessThan(60);
    expect(source).toMatch(/^\/\*\*?[\s\S]{40,}?\*\//);
    expect(source).toMatch(/from 'taskchart'/);
    expect(source).not.toMatch(/from '\.\.\//);
  });

  it('prints what it promises', async () => {
    const expected = /\n\/\* Expected output:\n([\s\S]*)\n\*\/\n$/.exec(source)?.[1];
    const { stdout, stderr } = await run(process.execPath, ['--import', 'tsx', join(folder, name)], { cwd: repository });
    expect(stderr).toBe('');
    expect(stdout.trimEnd()).toBe(expected);
  }, 30_000);
});
