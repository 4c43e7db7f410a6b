/** Members that are executed elsewhere, each as a whole: each rule of units.ts and branch.ts by itself. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dag, each, node, parallel, sequence, sleep, task, waitFor, workflow } from 'taskchart';
import type { AnyStep } from '../../src/define/step.ts';
import {
  Vec, branchContext, branchOutcome, planOf, revivedBranch, step, type ExecutionContext, type ExecutionEvent, type Handed, type Outcome, type Plan, type Report, type Start, type Step, type UnitOutcome,
} from '../../machines/index.ts';
import { Elsewhere, fairly, playHere } from '../model/branches.ts';
import { planOfShape, shapes, type Shape } from '../model/graphs.ts';
import { assertInvariants } from '../model/invariants.ts';
import { World, throughJson } from '../model/world.ts';

const run = async (): Promise<unknown> => 1;
const away = (concurrency = 64) => ({ backend: 'redis', backendConfig: { url: 'redis://127.0.0.1:6379' }, concurrency }) as const;
const steps = { steps: 1 };
const value: UnitOutcome = { kind: 'ended', cell: 7, ...steps };
const failed: UnitOutcome = { kind: 'ended', cell: { error: { name: 'Error', message: 'no' } }, ...steps };
const branch = { stands: 'here' };
const waitsFor = (...signals: string[]): Extract<UnitOutcome, { kind: 'parked' }> => ({ kind: 'parked', branch, waits: signals.map((name) => ({ node: 'a', signal: name, since: 5 })), ...steps });
const settled = (...reports: Report[]): ExecutionEvent => ({ type: 'SETTLED', at: 10, reports });
const signal = (name: string, given: unknown = 'yes'): ExecutionEvent => ({ type: 'SIGNAL', at: 20, name, value: given as never });

/** A world (which checks every invariant and rule at every event) that has had its first READY. */
function started(root: AnyStep, input: unknown, facts: { concurrency?: number; maxSteps?: number } = {}) {
  const { graph } = workflow('w', root);
  const plan = planOf(graph, 'hash', { get: () => undefined });
  const world = new World(plan, { concurrency: 1, ...facts }, input as never);
  const first = world.send({ type: 'READY', from: 'executor', at: 1, run: world.facts });
  return { world, first, group: groupOf(world) };
}

function groupOf({ context }: World): number {
  return [...Vec.entries(context.groups)].find(([, { batch }]) => batch !== undefined)?.[0] ?? -1;
}

function handedOf({ context }: World, group: number, index = 0): Handed | undefined {
  const { handed } = Vec.get(context.groups, group) ?? {};
  return handed && Vec.get(handed, index);
}

/** The one token that a step starts. */
function startedBy({ execute }: Step): Start {
  const [start, ...more] = execute?.start ?? [];
  if (start === undefined || more.length > 0) throw new Error(`one start is expected, not ${more.length}`);
  return start;
}

const completed = ({ plan, context: { completions } }: World, id: string): number => Vec.get(completions, plan.ordinal.get(id) ?? -1) ?? 0;

