/**
 * taskchart in a browser: everything of `taskchart` (index.ts) that needs no Node. There are no worker threads, so a group
 * that asks for them is refused before it starts; runs are kept by their snapshots, wherever the page keeps its data.
 */
import { systemEnvironment } from './adapters/system.ts';
import type { Step, Through } from './define/step.ts';
import type { WorkflowOptions } from './define/workflow.ts';
import { Workflow } from './runtime/workflow.ts';

// Compose
export { task } from './define/task.ts';
export { sequence } from './define/sequence.ts';
export { parallel } from './define/parallel.ts';
export { each } from './define/each.ts';
export { dag, node } from './define/dag.ts';
export { contract } from './define/contract.ts';
export { sleep, waitFor } from './define/wait.ts';
export { channelKey } from './define/channel.ts';

/** A workflow: a composed graph under an id, ready to run, to embed, or to be a step of another. */
export function workflow<const Id extends string, I, O>(id: Id, root: Step<I, O>, options?: WorkflowOptions): Workflow<Id, I, Through<O, I>> {
  return new Workflow<Id, I, Through<O, I>>(systemEnvironment, id, root as Step<I, Through<O, I>>, options);
}

// Checkpoints
export { parseCheckpoint } from './core/checkpoint.ts';

// Errors
export {
  CheckpointError, DefinitionError, GraphMismatchError, InvariantError, IterationLimitError, NonRetryableError, ParallelGroupError, ProtocolError,
  RetryAfterError, RetryLimitError, StepLimitError, TaskError, TaskTimeoutError, TaskchartError, TransportError, ValueError, WorkflowCancelledError,
  errorCodes, isTaskchartError,
} from './core/errors.ts';

export type * from './index.ts';
