/**
 * What goes wrong in a seed: named points, and what happens when one is reached for the nth time.
 *
 * Owns: the points, the draw, counting. Does not own: doing it (world.ts).
 *
 * Invariant: after `stop` nothing goes wrong any more.
 */
import type { Draw } from './draw.ts';

/** Lists of the calls of each kind of process, as points know them. */
const coordinatorCalls = ['acquire', 'push', 'take', 'held', 'trim', 'audit', 'cancel', 'release', 'waitResult', 'workers', 'reap'] as const;
const workerCalls = ['register', 'slots', 'beat', 'claim', 'ack', 'waitUnit', 'reap', 'leave', 'shared'] as const;

export type Action =
  /** A process is gone: nothing of it runs again. What it had under way is executed, or not (`lost`). */
  | { readonly do: 'kill'; readonly lost: boolean; readonly backMs: number }
  /** As SIGSTOP, and after so long SIGCONT. `second`: somebody takes its run over meanwhile, or uses its id. */
  | { readonly do: 'pause'; readonly ms: number; readonly second: boolean }
  /** The connection of the caller breaks; with `zombies` the server does not notice. */
  | { readonly do: 'cut'; readonly zombies: boolean }
  /** The caller hears of a lost connection, and the call is executed so much later. */
  | { readonly do: 'late'; readonly ms: number }
  /** The store has taken in so much of a write when the process dies. */
  | { readonly do: 'tear'; readonly part: number; readonly backMs: number }
  /** The store refuses a write; `done`: though it has taken it in. */
  | { readonly do: 'refuse'; readonly done: boolean }
  | { readonly do: 'restart'; readonly lost: number; readonly downMs: number }
  | { readonly do: 'flush' }
  | { readonly do: 'stall'; readonly ms: number }
  | { readonly do: 'cutAll'; readonly zombies: boolean }
  | { readonly do: 'drain'; readonly again: boolean }
  | { readonly do: 'join' }
  | { readonly do: 'takeOver' }
  | { readonly do: 'strike'; readonly role: 'coordinator' | 'worker'; readonly ms: number; readonly backMs: number };

export interface Fault {
  readonly point: string;
  readonly nth: number;
  readonly action: Action;
}

const beforeAndAfter = (role: string, calls: readonly string[]): readonly string[] => calls.flatMap((call) => [`${role} before ${call}`, `${role} after ${call}`]);

/** Where a process dies or stops. */
export const processPoints: readonly string[] = [
  ...beforeAndAfter('coordinator', coordinatorCalls),
  ...beforeAndAfter('worker', workerCalls),
  // After a step before the save; after the save before anything else.
  ...beforeAndAfter('coordinator', ['append', 'save', 'open', 'load']),
  'worker begins task', 'worker ends task', 'coordinator begins task', 'coordinator ends task',
];
/** Where a connection breaks: before a command, and after it but before its reply. */
export const wirePoints: readonly string[] = [...beforeAndAfter('coordinator', coordinatorCalls), ...beforeAndAfter('worker', workerCalls)].map((point) => `wire ${point}`);
export const storePoints = ['store append', 'store save'] as const;
export const serverPoint = 'server';

/** What a seed needs to reach the rarer points. */
const rare = /held|audit|cancel|release|leave|load|shared/;

export function drawFaults(draw: Draw, most: number): readonly Fault[] {
  return Array.from({ length: most }, () => drawFault(draw));
}

function drawFault(draw: Draw): Fault {
  const kind = draw.weighted({ process: 10, wire: 6, store: 2, server: 6 });
  const nth = nthOf(draw, kind === 'server' ? 60 : 5);
  switch (kind) {
    case 'process': {
      const point = draw.pick(processPoints);
      const back = backMs(draw);
      if (draw.chance(0.65)) return { point, nth: rare.test(point) ? 1 : nth, action: { do: 'kill', lost: draw.chance(0.5), backMs: back } };
      return { point, nth, action: { do: 'pause', ms: draw.pick([50, 400, 1200, 3000]), second: draw.chance(0.5) } };
    }
    case 'wire': {
      const point = draw.pick(wirePoints);
      const late = point.includes('before wait') && draw.chance(0.5);
      return { point, nth: rare.test(point) ? 1 : nth, action: late ? { do: 'late', ms: draw.pick([1, 50, 700]) } : { do: 'cut', zombies: draw.chance(0.5) } };
    }
    case 'store':
      if (draw.chance(0.6)) return { point: 'store append', nth, action: { do: 'tear', part: draw.next(), backMs: backMs(draw) } };
      return { point: draw.pick(storePoints), nth: draw.between(1, 3), action: { do: 'refuse', done: draw.chance(0.5) } };
    case 'server':
      return { point: serverPoint, nth, action: serverAction(draw) };
  }
}

function serverAction(draw: Draw): Action {
  switch (draw.weighted({ restart: 3, flush: 1.5, stall: 1, cutAll: 2, drain: 2, join: 1, takeOver: 1.5, strike: 4 })) {
    case 'restart':
      return { do: 'restart', lost: draw.pick([0, 1, 2, 3, 5, 9]), downMs: draw.pick([0, 0, 100, 800]) };
    case 'flush':
      return { do: 'flush' };
    case 'stall':
      return { do: 'stall', ms: draw.pick([20, 300, 1500]) };
    case 'cutAll':
      return { do: 'cutAll', zombies: draw.chance(0.5) };
    case 'drain':
      return { do: 'drain', again: draw.chance(0.4) };
    case 'join':
      return { do: 'join' };
    case 'takeOver':
      return { do: 'takeOver' };
    case 'strike':
      return { do: 'strike', role: draw.pick(['coordinator', 'worker', 'worker'] as const), ms: draw.pick([0, 0, 400, 1500, 3000]), backMs: backMs(draw) };
  }
}

function backMs(draw: Draw): number {
  return draw.pick([0, 1, 20, 200, 600, 1500]);
}

/** Mostly early, sometimes late: most of what happens, happens early. */
function nthOf(draw: Draw, scale: number): number {
  return 1 + Math.floor(scale * draw.next() ** 2 * (draw.chance(0.2) ? 3 : 1));
}

export class Faults {
  readonly plan: readonly Fault[];
  /** How often each point was reached while things could go wrong. */
  readonly reached = new Map<string, number>();
  readonly happened: Fault[] = [];
  readonly #waiting: Map<string, Fault[]> = new Map();
  #stopped = false;

  constructor(plan: readonly Fault[]) {
    this.plan = plan;
    for (const fault of plan) {
      const same = this.#waiting.get(fault.point) ?? [];
      this.#waiting.set(fault.point, same);
      same.push(fault);
    }
  }

  /** Something has reached a point: what happens there now, if anything does. */
  at(point: string): Action | undefined {
    if (this.#stopped) return undefined;
    const count = (this.reached.get(point) ?? 0) + 1;
    this.reached.set(point, count);
    const fault = this.#waiting.get(point)?.find(({ nth }) => nth === count);
    if (fault === undefined) return undefined;
    this.happened.push(fault);
    return fault.action;
  }

  stop(): void {
    this.#stopped = true;
  }

  get stopped(): boolean {
    return this.#stopped;
  }
}
