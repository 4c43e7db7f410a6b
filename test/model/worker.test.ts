/** The worker machine: all its short paths, and long ones by chance. */
import { createActor } from 'xstate';
import { getShortestPaths } from 'xstate/graph';
import { describe, expect, it } from 'vitest';
import { createWorkerMachine, initialWorker, workerState, workerStep, type StepAnswer, type UnitEnd, type WorkerContext, type WorkerEvent, type WorkerMachine } from '../../machines/index.ts';
import { seededRandom } from '../../src/testing.ts';
import { notPlain } from './invariants.ts';
import { WorkerWorld } from './worker-world.ts';

const settings = { worker: 'w', nonce: 'n', queue: 'q', slots: 2, leaseMs: 3000, deliveries: 3, reapMs: 1500, waitMs: 1000, drainMs: 2000 };
const error = { name: 'TransportError', message: 'lost' };
const unit = (n: number): string => `1|r|1.${n}.0|{}`;

/** What may happen next; the same units come again and again. */
function eventsOf(context: WorkerContext): WorkerEvent[] {
  const { at, call, wait, places, alarm } = context;
  const events: WorkerEvent[] = [
    ...(['lists', 'waiter', 'units', 'timers', 'signals'] as const).map((from): WorkerEvent => ({ type: 'READY', from, at })),
    { type: 'DRAIN', at }, { type: 'STOP', at }, { type: 'CANCELLED', at, run: 'r', entry: '1.0.0' }, { type: 'DUE', at: alarm ?? at },
    // Of no use: answers to what was never asked, ends of what is not there, words that only the machine itself may say.
    { type: 'REGISTERED', at, call: -1, status: 'taken' }, { type: 'LEFT', at, call: -1 }, { type: 'WAITED', at, wait: -1, unit: unit(7) }, { type: 'FINISHED', at, ends: [{ slot: 0, header: '9|r|9.9.9', kind: 'result', text: '' }] },
    { type: 'IDLE' }, { type: 'BUSY' }, { type: 'CUT' }, { type: 'DRAINING' }, { type: 'CONCLUDED' },
  ];
  places.forEach((place, slot) => {
    if (place === null || place.ack !== undefined) return;
    const end: UnitEnd = { slot, header: place.header, kind: 'result', text: 'R' };
    events.push({ type: 'FINISHED', at, ends: [end] }, { type: 'FINISHED', at, ends: [{ ...end, kind: 'return', refused: true }] });
  });
  if (wait !== null) events.push({ type: 'WAITED', at, wait: wait.number }, { type: 'WAITED', at, wait: wait.number, unit: unit(3) }, { type: 'LOST', at, from: 'waiter', number: wait.number, error, retryable: true, random: 0 });
  if (call === null) return events;
  const { number } = call;
  const answer = (more: Partial<StepAnswer>): WorkerEvent => ({ type: 'STEPPED', at, call: number, answer: { status: 'ok', claimed: [], refused: [], cancelled: {}, pending: 0, ...more } });
  const claimed = call.claims.map((slot) => ({ slot, unit: unit(slot) }));
  const answers: Record<string, WorkerEvent[]> = {
    register: [{ type: 'REGISTERED', at, call: number, status: 'ok' }, { type: 'REGISTERED', at, call: number, status: 'taken' }],
    slots: [[], [unit(0)], [unit(4), 'garbage']].map((units): WorkerEvent => ({ type: 'SLOTS_READ', at, call: number, units })),
    step: [answer({}), answer({ claimed, pending: 5 }), answer({ claimed: claimed.slice(0, 1), pending: 0 }), answer({ refused: call.acked.map((_, place) => place) }), answer({ cancelled: { r: ['*'] } }), answer({ status: 'taken' })],
    reap: [{ type: 'REAPED', at, call: number, returned: 1, dead: 0 }],
    leave: [{ type: 'LEFT', at, call: number }],
  };
  const gone = { type: 'LOST', at, from: 'lists', number, error, random: 0 } as const;
  return [...events, ...(answers[call.kind] ?? []), { ...gone, retryable: true }, { ...gone, retryable: false }];
}

