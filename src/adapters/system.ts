/** The real clock, randomness and ids: what every platform with a JavaScript engine has. */
import { nanoid } from 'nanoid';
import type { Clock, Environment, Random } from '../ports.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
  soon: typeof setImmediate === 'function' ? soonByImmediate : soonByMessage(),
};

export const systemRandom: Random = { next: () => Math.random() };

/** Timers, sockets and `kill` work; worker threads do not (see adapters/threads). */
export const systemEnvironment: Environment = { clock: systemClock, random: systemRandom, newId: () => nanoid(), backends: {} };

function soonByImmediate(run: () => void): () => void {
  const immediate = setImmediate(run);
  return () => clearImmediate(immediate);
}

/** Browsers have no setImmediate, and their timers wait for 4 ms; a message to oneself comes in the next turn. */
function soonByMessage(): Clock['soon'] {
  const waiting = new Set<() => void>();
  let channel: InstanceType<typeof MessageChannel> | undefined;
  const open = (): InstanceType<typeof MessageChannel> => {
    const made = new MessageChannel();
    made.port1.addEventListener('message', () => {
      const now = [...waiting];
      waiting.clear();
      for (const run of now) run();
    });
    made.port1.start();
    return made;
  };
  return (run) => {
    const once = (): void => run();
    waiting.add(once);
    if (waiting.size === 1) (channel ??= open()).port2.postMessage(null);
    return () => waiting.delete(once);
  };
}
