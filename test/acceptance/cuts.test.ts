/** ACCEPTANCE 28 at every point: each run is cut wherever it can be, and gone on with. See support/cuts.ts for what must hold. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { cutCases } from './fixtures/cut-cases.ts';
import { checkExecutions, cutsOf, everyCut, resumed, whole, type Cut } from './support/cuts.ts';
import type { Ending } from './support/clock.ts';
import type { TraceEntry } from './support/trace.ts';

describe('28. every cut', () => {
  it.each(cutCases.map((test) => [test.name, test] as const))('28. %s', async (_name, test) => {
    // Before it starts, when it has ended, and at least once in between.
    expect(await everyCut(test)).toBeGreaterThan(2);
  });
});

describe('28. cuts of runs that had been cut before', () => {
  it.each(cutCases.filter((_, index) => index % 4 === 0).map((test) => [test.name, test] as const))('28. %s', async (_name, test) => {
    const { ending } = await whole(test);
    const { cuts } = await cutsOf(test);
    const first = cuts[Math.floor(cuts.length / 3)] as Cut;
    // The second life of the run is cut in its turn, wherever it can be.
    const second = await cutsOf(test, first);
    expect(second.ending).toEqual(ending);
    for (const cut of second.cuts) expect((await resumed(test, cut, 0)).ending).toEqual(ending);
  });
});

interface Elsewhere {
  readonly ending: Ending;
  readonly entries: readonly TraceEntry[];
}

function inAnotherProcess(work: readonly unknown[]): Promise<readonly Elsewhere[]> {
  const script = fileURLToPath(new URL('fixtures/resume-child.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['pipe', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  child.stdin.end(JSON.stringify(work));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => (code === 0 && errors === '' ? resolve(JSON.parse(output) as Elsewhere[]) : reject(new Error(`exit code ${code}: ${errors}`))));
  });
}

describe('28. in another process', () => {
  it('28. three cuts of every run, from their text alone', async () => {
    const work: { name: string; cut: Cut; later: number }[] = [];
    const endings: Ending[] = [];
    for (const test of cutCases) {
      const { ending, cuts } = await cutsOf(test);
      for (const part of [0.25, 0.5, 0.8]) {
        work.push({ name: test.name, cut: cuts[Math.floor(cuts.length * part)] as Cut, later: 0 });
        endings.push(ending);
      }
    }
    const done = await inAnotherProcess(work);
    expect(done).toHaveLength(work.length);
    done.forEach(({ ending, entries }, index) => {
      const { name, cut } = work[index] as (typeof work)[number];
      expect(ending, name).toEqual(JSON.parse(JSON.stringify(endings[index])));
      const test = cutCases.find((one) => one.name === name);
      if (test?.asks !== true) checkExecutions(cut, entries, test?.drops === true, name);
    });
  }, 60_000);
});
