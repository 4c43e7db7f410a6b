/** Lets people watch a run without being able to stop it. */
import type { InspectionEvent, Observer } from 'xstate';

export type Inspect = Observer<InspectionEvent> | ((event: InspectionEvent) => void);

/**
 * XState calls `inspect` in the midst of delivering events, and what it throws leaves an actor deaf for good. So a watcher
 * that throws is reported once to the console, and not called again.
 */
export function harmless(inspect: Inspect): Observer<InspectionEvent> {
  let watching = true;
  return {
    next(event) {
      if (!watching) return;
      try {
        if (typeof inspect === 'function') inspect(event);
        else inspect.next?.(event);
      } catch (thrown) {
        watching = false;
        console.error('taskchart: `inspect` threw and is not called any more:', thrown);
      }
    },
  };
}
