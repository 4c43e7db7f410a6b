/** When a run that waits for workers says why. Invariant numbers are those of stalled.ts. */
import { describe, expect, it } from 'vitest';
import { each, task, workflow } from '../../src/index.ts';
import { Stalled, needsWorkers, type UnitsWait } from '../../src/cli/stalled.ts';

const wait = (reason: string | undefined, units = 3, queue = 'q'): UnitsWait => ({ kind: 'units', queue, units, since: 0, reason });

/** Looks once a second, each time at the next of these; what is told, with the second. */
function told(...looks: readonly (readonly UnitsWait[])[]): string[] {
  const lines: string[] = [];
  let second = 0;
  const stalled = new Stalled(({ queue, reason }) => lines.push(`${second} ${queue}: ${reason}`));
  for (const waits of looks) {
    stalled.look([{ kind: 'members', group: 'each@1', count: 3 }, ...waits], second * 1000);
    second += 1;
  }
  return lines;
}
const times = (count: number, ...waits: UnitsWait[]): UnitsWait[][] => Array.from({ length: count }, () => waits);

describe('the reason why units do not move', () => {
  it('is told once, when it has stood for 3 s', () => {
    expect(told(...times(3, wait('no worker')))).toEqual([]);
    expect(told(...times(60, wait('no worker')))).toEqual(['3 q: no worker']);
    expect(told(...times(60, wait(undefined)))).toEqual([]);
  });

  it('is told again when it changes, or was gone (2)', () => {
    expect(told(...times(5, wait('no worker')), ...times(20, wait('lost')))).toEqual(['3 q: no worker', '8 q: lost']);
    expect(told(...times(5, wait('no worker')), ...times(2, wait(undefined)), ...times(9, wait('no worker')))).toEqual(['3 q: no worker', '10 q: no worker']);
  });

  it('is not told while units end or come (1), and not again because they do (2)', () => {
    expect(told(...[9, 8, 7, 6, 5, 4, 3].map((units) => [wait('no worker', units)]))).toEqual([]);
    expect(told(...times(5, wait('no worker')), ...times(9, wait('no worker', 4)))).toEqual(['3 q: no worker']);
  });

  it('is told of each queue', () => {
    expect(told(...times(9, wait('no worker', 1, 'a'), wait('lost', 1, 'b')))).toEqual(['3 a: no worker', '3 b: lost']);
  });
});

it('asks only for workflows that need workers', () => {
  const group = each(task('n', (n: number) => n));
  expect(needsWorkers(workflow('w', task('list', () => [1]).to(group)).graph)).toBe(false);
  expect(needsWorkers(workflow('w', task('list', () => [1]).to(group.withExecution({ backend: 'redis', backendConfig: { url: 'redis://127.0.0.1:1' } }))).graph)).toBe(true);
});
