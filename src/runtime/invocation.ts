/**
 * One execution of one task: the `ctx` that the function sees, and the outcome that the machine hears of.
 *
 * Owns: collecting what a task does through `ctx`, checking its value, turning what it throws into an outcome.
 * Does not own: when it runs, time limits, where the outcome goes (executor.ts).
 *
 * Invariants
 * 1. Precedence: cancel, terminate, goto, iteration, value.
 * 2. The function owns its input: it is a copy. What it returns is copied before anyone else sees it.
 * 3. After it has settled, `ctx` refuses to steer.
 */
import { DefinitionError, TaskError, isTaskchartError, serializeError } from '../core/errors.ts';
import type { Fragment, NodeId } from '../core/graph.ts';
import { copyJson, toJson, type Json } from '../core/json.ts';
import { executionKey, type Outcome, type Target } from '../../machines/index.ts';
import type { Channel, TaskContext, TaskLog } from '../define/context.ts';
import type { Control } from '../define/step.ts';
import { isStep } from '../define/spec.ts';
import type { TaskNote } from '../ports.ts';
import { InvocationChannel } from './channel.ts';
import type { TaskImplementation } from '../define/definition.ts';
import { check, validated } from './contracts.ts';
import { checkId } from '../core/ids.ts';
import { reasonText } from './reason.ts';
import type { StandardSchemaV1 } from '@standard-schema/spec';

/** What all executions of a run share, as far as a task can see it. */
export interface Scene {
  readonly runId: string;
  readonly workflow: string;
  /** The newest channel that the machine has told of. */
  readonly channel: Readonly<Record<string, Json>>;
  /** Finds the node of a step that the task at `from` names. */
  resolve(step: object, from: NodeId): Resolved;
  /** Hears what an execution says whose spot has no `note` of its own. */
  readonly hears?: ((note: TaskNote, spot: Spot, index: number | undefined) => void) | undefined;
}

/** What executions in one place have in common; a fan-out shares one among all its members. */
export interface Spot {
  readonly scene: Scene;
  readonly note?: ((note: TaskNote) => void) | undefined;
  readonly node: NodeId;
  readonly attempt: number;
  readonly iteration: number;
  readonly answers?: Readonly<Record<string, readonly [] | readonly [Json]>> | undefined;
  /** Of the token, whose key is the execution's; for a member without a token: `path` is the key of its group. */
  readonly id: number;
  readonly hop: number;
  readonly path?: string | undefined;
}

/** Thrown by `ctx.ask` to leave the task until the answer has come. Catching it changes nothing. */
class Asked extends Error {
  override readonly name = 'Asked';
}

export interface Resolved {
  readonly node: NodeId;
  /** The step's graph, where the workflow's own graph does not have it. */
  readonly fragments?: Readonly<Record<string, Fragment>> | undefined;
}

interface Effects {
  ask?: { signal: string; question: Json | undefined };
  checkpoint?: true;
  cancel?: { reason: string | undefined };
  terminate?: { output: unknown };
  goto?: Target;
  iterate?: { input: unknown };
  spawned?: Target[];
  channel?: InvocationChannel;
  fragments?: Record<string, Fragment>;
}

/** No plain value: the task did something through `ctx`. */
export const steered: unique symbol = Symbol('steered');

const CONTROL: Control = Object.freeze({ '~control': 'taskchart' });

export class Invocation implements TaskContext<unknown> {
  readonly #spot: Spot;
  readonly #input: Json | undefined;
  readonly #index: number | undefined;
  #settled = false;
  #effects: Effects | undefined;
  #channel: Readonly<Record<string, Json>> | undefined;
  #abort: AbortController | undefined;
  #aborted: unknown;

  /** `index`: of a group member that has no token. */
  constructor(spot: Spot, input: Json | undefined, index: number | undefined) {
    this.#spot = spot;
    this.#input = input;
    this.#index = index;
  }

