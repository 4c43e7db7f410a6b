/** Trying again where that can help. Only for what is safe to repeat. */
import { setTimeout as pause } from 'node:timers/promises';
import { isTaskchartError, type TransportError } from '../../core/errors.ts';

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1000;

/** Rejects with the last error when `patienceMs` have passed, and at once with one that trying again cannot mend. */
export async function withPatience<T>(patienceMs: number, work: () => Promise<T>): Promise<T> {
  const until = Date.now() + patienceMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await work();
    } catch (thrown) {
      if (!isTransient(thrown) || Date.now() + pauseMs > until) throw thrown;
      await pause(pauseMs);
    }
  }
}

function isTransient(thrown: unknown): boolean {
  return isTaskchartError(thrown) && thrown.name === 'TransportError' && (thrown as TransportError).retryable;
}
