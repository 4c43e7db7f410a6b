/**
 * The objects behind `Links`: what `.to`, `.fork`, `.recover` and `.as` make.
 *
 * Owns: BaseStep (every step extends it), flows and groups as objects. Does not own: their types (links.ts), their data (spec.ts).
 *
 * Invariants
 * 1. Every step is frozen, and every method gives a new one.
 * 2. No step has a `then`: an object that has one is awaited by accident.
 * 3. Every method costs the same however long the flow is.
 */
import { DefinitionError } from '../core/errors.ts';
import { checkId } from '../core/ids.ts';
import type { TaskFailure } from './context.ts';
import { checkExecution, defaultExecution, type ExecutionOptions } from './execution.ts';
import type { BranchOutputs, Branches, Flow, Group, Links, TaskFunction } from './links.ts';
import { checkPolicy, strictPolicy } from './policy.ts';
import { needSpec, stepBrand, type GroupSpec, type MemberSpec, type ParallelSpec, type Spec, type TaskSpec } from './spec.ts';
import type { OutputOf, Step, StepKind, Through } from './step.ts';
import { checkTaskOptions, type TaskOptions } from './task-options.ts';

/** What all steps share. */
export abstract class BaseStep<in I, out O, out K extends string> implements Step<I, O, K>, Links<I, O, K> {
  abstract readonly kind: StepKind;
  declare readonly '~input'?: ((value: I) => void) | undefined;
  declare readonly '~output'?: (() => O) | undefined;
  declare readonly '~key'?: (() => K) | undefined;
  readonly [stepBrand]: Spec;

  constructor(spec: Spec) {
    this[stepBrand] = spec;
  }

  to<O2, K2 extends string>(next: Step<O, O2, K2>): Flow<I, Through<O2, O>, K2>;
  to<const Id extends string, R>(id: Id, run: TaskFunction<O, R>, options?: TaskOptions): Flow<I, OutputOf<R>, Id>;
  to(next: unknown, run?: unknown, options?: unknown): unknown {
    const last = typeof next === 'string' || run !== undefined ? taskSpec(next, run, options) : needSpec(next, '.to(step)');
    return new FlowStep({ kind: 'chain', previous: this[stepBrand], last });
  }

  fork<B>(branches: Branches<O, B>): Group<BranchOutputs<B>, I, BranchOutputs<B>, never> {
    return new GroupStep<never, I, never, never>(forkSpec(branches), this[stepBrand]) as never;
  }

  recover<R>(id: string, handler: TaskFunction<TaskFailure<I>, R>, options?: TaskOptions): Flow<I, O | OutputOf<R>, K> {
    return new FlowStep({ kind: 'recover', body: this[stepBrand], handler: taskSpec(id, handler, options) });
  }
}

/** A sequence, or a step with a `recover`. */
export class FlowStep<in I, out O, out K extends string> extends BaseStep<I, O, K> implements Flow<I, O, K> {
  readonly kind = 'flow';

  constructor(spec: Spec) {
    super(spec);
    Object.freeze(this);
  }

  as<const Id extends string>(id: Id): Flow<I, O, Id> {
    return new FlowStep({ kind: 'named', id: checkId('flow', id), body: this[stepBrand] });
  }
}

/** A group, alone or (made by `.fork`) at the end of a chain. */
export class GroupStep<Outs, in I, out O, out K extends string> extends BaseStep<I, O, K> implements Group<Outs, I, O, K> {
  readonly kind: GroupSpec['kind'];
  readonly #group: GroupSpec;
  readonly #previous: Spec | undefined;

  constructor(group: GroupSpec, previous?: Spec) {
    super(previous === undefined ? group : { kind: 'chain', previous, last: group });
    this.kind = group.kind;
    this.#group = group;
    this.#previous = previous;
    Object.freeze(this);
  }

  as<const Id extends string>(id: Id): Group<Outs, I, O, Id> {
    return new GroupStep({ ...this.#group, id: checkId('group', id) }, this.#previous);
  }

  withExecution(execution: ExecutionOptions): Group<Outs, I, O, K> {
    const { plan, settings } = checkExecution(`${this.#name()}.withExecution`, execution);
    return new GroupStep({ ...this.#group, execution: plan, settings }, this.#previous);
  }

  withPolicy(policy: unknown): never {
    const group = this.#group;
    if (group.kind === 'dag') throw new DefinitionError('definition/bad-policy', 'A dag has no policy: each of its nodes needs the ones before it.', { hint: 'Give single nodes a .recover().' });
    const ids = group.kind === 'parallel' ? group.members.map((member) => member.id) : undefined;
    const { plan, run } = checkPolicy(`${this.#name()}.withPolicy`, policy, ids);
    return new GroupStep({ ...group, policy: plan, policyFunction: run }, this.#previous) as never;
  }

  #name(): string {
    const { id, kind } = this.#group;
    return id === undefined ? kind : `${kind} "${id}"`;
  }
}

/** The data of a task that is written in place. */
export function taskSpec(id: unknown, run: unknown, options: unknown): TaskSpec {
  const checked = checkId('task', id);
  if (typeof run !== 'function') {
    throw new DefinitionError('definition/not-a-step', `Task "${checked}" needs a function, but got ${run === null ? 'null' : typeof run}.`, {
      hint: "Write task('id', (input, ctx) => output).",
    });
  }
  return { kind: 'task', id: checked, plan: checkTaskOptions(checked, options), run: run as NonNullable<TaskSpec['run']> };
}

function forkSpec(branches: unknown): ParallelSpec {
  if (typeof branches !== 'object' || branches === null || Array.isArray(branches)) {
    throw new DefinitionError('definition/not-a-step', '.fork needs an object of functions: { id: (input, ctx) => output }.');
  }
  const members = Object.entries(branches).map(([id, run]) => ({ id, step: taskSpec(id, run, undefined) }));
  return parallelSpec('fork', members);
}

/** The data of a parallel group with the default policy and execution. */
export function parallelSpec(what: string, members: readonly MemberSpec[]): ParallelSpec {
  if (members.length === 0) {
    throw new DefinitionError('definition/empty-group', `A ${what} group needs at least one member.`);
  }
  return { kind: 'parallel', members, policy: strictPolicy, execution: defaultExecution };
}
