/** The errors with which a worker ends, in the plain form in which a context can hold them. */
import type { SerializedError } from '../../src/core/errors.ts';
import type { WorkerContext } from './context.ts';

export function idTaken({ worker, queue }: Pick<WorkerContext, 'worker' | 'queue'>): SerializedError {
  return {
    name: 'TaskchartError',
    code: 'worker/id-taken',
    message: `another process uses the worker id "${worker}" (queue "${queue}")`,
    hint: 'give each worker process an id of its own (--id), or none; after a crash an id is free again when its lease has run out',
    details: { worker, queue },
  };
}

/** Why a worker could not give back what it had. */
export function cutOff({ worker, problem }: Pick<WorkerContext, 'worker' | 'problem'>): SerializedError {
  if (problem !== null) return problem;
  return { name: 'TransportError', code: 'transport/unreachable', message: `worker "${worker}" had no connection when it was to give back what it had`, details: { worker, retryable: true } };
}
