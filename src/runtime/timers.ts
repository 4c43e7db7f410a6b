/** Arms the due times that the context holds. Wall-clock: what is past due fires at once, also after a restore. */
import type { ArmCommand, ExecutionEvent } from '../../machines/index.ts';
import type { Clock } from '../ports.ts';

/** The longest delay that a platform timer takes; longer ones are armed again on the way. */
const LONGEST_MS = 2 ** 31 - 1;

export class Timers {
  readonly #clock: Clock;
  readonly #send: (event: ExecutionEvent) => void;
  readonly #armed = new Map<number, () => void>();
  #due: number[] = [];

  constructor(clock: Clock, send: (event: ExecutionEvent) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  receive(command: ArmCommand): void {
    for (const id of command.disarm) this.#disarm(id);
    for (const [id, dueAt] of command.arm) this.#arm(id, dueAt);
  }

  close(): void {
    for (const cancel of this.#armed.values()) cancel();
    this.#armed.clear();
    this.#due = [];
  }

  #arm(id: number, dueAt: number): void {
    this.#disarm(id);
    const left = dueAt - this.#clock.now();
    this.#armed.set(id, this.#clock.after(Math.min(Math.max(left, 0), LONGEST_MS), () => {
      if (this.#clock.now() < dueAt) this.#arm(id, dueAt);
      else this.#fire(id);
    }));
  }

  #disarm(id: number): void {
    this.#armed.get(id)?.();
    this.#armed.delete(id);
  }

  /** Times that come due in one turn make one event. */
  #fire(id: number): void {
    this.#armed.delete(id);
    this.#due.push(id);
    if (this.#due.length > 1) return;
    this.#clock.soon(() => {
      const ids = this.#due;
      this.#due = [];
      if (ids.length > 0) this.#send({ type: 'DUE', at: this.#clock.now(), ids });
    });
  }
}
