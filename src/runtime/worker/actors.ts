/**
 * The I/O actors of a worker's machine.
 *
 * Owns: turning commands into calls, and what comes of them into events. Does not own: what is asked and when (the machine),
 * executing units (units.ts).
 *
 * Invariants
 * 1. Each says READY when it starts, and its machine tells it all that it needs.
 * 2. Every call and every wait is answered by one event, whatever was thrown.
 */
import { fromCallback } from 'xstate';
import { isTaskchartError, serializeError } from '../../core/errors.ts';
import { decodeHint } from '../../core/messages.ts';
import type { AlarmCommand, CallCommand, UnitsCommand, WaitUnitCommand, WorkerCall, WorkerContext, WorkerEvent } from '../../../machines/index.ts';
import type { Clock, Random, Signals, TaskLists, WorkerIdentity } from '../../ports.ts';
import { Units, type UnitsSetup } from './units.ts';

export interface WorkerIo {
  readonly identity: WorkerIdentity;
  readonly leaseMs: number;
  readonly deliveries: number;
  readonly lists: TaskLists;
  readonly signals: Signals;
  readonly clock: Clock;
  readonly random: Random;
  readonly units: UnitsSetup;
}

type Send = (event: WorkerEvent) => void;

export function createWorkerActors(io: WorkerIo) {
  return { lists: listsActor(io), waiter: waiterActor(io), units: unitsActor(io), timers: timersActor(io), signals: signalsActor(io) };
}

function listsActor(io: WorkerIo) {
  return fromCallback<CallCommand>(({ sendBack, receive }) => {
    const send = sendBack as Send;
    receive(({ number, call }) => {
      perform(io, number, call).then(send, (thrown: unknown) => send(lost(io, 'lists', number, thrown)));
    });
    send({ type: 'READY', from: 'lists', at: io.clock.now() });
  });
}

async function perform({ identity, leaseMs, deliveries, lists, clock }: WorkerIo, call: number, what: WorkerCall): Promise<WorkerEvent> {
  switch (what.kind) {
    case 'register': {
      const { status } = await lists.register({ ...identity, leaseMs, deliveries, at: clock.now() });
      return { type: 'REGISTERED', at: clock.now(), call, status };
    }
    case 'slots': {
      const units = await lists.slots(identity);
      return { type: 'SLOTS_READ', at: clock.now(), call, units: units.map((unit) => unit ?? null) };
    }
    case 'step': {
      const answer = await lists.step({ ...identity, leaseMs, acks: what.acks, claims: what.claims, runs: what.runs });
      return { type: 'STEPPED', at: clock.now(), call, answer };
    }
    case 'reap': {
      const { returned, dead } = await lists.reap({ deliveries, at: clock.now() });
      return { type: 'REAPED', at: clock.now(), call, returned, dead };
    }
    case 'leave':
      await lists.leave(identity);
      return { type: 'LEFT', at: clock.now(), call };
  }
}

function waiterActor(io: WorkerIo) {
  const { identity, lists, clock } = io;
  return fromCallback<WaitUnitCommand>(({ sendBack, receive }) => {
    const send = sendBack as Send;
    const wait = async (slot: number, timeoutMs: number): Promise<string | undefined> => lists.waitUnit({ worker: identity.worker, slot, queue: identity.queue, timeoutMs });
    receive(({ number, slot, timeoutMs }) => {
      wait(slot, timeoutMs).then(
        (unit) => send({ type: 'WAITED', at: clock.now(), wait: number, ...(unit !== undefined && { unit }) }),
        (thrown: unknown) => send(lost(io, 'waiter', number, thrown)),
      );
    });
    send({ type: 'READY', from: 'waiter', at: clock.now() });
  });
}

function lost({ clock, random }: WorkerIo, from: 'lists' | 'waiter', number: number, thrown: unknown): WorkerEvent {
  const retryable = isTaskchartError(thrown) && thrown.details?.['retryable'] === true;
  return { type: 'LOST', at: clock.now(), from, number, error: serializeError(thrown), retryable, random: random.next() };
}

function unitsActor({ units, clock }: WorkerIo) {
  return fromCallback<UnitsCommand>(({ sendBack, receive }) => {
    const send = sendBack as Send;
    const hands = new Units(units, (ends) => send({ type: 'FINISHED', at: clock.now(), ends }));
    receive((command) => hands.receive(command));
    send({ type: 'READY', from: 'units', at: clock.now() });
    return () => hands.close();
  });
}

function timersActor({ clock }: WorkerIo) {
  return fromCallback<AlarmCommand>(({ sendBack, receive }) => {
    const send = sendBack as Send;
    let cancel: (() => void) | undefined;
    const ring = (): void => send({ type: 'DUE', at: clock.now() });
    receive(({ dueAt }) => {
      cancel?.();
      const delayMs = dueAt - clock.now();
      cancel = delayMs > 0 ? clock.after(Math.ceil(delayMs), ring) : clock.soon(ring);
    });
    send({ type: 'READY', from: 'timers', at: clock.now() });
    return () => cancel?.();
  });
}

/** Hints alone: what is cancelled is also said in the answers to steps. */
function signalsActor({ signals, clock }: WorkerIo) {
  return fromCallback(({ self, sendBack }) => {
    const send = sendBack as Send;
    const holds = (run: string): boolean => {
      const snapshot = self._parent?.getSnapshot() as { readonly context?: WorkerContext } | undefined;
      return snapshot?.context?.places.some((place) => place?.run === run) === true;
    };
    const stop = signals.subscribe((text) => {
      if (!text.startsWith('C|')) return;
      const hint = decodeHint(text);
      if (hint?.kind === 'cancelled' && holds(hint.run)) send({ type: 'CANCELLED', at: clock.now(), run: hint.run, entry: hint.entry });
    });
    send({ type: 'READY', from: 'signals', at: clock.now() });
    return stop;
  });
}
