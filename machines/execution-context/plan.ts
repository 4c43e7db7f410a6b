/**
 * What the machine knows of the code besides the graph: derived once per workflow, never part of a snapshot.
 */
import type { DagNode, Graph, NodeId, PolicyFunction } from '../../src/core/graph.ts';

/** A dag's edges by member index, both ways. */
export interface DagIndex {
  readonly needs: readonly (readonly number[])[];
  readonly dependants: readonly (readonly number[])[];
}

export interface Policies {
  get(node: NodeId): PolicyFunction | undefined;
}

export interface Plan {
  readonly graph: Graph;
  readonly graphHash: string;
  /** The pure functions of `custom` policies, by node id. */
  readonly policies: Policies;
  /** A node's place in the graph's order; the key of its completion counter. */
  readonly ordinal: ReadonlyMap<NodeId, number>;
  readonly dag: (node: DagNode) => DagIndex;
}

/** Indexes a graph for the machine. Pure; the cost is linear in the graph. */
export function planOf(graph: Graph, graphHash: string, policies: Policies): Plan {
  const ordinal = new Map<NodeId, number>();
  for (const id in graph.nodes) ordinal.set(id, ordinal.size);
  const known = new Map<NodeId, DagIndex>();
  const dag = (node: DagNode): DagIndex => {
    let found = known.get(node.id);
    if (found === undefined) known.set(node.id, (found = indexDag(node)));
    return found;
  };
  return { graph, graphHash, policies, ordinal, dag };
}

function indexDag(node: DagNode): DagIndex {
  const index = new Map(node.members.map((member, at) => [member.id, at]));
  const needs = node.members.map((member) => member.needs.map((need) => index.get(need) ?? -1));
  const dependants: number[][] = node.members.map(() => []);
  needs.forEach((own, at) => {
    for (const need of own) dependants[need]?.push(at);
  });
  return { needs, dependants };
}
