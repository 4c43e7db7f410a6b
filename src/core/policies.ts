/** Pure decisions over a finished (or finishing) group's outcomes. */
import type { PolicyFunction, PolicyPlan, MemberResult } from './graph.ts';

/** Counts over the members so far, and lookups that are made only where a policy needs them. */
export interface Tally {
  readonly size: number;
  readonly failed: number;
  readonly hasFailed: (id: string) => boolean;
  readonly results: () => readonly MemberResult[];
}

export type Decision = { readonly ok: true } | { readonly ok: false; readonly reason: string };

const OK: Decision = { ok: true };

/** The verdict on a group all of whose members have an outcome. A policy function that throws counts as "no". */
export function decide(policy: PolicyPlan, tally: Tally, custom: PolicyFunction | undefined): Decision {
  if (policy.kind === 'custom') return custom === undefined ? no('its policy function is not part of this code') : ask(custom, tally);
  if (policy.kind === 'atLeast') {
    const succeeded = tally.size - tally.failed;
    return succeeded >= policy.count ? OK : no(`${succeeded} of ${tally.size} succeeded, at least ${policy.count} needed`);
  }
  return lost(policy, tally) ? no(`${tally.failed} of ${tally.size} failed`) : OK;
}

/** Whether the failures so far already decide against the group, and its policy wants to stop then. */
export function failsFast(policy: PolicyPlan, tally: Tally): boolean {
  return 'failFast' in policy && policy.failFast === true && lost(policy, tally);
}

function lost(policy: PolicyPlan, tally: Tally): boolean {
  switch (policy.kind) {
    case 'strict':
      return tally.failed > 0;
    case 'critical':
      return tally.failed > 0 && policy.ids.some(tally.hasFailed);
    case 'atLeast':
      return tally.size - tally.failed < policy.count;
    case 'bestEffort':
    case 'custom':
      return false;
  }
}

function ask(custom: PolicyFunction, tally: Tally): Decision {
  try {
    const answer = custom(tally.results());
    const ok = typeof answer === 'boolean' ? answer : answer.ok;
    return ok ? OK : no((typeof answer === 'object' ? answer.reason : undefined) ?? 'its policy function said no');
  } catch (thrown) {
    return no(`its policy function threw: ${thrown instanceof Error ? thrown.message : 'something that is no Error'}`);
  }
}

function no(reason: string): Decision {
  return { ok: false, reason };
}
