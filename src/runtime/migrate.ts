/** A checkpoint meets another graph than the one that wrote it: refuse with the differences, or carry it over. */
import { diffGraphs, graphMismatch, parseCheckpoint, type Checkpoint, type GraphDiff } from '../core/checkpoint.ts';
import { CheckpointError, GraphMismatchError } from '../core/errors.ts';
import type { Definition } from '../define/definition.ts';
import { nodeHash } from '../define/graph-hash.ts';
import type { NodeId } from '../core/graph.ts';
import type { Json, JsonObject } from '../core/json-type.ts';
import { MACHINE_VERSION, Vec, type ExecutionContext } from '../../machines/index.ts';

export interface FitOptions {
  /** Accepts a graph that only has more nodes than the checkpoint's: nothing that a run can stand at was removed or changed. */
  readonly allowAdditions?: boolean | undefined;
  /** Rewrites a checkpoint of another graph. Its result must have this graph's hash, `current`. */
  readonly migrate?: ((checkpoint: Checkpoint, difference: GraphDiff, current: string) => Checkpoint) | undefined;
}

/** The checkpoint, if this code can go on with it; one of a changed graph needs `migrate` or `allowAdditions`. */
export function fitting(checkpoint: Checkpoint, definition: Definition, options: FitOptions): Checkpoint {
  const { workflow } = definition.graph;
  if (checkpoint.workflow !== workflow) {
    throw new CheckpointError('checkpoint/wrong-workflow', `the checkpoint of run "${checkpoint.runId}" belongs to workflow "${checkpoint.workflow}", not to "${workflow}"`, { hint: 'give it to that workflow' });
  }
  if (checkpoint.machineVersion !== MACHINE_VERSION) {
    throw new CheckpointError('checkpoint/version', `the checkpoint of run "${checkpoint.runId}" was written by version ${checkpoint.machineVersion} of the machine; this code has version ${MACHINE_VERSION}`, {
      hint: 'use the version of taskchart that wrote it',
    });
  }
  return checkpoint.graphHash === definition.graphHash ? checkpoint : fitToGraph(checkpoint, definition, options);
}

/** The checkpoint as this graph can go on with it. Throws GraphMismatchError with what was added, removed and changed. */
function fitToGraph(checkpoint: Checkpoint, definition: Definition, options: FitOptions): Checkpoint {
  const { graph, graphHash } = definition;
  const nodes = Object.fromEntries(Object.entries(graph.nodes).map(([id, node]) => [id, nodeHash(node)]));
  const difference = diffGraphs(checkpoint, nodes);
  if (options.migrate !== undefined) {
    const migrated = parseCheckpoint(options.migrate(checkpoint, difference, graphHash));
    if (migrated.graphHash === graphHash) return carriedOver(migrated, definition);
    throw new GraphMismatchError('checkpoint/graph-mismatch', `migrate gave a checkpoint of yet another graph (hash ${migrated.graphHash}); workflow "${graph.workflow}" has ${graphHash}`, {
      hint: 'set graphHash of what migrate returns to its third argument',
    });
  }
  const onlyMore = checkpoint.nodes !== undefined && difference.removed.length === 0 && difference.changed.length === 0;
  if (options.allowAdditions === true && onlyMore) return carriedOver(checkpoint, definition);
  throw graphMismatch(graph.workflow, difference);
}

/** The journal of another graph can be replayed only where that graph's steps are all there, unchanged. */
export function refuseJournalOf(checkpoint: Checkpoint, entries: number): GraphMismatchError {
  const { runId, workflow } = checkpoint;
  return new GraphMismatchError('checkpoint/graph-mismatch', `run "${runId}" of workflow "${workflow}" has a journal (lines: ${entries}) behind its last checkpoint, which only the graph that wrote it can read; migrate cannot`, {
    hint: 'resume it once with the code that wrote it, pause it if it is busy, then: await run.checkpoint()',
    details: { workflow, runId, entries },
  });
}

/** What was replayed goes on under this graph. */
export function underGraph(context: ExecutionContext, graphHash: string): ExecutionContext {
  return context.run === null ? context : { ...context, run: { ...context.run, graphHash } };
}

/** The run inside remembers its graph too, and counts completions by the places of its nodes. */
function carriedOver(checkpoint: Checkpoint, { graph, graphHash }: Definition): Checkpoint {
  const snapshot = checkpoint.snapshot as JsonObject & { readonly context: JsonObject };
  const { run } = snapshot.context;
  const completions = counted(snapshot.context['completions'], checkpoint.nodes, Object.keys(graph.nodes));
  const context = { ...snapshot.context, completions, run: run === null || run === undefined ? null : { ...(run as JsonObject), graphHash } };
  return { ...checkpoint, graphHash, snapshot: { ...snapshot, context } };
}

function counted(stored: Json | undefined, before: Checkpoint['nodes'], now: readonly NodeId[]): Json {
  const places = new Map(now.map((id, at) => [id, at]));
  const counts = new Vec.VecDraft<number>(Vec.emptyVec());
  if (before === undefined || stored === undefined) return counts.done() as unknown as Json;
  Object.keys(before).forEach((id, at) => {
    const place = places.get(id);
    const count = Vec.get(stored as unknown as Vec.Vec<number>, at);
    if (place !== undefined && count !== undefined) counts.set(place, count);
  });
  return counts.done() as unknown as Json;
}
