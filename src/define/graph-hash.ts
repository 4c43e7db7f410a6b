/**
 * The hash of a graph's structure: what a checkpoint depends on.
 *
 * Counts: ids, kinds, successors, members, needs, policies, signal names. Does not count: retries, time limits, iteration limits, delays,
 * backends and batch sizes, so these may be tuned while a run is parked.
 */
import type { Graph, GraphNode } from '../core/graph.ts';
import { createHasher, hashJson } from '../core/hash.ts';
import type { Json } from '../core/json-type.ts';

/** The hash of one node's structure, to say which nodes differ. */
export function nodeHash(node: GraphNode): string {
  return hashJson(structureOf(node));
}

/** The hash of the whole structure. The order in which nodes are listed does not matter. */
export function hashGraph(graph: Graph): string {
  const hasher = createHasher();
  hasher.add(JSON.stringify([graph.format, graph.version, graph.workflow, graph.root, [...graph.uses].sort()]));
  for (const id of Object.keys(graph.nodes).sort()) hasher.add(JSON.stringify(structureOf(graph.nodes[id] as GraphNode)));
  return hasher.digest();
}

function structureOf(node: GraphNode): Json {
  const shared = [node.kind, node.id, node.next ?? null, node.recover ?? null];
  switch (node.kind) {
    case 'parallel':
      return [...shared, node.members.map(({ id, entry }) => [id, entry]), policyOf(node.policy)];
    case 'dag':
      return [...shared, node.members.map(({ id, entry, needs }) => [id, entry, [...needs].sort()])];
    case 'each':
      return [...shared, node.body, policyOf(node.policy)];
    case 'scope':
      return [...shared, node.entry, node.workflow ?? null];
    case 'wait':
      return [...shared, node.signal];
    case 'task':
    case 'sleep':
      return shared;
  }
}

/** As a list in a fixed order, so that the order of keys in a stored graph does not matter. */
function policyOf(policy: Extract<GraphNode, { kind: 'parallel' }>['policy']): Json {
  const fast = 'failFast' in policy && policy.failFast === true;
  switch (policy.kind) {
    case 'critical':
      return [policy.kind, [...policy.ids].sort(), fast];
    case 'atLeast':
      return [policy.kind, policy.count, fast];
    default:
      return [policy.kind, fast];
  }
}
