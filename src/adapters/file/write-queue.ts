/**
 * One write after another, and those that were asked for meanwhile together.
 *
 * Invariants
 * 1. Writes are done, and acknowledged, in the order in which they were asked for.
 * 2. When one fails, all that wait behind it fail with it: no write stands behind a gap.
 */
interface Waiting<W> {
  readonly write: W;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface Work<W> {
  /** Whether a write may be done together with others for which this is true. */
  joins(write: W): boolean;
  /** Does the writes; what it returns is done after they were acknowledged. */
  perform(writes: readonly W[]): Promise<(() => Promise<void>) | undefined>;
  /** Hears of the writes that are about to be refused. */
  failed(writes: readonly W[]): void;
}

export class WriteQueue<W> {
  readonly #work: Work<W>;
  #waiting: Waiting<W>[] = [];
  #loop: Promise<void> | undefined;

  constructor(work: Work<W>) {
    this.#work = work;
  }

  add(write: W): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, resolve, reject });
      this.#loop ??= this.#run();
    });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#loop;
  }

  async #run(): Promise<void> {
    try {
      while (this.#waiting.length > 0) await this.#next();
    } finally {
      this.#loop = undefined;
    }
  }

  async #next(): Promise<void> {
    const group = this.#takeGroup();
    try {
      const after = await this.#work.perform(group.map(({ write }) => write));
      for (const { resolve } of group) resolve();
      await after?.();
    } catch (thrown) {
      const refused = [...group, ...this.#waiting];
      this.#waiting = [];
      this.#work.failed(refused.map(({ write }) => write));
      for (const { reject } of refused) reject(thrown);
    }
  }

  #takeGroup(): readonly Waiting<W>[] {
    const end = this.#waiting.findIndex(({ write }) => !this.#work.joins(write));
    const count = end < 0 ? this.#waiting.length : Math.max(end, 1);
    const group = this.#waiting.slice(0, count);
    this.#waiting = count === this.#waiting.length ? [] : this.#waiting.slice(count);
    return group;
  }
}
