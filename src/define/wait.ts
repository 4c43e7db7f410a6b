/**
 * `waitFor` and `sleep`: steps that park the run.
 *
 * Owns: the steps and their types. Does not own: timers and the delivery of signals.
 *
 * Invariants
 * 1. A wait's output is the signal's value, and not its input.
 * 2. A sleep's output is its input; the types carry it through (`Passed` in step.ts).
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { checkId } from '../core/ids.ts';
import type { Json } from '../core/json-type.ts';
import { durationOption, optionsObject } from '../core/options.ts';
import { checkSchema } from './contract.ts';
import { BaseStep } from './flow.ts';
import type { Flow, Links, TaskFunction } from './links.ts';
import { stepBrand, type SleepSpec, type WaitSpec } from './spec.ts';
import type { OutputOf, Passed, Step } from './step.ts';
import type { TaskOptions } from './task-options.ts';

export interface WaitOptions<S extends StandardSchemaV1> {
  /** Checks the signal's value; also gives the step its output type. */
  readonly schema?: S;
  /** Milliseconds. The step fails when no signal came in time. Default: no limit. */
  readonly timeout?: number;
}

export interface Wait<Id extends string, out O> extends Step<unknown, O, Id>, Links<unknown, O, Id> {
  readonly kind: 'wait';
  readonly id: Id;
  readonly signal: string;
  /** A second wait for the same signal, under another id. */
  as<const Id2 extends string>(id: Id2): Wait<Id2, O>;
}

/**
 * Parks the run until the signal `name` arrives; its value is the output. Nothing behind it runs before that.
 *
 * @example waitFor('approval', { schema: z.object({ by: z.string() }), timeout: 86_400_000 })
 */
export function waitFor<const Name extends string, S extends StandardSchemaV1 = StandardSchemaV1<Json | undefined>>(
  name: Name,
  options: WaitOptions<S> = {},
): Wait<Name, StandardSchemaV1.InferOutput<S>> {
  checkId('signal', name);
  const { schema, timeout } = optionsObject(`waitFor "${name}"`, options, ['schema', 'timeout']);
  return new WaitStep(
    {
      kind: 'wait',
      id: name,
      signal: name,
      timeoutMs: timeout === undefined ? undefined : durationOption(`waitFor "${name}".timeout`, timeout, 1),
      schema: schema === undefined ? undefined : checkSchema(`waitFor "${name}".schema`, schema),
    },
    name,
  );
}

class WaitStep<Id extends string, out O> extends BaseStep<unknown, O, Id> implements Wait<Id, O> {
  readonly kind = 'wait';
  readonly id: Id;
  readonly signal: string;

  constructor(spec: WaitSpec, id: Id) {
    super(spec);
    this.id = id;
    this.signal = spec.signal;
    Object.freeze(this);
  }

  as<const Id2 extends string>(id: Id2): Wait<Id2, O> {
    return new WaitStep({ ...(this[stepBrand] as WaitSpec), id: checkId('wait', id) }, id);
  }
}

/** Hands its input on, later. */
export interface Sleep<out K extends string> extends Step<unknown, Passed, K> {
  readonly kind: 'sleep';
  as<const Id extends string>(id: Id): Sleep<Id>;
  to<I2, O2, K2 extends string>(next: Step<I2, O2, K2>): Flow<I2, O2, K2>;
  to<const Id extends string, R, I2 = unknown>(id: Id, run: TaskFunction<I2, R>, options?: TaskOptions): Flow<I2, OutputOf<R>, Id>;
}

/** Parks the run for a time and hands the input on. The clock counts while nobody runs it: a resumed run waits only for the rest. */
export function sleep(delayMs: number): Sleep<never> {
  return sleepStep<never>({ kind: 'sleep', delayMs: durationOption('sleep', delayMs) });
}

function sleepStep<K extends string>(spec: SleepSpec): Sleep<K> {
  return new SleepStep<K>(spec) as unknown as Sleep<K>;
}

class SleepStep<out K extends string> extends BaseStep<unknown, Passed, K> {
  readonly kind = 'sleep';

  constructor(spec: SleepSpec) {
    super(spec);
    Object.freeze(this);
  }

  as<const Id extends string>(id: Id): Sleep<Id> {
    return sleepStep<Id>({ ...(this[stepBrand] as SleepSpec), id: checkId('sleep', id) });
  }
}
