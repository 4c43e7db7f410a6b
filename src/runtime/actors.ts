/** The two I/O actors of a run, as XState actors that any copy of the machine can be given. */
import { fromCallback, type AnyActorRef, type AnyStateMachine } from 'xstate';
import type { ArmCommand, ExecuteCommand, ExecutionContext, ExecutionEvent, RunLimits } from '../../machines/index.ts';
import { InvariantError } from '../core/errors.ts';
import type { Environment } from '../ports.ts';
import type { WorkflowCode } from './code.ts';
import { Site } from './execution.ts';
import type { EventSink } from './event-sink.ts';
import { Executor } from './executor.ts';
import { GroupExecutor } from './group-executor.ts';
import { markNotes } from './inspected.ts';
import { Observers } from './observer.ts';
import { Outbox } from './outbox.ts';
import type { RemoteWait } from './remote/dispatch.ts';
import type { Link, RemoteLink } from './remote/link.ts';
import { Timers } from './timers.ts';

/** What the owner of a run adds to its actors: none of it is needed, and none of it is state of the run. */
export interface Attachment {
  readonly runId: string | undefined;
  readonly observers: Observers;
  readonly environment: Environment;
  /** The run's handle comes by a promise: whoever awaits that can still add listeners before the first task begins. */
  readonly promised?: boolean | undefined;
  /** Where the run has a store. */
  recorder?: EventSink | undefined;
  /** Set while the executor lives: reports all it knows. */
  flush?: (() => void) | undefined;
  /** Whether nothing is being executed in this process; granted members that have not begun do not count. */
  idle?: (() => boolean) | undefined;
  /** What keeps the run's units from moving, where there are any. */
  waitsFor?: (() => readonly RemoteWait[]) | undefined;
  /** Gives the lists of remote groups up, once the end is durable (`ended`), or as they are; resolves when that is done. Nothing where there are none. */
  leave?: ((how: 'ended' | 'left') => Promise<void> | undefined) | undefined;
  /** Ends the actors. XState does not when a machine ends by an error that was thrown in it. */
  close?: (() => void) | undefined;
}

/** A property of the root actor and no WeakMap: with many runs, weak tables cost the collector more than the runs. */
const attached = Symbol('taskchart.attachment');

/** Ties a run's handle to the actor that it is about to start. */
export function attach(actor: object, attachment: Attachment): void {
  (actor as { [attached]?: Attachment })[attached] = attachment;
}

const internal: ReadonlySet<string> = new Set(['CONCLUDED', 'PARKED', 'UNPARKED']);

/**
 * The same machine; what its actors accept is recorded where their run has a store. It sits in the machine's own
 * `transition`, so an event cannot come in by another way, and is recorded before any command that it causes is sent.
 */
export function recorded<M extends AnyStateMachine>(machine: M): M {
  const { transition } = machine;
  machine.transition = (...args) => {
    const [before, event, scope] = args;
    const after = transition.apply(machine, args);
    const recorder = (scope.self as { [attached]?: Attachment })[attached]?.recorder;
    if (recorder !== undefined && after.context !== before.context && !internal.has(event.type)) recorder.accept(event as ExecutionEvent, (after.context as ExecutionContext).revision, (before.context as ExecutionContext).at);
    return after;
  };
  return machine;
}

/** The executor and the timers of one workflow's machine. `limits` reach a run that does not know its own yet. */
export function createActors(code: WorkflowCode, limits: RunLimits, standard: Environment) {
  const find: Find = (self) => {
    const known = (self._parent as { [attached]?: Attachment } | undefined)?.[attached];
    if (known !== undefined) return known;
    const observers = new Observers();
    if (self._parent !== undefined) markNotes(self._parent, observers);
    return { runId: undefined, observers, environment: standard };
  };
  return { executor: executorActor(code, limits, find), timers: timersActor(find) };
}

type Find = (self: { _parent?: AnyActorRef | undefined }) => Attachment;

