/**
 * Says why members that workers are to execute do not move: nothing else in this process would ever say it.
 *
 * Owns: when a reason is told. Does not own: the reason (`run.status()`), where the line goes.
 *
 * Invariants
 * 1. Nothing is told before the same reason has stood for QUIET_MS, in which no unit ended or came.
 * 2. A queue's reason is told once, and again only after it was another one or gone.
 */
import type { Graph } from '../core/graph.ts';
import type { WaitingFor } from '../runtime/status.ts';

export type UnitsWait = Extract<WaitingFor, { readonly kind: 'units' }>;

const QUIET_MS = 3000;
/** Asking costs time for each open unit. */
export const LOOK_FOR_STALLS_MS = 1000;

interface Standing {
  readonly units: number;
  readonly reason: string;
  /** When it was first seen so. */
  readonly at: number;
}

export class Stalled {
  readonly #tell: (wait: UnitsWait) => void;
  readonly #standing = new Map<string, Standing>();
  readonly #told = new Map<string, string>();

  constructor(tell: (wait: UnitsWait) => void) {
    this.#tell = tell;
  }

  /** Takes in what the run waits for at the time `now`. */
  look(waitsFor: readonly WaitingFor[], now: number): void {
    const stuck = new Set<string>();
    for (const one of waitsFor) {
      if (one.kind !== 'units' || one.reason === undefined) continue;
      stuck.add(one.queue);
      this.#seen(one, one.reason, now);
    }
    for (const queue of this.#standing.keys()) {
      if (stuck.has(queue)) continue;
      this.#standing.delete(queue);
      this.#told.delete(queue);
    }
  }

  #seen(wait: UnitsWait, reason: string, now: number): void {
    const { queue, units } = wait;
    const before = this.#standing.get(queue);
    if (before === undefined || before.units !== units || before.reason !== reason) {
      this.#standing.set(queue, { units, reason, at: now });
      return;
    }
    if (now - before.at < QUIET_MS || this.#told.get(queue) === reason) return;
    this.#told.set(queue, reason);
    this.#tell(wait);
  }
}

/** Workers are to execute something of it. */
export function needsWorkers({ nodes }: Graph): boolean {
  return Object.values(nodes).some((node) => 'execution' in node && node.execution.backend === 'redis');
}
