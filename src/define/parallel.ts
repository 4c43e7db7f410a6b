/** `parallel`: steps that get the same input and run side by side. */
import { DefinitionError } from '../core/errors.ts';
import { GroupStep, parallelSpec } from './flow.ts';
import type { Group } from './links.ts';
import { keyOf, needSpec, type MemberSpec } from './spec.ts';
import type { AnyStep, Pretty, StepInput, StepKey, StepOutput, Through } from './step.ts';

/** The input that satisfies every member: the intersection of theirs. */
type GroupInput<M extends readonly AnyStep[]> = (M[number] extends infer T ? (T extends AnyStep ? (input: StepInput<T>) => void : never) : never) extends (
  input: infer X,
) => void
  ? X
  : never;

type GroupOutputs<M extends readonly AnyStep[]> = { [T in M[number] as StepKey<T>]: Through<StepOutput<T>, GroupInput<M>> };

/** Demanded of a member that has no id. */
interface NeedsId {
  readonly 'a member of a group needs an id: name it with .as("id")': never;
}
type MemberCheck<S> = [StepKey<S>] extends [never] ? NeedsId : unknown;

/**
 * Runs the members side by side, all with the same input. The output is an object keyed by member id: a task's own id, the id
 * of a sequence's last step, or the name given by `.as('name')`.
 */
export function parallel<const M extends readonly AnyStep[]>(...members: { readonly [X in keyof M]: M[X] & MemberCheck<M[X]> }): Group<GroupOutputs<M>, GroupInput<M>, Pretty<GroupOutputs<M>>, never> {
  return new GroupStep(parallelSpec('parallel', memberSpecs(members)));
}

function memberSpecs(steps: readonly unknown[]): readonly MemberSpec[] {
  const seen = new Map<string, number>();
  return steps.map((given, index) => {
    const step = needSpec(given, `Member ${index + 1} of parallel`);
    const id = keyOf(step);
    if (id === undefined) {
      throw new DefinitionError('definition/unnamed-member', `Member ${index + 1} of parallel ends with a group or a sleep and has no id, so its output has no key.`, {
        hint: "Name it: .as('id').",
      });
    }
    const other = seen.get(id);
    if (other !== undefined) {
      throw new DefinitionError('definition/duplicate-id', `Members ${other + 1} and ${index + 1} of parallel both have the id "${id}".`, {
        hint: "Give one of them another id: .as('otherId').",
        details: { id },
      });
    }
    seen.set(id, index);
    return { id, step };
  });
}
