/** `npm run demo -- --crash`: a real kill, the audit's verdict, and an audit that sees what it is for. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { audit } from '../../examples/demo/crash-audit.ts';
import { readWitness, type Witnessed } from '../../examples/demo/crash-witness.ts';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');
const scratch = mkdtempSync(join(tmpdir(), 'taskchart-crash-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function demo(flags: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = ['--import', 'tsx', join(repository, 'examples/demo/main.ts'), '--crash', ...flags];
  return new Promise((done) => {
    execFile(process.execPath, command, { cwd: repository }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr });
    });
  });
}

describe('the demo crashes itself', () => {
  it('is killed in the middle, goes on, repeats nothing that was finished, and reports the same', async () => {
    const out = join(scratch, 'killed');
    const { code, stdout, stderr } = await demo(['--out', out]);
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
    const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1]?.replaceAll(',', ''));
    expect(stdout).toMatch(/killed by SIGKILL after [\d,]+ of [\d,]+ packages/);
    expect(number(/([\d,]+) {2}tasks were finished in the store/)).toBeGreaterThan(0);
    expect(number(/([\d,]+) {2}of them were done twice/)).toBe(0);
    expect(stdout).toContain('byte for byte');

    // The witness once more, counted in another way: every line after the kill belongs to a task that is counted as run again, or is new.
    const folder = join(out, readdirSync(out)[0]!);
    const lines = readWitness(join(folder, 'witness.jsonl'));
    const [first] = lines;
    const names = (some: Witnessed[]): Set<string> => new Set(some.map(({ task, path, key }) => `${task} ${path} ${key}`));
    const [before, after] = [names(lines.filter(({ pid }) => pid === first!.pid)), names(lines.filter(({ pid }) => pid !== first!.pid))];
    const both = [...before].filter((name) => after.has(name)).length;
    expect(both).toBe(number(/([\d,]+) {2}were cut off/) + number(/([\d,]+) {2}had ended/));
    expect(before.size + after.size - both).toBe(number(/([\d,]+) {2}tasks in all/));
    const packages = (JSON.parse(readFileSync(join(folder, 'report/report.json'), 'utf8')) as { packages: unknown[] }).packages.length;
    expect(before.size + after.size - both).toBe(2 * packages);
  }, 60_000);

  it('says so where a tree is too small to be caught in the middle', async () => {
    const root = join(scratch, 'small');
    mkdirSync(join(root, 'node_modules/one'), { recursive: true });
    writeFileSync(join(root, 'node_modules/one/package.json'), '{"name":"one","version":"1.0.0"}');
    const { code, stdout } = await demo(['--root', root, '--out', join(scratch, 'out')]);
    expect(code).toBe(1);
    expect(stdout).toContain('It was over before it could be killed: 1 package, and at least 24 are needed');
  }, 60_000);
});

describe('the audit', () => {
  const line = (what: Witnessed['what'], pid: number, path = 'a', key = `r/${path}`): Witnessed => ({ what, task: 'contents', path, key, pid });
  const stored = [JSON.stringify([7, { deep: [{ path: 'a', problem: null, name: 'a', sha256: 'ff' }] }])];

  it('counts what was interrupted, what was not recorded, and what is new', () => {
    const witness = [line('began', 1), line('ended', 1), line('began', 1, 'b'), line('began', 1, 'c'), line('ended', 1, 'c'), ...['b', 'c', 'd'].flatMap((path) => [line('began', 2, path), line('ended', 2, path)])];
    const manifest = ['began', 'ended'].map((what) => ({ ...line(what as 'began', 1), task: 'manifest', key: 'r/m' }));
    expect(audit(stored, [...manifest, ...witness], 1)).toEqual({ acknowledged: 2, repeated: 0, interrupted: 1, unrecorded: 1, total: 5, problems: [] });
  });

  it.each<[string, Witnessed[], RegExp]>([
    ['a finished task that was done again', [line('began', 1), line('ended', 1), line('began', 2), line('ended', 2)], /was finished, and was done again/],
    ['a task that nobody did', [line('began', 1, 'b')], /was never done/],
    ['a result that nobody worked for', [line('began', 1), line('began', 2), line('ended', 2)], /nobody saw it end/],
    ['another idempotency key', [line('began', 1, 'b'), line('began', 2, 'b', 'r/other'), line('ended', 2, 'b', 'r/other')], /several idempotency keys/],
  ])('sees %s', (_what, witness, problem) => {
    expect(audit(stored, witness, 1).problems.join('\n')).toMatch(problem);
  });
});