function executorActor(code: WorkflowCode, limits: RunLimits, find: Find) {
  return fromCallback<ExecuteCommand>(({ self, sendBack, receive }) => {
    const attachment = find(self);
    const { environment } = attachment;
    const send = sendBack as (event: ExecutionEvent) => void;
    const runId = attachment.runId ?? restoredId(self._parent) ?? environment.newId();
    let problem: Error | undefined;
    const machine = executorFor(code.forRun(), runId, attachment, self, send, (error) => {
      problem = error;
      self.send(nothing);
    });
    let told = false;
    // Before READY nothing is executed: a restored run may turn out to belong to another graph. Its answer tells all again.
    receive((command) => {
      if (!told) return;
      try {
        if (problem !== undefined) throw problem;
        machine.receive(command);
      } catch (thrown) {
        machine.close();
        throw thrown;
      }
    });
    let closed = false;
    // Not at once: whoever starts a run can still add listeners before the first task begins.
    const soon = attachment.promised === true ? (go: () => void): unknown => environment.clock.soon(go) : queueMicrotask;
    soon(() => {
      const at = environment.clock.now();
      if (closed) return;
      told = true;
      send({ type: 'READY', from: 'executor', at, run: { id: runId, startedAt: at, graphHash: code.definition.graphHash, ...limits } });
    });
    return () => {
      closed = true;
      attachment.flush = undefined;
      machine.close();
      // A run without a handle: nobody else says how it has ended.
      if (attachment.runId === undefined) environment.clock.soon(() => void attachment.leave?.(hasVerdict(self._parent) ? 'ended' : 'left'));
    };
  });
}

/** The executor of one run, tied to what the run's owner has attached. `failed`: the run cannot go on in this process. */
function executorFor(code: WorkflowCode, runId: string, attachment: Attachment, self: AnyActorRef, send: (event: ExecutionEvent) => void, failed: (error: Error) => void): Executor {
  const { environment, observers } = attachment;
  const groups = new GroupExecutor(code, environment);
  groups.check();
  const site = new Site(code, environment, observers, runId);
  const machine: Executor = new Executor(site, groups, () => (link ?? unlinked(code)).groups, send, () => attachment.recorder?.congestion);
  const remote = environment.remote as ((link: Link) => RemoteLink) | undefined;
  const link = remote?.({ site, groups, outbox: machine.outbox, recorder: attachment.recorder, run: self._parent, executor: self, failed });
  attachment.flush = () => machine.flush();
  attachment.idle = () => machine.idle;
  attachment.close = () => machine.close();
  attachment.leave = (how) => link?.leave(how);
  attachment.waitsFor = () => link?.opened?.waitsFor() ?? [];
  return machine;
}

/** For a run that had ended when it was restored: an earlier process of it may have died before it had cleared the lists. */
export function attachLeaving(actor: AnyActorRef, code: WorkflowCode, recorder: EventSink): void {
  const attachment = (actor as { [attached]?: Attachment })[attached];
  const remote = attachment?.environment.remote as ((link: Link) => RemoteLink) | undefined;
  if (attachment === undefined || remote === undefined) return;
  const { environment, observers, runId = '' } = attachment;
  const outbox = new Outbox(environment.clock, () => undefined, () => undefined);
  const link = remote({ site: new Site(code, environment, observers, runId), groups: new GroupExecutor(code, environment), outbox, recorder, run: actor, executor: actor, failed: () => undefined });
  attachment.leave = (how) => link.leave(how);
}

function unlinked({ workflow }: WorkflowCode): never {
  throw new InvariantError('invariant/broken', `workflow "${workflow}" has a remote group, and this environment can connect but not link it`);
}

function timersActor(find: Find) {
  return fromCallback<ArmCommand>(({ self, sendBack, receive }) => {
    const attachment = find(self);
    const { environment, close } = attachment;
    const machine = new Timers(environment.clock, sendBack as (event: ExecutionEvent) => void);
    attachment.close = () => {
      close?.();
      machine.close();
    };
    receive((command) => machine.receive(command));
    (sendBack as (event: ExecutionEvent) => void)({ type: 'READY', from: 'timers', at: environment.clock.now() });
    return () => machine.close();
  });
}

/** Tells the executor nothing but that it should look. */
const nothing: ExecuteCommand = Object.freeze({ type: 'EXECUTE', revision: 0, start: [], ranges: [], hold: [], abort: [], abortGroups: [], paused: false, channel: {} });

function hasVerdict(parent: AnyActorRef | undefined): boolean {
  const snapshot = parent?.getSnapshot() as { readonly context?: ExecutionContext } | undefined;
  return (snapshot?.context?.verdict ?? null) !== null;
}

/** A restored run keeps its id. */
function restoredId(parent: AnyActorRef | undefined): string | undefined {
  const snapshot = parent?.getSnapshot() as { readonly context?: { readonly run?: { readonly id: string } | null } } | undefined;
  return snapshot?.context?.run?.id;
}
