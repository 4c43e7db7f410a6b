/** A compiled workflow: the plain graph, and beside it what no JSON can carry, found by node id. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Fragment, Graph, NodeId, PolicyFunction } from '../core/graph.ts';
import type { BackendSettings } from './execution.ts';

/** A task's code. Live: `contract().implement()` fills `run` later. */
export interface TaskImplementation {
  /** The task's own id, without the path of an embedded workflow. */
  readonly id: string;
  readonly run?: (input: never, ctx: never) => unknown;
  readonly input?: StandardSchemaV1;
  readonly output?: StandardSchemaV1;
}

/** Everything of a graph that is not data. */
export interface Live {
  readonly tasks: ReadonlyMap<NodeId, TaskImplementation>;
  readonly policies: ReadonlyMap<NodeId, PolicyFunction>;
  /** Backend configurations of groups. They may hold secrets. */
  readonly settings: ReadonlyMap<NodeId, BackendSettings>;
  /** Schemas of the values that waits expect. */
  readonly signals: ReadonlyMap<NodeId, StandardSchemaV1>;
}

export interface Definition extends Live {
  readonly graph: Graph;
  /** Of the structure only; computed when first asked for. */
  readonly graphHash: string;
  /** The input schema of the first task, where it is a contract. */
  readonly inputSchema?: StandardSchemaV1 | undefined;
  /**
   * Where a step object stands in this graph. With `from`, the id of the node that asks: inside an embedded workflow, its own
   * steps are looked up first.
   */
  targetOf(step: object, from?: NodeId): NodeId | undefined;
}

/** A step that is added to a run while it runs. */
export interface CompiledFragment extends Live {
  readonly fragment: Fragment;
  /** As in a definition, for steps of the fragment alone. */
  targetOf(step: object, from?: NodeId): NodeId | undefined;
}
