/**
 * ACCEPTANCE 28 and the equality of backends, over random graphs: what comes out of a graph is what a simple reading of the
 * rules gives, on every backend, at every concurrency, and when the run is cut anywhere.
 *
 * A failure prints its seed; `SEED=<seed> npx vitest run test/acceptance/random-graphs.test.ts` repeats it. `RUNS` is the number
 * of graphs.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkExecutions, cutsOf, resumed, whole, type Cut } from './support/cuts.ts';
import type { Ending } from './support/clock.ts';
import { caseOf, evaluate, specs, type Spec, type Variant } from './support/random-graphs.ts';

const variants: readonly Variant[] = [
  { name: 'direct', execution: { backend: 'direct' } },
  { name: 'local', execution: { backend: 'local' } },
  { name: 'local, 2 at a time', execution: { backend: 'local', concurrency: 2 } },
  { name: 'local, 3 at a time, root 3', execution: { backend: 'local', concurrency: 3 }, concurrency: 3 },
];
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const INPUT = 7;

async function agrees(spec: Spec, sums: boolean, picks: readonly number[]): Promise<void> {
  const told = evaluate(spec, INPUT);
  const expected = told === undefined ? 'failed' : { kind: 'completed', output: sums ? [told.output ?? null, told.sides] : told.output };
  const check = (ending: Ending, place: string): void => void expect(ending.kind === 'failed' ? 'failed' : ending, place).toEqual(expected);
  for (const variant of variants) {
    const test = caseOf(spec, INPUT, variant, sums);
    check((await whole(test)).ending, variant.name);
    const { ending, cuts } = await cutsOf(test);
    check(ending, `${variant.name}, looked into`);
    for (const [number, pick] of picks.entries()) {
      const cut = cuts[Math.floor(pick * cuts.length)] as Cut;
      const after = await resumed(test, cut, number % 2 === 0 ? 0 : 30);
      const place = `${variant.name}, cut ${Math.floor(pick * cuts.length)} of ${cuts.length}`;
      check(after.ending, place);
      checkExecutions(cut, after.trace.entries, true, place);
    }
    const again = await cutsOf(test, cuts[Math.floor((picks[0] ?? 0) * cuts.length)] as Cut);
    const last = again.cuts[Math.floor((picks[1] ?? 0) * again.cuts.length)] as Cut;
    check((await resumed(test, last, 0)).ending, `${variant.name}, cut twice`);
  }
}

const picks = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 4, maxLength: 4 });

describe('28. random graphs', () => {
  it('28. without lasting failures: the output and the sum of all side tasks', async () => {
    await fc.assert(fc.asyncProperty(specs(false), picks, (spec, cuts) => agrees(spec, true, cuts)), { seed, numRuns: Number(process.env['RUNS'] ?? 80) });
  }, 120_000);

  it('28. with tasks that fail for good: the output, or a failed run', async () => {
    await fc.assert(fc.asyncProperty(specs(true), picks, (spec, cuts) => agrees(spec, false, cuts)), { seed, numRuns: Number(process.env['RUNS'] ?? 80) });
  }, 120_000);
});
