/**
 * From linked steps to a plain graph.
 *
 * Owns: ids of unnamed nodes, the successor of every node, scopes, and what is collected beside the graph. Does not own: the
 * walk (walk.ts), hashing (graph-hash.ts), the checks of single options (made where they were given).
 *
 * Invariants
 * 1. Linear in the number of steps, and without recursion: a chain of a million steps and groups nested a thousand deep compile.
 * 2. The same source gives the same graph: unnamed nodes are numbered in reading order.
 * 3. No graph comes out of a definition that is wrong: the error names the ids and both paths.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { DefinitionError } from '../core/errors.ts';
import type { Graph, GraphNode, NodeId, PolicyFunction } from '../core/graph.ts';
import type { CompiledFragment, Definition, Live, TaskImplementation } from './definition.ts';
import { embedLive, embedNode } from './embed.ts';
import type { BackendSettings } from './execution.ts';
import { hashGraph } from './graph-hash.ts';
import { keyOf, needSpec, type RecoverSpec, type Spec, type TaskSpec } from './spec.ts';
import { childrenOf, findPaths, needsScope, parts } from './walk.ts';

/** Compiles a workflow. `uses` are steps that only `goto` and `nextTask` reach. */
export function compile(workflowId: string, root: unknown, uses: readonly unknown[] = []): Definition {
  const rootSpec = needSpec(root, `The second argument of workflow "${workflowId}"`);
  const extras = uses.map((step, index) => needSpec(step, `Workflow "${workflowId}": uses[${index}]`));
  const compiler = new Compiler(workflowId, [rootSpec, ...extras]);
  compiler.place(rootSpec);
  compiler.emit(rootSpec);
  const added = extras.filter((spec) => compiler.targetOf(spec) === undefined);
  for (const spec of added) {
    compiler.place(spec);
    compiler.emit(spec);
  }
  const graph: Graph = {
    format: 'taskchart/graph',
    version: 1,
    workflow: workflowId,
    root: compiler.entryOf(rootSpec),
    uses: [...new Set(extras.map((spec) => compiler.entryOf(spec)))],
    nodes: compiler.nodes,
  };
  return new CompiledDefinition(graph, compiler);
}

/** Compiles a step that a task steers to and that the graph does not declare. It must have an id of its own. */
export function compileFragment(step: unknown): CompiledFragment {
  const spec = needSpec(step, 'The target of goto or nextTask');
  if (spec.kind !== 'task' && spec.kind !== 'workflow') {
    const name = keyOf(spec);
    throw new DefinitionError('definition/undeclared-step', `A task steers to a ${spec.kind}${name === undefined ? '' : ` ("${name}")`} that no workflow declares.`, {
      hint: 'Declare it: workflow(id, root, { uses: [step] }). Only tasks, contracts and workflows can be added while a run runs.',
    });
  }
  const compiler = new Compiler(spec.id, [spec]);
  compiler.place(spec);
  compiler.emit(spec);
  return { fragment: { entry: compiler.entryOf(spec), nodes: compiler.nodes }, ...live(compiler), targetOf: (target, from) => targetIn(compiler, target, from) };
}

function live(from: Live): Live {
  return { tasks: from.tasks, policies: from.policies, settings: from.settings, signals: from.signals };
}

class CompiledDefinition implements Definition {
  readonly graph: Graph;
  readonly tasks: ReadonlyMap<NodeId, TaskImplementation>;
  readonly policies: ReadonlyMap<NodeId, PolicyFunction>;
  readonly settings: ReadonlyMap<NodeId, BackendSettings>;
  readonly signals: ReadonlyMap<NodeId, StandardSchemaV1>;
  readonly #compiler: Compiler;
  #hash: string | undefined;

  constructor(graph: Graph, compiler: Compiler) {
    this.graph = graph;
    this.tasks = compiler.tasks;
    this.policies = compiler.policies;
    this.settings = compiler.settings;
    this.signals = compiler.signals;
    this.#compiler = compiler;
  }

