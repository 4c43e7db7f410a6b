/** A compiled workflow inside another one: every id gets the outer step's id as its path. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { GraphNode, NodeId, PolicyFunction } from '../core/graph.ts';
import type { Live, TaskImplementation } from './definition.ts';
import type { BackendSettings } from './execution.ts';

/** A copy of the node with all its ids inside `outer`. */
export function embedNode(node: GraphNode, outer: NodeId): GraphNode {
  const inside = (id: NodeId): NodeId => `${outer}/${id}`;
  const shared = {
    id: inside(node.id),
    ...(node.next === undefined ? {} : { next: inside(node.next) }),
    ...(node.recover === undefined ? {} : { recover: inside(node.recover) }),
  };
  switch (node.kind) {
    case 'parallel':
      return { ...node, ...shared, members: node.members.map((member) => ({ ...member, entry: inside(member.entry) })) };
    case 'dag':
      return { ...node, ...shared, members: node.members.map((member) => ({ ...member, entry: inside(member.entry) })) };
    case 'each':
      return { ...node, ...shared, body: inside(node.body) };
    case 'scope':
      return { ...node, ...shared, entry: inside(node.entry) };
    case 'task':
    case 'wait':
    case 'sleep':
      return { ...node, ...shared };
  }
}

interface LiveMaps {
  readonly tasks: Map<NodeId, TaskImplementation>;
  readonly policies: Map<NodeId, PolicyFunction>;
  readonly settings: Map<NodeId, BackendSettings>;
  readonly signals: Map<NodeId, StandardSchemaV1>;
}

/** Adds what belongs to the embedded graph. */
export function embedLive(inner: Live, outer: NodeId, into: LiveMaps): void {
  copy(inner.tasks, outer, into.tasks);
  copy(inner.policies, outer, into.policies);
  copy(inner.settings, outer, into.settings);
  copy(inner.signals, outer, into.signals);
}

function copy<T>(from: ReadonlyMap<NodeId, T>, outer: NodeId, into: Map<NodeId, T>): void {
  for (const [id, value] of from) into.set(`${outer}/${id}`, value);
}