describe('members leave', () => {
  it('as a range, each as a whole, also where one has several steps or begins with a wait', () => {
    const { first, group } = started(parallel(task('a', run), sequence(task('b', run), task('c', run)), sequence(waitFor('go'), task('d', run))).as('p').withExecution(away()), 'in');
    expect(first.execute).toMatchObject({ start: [], ranges: [{ group, node: 'p', from: 0, to: 2, size: 3, input: 'in', units: { batch: 1 } }, { from: 2, to: 3 }] });
  });

  it('in whole batches, of which the last may go beyond the limit of the group', () => {
    const { world, first, group } = started(each(task('a', run), { batch: 3 }).withExecution(away(4)), [0, 1, 2, 3, 4, 5, 6]);
    expect(first.execute?.ranges).toMatchObject([{ from: 0, to: 3, units: { batch: 3 } }, { from: 3, to: 6, units: { batch: 3 } }]);
    const { execute } = world.send(settled(...[0, 1, 2].map((index) => ({ group, index, end: value }))));
    expect(execute?.ranges).toMatchObject([{ from: 6, to: 7 }]);
  });

  it('one by one where each must be counted', () => {
    const { first } = started(each(task('a', run), { batch: 3 }).withExecution(away()), [0, 1, 2], { maxSteps: 10 });
    expect(first.execute?.ranges).toMatchObject([{ from: 0, to: 3, units: { batch: 1, stepsLeft: 8 } }]);
  });

  it('with an execution taken from the limit only where they surely take one', () => {
    const waiting = started(each(sequence(waitFor('go'), task('a', run))).withExecution(away()), [0, 1, 2], { maxSteps: 2 });
    expect(waiting.first.execute?.ranges).toMatchObject([{ from: 0, to: 3, units: { stepsLeft: 2 } }]);
    expect(waiting.world.context.steps).toBe(0);
    const mixed = started(parallel(sleep(5).as('nap'), task('a', run), task('b', run)).withExecution(away()), 1, { maxSteps: 3 });
    expect(mixed.first.execute?.ranges).toMatchObject([{ from: 0, to: 1, units: { stepsLeft: 3 } }, { from: 1, to: 3, units: { stepsLeft: 2 } }]);
    const { execute } = mixed.world.send({ type: 'READY', from: 'executor', at: 1, run: mixed.world.facts });
    expect(execute?.ranges).toMatchObject([{ from: 0, to: 1 }, { from: 1, to: 3 }]);
  });

  it('of a dag one by one, with the values that they need', () => {
    const { world, first, group } = started(dag({ a: node(task('a', run)), b: node(task('b', run) as never, { needs: ['a'] }) }).as('d').withExecution(away()), 'in');
    expect(first.execute?.start).toMatchObject([{ node: 'a', input: 'in', within: 'd', unit: { generation: 0, key: '1', size: 2 } }]);
    const { execute } = world.send(settled({ id: first.execute?.start[0]?.id ?? 0, end: value }));
    expect(execute?.start).toMatchObject([{ node: 'b', group, index: 1, input: { a: 7 }, path: '1.1', unit: { generation: 0, key: '1', size: 2 } }]);
  });

  it('not while the run is paused, nor beyond the limit of the group', () => {
    const { world, first, group } = started(each(task('a', run)).withExecution(away(2)), [0, 1, 2, 3]);
    expect(first.execute?.ranges).toMatchObject([{ from: 0, to: 2 }]);
    world.send({ type: 'PAUSE' });
    expect(world.send(settled({ group, index: 0, end: value })).execute).toBeUndefined();
    expect(world.send({ type: 'RESUME' }).execute?.ranges).toMatchObject([{ from: 2, to: 3 }]);
  });

  it('never where the plan executes their group here: a worker keeps what is inside a member', () => {
    const { graph } = workflow('w', each(task('a', run)).as('e').withExecution(away()));
    const world = new World(planOf(graph, 'hash', { get: () => undefined }, (id) => id === 'e'), { concurrency: 1 }, [1]);
    const { execute } = world.send({ type: 'READY', from: 'executor', at: 1, run: world.facts });
    expect(execute?.ranges.map(({ units }) => units)).toEqual([undefined]);
  });
});