/** Contexts that differ in nothing but counters and times are one. */
function keyOf(context: WorkerContext): string {
  const { at, revision: _, calls: __, failures, refusals, served: ___, refused: ____, beatAt, steppedAt, reapAt, retryAt, claimAt, waitAt, waitFailures, alarm, call, wait, places, drain, ...rest } = context;
  const later = (time: number | null): boolean => time !== null && time > at;
  return JSON.stringify([
    rest, failures > 0, refusals > 0, beatAt === null, steppedAt === null, later(reapAt), later(retryAt), later(claimAt), later(waitAt), waitFailures > 0, alarm !== null, call?.kind, call?.acked, call?.claims, wait?.slot,
    places.map((place) => place && [place.header, place.ack?.kind]), drain?.over,
  ]);
}

function problemsOf(before: WorkerContext, event: WorkerEvent): { readonly next: WorkerContext; readonly problems: string[] } {
  const { context: next, call, wait, units, alarm } = workerStep(before, event);
  const problems = notPlain(next);
  const say = (wrong: boolean, what: string): void => void (wrong && problems.push(what));
  say(next.places.length !== next.slots, 'it has lost or won a slot');
  say(call !== undefined && call.number !== next.call?.number, 'it was asked what it does not know of');
  say(call === undefined && next.call !== null && next.call.number !== before.call?.number, 'it believes to have asked');
  say((wait === undefined) !== (next.wait === null || next.wait.number === before.wait?.number), 'a wait that is none');
  say(next.call !== null && next.wait !== null && next.call.claims.includes(next.wait.slot), 'a slot is claimed and waited for');
  say(wait !== undefined && next.places[wait.slot] !== null, 'a slot that is full is waited for');
  say(next.drain !== null && before.drain !== null && (wait !== undefined || (call?.call.kind === 'step' && call.call.claims.length > 0)), 'it claims while it is draining');
  for (const { slot } of units?.start ?? []) say(next.places[slot]?.ack !== undefined || next.places[slot] === null, 'it starts what it does not hold');
  say(alarm !== undefined && next.alarm !== alarm.dueAt, 'it does not know its alarm');
  const running = next.places.some((place) => place !== null && place.ack === undefined);
  say(next.verdict === null && next.link !== 'closed' && next.call === null && next.wait === null && !running && next.alarm === null, 'nothing will ever happen');
  say(next.verdict === null && next.link === 'lost' && next.alarm === null, 'it never tries again');
  say(next.verdict === null && next.drain?.over === false && next.alarm === null, 'its drain has no end');
  say(next.verdict === null && next.link === 'open' && next.call === null && next.alarm === null, 'its lease is forgotten');
  say(before.verdict !== null && JSON.stringify({ ...before, revision: 0, at: 0 }) !== JSON.stringify({ ...next, revision: 0, at: 0 }), 'it moves after its end');
  return { next, problems };
}

