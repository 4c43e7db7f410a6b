/** When a group counts as a success: the option, what it does to the output's type, and its checks. */
import { DefinitionError } from '../core/errors.ts';
import type { PolicyFunction, PolicyPlan } from '../core/graph.ts';
import { badOption, booleanOption, integerOption, nearestName, oneOfOption, optionsObject } from '../core/options.ts';
import { preview } from '../core/preview.ts';

/** Policies that name no member. */
export type GroupPolicy =
  | 'strict'
  | 'bestEffort'
  | { readonly atLeast: number; readonly failFast?: boolean }
  | { readonly failFast: boolean }
  | PolicyFunction;

export type Policy<Ids extends string> = GroupPolicy | { readonly critical: readonly Ids[]; readonly failFast?: boolean };

/** What is left of the outputs `O`: those that the policy does not insist on become optional. */
export type ApplyPolicy<O, P> = P extends 'strict'
  ? O
  : P extends { readonly critical: readonly (infer C)[] }
    ? Pick<O, C & keyof O> & Partial<Omit<O, C & keyof O>>
    : P extends 'bestEffort' | { readonly atLeast: number } | PolicyFunction
      ? Partial<O>
      : O;

/** True where every member must have succeeded. */
export type IsStrict<P> = P extends 'strict' ? true : P extends 'bestEffort' | { readonly atLeast: number } | PolicyFunction ? false : true;

export interface CheckedPolicy {
  readonly plan: PolicyPlan;
  readonly run?: PolicyFunction;
}

export const strictPolicy: PolicyPlan = Object.freeze({ kind: 'strict' });

/** Checks what `withPolicy` was given. `ids` are the members' ids; `undefined` where the members are only known at run time. */
export function checkPolicy(where: string, given: unknown, ids: readonly string[] | undefined): CheckedPolicy {
  if (given === 'strict') return { plan: strictPolicy };
  if (given === 'bestEffort') return { plan: { kind: 'bestEffort' } };
  if (typeof given === 'function') return { plan: { kind: 'custom' }, run: given as PolicyFunction };
  if (typeof given === 'string') oneOfOption(where, given, ['strict', 'bestEffort']);
  const names = ids === undefined ? ['atLeast', 'failFast'] : ['critical', 'atLeast', 'failFast'];
  const { critical, atLeast, failFast } = optionsObject(where, given, names);
  if (critical !== undefined && atLeast !== undefined) throw badOption(where, given, 'either { critical } or { atLeast }');
  if (failFast !== undefined) booleanOption(`${where}.failFast`, failFast);
  const fast: { failFast?: true } = failFast === true ? { failFast: true } : {};
  if (critical !== undefined) return { plan: { kind: 'critical', ids: checkCritical(where, critical, ids ?? []), ...fast } };
  if (atLeast !== undefined) return { plan: { kind: 'atLeast', count: checkCount(where, atLeast, ids), ...fast } };
  if (failFast === undefined) throw badOption(where, given, '"strict", "bestEffort", { critical }, { atLeast }, { failFast } or a function');
  return { plan: { kind: 'strict', ...fast } };
}

function checkCritical(where: string, given: unknown, ids: readonly string[]): readonly string[] {
  if (!Array.isArray(given) || given.length === 0) throw badOption(`${where}.critical`, given, 'an array of member ids');
  const known = new Set(ids);
  for (const id of given) {
    if (known.has(id)) continue;
    const nearest = typeof id === 'string' ? nearestName(id, ids) : undefined;
    throw new DefinitionError('definition/bad-policy', `${where}.critical names ${preview(id, 60)}, which is no member of the group.`, {
      hint: nearest === undefined ? `Members: ${preview(ids.join(', '))}.` : `Did you mean ${nearest}?`,
      details: { option: `${where}.critical`, id: preview(id, 60) },
    });
  }
  return Object.freeze([...new Set(given)]);
}

function checkCount(where: string, given: unknown, ids: readonly string[] | undefined): number {
  const count = integerOption(`${where}.atLeast`, given, 1);
  if (ids === undefined || count <= ids.length) return count;
  throw new DefinitionError('definition/bad-policy', `${where}.atLeast asks for ${count} successes, but the group has ${ids.length} members.`, {
    hint: `Ask for at most ${ids.length}.`,
    details: { option: `${where}.atLeast`, atLeast: count, members: ids.length },
  });
}