describe('members come back', () => {
  const four = () => started(each(sequence(task('a', run), task('b', run))).withPolicy('bestEffort').withExecution(away()), [0, 1, 2, 3]);

  it('with a value, bare or as an outcome, or with an error', () => {
    const { world, group } = four();
    world.send(settled({ group, indexes: [3], cells: [4] }, { group, index: 0, end: value }, { group, index: 1, end: failed }, { group, index: 2, end: { ...value, cell: [] } }));
    expect(world.context.verdict).toMatchObject({ kind: 'completed', output: [[7, null, null, 4]] });
  });

  it('and what they executed is counted: by node, and without a word one of the node at which they begin', () => {
    const { world, group } = four();
    world.send(settled({ group, index: 0, end: { ...value, steps: 4, counts: { a: 2, b: 1, nowhere: 9 } } }, { group, index: 1, end: value }, { group, index: 2, end: failed }, { group, indexes: [3], cells: [4] }));
    expect([completed(world, 'a'), completed(world, 'b'), world.context.steps]).toEqual([4, 1, 7]);
  });

  it('with operations on the channel, all of which are applied, or none: then the member has failed', () => {
    const { world, group } = four();
    const add = { op: 'add', key: 'n', value: 2 } as const;
    const { execute } = world.send(settled({ group, index: 0, end: { ...value, channel: [add, add] } }));
    expect(execute?.channel).toEqual({ n: 4 });
    world.send(settled({ group, index: 1, end: { ...waitsFor('go'), channel: [add, { op: 'append', key: 'n', value: 1 }] } }));
    expect(world.context).toMatchObject({ channel: { n: 4 }, waits: { size: 0 } });
    expect(Vec.get(Vec.get(world.context.groups, group)!.outcomes, 1)).toMatchObject({ error: { code: 'task/channel', details: { taskId: 'a' } } });
  });

  it('and a key may be deleted and made again among them', () => {
    const { world, group } = four();
    const append = { op: 'append', key: 'list', value: 1 } as const;
    world.send(settled({ group, index: 0, end: { ...value, channel: [append, { op: 'delete', key: 'list' }, append] } }));
    expect(world.context.channel).toEqual({ list: [1] });
  });

  it('to cancel the run, whatever they begin with', () => {
    const { world, group } = started(each(sequence(waitFor('go'), task('a', run))).withPolicy('bestEffort').withExecution(away()), [0, 1]);
    const { execute } = world.send(settled({ group, index: 0, end: { kind: 'cancel', error: { name: 'WorkflowCancelledError', code: 'run/cancelled', message: 'stop' } } }));
    expect(world.context.verdict).toMatchObject({ kind: 'cancelled', error: { message: 'stop' } });
    expect(execute).toMatchObject({ abortGroups: [group] });
  });

  it('once: a second outcome of the same member changes nothing', () => {
    const { world, group } = four();
    world.send(settled({ group, index: 0, end: waitsFor('go') }, { group, index: 1, end: value }));
    const { revision: _, ...before } = world.context;
    for (const end of [value, failed, waitsFor('stop')]) for (const index of [0, 1]) world.send(settled({ group, index, end }));
    world.send(settled({ group, indexes: [0, 1], cells: [1, 2] }));
    expect(world.context).toMatchObject(before);
  });

  it('and one that failed early for its policy takes the others with it', () => {
    const { world, group } = started(sequence(each(task('a', run)).withPolicy({ failFast: true }).withExecution(away()).recover('r', run)), [0, 1, 2]);
    world.send(settled({ group, index: 0, end: { ...waitsFor('go'), due: { node: 'a', dueAt: 90, why: 'wait-timeout', attempt: 1 } } }));
    const { execute, arm } = world.send(settled({ group, index: 1, end: failed }));
    expect(execute).toMatchObject({ abortGroups: [group], start: [{ node: 'r' }] });
    expect(arm).toMatchObject({ arm: [], disarm: [expect.any(Number)] });
    expect(world.context).toMatchObject({ waits: { size: 0 }, delayed: { size: 0 } });
  });

  it('only where they have left: a task that was executed here cannot end as a member that was not', () => {
    const reports: [AnyStep, Report][] = [[task('a', run), { id: 1, end: value }], [each(task('a', run)), { group: 2, index: 0, end: waitsFor('go') }]];
    for (const [root, report] of reports) {
      const { world } = started(root, [1]);
      expect(() => world.send(settled(report))).toThrow(expect.objectContaining({ code: 'invariant/not-away' }) as Error);
    }
  });
});

describe('the step limit', () => {
  const limit = { kind: 'failed', error: { code: 'run/step-limit', message: 'workflow "w" has run 5 tasks, which is its maxSteps, and is not done' } };
  const two = () => started(each(sequence(task('a', run), task('b', run))).withPolicy('bestEffort').withExecution(away()), [0, 1], { maxSteps: 5 });

  it('ends the run, whatever the policy, when a member has taken all that was left', () => {
    const { world, group } = two();
    world.send(settled({ group, index: 0, end: { ...failed, steps: 4, channel: [{ op: 'set', key: 'last', value: 1 }], over: true } }));
    expect(world.context).toMatchObject({ verdict: limit, channel: { last: 1 } });
  });

  it('ends it when members that were away together have taken more than was left for both', () => {
    const { world, group } = two();
    world.send(settled({ group, index: 0, end: { ...value, steps: 3 } }));
    expect(world.context).toMatchObject({ verdict: null, steps: 4 });
    world.send(settled({ group, index: 1, end: { ...value, steps: 3 } }));
    expect(world.context.verdict).toMatchObject(limit);
  });

  it('is told again to a member that leaves again, less what was taken', () => {
    const { world, group } = two();
    world.send(settled({ group, index: 0, end: { ...waitsFor('go'), steps: 2 } }));
    expect(world.send(signal('go')).execute?.start).toMatchObject([{ unit: { stepsLeft: 2 } }]);
    expect(world.context.steps).toBe(3);
  });
});

