/**
 * Gathers what the executor has to report and sends it as one SETTLED event per turn.
 *
 * Owns: batching. Invariant: reports leave in the order in which they were made; a flush sends all of them.
 */
import type { ExecutionEvent, Outcome, Report, Value } from '../../machines/index.ts';
import type { Clock } from '../ports.ts';

export class Outbox {
  readonly #clock: Clock;
  readonly #send: (event: ExecutionEvent) => void;
  readonly #collect: () => void;
  #reports: Report[] = [];
  #range: { group: number; indexes: number[]; cells: Value[] } | undefined;
  #unschedule: (() => void) | undefined;
  #closed = false;

  /** `collect` is called before each batch leaves: it may still add to it. */
  constructor(clock: Clock, send: (event: ExecutionEvent) => void, collect: () => void) {
    this.#clock = clock;
    this.#send = send;
    this.#collect = collect;
  }

  /** A range member's plain value. */
  cell(group: number, index: number, cell: Value): void {
    if (this.#range === undefined || this.#range.group !== group) {
      this.#range = { group, indexes: [], cells: [] };
      this.#reports.push(this.#range);
    }
    this.#range.indexes.push(index);
    this.#range.cells.push(cell);
    this.schedule();
  }

  member(group: number, index: number, end: Outcome): void {
    this.add({ group, index, end });
  }

  add(report: Report): void {
    this.#range = undefined;
    this.#reports.push(report);
    this.schedule();
  }

  /** Sees to a flush in a later turn. */
  schedule(): void {
    if (this.#unschedule !== undefined || this.#closed) return;
    this.#unschedule = this.#clock.soon(() => {
      this.#unschedule = undefined;
      this.flush();
    });
  }

  /** Sends what there is, now. */
  flush(): void {
    if (this.#closed) return;
    this.#collect();
    this.#drop();
    if (this.#reports.length === 0) return;
    const reports = this.#reports;
    this.#reports = [];
    this.#range = undefined;
    this.#send({ type: 'SETTLED', at: this.#clock.now(), reports });
  }

  close(): void {
    this.#closed = true;
    this.#reports = [];
    this.#drop();
  }

  /** A turn that is not needed any more would keep the whole run in memory until it comes. */
  #drop(): void {
    this.#unschedule?.();
    this.#unschedule = undefined;
  }
}
