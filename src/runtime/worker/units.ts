/**
 * The units actor of a worker: executes what is in the slots, and says how it ended, in batches.
 *
 * Owns: which units are in hand, the order in which they begin. Does not own: a single unit (unit-run.ts), slots and lists.
 *
 * Invariants
 * 1. Units begin in the order in which they came, and nobody keeps the event loop from others for longer than a slice.
 * 2. What is known is said with the end of the turn; at once where nothing else is being executed, and where it is half of
 *    what the slots hold, so that the lists are at work on one half while the other is executed.
 * 3. Whoever has ended, by itself or because it was stopped, is in no collection any more.
 */
import { WorkflowCancelledError, isTaskchartError } from '../../core/errors.ts';
import { decodeUnit, unitHeader, type Unit } from '../../core/messages.ts';
import type { ClaimedUnit, UnitEnd, UnitsCommand } from '../../../machines/index.ts';
import type { Environment, Transport } from '../../ports.ts';
import type { Inspect } from '../inspection.ts';
import type { Places } from './places.ts';
import { UnitRun, type UnitHost } from './unit-run.ts';

export interface UnitsSetup {
  readonly worker: string;
  readonly queue: string;
  readonly slots: number;
  readonly transport: Transport;
  readonly environment: Environment;
  readonly places: Places;
  readonly inspect: Inspect | undefined;
  readonly unknownTaskMs: number;
  /** Told of every unit that begins and ends, where somebody listens. */
  readonly began?: ((slot: number, unit: Unit) => void) | undefined;
  readonly ended?: ((end: UnitEnd) => void) | undefined;
}

const SLICE_MS = 10;

export class Units implements UnitHost {
  readonly #setup: UnitsSetup;
  readonly #send: (ends: readonly UnitEnd[]) => void;
  /** By slot. No Map: one that units come into and leave all the time keeps what was in it from the collector. */
  readonly #running: (UnitRun | undefined)[] = [];
  #count = 0;
  /** Not begun yet. */
  #waiting: ClaimedUnit[] = [];
  #ends: UnitEnd[] = [];
  #unschedule: (() => void) | undefined;
  #pumping = false;
  #turnAt = 0;
  #closed = false;
  draining = false;

  constructor(setup: UnitsSetup, send: (ends: readonly UnitEnd[]) => void) {
    this.#setup = setup;
    this.#send = send;
  }

  get worker(): string {
    return this.#setup.worker;
  }
  get queue(): string {
    return this.#setup.queue;
  }
  get transport(): Transport {
    return this.#setup.transport;
  }
  get environment(): Environment {
    return this.#setup.environment;
  }
  get places(): Places {
    return this.#setup.places;
  }
  get inspect(): Inspect | undefined {
    return this.#setup.inspect;
  }
  get unknownTaskMs(): number {
    return this.#setup.unknownTaskMs;
  }

  receive({ start, stop, handOver, giveBack }: UnitsCommand): void {
    for (const slot of stop) this.#stop(slot);
    for (const unit of start) this.#waiting.push(unit);
    if (handOver && !this.draining) this.#handOver();
    if (giveBack) this.#giveBack();
    else if (start.length > 0) this.#pump();
  }

  ended(run: UnitRun, end: UnitEnd): void {
    if (this.#running[run.slot] === run) this.#leave(run.slot);
    this.#say(end);
  }

  /** The worker is over: whatever is being executed is told, and nothing is said of it. */
  close(): void {
    this.#closed = true;
    this.#unschedule?.();
    this.#waiting = [];
    for (let slot = 0; slot < this.#running.length; slot += 1) this.#stop(slot);
  }

  #leave(slot: number): void {
    this.#running[slot] = undefined;
    this.#count -= 1;
  }

  #pump(): void {
    if (this.#pumping || this.#closed) return;
    this.#turnAt = this.environment.clock.now();
    for (let at = 0; at < this.#waiting.length; at += 1) {
      const now = this.environment.clock.now();
      if (now - this.#turnAt >= SLICE_MS) {
        this.#waiting = this.#waiting.slice(at);
        return this.#pumpLater();
      }
      this.#begin(this.#waiting[at] as ClaimedUnit, now);
    }
    this.#waiting = [];
    if (this.#count === 0) this.#flush();
  }

  #pumpLater(): void {
    this.#pumping = true;
    this.environment.clock.soon(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #begin({ slot, unit: text }: ClaimedUnit, now: number): void {
    let unit: Unit;
    try {
      unit = decodeUnit(text);
    } catch (thrown) {
      const header = unitHeader(text);
      this.#say({ slot, header: header?.text ?? '', kind: 'dead', text: isTaskchartError(thrown) ? thrown.message : String(thrown) });
      return;
    }
    const run = new UnitRun(this, slot, text, unit, now);
    this.#running[slot] = run;
    this.#count += 1;
    this.#setup.began?.(slot, unit);
    run.begin();
  }

  #stop(slot: number): void {
    this.#waiting = this.#waiting.filter((unit) => unit.slot !== slot);
    const run = this.#running[slot];
    if (run === undefined) return;
    this.#leave(slot);
    run.stop(unwanted(run));
  }

  #handOver(): void {
    this.draining = true;
    for (const run of this.#running) run?.handOver();
  }

  #giveBack(): void {
    for (const { slot, unit } of this.#waiting.splice(0)) {
      const header = unitHeader(unit);
      if (header !== undefined) this.#say({ slot, header: header.text, kind: 'return', text: unit });
    }
    for (const run of this.#running) {
      if (run === undefined) continue;
      this.#leave(run.slot);
      this.#say(run.giveBack(unwanted(run)));
    }
    this.#flush();
  }

  #say(end: UnitEnd): void {
    if (this.#closed) return;
    this.#ends.push(end);
    this.#setup.ended?.(end);
    if ((this.#count === 0 && this.#waiting.length === 0) || this.#ends.length >= this.#setup.slots / 2) this.#flush();
    else this.#unschedule ??= this.environment.clock.soon(() => this.#flush());
  }

  #flush(): void {
    this.#unschedule?.();
    this.#unschedule = undefined;
    if (this.#ends.length === 0 || this.#closed) return;
    const ends = this.#ends;
    this.#ends = [];
    this.#send(ends);
  }
}

function unwanted({ unit }: UnitRun): WorkflowCancelledError {
  return new WorkflowCancelledError('run/cancelled', `the result of this task is not wanted any more here: its run was cancelled, or another worker has it (unit ${unit.id} of run "${unit.run}")`, { details: { runId: unit.run } });
}