describe('a member that waits', () => {
  const one = (concurrency = 64, input: unknown[] = [0]) => started(each(sequence(task('a', run), waitFor('go'))).as('e').withExecution(away(concurrency)), input);

  it('gives its slot free, and is stood for by a token for each wait and one for its due time', () => {
    const { world, group } = one(1, [0, 1]);
    const end = { ...waitsFor('go', 'stop'), due: { node: 'a', dueAt: 60, why: 'sleep', attempt: 1 } } as const;
    const { execute, arm, waiting } = world.send(settled({ group, index: 0, end }));
    expect(execute?.ranges).toMatchObject([{ from: 1, to: 2 }]);
    expect(handedOf(world, group)).toMatchObject({ generation: 1, branch, signals: [], waiting: [expect.any(Number), expect.any(Number), expect.any(Number)] });
    expect([...Vec.values(world.context.waits)]).toMatchObject([{ signal: 'go', since: 5, token: { node: 'a' } }, { signal: 'stop', since: 5 }]);
    expect(arm?.arm).toEqual([[handedOf(world, group)?.waiting[2], 60]]);
    expect(waiting).toBe(false);
    expect(world.send(settled({ group, index: 1, end: waitsFor('go') })).waiting).toBe(true);
  });

  it('leaves again with its branch and the signal, and what else it waited for is forgotten', () => {
    const { world, group } = one();
    world.send(settled({ group, index: 0, end: { ...waitsFor('go', 'stop', 'go'), due: { node: 'a', dueAt: 60, why: 'wait-timeout', attempt: 1 } } }));
    const due = handedOf(world, group)?.waiting.at(-1);
    const { execute, arm } = world.send(signal('go', { by: 'hand' }));
    expect(execute?.start).toMatchObject([{ node: 'a', input: 0, attempt: 1, hop: 0, path: '1.0', within: 'e', ahead: false, unit: { generation: 1, branch, signals: [['go', { by: 'hand' }]] } }]);
    expect(world.context).toMatchObject({ waits: { size: 0 }, delayed: { size: 0 }, signals: {} });
    expect(arm).toMatchObject({ arm: [], disarm: [due] });
    // A due time that was on its way finds nobody.
    expect(world.send({ type: 'DUE', at: 60, ids: [due ?? 0] })).toMatchObject({ execute: undefined, arm: undefined });
  });

  it('leaves again when its time has come, and not before', () => {
    const { world, group } = one();
    world.send(settled({ group, index: 0, end: { ...waitsFor('go'), due: { node: 'a', dueAt: 60, why: 'wait-timeout', attempt: 1 } } }));
    const id = handedOf(world, group)?.waiting[1] ?? 0;
    expect(world.send({ type: 'DUE', at: 59, ids: [id] })).toMatchObject({ execute: undefined, arm: { arm: [[id, 60]] } });
    const { execute } = world.send({ type: 'DUE', at: 60, ids: [id] });
    expect(execute?.start).toMatchObject([{ unit: { generation: 1, branch, signals: [] } }]);
    expect(world.context.waits.size).toBe(0);
  });

  it('takes the signals that came early, as many as it waits for, and leaves at once', () => {
    const { world, group } = one();
    for (const given of [1, 2, 3]) world.send(signal('go', given));
    const { execute } = world.send(settled({ group, index: 0, end: { ...waitsFor('go', 'stop', 'go'), due: { node: 'a', dueAt: 60, why: 'sleep', attempt: 1 } } }));
    expect(execute?.start).toMatchObject([{ unit: { generation: 1, signals: [['go', 1], ['go', 2]] } }]);
    expect(world.context).toMatchObject({ signals: { go: [[3]] }, waits: { size: 0 }, delayed: { size: 0 } });
  });

  it('gets a signal that came while it was away, when it comes back and waits for it', () => {
    const { world, group } = one();
    world.send(settled({ group, index: 0, end: waitsFor('go', 'stop') }));
    const start = startedBy(world.send(signal('go')));
    world.send(signal('stop', 'late'));
    expect(world.context.signals).toEqual({ stop: [['late']] });
    const { execute } = world.send(settled({ id: start.id, end: waitsFor('stop') }));
    expect(execute?.start).toMatchObject([{ unit: { generation: 2, signals: [['stop', 'late']] } }]);
    expect(world.context.signals).toEqual({});
  });

  it('is asked before those who wait for a shorter time', () => {
    const { world, group } = started(parallel(each(task('a', run)).as('e').withExecution(away()), waitFor('go')), [0]);
    const inner = groupOf(world);
    expect(inner).not.toBe(-1);
    world.send(settled({ group: inner, index: 0, end: { ...waitsFor('go'), waits: [{ node: 'a', signal: 'go', since: 0 }] } }));
    world.send(signal('go', 'first'));
    expect(handedOf(world, inner)?.signals).toEqual([['go', 'first']]);
    expect(world.send(signal('go', 'second')).context.waits.size).toBe(0);
    expect(group).toBe(inner);
  });

  it('waits for a slot behind those that have not started yet, and may get no signal in that time', () => {
    const { world, group } = one(1, [0, 1, 2]);
    world.send(settled({ group, index: 0, end: waitsFor('go', 'stop') }));
    expect(world.send(signal('go')).execute).toBeUndefined();
    expect(world.send(signal('stop')).context.signals).toEqual({ stop: [['yes']] });
    expect(world.send(settled({ group, index: 1, end: value })).execute).toMatchObject({ start: [], ranges: [{ from: 2 }] });
    expect(world.send(settled({ group, index: 2, end: value })).execute?.start).toMatchObject([{ index: 0, unit: { signals: [['go', 'yes']] } }]);
  });

  it('leaves again at once where it waits for nothing: it was handed over', () => {
    const { world, group } = one();
    const { execute } = world.send(settled({ group, index: 0, end: waitsFor() }));
    expect(execute?.start).toMatchObject([{ unit: { generation: 1, branch, signals: [] } }]);
  });

  it('is counted: each stay has a number, and the branch of the stay before', () => {
    const { world, group } = one();
    world.send(settled({ group, index: 0, end: waitsFor('go') }));
    const first = startedBy(world.send(signal('go', 1)));
    world.send(settled({ id: first.id, end: { ...waitsFor('go'), branch: { stands: 'further' } } }));
    expect(world.send(signal('go', 2)).execute?.start).toMatchObject([{ unit: { generation: 2, branch: { stands: 'further' }, signals: [['go', 2]] } }]);
  });

  it('goes on when the pause is over', () => {
    const { world, group } = one();
    world.send({ type: 'PAUSE' });
    world.send(settled({ group, index: 0, end: waitsFor('go') }));
    expect(world.send(signal('go')).execute).toBeUndefined();
    expect(world.send({ type: 'RESUME' }).execute?.start).toMatchObject([{ unit: { signals: [['go', 'yes']] } }]);
  });

  it('keeps its place and its number over a restart, whether it waits or is away', () => {
    const { world, group } = one(64, [0, 1, 2]);
    world.send(settled({ group, index: 0, end: waitsFor('go') }, { group, index: 1, end: waitsFor() }));
    const ready = (): ExecutionEvent => ({ type: 'READY', from: 'executor', at: 30, run: world.facts });
    expect(world.send(ready()).execute).toMatchObject({ start: [{ index: 1, unit: { generation: 1, branch } }], ranges: [{ from: 2, to: 3, units: { batch: 1 } }] });
    world.send(signal('go'));
    expect(world.send(ready()).execute?.start).toMatchObject([{ index: 1, unit: { signals: [] } }, { index: 0, unit: { generation: 1, branch, signals: [['go', 'yes']] } }]);
    expect(world.finish()).toBe(true);
  });

  it('is not told to the timers where its time came and went within one event', () => {
    const { world, group } = one(64, [0, 1]);
    world.send(settled({ group, index: 1, end: waitsFor('go') }));
    const start = startedBy(world.send(signal('go')));
    const end = { ...waitsFor('go'), due: { node: 'a', dueAt: 60, why: 'wait-timeout', attempt: 1 } } as const;
    // One comes back and waits; the other had no use for what the first one waits for.
    const { arm, context } = world.send(settled({ group, index: 0, end }, { id: start.id, end: { ...value, signals: { go: [['unused']] } } }));
    expect(arm?.arm).toEqual([]);
    expect(context.delayed.size).toBe(0);
    expect(handedOf(world, group)?.signals).toEqual([['go', 'unused']]);
  });

  it('gives back what it had no use for: another gets it, or it is kept', () => {
    const { world, group } = one(64, [0, 1]);
    world.send(settled({ group, index: 0, end: waitsFor('go') }));
    const start = startedBy(world.send(signal('go')));
    const { execute } = world.send(settled({ group, index: 1, end: waitsFor('stop') }, { id: start.id, end: { ...waitsFor('later'), signals: { stop: [[1], [2]], other: [[]] } } }));
    expect(execute?.start).toMatchObject([{ index: 1, unit: { signals: [['stop', 1]] } }]);
    expect(world.context.signals).toEqual({ stop: [[2]], other: [[]] });
  });

  it('may wait at a step that only its branch has met', () => {
    const { world, group } = one();
    const stranger = { fragments: { late: { entry: 'late', nodes: { late: { kind: 'wait', id: 'late', signal: 'go' } } } } };
    world.send(settled({ group, index: 0, end: { ...waitsFor(), branch: stranger, waits: [{ node: 'late', signal: 'go', since: 1, asked: true, question: 'how far?' }] } }));
    expect([...Vec.values(world.context.waits)]).toMatchObject([{ question: 'how far?', asked: true, token: { node: 'late' } }]);
    expect(world.send(signal('go')).execute?.start).toMatchObject([{ node: 'a', unit: { branch: stranger } }]);
  });
});

