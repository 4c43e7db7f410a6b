/** One event's work on a worker's context: opened over the old context, changed in place, and closed into the new one. */
import type { Place, WorkerContext } from './context.ts';
import type { AlarmCommand, CallCommand, ClaimedUnit, UnitsCommand, WaitCommand } from './events.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface WorkerStep {
  readonly context: WorkerContext;
  readonly call: CallCommand | undefined;
  readonly wait: WaitCommand | undefined;
  readonly units: UnitsCommand | undefined;
  readonly alarm: AlarmCommand | undefined;
}

export class WorkerDraft {
  readonly before: WorkerContext;
  readonly now: Mutable<WorkerContext>;
  readonly start: ClaimedUnit[] = [];
  readonly stop: number[] = [];
  handOver = false;
  giveBack = false;
  call: CallCommand | undefined;
  wait: WaitCommand | undefined;
  alarm: AlarmCommand | undefined;
  #places: Place[] | undefined;

  constructor(before: WorkerContext, at: number) {
    this.before = before;
    this.now = { ...before, at };
  }

  place(slot: number): Place {
    return (this.#places ?? this.before.places)[slot] ?? null;
  }

  put(slot: number, place: Place): void {
    (this.#places ??= this.before.places.slice())[slot] = place;
  }

  /** Its unit is not wanted any more; one that this very event wanted started never begins. */
  halt(slot: number): void {
    const at = this.start.findIndex((claimed) => claimed.slot === slot);
    if (at >= 0) this.start.splice(at, 1);
    else this.stop.push(slot);
  }

  /** As they are now. */
  get places(): readonly Place[] {
    return this.#places ?? this.before.places;
  }

  done(): WorkerStep {
    const { start, stop, handOver, giveBack, call, wait, alarm } = this;
    const context: WorkerContext = { ...this.now, revision: this.before.revision + 1, places: this.places };
    const units: UnitsCommand | undefined = start.length + stop.length > 0 || handOver || giveBack ? { type: 'UNITS', start, stop, handOver, giveBack } : undefined;
    return { context, call, wait, units, alarm };
  }
}
