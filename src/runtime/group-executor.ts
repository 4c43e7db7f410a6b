/**
 * Picks the backend on which a group's tasks are executed. Stateless: it decides per call, from the group's plan, and builds
 * what is needed. What a backend itself keeps (a pool of threads, a connection) belongs to whoever made the backend.
 */
import { DefinitionError } from '../core/errors.ts';
import type { GroupNode, NodeId } from '../core/graph.ts';
import type { Backend, Environment, Transport } from '../ports.ts';
import type { WorkflowCode } from './code.ts';

const missing: Readonly<Record<string, string>> = {
  redis: 'this entry of the package has no way to Redis (a browser has none); use the backend "local"',
  threads: 'this entry of the package has no worker threads; use the backend "local"',
};

/** Where the members of a `redis` group are executed. */
export interface RemotePlace {
  readonly transport: Transport;
  readonly queue: string;
  readonly startTimeoutMs: number | undefined;
}

/** The part of a checked `backendConfig` that is no connection. */
interface RemoteSettings {
  readonly queue?: string;
  readonly startTimeoutMs?: number;
}

export const defaultQueue = 'default';

export class GroupExecutor {
  readonly #code: WorkflowCode;
  readonly #environment: Environment;

  constructor(code: WorkflowCode, environment: Environment) {
    this.#code = code;
    this.#environment = environment;
  }

  /** The backend that executes a group's tasks one by one, or nothing where this event loop does, or workers take whole members. */
  backendFor(group: NodeId): Backend | undefined {
    const node = this.#code.node(group) as GroupNode;
    const name = node.execution.backend;
    if (name === 'direct' || name === 'local' || name === 'redis') return undefined;
    const make = this.#environment.backends[name];
    if (make === undefined) throw unavailable(this.#code.workflow, group, name);
    return make(this.#code.settings(group));
  }

  /** Where workers execute the members of a `redis` group. */
  remote(group: NodeId): RemotePlace {
    const { connect } = this.#environment;
    const { backend } = (this.#code.node(group) as GroupNode).execution;
    if (backend !== 'redis') throw movedHere(this.#code.workflow, group, backend);
    if (connect === undefined) throw unavailable(this.#code.workflow, group, 'redis');
    const settings = this.#code.settings(group);
    const { queue = defaultQueue, startTimeoutMs } = (settings ?? {}) as RemoteSettings;
    return { transport: connect(settings), queue, startTimeoutMs };
  }

  /** Where the `redis` groups of the graph are executed: each place once, with all the queues that they name there. */
  remotePlaces(): readonly { readonly transport: Transport; readonly queues: readonly string[] }[] {
    const places = new Map<string, { readonly transport: Transport; readonly queues: string[] }>();
    for (const node of this.#groups()) {
      if (node.execution.backend !== 'redis') continue;
      const { transport, queue } = this.remote(node.id);
      const known = places.get(transport.key);
      if (known === undefined) places.set(transport.key, { transport, queues: [queue] });
      else known.queues.push(queue);
    }
    return [...places.values()];
  }

  /** Refuses a graph before it starts when one of its backends is not to be had here. */
  check(): void {
    for (const { id, execution } of this.#groups()) {
      const { backend } = execution;
      if (backend === 'direct' || backend === 'local') continue;
      const there = backend === 'redis' ? this.#environment.connect : this.#environment.backends[backend];
      if (there === undefined) throw unavailable(this.#code.workflow, id, backend);
    }
  }

  *#groups(): Generator<GroupNode> {
    const { nodes } = this.#code.definition.graph;
    for (const id in nodes) {
      const node = nodes[id];
      if (node !== undefined && 'execution' in node) yield node;
    }
  }
}

/** A restored run stands in a group that workers execute, and the code says by now that it is executed here. The run can be resumed. */
function movedHere(workflow: string, group: NodeId, backend: string): DefinitionError {
  return new DefinitionError('definition/backend-unavailable', `the run has members of group "${group}" of workflow "${workflow}" with workers, but the code executes them on the backend "${backend}" now`, {
    hint: 'resume it with { backend: "redis" } and the settings that it had; runs that reach the group later use the new backend',
    details: { group, backend },
  });
}

function unavailable(workflow: string, group: NodeId, backend: string): DefinitionError {
  return new DefinitionError('definition/backend-unavailable', `group "${group}" of workflow "${workflow}" asks for the backend "${backend}", which is not available here`, {
    hint: missing[backend] ?? 'use the backend "local"',
    details: { group, backend },
  });
}
