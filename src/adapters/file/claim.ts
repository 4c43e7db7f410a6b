/**
 * One writer's claim on a run: a file that only one of them can make, whose number is its rank.
 *
 * Owns: the numbers of writers, and whether one is still the newest. Does not own: what a writer writes.
 *
 * Invariants
 * 1. Of two writers that want one number, one gets it; the other takes the next.
 * 2. A claim holds as long as its own file is there and none with a higher number. Files of overtaken claims may go at any
 *    time, that of the newest never while it writes.
 * 3. The first number of a run is the time. So what a writer of a run that was removed still writes ranks below all that
 *    a run of the same id has that was made later.
 */
import { CheckpointError } from '../../core/errors.ts';
import type { RunOwner } from '../../ports.ts';
import { conflict } from '../store-errors.ts';
import { errnoOf, isMissing } from './failures.ts';
import { seal } from './format.ts';
import { epochName, parseName } from './names.ts';
import { pathIn, readOwner, type RunFolder } from './run-folder.ts';

export class Claim {
  readonly epoch: number;
  readonly #folder: RunFolder;
  readonly #own: string;

  constructor(folder: RunFolder, epoch: number) {
    this.#folder = folder;
    this.epoch = epoch;
    this.#own = epochName(epoch);
  }

  /** Whether no newer writer has opened the run and nobody has removed it. */
  holds(): boolean {
    let own = false;
    for (const name of this.#names()) {
      if (name === this.#own) own = true;
      else if (name.endsWith('.epoch') && (epochOf(name) ?? 0) > this.epoch) return false;
    }
    return own;
  }

  /** Refuses to go on where the claim is lost. */
  async check(): Promise<void> {
    if (!this.holds()) throw await this.#lost();
  }

  /** Whatever went wrong: that the claim is lost, if it is. */
  async reasonFor(thrown: unknown): Promise<unknown> {
    try {
      return this.holds() || thrown instanceof CheckpointError ? thrown : await this.#lost();
    } catch {
      return thrown;
    }
  }

  async #lost(): Promise<CheckpointError> {
    const newest = Math.max(0, ...this.#names().map((name) => epochOf(name) ?? 0));
    if (newest === 0) return conflict(this.#folder.runId);
    return conflict(this.#folder.runId, newest, await readOwner(this.#folder, newest));
  }

  #names(): readonly string[] {
    try {
      return this.#folder.fs.names(this.#folder.path);
    } catch (thrown) {
      if (isMissing(thrown)) return [];
      throw thrown;
    }
  }
}

function epochOf(name: string): number | undefined {
  const file = parseName(name);
  return file?.kind === 'epoch' ? file.epoch : undefined;
}

/** Claims the run with a number higher than `newest`, which is 0 where the run is new. */
export async function claimRun(folder: RunFolder, newest: number, owner: RunOwner): Promise<Claim> {
  const { host, pid, since } = owner;
  const { bytes } = seal('epoch', { run: folder.runId, host, pid, since });
  for (let epoch = newest === 0 ? Date.now() : newest + 1; ; epoch++) {
    try {
      const file = await folder.fs.create(pathIn(folder, epochName(epoch)));
      try {
        await file.write(bytes);
      } finally {
        await file.close();
      }
      return new Claim(folder, epoch);
    } catch (thrown) {
      if (errnoOf(thrown) !== 'EEXIST') throw thrown;
    }
  }
}
