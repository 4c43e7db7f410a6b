/**
 * When a failed execution is tried again.
 *
 * Owns: the delay of an attempt, and what an error says about retrying. Does not own: counting attempts (the machine does),
 * randomness (it comes in as a number, so that a replay gives the same delays).
 */
import type { RetryPlan } from './graph.ts';
import type { SerializedError } from './errors.ts';

/** No retry. The other fields are what a retry starts from when only `attempts` is given. */
export const defaultRetry: RetryPlan = {
  attempts: 1,
  backoff: 'fixed',
  delayMs: 0,
  factor: 2,
  maxDelayMs: 30_000,
  jitter: 0,
};

/**
 * How long to wait after the `failedAttempts`-th failure (1 is the first). `random` is 0 to 1: full jitter draws the
 * delay from 0 to its whole length. `maxDelayMs` bounds the growth of linear and exponential delays, not a fixed one.
 */
export function retryDelayMs(plan: RetryPlan, failedAttempts: number, random: number): number {
  const delay = plan.delayMs === 0 ? 0 : grownDelay(plan, Math.max(1, failedAttempts));
  return Math.round(delay * (1 - plan.jitter * random));
}

function grownDelay(plan: RetryPlan, failedAttempts: number): number {
  switch (plan.backoff) {
    case 'fixed':
      return plan.delayMs;
    case 'linear':
      return Math.min(plan.delayMs * failedAttempts, plan.maxDelayMs);
    case 'exponential':
      return Math.min(plan.delayMs * plan.factor ** (failedAttempts - 1), plan.maxDelayMs);
  }
}

/** These failures would only repeat themselves: the code or its data is wrong, or someone said so. */
const finalCodes: ReadonlySet<string> = new Set([
  'task/non-retryable',
  'task/bad-result',
  'task/channel',
  'task/iteration-limit',
  'run/step-limit',
  'run/cancelled',
]);
const finalFamilies = ['value/', 'definition/', 'invariant/'];

/** Whether another attempt can help. */
export function isRetryable(error: SerializedError): boolean {
  const { code } = error;
  if (code === undefined) return true;
  return !finalCodes.has(code) && !finalFamilies.some((family) => code.startsWith(family));
}

/** The delay that the task itself asked for with `RetryAfterError`. */
export function requestedDelayMs(error: SerializedError): number | undefined {
  if (error.code !== 'task/retry-after') return undefined;
  const delay = error.details?.['delayMs'];
  return typeof delay === 'number' && delay >= 0 ? delay : undefined;
}
