/** Single cases of the pure step that the random walks of test/model have found, each kept as it was found. */
import { describe, expect, it } from 'vitest';
import { createActor } from 'xstate';
import { each, parallel, sequence, sleep, task, waitFor, workflow } from 'taskchart';
import { createExecutionContextMachine, planOf, type ExecutionContext, type ExecutionEvent, type Outcome, type Plan } from '../../machines/index.ts';
import { World } from '../model/world.ts';

const run = async (): Promise<unknown> => 1;
const value: Outcome = { kind: 'value', value: 1 };
const failed: Outcome = { kind: 'failed', error: { name: 'Error', message: 'no' }, random: 0 };

function planFor(flow: { readonly graph: Plan['graph'] }): Plan {
  return planOf(flow.graph, 'hash', { get: () => undefined });
}

/** A world (which checks every invariant at every event) that has had its first READY. */
function started(flow: { readonly graph: Plan['graph'] }, input: unknown, facts: { concurrency?: number; maxSteps?: number } = {}): World {
  const world = new World(planFor(flow), { concurrency: 1, ...facts }, input as never);
  world.send({ type: 'READY', from: 'executor', at: 1, run: world.facts });
  return world;
}

const settled = (...reports: (ExecutionEvent & { type: 'SETTLED' })['reports'][number][]): ExecutionEvent => ({ type: 'SETTLED', at: 1, reports });
const openIds = (world: World): number[] => [...world.tokens.keys()];