describe('every way through the worker machine', () => {
  it('keeps every invariant on every step, for thousands of states', { timeout: 120_000 }, () => {
    let frontier = [initialWorker(settings)];
    const seen = new Set(frontier.map(keyOf));
    const states = new Set<string>();
    for (let depth = 0; depth < 12 && frontier.length > 0 && seen.size < 12_000; depth += 1) {
      const found: WorkerContext[] = [];
      for (const context of frontier) {
        states.add(workerState(context));
        for (const event of eventsOf(context)) {
          const { next, problems } = problemsOf(context, event);
          if (problems.length > 0) throw new Error(`${problems.join('; ')}\nafter ${JSON.stringify(event)}\nin ${JSON.stringify(context)}\nto ${JSON.stringify(next)}`);
          const key = keyOf(next);
          if (seen.has(key)) continue;
          seen.add(key);
          found.push(next);
        }
      }
      frontier = found;
    }
    expect([...states].sort()).toEqual(['claim', 'drain', 'drained', 'failed', 'reconnect', 'register', 'taken', 'work']);
    expect(seen.size).toBeGreaterThan(5000);
  });

  it('is pure: the same context and event give the same step, and nothing is changed in place', () => {
    const random = seededRandom(7);
    let context = initialWorker(settings);
    for (let at = 0; at < 2000; at += 1) {
      const events = eventsOf(context);
      const event = events[Math.floor(random.next() * events.length)] as WorkerEvent;
      const before = JSON.stringify(context);
      const once = workerStep(context, event);
      expect(JSON.stringify(workerStep(JSON.parse(before) as WorkerContext, event))).toBe(JSON.stringify(once));
      expect(JSON.stringify(context)).toBe(before);
      context = once.context.verdict === null ? once.context : initialWorker(settings);
    }
  });

  it('reaches each state of the chart, which is what the context says', () => {
    const paths = getShortestPaths(createWorkerMachine() as never, {
      input: settings, limit: 20_000, serializeState: (state: unknown) => keyOf((state as { context: WorkerContext }).context), events: ((state: { context: WorkerContext }) => eventsOf(state.context)) as never,
      stopWhen: ((state: { status: string; context: WorkerContext }) => state.status !== 'active' || state.context.revision > 4) as never,
    } as never) as unknown as { state: { value: string; context: WorkerContext; status: string; output: unknown } }[];
    for (const { state } of paths) expect(state.value).toBe(workerState(state.context));
    expect([...new Set(paths.map(({ state }) => state.value))].sort()).toEqual(['claim', 'drain', 'drained', 'failed', 'reconnect', 'register', 'taken', 'work']);
    for (const { state } of paths) expect(state.output).toEqual(state.context.verdict ?? undefined);
  });

  it('goes on from a snapshot that was taken anywhere, by READY alone', () => {
    const actor = createActor(createWorkerMachine(), { input: settings });
    actor.start();
    const send = (event: WorkerEvent): void => actor.send(event);
    for (const from of ['units', 'waiter', 'lists'] as const) send({ type: 'READY', from, at: 1 });
    const call = (): number => actor.getSnapshot().context.call?.number ?? -1;
    send({ type: 'REGISTERED', at: 1, call: call(), status: 'ok' });
    send({ type: 'SLOTS_READ', at: 1, call: call(), units: [unit(0)] });
    const restored = createActor(createWorkerMachine() as WorkerMachine, { input: settings, snapshot: JSON.parse(JSON.stringify(actor.getPersistedSnapshot())) as never });
    restored.start();
    for (const from of ['units', 'waiter', 'lists'] as const) restored.send({ type: 'READY', from, at: 2 });
    const { context } = restored.getSnapshot();
    expect(context.call?.kind).toBe('register');
    expect(context.places).toEqual([null, null]);
    actor.stop();
    restored.stop();
  });
});

describe('whoever starts again', () => {
  it('is told what it needs: hands that have forgotten are told by what the slots hold', () => {
    const actor = createActor(createWorkerMachine(), { input: settings });
    actor.start();
    const context = (): WorkerContext => actor.getSnapshot().context;
    const answer = (more: object): void => actor.send({ at: 1, call: context().call?.number, ...more } as WorkerEvent);
    actor.send({ type: 'READY', from: 'lists', at: 1 });
    answer({ type: 'REGISTERED', status: 'ok' });
    answer({ type: 'SLOTS_READ', units: [unit(0)] });
    answer({ type: 'REAPED', returned: 0, dead: 0 });
    answer({ type: 'STEPPED', answer: { status: 'ok', claimed: [], refused: [], cancelled: {}, pending: 0 } });
    expect(context()).toMatchObject({ places: [{ header: '1|r|1.0.0' }, null], call: null, wait: { slot: 1 } });
    actor.send({ type: 'READY', from: 'units', at: 1 });
    expect(context()).toMatchObject({ places: [null, null], call: { kind: 'slots' } });
    answer({ type: 'SLOTS_READ', units: [unit(0)] });
    expect(context().places).toMatchObject([{ header: '1|r|1.0.0' }, null]);
    actor.stop();
  });
});

describe('workers on lists that lose answers', () => {
  const seeds = Array.from({ length: Math.ceil(Number(process.env['MODEL_RUNS'] || 300) / 6) }, (_, at) => at + 1);

  it.each([[1, 1], [2, 2], [3, 4]])('execute every unit and lose none: %i workers of %i slots', (count, slots) => {
    let started = 0;
    for (const seed of seeds) {
      const world = new WorkerWorld(seededRandom(seed), count, slots);
      try {
        for (let round = 0; round < 12; round += 1) {
          world.push(5);
          for (let at = 0; at < 40; at += 1) world.act();
        }
        world.faults = false;
        for (const move of world.late.splice(0)) move();
        for (let at = 0; at < 20_000 && world.open > 0; at += 1) {
          world.act();
          if (at % 10 === 0) world.pass(200);
        }
        expect(world.open, 'units without a result').toBe(0);
        expect(new Set(world.results).size).toBe(world.results.length);
        started += world.started;
      } catch (thrown) {
        throw new Error(`seed ${seed}: ${(thrown as Error).message}`, { cause: thrown });
      }
    }
    expect(started).toBeGreaterThan(seeds.length * 40);
  });
});
