/** The pure step as a whole: random graphs, random events, legal and not. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chains, groupsElsewhere, planOfShape, shapes } from './graphs.ts';
import { World, throughJson, type Choice, type Facts } from './world.ts';
import { Fifo, Vec, initialContext, step, type ExecutionContext, type Group, type Handed, type Outcome, type Running, type Waiting } from '../../machines/index.ts';
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

describe('step: members that are executed elsewhere', () => {
  const away = choice.map((one): Choice => {
    // More of what members wait for, and restarts at any moment.
    const what = one.also % 9 === 0 ? 'ready' : one.what === 'moves' ? 'signal' : one.what;
    return { ...one, what };
  });
  const awayEnding: fc.Arbitrary<Choice> = fc.oneof({ weight: 40, arbitrary: away }, { weight: 1, arbitrary: away.map((one) => ({ ...one, what: 'cancel' as const })) }, { weight: 1, arbitrary: away.map((one) => ({ ...one, outcome: 'cancel' as const })) });
  const limits: fc.Arbitrary<Facts> = fc.record({ concurrency: fc.constantFrom(1, 2), maxSteps: fc.constantFrom(undefined, undefined, 3, 12, 40) });

  it('keep every invariant and rule, and replay through JSON to the same snapshot', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(groupsElsewhere, limits, inputs, fc.array(awayEnding, { maxLength: 60 }), fc.constantFrom(0, 0, 0, 0, 3), (shape, given, input, choices, first) => {
        const world = new World(planOfShape(shape), given, input);
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

  it('never get stuck: whatever happened, plain values, due times and signals finish the run', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(groupsElsewhere, limits, inputs, fc.array(away, { maxLength: 40 }), (shape, given, input, choices) => {
        const world = new World(planOfShape(shape), given, input);
        world.send({ type: 'READY', from: 'executor', at: 10, run: world.facts });
        for (const one of choices) world.play(one);
        expect(world.finish(), world.trail()).toBe(true);
      }),
      { numRuns },
    );
  });

  it('are walked through everything that the rules are about', () => {
    // A walk that never meets a case proves nothing about it.
    const met = { handed: 0, waiting: 0, several: 0, signals: 0, second: 0, due: 0, early: 0, over: 0, dag: 0, inScope: 0, overfull: 0, returned: 0, readyWhileWaiting: 0 };
    fc.assert(
      fc.property(groupsElsewhere, limits, inputs, fc.array(away, { minLength: 20, maxLength: 60 }), (shape, given, input, choices) => {
        const world = new World(planOfShape(shape), given, input);
        world.send({ type: 'READY', from: 'executor', at: 10, run: world.facts });
        for (const one of choices) {
          world.play(one);
          const event = world.log.at(-1);
          if (event?.type === 'SETTLED') for (const report of event.reports) if ('end' in report && report.end?.kind === 'parked') met.returned += report.end.signals === undefined ? 0 : 1;
          if (world.context.verdict?.kind === 'failed' && world.context.verdict.error.code === 'run/step-limit') met.over += 1;
          for (const group of Vec.values(world.context.groups)) {
            const node = world.plan.graph.nodes[group.parent.node];
            if (node !== undefined && 'execution' in node && group.batch !== undefined && group.active > node.execution.concurrency) met.overfull += 1;
            for (const { generation, signals, waiting } of Vec.values(group.handed ?? Vec.emptyVec<Handed>())) {
              met.handed += 1;
              if (waiting.length > 0) met.waiting += 1;
              if (waiting.length > 1) met.several += 1;
              if (waiting.some((id) => Vec.get(world.context.delayed, id) !== undefined)) met.due += 1;
              if (waiting.length > 0 && event?.type === 'READY') met.readyWhileWaiting += 1;
              if (signals.length > 0) met.signals += 1;
              if (signals.length > 0 && event?.type === 'SETTLED') met.early += 1;
              if (generation > 1) met.second += 1;
              if (node?.kind === 'dag') met.dag += 1;
              if (group.parent.scope !== 0) met.inScope += 1;
            }
          }
        }
      }),
      { numRuns: 200, seed: 4 },
    );
    for (const [what, times] of Object.entries(met)) expect(times, what).toBeGreaterThan(3);
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

describe('the checker of members that are executed elsewhere', () => {
  const leaf = { kind: 'task', attempts: 1, delayMs: 0, maxIterations: 1, recover: false } as const;
  const world = new World(planOfShape({ kind: 'each', body: leaf, policy: { kind: 'strict' }, concurrency: 3, recover: false, elsewhere: true }), { concurrency: 1 }, [1, 2, 3]);
  world.send({ type: 'READY', from: 'executor', at: 10, run: world.facts });
  const wait = { node: 'task0', signal: 'go', since: 10 };
  const end: Outcome = { kind: 'parked', branch: { stay: 1 }, waits: [wait, { ...wait, signal: 'stop' }], due: { node: 'task0', dueAt: 50, why: 'sleep', attempt: 1 }, steps: 1 };
  world.send({ type: 'SETTLED', at: 10, reports: [{ group: 2, index: 1, end }, { group: 2, index: 2, end: { ...end, waits: [], due: undefined } }] });
  const { plan, context } = world;
  const group = Vec.get(context.groups, 2) as Group;
  const handed = Vec.get(group.handed as Vec.Vec<Handed>, 1) as Handed;
  const [first = 0] = handed.waiting;
  const groupWith = (part: Partial<Group>): ExecutionContext => ({ ...context, groups: changed(context.groups, 2, { ...group, ...part }) });
  const handedWith = (part: Partial<Handed>): ExecutionContext => groupWith({ handed: changed(group.handed, 1, { ...handed, ...part }) });
  const stand = Vec.get(context.waits, first) as Waiting;
  const away = [...Vec.values(context.inFlight)][0] as Running;

  it.each<readonly [fault: string, planted: ExecutionContext, seen: RegExp]>([
    ['a branch that is lost', groupWith({ handed: changed(group.handed, 1, undefined) }), /member 1 of group 2 never came back, but has tokens/],
    ['a range member that is set apart and nowhere', groupWith({ apart: changed(group.apart, 0, 1) }), /member 0 of group 2 never came back, but is set apart/],
    ['a member that came back and is still in the range', groupWith({ apart: changed(group.apart, 1, undefined) }), /member 1 of group 2 came back but is not set apart/],
    ['an outcome beside a branch', groupWith({ outcomes: changed(group.outcomes, 1, 7) }), /has an outcome and a branch to go on from/],
    ['a stay that is not counted', handedWith({ generation: 0 }), /came back 0 times/],
    ['a token that stands for a member without its knowledge', handedWith({ waiting: handed.waiting.slice(1) }), /waits by \[\d+,\d+\], there are \[\d+,\d+,\d+\]/],
    ['a member that waits for what is not there', handedWith({ waiting: [...handed.waiting, 3] }), /there are/],
    ['a member that waits for nothing and does not go on', { ...handedWith({ waiting: [] }), waits: Vec.emptyVec(), delayed: Vec.emptyVec() }, /waits by 0 tokens, and has 0 that could go on/],
    ['a member that waits and goes on', { ...context, inFlight: changed(context.inFlight, 90, { ...away, id: 90, index: 1, path: '1.1' }), nextId: 91 }, /waits by 3 tokens, and has 1 that could go on/],
    ['a signal that came and woke nobody', handedWith({ signals: [['go', 1]] }), /waits although signals have come for it/],
    ['a token that stands for nobody', { ...context, waits: changed(context.waits, 90, { ...stand, token: { ...stand.token, id: 90, index: 0 } }), nextId: 91 }, /member 0 of group 2 never came back, but has tokens/],
    ['a member that leaves from its middle', { ...context, inFlight: changed(context.inFlight, away.id, { ...away, hop: 1 }) }, /does not leave as a whole/],
    ['a member that leaves with what another should have', { ...context, inFlight: changed(context.inFlight, away.id, { ...away, input: 1 }) }, /leaves with another input: 1/],
    ['a member that runs ahead', { ...context, inFlight: changed(context.inFlight, away.id, { ...away, ahead: true }) }, /runs ahead, elsewhere/],
    ['a branch here of a member that is elsewhere', { ...context, branches: changed(context.branches, 90, { ...context.root, id: 90, owner: { kind: 'member', group: 2, index: 1 }, running: 0 }), nextId: 91 }, /which is executed elsewhere/],
    ['an empty list of branches', groupWith({ handed: Vec.emptyVec() }), /keeps an empty `handed`/],
    ['a group that is executed here, with members that came back', groupWith({ batch: undefined }), /group 2 is executed here, but has members that came back/],
    ['a size that is wrong', groupWith({ handed: { ...(group.handed as Vec.Vec<Handed>), size: 3 } }), /handed\.size is 3, but 2 values are there/],
  ])('sees %s', (_fault, planted, seen) => {
    expect(problemsOf(plan, context)).toEqual([]);
    expect(problemsOf(plan, planted).join('\n')).toMatch(seen);
  });

});

function changed<T>(vec: Vec.Vec<T> | undefined, key: number, value: T | undefined): Vec.Vec<T> {
  const draft = new Vec.VecDraft(vec ?? Vec.emptyVec<T>());
  if (value === undefined) draft.delete(key);
  else draft.set(key, value);
  return draft.done();
}

function vecOf<T extends { readonly id: number }>(value: T): Vec.Vec<T> {
  const draft = new Vec.VecDraft(Vec.emptyVec<T>());
  draft.set(value.id, value);
  return draft.done();
}
