/**
 * One thread, one seed: who runs next, and when.
 *
 * Owns: virtual time, virtual turns, the trace. Does not own: what runs (processes, the server, the operator), faults.
 *
 * Invariants
 * 1. One callback of one lane runs at a time, with all the microtasks that follow from it; `current` is its lane.
 * 2. Turns of one lane keep their order; everything else that could happen now is ordered by the seed.
 * 3. Time moves only when nothing can run, or by the drift that the seed gives a callback.
 * 4. Nothing of a lane that was ended runs again; nothing of one that is paused runs before it goes on.
 */
import type { Clock, Random } from '../../src/ports.ts';
import { seededRandom } from '../../src/testing.ts';

const START_MS = 1_000_000;
const TAIL = 400;
/** More callbacks than this within one millisecond: something turns on the spot. */
const SPIN = 20_000;

interface Timer {
  readonly dueAt: number;
  readonly tie: number;
  fire: (() => void) | undefined;
}

/** A thread of callbacks: one simulated process, or a part of the world outside. */
export class Lane implements Clock {
  readonly name: string;
  /** How far its own clock is off. */
  readonly skewMs: number;
  readonly #kernel: Kernel;
  readonly #turns: { run: (() => void) | undefined }[] = [];
  #head = 0;
  readonly #timers: Timer[] = [];
  #ended = false;
  paused = false;

  constructor(kernel: Kernel, name: string, skewMs: number) {
    this.#kernel = kernel;
    this.name = name;
    this.skewMs = skewMs;
  }

  now(): number {
    return this.#kernel.now + this.skewMs;
  }

  soon(run: () => void): () => void {
    if (this.#ended) return () => undefined;
    const turn: { run: (() => void) | undefined } = { run };
    this.#turns.push(turn);
    return () => void (turn.run = undefined);
  }

  after(delayMs: number, fire: () => void): () => void {
    if (this.#ended) return () => undefined;
    const timer: Timer = { dueAt: this.#kernel.now + Math.max(0, Math.ceil(delayMs)), tie: this.#kernel.tie(), fire };
    this.#put(timer);
    return () => void (timer.fire = undefined);
  }

  end(): void {
    this.#ended = true;
    this.#turns.length = 0;
    this.#head = 0;
    this.#timers.length = 0;
  }

  get isReady(): boolean {
    if (this.paused) return false;
    return this.#turn() !== undefined || this.#dueAt() <= this.#kernel.now;
  }

  get nextAt(): number {
    return this.paused ? Infinity : this.#dueAt();
  }

  /** Runs one callback; which kind comes first where both could is up to `coin`. */
  fire(coin: boolean): void {
    const turn = this.#turn();
    const due = this.#dueAt() <= this.#kernel.now;
    if (due && (turn === undefined || coin)) {
      const timer = this.#take();
      timer?.fire?.();
      return;
    }
    this.#head += 1;
    if (this.#head > 64) {
      this.#turns.splice(0, this.#head);
      this.#head = 0;
    }
    turn?.run?.();
  }

  #turn(): { run: (() => void) | undefined } | undefined {
    while (this.#head < this.#turns.length && this.#turns[this.#head]?.run === undefined) this.#head += 1;
    return this.#turns[this.#head];
  }

  #dueAt(): number {
    while (this.#timers.length > 0 && this.#timers[0]?.fire === undefined) this.#take();
    return this.#timers[0]?.dueAt ?? Infinity;
  }

  /** A binary heap by time, then by lot. */
  #put(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Timer;
      if (!isBefore(timer, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  #take(): Timer | undefined {
    const heap = this.#timers;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Timer, heap[below] as Timer)) below += 1;
      if (!isBefore(heap[below] as Timer, last)) break;
      heap[at] = heap[below] as Timer;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.dueAt < other.dueAt || (one.dueAt === other.dueAt && one.tie < other.tie);
}

export class Kernel {
  now = START_MS;
  current: Lane;
  /** What was done, as one number: the same seed gives the same one. */
  hash = 0x811c9dc5;
  callbacks = 0;
  readonly #random: Random;
  /** Chance that a callback takes a millisecond. */
  readonly #drift: number;
  readonly #lanes: Lane[] = [];
  readonly #tail: string[] = [];
  /** Every line, where somebody wants to read all of them. */
  print: ((line: string) => void) | undefined;

  constructor(seed: number, drift = 0) {
    this.#random = seededRandom(seed);
    this.#drift = drift;
    this.current = this.lane('outside');
  }

  lane(name: string, skewMs = 0): Lane {
    const lane = new Lane(this, name, skewMs);
    this.#lanes.push(lane);
    return lane;
  }

  /** For two timers of one moment. */
  tie(): number {
    return this.#random.next();
  }

  note(line: string): void {
    const text = `${this.now - START_MS} ${line}`;
    let hash = this.hash;
    for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    this.hash = hash >>> 0;
    if (this.#tail.length >= TAIL * 2) this.#tail.splice(0, TAIL);
    this.#tail.push(text);
    this.print?.(text);
  }

  tail(lines = TAIL): readonly string[] {
    return this.#tail.slice(-lines);
  }

  /** Milliseconds since the beginning. */
  get elapsedMs(): number {
    return this.now - START_MS;
  }

  /** Runs until it is done, or so much time has passed; says whether it is done. */
  async run(done: () => boolean, limitMs: number): Promise<boolean> {
    const until = this.now + limitMs;
    let spun = 0;
    let at = this.now;
    await turn();
    while (!done()) {
      const lane = this.#pick();
      if (lane === undefined) {
        const next = this.#nextAt();
        if (next > until) {
          this.now = until;
          return done();
        }
        this.now = next;
        continue;
      }
      spun = at === this.now ? spun + 1 : 0;
      at = this.now;
      if (spun > SPIN) throw new Error(`${SPIN} callbacks within one moment, the last of ${lane.name}`);
      this.current = lane;
      this.callbacks += 1;
      lane.fire(this.#random.next() < 0.5);
      await turn();
      if (this.#drift > 0 && this.#random.next() < this.#drift) this.now += 1;
    }
    return true;
  }

  forget(lane: Lane): void {
    lane.end();
    const at = this.#lanes.indexOf(lane);
    if (at >= 0) this.#lanes.splice(at, 1);
  }

  #pick(): Lane | undefined {
    let picked: Lane | undefined;
    let ready = 0;
    for (const lane of this.#lanes) {
      if (!lane.isReady) continue;
      ready += 1;
      if (ready === 1 || this.#random.next() * ready < 1) picked = lane;
    }
    return picked;
  }

  #nextAt(): number {
    let next = Infinity;
    for (const lane of this.#lanes) next = Math.min(next, lane.nextAt);
    return next;
  }
}

/** All microtasks run before the next turn of the real event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
