/**
 * `workflow()`: a definition that can be run.
 *
 * Owns: starting and resuming runs, the machine of a definition. Does not own: what a definition is (define/), what a
 * run handle can do (run.ts).
 */
import { createActor, type Snapshot } from 'xstate';
import { diffGraphs, graphMismatch, parseCheckpoint, type Checkpoint } from '../core/checkpoint.ts';
import { CheckpointError } from '../core/errors.ts';
import { checkId } from '../core/ids.ts';
import { integerOption, optionsObject } from '../core/options.ts';
import { nodeHash } from '../define/graph-hash.ts';
import { WorkflowStep, type WorkflowOptions } from '../define/workflow.ts';
import type { InputArguments, Step } from '../define/step.ts';
import { MACHINE_VERSION, createExecutionContextMachine, planOf, type ExecutionContextMachine, type Plan } from '../../machines/index.ts';
import type { Clock, Environment, Random } from '../ports.ts';
import { attach, createActors, type Attachment, type RunLimits } from './actors.ts';
import { WorkflowCode } from './code.ts';
import { GroupExecutor } from './group-executor.ts';
import { harmless, type Inspect } from './inspection.ts';
import { Observers } from './observer.ts';
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
  resume(checkpoint: Checkpoint | string, options?: Omit<StartOptions, 'runId' | keyof RunOptions>): Run<O>;
  /** The same workflow with other options. */
  with(options: RunOptions): Runnable<I, O>;
}

export type StartArguments<I> = undefined extends I ? [input?: I, options?: StartOptions] : [input: I, options?: StartOptions];

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
    const { definition } = this.#code;
    this.#shared.plan ??= planOf(definition.graph, definition.graphHash, { get: (node) => this.#code.policy(node) });
    return (this.#machine ??= createExecutionContextMachine<I, O>(this.#shared.plan).provide({ actors: createActors(this.#code, this.#limits, this.#environment) }));
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
    return this.#launch(options.runId ?? this.#environment.newId(), options, { input }, 0);
  }

  resume(given: Checkpoint | string, options: Omit<StartOptions, 'runId' | keyof RunOptions> = {}): Run<O> {
    const checkpoint = parseCheckpoint(given);
    this.#checkFit(checkpoint);
    return this.#launch(checkpoint.runId, options, { snapshot: checkpoint.snapshot as unknown as Snapshot<unknown> }, checkpoint.seq);
  }

  with(options: RunOptions): WorkflowRunner<I, O> {
    const { concurrency, maxSteps } = checkStart(this.#code.workflow, options);
    const limits = { ...this.#limits, ...(concurrency === undefined ? {} : { concurrency }), ...(maxSteps === undefined ? {} : { maxSteps }) };
    return new WorkflowRunner<I, O>(this.#code, this.#environment, limits, this.#shared);
  }

  #launch(id: string, options: StartOptions, given: { input?: I; snapshot?: Snapshot<unknown> }, seq: number): Run<O> {
    const { clock = this.#environment.clock, random = this.#environment.random, inspect, signal } = options;
    new GroupExecutor(this.#code, this.#environment).check();
    const attachment: Attachment = { runId: id, observers: new Observers(), environment: { ...this.#environment, clock, random } };
    const actor = createActor(this.machine as unknown as ExecutionContextMachine, { id, ...given, ...(inspect && { inspect: harmless(inspect) }) });
    refuseBadInput(actor.getSnapshot());
    attach(actor, attachment);
    const run = new ActorRun<O>(id, actor, this.#code, attachment, seq);
    actor.start();
    if (signal !== undefined) cancelWith(signal, run);
    return run;
  }

  #checkFit(checkpoint: Checkpoint): void {
    const { workflow, definition } = this.#code;
    if (checkpoint.workflow !== workflow) {
      throw new CheckpointError('checkpoint/wrong-workflow', `the checkpoint belongs to workflow "${checkpoint.workflow}", not to "${workflow}"`, { hint: 'resume it with that workflow' });
    }
    if (checkpoint.machineVersion !== MACHINE_VERSION) {
      throw new CheckpointError('checkpoint/version', `the checkpoint was written by version ${checkpoint.machineVersion} of the machine; this code has version ${MACHINE_VERSION}`, {
        hint: 'use the version of taskchart that wrote it',
      });
    }
    if (checkpoint.graphHash === definition.graphHash) return;
    const nodes = Object.fromEntries(Object.entries(definition.graph.nodes).map(([id, node]) => [id, nodeHash(node)]));
    throw graphMismatch(workflow, diffGraphs(checkpoint, nodes));
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

  resume(checkpoint: Checkpoint | string, options?: Omit<StartOptions, 'runId' | keyof RunOptions>): Run<O> {
    return this.#runner.resume(checkpoint, options);
  }

  with(options: RunOptions): Runnable<I, O> {
    return this.#runner.with(options);
  }
}

function checkStart(workflow: string, options: StartOptions): RunLimits | { concurrency: undefined; maxSteps?: number | undefined } {
  const where = `options of workflow "${workflow}"`;
  const { concurrency, maxSteps, runId } = optionsObject(where, options, ['runId', 'inspect', 'clock', 'random', 'signal', 'concurrency', 'maxSteps']);
  if (runId !== undefined) checkId('run', runId);
  return {
    concurrency: concurrency === undefined ? undefined : integerOption(`${where}.concurrency`, concurrency, 1),
    maxSteps: maxSteps === undefined ? undefined : integerOption(`${where}.maxSteps`, maxSteps, 1),
  } as RunLimits;
}

/** The machine checks its own input when it is made; here that becomes an error of `start` itself. */
function refuseBadInput(snapshot: { readonly status: string; readonly error?: unknown; readonly context?: { readonly workflow?: string } }): void {
  if (snapshot.status === 'error' && snapshot.context?.workflow === undefined) throw snapshot.error;
}

function cancelWith(signal: AbortSignal, run: Run<unknown>): void {
  const cancel = (): void => run.cancel(signal.reason instanceof Error ? signal.reason.message : String(signal.reason ?? 'aborted'));
  if (signal.aborted) cancel();
  else signal.addEventListener('abort', cancel, { once: true });
}
