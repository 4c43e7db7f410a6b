/** Who has failed in a group that failed: its error names them all, also those of the last step, which no context shows. */
import type { ExecutionContext } from '../../machines/index.ts';
import { isJsonArray, type Json } from '../core/json.ts';
import type { JsonObject } from '../core/json-type.ts';
import { isObject, toSerializedError, type SerializedError } from '../core/serialize-error.ts';

/** By the member's place; `indexOf` finds that of a member's id, or -1. */
export function failedMembers({ verdict }: ExecutionContext, group: string, indexOf: (member: string) => number): ReadonlyMap<number, SerializedError> {
  const found = new Map<number, SerializedError>();
  const details = verdict?.kind === 'failed' ? verdict.error.details : undefined;
  const failed = details?.['groupId'] === group ? details['failed'] : undefined;
  if (failed === undefined || !isJsonArray(failed)) return found;
  for (const one of failed as readonly Json[]) {
    if (!isObject(one)) continue;
    const { id, error } = one as JsonObject;
    const index = typeof id === 'string' ? indexOf(id) : -1;
    if (index >= 0) found.set(index, toSerializedError(error));
  }
  return found;
}
