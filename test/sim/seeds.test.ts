/**
 * Seeds of the simulation: each draws graphs, workers and faults of its own, and everything is checked after every step.
 * A failing seed is replayed by `npm run sim -- --seed <seed>`.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { simulate } from './simulate.ts';

const hunt = fileURLToPath(new URL('hunt.ts', import.meta.url));
const tsx = pathToFileURL(fileURLToPath(new URL('../../node_modules/tsx/dist/loader.mjs', import.meta.url))).href;
const SEEDS = Number(process.env['SIM_SEEDS'] ?? 2000);
const PARTS = 2;

/** A process for each part: one seed uses one core. */
function part(from: number, to: number): Promise<{ readonly code: unknown; readonly said: string }> {
  return new Promise((done) => {
    execFile(process.execPath, ['--import', tsx, hunt, String(from), String(to)], (error, stdout, stderr) => done({ code: error?.code ?? 0, said: `${stdout}${stderr}`.slice(0, 3000) }));
  });
}

describe('the simulation', () => {
  it('does the same for the same seed', async () => {
    for (const seed of [3, 17, 42]) {
      const [first, second] = [await simulate(seed), await simulate(seed)];
      expect(second.hash, `seed ${seed}`).toBe(first.hash);
      expect(second.callbacks).toBe(first.callbacks);
    }
    expect((await simulate(4)).hash).not.toBe((await simulate(3)).hash);
  }, 60_000);

  it(`finds nothing wrong in ${SEEDS} seeds`, async () => {
    const each = Math.ceil(SEEDS / PARTS);
    const ends = await Promise.all(Array.from({ length: PARTS }, (_, at) => part(at * each + 1, (at + 1) * each)));
    // 1: none of its seeds found anything.
    expect(ends).toEqual(ends.map(() => ({ code: 1, said: '' })));
  }, 900_000);
});
