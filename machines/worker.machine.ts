/**
 * The states of a worker: register → claim and work → reconnect, drain, and its ends.
 *
 * Owns: the statechart. Does not own: the rules by which a context moves (worker/step.ts and below), and any effect: its
 * actors are known to it by name and provided by the runtime.
 *
 * - `lists` asks what the machine wants of the lists, one call at a time; `waiter` waits there for a unit;
 * - `units` executes; `timers` holds one alarm; `signals` listens.
 *
 * Invariants
 * 1. Pure: the same snapshot and the same event give the same snapshot.
 * 2. One event is one step of the context and at most one command for each actor.
 * 3. The state says what the context says: the internal events that lead to it are guarded by that.
 * 4. Nothing but a verdict in the context ends a worker: drained, its id taken, or failed before it ever worked.
 */
import { enqueueActions, fromCallback, setup } from 'xstate';
import { initialWorker, workerState, type WorkerContext, type WorkerSettings, type WorkerState, type WorkerVerdict } from './worker/context.ts';
import type { AlarmCommand, CallCommand, UnitsCommand, WaitCommand, WorkerEvent, WorkerInternalEvent } from './worker/events.ts';
import { workerStep } from './worker/step.ts';

/** Stands where the runtime's actors go: a machine that is only explored needs none. */
const lists = fromCallback<CallCommand>(() => undefined);
const waiter = fromCallback<WaitCommand>(() => undefined);
const units = fromCallback<UnitsCommand>(() => undefined);
const timers = fromCallback<AlarmCommand>(() => undefined);
const signals = fromCallback(() => undefined);

interface MachineTypes {
  context: WorkerContext;
  events: WorkerEvent;
  input: WorkerSettings;
  output: WorkerVerdict;
}

/** What leads to each state. */
const moves: Readonly<Record<WorkerState, WorkerInternalEvent | undefined>> = {
  register: undefined,
  claim: { type: 'IDLE' },
  work: { type: 'BUSY' },
  reconnect: { type: 'CUT' },
  drain: { type: 'DRAINING' },
  drained: { type: 'CONCLUDED' },
  taken: { type: 'CONCLUDED' },
  failed: { type: 'CONCLUDED' },
};

function named() {
  return setup({
    types: {} as MachineTypes,
    actors: { lists, waiter, units, timers, signals },
    actions: {
      advance: enqueueActions(({ context, event, enqueue }) => {
        const next = workerStep(context, event);
        enqueue.assign(() => next.context);
        // First what takes its time elsewhere: the lists work while units begin.
        if (next.call !== undefined) enqueue.sendTo('lists', next.call);
        if (next.units !== undefined) enqueue.sendTo('units', next.units);
        if (next.wait !== undefined) enqueue.sendTo('waiter', next.wait);
        if (next.alarm !== undefined) enqueue.sendTo('timers', next.alarm);
        const state = workerState(next.context);
        const move = state === workerState(context) ? undefined : moves[state];
        if (move !== undefined) enqueue.raise(move);
      }),
    },
    guards: {
      isIdle: ({ context }) => workerState(context) === 'claim',
      isBusy: ({ context }) => workerState(context) === 'work',
      isCut: ({ context }) => workerState(context) === 'reconnect',
      isDraining: ({ context }) => workerState(context) === 'drain',
      isDrained: ({ context }) => context.verdict?.kind === 'drained',
      isTaken: ({ context }) => context.verdict?.kind === 'taken',
      hasFailed: ({ context }) => context.verdict?.kind === 'failed',
    },
  });
}

/** The machine of a worker. */
export function createWorkerMachine() {
  const idle = { guard: 'isIdle', target: 'claim' } as const;
  const busy = { guard: 'isBusy', target: 'work' } as const;
  const cut = { guard: 'isCut', target: 'reconnect' } as const;
  const draining = { guard: 'isDraining', target: 'drain' } as const;
  return named().createMachine({
    id: 'worker',
    context: ({ input }) => initialWorker(input),
    invoke: [
      { src: 'timers', id: 'timers' },
      { src: 'units', id: 'units' },
      { src: 'signals', id: 'signals' },
      { src: 'waiter', id: 'waiter' },
      { src: 'lists', id: 'lists' },
    ],
    initial: 'register',
    on: {
      READY: { actions: 'advance', description: 'An I/O actor has started, fresh or again.' },
      REGISTERED: { actions: 'advance' },
      SLOTS_READ: { actions: 'advance', description: 'What the slots hold, to be compared with what is being executed.' },
      STEPPED: { actions: 'advance', description: 'Lease refreshed, results handed in, units claimed.' },
      REAPED: { actions: 'advance', description: 'Units of dead workers were looked for.' },
      LEFT: { actions: 'advance' },
      WAITED: { actions: 'advance' },
      LOST: { actions: 'advance', description: 'A call has failed, or its reply was lost.' },
      FINISHED: { actions: 'advance', description: 'A batch of units that have ended.' },
      CANCELLED: { actions: 'advance' },
      DUE: { actions: 'advance' },
      DRAIN: { actions: 'advance', description: 'Claim nothing new, finish, leave; a second one gives back.' },
      STOP: { actions: 'advance' },
      CONCLUDED: [
        { guard: 'isDrained', target: '.drained' },
        { guard: 'isTaken', target: '.taken' },
        { guard: 'hasFailed', target: '.failed' },
      ],
    },
    states: {
      register: {
        description: 'The worker enters the registry, and reads what its slots hold.',
        on: { IDLE: idle, BUSY: busy, CUT: cut, DRAINING: draining },
      },
      claim: {
        description: 'Nothing is being executed; the worker waits for units.',
        on: { BUSY: busy, CUT: cut, DRAINING: draining },
      },
      work: {
        description: 'Units are being executed, or their results are on their way.',
        on: { IDLE: idle, CUT: cut, DRAINING: draining },
      },
      reconnect: {
        description: 'The lists cannot be reached; what is being executed goes on.',
        on: { IDLE: idle, BUSY: busy, DRAINING: draining },
      },
      drain: { description: 'Nothing new is claimed; what is being executed ends or is handed back.' },
      drained: { type: 'final' },
      taken: { type: 'final', description: "Another process uses this worker's id." },
      failed: { type: 'final' },
    },
    output: ({ context }) => context.verdict as WorkerVerdict,
  });
}

export type WorkerMachine = ReturnType<typeof createWorkerMachine>;
