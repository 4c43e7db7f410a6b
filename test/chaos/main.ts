/** `npm run chaos -- --seconds 600 --seed 7`: chaos for as long as one likes. */
import { parseArgs } from 'node:util';
import { runChaos } from './chaos.ts';
import { reportLines, verdictOf } from './report.ts';

const { values } = parseArgs({ options: { seed: { type: 'string' }, seconds: { type: 'string', default: '60' } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
console.log(`seed ${seed}, ${values.seconds} seconds of faults`);
const report = await runChaos({ seed, seconds: Number(values.seconds), say: (line) => console.log(line) });
for (const line of reportLines(report)) console.log(line);
const problems = verdictOf(report);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
