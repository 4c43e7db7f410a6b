/**
 * The I/O actors of a coordinator machine: what they are told, they do with the ports, and they tell what came of it.
 *
 * Owns: calling the lists, encoding, decoding, timers. Does not own: when to do what (the machine), connections (the lists).
 *
 * Invariants
 * 1. Each command is answered once, by the number that it has; a failure is an answer too (LOST), and never ends an actor.
 * 2. Nothing that comes out of a list is trusted: what cannot be decoded is passed on as its header alone.
 * 3. A stopped actor says nothing more and holds no timer.
 */
import { fromCallback, type AnyActorRef } from 'xstate';
import { InvariantError, reviveError, serializeError, TransportError } from '../../core/errors.ts';
import type { Graph } from '../../core/graph.ts';
import { decodeResult, resultHeader } from '../../core/messages.ts';
import type { Arrival, CoordinatorEvent, HostCommand, ListsCommand, ListsEvent, TimersCommand, WaitCommand } from '../../../machines/index.ts';
import type { Clock, Logger, Random, Refused, TaskLists } from '../../ports.ts';
import type { DispatchHost } from './dispatch.ts';
import { pushRequest } from './push-request.ts';

/** What the actors work with. */
export interface CoordinatorIo {
  readonly lists: TaskLists;
  readonly clock: Clock;
  readonly random: Random;
  readonly host: DispatchHost;
  readonly graph: Graph | undefined;
  readonly logger: Logger | undefined;
}

type Unstamped<E> = E extends unknown ? Omit<E, 'number' | 'at' | 'random'> : never;
type Answer = Unstamped<ListsEvent>;
type CommandOf<T extends ListsCommand['type']> = Extract<ListsCommand, { readonly type: T }>;
type Send = (event: CoordinatorEvent) => void;

/** By the actor of the coordinator. Making a machine costs more than many a run, so all coordinators share one. */
const owners = new WeakMap<AnyActorRef, CoordinatorIo>();

/** Before the coordinator is started. */
export function equip(coordinator: AnyActorRef, io: CoordinatorIo): void {
  owners.set(coordinator, io);
}

function ioOf({ _parent: coordinator }: AnyActorRef): CoordinatorIo {
  const io = coordinator && owners.get(coordinator);
  if (io === undefined) throw new InvariantError('invariant/broken', 'a coordinator was started that was not equipped');
  return io;
}

export function coordinatorActors() {
  return { lists: listsActor(), results: resultsActor(), timers: timersActor(), host: hostActor() };
}

function listsActor() {
  return fromCallback<ListsCommand>(({ self, sendBack, receive }) => {
    const io = ioOf(self);
    const send = whileOpen(sendBack as Send);
    receive((command) => {
      const { number } = command;
      carry(io, command).then(
        (answer) => send.event({ ...answer, number, at: io.clock.now(), ...(answer.type === 'REFUSED' && { random: io.random.next() }) } as ListsEvent),
        (thrown: unknown) => send.event(loss(io, 'lists', number, thrown)),
      );
    });
    send.event({ type: 'READY', from: 'lists', at: io.clock.now() });
    return send.close;
  });
}

function resultsActor() {
  return fromCallback<WaitCommand>(({ self, sendBack, receive }) => {
    const io = ioOf(self);
    const send = whileOpen(sendBack as Send);
    receive(({ number, run, timeoutMs }) => {
      io.lists.waitResult({ run, timeoutMs }).then(
        (text) => send.event({ type: 'HEARD', number, at: io.clock.now(), ...(text !== undefined && { arrival: arrivalOf(text, io.logger) }) }),
        (thrown: unknown) => send.event(loss(io, 'results', number, thrown)),
      );
    });
    send.event({ type: 'READY', from: 'results', at: io.clock.now() });
    return send.close;
  });
}

/** The tick alone does not keep the process alive. */
function timersActor() {
  return fromCallback<TimersCommand>(({ self, sendBack, receive }) => {
    const { clock } = ioOf(self);
    const send = whileOpen(sendBack as Send);
    const armed = new Map<string, () => void>();
    const arm = (type: 'TICK' | 'RETRY' | 'GAVE_UP', delayMs: number | undefined): void => {
      if (delayMs === undefined) return;
      armed.get(type)?.();
      armed.set(type, clock.after(delayMs, () => send.event({ type, at: clock.now() }), type === 'TICK'));
    };
    receive(({ tickMs, retryMs, closeMs }) => {
      arm('TICK', tickMs);
      arm('RETRY', retryMs);
      arm('GAVE_UP', closeMs);
    });
    send.event({ type: 'READY', from: 'timers', at: clock.now() });
    return () => {
      send.close();
      for (const cancel of armed.values()) cancel();
    };
  });
}