  get graphHash(): string {
    return (this.#hash ??= hashGraph(this.graph));
  }

  get inputSchema(): StandardSchemaV1 | undefined {
    return this.tasks.get(this.graph.root)?.input;
  }

  targetOf(step: object, from?: NodeId): NodeId | undefined {
    return targetIn(this.#compiler, step, from);
  }
}

/** The steps of the embedded workflow that asks come first. */
function targetIn(compiler: Compiler, step: object, from: NodeId | undefined): NodeId | undefined {
  const inner = from === undefined ? undefined : compiler.innerOf(from);
  const found = inner?.definition.targetOf(step, inner.rest);
  if (inner !== undefined && found !== undefined) return `${inner.id}/${found}`;
  return compiler.targetOf(needSpec(step, 'The target of goto or nextTask'));
}

interface Work {
  readonly spec: Spec;
  readonly next: NodeId | undefined;
  readonly recover: NodeId | undefined;
}

/** One compilation. `place` gives every piece its id, `emit` links the nodes; both walk with a stack of their own. */
class Compiler implements Live {
  readonly nodes: Record<NodeId, GraphNode> = {};
  readonly tasks = new Map<NodeId, TaskImplementation>();
  readonly policies = new Map<NodeId, PolicyFunction>();
  readonly settings = new Map<NodeId, BackendSettings>();
  readonly signals = new Map<NodeId, StandardSchemaV1>();
  readonly #workflow: string;
  readonly #roots: readonly Spec[];
  /** Ids of all node-making pieces but tasks, which are found in `tasks`. */
  readonly #ids = new Map<Spec, NodeId>();
  readonly #others = new Map<NodeId, Spec>();
  readonly #counts = new Map<string, number>();
  readonly #placedRoots: Spec[] = [];
  #flows: Set<Spec> | undefined;

  constructor(workflow: string, roots: readonly Spec[]) {
    this.#workflow = workflow;
    this.#roots = roots;
  }

  place(root: Spec): void {
    const stack: Spec[] = [root];
    for (let spec = stack.pop(); spec !== undefined; spec = stack.pop()) {
      if (spec.kind === 'task') this.#placeTask(spec);
      else if (spec.kind !== 'chain' && spec.kind !== 'list' && spec.kind !== 'named') this.#placeOther(spec);
      const children = childrenOf(spec);
      for (let i = children.length - 1; i >= 0; i--) stack.push(children[i] as Spec);
    }
    this.#placedRoots.push(root);
    this.#flows = undefined;
  }

  #placeTask(spec: TaskSpec): void {
    const other = this.tasks.get(spec.id) ?? this.#others.get(spec.id);
    if (other !== undefined) throw this.#duplicate(spec.id, other === spec);
    this.tasks.set(spec.id, spec);
  }

  #placeOther(spec: Exclude<Spec, TaskSpec>): void {
    if (spec.kind === 'recover' && !needsScope(spec)) return;
    if (this.#ids.has(spec)) throw this.#duplicate(this.#ids.get(spec) as string, true);
    const id = ownId(spec) ?? this.#number(spec.kind === 'recover' ? 'scope' : spec.kind);
    if (this.tasks.has(id) || this.#others.has(id)) throw this.#duplicate(id, false);
    this.#ids.set(spec, id);
    this.#others.set(id, spec);
  }

  #number(kind: string): NodeId {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    return `${kind}@${count}`;
  }

  #duplicate(id: NodeId, same: boolean): DefinitionError {
    const paths = findPaths(this.#workflow, this.#roots, (spec) => (spec.kind === 'task' ? spec.id : (this.#ids.get(spec) ?? ownId(spec))) === id);
    const where = paths.length > 1 ? `: at ${paths[0]} and at ${paths[1]}` : ` (${paths[0] ?? 'unknown place'})`;
    const details = { workflow: this.#workflow, id, paths };
    if (same) {
      return new DefinitionError('definition/duplicate-step', `Workflow "${this.#workflow}": the step "${id}" is placed twice${where}.`, {
        hint: "A step object stands in a workflow once. Make a second instance: step.as('otherId'). To reuse a whole flow, make it a workflow and place that twice.",
        details,
      });
    }
    return new DefinitionError('definition/duplicate-id', `Workflow "${this.#workflow}": two steps have the id "${id}"${where}.`, {
      hint: "Rename one of them, or give it another id: step.as('otherId').",
      details,
    });
  }

  /** The first node of a placed piece. */
  entryOf(spec: Spec): NodeId {
    let at = spec;
    for (;;) {
      if (at.kind === 'task') return at.id;
      if (at.kind === 'chain') at = at.previous;
      else if (at.kind === 'list') at = at.steps[0] as Spec;
      else if (at.kind === 'named' || (at.kind === 'recover' && !needsScope(at))) at = at.body;
      else return this.#ids.get(at) as NodeId;
    }
  }

  /** The entry of a piece if it is placed, else undefined. */
  targetOf(spec: Spec): NodeId | undefined {
    if (spec.kind === 'task') return this.tasks.get(spec.id) === spec ? spec.id : undefined;
    if (this.#ids.has(spec)) return this.#ids.get(spec);
    return this.#placedFlows().has(spec) ? this.entryOf(spec) : undefined;
  }

  /** Flows make no nodes, and a chain has as many of them as steps: they are gathered only when one is asked for. */
  #placedFlows(): Set<Spec> {
    if (this.#flows !== undefined) return this.#flows;
    const flows = new Set<Spec>();
    const stack: Spec[] = [...this.#placedRoots];
    for (let spec = stack.pop(); spec !== undefined; spec = stack.pop()) {
      for (let at = spec; ; at = at.previous) {
        if (at.kind === 'chain' || at.kind === 'list' || at.kind === 'named' || at.kind === 'recover') flows.add(at);
        if (at.kind !== 'chain') break;
      }
      for (const child of childrenOf(spec)) stack.push(child);
    }
    this.#flows = flows;
    return flows;
  }

  /** The embedded workflow that a node belongs to, and the node's id inside it. */
  innerOf(from: NodeId): { readonly id: NodeId; readonly rest: NodeId; readonly definition: Definition } | undefined {
    const slash = from.indexOf('/');
    if (slash < 0) return undefined;
    const id = from.slice(0, slash);
    const spec = this.#others.get(id);
    return spec?.kind === 'workflow' ? { id, rest: from.slice(slash + 1), definition: spec.definition } : undefined;
  }

  emit(root: Spec): void {
    const stack: Work[] = [{ spec: root, next: undefined, recover: undefined }];
    for (let work = stack.pop(); work !== undefined; work = stack.pop()) this.#emitOne(work, stack);
  }

  #emitOne(work: Work, stack: Work[]): void {
    const { spec, next, recover } = work;
    switch (spec.kind) {
      case 'task':
        this.nodes[spec.id] = { kind: 'task', ...base(spec.id, next, recover), ...spec.plan };
        return;
      case 'named':
        stack.push({ spec: spec.body, next, recover });
        return;
      case 'chain':
      case 'list':
        this.#emitParts(parts(spec), next, stack);
        return;
      case 'recover':
        this.#emitRecover(spec, work, stack);
        return;
      default:
        this.#emitNode(spec, this.#ids.get(spec) as NodeId, work, stack);
    }
  }

  #emitParts(steps: readonly Spec[], next: NodeId | undefined, stack: Work[]): void {
    let after = next;
    for (let i = steps.length - 1; i >= 0; i--) {
      const spec = steps[i] as Spec;
      stack.push({ spec, next: after, recover: undefined });
      if (i > 0) after = this.entryOf(spec);
    }
  }

  #emitRecover(spec: RecoverSpec, work: Work, stack: Work[]): void {
    const { next, recover } = work;
    stack.push({ spec: spec.handler, next, recover });
    if (!needsScope(spec)) {
      stack.push({ spec: spec.body, next, recover: spec.handler.id });
      return;
    }
    const id = this.#ids.get(spec) as NodeId;
    this.nodes[id] = { kind: 'scope', ...base(id, next, spec.handler.id), entry: this.entryOf(spec.body) };
    stack.push({ spec: spec.body, next: undefined, recover: undefined });
  }

  #emitNode(spec: Exclude<Spec, { kind: 'task' | 'chain' | 'list' | 'named' | 'recover' }>, id: NodeId, work: Work, stack: Work[]): void {
    const shared = base(id, work.next, work.recover);
    switch (spec.kind) {
      case 'wait':
        this.nodes[id] = { kind: 'wait', ...shared, signal: spec.signal, ...(spec.timeoutMs === undefined ? {} : { timeoutMs: spec.timeoutMs }) };
        if (spec.schema !== undefined) this.signals.set(id, spec.schema);
        return;
      case 'sleep':
        this.nodes[id] = { kind: 'sleep', ...shared, delayMs: spec.delayMs };
        return;
      case 'workflow':
        this.#embed(id, spec.definition, shared);
        return;
      case 'parallel':
        this.nodes[id] = { kind: 'parallel', ...shared, members: spec.members.map(({ id: key, step }) => ({ id: key, entry: this.entryOf(step) })), policy: spec.policy, execution: spec.execution };
        break;
      case 'dag':
        this.nodes[id] = { kind: 'dag', ...shared, members: spec.members.map(({ id: key, step, needs }) => ({ id: key, entry: this.entryOf(step), needs: needs ?? [] })), execution: spec.execution };
        break;
      case 'each':
        this.nodes[id] = { kind: 'each', ...shared, body: this.entryOf(spec.body), ...(spec.batch === undefined ? {} : { batch: spec.batch }), policy: spec.policy, execution: spec.execution };
    }
    if (spec.settings !== undefined) this.settings.set(id, spec.settings);
    if (spec.kind !== 'dag' && spec.policyFunction !== undefined) this.policies.set(id, spec.policyFunction);
    const children = childrenOf(spec);
    for (let i = children.length - 1; i >= 0; i--) stack.push({ spec: children[i] as Spec, next: undefined, recover: undefined });
  }

  #embed(id: NodeId, inner: Definition, shared: ReturnType<typeof base>): void {
    const { graph } = inner;
    this.nodes[id] = { kind: 'scope', ...shared, entry: `${id}/${graph.root}`, workflow: graph.workflow };
    for (const node of Object.values(graph.nodes)) {
      const copy = embedNode(node, id);
      this.nodes[copy.id] = copy;
    }
    embedLive(inner, id, this);
  }
}

function ownId(spec: Spec): string | undefined {
  if (spec.kind === 'chain' || spec.kind === 'list' || spec.kind === 'named') return undefined;
  if (spec.kind === 'recover') return spec.body.kind === 'named' ? spec.body.id : undefined;
  return spec.id;
}

function base(id: NodeId, next: NodeId | undefined, recover: NodeId | undefined): { id: NodeId; next?: NodeId; recover?: NodeId } {
  if (recover !== undefined) return next === undefined ? { id, recover } : { id, next, recover };
  return next === undefined ? { id } : { id, next };
}
