/** `sequence`: one step after the other. */
import { DefinitionError } from '../core/errors.ts';
import { FlowStep } from './flow.ts';
import type { Flow } from './links.ts';
import { needSpec } from './spec.ts';
import type { AnyStep, Passed, Step, StepInput, StepKey, StepOutput } from './step.ts';

/**
 * Each step with the one before it, by one shifted tuple instead of recursion: the compiler's cost stays linear and there is
 * no limit on the length.
 */
type Shifted<S extends readonly AnyStep[]> = readonly [S[0], ...S];
type InputBefore<S extends readonly AnyStep[], K> = K extends '0' ? StepInput<S[0]> : OutputBefore<S, K, StepOutput<Shifted<S>[K & keyof Shifted<S>]>>;
/** A sleep hands on what it gets. What that is, is looked up only where a sleep is met. */
type OutputBefore<S extends readonly AnyStep[], K, O> = IsPassed<O> extends true ? PassedOn<Prefix<S, K>> : O;
type IsPassed<O> = [O] extends [Passed] ? ([Passed] extends [O] ? (0 extends 1 & O ? false : true) : false) : false;
/** The steps before index `K`. */
type Prefix<S extends readonly AnyStep[], K, Done extends readonly AnyStep[] = readonly []> = `${Done['length']}` extends K
  ? Done
  : S extends readonly [infer H extends AnyStep, ...infer T extends AnyStep[]]
    ? Prefix<T, K, readonly [...Done, H]>
    : Done;
/** The output of the last step that is no sleep. */
type PassedOn<S extends readonly AnyStep[]> = S extends readonly [...infer Before extends AnyStep[], infer L]
  ? IsPassed<StepOutput<L>> extends true
    ? PassedOn<Before>
    : StepOutput<L>
  : unknown;

/** Every step itself where it accepts what comes before it, else the step that would be needed there. */
export type SequenceCheck<S extends readonly AnyStep[]> = {
  readonly [K in keyof S]: [InputBefore<S, K>] extends [StepInput<S[K]>] ? S[K] : Step<InputBefore<S, K>, StepOutput<S[K]>>;
};

type LastOf<S extends readonly AnyStep[]> = S extends readonly [...AnyStep[], infer L] ? L : S[number];
type SequenceOutput<S extends readonly AnyStep[]> = IsPassed<StepOutput<LastOf<S>>> extends true ? PassedOn<S> : StepOutput<LastOf<S>>;

/**
 * Runs the steps in order; each gets the output of the one before it.
 *
 * In a group its output is kept under the id of its last step, or under the name given by `.as('name')`.
 */
export function sequence<const S extends readonly AnyStep[]>(...steps: { readonly [K in keyof S]: S[K] & SequenceCheck<S>[K] }): Flow<StepInput<S[0]>, SequenceOutput<S>, StepKey<LastOf<S>>> {
  const given: readonly unknown[] = steps;
  if (given.length === 0) throw new DefinitionError('definition/empty-group', 'A sequence needs at least one step.');
  return new FlowStep({ kind: 'list', steps: given.map((step, index) => needSpec(step, `Argument ${index + 1} of sequence`)) });
}
