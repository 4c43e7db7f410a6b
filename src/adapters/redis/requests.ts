/** What every implementation of TaskLists asks of its callers: a request that breaks this is our own bug. */
import { InvariantError } from '../../core/errors.ts';
import type { PushRequest, StepRequest } from '../../ports.ts';

/** No call carries more elements than this. */
export const MOST_ELEMENTS = 1000;

/** So many of the entries that a run has cancelled stay marked, the latest: workers that hold units of it read them in every step. */
export const CANCEL_LIMIT = 1000;

export function checkPush({ units }: PushRequest): void {
  if (units.length > MOST_ELEMENTS) throw new InvariantError('invariant/broken', `A push carries ${units.length} units, more than ${MOST_ELEMENTS}.`);
}

export function checkStep({ worker, slots, acks, claims }: StepRequest): void {
  const named = [...acks.map((ack) => ack.slot), ...claims];
  const wrong = named.find((slot) => !Number.isInteger(slot) || slot < 0 || slot >= slots);
  if (wrong !== undefined) throw new InvariantError('invariant/broken', `Worker ${worker} speaks of slot ${wrong}, and it has ${slots}.`);
}
