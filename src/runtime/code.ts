/**
 * A workflow's code, as far as runs need it: the definition, and the steps that runs met without it declaring them.
 *
 * Owns: finding nodes, implementations, policies and backend settings by node id. Does not own: any state of a run; all
 * runs of a workflow share one.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { DefinitionError } from '../core/errors.ts';
import type { Fragment, GraphNode, NodeId, PolicyFunction } from '../core/graph.ts';
import { compileFragment } from '../define/compile.ts';
import type { CompiledFragment, Definition, TaskImplementation } from '../define/definition.ts';
import { nodeHash } from '../define/graph-hash.ts';
import { findTask, findWorkflow } from '../define/registry.ts';
import type { Resolved } from './invocation.ts';

interface Loaded {
  readonly step: object;
  readonly compiled: CompiledFragment;
}

/** Above this many nodes a checkpoint holds the graph's hash alone. */
const NODES_LISTED = 5000;

export class WorkflowCode {
  readonly definition: Definition;
  #nodeHashes: Readonly<Record<NodeId, string>> | undefined;
  readonly #fragments = new Map<string, Loaded>();

  constructor(definition: Definition) {
    this.definition = definition;
  }

  /** Hashes of all nodes, for the list of differences in a mismatch; absent for large graphs, which would fill every checkpoint. */
  get nodeHashes(): Readonly<Record<NodeId, string>> | undefined {
    const { nodes } = this.definition.graph;
    const ids = Object.keys(nodes);
    if (ids.length > NODES_LISTED) return undefined;
    return (this.#nodeHashes ??= Object.fromEntries(ids.map((id) => [id, nodeHash(nodes[id] as GraphNode)])));
  }

  get workflow(): string {
    return this.definition.graph.workflow;
  }

  node(id: NodeId): GraphNode | undefined {
    return this.definition.graph.nodes[id] ?? this.#inFragments(({ fragment }) => fragment.nodes[id]);
  }

  implementation(id: NodeId): TaskImplementation | undefined {
    return this.definition.tasks.get(id) ?? this.#inFragments(({ tasks }) => tasks.get(id));
  }

  policy(id: NodeId): PolicyFunction | undefined {
    return this.definition.policies.get(id) ?? this.#inFragments(({ policies }) => policies.get(id));
  }

  signalSchema(id: NodeId): StandardSchemaV1 | undefined {
    return this.definition.signals.get(id) ?? this.#inFragments(({ signals }) => signals.get(id));
  }

  settings(id: NodeId): unknown {
    return this.definition.settings.get(id) ?? this.#inFragments(({ settings }) => settings.get(id));
  }

  /** Where a step that a task names stands. A step that no graph declares becomes a fragment of the run. */
  resolve(step: object, from: NodeId): Resolved {
    const node = this.definition.targetOf(step, from);
    if (node !== undefined) return { node };
    const { fragment } = this.#load(step);
    return { node: fragment.entry, fragments: { [fragment.entry]: fragment } };
  }

  /** Loads the code of fragments that came with a snapshot or from a thread, by their ids. Unknown ones are left out. */
  restore(fragments: Readonly<Record<string, Fragment>>): void {
    for (const id of Object.keys(fragments)) {
      if (this.#fragments.has(id)) continue;
      const step = findTask(id) ?? findWorkflow(id);
      if (typeof step === 'object') this.#load(step);
    }
  }

  #load(step: object): CompiledFragment {
    for (const loaded of this.#fragments.values()) if (loaded.step === step) return loaded.compiled;
    const compiled = compileFragment(step);
    const id = compiled.fragment.entry;
    const known = this.#fragments.get(id)?.compiled;
    const another = known !== undefined && JSON.stringify(known.fragment) !== JSON.stringify(compiled.fragment);
    if (another || Object.keys(compiled.fragment.nodes).some((node) => this.definition.graph.nodes[node] !== undefined)) {
      throw new DefinitionError('definition/ambiguous-step', `a task of workflow "${this.workflow}" steers to a step "${id}", but the run already knows another step of that id`, {
        hint: `give one of them another id: .as('otherId'), or declare it: workflow(id, root, { uses: [step] })`,
      });
    }
    this.#fragments.set(id, { step, compiled });
    return compiled;
  }

  #inFragments<T>(find: (compiled: CompiledFragment) => T | undefined): T | undefined {
    for (const { compiled } of this.#fragments.values()) {
      const found = find(compiled);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
