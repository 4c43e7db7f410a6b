/** From what a store holds to the context of a run, without opening the run. */
import { parseCheckpoint, type Checkpoint } from '../core/checkpoint.ts';
import { CheckpointError, isTaskchartError, serializeError } from '../core/errors.ts';
import type { JsonObject } from '../core/json-type.ts';
import type { Definition } from '../define/definition.ts';
import { planOf, type ExecutionContext, type Plan } from '../../machines/index.ts';
import type { StoredRun } from '../ports.ts';
import { WorkflowCode } from './code.ts';
import { fitting } from './migrate.ts';
import { replay } from './replay.ts';

/** A workflow, as far as a stored run needs one to be understood. */
export interface StoredWorkflow {
  readonly definition: Definition;
}

/** The snapshot with the journal behind it, by the machine itself. Throws CheckpointError, GraphMismatchError. */
export function replayed(stored: StoredRun, runId: string, { definition }: StoredWorkflow, parsed?: Checkpoint): { readonly checkpoint: Checkpoint; readonly context: ExecutionContext } {
  return sound(runId, () => {
    const checkpoint = fitting(parsed ?? parseCheckpoint(stored.checkpoint), definition, {});
    return { checkpoint, context: replay(planFor(new WorkflowCode(definition)), contextIn(checkpoint), stored.journal, runId) };
  });
}

/** What the machine knows of the code of a workflow. */
export function planFor(code: WorkflowCode): Plan {
  const { graph, graphHash } = code.definition;
  return planOf(graph, graphHash, { get: (node) => code.policy(node) });
}

/** The run inside a checkpoint. */
export function contextIn(checkpoint: Checkpoint): ExecutionContext {
  return (checkpoint.snapshot as JsonObject & { readonly context: unknown }).context as ExecutionContext;
}

/** An impossible snapshot is a bad checkpoint, and no bug of ours. */
export function sound<T>(runId: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (isTaskchartError(thrown)) throw thrown;
    throw new CheckpointError('checkpoint/invalid', `what is stored of run "${runId}" is no state that a run can be in: ${serializeError(thrown).message}`, {
      hint: 'load an earlier revision (store.revisions(runId) lists them)',
      cause: thrown,
    });
  }
}