describe('a run that goes on under other settings', () => {
  const parked = (root: AnyStep, input: unknown): { readonly context: ExecutionContext; readonly group: number } => {
    const { world, group } = started(root, input);
    world.send(settled({ group, index: 0, end: waitsFor('go') }));
    return { context: throughJson(world.context), group };
  };
  const under = (root: AnyStep): Plan => planOf(workflow('w', root).graph, 'hash', { get: () => undefined });
  const ready: ExecutionEvent = { type: 'READY', from: 'executor', at: 30, run: { id: 'run', startedAt: 1, graphHash: 'hash', concurrency: 1 } };

  it('keeps an open group where it began, and the next one begins where the code says', () => {
    const flow = (elsewhere: boolean) => {
      const group = each(sequence(task('a', run), waitFor('go')));
      return sequence(elsewhere ? group.withExecution(away()) : group, each(task('b', run)));
    };
    const { context, group } = parked(flow(true), [0, 1]);
    const plan = under(flow(false));
    const again = step(plan, context, ready);
    expect(again.execute).toMatchObject({ start: [], ranges: [{ group, from: 1, to: 2, units: { batch: 1 } }] });
    const revived = step(plan, again.context, signal('go'));
    const start = startedBy(revived);
    expect(start.unit).toMatchObject({ generation: 1, branch });
    const ended = step(plan, revived.context, settled({ id: start.id, end: value }, { group, index: 1, end: value }));
    assertInvariants(plan, ended.context);
    expect(ended.execute?.ranges.map(({ units }) => units)).toEqual([undefined]);
  });

  it('keeps the batches in which its members have left', () => {
    const flow = (batch: number) => each(task('a', run), { batch }).withExecution(away(2));
    const { world, group } = started(flow(2), [0, 1, 2, 3, 4, 5, 6]);
    world.send(settled({ group, index: 0, end: value }, { group, index: 1, end: waitsFor('go') }));
    const plan = under(flow(3));
    const again = step(plan, throughJson(world.context), ready);
    expect(again.execute?.ranges).toMatchObject([{ from: 2, to: 4, units: { batch: 2 } }]);
    const next = step(plan, again.context, settled({ group, index: 2, end: value }, { group, index: 3, end: value }));
    expect(next.execute?.ranges).toMatchObject([{ from: 4, to: 6, units: { batch: 2 } }]);
  });
});

