/**
 * What must hold when a seed is over.
 *
 * Invariants checked
 * 1. Each run has told the end that the same graph has on the backend `local`, unless it was cancelled, or units were given up.
 * 2. Every task execution that there must be has taken place, and no other. One that was repeated was handed out again, or its
 *    process had died.
 * 3. Nothing of a run that has ended is left in the lists.
 */
import type { SimRun, World } from './world.ts';

export function judge(world: World): void {
  for (const run of world.runs) {
    if (run.told === undefined) {
      if (!run.isLost) world.say(`run ${run.plan.id} has not ended: ${whyNot(world, run)}`);
      continue;
    }
    checkOutcome(world, run);
    checkExecutions(world, run);
  }
}

/** Invariant 3: what is in the lists and should not be. */
export function leftovers(world: World): string[] {
  const { server } = world;
  const found: string[] = [];
  const base = server.keys.control.length - 3;
  for (const [key, texts] of server.all()) {
    const [what = '', ...rest] = key.slice(base).split(':');
    if (what === 'dead' || what === 'workers' || what === 'lease' || what === 'cancel' || (what === 'w' && world.ledger.isStranded(key))) continue;
    const id = (rest.join(':').split(':')[0] ?? '').split('~')[0] ?? '';
    const run = world.runs.find((one) => one.plan.id === id);
    if (run !== undefined && (run.isLeft || (run.told === undefined && !run.isLost))) continue;
    if (what === 'q' || what === 'w') {
      const left = texts.filter((text) => !isExcused(world, text));
      if (left.length === 0) continue;
    }
    found.push(`${key} is left with ${texts.length} elements: ${texts.map((text) => text.slice(0, 60)).join(' ')}`);
  }
  return found;
}

function isExcused(world: World, text: string): boolean {
  return world.runs.some((run) => text.includes(`|${run.plan.id}~`) && (run.isLeft || (run.told === undefined && !run.isLost)));
}

function checkOutcome(world: World, { plan, told, expected, cancelledAt }: SimRun): void {
  if (told === undefined) return;
  const { outcome } = expected;
  if (cancelledAt !== undefined && told.kind === 'cancelled') return;
  if ((world.ledger.dead.get(plan.id) ?? 0) > 0 || deadOf(world, plan.id) > 0) {
    if (world.plan.deliveries > 3) world.say(`run ${plan.id}: units were given up after ${world.plan.deliveries} deliveries`);
    return;
  }
  const same = plan.graph.loose ? told.kind === outcome.kind : JSON.stringify(told) === JSON.stringify(outcome);
  if (!same) world.say(`run ${plan.id} has ended as ${JSON.stringify(told)}, and on the backend local as ${JSON.stringify(outcome)}`);
}

/** Those of runs without a journal have another key. */
function deadOf({ ledger }: World, id: string): number {
  let dead = 0;
  for (const [run, count] of ledger.dead) if (run.startsWith(`${id}~`)) dead += count;
  return dead;
}

function checkExecutions(world: World, run: SimRun): void {
  const { plan, expected, executions, cancelledAt } = run;
  if (plan.graph.loose || (world.ledger.dead.get(plan.id) ?? 0) + deadOf(world, plan.id) > 0) return;
  const seen = new Map<string, number>();
  for (const { name } of executions) seen.set(name, (seen.get(name) ?? 0) + 1);
  for (const name of seen.keys()) if (!expected.executions.has(name)) world.say(`run ${plan.id} has executed what it has not to: ${name}`);
  if (cancelledAt === undefined) for (const [name, times] of expected.executions) if ((seen.get(name) ?? 0) < times) world.say(`run ${plan.id} has not executed ${name}`);
  const again = handedAgain(world, run);
  const told = new Set<string>();
  for (const { name, key, role } of executions) {
    const extra = (seen.get(name) ?? 0) - (expected.executions.get(name) ?? 0);
    if (extra <= 0 || told.has(name)) continue;
    told.add(name);
    const allowed = role === 'coordinator' ? run.lives - 1 : again(key);
    if (extra > allowed) world.say(`run ${plan.id} has executed ${name} ${extra} times more than it should, and ${allowed} can be explained`);
  }
}

/** How often the member that an execution belongs to was handed out more than once for each time that it came back. */
function handedAgain(world: World, { plan, oracle }: SimRun): (key: string) => number {
  const extras: (readonly [prefix: string, times: number])[] = [];
  let inner = 0;
  for (const [unit, { stays }] of world.ledger.handed) {
    const [run = '', id = ''] = unit.split(' ');
    if (stays < 2) continue;
    // Groups of a branch that name another queue are dispatched by the worker that has the branch.
    if (run.startsWith(`${plan.id}~`)) inner += stays - 1;
    if (run !== plan.id || oracle === undefined) continue;
    const [group = 0, index = 0, generation = 0] = id.split('.').map(Number);
    for (const path of oracle.pathsOf(group, index, generation)) extras.push([`${plan.id}/${path}`, stays - 1]);
  }
  // What was in two places at once was executed in both, as often as both were handed out.
  for (const unit of [...world.ledger.doubled, ...world.ledger.crowded]) {
    const [run, id = ''] = unit.split(' ');
    const [group = 0, index = 0, generation = 0] = id.split('.').map(Number);
    if (run === plan.id && oracle !== undefined) for (const path of oracle.pathsOf(group, index, generation)) extras.push([`${plan.id}/${path}`, world.workers.length]);
  }
  const isNested = JSON.stringify(plan.graph.spec).includes('"other"');
  return (key) => {
    let times = world.forced + world.twins;
    for (const [prefix, count] of extras) if (key === prefix || (key.startsWith(prefix) && '+~.'.includes(key.charAt(prefix.length)))) times += count;
    if (isNested || plan.volatile) return times + inner + (isNested ? 10 : 0);
    return times;
  };
}

function whyNot(world: World, run: SimRun): string {
  const { handle, owner, oracle, plan } = run;
  const status = (): string => {
    try {
      return JSON.stringify(handle?.status());
    } catch (thrown) {
      return String(thrown);
    }
  };
  const lists = world.ledger.of(plan.id).join(', ');
  return `owner ${owner?.name ?? 'nobody'} (${owner?.isDead === true ? 'dead' : 'live'}), status ${handle === undefined ? 'unknown' : status()}, lists [${lists}], verdict ${JSON.stringify(oracle?.context?.verdict)}`;
}
