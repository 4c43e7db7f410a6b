/** A checkpoint meets another graph than the one that wrote it: refuse with the differences, or carry it over. */
import { diffGraphs, graphMismatch, parseCheckpoint, type Checkpoint, type GraphDiff } from '../core/checkpoint.ts';
import { GraphMismatchError } from '../core/errors.ts';
import type { Definition } from '../define/definition.ts';
import { nodeHash } from '../define/graph-hash.ts';
import type { JsonObject } from '../core/json-type.ts';
import type { ExecutionContext } from '../../machines/index.ts';

export interface FitOptions {
  /** Accepts a graph that only has more nodes than the checkpoint's: nothing that a run can stand at was removed or changed. */
  readonly allowAdditions?: boolean | undefined;
  /** Rewrites a checkpoint of another graph. Its result must have this graph's hash, `current`. */
  readonly migrate?: ((checkpoint: Checkpoint, difference: GraphDiff, current: string) => Checkpoint) | undefined;
}

/** The checkpoint as this graph can go on with it. Throws GraphMismatchError with what was added, removed and changed. */
export function fitToGraph(checkpoint: Checkpoint, definition: Definition, options: FitOptions): Checkpoint {
  const { graph, graphHash } = definition;
  const nodes = Object.fromEntries(Object.entries(graph.nodes).map(([id, node]) => [id, nodeHash(node)]));
  const difference = diffGraphs(checkpoint, nodes);
  if (options.migrate !== undefined) {
    const migrated = parseCheckpoint(options.migrate(checkpoint, difference, graphHash));
    if (migrated.graphHash === graphHash) return withGraphHash(migrated, graphHash);
    throw new GraphMismatchError('checkpoint/graph-mismatch', `migrate gave a checkpoint of yet another graph (hash ${migrated.graphHash}); workflow "${graph.workflow}" has ${graphHash}`, {
      hint: 'set graphHash of what migrate returns to its third argument',
    });
  }
  const onlyMore = checkpoint.nodes !== undefined && difference.removed.length === 0 && difference.changed.length === 0;
  if (options.allowAdditions === true && onlyMore) return withGraphHash(checkpoint, graphHash);
  throw graphMismatch(graph.workflow, difference);
}

/** The journal of another graph can be replayed only where that graph's steps are all there, unchanged. */
export function refuseJournalOf(checkpoint: Checkpoint, entries: number): GraphMismatchError {
  const { runId, workflow } = checkpoint;
  return new GraphMismatchError('checkpoint/graph-mismatch', `run "${runId}" of workflow "${workflow}" has ${entries} journal entries after its last checkpoint, which only the graph that wrote them can read; migrate cannot`, {
    hint: 'resume it once with the code that wrote it, and let it write a checkpoint: await run.checkpoint()',
    details: { workflow, runId, entries },
  });
}

/** What was replayed goes on under this graph. */
export function underGraph(context: ExecutionContext, graphHash: string): ExecutionContext {
  return context.run === null ? context : { ...context, run: { ...context.run, graphHash } };
}

/** The run inside remembers its graph too. */
function withGraphHash(checkpoint: Checkpoint, graphHash: string): Checkpoint {
  const snapshot = checkpoint.snapshot as JsonObject & { readonly context: JsonObject };
  const { run } = snapshot.context;
  const context = { ...snapshot.context, run: run === null || run === undefined ? null : { ...(run as JsonObject), graphHash } };
  return { ...checkpoint, graphHash, snapshot: { ...snapshot, context } };
}
