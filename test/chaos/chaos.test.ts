/** A minute of chaos, the same schedule each time; `npm run chaos` draws others. A failure prints the seed; `npm run chaos -- --seed <seed>` draws the same schedule. */
import { describe, expect, it } from 'vitest';
import { tally, type Line } from './check.ts';
import { runChaos } from './chaos.ts';
import { reportLines, verdictOf } from './report.ts';

describe('chaos', () => {
  it('loses nothing and accepts nothing twice, whatever is killed, frozen, cut, emptied or restarted', async () => {
    const seed = Number(process.env['CHAOS_SEED'] ?? 1);
    const lines: string[] = [];
    try {
      const report = await runChaos({ seed, seconds: 40, leastFaults: 20, say: (line) => lines.push(line) });
      console.log(reportLines(report).join('\n'));
      expect(verdictOf(report)).toEqual([]);
      expect(Object.values(report.faults).reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(20);
    } catch (thrown) {
      console.error(`seed ${seed}\n${lines.join('\n')}`);
      throw thrown;
    }
  }, 400_000);
});

describe('its check', () => {
  const line = (what: 'begin' | 'end', key: string, at: number, run = 'r'): Line => ({ what, run, key, attempt: 1, pid: 1, at });
  const expected = new Set(['1.0 1', '1.1 1']);

  it('sees what is lost, what is unexpected, and repeats that nothing explains', () => {
    const lines = [line('begin', '1.0', 10), line('end', '1.0', 20), line('begin', '1.0', 1000), line('end', '1.0', 1010), line('begin', '9', 5), line('end', '9', 6)];
    expect(tally(lines, ['r'], expected, [])).toMatchObject({ lost: ['r 1.1 1'], unexpected: ['r 9 1'], repeated: 1, unexplained: ['r 1.0 1'] });
  });

  it('takes a repeat for explained when a fault lies between it and what it repeats', () => {
    const lines = [line('begin', '1.0', 10), line('begin', '1.0', 1000), line('end', '1.0', 1010), line('end', '1.1', 1010)];
    expect(tally(lines, ['r'], expected, [{ kind: 'worker killed', from: 500, to: 900 }])).toMatchObject({ lost: [], unexplained: [] });
    expect(tally(lines, ['r'], expected, [{ kind: 'worker killed', from: 1001, to: 1900 }])).toMatchObject({ unexplained: ['r 1.0 1'] });
    expect(tally(lines, ['r'], expected, [{ kind: 'worker killed', from: 0, to: 9 }])).toMatchObject({ unexplained: ['r 1.0 1'] });
  });
});
