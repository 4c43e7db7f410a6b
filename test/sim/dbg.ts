import { World } from './world.ts';
import { drawPlan } from './plan.ts';
import { expectedOf } from './expected.ts';
const seed = Number(process.argv[2]);
const plan = drawPlan(seed);
const expected = [];
for (const { id, flow, graph } of plan.runs) expected.push(await expectedOf(seed, id, flow, graph));
let world: World;
const [from, to] = [Number(process.argv[3]), Number(process.argv[4])];
world = new World(plan, expected, (line) => {
  const at = Number(line.split(' ')[0]);
  if (at < from || at > to) return;
  console.log(line.slice(0, 200));
  if (world === undefined) return;
  const all = [...world.server.all()].filter(([key]) => new RegExp(process.argv[5] ?? '.').test(key)).map(([key, texts]) => `${key.slice(12)}=[${texts.map((t) => t.slice(0, 24)).join(' , ')}]${world.server.timeLeft(key) ?? ''}`);
  console.log('      ', all.join(' '));
});
await world.kernel.run(() => world.isDone || world.problems.length > 0, 100_000);
