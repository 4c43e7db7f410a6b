/**
 * Time for acceptance tests: it stands still while anything can still happen, and jumps to the next timer when nothing can.
 *
 * Owns: virtual time, driving a run to its end. Does not own: the run.
 *
 * Invariants
 * 1. Tasks may wait for turns of the event loop (`turns`), never for real time.
 * 2. A run that neither ends nor waits for a timer or a signal is reported as stuck, with what it says of itself.
 */
import type { Clock, Json, Run } from 'taskchart';

/** Turns without any change after which nothing is expected to happen without time or a signal. */
const QUIET = 4;

export class TestClock implements Clock {
  #now: number;
  #nextId = 0;
  #soon = 0;
  readonly #timers = new Map<number, { readonly dueAt: number; readonly fire: () => void }>();

  constructor(startAt = 1_000_000) {
    this.#now = startAt;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, fire: () => void): () => void {
    const id = this.#nextId++;
    this.#timers.set(id, { dueAt: this.#now + Math.max(0, delayMs), fire });
    return () => this.#timers.delete(id);
  }

  soon(run: () => void): () => void {
    this.#soon += 1;
    let open = true;
    const close = (): void => {
      if (open) this.#soon -= 1;
      open = false;
    };
    const immediate = setImmediate(() => {
      close();
      run();
    });
    return () => {
      clearImmediate(immediate);
      close();
    };
  }

  /** Lets everything happen that needs no time. */
  async quiet(): Promise<void> {
    for (let quiet = 0; quiet < QUIET; quiet += 1) {
      await turn();
      turnsSeen += 1;
      if (this.#soon > 0 || busy > 0) quiet = 0;
    }
  }

  /** Jumps to the next timer and fires it; says whether there was one. */
  next(until = Infinity): boolean {
    let first: number | undefined;
    for (const [id, timer] of this.#timers) if (first === undefined || timer.dueAt < (this.#timers.get(first)?.dueAt ?? 0)) first = id;
    const timer = first === undefined ? undefined : this.#timers.get(first);
    if (first === undefined || timer === undefined || timer.dueAt > until) return false;
    this.#timers.delete(first);
    this.#now = Math.max(this.#now, timer.dueAt);
    timer.fire();
    return true;
  }

  /** Moves on by `ms`, timer by timer. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await this.quiet();
      if (!this.next(until)) break;
    }
    this.#now = until;
    await this.quiet();
  }
}

let turnsSeen = 0;

/** The number of the present turn of the event loop, as far as whoever drives a run has seen them. */
export function turnNumber(): number {
  return turnsSeen;
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** How many tasks wait for a turn: as long as there are some, it is not quiet. */
let busy = 0;

/** So many turns of the event loop: what a test's task waits for. */
export async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) {
    busy += 1;
    await turn();
    busy -= 1;
  }
}

export interface Driving {
  /** Answers to signals, by name; a wait that is not listed gets none. */
  readonly answers?: Readonly<Record<string, Json>>;
  /** Called whenever nothing happens any more without time or a signal; true when it has done something. */
  readonly act?: ((run: Run<unknown>) => boolean) | undefined;
}

export type Ending =
  | { readonly kind: 'completed'; readonly output: unknown }
  | { readonly kind: 'failed'; readonly error: Record<string, unknown> };

/** Brings a run to its end, by answering its signals and moving its clock. Never rejects for what the run did. */
export async function drive(run: Run<unknown>, clock: TestClock, { answers = {}, act }: Driving = {}): Promise<Ending> {
  let ending: Ending | undefined;
  run.result.then(
    (output) => (ending = { kind: 'completed', output }),
    (error: unknown) => (ending = { kind: 'failed', error: plainError(error) }),
  );
  for (let moves = 0; moves < 10_000; moves += 1) {
    await clock.quiet();
    if (ending !== undefined) return ending;
    if (act?.(run) === true) continue;
    const wait = run.status().waitsFor.find((one) => one.kind === 'signal' && Object.hasOwn(answers, one.name));
    if (wait?.kind === 'signal') run.signal(wait.name, answers[wait.name]);
    else if (!clock.next()) throw new Error(`the run is stuck: ${JSON.stringify(run.status())}`);
  }
  throw new Error(`the run does not come to an end: ${JSON.stringify(run.status())}`);
}

/** What two errors have in common when they say the same. */
export function plainError(error: unknown): Record<string, unknown> {
  const { name, message, code, details, cause } = error as Error & { code?: string; details?: unknown };
  return JSON.parse(JSON.stringify({ name, message, code, details, ...(cause === undefined ? {} : { cause: plainError(cause) }) })) as Record<string, unknown>;
}
