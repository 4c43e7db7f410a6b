/**
 * A run's events as an async iterable.
 *
 * Owns: keeping what has not been read yet. Invariants
 * 1. It listens from the first `next` on, ends behind the run's last event, and at once where that has been told.
 * 2. Who leaves, also while waiting for the next event, leaves nothing behind.
 */
import type { RunEvent, RunListener } from './observer.ts';

type Result = IteratorResult<RunEvent, undefined>;

const END: Result = { done: true, value: undefined };

export function eventStream(listen: (listener: RunListener) => () => void, isOver: () => boolean): AsyncIterableIterator<RunEvent> {
  let unread: RunEvent[] = [];
  let read = 0;
  let waiting: ((result: Result) => void)[] = [];
  let stop: (() => void) | undefined;
  let ended = false;

  const end = (): void => {
    ended = true;
    stop?.();
    for (const resolve of waiting) resolve(END);
    waiting = [];
  };
  const hear = (event: RunEvent): void => {
    const resolve = waiting.shift();
    if (resolve === undefined) unread.push(event);
    else resolve({ done: false, value: event });
    if (ends(event)) end();
  };
  const take = (): RunEvent | undefined => {
    const event = unread[read];
    if (event === undefined) return undefined;
    read += 1;
    if (read === unread.length) {
      unread = [];
      read = 0;
    }
    return event;
  };

  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const event = take();
      if (event !== undefined) return { done: false, value: event };
      if (ended || isOver()) return END;
      stop ??= listen(hear);
      return new Promise((resolve) => waiting.push(resolve));
    },
    async return() {
      unread = [];
      read = 0;
      end();
      return END;
    },
  };
}

function ends(event: RunEvent): boolean {
  return event.type === 'run.completed' || event.type === 'run.failed' || event.type === 'run.cancelled';
}
