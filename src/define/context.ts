/** What a running task is given beside its input. The run time implements it. */
import type { TaskFailure as FailureRecord } from '../core/errors.ts';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Json } from '../core/json-type.ts';
import type { Control, InputArguments, Step } from './step.ts';

/** A typed name of an entry in the run's channel. */
export interface ChannelKey<T> {
  readonly name: string;
  readonly '~value'?: ((value: T) => T) | undefined;
}

/**
 * The run's small shared store. Reads see the state at the task's start plus its own writes. Writes are operations: they
 * reach the others when this task settles, so `add` from many tasks at once adds up.
 */
export interface Channel {
  get<T>(key: ChannelKey<T>): T | undefined;
  get(key: string): Json | undefined;
  set<T>(key: ChannelKey<T>, value: NoInfer<T>): void;
  set(key: string, value: Json): void;
  /** Adds to a number; an absent entry counts as 0. */
  add(key: ChannelKey<number> | string, amount?: number): void;
  /** Appends to an array; an absent entry counts as empty. */
  append<T>(key: ChannelKey<T[]>, value: NoInfer<T>): void;
  append(key: string, value: Json): void;
  delete(key: ChannelKey<never> | { readonly name: string } | string): void;
}

export interface TaskLog {
  debug(message: string, data?: unknown): void;
  info(message: string, data?: unknown): void;
  warn(message: string, data?: unknown): void;
  error(message: string, data?: unknown): void;
}

/** The second argument of every task function. `I` is the task's own input. */
export interface TaskContext<I = unknown> {
  /** Aborted by a timeout, by `failFast`, and when the run is cancelled. */
  readonly signal: AbortSignal;
  readonly runId: string;
  /** The task's id in the graph. */
  readonly taskId: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** 0 for the first pass; `nextIteration` counts it up. */
  readonly iteration: number;
  /** The same for every attempt and every re-run of this execution: hand it to services that must act once. */
  readonly idempotencyKey: string;
  readonly channel: Channel;
  readonly log: TaskLog;
  /**
   * Asks people: the task leaves here, and runs again from its top once the answer has come as a signal of that name.
   * Answers that it already has are given at once; one that does not fit `schema` is asked for again, with a warning in
   * the log. Ask before effects, or make those idempotent.
   */
  ask<T = Json>(name: string, options?: { readonly question?: unknown; readonly schema?: StandardSchemaV1<unknown, T> }): Promise<T>;
  /** Asks for a full snapshot once this task has settled, where the run has a store. */
  checkpoint(): void;
  progress(done: number, total?: number, note?: string): void;
  /** Queues a step beside this task's successors, which still run. */
  nextTask<I2>(step: Step<I2, unknown>, ...input: InputArguments<NoInfer<I2>>): void;
  /** Return it: the run goes on at that step instead of this task's successors. */
  goto<I2>(step: Step<I2, unknown>, ...input: InputArguments<NoInfer<I2>>): Control;
  /** Return it: this task runs again with the new input before its successors do. */
  nextIteration(input: I): Control;
  /** Return it: the run completes now (in a group member: that branch). */
  terminate(output?: unknown): Control;
  /** Return it: the whole run ends as cancelled. */
  cancel(reason?: string): Control;
}

/** What a `recover` handler is told of the step that failed for good. */
export interface TaskFailure<I = unknown> extends FailureRecord {
  /** The input that the step failed on. */
  readonly input: I;
}
