/** The errors that the machine itself gives, in the plain form in which a context can hold them. */
import { errorCodes, type SerializedError } from '../../src/core/errors.ts';
import type { TaskNode } from '../../src/core/graph.ts';
import type { Json } from '../../src/core/json.ts';
import type { Draft } from './draft.ts';
import type { Token } from './context.ts';

/** A failed execution that will not be tried again. Errors of ours already say what happened; others become the cause. */
export function lastFailure(draft: Draft, token: Token, node: TaskNode, error: SerializedError, retryable: boolean): SerializedError {
  const attempts = node.retry?.attempts ?? 1;
  const details = { ...place(draft, token), attempts: token.attempt };
  if (retryable && attempts > 1) {
    return {
      name: 'RetryLimitError',
      code: 'task/retry-limit',
      message: `task "${token.node}" of workflow "${draft.before.workflow}" failed ${token.attempt} times, which is all its attempts; the last error: ${error.message}`,
      hint: 'mend the cause, or give the task more attempts or a longer backoff ({ retry: { attempts, delay } })',
      details,
      cause: error,
    };
  }
  if (isOurs(error)) return { ...error, details: { ...details, ...error.details } };
  return {
    name: 'TaskError',
    code: 'task/failed',
    message: `task "${token.node}" of workflow "${draft.before.workflow}" failed: ${error.message}`,
    hint: 'the cause holds the task\'s own error; { retry: { attempts } } tries again, .recover() gives another result',
    details,
    cause: error,
  };
}

/** Errors that already say what happened, and where. What a task throws to steer is a cause like any other. */
function isOurs(error: SerializedError): boolean {
  const { code } = error;
  return code !== undefined && code !== 'task/non-retryable' && code !== 'task/retry-after' && Object.hasOwn(errorCodes, code);
}

export function iterationLimit(draft: Draft, token: Token, limit: number): SerializedError {
  return {
    name: 'IterationLimitError',
    code: 'task/iteration-limit',
    message: `task "${token.node}" of workflow "${draft.before.workflow}" asked for more than ${limit} iterations`,
    hint: 'return a value at some point, or raise { maxIterations }',
    details: { ...place(draft, token), maxIterations: limit },
  };
}

export function stepLimit(draft: Draft, limit: number): SerializedError {
  return {
    name: 'StepLimitError',
    code: 'run/step-limit',
    message: `workflow "${draft.before.workflow}" has run ${limit} tasks, which is its maxSteps, and is not done`,
    hint: 'look for a loop of goto or nextTask, or raise maxSteps',
    details: { runId: draft.run?.id ?? null, maxSteps: limit },
  };
}

export function taskProblem(draft: Draft, token: Token, code: string, message: string, hint: string): SerializedError {
  return { name: 'TaskError', code, message, hint, details: place(draft, token) };
}

export function cancelled(draft: Draft, reason: string | undefined): SerializedError {
  return {
    name: 'WorkflowCancelledError',
    code: 'run/cancelled',
    message: `workflow "${draft.before.workflow}" was cancelled${reason === undefined ? '' : `: ${reason}`}`,
    details: { runId: draft.run?.id ?? null, ...(reason === undefined ? {} : { reason }) },
  };
}

/** What a `recover` step is given. */
export function recoverInput(token: Token, error: SerializedError): Json {
  const { name, code, message, details, cause } = error;
  return {
    step: token.node,
    name,
    message,
    ...(code === undefined ? {} : { code }),
    ...(typeof details?.['attempts'] === 'number' ? { attempts: details['attempts'] } : {}),
    ...(details === undefined ? {} : { details: details as Json }),
    ...(cause === undefined ? {} : { cause: { name: cause.name, message: cause.message } }),
    ...(token.input === undefined ? {} : { input: token.input }),
  };
}

function place(draft: Draft, token: Token): Record<string, Json> {
  return { taskId: token.node, workflow: draft.before.workflow, runId: draft.run?.id ?? null };
}