describe('a branch of its own', () => {
  const at = 10;
  const facts = { id: 'run', startedAt: 1, graphHash: 'hash', concurrency: 1 };
  const READY = { type: 'READY', from: 'executor', at, run: facts } as const;
  const begun = (root: AnyStep, given: { channel?: Record<string, never>; stepsLeft?: number } = {}) => {
    const { graph } = workflow('w', root);
    const plan = planOf(graph, 'hash', { get: () => undefined }, () => true);
    const first = branchContext({ workflow: 'w', entry: graph.root, path: '3+1.5', input: 'in', channel: {}, ...given });
    const next = (context: ExecutionContext, ...events: ExecutionEvent[]) => events.reduce((now, event) => {
      const done = step(plan, now.context, event);
      assertInvariants(plan, done.context);
      return done;
    }, { context } as Step);
    return { plan, first, next };
  };
  const ends = (end: Outcome): ExecutionEvent => settled({ id: 1, end });
  const outcomeOf = (plan: Plan, context: ExecutionContext) => throughJson(branchOutcome(plan, context));

  it('begins with the member, under the path that it has in the run', () => {
    const { first, next } = begun(task('a', run).to('b', run), { stepsLeft: 4 });
    const { execute } = next(first, READY);
    expect(execute?.start).toMatchObject([{ id: 1, node: 'a', input: 'in', path: '3+1.5', hop: 0 }]);
    expect(next(first, READY, ends({ kind: 'value', value: 1 })).execute?.start).toMatchObject([{ node: 'b', path: '3+1.5', hop: 1 }]);
    expect(next(first, READY).context.run).toMatchObject({ id: 'run', maxSteps: 4 });
  });

  it.each<readonly [string, Outcome, object]>([
    ['a value', { kind: 'value', value: 'out' }, { kind: 'ended', cell: 'out', steps: 1, counts: { a: 1 } }],
    ['no value', { kind: 'value' }, { kind: 'ended', cell: [], steps: 1, counts: { a: 1 } }],
    ['a list', { kind: 'terminate', output: [1] }, { kind: 'ended', cell: [[1]], steps: 1, counts: { a: 1 } }],
    ['a failure', { kind: 'failed', error: { name: 'Error', message: 'no' }, random: 0 }, { kind: 'ended', cell: { error: { code: 'task/failed', details: { taskId: 'a', runId: 'run' } } }, steps: 1, counts: {} }],
    ['a cancel', { kind: 'cancel', error: { name: 'E', message: 'stop' } }, { kind: 'cancel', error: { message: 'stop' } }],
  ])('ends with %s', (_name, end, outcome) => {
    const { plan, first, next } = begun(task('a', run));
    expect(outcomeOf(plan, next(first, READY, ends(end)).context)).toMatchObject(outcome);
  });

  it('says that it took all that was left, and nothing of the limit of another run', () => {
    const { plan, first, next } = begun(task('a', run).to('b', run), { stepsLeft: 1 });
    expect(outcomeOf(plan, next(first, READY, ends({ kind: 'value' })).context)).toMatchObject({ over: true, steps: 1, counts: { a: 1 } });
    const inner: Outcome = { kind: 'failed', error: { name: 'StepLimitError', code: 'run/step-limit', message: 'of a run inside the task', details: { runId: 'inner', maxSteps: 3 } }, random: 0 };
    expect(outcomeOf(plan, next(first, READY, ends(inner)).context)).not.toHaveProperty('over');
  });

  it('tells once what it did', () => {
    const { plan, first, next } = begun(sequence(task('a', run), waitFor('go'), task('b', run)));
    const write = { op: 'add', key: 'n', value: 1 } as const;
    const waiting = next(first, READY, ends({ kind: 'value', channel: [write, write] }), { type: 'SIGNAL', at, name: 'other', value: 1 });
    const parked = outcomeOf(plan, waiting.context) as Extract<UnitOutcome, { kind: 'parked' }>;
    expect(parked).toMatchObject({ kind: 'parked', steps: 1, counts: { a: 1 }, channel: [write, write], waits: [{ node: 'go', signal: 'go', since: 10 }], signals: { other: [[1]] } });
    expect(parked.branch).toMatchObject({ steps: 0, channel: {}, signals: {}, operations: { size: 0 }, completions: { size: 0 } });

    const again = revivedBranch(parked.branch as never, { n: 5 }, undefined);
    const ended = next(again, { type: 'SIGNAL', at: 20, name: 'go' }, { ...READY, at: 20 }, ends({ kind: 'value', value: 2, channel: [write] }));
    expect(ended.context.channel).toEqual({ n: 6 });
    expect(outcomeOf(plan, ended.context)).toEqual({ kind: 'ended', cell: 2, steps: 1, counts: { b: 1, go: undefined }, channel: [write] });
  });

  it('comes back with its earliest due time, and with nothing to wait for where it could go on', () => {
    const { plan, first, next } = begun(parallel(task('a', run, { retry: { attempts: 2, delay: 500 } }), sleep(40).as('nap'), waitFor('go', { timeout: 90 }), task('b', run)));
    const [range] = next(first, READY).execute?.ranges ?? [];
    const lost = next(first, READY, settled({ group: range?.group ?? 0, index: 0, end: { kind: 'failed', error: { name: 'Error', message: 'no' }, random: 0 } }));
    expect(outcomeOf(plan, lost.context)).toMatchObject({ kind: 'parked', waits: [] });
    expect(outcomeOf(plan, lost.context)).not.toHaveProperty('due');
    const waiting = next(lost.context, settled({ group: range?.group ?? 0, index: 3, end: { kind: 'value', spawned: [] } }));
    expect(outcomeOf(plan, waiting.context)).toMatchObject({ waits: [{ signal: 'go' }], due: { why: 'sleep', dueAt: 50, attempt: 1 } });
    const slept = next(waiting.context, { type: 'DUE', at: 100, ids: [...Vec.values(waiting.context.delayed)].filter(({ why }) => why !== 'retry').map(({ token }) => token.id) });
    expect(outcomeOf(plan, slept.context)).toMatchObject({ kind: 'parked', waits: [], due: { node: 'a', why: 'retry', dueAt: 510, attempt: 2, error: { message: 'no' } } });
  });

  it('goes on under the id, the graph and the limit that the run has by then', () => {
    const { plan, first, next } = begun(sequence(task('a', run), waitFor('go')), { stepsLeft: 9 });
    const { branch: stored } = outcomeOf(plan, next(first, READY, ends({ kind: 'value' })).context) as Extract<UnitOutcome, { kind: 'parked' }>;
    const again = revivedBranch(stored as never, {}, 3, { id: 'copy', graphHash: 'grown' });
    expect(again).toMatchObject({ limits: { maxSteps: 3 }, run: { id: 'copy', graphHash: 'grown', maxSteps: 3, startedAt: 1 }, steps: 0 });
  });
});

