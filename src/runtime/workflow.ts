/**
 * `workflow()`: a definition that can be run.
 *
 * Owns: starting and resuming runs, the machine of a definition. Does not own: what a definition is (define/), what a
 * run handle can do (run.ts).
 */
import { createActor, type Snapshot } from 'xstate';
import { parseCheckpoint, serializeCheckpoint, type Checkpoint } from '../core/checkpoint.ts';
import { CheckpointError } from '../core/errors.ts';
import { checkId } from '../core/ids.ts';
import { integerOption, optionsObject } from '../core/options.ts';
import { WorkflowStep, type WorkflowOptions } from '../define/workflow.ts';
import type { InputArguments, Step } from '../define/step.ts';
import { createExecutionContextMachine, type ExecutionContext, type ExecutionContextMachine, type Plan, type RunLimits } from '../../machines/index.ts';
import type { CheckpointStore, Clock, Environment, Random, RunOwner, RunWriter, StoredRun } from '../ports.ts';
import { attach, attachLeaving, createActors, recorded, type Attachment } from './actors.ts';
import { WorkflowCode } from './code.ts';
import { GroupExecutor } from './group-executor.ts';
import { harmless, type Inspect } from './inspection.ts';
import { markMachine, markNotes, markRun } from './inspected.ts';
import { Mailbox } from './mailbox.ts';
import { fitting, refuseJournalOf, underGraph, type FitOptions } from './migrate.ts';
import { Observers } from './observer.ts';
import { Recorder, type RecordMode, type RecordStart } from './recorder.ts';
import { reasonText } from './reason.ts';
import { movesIn, persistedFrom, replay } from './replay.ts';
import { contextIn, planFor } from './stored-context.ts';
import { ActorRun, type Run } from './run.ts';

/** What can be said about a run before it starts, and belongs to the machine. */
export interface RunOptions {
  /** Tokens in flight outside groups; default 1, which makes the order of tasks deterministic. */
  readonly concurrency?: number | undefined;
  /** Task executions before StepLimitError; default: no limit. */
  readonly maxSteps?: number | undefined;
}

export interface StartOptions extends RunOptions {
  /** Default: a new unique id. */
  readonly runId?: string | undefined;
  /** XState's own option: sees every event and snapshot of the run's actors. One that throws is not called again. */
  readonly inspect?: Inspect | undefined;
  /** Makes the run durable: what it accepts is stored before `result` is told. */
  readonly store?: CheckpointStore | undefined;
  /** `journal` (default): every accepted event, in batches. `manual`: only where `run.checkpoint()` or `ctx.checkpoint()` asks, and the end. */
  readonly record?: RecordMode | undefined;
  /** For tests: another time. */
  readonly clock?: Clock | undefined;
  /** For tests: other randomness (it only moves the jitter of retries). */
  readonly random?: Random | undefined;
  /** Cancels the run when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** Everything that starts a run of one workflow, with its options bound. */
export interface Runnable<I, O> {
  /** An ordinary XState machine: `createActor(workflow.machine, { input })`. Its input is the workflow's own. */
  readonly machine: ExecutionContextMachine<I, O>;
  /** Runs to the end and resolves with the output; rejects with the run's error. */
  run(...input: InputArguments<I>): Promise<O>;
  /** Starts a run and returns its handle. Input that JSON cannot carry is refused here, with its path. */
  start(...given: StartArguments<I>): Run<O>;
  /** Goes on from a checkpoint (or its JSON text). Throws CheckpointError or GraphMismatchError before anything runs. */
  resume(checkpoint: Checkpoint | string, options?: ResumeOptions): Run<O>;
  /** Goes on with a stored run and becomes its owner: an earlier owner's next write is refused, and it stops. */
  resume(store: CheckpointStore, runId: string, options?: ResumeOptions): Promise<Run<O>>;
  /** The same workflow with other options. */
  with(options: RunOptions): Runnable<I, O>;
}

export type StartArguments<I> = undefined extends I ? [input?: I, options?: StartOptions] : [input: I, options?: StartOptions];

export interface ResumeOptions extends Omit<StartOptions, 'runId' | 'store' | keyof RunOptions>, FitOptions {}

export class WorkflowRunner<I, O> implements Runnable<I, O> {
  readonly #code: WorkflowCode;
  readonly #environment: Environment;
  readonly #limits: RunLimits;
  readonly #shared: { plan?: Plan };
  #machine: ExecutionContextMachine<I, O> | undefined;

