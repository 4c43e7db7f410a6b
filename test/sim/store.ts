/**
 * A store that outlives processes, with writes that take time, get lost or are torn.
 *
 * Owns: the way between a process and the memory store behind it. Does not own: the run's state in it (oracle.ts is told of
 * every write that has become durable).
 *
 * Invariants
 * 1. Writes of one writer are made in their order.
 * 2. What was not acknowledged may be there: all of it, a first part of it, or nothing.
 */
import { memoryStore } from '../../src/adapters/memory-store.ts';
import { CheckpointError } from '../../src/core/errors.ts';
import type { CheckpointStore, RunOwner, RunWriter, StoredRun } from '../../src/ports.ts';
import type { Action } from './faults.ts';
import type { Lane } from './kernel.ts';
import type { Process } from './process.ts';

export interface StoreHost {
  readonly lane: Lane;
  /** How long a write takes. */
  writeMs(): number;
  onWrite(process: Process, what: 'append' | 'save'): Action | undefined;
  opened(process: Process, runId: string): void;
  appended(runId: string, entries: readonly string[]): void;
  saved(runId: string, checkpoint: string, revision: number): void;
  /** Whether what a dead process had under way is lost. */
  isLost(process: Process): boolean;
  tear(process: Process, action: Extract<Action, { do: 'tear' }>): void;
}

export class Disk {
  readonly store: CheckpointStore = memoryStore();
  readonly #host: StoreHost;

  constructor(host: StoreHost) {
    this.#host = host;
  }

  /** The store, as a process sees it. */
  for(process: Process): CheckpointStore {
    const { store } = this;
    return {
      open: (runId, owner) => process.call('open', () => this.#open(process, runId, owner)),
      load: (runId, revision) => process.call('load', () => store.load(runId, revision)),
      list: () => store.list(),
      revisions: (runId) => store.revisions(runId),
      remove: (runId) => store.remove(runId),
      post: (runId, text) => store.post(runId, text),
      posts: (runId, after) => process.call('posts', () => store.posts(runId, after)),
    };
  }

  async #open(process: Process, runId: string, owner: RunOwner): Promise<RunWriter> {
    await this.#pass();
    if (this.#host.isLost(process)) return never();
    const writer = await this.store.open(runId, owner);
    this.#host.opened(process, runId);
    return new Writer(this.#host, process, runId, writer);
  }

  #pass(): Promise<void> {
    return new Promise((resolve) => void this.#host.lane.after(this.#host.writeMs(), resolve));
  }
}

class Writer implements RunWriter {
  readonly stored: StoredRun | undefined;
  readonly #host: StoreHost;
  readonly #process: Process;
  readonly #runId: string;
  readonly #writer: RunWriter;
  #last: Promise<unknown> = Promise.resolve();

  constructor(host: StoreHost, process: Process, runId: string, writer: RunWriter) {
    this.#host = host;
    this.#process = process;
    this.#runId = runId;
    this.#writer = writer;
    this.stored = writer.stored;
  }

  append(entries: readonly string[], revision: number): Promise<void> {
    return this.#process.call('append', () => this.#next('append', async (action) => {
      if (action?.do === 'tear') {
        await this.#append(entries.slice(0, Math.floor(action.part * (entries.length + 1))));
        this.#host.tear(this.#process, action);
        return never();
      }
      await this.#append(entries, revision);
    }));
  }

  save(checkpoint: string, revision: number): Promise<void> {
    return this.#process.call('save', () => this.#next('save', async () => {
      await this.#writer.save(checkpoint, revision);
      this.#host.saved(this.#runId, checkpoint, revision);
    }));
  }

  close(): Promise<void> {
    return this.#process.call('close', () => this.#writer.close());
  }

  async #append(entries: readonly string[], revision = revisionOf(entries)): Promise<void> {
    if (entries.length === 0) return;
    await this.#writer.append(entries, revision);
    this.#host.appended(this.#runId, entries);
  }

  /** Invariant 1. */
  #next(what: 'append' | 'save', write: (action: Action | undefined) => Promise<void>): Promise<void> {
    const made = this.#last.then(async () => {
      await new Promise<void>((resolve) => void this.#host.lane.after(this.#host.writeMs(), resolve));
      if (this.#host.isLost(this.#process)) return never<void>();
      const action = this.#host.onWrite(this.#process, what);
      if (action?.do === 'refuse' && !action.done) throw refused(this.#runId);
      await write(action);
      if (action?.do === 'refuse') throw refused(this.#runId);
    });
    this.#last = made.catch(() => undefined);
    return made;
  }
}

function revisionOf(entries: readonly string[]): number {
  return (JSON.parse(entries.at(-1) ?? '[0]') as readonly number[])[0] ?? 0;
}

function refused(runId: string): CheckpointError {
  return new CheckpointError('checkpoint/no-space', `run "${runId}": the disk is full`);
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
