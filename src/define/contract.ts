/**
 * `contract`: a task whose input and output are given by schemas, and whose function may live elsewhere.
 *
 * Owns: the types on both sides of the schemas, and the late function. Does not own: validating values (the run time does, at
 * the task's border).
 *
 * Invariants
 * 1. A contract gets its function once; every instance made by `.as` has it too, also where it came before the function.
 * 2. Callers see the schemas' outside (input of `input`, output of `output`), the function sees the inside.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { DefinitionError } from '../core/errors.ts';
import { checkId } from '../core/ids.ts';
import { optionsObject } from '../core/options.ts';
import { preview } from '../core/preview.ts';
import type { TaskContext } from './context.ts';
import { BaseStep } from './flow.ts';
import type { Links } from './links.ts';
import { registerTask } from './registry.ts';
import { stepBrand, type TaskSpec } from './spec.ts';
import type { Control, Step } from './step.ts';
import { renamed } from './task.ts';
import { checkTaskOptions, type TaskOptions, type TaskPlan } from './task-options.ts';

type In<S extends StandardSchemaV1> = StandardSchemaV1.InferInput<S>;
type Out<S extends StandardSchemaV1> = StandardSchemaV1.InferOutput<S>;

export interface ContractOptions<SI extends StandardSchemaV1, SO extends StandardSchemaV1> extends TaskOptions {
  readonly input: SI;
  readonly output: SO;
}

/** The function behind a contract: it sees the checked input, and what it returns is checked. */
export type ContractFunction<SI extends StandardSchemaV1, SO extends StandardSchemaV1> = (
  input: Out<SI>,
  ctx: TaskContext<In<SI>>,
) => In<SO> | Control | Promise<In<SO> | Control>;

/** Callers give what the input schema accepts, and get what the output schema makes of the result. */
export interface Contract<Id extends string, SI extends StandardSchemaV1, SO extends StandardSchemaV1> extends Step<In<SI>, Out<SO>, Id>, Links<In<SI>, Out<SO>, Id> {
  readonly kind: 'task';
  readonly id: Id;
  /** Gives the contract its function, once. Returns the same contract. */
  implement(run: ContractFunction<SI, SO>): this;
  /** A second instance under another id, with the same function. */
  as<const Id2 extends string>(id: Id2): Contract<Id2, SI, SO>;
}

/**
 * A task known by its schemas alone: graphs can name it before, or without, its code. Breaks type cycles between tasks that
 * steer to each other.
 *
 * @example const agent = contract('agent', { input: z.object({ q: z.string() }), output: z.string() });
 */
export function contract<const Id extends string, SI extends StandardSchemaV1, SO extends StandardSchemaV1>(id: Id, options: ContractOptions<SI, SO>): Contract<Id, SI, SO> {
  checkId('contract', id);
  const { input, output } = optionsObject(`contract "${id}"`, options, ['input', 'output', 'retry', 'timeout', 'maxIterations']);
  const plan = checkTaskOptions(id, options, ['input', 'output']);
  return new ContractStep(new LateTaskSpec(id, plan, checkSchema(`contract "${id}".input`, input), checkSchema(`contract "${id}".output`, output)), id);
}

/** Throws unless the value follows the Standard Schema interface. */
export function checkSchema(where: string, value: unknown): StandardSchemaV1 {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  const standard: unknown = isObject ? (value as Partial<StandardSchemaV1>)['~standard'] : undefined;
  if (typeof standard === 'object' && standard !== null && typeof (standard as { validate?: unknown }).validate === 'function') return value as StandardSchemaV1;
  throw new DefinitionError('definition/bad-schema', `${where} must be a schema, but is ${preview(value, 60)}.`, {
    hint: 'Any library that follows Standard Schema will do: zod, valibot, arktype.',
  });
}

/** The one kind of data that changes: `implement` sets the function. */
class LateTaskSpec implements TaskSpec {
  readonly kind = 'task';
  readonly id: string;
  readonly plan: TaskPlan;
  readonly input: StandardSchemaV1;
  readonly output: StandardSchemaV1;
  run?: NonNullable<TaskSpec['run']>;

  constructor(id: string, plan: TaskPlan, input: StandardSchemaV1, output: StandardSchemaV1) {
    this.id = id;
    this.plan = plan;
    this.input = input;
    this.output = output;
  }
}

class ContractStep<Id extends string, SI extends StandardSchemaV1, SO extends StandardSchemaV1> extends BaseStep<In<SI>, Out<SO>, Id> implements Contract<Id, SI, SO> {
  readonly kind = 'task';
  readonly id: Id;

  constructor(spec: TaskSpec, id: Id) {
    super(spec);
    this.id = id;
    Object.freeze(this);
    registerTask(this);
  }

  implement(run: ContractFunction<SI, SO>): this {
    const spec = this[stepBrand];
    if (!(spec instanceof LateTaskSpec)) {
      throw new DefinitionError('definition/bad-option', `Contract "${this.id}" was made by .as(), so it has the function of the original.`, { hint: 'Implement the original contract.' });
    }
    if (typeof run !== 'function') {
      throw new DefinitionError('definition/bad-option', `contract "${this.id}".implement needs a function, but got ${run === null ? 'null' : typeof run}.`);
    }
    if (spec.run !== undefined) {
      throw new DefinitionError('definition/bad-option', `Contract "${this.id}" is implemented already.`, { hint: 'Implement a contract once, in one module.' });
    }
    spec.run = run as NonNullable<TaskSpec['run']>;
    return this;
  }

  as<const Id2 extends string>(id: Id2): Contract<Id2, SI, SO> {
    return new ContractStep(renamed(this[stepBrand] as TaskSpec, checkId('contract', id)), id);
  }
}