  constructor(code: WorkflowCode, environment: Environment, limits: RunLimits = { concurrency: 1 }, shared: { plan?: Plan } = {}) {
    this.#code = code;
    this.#environment = environment;
    this.#limits = limits;
    this.#shared = shared;
  }

  get machine(): ExecutionContextMachine<I, O> {
    return (this.#machine ??= recorded(markMachine(createExecutionContextMachine<I, O>(this.#plan(), this.#limits).provide({ actors: createActors(this.#code, this.#limits, this.#environment) }), this.#code)));
  }

  async run(...input: InputArguments<I>): Promise<O> {
    return this.start(...(input as unknown as StartArguments<I>)).result;
  }

  start(...given: StartArguments<I>): Run<O> {
    const [input, options = {}] = given as readonly [input?: I, options?: StartOptions];
    const checked = checkStart(this.#code.workflow, options);
    if (checked.concurrency !== undefined || checked.maxSteps !== undefined) {
      const { concurrency: _, maxSteps: __, ...others } = options;
      const bound = this.with({ concurrency: checked.concurrency, maxSteps: checked.maxSteps });
      return bound.start(...([input, others] as unknown as StartArguments<I>));
    }
    const run = this.#prepare(options.runId ?? this.#environment.newId(), options, { input });
    if (options.store === undefined) run.begin();
    else run.opens(this.#startStored(run, options.store, options));
    return this.#bound(run, options);
  }

  resume(given: Checkpoint | string, options?: ResumeOptions): Run<O>;
  resume(store: CheckpointStore, runId: string, options?: ResumeOptions): Promise<Run<O>>;
  resume(given: Checkpoint | string | CheckpointStore, second?: string | ResumeOptions, third?: ResumeOptions): Run<O> | Promise<Run<O>> {
    if (typeof second === 'string') return this.#resumeStored(given as CheckpointStore, second, third ?? {});
    const options = second ?? {};
    const checkpoint = fitting(parseCheckpoint(given), this.#code.definition, options);
    const run = this.#prepare(checkpoint.runId, options, { snapshot: checkpoint.snapshot as unknown as Snapshot<unknown> }, checkpoint.seq);
    run.begin();
    return this.#bound(run, options);
  }

  async #resumeStored(store: CheckpointStore, runId: string, options: ResumeOptions): Promise<Run<O>> {
    checkId('run', runId);
    // Opening a run takes it from its owner: what this code cannot go on with is left to it.
    const seen = await store.load(runId);
    if (seen === undefined) throw unknownRun(runId, this.#code.workflow);
    if (options.migrate === undefined) fitting(parseCheckpoint(seen.checkpoint), this.#code.definition, options);
    const writer = await store.open(runId, this.#owner(options));
    try {
      const { stored } = writer;
      if (stored === undefined) throw unknownRun(runId, this.#code.workflow);
      const { checkpoint, context, changed } = this.#restored(stored, runId, options);
      const run = this.#prepare(runId, options, { snapshot: persistedFrom(checkpoint.snapshot, context) as unknown as Snapshot<unknown> }, checkpoint.seq, true);
      let [snapshotBytes, journalBytes] = [stored.checkpoint.length, stored.journal.reduce((sum, entry) => sum + entry.length, 0)];
      if (changed) {
        // No entry of this graph may follow those of another.
        const text = serializeCheckpoint(run.capture());
        await writer.save(text, context.revision);
        [snapshotBytes, journalBytes] = [text.length, 0];
      }
      this.#record(run, writer, store, options, { revision: context.revision, snapshotBytes, journalBytes, posted: context.posted });
      return this.#bound(run, options);
    } catch (thrown) {
      await writer.close().catch(() => undefined);
      throw thrown;
    }
  }

  /** The state that a store holds, as this code can go on with it; `changed`: another graph has written it. */
  #restored(stored: StoredRun, runId: string, options: ResumeOptions): { checkpoint: Checkpoint; context: ExecutionContext; changed: boolean } {
    const { graphHash } = this.#code.definition;
    const written = parseCheckpoint(stored.checkpoint);
    const checkpoint = fitting(written, this.#code.definition, options);
    const changed = written.graphHash !== graphHash;
    if (!changed || options.migrate === undefined) return { checkpoint, context: underGraph(replay(this.#plan(), contextIn(written), stored.journal, runId), graphHash), changed };
    const { moves, revision } = movesIn(stored.journal, stored.revision, runId);
    if (moves > 0) throw refuseJournalOf(written, moves);
    return { checkpoint, context: { ...contextIn(checkpoint), revision }, changed };
  }

  with(options: RunOptions): WorkflowRunner<I, O> {
    const { concurrency, maxSteps } = checkStart(this.#code.workflow, options);
    const limits = { ...this.#limits, ...(concurrency === undefined ? {} : { concurrency }), ...(maxSteps === undefined ? {} : { maxSteps }) };
    return new WorkflowRunner<I, O>(this.#code, this.#environment, limits, this.#shared);
  }

  /** The actor and its handle, not started yet. */
  #prepare(id: string, options: StartOptions, given: { input?: I; snapshot?: Snapshot<unknown> }, seq = 0, promised = false): ActorRun<O> {
    const { clock = this.#environment.clock, random = this.#environment.random, inspect = this.#environment.inspect?.() as Inspect | undefined } = options;
    new GroupExecutor(this.#code, this.#environment).check();
    const attachment: Attachment = { runId: id, observers: new Observers(), environment: { ...this.#environment, clock, random }, promised };
    const actor = createActor(this.machine as unknown as ExecutionContextMachine, { id, ...given, ...(inspect && { inspect: harmless(inspect) }) });
    refuseBadInput(actor.getSnapshot());
    attach(actor, attachment);
    markNotes(actor, attachment.observers);
    const run = new ActorRun<O>(id, actor, this.#code, attachment, seq);
    markRun(actor, run);
    return run;
  }

  /** Opens the store and starts when the run's first state is durable; until then the handle is there and waits. */
  async #startStored(run: ActorRun<O>, store: CheckpointStore, options: StartOptions): Promise<void> {
    try {
      // Opening a run takes it from its owner: one that is there must be noticed before.
      if ((await store.load(run.id)) !== undefined) throw runExists(run.id);
      const writer = await store.open(run.id, this.#owner(options));
      if (writer.stored !== undefined) {
        await writer.close();
        throw runExists(run.id);
      }
      const text = serializeCheckpoint(run.capture());
      await writer.save(text, 0);
      this.#record(run, writer, store, options, { revision: 0, snapshotBytes: text.length, journalBytes: 0, posted: 0 });
    } catch (thrown) {
      run.fail(thrown);
    }
  }

  #record(run: ActorRun<O>, writer: RunWriter, store: CheckpointStore, options: StartOptions, start: RecordStart): void {
    const recorder = new Recorder(writer, options.record ?? 'journal', start, () => ({ checkpoint: run.capture(), revision: run.revision }), (error) => run.fail(error));
    const clock = options.clock ?? this.#environment.clock;
    if (run.actor.getSnapshot().status !== 'active') attachLeaving(run.actor, this.#code, recorder);
    run.begin(recorder, new Mailbox(store, run.id, clock, start.posted, () => recorder.durablePost, (message, number) => run.receive(message, number)), async () => {
      const stored = await store.load(run.id);
      return stored !== undefined && contextIn(parseCheckpoint(stored.checkpoint)).verdict !== null;
    });
  }

  #owner(options: StartOptions): RunOwner {
    const clock = options.clock ?? this.#environment.clock;
    return { ...this.#environment.owner, since: clock.now() };
  }

  #bound(run: ActorRun<O>, options: StartOptions): Run<O> {
    if (options.signal !== undefined) cancelWith(options.signal, run);
    return run;
  }

  #plan(): Plan {
    return (this.#shared.plan ??= planFor(this.#code));
  }
}

/** A workflow: a step like any other, and the way to run it. */
export class Workflow<Id extends string, I, O> extends WorkflowStep<Id, I, O> implements Runnable<I, O> {
  readonly #runner: WorkflowRunner<I, O>;

  constructor(environment: Environment, id: Id, root: Step<I, O>, options?: WorkflowOptions) {
    super(id, root, options);
    this.#runner = new WorkflowRunner<I, O>(new WorkflowCode(this.definition), environment);
    Object.freeze(this);
  }

  get machine(): ExecutionContextMachine<I, O> {
    return this.#runner.machine;
  }

  run(...input: InputArguments<I>): Promise<O> {
    return this.#runner.run(...input);
  }

  start(...given: StartArguments<I>): Run<O> {
    return this.#runner.start(...given);
  }

  resume(checkpoint: Checkpoint | string, options?: ResumeOptions): Run<O>;
  resume(store: CheckpointStore, runId: string, options?: ResumeOptions): Promise<Run<O>>;
  resume(given: Checkpoint | string | CheckpointStore, second?: string | ResumeOptions, third?: ResumeOptions): Run<O> | Promise<Run<O>> {
    if (typeof second === 'string') return this.#runner.resume(given as CheckpointStore, second, third);
    return this.#runner.resume(given as Checkpoint | string, second);
  }

  with(options: RunOptions): Runnable<I, O> {
    return this.#runner.with(options);
  }
}

function checkStart(workflow: string, options: StartOptions): RunOptions {
  const where = `options of workflow "${workflow}"`;
  const { concurrency, maxSteps, runId } = optionsObject(where, options, ['runId', 'inspect', 'clock', 'random', 'signal', 'store', 'record', 'concurrency', 'maxSteps']);
  if (runId !== undefined) checkId('run', runId);
  return {
    concurrency: concurrency === undefined ? undefined : integerOption(`${where}.concurrency`, concurrency, 1),
    maxSteps: maxSteps === undefined ? undefined : integerOption(`${where}.maxSteps`, maxSteps, 1),
  };
}

function runExists(runId: string): CheckpointError {
  return new CheckpointError('checkpoint/exists', `the store already has a run "${runId}"`, { hint: 'go on with it by workflow.resume(store, runId), or give another runId' });
}

function unknownRun(runId: string, workflow: string): CheckpointError {
  return new CheckpointError('checkpoint/unknown-run', `the store has no run "${runId}" of workflow "${workflow}"`, { hint: 'store.list() (or taskchart ps) shows the runs that it has' });
}

/** The machine checks its own input when it is made; here that becomes an error of `start` itself. */
function refuseBadInput(snapshot: { readonly status: string; readonly error?: unknown; readonly context?: { readonly workflow?: string } }): void {
  if (snapshot.status === 'error' && snapshot.context?.workflow === undefined) throw snapshot.error;
}

function cancelWith(signal: AbortSignal, run: Run<unknown>): void {
  const cancel = (): void => run.cancel(reasonText(signal.reason) ?? 'aborted');
  if (signal.aborted) return cancel();
  signal.addEventListener('abort', cancel, { once: true });
  // A signal that outlives many runs must not hold them.
  const release = (): void => signal.removeEventListener('abort', cancel);
  run.result.then(release, release);
}