  get runId(): string {
    return this.#spot.scene.runId;
  }
  get taskId(): string {
    return this.#spot.node;
  }
  get attempt(): number {
    return this.#spot.attempt;
  }
  get iteration(): number {
    return this.#spot.iteration;
  }
  get idempotencyKey(): string {
    const { scene } = this.#spot;
    return `${scene.runId}/${executionKey(this.#spot)}${this.#index === undefined ? '' : `.${this.#index}`}`;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#aborted !== undefined) this.#abort.abort(this.#aborted);
    }
    return this.#abort.signal;
  }

  get channel(): Channel {
    const effects = this.#steer('channel');
    return (effects.channel ??= new InvocationChannel(this.#channel ?? this.#spot.scene.channel, () => this.#steer('channel')));
  }

  get log(): TaskLog {
    const write = (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, data?: unknown) => {
      this.#say({ kind: 'log', level, message: String(message), data });
    };
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  }

  progress(done: number, total?: number, note?: string): void {
    this.#say({ kind: 'progress', done, total, note });
  }

  #say(note: TaskNote): void {
    if (this.#spot.note === undefined) this.#spot.scene.hears?.(note, this.#spot, this.#index);
    else this.#spot.note(note);
  }

  nextTask(step: object, ...input: unknown[]): void {
    const effects = this.#steer('nextTask');
    (effects.spawned ??= []).push(this.#target(effects, step, input[0], 'nextTask'));
  }

  goto(step: object, ...input: unknown[]): Control {
    const effects = this.#steer('goto');
    effects.goto = this.#target(effects, step, input[0], 'goto');
    return CONTROL;
  }

  nextIteration(input: unknown): Control {
    this.#steer('nextIteration').iterate = { input };
    return CONTROL;
  }

  terminate(output?: unknown): Control {
    this.#steer('terminate').terminate = { output };
    return CONTROL;
  }

  cancel(reason?: string): Control {
    this.#steer('cancel').cancel = { reason: reasonText(reason) };
    return CONTROL;
  }

  async ask<T>(name: string, options: { readonly question?: unknown; readonly schema?: StandardSchemaV1<unknown, T> } = {}): Promise<T> {
    const { answers } = this.#spot;
    if (answers !== undefined && Object.hasOwn(answers, name)) {
      const answer = copyJson(answers[name]?.[0]);
      if (options.schema === undefined) return answer as T;
      try {
        return (await check(options.schema, answer, `answer to "${name}"`)) as T;
      } catch (thrown) {
        if (!isTaskchartError(thrown) || thrown.code !== 'value/schema') throw thrown;
        // What a person mistypes must not end the run: the question stays open until an answer fits.
        this.log.warn(`${thrown.message}; the question "${name}" stays open`);
      }
    }
    const effects = this.#steer('ask');
    effects.ask ??= { signal: checkId('signal', name), question: toJson(options.question, `question of ask("${name}")`) };
    throw new Asked(`task "${this.#spot.node}" waits for the answer to "${name}"`);
  }

  checkpoint(): void {
    this.#steer('checkpoint').checkpoint = true;
  }

  /** Calls the function with its own copy of the input. Throws or rejects as the function does. */
  begin(implementation: TaskImplementation): unknown {
    // Reads see the state at the task's start, whenever they come.
    this.#channel = this.#spot.scene.channel;
    const input = copyJson(this.#input);
    if (implementation.run === undefined) throw notImplemented(this.#spot.node, this.#spot.scene.workflow);
    if (implementation.input === undefined && implementation.output === undefined) return implementation.run(input as never, this as never);
    return validated(implementation, this.#spot.node, input, this);
  }

  /**
   * The value of a function that has returned and used nothing of `ctx` that steers, as most do; otherwise `steered`,
   * and `settle` says the rest. Throws ValueError for what JSON cannot carry.
   */
  plainValue(result: unknown): Json | undefined | typeof steered {
    if (this.#effects !== undefined) return steered;
    this.#settled = true;
    return typeof result === 'number' && Number.isFinite(result) && result !== 0 ? result : this.#value(result);
  }

  /** The outcome of a function that has returned. Throws ValueError for what JSON cannot carry. */
  settle(result: unknown): Outcome {
    this.#settled = true;
    const effects = this.#effects;
    if (effects === undefined) return { kind: 'value', value: this.#value(result) };
    if (effects.cancel !== undefined) return this.#cancelled(effects.cancel.reason);
    if (effects.ask !== undefined) return { kind: 'ask', ...effects.ask };
    const { spawned, fragments } = effects;
    const channel = effects.channel?.operations;
    const also = { ...(spawned && { spawned }), ...(channel && { channel }), ...(fragments && { fragments }), ...(effects.checkpoint && { checkpoint: true as const }) };
    if (effects.terminate !== undefined) return { kind: 'terminate', output: toJson(effects.terminate.output, 'output'), ...also };
    if (effects.goto !== undefined) return { kind: 'goto', target: effects.goto, ...also };
    if (effects.iterate !== undefined) return { kind: 'iterate', input: toJson(effects.iterate.input, 'input of nextIteration'), ...also };
    return { kind: 'value', value: this.#value(result), ...also };
  }

  /** The outcome of a function that has thrown. `random` is drawn by the caller. */
  fail(thrown: unknown, random: number): Outcome {
    this.#settled = true;
    if (this.#effects?.cancel !== undefined) return this.#cancelled(this.#effects.cancel.reason);
    if (this.#effects?.ask !== undefined) return { kind: 'ask', ...this.#effects.ask };
    return { kind: 'failed', error: serializeError(thrown), random };
  }

  /** Aborts `ctx.signal`; the outcome is not wanted any more. */
  abort(reason: unknown): void {
    this.#aborted = reason;
    this.#settled = true;
    this.#abort?.abort(reason);
  }

  #steer(what: string): Effects {
    if (this.#settled) {
      throw new TaskError('task/late-call', `ctx.${what} was used after task "${this.#spot.node}" had settled, so it has no effect`, {
        hint: 'await everything that uses ctx before the task returns',
      });
    }
    return (this.#effects ??= {});
  }

  #target(effects: Effects, step: object, input: unknown, how: string): Target {
    if (!isStep(step)) {
      throw new DefinitionError('definition/not-a-step', `ctx.${how} in task "${this.#spot.node}" needs a step, such as a task`, { hint: 'pass the step itself, not its id' });
    }
    const { node, fragments } = this.#spot.scene.resolve(step, this.#spot.node);
    if (fragments !== undefined) effects.fragments = { ...effects.fragments, ...fragments };
    const value = toJson(input, `input of ${how}("${node}")`);
    return value === undefined ? { node } : { node, input: value };
  }

  #value(result: unknown): Json | undefined {
    if (result === undefined || result === CONTROL) return undefined;
    if (typeof result === 'object' && result !== null && isStep(result)) {
      throw new TaskError('task/bad-result', `task "${this.#spot.node}" returned a step instead of a value`, {
        hint: 'a step is not run by returning it: use ctx.nextTask(step), ctx.goto(step), or compose it with .to(step)',
      });
    }
    return toJson(result, 'output');
  }

  #cancelled(reason: string | undefined): Outcome {
    const { node, scene } = this.#spot;
    const { workflow, runId } = scene;
    return {
      kind: 'cancel',
      error: {
        name: 'WorkflowCancelledError',
        code: 'run/cancelled',
        message: `task "${node}" cancelled workflow "${workflow}"${reason === undefined ? '' : `: ${reason}`}`,
        details: { taskId: node, runId, ...(reason === undefined ? {} : { reason }) },
      },
    };
  }
}

function notImplemented(node: NodeId, workflow: string): DefinitionError {
  return new DefinitionError('definition/not-implemented', `task "${node}" of workflow "${workflow}" is a contract without an implementation in this process`, {
    hint: 'import the module that calls .implement() on the contract',
  });
}
