/** The coordinator machine: everything that can happen, in any order (coordinator-world.ts has the invariants), and its chart. */
import * as fc from 'fast-check';
import { createActor, initialTransition, transition, type SnapshotFrom } from 'xstate';
import { adjacencyMapToArray, getAdjacencyMap, getShortestPaths } from 'xstate/graph';
import { describe, expect, it } from 'vitest';
import { createCoordinatorMachine, type CoordinatorEvent, type CoordinatorMachine } from '../../machines/index.ts';
import { CoordinatorWorld, type Choice } from './coordinator-world.ts';

const numRuns = Number(process.env['MODEL_RUNS'] || 100);

type Weights = readonly (readonly [Choice['what'], number])[];
/** How often each thing happens, relative to the others. */
const work: Weights = [
  ['plan', 8], ['again', 2], ['durable', 8], ['accept', 8], ['abort', 2], ['ended', 1],
  ['call', 30], ['execute', 6], ['reply', 6], ['serve', 6], ['wait', 12], ['work', 24], ['tick', 6], ['retry', 12], ['confirm', 6],
];
const faults: Weights = [['lose', 3], ['loseWait', 2], ['ghost', 4], ['late', 3], ['garbage', 2], ['botch', 3], ['dead', 1], ['flush', 1], ['undo', 1], ['ready', 2], ['crash', 1]];

function choices(given: Weights, minLength = 60): fc.Arbitrary<readonly Choice[]> {
  const one = fc.oneof(...given.map(([what, weight]) => ({ weight, arbitrary: fc.nat(1000).map((pick): Choice => ({ what, pick })) })));
  return fc.array(one, { minLength, maxLength: 250, size: 'max' });
}

/** No faults any more: everything that is open is delivered. */
function finish(world: CoordinatorWorld, isCalm = false): void {
  for (let left = 0; left < 400; left += 1) {
    if (world.isOver) world.fail('it has ended');
    for (const what of ['ghost', 'late', 'confirm', 'retry', 'call'] as const) world.play({ what, pick: 0 });
    world.play({ what: 'work', pick: 2 });
    world.play({ what: 'work', pick: 1 });
    world.play({ what: 'wait', pick: left });
    world.makeDurable(world.revision);
    world.acceptAll(1000);
    if (left % 5 === 4) world.tick(isCalm || left % 2 === 0 ? 1 : 0);
    if (world.open().length === 0 && left > 30) break;
  }
  if (world.open().length > 0) world.fail(`still open: ${world.open().join(' ')}`);
}

describe('the coordinator', () => {
  it('keeps every invariant with every event among faults, and ends what it has when they stop', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(fc.boolean(), fc.boolean(), choices([...work, ...faults]), (journalled, confirms, list) => {
        const world = new CoordinatorWorld(journalled, confirms);
        for (const one of list) world.play(one);
        finish(world);
        expect(world.isOver).toBe(false);
      }),
      { numRuns },
    );
  });

  it('without faults asks for the token once, reads nothing again, looks for nothing', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(fc.boolean(), choices(work.filter(([what]) => what !== 'tick')), (journalled, list) => {
        const world = new CoordinatorWorld(journalled);
        // The first one begins; no time passes in which a quiet unit could be missed.
        for (const one of [{ what: 'plan', pick: 0 } as const, ...list]) world.play(one);
        finish(world, true);
        expect([...world.given].filter(([type]) => type === 'READ' || type === 'AUDIT' || type === 'ACQUIRE')).toEqual([['ACQUIRE', 1]]);
      }),
      { numRuns: numRuns / 2 },
    );
  });

  it('leaves nothing of the run in the lists when it is closed, at whatever moment', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(fc.boolean(), choices([...work, ...faults.filter(([what]) => what !== 'crash')], 1), fc.array(fc.constantFrom<Choice['what']>('lose', 'call', 'call', 'flush', 'retry', 'work', 'ready'), { maxLength: 12 }), (journalled, list, last) => {
        const world = new CoordinatorWorld(journalled);
        for (const one of list) world.play(one);
        world.play({ what: 'close', pick: 0 });
        for (const what of last) if (!world.isOver) world.play({ what, pick: 0 });
        for (let left = 0; left < 30 && !world.isOver; left += 1) for (const what of ['call', 'retry'] as const) if (!world.isOver) world.play({ what, pick: 0 });
        expect(world.state.value, world.trail()).toBe('closed');
        expect(world.leftovers(), world.trail()).toEqual([]);
      }),
      { numRuns: numRuns / 2 },
    );
  });

  it('stops for good when another coordinator has the run', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(fc.boolean(), choices([...work, ['lose', 2], ['loseWait', 1]], 20), (confirms, list) => {
        const world = new CoordinatorWorld(true, confirms);
        for (const one of [{ what: 'plan', pick: 0 }, { what: 'durable', pick: 1 }, { what: 'call', pick: 0 }, ...list] as const) world.play(one);
        world.play({ what: 'rival', pick: 0 });
        const taken = world.withoutResults();
        for (let left = 0; left < 60 && !world.isOver; left += 1) {
          for (const what of ['plan', 'retry', 'call', 'wait', 'tick', 'confirm'] as const) if (!world.isOver) world.play({ what, pick: 0 });
          world.makeDurable(world.revision);
        }
        // Where the store can say whose the run is, it is asked, and never confirms.
        expect([world.state.value, world.failure], world.trail()).toEqual(confirms ? ['confirm', undefined] : ['fenced', 'run/fenced']);
        expect(world.withoutResults()).toEqual(taken);
      }),
      { numRuns: numRuns / 2 },
    );
  });
});

