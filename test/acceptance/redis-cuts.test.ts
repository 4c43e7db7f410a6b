/**
 * ACCEPTANCE 28 on the backend redis: the cases about groups, and random graphs, over a real server; cut, and gone on with.
 * See support/redis-home.ts for what must hold.
 *
 * A failure prints its seed; `SEED=<seed> npx vitest run test/acceptance/redis-cuts.test.ts` repeats it. `RUNS` is the number of graphs.
 */
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { groupCasesOn } from './fixtures/cut-cases.ts';
import { cutsOf, everyCut, resumed, whole, type Cut } from './support/cuts.ts';
import type { Ending } from './support/clock.ts';
import { caseOf, evaluate, specs, type Spec } from './support/random-graphs.ts';
import { RedisHome } from './support/redis-home.ts';
import { redisConfig } from './support/redis-place.ts';

const home = new RedisHome(12);
afterAll(() => home.close());

const execution = { backend: 'redis', backendConfig: redisConfig('here') } as const;
/** Two members write at the same time what does not fit together. The later one is refused when both are home: too late for a recover step that was at a worker. */
const decidedAtHome = /^channel writes that do not fit/;

describe('28. cuts of runs whose groups are on workers', () => {
  const cases = groupCasesOn('redis', execution).filter(({ name }) => !decidedAtHome.test(name));

  it.each(cases.map((test) => [test.name, test] as const))('28. %s', async (_name, test) => {
    expect(await everyCut(test, home)).toBeGreaterThan(2);
  }, 120_000);
});

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const numRuns = Number(process.env['RUNS'] ?? 15);
const INPUT = 7;

async function agrees(spec: Spec, sums: boolean, picks: readonly number[]): Promise<void> {
  const told = evaluate(spec, INPUT);
  const expected = told === undefined ? 'failed' : { kind: 'completed', output: sums ? [told.output ?? null, told.sides] : told.output };
  const check = (ending: Ending, place: string): void => void expect(ending.kind === 'failed' ? 'failed' : ending, place).toEqual(expected);
  const test = caseOf(spec, INPUT, { name: 'redis', execution }, sums);
  check((await whole(test, home)).ending, 'uncut');
  const { ending, cuts } = await cutsOf(test, undefined, home);
  check(ending, 'looked into');
  for (const pick of picks) {
    const at = Math.floor(pick * cuts.length);
    const cut = cuts[at] as Cut;
    const after = await resumed(test, cut, 0, home);
    check(after.ending, `cut ${at} of ${cuts.length}`);
    home.checkExecutions(cut, after.trace.entries, true, `cut ${at} of ${cuts.length}`);
  }
}

const picks = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 3, maxLength: 3 });

describe('28. random graphs whose groups are on workers', () => {
  it('28. without lasting failures: the output and the sum of all side tasks', async () => {
    await fc.assert(fc.asyncProperty(specs(false), picks, (spec, cuts) => agrees(spec, true, cuts)), { seed, numRuns });
  }, 300_000);

  it('28. with tasks that fail for good: the output, or a failed run', async () => {
    await fc.assert(fc.asyncProperty(specs(true), picks, (spec, cuts) => agrees(spec, false, cuts)), { seed, numRuns });
  }, 300_000);
});
