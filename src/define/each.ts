/** `each`: one step for every item of an array. */
import { integerOption, optionsObject } from '../core/options.ts';
import { defaultExecution, type ExecutionOptions } from './execution.ts';
import { GroupStep } from './flow.ts';
import type { Flow } from './links.ts';
import { strictPolicy, type GroupPolicy, type IsStrict } from './policy.ts';
import { needSpec } from './spec.ts';
import type { Step, Through } from './step.ts';

export interface EachOptions {
  /** Items per unit of work. Default: 1. */
  readonly batch?: number;
}

/** `Item` is the output for one item; `O` is what the policy makes of all of them. */
export interface Each<in I, Item, out O, out K extends string> extends Flow<I, O, K> {
  as<const Id extends string>(id: Id): Each<I, Item, O, Id>;
  /** Where and how many at a time. Default: `local`, 64 at a time. */
  withExecution(execution: ExecutionOptions): Each<I, Item, O, K>;
  /** When the group counts as a success. Where items may fail, `null` stands in their place. Default: `strict`. */
  withPolicy<const P extends GroupPolicy>(policy: P): Each<I, Item, IsStrict<P> extends true ? Item[] : (Item | null)[], K>;
}

/** Runs the step for every item of the input, side by side. The output has the same order as the input. */
export function each<I, O>(step: Step<I, O>, options: EachOptions = {}): Each<readonly I[], Through<O, I>, Through<O, I>[], never> {
  const body = needSpec(step, 'The argument of each');
  const { batch } = optionsObject('each', options, ['batch']);
  return new GroupStep({
    kind: 'each',
    body,
    batch: batch === undefined ? undefined : integerOption('each.batch', batch, 1),
    policy: strictPolicy,
    execution: defaultExecution,
  }) as never;
}
