/** The options of a task, and the plan that they become. */
import type { Backoff, RetryPlan } from '../core/graph.ts';
import { durationOption, integerOption, numberOption, oneOfOption, optionsObject } from '../core/options.ts';

/** How a failed execution is tried again. Times in milliseconds. */
export interface RetryOptions {
  /** All attempts, the first included. */
  readonly attempts: number;
  /** Default: `fixed`. */
  readonly backoff?: Backoff;
  /** Before the second attempt. Default: 0. */
  readonly delay?: number;
  /** What each delay is multiplied by under `exponential`. Default: 2. */
  readonly factor?: number;
  /** Default: 30,000. */
  readonly maxDelay?: number;
  /** The share of each delay that is drawn at random, 0 to 1. Default: 0. */
  readonly jitter?: number;
}

export interface TaskOptions {
  /** Default: one attempt. */
  readonly retry?: RetryOptions;
  /** Milliseconds for one attempt. Default: no limit. */
  readonly timeout?: number;
  /** How often `nextIteration` may start this task again. Default: 100. */
  readonly maxIterations?: number;
}

/** The part of a task's node that options make. Absent fields mean the defaults. */
export interface TaskPlan {
  readonly retry?: RetryPlan;
  readonly timeoutMs?: number;
  readonly maxIterations?: number;
}

const noPlan: TaskPlan = Object.freeze({});
const taskOptionNames = ['retry', 'timeout', 'maxIterations'] as const;
const retryOptionNames = ['attempts', 'backoff', 'delay', 'factor', 'maxDelay', 'jitter'] as const;
const backoffs = ['fixed', 'linear', 'exponential'] as const satisfies readonly Backoff[];

/** Checks a task's options. `more` names options that the caller reads itself. */
export function checkTaskOptions(id: string, given: unknown, more: readonly string[] = []): TaskPlan {
  if (given === undefined) return noPlan;
  const where = `task "${id}"`;
  const { retry, timeout, maxIterations } = optionsObject(where, given, [...taskOptionNames, ...more]);
  return Object.freeze({
    ...(retry === undefined ? {} : { retry: checkRetry(`${where}.retry`, retry) }),
    ...(timeout === undefined ? {} : { timeoutMs: durationOption(`${where}.timeout`, timeout, 1) }),
    ...(maxIterations === undefined ? {} : { maxIterations: integerOption(`${where}.maxIterations`, maxIterations, 1) }),
  });
}

function checkRetry(where: string, given: unknown): RetryPlan {
  const options = optionsObject(where, given, retryOptionNames);
  const { backoff = 'fixed', delay = 0, factor = 2, maxDelay = 30_000, jitter = 0 } = options;
  return Object.freeze({
    attempts: integerOption(`${where}.attempts`, options['attempts'], 1),
    backoff: oneOfOption(`${where}.backoff`, backoff, backoffs),
    delayMs: durationOption(`${where}.delay`, delay),
    factor: numberOption(`${where}.factor`, factor, 1),
    maxDelayMs: durationOption(`${where}.maxDelay`, maxDelay),
    jitter: numberOption(`${where}.jitter`, jitter, 0, 1),
  });
}