function hostActor() {
  return fromCallback<HostCommand>(({ self, sendBack, receive }) => {
    const { host, clock } = ioOf(self);
    const send = whileOpen(sendBack as Send);
    receive((command) => {
      if (command.type === 'DELIVER') host.deliver(command.delivery, command.results);
      // Where it cannot be confirmed the run ends, and says so itself.
      else if (command.type === 'CONFIRM') host.confirm?.().then(() => send.event({ type: 'CONFIRMED' }), () => undefined);
      else host.failed(reviveError(command.error));
    });
    send.event({ type: 'READY', from: 'host', at: clock.now() });
    return send.close;
  });
}

/** Invariant 3. */
function whileOpen(send: Send): { readonly event: Send; readonly close: () => void } {
  let open = true;
  return {
    event: (event) => {
      if (open) send(event);
    },
    close: () => {
      open = false;
    },
  };
}

/** Does what the command says. Rejects where a reply was lost. */
async function carry(io: CoordinatorIo, command: ListsCommand): Promise<Answer> {
  const { lists, clock, logger } = io;
  switch (command.type) {
    case 'ACQUIRE': {
      const { run, nonce, fence, expireMs } = command;
      const answer = await lists.acquire({ run, nonce, ...(fence !== null && { fence }), expireMs });
      return answer.status === 'acquired' ? { type: 'ACQUIRED', fence: answer.fence, seq: answer.seq, held: answer.held } : refused(answer);
    }
    case 'READ':
      return { type: 'READ', arrivals: (await lists.held(command)).map((text) => arrivalOf(text, logger)) };
    case 'AUDIT':
      return audit(lists, command);
    case 'TURN':
      return turn(io, command);
    case 'CANCEL': {
      const answer = await lists.cancel(command);
      return answer.status === 'ok' ? { type: 'CANCELLED' } : refused(answer);
    }
    case 'SURVEY': {
      const workers = await lists.workers();
      // Live workers do that themselves, and know how many deliveries they were told to allow.
      if (!workers.some(({ alive }) => alive)) await lists.reap({ deliveries: command.deliveries, at: clock.now() });
      return { type: 'SURVEYED', workers };
    }
    case 'RELEASE': {
      const answer = await lists.release(command);
      return answer.status === 'ok' ? { type: 'RELEASED' } : refused(answer);
    }
  }
}

async function audit(lists: TaskLists, { run, fence, queues, seal, expireMs }: CommandOf<'AUDIT'>): Promise<Answer> {
  const [sealed, answer] = await Promise.all([seal === null ? undefined : lists.push({ run, fence, ...seal, units: [], expireMs }), lists.audit({ run, fence, queues })]);
  if (sealed !== undefined && sealed.status !== 'ok') return refused(sealed);
  return answer.status === 'ok' ? { type: 'AUDITED', present: answer.present } : refused(answer);
}

/** The calls leave together, in this order. */
async function turn({ lists, graph, logger }: CoordinatorIo, command: CommandOf<'TURN'>): Promise<Answer> {
  const { run, fence, push: part, trim, take, expireMs } = command;
  const push = part === null ? undefined : pushRequest(command, part, graph);
  const [pushed, trimmed, taken] = await Promise.all([
    push && lists.push(push.request),
    trim === null ? undefined : lists.trim({ run, fence, ...trim }),
    take === null ? undefined : lists.take({ run, fence, ...take, expireMs }),
  ]);
  for (const reply of [pushed, trimmed, taken]) if (reply?.status === 'fenced' || reply?.status === 'gone') return refused(reply);
  return {
    type: 'TURNED',
    ...(push && { pushed: { units: push.units, groups: push.groups } }),
    ...(trimmed && { trimmed: trimmed.status as 'ok' | 'mismatch' }),
    ...(taken?.status === 'ok' && { taken: { arrivals: taken.items.map((text) => arrivalOf(text, logger)), held: taken.held } }),
  };
}

function refused({ status }: Refused): Answer {
  return { type: 'REFUSED', status };
}

/** Invariant 2. */
function arrivalOf(text: string, logger: Logger | undefined): Arrival {
  try {
    const result = decodeResult(text);
    const { header, group, index, generation } = result;
    if (result.kind === 'dead') return { header, result: { group, index, generation, kind: 'dead', deliveries: result.attempt, reason: result.reason } };
    const { ends, worker, startedAt, durationMs } = result.body;
    return { header, result: { group, index, generation, kind: 'done', ends, worker, startedAt, durationMs } };
  } catch (thrown) {
    logger?.log('warn', 'a message in the results was dropped', { error: thrown instanceof Error ? thrown.message : String(thrown) });
    return { header: resultHeader(text) };
  }
}

/** What is no error of the transport is taken for one that may pass: no error ends a coordinator but those that say so. */
function loss({ clock, random, logger }: CoordinatorIo, from: 'lists' | 'results', number: number, thrown: unknown): CoordinatorEvent {
  const error = serializeError(thrown);
  const retryable = !(thrown instanceof TransportError) || thrown.retryable;
  logger?.log(retryable ? 'warn' : 'error', 'a call of the lists failed', { from, ...(error.code !== undefined && { code: error.code }), message: error.message });
  return { type: 'LOST', from, number, at: clock.now(), error, retryable, random: random.next() };
}
