/** The pure step as a whole: random graphs, random events, legal and not. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planOfShape, shapes } from './graphs.ts';
import { World, throughJson, type Choice, type Facts } from './world.ts';
import { step, initialContext } from '../../machines/index.ts';

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
const numRuns = Number(process.env['MODEL_RUNS'] ?? 300);

describe('step: any events on any graph', () => {
  it('keeps every invariant, changes no old context, and replays through JSON to the same snapshot', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(shapes, facts, inputs, fc.array(ending, { maxLength: 60 }), (shape, given, input, choices) => {
        const world = new World(planOfShape(shape), given, input);
        world.send({ type: 'READY', from: 'executor', at: 10, run: world.facts });
        for (const one of choices) world.play(one);
        let replayed = initialContext('model', world.plan.graph.root, input);
        for (const event of world.log) replayed = throughJson(step(world.plan, replayed, event).context);
        expect(replayed).toEqual(throughJson(world.context));
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
