/** The real clock, randomness and ids: what every platform with a JavaScript engine has. */
import { nanoid } from 'nanoid';
import type { Clock, Environment, Random } from '../ports.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
  soon: typeof setImmediate === 'function' ? (run) => void setImmediate(run) : soonByMessage(),
};

export const systemRandom: Random = { next: () => Math.random() };

/** Timers, sockets and `kill` work; worker threads do not (see adapters/threads). */
export const systemEnvironment: Environment = { clock: systemClock, random: systemRandom, newId: () => nanoid(), backends: {} };

/** Browsers have no setImmediate, and their timers wait for 4 ms; a message to oneself comes in the next turn. */
function soonByMessage(): Clock['soon'] {
  let waiting: (() => void)[] = [];
  let channel: InstanceType<typeof MessageChannel> | undefined;
  return (run) => {
    waiting.push(run);
    if (waiting.length > 1) return;
    if (channel === undefined) {
      channel = new MessageChannel();
      channel.port1.addEventListener('message', () => {
        const now = waiting;
        waiting = [];
        for (const each of now) each();
      });
      channel.port1.start();
    }
    channel.port2.postMessage(null);
  };
}
