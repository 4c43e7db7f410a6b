/** What is kept of a unit that was given up. */

/** The list of dead units holds the newest so many. */
export const DEAD_LIMIT = 1000;

/** So much of a unit's text is kept: a unit may be huge. */
export const DEAD_UNIT_LENGTH = 2000;

export const NO_UNIT = 'it is no unit of work: it has no header attempt|run|id';

const LOST = 'every worker that took it was lost before it had finished it (deliveries: ';

export function lostReason(deliveries: number): string {
  return `${LOST}${deliveries})`;
}

/** Its two halves, for the script that counts. */
export const lostReasonParts: readonly [string, string] = [LOST, ')'];

/** Nobody could ever read its result. */
export const NO_RESULTS = 'the key for the results of its run holds something else than a list';

/** One element of the list of dead units, as JSON. */
export interface DeadUnit {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly reason: string;
  /** The worker that had it last. */
  readonly worker: string;
  /** The beginning of its text. */
  readonly unit: string;
  /** How often it was handed out; 0 for what was no unit. */
  readonly deliveries: number;
}
