/**
 * A run handle: one started ExecutionContext actor, with words for what people do to it.
 *
 * Owns: the result promise, the run's listeners, taking snapshots. Does not own: the run itself (the actor), starting it
 * (workflow.ts).
 *
 * Invariants
 * 1. `result` settles once: with the output, or with the run's error. Those who watch hear the same, once, before.
 * 2. A snapshot holds every outcome that is known at that moment.
 */
import type { Actor } from 'xstate';
import { CHECKPOINT_FORMAT, CHECKPOINT_VERSION, type Checkpoint } from '../core/checkpoint.ts';
import { TaskchartError, isTaskchartError } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import { MACHINE_VERSION, type ExecutionContext, type ExecutionContextMachine } from '../../machines/index.ts';
import type { Attachment } from './actors.ts';
import type { WorkflowCode } from './code.ts';
import { eventStream } from './event-stream.ts';
import type { RunEvent, RunListener } from './observer.ts';
import type { Mailbox, Message } from './mailbox.ts';
import { reasonText } from './reason.ts';
import type { Recorder } from './recorder.ts';
import { checkSignal } from './signals.ts';
import { whatItWaitsFor, type RunStatus } from './status.ts';

/** How long the result of a run waits for Redis. */
const LEAVE_MOST_MS = 2000;

export interface Run<O> {
  readonly id: string;
  /** The output; rejects with the run's error. */
  readonly result: Promise<O>;
  /** The XState actor, for everything that XState can do with one. */
  readonly actor: Actor<ExecutionContextMachine>;
  /** The whole run as plain JSON. */
  snapshot(): Checkpoint;
  /** Saves a full snapshot to the run's store; resolves when it is durable. */
  checkpoint(): Promise<void>;
  /** Where it stands, and what it waits for. */
  status(): RunStatus;
  /** Answers a wait. Early signals are kept until someone waits; a value that does not fit the wait's schema is refused. */
  signal(name: string, value?: unknown): void;
  /** What is in flight may end; nothing new starts. */
  pause(): void;
  resume(): void;
  /** Ends the run: tasks in flight are aborted, and `result` rejects with WorkflowCancelledError. */
  cancel(reason?: string): void;
  /** Calls `listener` for everything that happens from now on; returns the way to stop. */
  on(listener: RunListener): () => void;
  /** The same as an async iterable; it ends with the run. */
  events(): AsyncIterableIterator<RunEvent>;
}

