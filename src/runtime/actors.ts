/** The two I/O actors of a run, as XState actors that any copy of the machine can be given. */
import { fromCallback, type AnyActorRef, type AnyStateMachine } from 'xstate';
import type { ArmCommand, ExecuteCommand, ExecutionContext, ExecutionEvent, RunLimits } from '../../machines/index.ts';
import type { Environment } from '../ports.ts';
import type { WorkflowCode } from './code.ts';
import { Site } from './execution.ts';
import { Executor } from './executor.ts';
import { GroupExecutor } from './group-executor.ts';
import { Observers } from './observer.ts';
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
  /** Ends the actors. XState does not when a machine ends by an error that was thrown in it. */
  close?: (() => void) | undefined;
}

/** What records the events that a run has accepted. */
export interface EventSink {
  /** `before`: the time of the context that the event came to. */
  accept(event: ExecutionEvent, revision: number, before: number): void;
  readonly congestion: Promise<void> | undefined;
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
  const find = (self: { _parent?: AnyActorRef | undefined }): Attachment =>
    (self._parent as { [attached]?: Attachment } | undefined)?.[attached] ?? { runId: undefined, observers: new Observers(), environment: standard };

  const executor = fromCallback<ExecuteCommand>(({ self, sendBack, receive }) => {
    const attachment = find(self);
    const { environment, observers } = attachment;
    const send = sendBack as (event: ExecutionEvent) => void;
    const runId = attachment.runId ?? restoredId(self._parent) ?? environment.newId();
    const own = code.forRun();
    const groups = new GroupExecutor(own, environment);
    groups.check();
    const machine = new Executor(new Site(own, environment, observers, runId), groups, send, () => attachment.recorder?.congestion);
    attachment.flush = () => machine.flush();
    attachment.close = () => machine.close();
    let told = false;
    // Before READY nothing is executed: a restored run may turn out to belong to another graph. Its answer tells all again.
    receive((command) => {
      if (!told) return;
      try {
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
    };
  });

  const timers = fromCallback<ArmCommand>(({ self, sendBack, receive }) => {
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

  return { executor, timers };
}

/** A restored run keeps its id. */
function restoredId(parent: AnyActorRef | undefined): string | undefined {
  const snapshot = parent?.getSnapshot() as { readonly context?: { readonly run?: { readonly id: string } | null } } | undefined;
  return snapshot?.context?.run?.id;
}