describe('step', () => {
  it('takes no report for a group member that is a branch, nor for an index that is none', () => {
    const world = started(workflow('w', parallel(task('a', run), sequence(task('b', run), waitFor('go')))), 1);
    const before = world.context;
    const group = world.open().find((place) => 'group' in place)?.group ?? 0;
    for (const index of [1, 0.5, -1, 2, 2 ** 31, Number.NaN]) world.send(settled({ group, index, end: { kind: 'value', value: 9, spawned: [] } }, { group, indexes: [index], cells: [9] }));
    expect({ ...world.context, revision: 0 }).toEqual({ ...before, revision: 0 });
  });

  it('counts nothing as running when the step limit ends the run in the midst of starting', () => {
    const world = started(workflow('w', task('a', run).to('b', run)), 1, { maxSteps: 1 });
    world.send(settled({ id: 1, end: value }));
    expect(world.context).toMatchObject({ verdict: { kind: 'failed', error: { name: 'StepLimitError' } }, root: { running: 0 } });
  });

  it('starts nothing more in a branch that a group has just failed', () => {
    const spawner = parallel(sequence(task('a', run), waitFor('go').recover('late', run)).as('m'));
    const world = started(workflow('w', spawner, { uses: [each(task('e', run)).as('list')] as never }), 1);
    const group = Object.values(world.plan.graph.nodes).find((node) => node.kind === 'each')?.id ?? '';
    const [id] = openIds(world);
    // The each gets no array: its branch fails at once, with two more tokens queued behind it.
    world.send(settled({ id: id ?? 0, end: { kind: 'value', value: 1, spawned: [{ node: group, input: 'no array' }, { node: 'a' }, { node: 'a' }] } }));
    expect(world.context.verdict).toMatchObject({ kind: 'failed', error: { code: 'group/policy' } });
    expect(world.context.inFlight.size).toBe(0);
  });

  it('does not hand out a member again whose channel write failed into its recover step', () => {
    const world = started(workflow('w', each(task('a', run).recover('r', run))), [1, 2, 3]);
    const [first, second] = world.open();
    const write = (op: 'add' | 'append'): Outcome => ({ kind: 'value', channel: [{ op, key: 'k', value: 1 }] });
    world.send(settled({ ...(first as { group: number; index: number }), end: write('append') }));
    world.send(settled({ ...(second as { group: number; index: number }), end: write('add') }));
    // READY lists all that is in flight: one member in the range, and the recover step of another.
    world.send({ type: 'READY', from: 'executor', at: 1, run: world.facts });
    expect([world.members.size, world.tokens.size]).toEqual([1, 1]);
    expect(world.finish()).toBe(true);
  });

  it('makes the output from the main path alone, also where a side token ends last', () => {
    const world = started(workflow('w', task('a', run).to('b', run), { uses: [task('side', run)] }), 1, { concurrency: 2 });
    world.send(settled({ id: 1, end: { kind: 'value', value: 'a', spawned: [{ node: 'side', input: 1 }] } }));
    const side = openIds(world).find((id) => id !== 1) ?? 0;
    world.send(settled({ id: 1, end: { kind: 'value', value: 'main' } }));
    world.send(settled({ id: side, end: { kind: 'value', value: 'side' } }));
    expect(world.context.verdict).toEqual({ kind: 'completed', output: ['main'] });
  });

  it('a branch whose time has come while others hold the slots waits for one, and is not over', () => {
    const world = started(workflow('w', each(sequence(sleep(10), task('a', run))).withExecution({ backend: 'local', concurrency: 1 })), [1, 2, 3]);
    world.send({ type: 'DUE', at: 11, ids: [...world.armed.keys()] });
    expect(world.tokens.size).toBe(1);
    expect(world.finish()).toBe(true);
    expect(world.context.verdict).toMatchObject({ kind: 'completed', output: [[[1], [1], [1]]] });
  });

  it('members that were granted ahead and turn into branches wait for a slot: the limit of a group holds', () => {
    const world = started(workflow('w', each(task('a', run).recover('r', run)).withExecution({ backend: 'local', concurrency: 2 })), [1, 2, 3, 4, 5, 6]);
    expect(world.members.size).toBeGreaterThan(2);
    for (const place of world.open()) world.send(settled({ ...(place as { group: number; index: number }), end: failed }));
    expect(world.tokens.size).toBe(2);
    expect(world.finish()).toBe(true);
  });

  it('members that were granted ahead and turn into branches wait for a slot, also when they really run', async () => {
    let now = 0;
    let most = 0;
    const slow = async (): Promise<number> => {
      now += 1;
      most = Math.max(most, now);
      for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
      return 1;
    };
    const fails = each(task('a', async (_: number): Promise<number> => slow().then(() => Promise.reject(new Error('no')))).recover('r', slow)).withExecution({ backend: 'local', concurrency: 3 });
    const again = each(task('a', async (n: number, ctx) => slow().then(() => (ctx.iteration === 0 ? ctx.nextIteration(n) : (ctx.nextTask(extra), n))))).withExecution({ backend: 'local', concurrency: 3 });
    const extra = task('extra', async (_: unknown) => slow());
    for (const flow of [workflow('fails', fails), workflow('again', again, { uses: [extra] })]) {
      expect(await flow.run(Array.from({ length: 40 }, (_, at) => at))).toHaveLength(40);
      expect(most).toBe(3);
      most = 0;
    }
  });
});

describe('the machine', () => {
  it('starts its timers once, also when the first time came and went within one event', () => {
    const group = parallel(sequence(task('a', run), sleep(5)).as('sa'), task('b', run)).withPolicy({ failFast: true });
    const plan = planFor(workflow('w', sequence(group.recover('r', run), sleep(7), task('c', run))));
    const actor = createActor(createExecutionContextMachine(plan), { input: undefined }).start();
    const context = (): ExecutionContext => actor.getSnapshot().context;
    actor.send({ type: 'READY', from: 'executor', at: 1, run: { id: 'r', startedAt: 1, graphHash: 'hash', concurrency: 1 } });
    const branch = context().nextId - 2;
    actor.send({ type: 'SETTLED', at: 1, reports: [{ id: branch, end: value }, { group: 2, index: 1, end: failed }] } as ExecutionEvent);
    expect(context()).toMatchObject({ timed: false, delayed: { size: 0 } });
    expect(Object.keys(actor.getSnapshot().children)).toEqual(['executor']);
    actor.send({ type: 'SETTLED', at: 1, reports: [{ id: 1, end: value }] });
    expect(context()).toMatchObject({ timed: true, delayed: { size: 1 } });
    expect(Object.keys(actor.getSnapshot().children)).toEqual(['executor', 'timers']);
    actor.stop();
  });
});
