/**
 * Replays seeds of the simulation: `npm run sim -- --seed 7`.
 *
 * --seed N        one seed, with everything that was done and what was wrong
 * --from A --to B many, with one line for each that failed
 * --only 0,2      of one seed's faults only these
 */
import { parseArgs } from 'node:util';
import { simulate } from './simulate.ts';
import { drawPlan } from './plan.ts';

const { values } = parseArgs({ options: { seed: { type: 'string' }, from: { type: 'string' }, to: { type: 'string' }, only: { type: 'string' }, quiet: { type: 'boolean' } } });

if (values.seed === undefined) await many(Number(values.from ?? 1), Number(values.to ?? 200));
else await one(Number(values.seed));

async function one(seed: number): Promise<void> {
  const only = values.only?.split(',').filter((part) => part !== '').map(Number);
  const plan = drawPlan(seed);
  console.log(JSON.stringify(plan, null, 1).replaceAll(/\n\s{4,}/g, ' '));
  const report = await simulate(seed, {
    print: values.quiet === true ? undefined : (line) => console.log(line),
    plan: (drawn) => (only === undefined ? drawn : { ...drawn, faults: drawn.faults.filter((_, at) => only.includes(at)) }),
  });
  console.log(`\nseed ${seed}: ${report.callbacks} callbacks, ${report.elapsedMs} ms of its time, hash ${report.hash}; ${report.happened.join('; ')}`);
  console.log(report.problems.length === 0 ? 'nothing was wrong' : report.problems.join('\n'));
  process.exitCode = report.problems.length === 0 ? 0 : 1;
}

async function many(from: number, to: number): Promise<void> {
  const startedAt = performance.now();
  let failures = 0;
  let callbacks = 0;
  for (let seed = from; seed <= to; seed += 1) {
    const report = await simulate(seed);
    callbacks += report.callbacks;
    if (report.problems.length === 0) continue;
    failures += 1;
    console.log(`seed ${seed}: ${report.problems[0]} [${report.happened.join('; ')}]`);
  }
  const ms = performance.now() - startedAt;
  console.log(`${to - from + 1} seeds, ${failures} failed, ${(ms / (to - from + 1)).toFixed(1)} ms and ${Math.round(callbacks / (to - from + 1))} callbacks each`);
  process.exitCode = failures === 0 ? 0 : 1;
}
