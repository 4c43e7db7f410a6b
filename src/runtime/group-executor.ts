/**
 * Picks the backend on which a group's tasks are executed. Stateless: it decides per call, from the group's plan.
 * What a backend itself needs (a pool of threads) is kept by whoever made the backend, once per configuration.
 */
import { DefinitionError } from '../core/errors.ts';
import type { GroupNode, NodeId } from '../core/graph.ts';
import type { Backend, Environment } from '../ports.ts';
import type { WorkflowCode } from './code.ts';

const missing: Readonly<Record<string, string>> = {
  redis: 'this version has no Redis workers yet; use the backend "local" or "threads"',
  threads: 'this entry of the package has no worker threads; use the backend "local"',
};

export class GroupExecutor {
  readonly #code: WorkflowCode;
  readonly #environment: Environment;

  constructor(code: WorkflowCode, environment: Environment) {
    this.#code = code;
    this.#environment = environment;
  }

  /** The backend of a group, or nothing where this event loop executes its tasks. */
  backendFor(group: NodeId): Backend | undefined {
    const node = this.#code.node(group) as GroupNode;
    const name = node.execution.backend;
    if (name === 'direct' || name === 'local') return undefined;
    const make = this.#environment.backends[name];
    if (make === undefined) throw unavailable(this.#code.workflow, group, name);
    return make(this.#code.settings(group));
  }

  /** Refuses a graph before it starts when one of its backends is not to be had here. */
  check(): void {
    const { nodes } = this.#code.definition.graph;
    for (const id in nodes) {
      const node = nodes[id];
      if (node === undefined || !('execution' in node)) continue;
      const { backend } = node.execution;
      if (backend !== 'direct' && backend !== 'local' && this.#environment.backends[backend] === undefined) throw unavailable(this.#code.workflow, id, backend);
    }
  }
}

function unavailable(workflow: string, group: NodeId, backend: string): DefinitionError {
  return new DefinitionError('definition/backend-unavailable', `group "${group}" of workflow "${workflow}" asks for the backend "${backend}", which is not available here`, {
    hint: missing[backend] ?? 'use the backend "local"',
    details: { group, backend },
  });
}
