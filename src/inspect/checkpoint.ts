/**
 * A checkpoint as the stream would show its run: looked at, and not run.
 *
 * Owns: finding the graph as far as it is known, and answering questions about values. Does not own: reading the file.
 *
 * Invariants
 * 1. Nothing of the checkpoint is executed, and nobody can steer it.
 * 2. Throws nothing but CheckpointError.
 */
import type { AnyActorRef } from 'xstate';
import { createExecutionContextMachine, planOf, type ExecutionContext, type ExecutionEvent } from '../../machines/index.ts';
import { graphMismatch, diffGraphs, type Checkpoint } from '../core/checkpoint.ts';
import type { Graph, GraphNode } from '../core/graph.ts';
import type { JsonObject } from '../core/json-type.ts';
import { nodeHash } from '../define/graph-hash.ts';
import type { Definition } from '../define/definition.ts';
import { markConfig } from '../runtime/inspected.ts';
import { contextIn, sound } from '../runtime/stored-context.ts';
import { answer, refusal } from './answers.ts';
import { Definitions } from './definitions.ts';
import { System } from './inspected-system.ts';
import type { InspectorMessage } from './messages.ts';
import type { Command, CommandAnswer } from './protocol.ts';
import { Redactor, type RedactPattern } from './redact.ts';

export interface ShownCheckpoint {
  readonly messages: readonly InspectorMessage[];
  answer(session: string, command: Command): CommandAnswer;
}

/** `source`: what its sessions begin with. `definition`: its workflow's; without it only ids are known. */
export function showCheckpoint(checkpoint: Checkpoint, source: string, definition?: Definition, redact: readonly RedactPattern[] = []): ShownCheckpoint {
  const { runId } = checkpoint;
  return sound(runId, () => {
    if (definition !== undefined && definition.graphHash !== checkpoint.graphHash) throw differs(checkpoint, definition);
    const graph = definition?.graph ?? idsOnly(checkpoint);
    const redactor = new Redactor(redact);
    const system = new System(`${source}/`, 'x:0', { redactor, definitions: new Definitions(redactor), control: [], statechart: definition !== undefined, shown: { complete: definition !== undefined }, touched: () => undefined });
    const { config } = createExecutionContextMachine(planOf(graph, checkpoint.graphHash, { get: () => undefined }));
    markConfig(config, { graph, graphHash: checkpoint.graphHash, checkSignal: () => undefined });
    const snapshot = checkpoint.snapshot as JsonObject & { readonly status: string; readonly value?: unknown; readonly output?: unknown };
    const context: ExecutionContext = contextIn(checkpoint);
    const shown = { status: snapshot.status, value: snapshot.value, context, output: snapshot.output };
    const actor = { id: runId, sessionId: 'x:0', logic: { config }, getSnapshot: () => shown } as unknown as AnyActorRef;
    system.appears(actor);
    system.stands(actor, shown, { type: 'REFUSED', post: 0 } satisfies ExecutionEvent);
    const now = checkpoint.savedAt;
    const messages = system.frame(now);
    for (let frames = 0; system.unfinished && frames < 200; frames += 1) messages.push(...system.frame(now));
    return {
      messages,
      answer(session, command) {
        const run = system.find(session);
        return run === undefined ? refusal('this run is not in the checkpoint') : answer({ ...run, hands: undefined }, command);
      },
    };
  });
}

/** A checkpoint has the ids of its nodes, in the order in which completions are counted, unless they are very many. */
function idsOnly({ workflow, nodes = {} }: Checkpoint): Graph {
  const ids = Object.keys(nodes);
  return { format: 'taskchart/graph', version: 1, workflow, root: ids[0] ?? '', uses: [], nodes: Object.fromEntries(ids.map((id): [string, GraphNode] => [id, { kind: 'task', id }])) };
}

function differs(checkpoint: Checkpoint, { graph }: Definition): Error {
  return graphMismatch(graph.workflow, diffGraphs(checkpoint, Object.fromEntries(Object.entries(graph.nodes).map(([id, node]) => [id, nodeHash(node)]))));
}
