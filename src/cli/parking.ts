/**
 * A stored run that only waits leaves the process: whoever answers it starts another one.
 *
 * Owns: seeing that nothing is in flight, making that durable, giving the run up. Does not own: what is told then
 * (follow.ts).
 *
 * Invariants
 * 1. A run leaves only when all of it is stored and no message that was left for it is unread.
 * 2. Times that are near are waited for here.
 */
import type { CheckpointStore } from '../ports.ts';
import type { Run } from '../runtime/run.ts';
import type { RunStatus } from '../runtime/status.ts';

/** A time that is due later than this is no reason to stay. */
const NEAR_MS = 60_000;
const LOOK_EVERY_MS = 200;

/** Nothing is in flight, and nothing will be soon. */
function onlyWaits({ state, waitsFor }: Pick<RunStatus, 'state' | 'waitsFor'>, now: number): boolean {
  if (state === 'paused') return waitsFor.every((one) => one.kind !== 'task' && one.kind !== 'members');
  return state === 'waiting' && waitsFor.length > 0 && waitsFor.every((one) => one.kind === 'signal' || ('dueAt' in one && one.dueAt - now > NEAR_MS));
}

export class Parking {
  readonly #run: Run<unknown>;
  readonly #store: CheckpointStore;
  readonly #timer: NodeJS.Timeout;
  #leaving = false;
  #closed = false;
  /** The revision that this object has seen stored. */
  #stored = -1;
  /** The run has been given up as it is stored. */
  parked = false;

  constructor(run: Run<unknown>, store: CheckpointStore) {
    this.#run = run;
    this.#store = store;
    // Not a reason to stay: when nothing else is left to do, the process asks by itself.
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  /** Lets the run go if it only waits; says whether it is about to. */
  look(): boolean {
    if (this.#closed || this.#leaving) return this.#leaving;
    if (!this.#idle()) return false;
    this.#leaving = true;
    const hold = setInterval(() => undefined, 1000);
    void this.#leave().finally(() => {
      clearInterval(hold);
      this.#leaving = false;
    });
    return true;
  }

  async #leave(): Promise<void> {
    const { revision, posted } = this.#context();
    try {
      if (this.#stored !== revision) await this.#run.checkpoint();
      this.#stored = revision;
      if ((await this.#store.posts(this.#run.id, posted)).length > 0) {
        // The run's own look at its mailbox comes next.
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
        return;
      }
    } catch {
      // The run has failed by the same reason, and tells it.
      return;
    }
    if (this.#closed || this.#context().revision !== revision || !this.#idle()) return;
    this.parked = true;
    this.#run.actor.stop();
  }

  #idle(): boolean {
    const { status, value } = this.#run.actor.getSnapshot();
    if (status !== 'active' || (value !== 'waiting' && value !== 'paused') || this.#context().run === null) return false;
    return onlyWaits(this.#run.status(), Date.now());
  }

  #context(): { readonly run: unknown; readonly revision: number; readonly posted: number } {
    return this.#run.actor.getSnapshot().context;
  }
}
