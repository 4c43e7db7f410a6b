/** One seed, from its plan to what was wrong. */
import { drawPlan, type Plan } from './plan.ts';
import { expectedOf, type Expected } from './expected.ts';
import { judge, leftovers } from './verdict.ts';
import { World } from './world.ts';

export interface Report {
  readonly seed: number;
  readonly problems: readonly string[];
  /** Of everything that was done: the same seed gives the same number. */
  readonly hash: number;
  readonly callbacks: number;
  readonly elapsedMs: number;
  readonly tail: readonly string[];
  /** How often each point was reached, and what happened there. */
  readonly reached: ReadonlyMap<string, number>;
  readonly happened: readonly string[];
}

/** After the faults: so long a run may take, beyond what its own sleeps take. */
const BOUND_MS = 90_000;

export interface Options {
  readonly print?: ((line: string) => void) | undefined;
  /** Changes the plan, to cut a failing one down. */
  readonly plan?: ((plan: Plan) => Plan) | undefined;
}

export async function simulate(seed: number, { print, plan: changed }: Options = {}): Promise<Report> {
  const drawn = drawPlan(seed);
  const plan = changed === undefined ? drawn : changed(drawn);
  const expected: Expected[] = [];
  for (const { id, flow, graph } of plan.runs) expected.push(await expectedOf(seed, id, flow, graph));
  const world = new World(plan, expected, print);
  const { kernel } = world;
  const { warn, error } = console;
  // Nothing of ours has to complain.
  console.warn = console.error = (...given: unknown[]) => world.say(`somebody complains: ${given.map(String).join(' ').slice(0, 300)} ${new Error('x').stack}`);
  try {
    await kernel.run(() => world.isDone || world.problems.length > 0, plan.faultsEndMs + BOUND_MS);
    world.calmDown();
    if (world.problems.length === 0) {
      judge(world);
      await tidy(world);
    }
  } catch (thrown) {
    world.say(`the simulation broke down: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
  } finally {
    Object.assign(console, { warn, error });
  }
  const { reached, happened } = world.faults;
  return {
    seed, problems: world.problems, hash: kernel.hash, callbacks: kernel.callbacks, elapsedMs: kernel.elapsedMs, tail: kernel.tail(), reached,
    happened: happened.map(({ point, action }) => `${action.do} at ${point}`),
  };
}

/** Whoever is left cleans up, and in some seeds everyone leaves then; after that nothing may be there any more. */
async function tidy(world: World): Promise<void> {
  const { kernel, plan } = world;
  const isClean = (): boolean => leftovers(world).length === 0;
  await kernel.run(isClean, plan.leaseMs * 2 + 3000);
  if (plan.seed % 8 !== 0 && isClean()) return;
  world.leaveAll();
  await kernel.run(() => world.workers.every(({ process }) => process.isDead), plan.drainMs + 10_000);
  await kernel.run(() => plan.seed % 8 !== 0 && isClean(), 5000 + (plan.coordinator.expireMs ?? 0));
  for (const problem of leftovers(world)) world.say(problem);
}
