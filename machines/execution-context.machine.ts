/**
 * The states of a run, and who is told what.
 *
 * Owns: the statechart. Does not own: the rules by which a context moves (execution-context/step.ts and below), and
 * any effect: its two actors, `executor` (invoked) and `timers` (spawned at the first due time), are known to it by name
 * and provided by the runtime.
 *
 * Invariants
 * 1. Pure: the same snapshot and the same event give the same snapshot.
 * 2. One event is one step of the context and at most one command for each actor.
 * 3. Only a verdict in the context leads to a final state; the internal events that point there are guarded by it.
 * 4. A run that failed or was cancelled ends with status `error`, so that `toPromise` rejects and `onError` of an
 *    invoking machine fires; its value still says `failed` or `cancelled`.
 * 5. A restored run has exactly its own actors, whatever children the snapshot has; one taken after `stop()`, or after an
 *    error that was thrown in the machine, has none. Only a verdict ends a run for good.
 */
import { enqueueActions, fromCallback, setup, type AnyStateMachine, type Snapshot } from 'xstate';
import { reviveError } from '../src/core/errors.ts';
import type { Json } from '../src/core/json.ts';
import { initialContext, type ExecutionContext, type RunLimits } from './execution-context/context.ts';
import type { ArmCommand, ExecuteCommand, ExecutionEvent } from './execution-context/events.ts';
import type { Plan } from './execution-context/plan.ts';
import { step } from './execution-context/step.ts';

/** Stands where the runtime's actors go: a machine that is only explored needs none. */
const executor = fromCallback<ExecuteCommand>(() => undefined);
const timers = fromCallback<ArmCommand>(() => undefined);

interface MachineTypes<I, O> {
  context: ExecutionContext;
  events: ExecutionEvent;
  input: I;
  output: O;
}

/** The ExecutionContext machine of one workflow. Its `input` is the workflow's own input; `limits` are those of its runs. */
export function createExecutionContextMachine<I = unknown, O = Json | undefined>(plan: Plan, limits?: RunLimits) {
  const { workflow, root } = plan.graph;
  const machine = setup({
    types: {} as MachineTypes<I, O>,
    actors: { executor, timers },
    actions: {
      advance: enqueueActions(({ context, event, enqueue }) => {
        const next = step(plan, context, event);
        enqueue.assign(() => next.context);
        if (next.execute !== undefined) enqueue.sendTo('executor', next.execute);
        // A time that came and went within one event is nobody's business.
        if (next.arm !== undefined && next.context.timed) {
          // Most runs never wait for a time; a run's first due time starts the timers, whose READY is told of all.
          if (context.timed) enqueue.sendTo('timers', next.arm);
          else enqueue.spawnChild('timers', { id: 'timers' });
        }
        if (next.context.verdict !== null) enqueue.raise({ type: 'CONCLUDED' });
        else if (next.waiting !== isWaiting(context) || event.type === 'RESUME') enqueue.raise({ type: next.waiting ? 'PARKED' : 'UNPARKED' });
      }),
    },
    guards: {
      hasCompleted: ({ context }) => context.verdict?.kind === 'completed',
      hasFailed: ({ context }) => context.verdict?.kind === 'failed',
      wasCancelled: ({ context }) => context.verdict?.kind === 'cancelled',
      isWaiting: ({ context }) => isWaiting(context),
      isBusy: ({ context }) => !isWaiting(context),
    },
  }).createMachine({
    id: workflow,
    context: ({ input }) => initialContext(workflow, root, input, limits),
    invoke: { src: 'executor', id: 'executor' },
    initial: 'running',
    on: {
      READY: { actions: 'advance', description: 'An I/O actor has started, fresh or restored.' },
      SETTLED: { actions: 'advance', description: 'A batch of outcomes.' },
      DUE: { actions: 'advance', description: 'Due times have passed.' },
      SIGNAL: { actions: 'advance', description: 'Someone answers a wait.' },
      REFUSED: { actions: 'advance', description: 'A message from another process was no use.' },
      CANCEL: { actions: 'advance' },
      CONCLUDED: [
        { guard: 'hasCompleted', target: '.completed' },
        { guard: 'hasFailed', target: '.failed' },
        { guard: 'wasCancelled', target: '.cancelled' },
      ],
    },
    states: {
      running: {
        description: 'Tasks are being executed.',
        on: { PAUSE: { target: 'paused', actions: 'advance' }, PARKED: { guard: 'isWaiting', target: 'waiting' } },
      },
      waiting: {
        description: 'Nothing is being executed until a time or a signal comes.',
        on: { PAUSE: { target: 'paused', actions: 'advance' }, UNPARKED: { guard: 'isBusy', target: 'running' } },
      },
      paused: {
        description: 'What is in flight may end; nothing new starts.',
        on: { RESUME: { target: 'running', actions: 'advance' } },
      },
      completed: { type: 'final' },
      failed: { type: 'final' },
      cancelled: { type: 'final' },
    },
    output: ({ context }) => (context.verdict?.kind === 'completed' ? context.verdict.output[0] : undefined) as O,
  });
  return endingInError(machine);
}

export type ExecutionContextMachine<I = unknown, O = Json | undefined> = ReturnType<typeof createExecutionContextMachine<I, O>>;

function isWaiting(context: ExecutionContext): boolean {
  return context.run !== null && context.verdict === null && context.inFlight.size === 0 && context.openMembers === 0;
}

/** Invariant 4. XState knows no final state that is an error, so the results of the machine are finished here. */
function endingInError<M extends AnyStateMachine>(machine: M): M {
  const { transition, restoreSnapshot, provide } = machine;
  machine.transition = (...args) => finished(transition.apply(machine, args));
  machine.restoreSnapshot = (snapshot, ...rest) => finished(restoreSnapshot.apply(machine, [withActors(snapshot), ...rest]));
  machine.provide = (...args) => endingInError(provide.apply(machine, args));
  return machine;
}

function finished<S extends { readonly status: string; readonly context: ExecutionContext }>(snapshot: S): S {
  const verdict = snapshot.context?.verdict;
  if (snapshot.status === 'active' || verdict === null || verdict === undefined || verdict.kind === 'completed') return snapshot;
  return { ...snapshot, status: 'error', output: undefined, error: reviveError(verdict.error) };
}

/** Invariant 5. They hold nothing worth restoring: READY tells them everything. */
function withActors<S extends Snapshot<unknown>>(snapshot: S): S {
  const { status, context } = snapshot as S & { readonly context?: ExecutionContext };
  const ended = status === 'done' || (status === 'error' && context?.verdict !== null);
  if (ended) return snapshot;
  const fresh = (src: string) => ({ [src]: { src, snapshot: { status: 'active' }, syncSnapshot: false } });
  return { ...snapshot, status: 'active', error: undefined, children: { ...fresh('executor'), ...(context?.timed === true ? fresh('timers') : {}) } };
}
