/** The real clock, randomness and ids: what every platform with a JavaScript engine has. */
import { customAlphabet } from 'nanoid';
import type { Clock, Environment, Random } from '../ports.ts';

/** The longest delay that a platform timer takes: it fires a longer one at once. */
const LONGEST_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, fire, background = false) {
    let timer: ReturnType<typeof setTimeout>;
    const arm = (left: number): void => {
      timer = setTimeout(() => (left > LONGEST_MS ? arm(left - LONGEST_MS) : fire()), Math.min(left, LONGEST_MS));
      if (background && typeof timer === 'object') (timer as { unref?: () => void }).unref?.();
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  },
  soon: typeof setImmediate === 'function' ? soonByImmediate : soonByMessage(),
};

export const systemRandom: Random = { next: () => Math.random() };

/** Letters and digits only: a run id may be a file's name, and must not look like a flag. 21 of them hold 125 bits. */
const newId = customAlphabet('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', 21);

/** Timers, sockets and `kill` work; worker threads do not (see adapters/threads). */
export const systemEnvironment: Environment = { clock: systemClock, random: systemRandom, newId, owner: thisProcess(), backends: {} };

/** Host and process, as far as the platform tells; asked for without an import, so that browsers can load this file. */
function thisProcess(): Environment['owner'] {
  const node = (globalThis as { readonly process?: { readonly pid?: number; readonly getBuiltinModule?: (name: string) => { readonly hostname?: () => string } | undefined } }).process;
  return { host: node?.getBuiltinModule?.('node:os')?.hostname?.() ?? 'unknown', pid: node?.pid ?? 0 };
}

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
