/** Everything that a seed decides before anything runs: graphs, settings, workers, what goes wrong. Plain data, to be read and cut down. */
import type { CoordinatorSettings } from '../../machines/index.ts';
import { Draw, seedOf } from './draw.ts';
import { drawFaults, type Fault } from './faults.ts';
import { drawGraph, type Graph } from './graphs.ts';

export interface PlannedRun {
  readonly id: string;
  readonly flow: string;
  readonly graph: Graph;
  readonly startAt: number;
  /** Without a journal: it does not outlive its process. */
  readonly volatile: boolean;
  readonly cancelAt: number | undefined;
}

export interface PlannedWorker {
  readonly id: string;
  readonly queue: 'default' | 'other';
  readonly slots: number;
  readonly startAt: number;
}

/** What becomes of hints. */
export type Hints = 'kept' | 'lost' | 'doubled' | 'late' | 'mixed';

export interface Plan {
  readonly seed: number;
  readonly runs: readonly PlannedRun[];
  readonly workers: readonly PlannedWorker[];
  readonly faults: readonly Fault[];
  readonly faultsEndMs: number;
  readonly hints: Hints;
  /** Ways of the net and of the disk, in milliseconds at most. */
  readonly netMs: number;
  readonly diskMs: number;
  readonly drift: number;
  /** How far clocks of processes are off, at most. */
  readonly skewMs: number;
  readonly leaseMs: number;
  readonly waitMs: number;
  readonly drainMs: number;
  readonly deliveries: number;
  readonly coordinator: Partial<CoordinatorSettings>;
}

export function drawPlan(seed: number): Plan {
  const draw = new Draw(seedOf(seed, 'plan'));
  const failing = draw.chance(0.35);
  const quiet = draw.chance(0.1);
  const runs = Array.from({ length: draw.pick([1, 1, 1, 1, 2, 2, 3]) }, (_, at): PlannedRun => {
    const volatile = draw.chance(0.12);
    const mark = 'abc'.charAt(at);
    return {
      id: `run${mark}`, flow: `flow${mark}`, graph: drawGraph(draw, mark, { waits: !volatile && draw.chance(0.4), failing }), volatile,
      startAt: draw.pick([0, 0, 50, 300]), cancelAt: !volatile && draw.chance(0.06) ? draw.between(50, 1500) : undefined,
    };
  });
  const leaseMs = draw.pick([600, 2000, 2000, 5000]);
  const workers = Array.from({ length: draw.pick([1, 1, 2, 2, 3, 4]) }, (_, at) => plannedWorker(draw, `w${at + 1}`, 'default'));
  if (JSON.stringify(runs).includes('"other"')) workers.push(plannedWorker(draw, 'o1', 'other'));
  const deliveries = draw.pick([2, 3, 20, 20, 20]);
  const waits = { window: draw.pick([1, 2, 5, 10_000]), batch: draw.pick([2, 2, 3, 1000, 1000]), waitMs: draw.pick([100, 600, 2000]), tickMs: draw.pick([150, 600, 1500]) };
  return {
    seed, runs, workers,
    faults: quiet ? [] : drawFaults(draw, draw.pick([1, 2, 3, 4, 6, 9])),
    faultsEndMs: draw.pick([1500, 3000, 6000]),
    hints: draw.weighted<Hints>({ kept: 4, lost: 2, doubled: 1, late: 1, mixed: 2 }),
    netMs: draw.pick([0, 1, 1, 5, 30]),
    diskMs: draw.pick([0, 1, 5, 40, 200]),
    drift: draw.pick([0, 0, 0.02, 0.2]),
    skewMs: draw.pick([0, 0, 0, 40, 3000]),
    leaseMs, waitMs: draw.pick([200, 1200, 2000]), drainMs: draw.pick([0, 50, 1000]), deliveries,
    coordinator: {
      ...waits, auditAfterMs: draw.pick([800, 2000]), deliveries, cancelMs: 5000,
      // Keys are renewed between two waits: what lives no longer than a wait is lost again and again.
      expireMs: draw.pick([2000, 8000]) + waits.waitMs, retryMs: draw.pick([10, 60]), longestRetryMs: 500, closeMs: 60_000,
    },
  };
}

function plannedWorker(draw: Draw, id: string, queue: 'default' | 'other'): PlannedWorker {
  return { id, queue, slots: draw.between(1, 4), startAt: draw.pick([0, 0, 20, 400]) };
}
