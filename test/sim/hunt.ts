/** Looks for the first seed that finds something wrong: `hunt.ts <from> <to>`. Ends with 0 and one line when there is one, else with 1. */
import { simulate } from './simulate.ts';

const [from, to] = process.argv.slice(2).map(Number) as [number, number];
for (let seed = from; seed <= to; seed += 1) {
  const { problems } = await simulate(seed);
  if (problems.length === 0) continue;
  console.log(JSON.stringify({ seed, problem: problems[0]?.slice(0, 300) }));
  process.exit(0);
}
process.exit(1);
