/**
 * What the machine knows of the code besides the graph: derived once per workflow, never part of a snapshot.
 */
import type { DagNode, Graph, GroupNode, NodeId, PolicyFunction } from '../../src/core/graph.ts';

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
  /** Whether a group's members are to be executed elsewhere, each as a whole. Asked when it begins; it goes on as it began. */
  readonly isRemote: (node: GroupNode) => boolean;
}

/**
 * Indexes a graph for the machine. Pure; the cost is linear in the graph. `here` names groups that are executed in this process
 * whatever their backend is: a worker keeps the inner groups of what it executes.
 */
export function planOf(graph: Graph, graphHash: string, policies: Policies, here: (group: NodeId) => boolean = () => false): Plan {
  const ordinal = new Map<NodeId, number>();
  for (const id in graph.nodes) ordinal.set(id, ordinal.size);
  const known = new Map<NodeId, DagIndex>();
  const dag = (node: DagNode): DagIndex => {
    let found = known.get(node.id);
    if (found === undefined) known.set(node.id, (found = indexDag(node)));
    return found;
  };
  const isRemote = (node: GroupNode): boolean => node.execution.backend === 'redis' && !here(node.id);
  return { graph, graphHash, policies, ordinal, dag, isRemote };
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
