/**
 * A workflow's code, as far as runs need it: the definition, and the steps that runs met without it declaring them.
 *
 * Owns: finding nodes, implementations, policies and backend settings by node id. Does not own: any state of a run. All
 * runs of a workflow share one definition; a step that no graph declares may be another in each run, so each run looks
 * among its own first (`forRun`).
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { DefinitionError, GraphMismatchError } from '../core/errors.ts';
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

  readonly #shared: WorkflowCode | undefined;

  constructor(definition: Definition, shared?: WorkflowCode) {
    this.definition = definition;
    this.#shared = shared;
  }

  /** The same code for one run: what that meets on its way is not taken from another run under the same id. */
  forRun(): WorkflowCode {
    return new WorkflowCode(this.definition, this);
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
    const node = this.#besides(step, from) ?? this.definition.targetOf(step, from);
    if (node !== undefined) return { node };
    const { fragment } = this.#load(step);
    return { node: fragment.entry, fragments: { [fragment.entry]: fragment } };
  }

  /** Among the steps of the fragment that asks. */
  #besides(step: object, from: NodeId): NodeId | undefined {
    if (this.definition.graph.nodes[from] !== undefined) return undefined;
    return this.#inFragments((compiled) => (compiled.fragment.nodes[from] === undefined ? undefined : compiled.targetOf(step, from)));
  }

  /**
   * Loads the code of fragments that came with a snapshot or from a thread, by their ids. Unknown ones are left out; one
   * whose graph is another now is refused, as the run stands in the old one.
   */
  restore(fragments: Readonly<Record<string, Fragment>>): void {
    for (const [id, fragment] of Object.entries(fragments)) {
      if (!this.#fragments.has(id)) {
        const step = fragment.nodes[id]?.kind === 'task' ? findTask(id) : findWorkflow(id);
        if (typeof step === 'object') this.#load(step);
      }
      const known = this.#fragments.get(id)?.compiled.fragment;
      if (known !== undefined && JSON.stringify(known) !== JSON.stringify(fragment)) throw fragmentMismatch(this.workflow, id);
    }
  }

  /** Loads a step by its id alone: where it is executed for a run that holds its graph. */
  loadById(id: string): void {
    if (this.#fragments.has(id)) return;
    const step = findTask(id) ?? findWorkflow(id);
    if (typeof step === 'object') this.#load(step);
  }

  #compiled(step: object): CompiledFragment | undefined {
    for (const loaded of this.#fragments.values()) if (loaded.step === step) return loaded.compiled;
    return undefined;
  }

  #load(step: object): CompiledFragment {
    const own = this.#compiled(step);
    if (own !== undefined) return own;
    const compiled = this.#fromShared((shared) => shared.#compiled(step)) ?? compileFragment(step);
    const id = compiled.fragment.entry;
    const known = this.#fragments.get(id)?.compiled;
    const another = known !== undefined && JSON.stringify(known.fragment) !== JSON.stringify(compiled.fragment);
    if (another || Object.keys(compiled.fragment.nodes).some((node) => this.definition.graph.nodes[node] !== undefined)) {
      throw new DefinitionError('definition/ambiguous-step', `a task of workflow "${this.workflow}" steers to a step "${id}", but the run already knows another step of that id`, {
        hint: `give one of them another id: .as('otherId'), or declare it: workflow(id, root, { uses: [step] })`,
      });
    }
    this.#fragments.set(id, { step, compiled });
    this.#fromShared((shared) => shared.#fragments.set(id, { step, compiled }));
    return compiled;
  }

  #inFragments<T>(find: (compiled: CompiledFragment) => T | undefined): T | undefined {
    for (const { compiled } of this.#fragments.values()) {
      const found = find(compiled);
      if (found !== undefined) return found;
    }
    return this.#fromShared((shared) => shared.#inFragments(find));
  }

  #fromShared<T>(look: (shared: WorkflowCode) => T | undefined): T | undefined {
    return this.#shared === undefined ? undefined : look(this.#shared);
  }
}

function fragmentMismatch(workflow: string, id: string): GraphMismatchError {
  return new GraphMismatchError('checkpoint/graph-mismatch', `the run of workflow "${workflow}" has met the step "${id}" on its way, which is another in this code now`, {
    hint: 'resume it with the code that stored it; declare such steps, so that migrate can carry a run over: workflow(id, root, { uses: [step] })',
    details: { workflow, step: id },
  });
}
