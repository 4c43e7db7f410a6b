/** The pure step as a whole: random graphs, random events, legal and not. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chains, planOfShape, shapes } from './graphs.ts';
import { World, throughJson, type Choice, type Facts } from './world.ts';
import { Fifo, Vec, initialContext, step, type ExecutionContext, type Group, type Running } from '../../machines/index.ts';
import { problemsOf } from './invariants.ts';

const choice: fc.Arbitrary<Choice> = fc.record({
  what: fc.constantFrom('settle', 'settle', 'settle', 'settle', 'settle', 'moves', 'due', 'due', 'signal', 'pause', 'resume', 'resume', 'ready', 'noise', 'noise'),
  pick: fc.nat(1000),
  outcome: fc.constantFrom('value', 'value', 'value', 'value', 'fail', 'fail', 'fatal', 'goto', 'iterate', 'iterate', 'terminate', 'spawn'),
  also: fc.nat(100),
  batch: fc.constantFrom(1, 1, 2, 3, 8),
});
const ending: fc.Arbitrary<Choice> = fc.oneof({ weight: 30, arbitrary: choice }, { weight: 1, arbitrary: choice.map((one) => ({ ...one, what: 'cancel' as const })) }, { weight: 1, arbitrary: choice.map((one) => ({ ...one, outcome: 'cancel' as const })) });
const facts: fc.Arbitrary<Facts> = fc.record({ concurrency: fc.constantFrom(1, 1, 2, 5), maxSteps: fc.constantFrom(undefined, undefined, undefined, 4, 12) });
const inputs = fc.array(fc.nat(9), { maxLength: 6 });
const numRuns = Number(process.env['MODEL_RUNS'] || 300);

describe('step: any events on any graph', () => {
  it('keeps every invariant, changes no old context, and replays through JSON to the same snapshot', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(shapes, facts, inputs, fc.array(ending, { maxLength: 60 }), fc.constantFrom(0, 0, 0, 0, 3), (shape, given, input, choices, first) => {
        const world = new World(planOfShape(shape), given, input);
        // The first READY comes somewhere among the others.
        choices.forEach((one, at) => {
          if (at === first) world.send({ type: 'READY', from: 'executor', at: 10, run: world.facts });
          world.play(one);
        });
        let replayed = initialContext('model', world.plan.graph.root, input);
        for (const event of world.log) replayed = throughJson(step(world.plan, replayed, event).context);
        expect(replayed).toEqual(throughJson(world.context));
      }),
      { numRuns },
    );
  });

  it('keeps the executor from running past what was queued behind its back', { timeout: 600_000 }, () => {
    const lively = choice.map((one) => ({ ...one, outcome: one.pick % 3 === 0 ? ('spawn' as const) : one.outcome, batch: 1 }));
    fc.assert(
      fc.property(chains, fc.array(lively, { minLength: 20, maxLength: 80 }), (shape, choices) => {
        const world = new World(planOfShape(shape), { concurrency: 1 }, null);
        world.send({ type: 'READY', from: 'executor', at: 10, run: world.facts });
        for (const one of choices) world.play(one);
        expect(world.finish(), world.trail()).toBe(true);
      }),
      { numRuns },
    );
  });

  it('never gets stuck: whatever happened, plain values, due times and signals finish the run', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(shapes, facts, inputs, fc.array(choice, { maxLength: 30 }), (shape, given, input, choices) => {
        const world = new World(planOfShape(shape), given, input);
        world.send({ type: 'READY', from: 'executor', at: 10, run: world.facts });
        for (const one of choices) world.play(one);
        expect(world.finish(), world.trail()).toBe(true);
      }),
      { numRuns },
    );
  });
});

describe('step: what ends a run', () => {
  it('changes nothing but the revision after the verdict, whatever comes', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(shapes, inputs, fc.array(choice, { maxLength: 8 }), fc.array(ending, { minLength: 1, maxLength: 12 }), (shape, input, before, after) => {
        const world = new World(planOfShape(shape), { concurrency: 2 }, input);
        world.send({ type: 'READY', from: 'executor', at: 10, run: world.facts });
        for (const one of before) world.play(one);
        const late = after.map((one) => world.eventOf(one)).filter((event) => event !== undefined);
        world.send({ type: 'CANCEL', reason: 'enough' });
        const { revision: _, at: __, ...end } = world.context;
        for (const event of [...late, { type: 'READY', from: 'executor', at: 99, run: { ...world.facts, graphHash: 'another' } } as const]) {
          const { execute, arm } = world.send(event);
          expect([execute, arm]).toEqual([undefined, undefined]);
        }
        const { revision: ___, at: ____, ...still } = world.context;
        expect(still).toEqual(end);
      }),
      { numRuns: Math.ceil(numRuns / 3) },
    );
  });

  it('a READY with another graph ends it with GraphMismatchError, wherever it stood, and aborts what was in flight', () => {
    fc.assert(
      fc.property(shapes, inputs, fc.array(choice, { maxLength: 20 }), (shape, input, choices) => {
        const world = new World(planOfShape(shape), { concurrency: 2 }, input);
        world.send({ type: 'READY', from: 'executor', at: 10, run: world.facts });
        for (const one of choices) world.play(one);
        if (world.over) return;
        const open = world.open().length;
        const { execute } = world.send({ type: 'READY', from: 'executor', at: 99, run: { ...world.facts, graphHash: 'another' } });
        expect(world.context.verdict).toMatchObject({ kind: 'failed', error: { name: 'GraphMismatchError', code: 'checkpoint/graph-mismatch' } });
        expect(open === 0 || (execute !== undefined && execute.start.length + execute.ranges.length === 0)).toBe(true);
      }),
      { numRuns: Math.ceil(numRuns / 3) },
    );
  });
});

describe('the checker itself', () => {
  const world = (): World => {
    const leaf = { kind: 'task', attempts: 2, delayMs: 50, maxIterations: 1, recover: false } as const;
    const shape = { kind: 'parallel', parts: [leaf, { kind: 'sequence', parts: [leaf, { kind: 'wait', signal: 'go', timeoutMs: 70, recover: false }] }], policy: { kind: 'strict' }, concurrency: 2, recover: false } as const;
    const made = new World(planOfShape(shape), { concurrency: 1 }, null);
    made.send({ type: 'READY', from: 'executor', at: 10, run: made.facts });
    return made;
  };
  const { plan, context } = world();
  const { root } = context;
  const group = [...Vec.values(context.groups)][0] as Group;
  const running = [...Vec.values(context.inFlight)][0] as Running;
  const groupWith = (part: Partial<Group>) => ({ ...context, groups: vecOf({ ...group, ...part }) });

  it.each<readonly [fault: string, planted: ExecutionContext, seen: RegExp]>([
    ['a counter of a scope', { ...context, root: { ...root, running: 2 } }, /counts 2 running, 1 are there/],
    ['parked tokens that are not there', { ...context, root: { ...root, parked: 1 } }, /counts 1 parked, 0/],
    ['openMembers', { ...context, openMembers: 0 }, /openMembers is 0, the groups hold 1/],
    ['a counter of a group', groupWith({ active: 1 }), /counts 1 active, 2 hold a slot/],
    ['open members of a group', groupWith({ open: 2 }), /counts 2 open, in the range are 1/],
    ['a member that is lost', groupWith({ apart: vecOf({ id: 0 }) as never }), /has 0 tokens or branches for member 0, expected 1/],
    ['a token in two places', { ...context, root: { ...root, queue: Fifo.push(root.queue, running) } }, /is twice/],
    ['a token in a scope that is gone', { ...context, inFlight: vecOf({ ...running, scope: 77 }) }, /in scope 77, which is not open/],
    ['a token at no node', { ...context, inFlight: vecOf({ ...running, node: 'nowhere' }) }, /which is no node/],
    ['an id from the future', { ...context, nextId: 2 }, /was never given out/],
    ['something open after the verdict', { ...context, verdict: { kind: 'completed', output: [] } }, /after the verdict inFlight is 1/],
    ['a run that stands still', { ...context, groups: Vec.emptyVec(), branches: Vec.emptyVec(), inFlight: Vec.emptyVec(), openMembers: 0, root: { ...root, running: 0 } }, /nothing to wait for/],
    ['a token that could start', { ...context, groups: Vec.emptyVec(), branches: Vec.emptyVec(), inFlight: Vec.emptyVec(), openMembers: 0, root: { ...root, running: 0, queue: Fifo.push(root.queue, { ...running, id: 1, scope: 0 }) } }, /could start a token but has not/],
    ['a Date', { ...context, channel: { at: new Date(0) as never } }, /channel\.at has a prototype/],
    ['a number that JSON has not', { ...context, channel: { n: Number.NaN } }, /channel\.n is NaN/],
  ])('sees %s', (_fault, planted, seen) => {
    expect(problemsOf(plan, context)).toEqual([]);
    expect(problemsOf(plan, planted).join('\n')).toMatch(seen);
  });
});

function vecOf<T extends { readonly id: number }>(value: T): Vec.Vec<T> {
  const draft = new Vec.VecDraft(Vec.emptyVec<T>());
  draft.set(value.id, value);
  return draft.done();
}
