/**
 * Runs in memory: for tests, and for runs that need not survive their process.
 *
 * Owns: the port's contract, kept without files. Does not own: durability; a crash loses everything.
 */
import type { CheckpointStore, RevisionNote, RunNote, RunOwner, RunWriter, StoredRun } from '../ports.ts';
import { closed, conflict, unknownRevision, WriteOrder } from './store-errors.ts';

/** A store that lives as long as the object. */
export function memoryStore(): CheckpointStore {
  return new MemoryStore();
}

interface Batch {
  readonly entries: readonly string[];
  readonly revision: number;
}

interface Snapshot {
  readonly checkpoint: string;
  readonly revision: number;
  readonly savedAt: number;
}

class MemoryRun {
  epoch = 0;
  owner: RunOwner | undefined;
  updatedAt = Date.now();
  /** Newest first; the last two. */
  snapshots: readonly Snapshot[] = [];
  /** What was appended after the older snapshot. */
  batches: Batch[] = [];
  readonly posts: string[] = [];

  get revision(): number {
    return Math.max(this.batches.at(-1)?.revision ?? 0, this.snapshots[0]?.revision ?? 0);
  }

  /** The state at a revision, or the newest. */
  at(revision = Infinity): StoredRun | undefined {
    for (const { checkpoint, revision: from } of this.snapshots) {
      if (from > revision) continue;
      const after = this.batches.filter((batch) => batch.revision > from && batch.revision <= revision);
      const reached = after.at(-1)?.revision ?? from;
      if (revision === Infinity || reached === revision) return { checkpoint, revision: from, journal: after.flatMap(({ entries }) => entries) };
    }
    return undefined;
  }

  save(snapshot: Snapshot): void {
    const [newest] = this.snapshots;
    this.snapshots = newest === undefined || newest.revision === snapshot.revision ? [snapshot, ...this.snapshots.slice(1)] : [snapshot, newest];
    const oldest = this.snapshots.at(-1)?.revision ?? 0;
    this.batches = this.batches.filter((batch) => batch.revision > oldest);
  }
}

class MemoryStore implements CheckpointStore {
  readonly #runs = new Map<string, MemoryRun>();

  async open(runId: string, owner: RunOwner): Promise<RunWriter> {
    const run = this.#runFor(runId);
    run.epoch += 1;
    run.owner = { ...owner };
    run.updatedAt = Date.now();
    return new MemoryWriter(runId, run, () => this.#runs.get(runId) === run);
  }

  async load(runId: string, revision?: number): Promise<StoredRun | undefined> {
    const run = this.#runs.get(runId);
    const found = run?.at(revision);
    if (run !== undefined && found === undefined && revision !== undefined) throw unknownRevision(runId, revision, run.snapshots.map((snapshot) => snapshot.revision));
    return found;
  }

  async list(): Promise<readonly RunNote[]> {
    const saved = [...this.#runs].filter(([, run]) => run.snapshots.length > 0);
    return saved.map(([runId, run]) => ({ runId, workflow: workflowOf(run.snapshots[0]?.checkpoint ?? ''), epoch: run.epoch, owner: run.owner, updatedAt: run.updatedAt }));
  }

  async revisions(runId: string): Promise<readonly RevisionNote[]> {
    const snapshots = this.#runs.get(runId)?.snapshots ?? [];
    return snapshots.map(({ checkpoint, revision, savedAt }) => ({ revision, savedAt, bytes: new TextEncoder().encode(checkpoint).length }));
  }

  async remove(runId: string): Promise<void> {
    this.#runs.delete(runId);
  }

  async post(runId: string, text: string): Promise<number> {
    return this.#runFor(runId).posts.push(text);
  }

  async posts(runId: string, after: number): Promise<readonly { readonly number: number; readonly text: string }[]> {
    const posts = this.#runs.get(runId)?.posts ?? [];
    return posts.slice(after).map((text, at) => ({ number: after + at + 1, text }));
  }

  #runFor(runId: string): MemoryRun {
    let run = this.#runs.get(runId);
    if (run === undefined) this.#runs.set(runId, (run = new MemoryRun()));
    return run;
  }
}

class MemoryWriter implements RunWriter {
  readonly stored: StoredRun | undefined;
  readonly #runId: string;
  readonly #run: MemoryRun;
  readonly #epoch: number;
  readonly #isThere: () => boolean;
  readonly #order: WriteOrder;
  #closed = false;

  constructor(runId: string, run: MemoryRun, isThere: () => boolean) {
    this.stored = run.at();
    this.#runId = runId;
    this.#run = run;
    this.#epoch = run.epoch;
    this.#isThere = isThere;
    this.#order = new WriteOrder(runId, run.snapshots[0]?.revision, run.revision);
  }

  async append(entries: readonly string[], revision: number): Promise<void> {
    this.#check();
    this.#order.append(entries, revision);
    if (entries.length > 0) this.#run.batches.push({ entries: [...entries], revision });
    this.#run.updatedAt = Date.now();
  }

  async save(checkpoint: string, revision: number): Promise<void> {
    this.#check();
    this.#order.save(revision);
    this.#order.saved(revision);
    this.#run.save({ checkpoint, revision, savedAt: Date.now() });
    this.#run.updatedAt = Date.now();
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #check(): void {
    if (this.#closed) throw closed(this.#runId);
    if (!this.#isThere()) throw conflict(this.#runId);
    if (this.#run.epoch !== this.#epoch) throw conflict(this.#runId, this.#run.epoch, this.#run.owner);
  }
}

function workflowOf(checkpoint: string): string {
  try {
    const { workflow } = JSON.parse(checkpoint) as { workflow?: unknown };
    return typeof workflow === 'string' ? workflow : '';
  } catch {
    return '';
  }
}