describe('a member on its own does what it would do in the run', () => {
  const numRuns = Number(process.env['MODEL_RUNS'] || 300);
  const member = shapes.map(fairly);
  const policy = fc.constantFrom<Extract<Shape, { kind: 'each' }>['policy']>({ kind: 'strict' }, { kind: 'bestEffort' }, { kind: 'atLeast', count: 1 }, { kind: 'custom' });
  const common = { concurrency: fc.constant(64), recover: fc.boolean(), elsewhere: fc.constant(true) };
  const parts = fc.array(member, { minLength: 1, maxLength: 4 });
  const groups: fc.Arbitrary<Shape> = fc.oneof(
    fc.record({ kind: fc.constant('each' as const), body: member, policy, batch: fc.constantFrom(undefined, 2), ...common }),
    fc.record({ kind: fc.constant('parallel' as const), parts, policy, ...common }),
    fc.record({ kind: fc.constant('dag' as const), parts, needs: fc.array(fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), { minLength: 4, maxLength: 4 }), ...common }),
  );

  /** What a run leaves behind, but for the order in which members were first. */
  function told({ verdict, channel, steps: taken, completions, signals }: ExecutionContext, done: readonly string[]) {
    const sorted = Object.fromEntries(Object.entries(channel).map(([key, held]) => [key, Array.isArray(held) ? held.toSorted() : held]));
    return { verdict, channel: sorted, taken, completions: [...Vec.entries(completions)], signals, done: [...new Set(done)].toSorted() };
  }

  it('with the same outputs, errors, channel, counts and idempotency keys, wherever it is handed over', { timeout: 600_000 }, () => {
    const met = { parked: 0, handedOver: 0, failed: 0, completed: 0, cancelled: 0 };
    fc.assert(
      fc.property(groups, fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }), fc.integer(), (shape, input, seed) => {
        const plan = planOfShape(shape);
        const here = playHere(plan, input, { concurrency: 1 });
        const there = new Elsewhere(plan, input, { concurrency: 1 }, drawing(seed));
        expect([here.over, there.run()]).toEqual([true, true]);
        const { kind } = here.context.verdict ?? { kind: 'failed' };
        met.parked += there.parked;
        met.handedOver += there.handedOver;
        met[kind] += 1;
        // What has been done by others when one ends everything is nobody's promise.
        const raced = kind === 'cancelled' || (shape.kind === 'dag' && Vec.get(here.context.completions, plan.ordinal.get(plan.graph.root) ?? -1) === undefined);
        if (!raced) expect(told(there.main.context, there.done)).toEqual(told(here.context, here.done));
      }),
      { numRuns },
    );
    for (const [what, times] of Object.entries(met)) expect(times, what).toBeGreaterThan(what === 'cancelled' ? -1 : numRuns / 20);
  });

  it('and with the same end where the steps of the run do not suffice', { timeout: 600_000 }, () => {
    let over = 0;
    fc.assert(
      fc.property(member, fc.nat(9), fc.integer({ min: 1, max: 12 }), fc.integer(), (body, input, maxSteps, seed) => {
        const plan = planOfShape({ kind: 'each', body, policy: { kind: 'bestEffort' }, concurrency: 4, recover: false, elsewhere: true });
        const here = playHere(plan, [input], { concurrency: 1, maxSteps });
        const there = new Elsewhere(plan, [input], { concurrency: 1, maxSteps }, drawing(seed), false);
        expect([here.over, there.run()]).toEqual([true, true]);
        if (here.context.verdict?.kind === 'failed') over += 1;
        if (here.context.verdict?.kind !== 'cancelled') expect(told(there.main.context, there.done)).toEqual(told(here.context, here.done));
      }),
      { numRuns },
    );
    expect(over).toBeGreaterThan(numRuns / 30);
  });
});

/** Numbers below `sides`, drawn from a seed. */
function drawing(seed: number): (sides: number) => number {
  let state = seed >>> 0;
  return (sides) => {
    state = (Math.imul(state ^ (state >>> 15), state | 1) + 0x6d2b79f5) >>> 0;
    return (state >>> 8) % sides;
  };
}
