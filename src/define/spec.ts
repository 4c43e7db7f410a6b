/**
 * Steps as plain linked data, before they are compiled.
 *
 * Owns: the shapes, the brand that leads from a step object to its data, and small questions about one piece.
 * Does not own: checks of options (each maker's file), flattening (compile.ts).
 *
 * Invariants
 * 1. Data is never changed once made, except that a contract gets its function later.
 * 2. `a.to(b)` adds one link, however long `a` is: the chain is read backwards from its end.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { DefinitionError } from '../core/errors.ts';
import type { ExecutionPlan, PolicyFunction, PolicyPlan } from '../core/graph.ts';
import { preview } from '../core/preview.ts';
import type { Definition } from './definition.ts';
import type { BackendSettings } from './execution.ts';
import type { TaskPlan } from './task-options.ts';

/** The property of every step that holds its data. A registered symbol: two copies of the package understand each other. */
export const stepBrand: unique symbol = Symbol.for('taskchart.step') as never;

export interface TaskSpec {
  readonly kind: 'task';
  readonly id: string;
  readonly plan: TaskPlan;
  readonly run?: (input: never, ctx: never) => unknown;
  readonly input?: StandardSchemaV1;
  readonly output?: StandardSchemaV1;
}
export interface ChainSpec {
  readonly kind: 'chain';
  readonly previous: Spec;
  readonly last: Spec;
}
export interface ListSpec {
  readonly kind: 'list';
  readonly steps: readonly Spec[];
}
/** A name for a flow: the key of its output in a group. Makes no node. */
export interface NamedSpec {
  readonly kind: 'named';
  readonly id: string;
  readonly body: Spec;
}
export interface RecoverSpec {
  readonly kind: 'recover';
  readonly body: Spec;
  readonly handler: TaskSpec;
}
interface GroupSpecBase {
  readonly id?: string | undefined;
  readonly execution: ExecutionPlan;
  readonly settings?: BackendSettings | undefined;
}
interface PolicySpec extends GroupSpecBase {
  readonly policy: PolicyPlan;
  readonly policyFunction?: PolicyFunction | undefined;
}
export interface MemberSpec {
  readonly id: string;
  readonly step: Spec;
  readonly needs?: readonly string[];
}
export interface ParallelSpec extends PolicySpec {
  readonly kind: 'parallel';
  readonly members: readonly MemberSpec[];
}
export interface EachSpec extends PolicySpec {
  readonly kind: 'each';
  readonly body: Spec;
  readonly batch?: number | undefined;
}
export interface DagSpec extends GroupSpecBase {
  readonly kind: 'dag';
  readonly members: readonly MemberSpec[];
}
export interface WaitSpec {
  readonly kind: 'wait';
  readonly id: string;
  readonly signal: string;
  readonly timeoutMs?: number | undefined;
  readonly schema?: StandardSchemaV1 | undefined;
}
export interface SleepSpec {
  readonly kind: 'sleep';
  readonly id?: string | undefined;
  readonly delayMs: number;
}
export interface WorkflowSpec {
  readonly kind: 'workflow';
  readonly id: string;
  readonly definition: Definition;
}

export type GroupSpec = ParallelSpec | EachSpec | DagSpec;
/** Pieces that are no node themselves. */
export type FlowSpec = ChainSpec | ListSpec | NamedSpec;
export type Spec = TaskSpec | FlowSpec | RecoverSpec | GroupSpec | WaitSpec | SleepSpec | WorkflowSpec;

/** True for every step, also for one made by another copy of the package. */
export function isStep(value: unknown): boolean {
  return specOf(value) !== undefined;
}

/** The data of a step object. */
export function specOf(value: unknown): Spec | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as { readonly [stepBrand]?: Spec })[stepBrand];
}

/** The data of what must be a step; `where` says which argument it is. */
export function needSpec(value: unknown, where: string): Spec {
  const spec = specOf(value);
  if (spec !== undefined) return spec;
  const isFunction = typeof value === 'function';
  throw new DefinitionError('definition/not-a-step', `${where} must be a step, but is ${isFunction ? 'a function' : preview(value, 100)}.`, {
    hint: isFunction ? "Give the function an id: task('id', fn)." : 'Steps are made by task, sequence, parallel, each, dag, contract, waitFor, sleep and workflow.',
  });
}

/** The key of a step's output in a group: its name, or the id of what it ends with. */
export function keyOf(spec: Spec): string | undefined {
  let at: Spec | undefined = spec;
  for (;;) {
    if (at === undefined) return undefined;
    if (at.kind === 'chain') at = at.last;
    else if (at.kind === 'list') at = at.steps.at(-1);
    else if (at.kind === 'recover') at = at.body;
    else return at.id;
  }
}