export class ActorRun<O> implements Run<O> {
  readonly id: string;
  readonly result: Promise<O>;
  readonly actor: Actor<ExecutionContextMachine>;
  readonly #code: WorkflowCode;
  readonly #attachment: Attachment;
  #seq: number;
  #recorder: Recorder | undefined;
  #mailbox: Mailbox | undefined;
  /** Whether its store has the run's end, by whoever wrote it. */
  #isOverThere: (() => Promise<boolean>) | undefined;
  /** Settles when the run has its store, or has failed to get it. */
  #opening: Promise<void> | undefined;
  #over = false;
  /** Why it could not go on here. */
  #problem: unknown;
  #resolve: (output: O) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(id: string, actor: Actor<ExecutionContextMachine>, code: WorkflowCode, attachment: Attachment, seq: number) {
    this.#seq = seq;
    this.id = id;
    this.actor = actor;
    this.#code = code;
    this.#attachment = attachment;
    this.result = new Promise<O>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever only listens or polls has not asked for the result: that must not end the process.
    this.result.catch(() => undefined);
    actor.subscribe({ error: (error) => void this.#concluded(error), complete: () => void this.#concluded(undefined) });
    this.#watchStates();
  }

  /** Starts the actor; with a recorder, what it accepts is recorded from its first event on. */
  begin(recorder?: Recorder, mailbox?: Mailbox, isOverThere?: () => Promise<boolean>): void {
    this.#recorder = recorder;
    this.#mailbox = mailbox;
    this.#isOverThere = isOverThere;
    this.#attachment.recorder = recorder;
    this.actor.start();
    void mailbox?.look();
  }

  /** The run begins when its store is open. */
  opens(opening: Promise<void>): void {
    this.#opening = opening;
  }

  /** The run cannot go on in this process; with a store it is as it was last stored. */
  fail(error: unknown): void {
    this.#mailbox?.close();
    this.#end(error);
    this.#problem = error;
    this.actor.stop();
    void this.#recorder?.abandon();
  }

  /** Counts what the machine has accepted. */
  get revision(): number {
    return this.actor.getSnapshot().context.revision;
  }

  /** The run as a checkpoint, without the copies that someone else's hands would need. */
  capture(): Checkpoint {
    const { graph, graphHash } = this.#code.definition;
    const snapshot = this.actor.getPersistedSnapshot();
    return {
      format: CHECKPOINT_FORMAT,
      version: CHECKPOINT_VERSION,
      workflow: graph.workflow,
      graphHash,
      machineVersion: MACHINE_VERSION,
      runId: this.id,
      seq: this.#nextSeq(),
      savedAt: this.#attachment.environment.clock.now(),
      ...(this.#code.nodeHashes === undefined ? {} : { nodes: this.#code.nodeHashes }),
      snapshot: snapshot as unknown as Json,
    };
  }

  /** The run's revision, unless that was already given: then the next number. */
  #nextSeq(): number {
    this.#seq = Math.max(this.#seq + 1, this.actor.getSnapshot().context?.revision ?? 0);
    return this.#seq;
  }

  snapshot(): Checkpoint {
    this.#attachment.flush?.();
    // Each value in it was checked on its way in; the limits of one value do not hold for the whole run.
    return JSON.parse(JSON.stringify(this.capture())) as Checkpoint;
  }

  async checkpoint(): Promise<void> {
    if (this.#recorder === undefined && this.#opening !== undefined) {
      await this.#opening;
      // Where it has failed, the run's error says why.
      if (this.#recorder === undefined) await this.result;
    }
    if (this.#recorder === undefined) {
      throw new TaskchartError('run/no-store', `run "${this.id}" of workflow "${this.#code.workflow}" has no store to write a checkpoint to`, {
        hint: 'give it one: workflow.start(input, { store }), or take run.snapshot() and keep it yourself',
      });
    }
    this.#attachment.flush?.();
    await this.#recorder.save();
  }

  status(): RunStatus {
    const snapshot = this.actor.getSnapshot();
    const status = whatItWaitsFor(String(snapshot.value), snapshot.context);
    const remote = this.#attachment.waitsFor?.() ?? [];
    return remote.length === 0 ? status : { ...status, waitsFor: [...status.waitsFor, ...remote] };
  }

  /** A message from another process. What does not fit is refused there; here it is only told to those who watch. */
  receive(message: Message | undefined, post: number): void {
    const at = this.#attachment.environment.clock.now();
    try {
      if (message === undefined) throw new TaskchartError('protocol/bad-message', `message ${post} to run "${this.id}" is no signal and no cancel`);
      if (message.kind === 'cancel') return this.#send({ type: 'CANCEL', post, ...reasonOf(message.reason) });
      this.#attachment.flush?.();
      const value = checkSignal(this.#code, this.actor.getSnapshot().context, message.name, message.value);
      this.#send({ type: 'SIGNAL', at, name: message.name, post, ...(value === undefined ? {} : { value }) });
    } catch (thrown) {
      this.#send({ type: 'REFUSED', post });
      this.#attachment.observers.tell({ type: 'run.message-refused', at, error: thrown instanceof Error ? thrown : new Error(String(thrown)) });
    }
  }

  signal(name: string, value?: unknown): void {
    this.#open('signal');
    // What tasks have asked by now counts, also where the machine has not heard of it yet.
    this.#attachment.flush?.();
    const json = checkSignal(this.#code, this.actor.getSnapshot().context, name, value);
    this.#send({ type: 'SIGNAL', at: this.#attachment.environment.clock.now(), name, ...(json === undefined ? {} : { value: json }) });
  }

  pause(): void {
    this.#open('pause');
    this.#send({ type: 'PAUSE' });
  }

  resume(): void {
    this.#open('resume');
    this.#send({ type: 'RESUME', at: this.#attachment.environment.clock.now() });
  }

  cancel(reason?: string): void {
    if (this.actor.getSnapshot().status !== 'active') return;
    this.#send({ type: 'CANCEL', ...reasonOf(reason) });
  }

  on(listener: RunListener): () => void {
    return this.#attachment.observers.add(listener);
  }

  events(): AsyncIterableIterator<RunEvent> {
    return eventStream((listener) => this.on(listener), () => this.#over);
  }

  #send(event: Parameters<Actor<ExecutionContextMachine>['send']>[0]): void {
    this.#attachment.flush?.();
    this.actor.send(event);
  }

  #open(what: string): void {
    if (!this.#over && this.actor.getSnapshot().status === 'active') return;
    throw new TaskchartError('run/ended', `run "${this.id}" of workflow "${this.#code.workflow}" has ended, so ${what}() can do nothing`, {
      hint: 'look at run.status() first',
    });
  }

  #tell(type: 'run.started' | 'run.paused' | 'run.resumed' | 'run.waiting' | 'run.completed'): void {
    this.#attachment.observers.tell({ type, at: this.#attachment.environment.clock.now() });
  }

  /** The actor has ended. The result is told when the final state is durable. */
  async #concluded(error: unknown): Promise<void> {
    this.#mailbox?.close();
    this.#attachment.close?.();
    const snapshot = this.actor.getSnapshot();
    const early = error === undefined && snapshot.status !== 'done';
    try {
      if (early) await this.#recorder?.abandon();
      else await this.#recorder?.finish();
    } catch (thrown) {
      await this.#leaving(await this.#leftAs(thrown));
      this.#end(thrown);
      return;
    }
    const leaving = this.#leaving((snapshot.context?.verdict ?? null) === null ? await this.#leftAs(this.#problem) : 'ended');
    if (leaving !== undefined) await leaving;
    const problem = early ? stopped(this.id, this.#code.workflow) : error;
    if (problem !== undefined) this.#end(problem);
    else if (!this.#over) {
      this.#over = true;
      this.#tell('run.completed');
      this.#resolve(snapshot.output as O);
    }
  }

  /** Whoever was overtaken by an owner that has ended the run meanwhile may have put something into the lists after that: it goes with the run. */
  async #leftAs(problem: unknown): Promise<'ended' | 'left'> {
    if (!isTaskchartError(problem) || problem.code !== 'checkpoint/conflict') return 'left';
    return (await this.#isOverThere?.().catch(() => false)) === true ? 'ended' : 'left';
  }

  /** What is left in Redis is removed before the result is told, unless Redis takes too long: then it is done behind it. */
  #leaving(how: 'ended' | 'left'): Promise<void> | undefined {
    const { leave, environment } = this.#attachment;
    const left = leave?.(how)?.catch(() => undefined);
    return left && new Promise((resolve) => {
      const cancel = environment.clock.after(LEAVE_MOST_MS, resolve);
      void left.then(() => {
        cancel();
        resolve();
      });
    });
  }

  /** The run's last word, once; what comes after it changes nothing. */
  #end(problem: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#tellEnd(problem);
    this.#reject(problem);
  }

  #tellEnd(thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const cancelled = isTaskchartError(thrown) && thrown.code === 'run/cancelled';
    this.#attachment.observers.tell({ type: cancelled ? 'run.cancelled' : 'run.failed', at: this.#attachment.environment.clock.now(), error });
  }

  #watchStates(): void {
    let before = String(this.actor.getSnapshot().value);
    let started = false;
    this.actor.subscribe({
      next: (snapshot) => {
        if (!started && (snapshot.context as ExecutionContext).run !== null) {
          started = true;
          this.#tell('run.started');
        }
        const now = String(snapshot.value);
        if (now === before) return;
        if (now === 'waiting') this.#tell('run.waiting');
        else if (now === 'paused') this.#tell('run.paused');
        else if (now === 'running') this.#tell('run.resumed');
        before = now;
      },
      error: () => undefined,
    });
  }
}

function reasonOf(reason: unknown): { readonly reason?: string } {
  const text = reasonText(reason);
  return text === undefined ? {} : { reason: text };
}

/** Someone stopped the actor itself: XState calls that complete, but there is no output. */
function stopped(id: string, workflow: string): TaskchartError {
  return new TaskchartError('run/stopped', `run "${id}" of workflow "${workflow}" was stopped before it had ended`, {
    hint: 'its snapshot is still good: workflow.resume(run.snapshot()), or workflow.resume(store, runId), goes on; run.cancel() ends a run for good',
    details: { runId: id },
  });
}
