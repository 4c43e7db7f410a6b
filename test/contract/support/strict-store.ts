/**
 * A store in memory that gives no more than the contract promises, and can lose its writer at any moment.
 *
 * Owns: what a killed process leaves behind. Invariants
 * 1. A write takes a turn; one whose writer was killed before its turn came is lost, and its promise never settles.
 * 2. A message is forgotten as soon as someone looks behind it, as a store may.
 */
import type { CheckpointStore, RunOwner, RunWriter, StoredRun } from '../../../src/ports.ts';

interface Held {
  stored: StoredRun | undefined;
  writer: object | undefined;
  posts: { number: number; text: string }[];
  posted: number;
}

export class StrictStore implements CheckpointStore {
  readonly #runs = new Map<string, Held>();
  /** Nothing more fits. */
  full = false;

  /** `kill -9` for whoever writes the run now. */
  kill(runId: string): void {
    this.#held(runId).writer = undefined;
  }

  async open(runId: string, _owner: RunOwner): Promise<RunWriter> {
    const held = this.#held(runId);
    const me = {};
    held.writer = me;
    const write = async (change: (stored: StoredRun | undefined) => StoredRun): Promise<void> => {
      await new Promise<void>((resolve) => void setImmediate(resolve));
      if (held.writer !== me) return new Promise<never>(() => undefined);
      if (this.full) throw new Error('no space left');
      held.stored = change(held.stored);
    };
    return {
      stored: held.stored,
      append: (entries) => write((stored) => ({ ...(stored as StoredRun), journal: [...(stored as StoredRun).journal, ...entries] })),
      save: (checkpoint, revision) => write(() => ({ checkpoint, revision, journal: [] })),
      close: async () => undefined,
    };
  }

  async load(runId: string): Promise<StoredRun | undefined> {
    return this.#held(runId).stored;
  }

  async list(): Promise<readonly []> {
    return [];
  }

  async revisions(): Promise<readonly []> {
    return [];
  }

  async remove(runId: string): Promise<void> {
    this.#runs.delete(runId);
  }

  async post(runId: string, text: string): Promise<number> {
    const held = this.#held(runId);
    held.posted += 1;
    held.posts.push({ number: held.posted, text });
    return held.posted;
  }

  async posts(runId: string, after: number): Promise<readonly { readonly number: number; readonly text: string }[]> {
    const held = this.#held(runId);
    held.posts = held.posts.filter(({ number }) => number > after);
    return held.posts;
  }

  #held(runId: string): Held {
    const held = this.#runs.get(runId) ?? { stored: undefined, writer: undefined, posts: [], posted: 0 };
    this.#runs.set(runId, held);
    return held;
  }
}
