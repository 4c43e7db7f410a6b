/** taskchart: typed task graphs that run as XState v5 actors. */
import { nodeEnvironment } from './adapters/node.ts';
import type { Step, Through } from './define/step.ts';
import type { WorkflowOptions } from './define/workflow.ts';
import { inspectFromEnvironment } from './inspect/environment.ts';
import type { Environment } from './ports.ts';
import { linkRemote } from './runtime/remote/link.ts';
import { Workflow } from './runtime/workflow.ts';

const environment: Environment = { ...nodeEnvironment, inspect: inspectFromEnvironment, remote: linkRemote };

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
  return new Workflow<Id, I, Through<O, I>>(environment, id, root as Step<I, Through<O, I>>, options);
}

// Types of composing
export type { Step, Control, StepInput, StepOutput } from './define/step.ts';
export type { Channel, ChannelKey, TaskContext, TaskFailure, TaskLog } from './define/context.ts';
export type { Task } from './define/task.ts';
export type { Flow, Group } from './define/links.ts';
export type { Each, EachOptions } from './define/each.ts';
export type { Dag, DagNode } from './define/dag.ts';
export type { Contract, ContractOptions } from './define/contract.ts';
export type { Sleep, Wait, WaitOptions } from './define/wait.ts';
export type { RetryOptions, TaskOptions } from './define/task-options.ts';
export type { ExecutionOptions, RedisConfig, ThreadsConfig } from './define/execution.ts';
export type { Policy } from './define/policy.ts';
export type { WorkflowOptions } from './define/workflow.ts';
export type { Graph, GraphNode, MemberResult, PolicyFunction } from './core/graph.ts';
export type { Json } from './core/json.ts';

// Run
export type { Runnable, RunOptions, StartOptions, Workflow } from './runtime/workflow.ts';
export type { Run } from './runtime/run.ts';
export type { RunEvent, RunListener, TaskPlace } from './runtime/observer.ts';
export type { RunStatus, WaitingFor } from './runtime/status.ts';
export type { Clock, Environment, Random } from './ports.ts';

// Checkpoints
export type { Checkpoint } from './core/checkpoint.ts';
export { parseCheckpoint } from './core/checkpoint.ts';

export type { CheckpointStore } from './ports.ts';
export type { GraphDiff } from './core/checkpoint.ts';

// Errors
export {
  CheckpointError, DefinitionError, GraphMismatchError, InvariantError, IterationLimitError, NonRetryableError, ParallelGroupError, ProtocolError,
  RetryAfterError, RetryLimitError, StepLimitError, TaskError, TaskTimeoutError, TaskchartError, TransportError, ValueError, WorkflowCancelledError,
  errorCodes, isTaskchartError,
} from './core/errors.ts';
export type { ErrorCode, SerializedError } from './core/errors.ts';
