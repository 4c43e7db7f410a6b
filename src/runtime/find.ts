/**
 * Finding a task's code by ids alone, where a run's own process is another one: in worker threads, in workers.
 *
 * Owns: the way from the names of a task to what this process has loaded. Does not own: what happens where there is nothing.
 *
 * Invariants
 * 1. An answer is never a guess: two workflows or two tasks of one id are `ambiguous`.
 * 2. What was loaded once stays: the registry's references are weak, and a module need not export what it defines.
 * 3. A workflow that is embedded in one that is not known here is found by its own id, and everything that is said of its
 *    nodes carries the outer path.
 */
import type { GraphNode, NodeId } from '../core/graph.ts';
import type { Definition, TaskImplementation } from '../define/definition.ts';
import { findTask, findWorkflow, knownIds } from '../define/registry.ts';
import type { TaskName } from '../ports.ts';
import { WorkflowCode } from './code.ts';
import type { Resolved } from './invocation.ts';

/** A task's code, and the way from its steps to nodes of the run's graph. */
export interface FoundTask {
  readonly implementation: TaskImplementation;
  resolve(step: object): Resolved;
}

export type Missing = { readonly missing: 'workflow' } | { readonly missing: 'node'; readonly code: WorkflowCode; readonly node: NodeId } | { readonly missing: 'ambiguous'; readonly workflow: string };

export class TaskFinder {
  readonly #codes = new Map<string, WorkflowCode>();
  readonly #strays = new Map<string, WorkflowCode>();
  readonly #kept = new Set<object>();

  /** Holds on to everything that is loaded by now. */
  keep(): void {
    for (const id of knownIds('workflows')) this.#keep(findWorkflow(id));
    for (const id of knownIds('tasks')) this.#keep(findTask(id));
  }

  /** `declared` is false for a step that the workflow's graph does not have: the run met it on its way. */
  find(name: TaskName, embedded: readonly TaskName[], declared: boolean): FoundTask | Missing {
    for (const known of [name, ...embedded]) {
      const code = this.codeOf(known.workflow);
      if (code === 'ambiguous') return { missing: 'ambiguous', workflow: known.workflow };
      if (code === undefined) continue;
      const implementation = implementationOf(code, known.node, declared);
      if (implementation === undefined) return { missing: 'node', code, node: known.node };
      const path = name.node.slice(0, name.node.length - known.node.length);
      return { implementation, resolve: (step) => outside(path, code.resolve(step, known.node)) };
    }
    return declared ? { missing: 'workflow' } : this.stray(name);
  }

  /** The task by its own id, whatever workflow it is in. */
  stray({ workflow, node }: TaskName): FoundTask | Missing {
    const code = this.#strayCode(workflow);
    const implementation = implementationOf(code, node, false);
    return implementation === undefined ? { missing: 'workflow' } : { implementation, resolve: (step) => code.resolve(step, node) };
  }

  codeOf(workflow: string): WorkflowCode | 'ambiguous' | undefined {
    const known = this.#codes.get(workflow);
    if (known !== undefined) return known;
    const step = findWorkflow(workflow);
    if (typeof step !== 'object') return step;
    this.keep();
    const code = new WorkflowCode(step.definition);
    this.#codes.set(workflow, code);
    return code;
  }

  /** For steps where the workflow around them is not known: to such a step, every other is one too. */
  #strayCode(workflow: string): WorkflowCode {
    let code = this.#strays.get(workflow);
    if (code === undefined) {
      const graph = { format: 'taskchart/graph', version: 1, workflow, root: '', uses: [], nodes: {} } as const;
      const nothing: Definition = { graph, graphHash: '', tasks: new Map(), policies: new Map(), settings: new Map(), signals: new Map(), targetOf: () => undefined };
      code = new WorkflowCode(nothing);
      this.#strays.set(workflow, code);
    }
    return code;
  }

  #keep(step: object | 'ambiguous' | undefined): void {
    if (typeof step === 'object') this.#kept.add(step);
  }
}

/** The names of `outer/inner/task` in the embedded workflows around it, outermost first. */
export function embeddedNames(nodeOf: (id: NodeId) => GraphNode | undefined, node: NodeId): readonly TaskName[] {
  const names: TaskName[] = [];
  for (let slash = node.indexOf('/'); slash >= 0; slash = node.indexOf('/', slash + 1)) {
    const scope = nodeOf(node.slice(0, slash));
    if (scope?.kind === 'scope' && scope.workflow !== undefined) names.push({ workflow: scope.workflow, node: node.slice(slash + 1) });
  }
  return names;
}

/** A step that the run met on its way is known by its own id, or that of the workflow that it is. */
function implementationOf(code: WorkflowCode, node: NodeId, declared: boolean): TaskImplementation | undefined {
  if (!declared && code.implementation(node) === undefined) code.loadById(node.split('/', 1)[0] ?? node);
  return code.implementation(node);
}

function outside(path: string, { node, fragments }: Resolved): Resolved {
  return fragments === undefined ? { node: `${path}${node}` } : { node, fragments };
}