describe('the chart', () => {
  const machine = createCoordinatorMachine();
  const input = { run: 'r', nonce: 'n', journalled: true, settings: { batch: 1 } };
  type State = SnapshotFrom<CoordinatorMachine>;
  const stamp = (state: State) => ({ number: state.context.command?.number ?? 0, at: 5 });
  const error = { name: 'TransportError', code: 'transport/unreachable', message: 'cut' };

  /** One of everything that can come in a state. */
  const eventsOf = (state: State): CoordinatorEvent[] => {
    const { context } = state;
    const now = stamp(state);
    const old = { number: -1, at: 5 };
    const header = 'R|1.0.0|1';
    const all: CoordinatorEvent[] = [
      { type: 'PLANNED', at: 5, revision: 1, groups: [{ id: 1, queue: 'q', beside: '1', shared: { v: 1, runId: 'r', workflow: 'w', graphHash: 'h', startedAt: 0, node: 'g', key: '1', size: 1, queue: 'q', channel: {} } }], units: [{ group: 1, index: 0, generation: 0, body: { v: 1, group: '1', index: 0, entry: 't' } }] },
      { type: 'DURABLE', revision: 1 }, { type: 'ACCEPTED', delivery: 1, revision: 1 }, { type: 'ABORTED', revision: 1, groups: [1], units: [] },
      { type: 'CLOSE', how: 'ended' }, { type: 'CLOSE', how: 'left' }, { type: 'GAVE_UP', at: 5 }, { type: 'TICK', at: 50_000 }, { type: 'RETRY', at: 5 },
      ...(['lists', 'results', 'timers', 'host'] as const).map((from): CoordinatorEvent => ({ type: 'READY', from, at: 5 })),
      ...[now, old].flatMap((at): CoordinatorEvent[] => [
        { type: 'ACQUIRED', ...at, fence: { epoch: 1, nonce: 'n' }, seq: 0, held: 0 }, { type: 'ACQUIRED', ...at, fence: { epoch: 2, nonce: 'n' }, seq: 0, held: 1 },
        { type: 'READ', ...at, arrivals: [] }, { type: 'READ', ...at, arrivals: [{ header }] }, { type: 'AUDITED', ...at, present: [] },
        { type: 'TURNED', ...at, pushed: { units: 1, groups: [] }, trimmed: 'mismatch' }, { type: 'TURNED', ...at, taken: { arrivals: [], held: context.held } },
        { type: 'CANCELLED', ...at }, { type: 'SURVEYED', ...at, workers: [] }, { type: 'RELEASED', ...at },
        { type: 'REFUSED', ...at, status: 'gone', random: 0 }, { type: 'REFUSED', ...at, status: 'fenced', random: 0 },
        { type: 'LOST', ...at, from: 'lists', error, retryable: true, random: 0 }, { type: 'LOST', ...at, from: 'lists', error, retryable: false, random: 0 },
      ]),
    ];
    return all.filter((event) => isPossible(state, event));
  };
  /** A reply is one to the command that is outstanding; what is no reply to it is stale by its number. */
  const replies: Readonly<Record<string, readonly string[]>> = {
    ACQUIRE: ['ACQUIRED'], READ: ['READ'], AUDIT: ['AUDITED'], TURN: ['TURNED'], CANCEL: ['CANCELLED'], SURVEY: ['SURVEYED'], RELEASE: ['RELEASED'],
  };
  const isPossible = ({ context }: State, event: CoordinatorEvent): boolean => {
    if (!('number' in event) || event.number < 0) return true;
    const { command } = context;
    if (command === null) return false;
    if (event.type === 'LOST' || event.type === 'REFUSED') return true;
    if (event.type === 'TURNED' && (event.pushed !== undefined) !== (command.push !== undefined)) return false;
    return replies[command.type]?.includes(event.type) === true;
  };
  const keyOf = ({ value, context }: State): string => {
    const { command, closing, open, pushed, wait, fence, durable, replay, auditDue, cancelledAll, held } = context;
    return JSON.stringify([value, command?.type, command?.push !== undefined, closing, open, pushed, wait?.live, fence?.epoch, durable, replay, auditDue, cancelledAll, Math.min(held, 2), context.cancels.size > 0]);
  };
  const options = { input, serializeState: keyOf, events: eventsOf, stopWhen: (state: State) => state.status !== 'active', limit: 100_000 };

  it('reaches every state, and in each an actor that starts again is answered', { timeout: 120_000 }, () => {
    const steps = adjacencyMapToArray(getAdjacencyMap(machine as never, options as never) as never) as unknown as { state: State; event: CoordinatorEvent; nextState: State }[];
    const problems = new Set<string>();
    const at = (state: State): string => (typeof state.value === 'string' ? state.value : Object.entries(state.value).flat().join('.'));
    for (const { state, event, nextState } of steps) {
      const from = at(state);
      const to = at(nextState);
      if (from === 'idle' && event.type === 'READY' && to !== 'idle') problems.add('idle did not stay idle');
      if (from !== 'idle' && event.type === 'READY' && (event.from === 'lists' || event.from === 'host') && to !== 'acquire') problems.add(`${from} went to ${to} when the ${event.from} started again`);
      if ('number' in event && event.number < 0 && nextState.context !== state.context) problems.add(`a stale ${event.type} changed ${from}`);
      if (event.type === 'CLOSE' && event.how === 'left' && to !== 'closed' && from !== 'ending') problems.add(`${from} was left, and went to ${to}`);
      if (event.type === 'LOST' && event.number >= 0 && event.retryable && to !== 'reconnect') problems.add(`${from} lost a reply and went to ${to}`);
      if (event.type === 'LOST' && event.number >= 0 && !event.retryable && to !== (state.context.closing ? 'closed' : 'failed')) problems.add(`${from} cannot go on, and went to ${to}`);
      if (event.type === 'REFUSED' && event.number >= 0 && event.status === 'fenced' && to !== (state.context.closing ? 'closed' : 'fenced')) problems.add(`${from} was fenced and went to ${to}`);
      if ((to === 'acquire' || to === 'replay' || to === 'audit' || to === 'ending') && nextState.context.command === null) problems.add(`${to} waits for nothing after ${event.type} in ${from}`);
      if (to === 'working.dispatch' && nextState.context.command === null) problems.add(`dispatch waits for nothing after ${event.type} in ${from}`);
      if (to === 'working.collect' && nextState.context.command !== null) problems.add(`collect with a command after ${event.type} in ${from}`);
      if (nextState.status === 'error') problems.add(`an error after ${event.type} in ${from}`);
    }
    expect([...problems]).toEqual([]);
    const reached = new Set(steps.map(({ nextState }) => at(nextState)));
    for (const name of ['idle', 'acquire', 'replay', 'audit', 'working.dispatch', 'working.collect', 'reconnect', 'ending', 'fenced', 'failed', 'closed']) expect(reached, `of ${steps.length} steps`).toContain(name);
  });

  it('does not believe what a blocking wait of before a reset brings: it is read again', () => {
    const send = (state: State, event: CoordinatorEvent): State => (transition(machine, state, event) as unknown as [State])[0];
    let [state] = initialTransition(machine, { ...input, durable: 1 }) as unknown as [State];
    state = send(state, eventsOf(state)[0] as CoordinatorEvent);
    state = send(state, { type: 'ACQUIRED', ...stamp(state), fence: { epoch: 1, nonce: 'n' }, seq: 0, held: 0 });
    const wait = { number: state.context.wait?.number ?? 0, at: 5 };
    expect(state.context.wait?.live).toBe(true);
    state = send(state, { type: 'LOST', ...stamp(state), from: 'lists', error, retryable: true, random: 0 });
    expect(state.context.wait).toEqual({ number: wait.number, live: false });
    state = send(state, { type: 'RETRY', at: 5 });
    state = send(state, { type: 'ACQUIRED', ...stamp(state), fence: { epoch: 1, nonce: 'n' }, seq: 1, held: 0 });
    state = send(state, { type: 'AUDITED', ...stamp(state), present: ['1.0.0'] });
    state = send(state, { type: 'HEARD', ...wait, arrival: { header: 'R|1.0.0|1', result: { group: 1, index: 0, generation: 0, kind: 'done', ends: [[1]], worker: 'w', startedAt: 0, durationMs: 0 } } });
    expect([state.context.replay, state.context.held, state.context.delivered]).toEqual([true, 0, 0]);
    state = send(state, { type: 'TURNED', ...stamp(state), taken: { arrivals: [], held: 1 } });
    expect([state.value, state.context.command?.type]).toEqual(['replay', 'READ']);
  });

  it('reads everything again when a page does not begin with the last element of the one before', () => {
    const at = (state: State) => stamp(state);
    const page = (state: State, ...ids: string[]): CoordinatorEvent => ({ type: 'READ', ...at(state), arrivals: ids.map((id) => ({ header: `R|${id}|1` })) });
    const send = (state: State, event: CoordinatorEvent): State => (transition(machine, state, event) as unknown as [State])[0];
    let [state] = initialTransition(machine, { ...input, settings: { batch: 3 }, durable: 1 }) as unknown as [State];
    state = send(state, eventsOf(state)[0] as CoordinatorEvent);
    state = send(state, { type: 'ACQUIRED', ...at(state), fence: { epoch: 2, nonce: 'n' }, seq: 9, held: 6 });
    state = send(state, page(state, '1.0.0', '1.1.0', '1.2.0'));
    expect([state.value, state.context.held]).toEqual(['replay', 3]);
    expect(send(state, page(state, '1.2.0', '1.3.0')).context.held).toBe(4);
    // A trim of before was executed meanwhile.
    state = send(state, page(state, '1.4.0', '1.5.0'));
    expect([state.value, state.context.held, state.context.taken.size]).toEqual(['replay', 0, 0]);
    state = send(state, page(state, '1.4.0'));
    expect([state.value, state.context.held]).toEqual(['audit', 1]);
  });

  it('fetches fewer results at a time after a page of them was lost, and more again by and by', () => {
    const send = (state: State, event: CoordinatorEvent): State => (transition(machine, state, event) as unknown as [State])[0];
    let [state] = initialTransition(machine, { ...input, settings: { batch: 1000 }, durable: 1 }) as unknown as [State];
    state = send(state, eventsOf(state)[0] as CoordinatorEvent);
    state = send(state, { type: 'ACQUIRED', ...stamp(state), fence: { epoch: 2, nonce: 'n' }, seq: 9, held: 900 });
    const pages: number[] = [];
    for (let lost = 0; lost < 4; lost += 1) {
      state = send(state, { type: 'LOST', ...stamp(state), from: 'lists', error, retryable: true, random: 0 });
      state = send(state, { type: 'RETRY', at: 5 });
      state = send(state, { type: 'ACQUIRED', ...stamp(state), fence: { epoch: 2, nonce: 'n' }, seq: 9, held: 900 });
      pages.push(state.context.page);
    }
    expect(pages).toEqual([125, 15, 2, 2]);
    // Each page begins with the last element of the one before.
    const arrivals = (from: number, count: number) => Array.from({ length: count }, (_, at) => ({ header: `R|9.${from + at}.0|1` }));
    for (let reads = 0; reads < 30 && state.value === 'replay'; reads += 1) {
      const from = Math.max(0, state.context.held - 1);
      state = send(state, { type: 'READ', ...stamp(state), arrivals: arrivals(from, Math.min(state.context.page, 100 - from)) });
    }
    expect([state.value, state.context.held]).toEqual(['audit', 100]);
    expect(state.context.page).toBeGreaterThan(10);
  });

  it('comes to the same places by their shortest paths through JSON and a restore before each event', { timeout: 120_000 }, () => {
    const paths = getShortestPaths(machine as never, options as never) as unknown as { state: State; steps: { event: CoordinatorEvent & { type: string } }[] }[];
    const every = Math.ceil(paths.length / 150);
    for (const path of paths.filter((_, at) => at % every === 0)) {
      let [state] = initialTransition(machine, input) as unknown as [State];
      for (const { event } of path.steps) {
        if ((event.type as string) === 'xstate.init') continue;
        const stored = JSON.parse(JSON.stringify(machine.getPersistedSnapshot(state))) as never;
        [state] = transition(machine, createActor(machine, { snapshot: stored, input }).getSnapshot(), event) as unknown as [State];
      }
      expect(JSON.parse(keyOf(state))).toEqual(JSON.parse(keyOf(path.state)));
    }
    expect(paths.length).toBeGreaterThan(50);
  });
});
