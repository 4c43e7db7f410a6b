/** The part of a workflow that is a definition: compiled at once, placed like any step. Running it belongs to the run time. */
import type { Graph } from '../core/graph.ts';
import { checkId } from '../core/ids.ts';
import { optionsObject, badOption } from '../core/options.ts';
import { compile } from './compile.ts';
import type { Definition } from './definition.ts';
import { describe } from './describe.ts';
import { BaseStep, FlowStep } from './flow.ts';
import type { Flow } from './links.ts';
import { mermaid } from './mermaid.ts';
import { registerWorkflow } from './registry.ts';
import type { WorkflowSpec } from './spec.ts';
import type { AnyStep } from './step.ts';

export interface WorkflowOptions {
  /** Steps that only `goto` and `nextTask` reach. */
  readonly uses?: readonly AnyStep[];
  readonly description?: string;
}

/**
 * A compiled graph with an id. As a step inside another workflow its nodes become `id/inner`, in a scope of their own.
 *
 * A subclass freezes itself when its own fields are set.
 */
export abstract class WorkflowStep<Id extends string, in I, out O> extends BaseStep<I, O, Id> {
  readonly kind = 'workflow';
  readonly id: Id;
  readonly description: string | undefined;
  readonly definition: Definition;

  constructor(id: Id, root: AnyStep, options: WorkflowOptions = {}) {
    checkId('workflow', id);
    const { uses, description } = checkOptions(id, options);
    const definition = compile(id, root, uses);
    super({ kind: 'workflow', id, definition });
    this.id = id;
    this.description = description;
    this.definition = definition;
    registerWorkflow(this);
  }

  /** The plain JSON graph. */
  get graph(): Graph {
    return this.definition.graph;
  }

  /** A second instance of this workflow as a step, under another id. */
  as<const Id2 extends string>(id: Id2): Flow<I, O, Id2> {
    const spec: WorkflowSpec = { kind: 'workflow', id: checkId('workflow', id), definition: this.definition };
    return new FlowStep(spec);
  }

  /** The graph as an indented outline. */
  describe(): string {
    return describe(this.definition.graph);
  }

  /** The graph as a Mermaid flowchart. */
  mermaid(): string {
    return mermaid(this.definition.graph);
  }
}

function checkOptions(id: string, given: unknown): { uses: readonly unknown[]; description: string | undefined } {
  const where = `workflow "${id}"`;
  const { uses = [], description } = optionsObject(where, given, ['uses', 'description']);
  if (!Array.isArray(uses)) throw badOption(`${where}.uses`, uses, 'an array of steps');
  if (description !== undefined && typeof description !== 'string') throw badOption(`${where}.description`, description, 'a string');
  return { uses, description };
}
