/**
 * Writes one run.
 *
 * Owns: the journal that is open, what is acknowledged, what is kept. Does not own: files' insides, the claim's rules.
 *
 * Invariants
 * 1. A write is acknowledged when it is durable and the claim held after that: whoever opens the run later sees it.
 * 2. A batch costs one write, one sync and one look at the claim.
 * 3. After a write has failed, the file it went to is given up: the next write begins a journal that goes on from what
 *    is acknowledged, so nothing half-written is ever followed by something.
 * 4. A lost claim is lost for good.
 */
import { CheckpointError } from '../../core/errors.ts';
import type { RunWriter, StoredRun } from '../../ports.ts';
import { closed, WriteOrder } from '../store-errors.ts';
import { type BegunJournal, beginJournal, writeSnapshot } from './begin.ts';
import type { Claim } from './claim.ts';
import { clearOutdated } from './clearing.ts';
import { translated } from './failures.ts';
import { encodeLines } from './journal-lines.ts';
import type { JournalKey, SnapshotKey } from './names.ts';
import type { RunFolder } from './run-folder.ts';
import { WriteQueue } from './write-queue.ts';

interface Append {
  readonly kind: 'append';
  readonly entries: readonly string[];
  readonly revision: number;
}

interface Save {
  readonly kind: 'save';
  readonly checkpoint: string;
  readonly revision: number;
  /** What was owed before, and is again if this fails. */
  readonly owed: string | undefined;
}

/** A snapshot, and the oldest journal with entries after it. */
export interface Kept {
  readonly snapshot: SnapshotKey;
  readonly since: JournalKey;
}

export class FileWriter implements RunWriter {
  readonly stored: StoredRun | undefined;
  readonly #folder: RunFolder;
  readonly #claim: Claim;
  readonly #queue = new WriteQueue<Append | Save>({
    joins: ({ kind }) => kind === 'append',
    perform: (writes) => this.#perform(writes),
    failed: (writes) => this.#failed(writes),
  });
  /** Nothing after a write that failed. */
  #open: BegunJournal | undefined;
  #tip: BegunJournal['tip'];
  /** The number of the last journal that was begun, or that might have been. */
  #number = 1;
  /** Newest first; no more than the last two. */
  #kept: readonly Kept[];
  /** What has been asked for. */
  readonly #order: WriteOrder;
  /** The first entry that was refused, which must come again before others may. */
  #owed: string | undefined;
  #lost: CheckpointError | undefined;
  #closed = false;

  constructor(folder: RunFolder, claim: Claim, begun: BegunJournal, stored: StoredRun | undefined, kept: Kept | undefined) {
    this.#folder = folder;
    this.#claim = claim;
    this.#open = begun;
    this.#tip = begun.tip;
    this.#kept = kept === undefined ? [] : [kept];
    this.#order = new WriteOrder(folder.runId, kept?.snapshot.revision, begun.tip.revision);
    this.stored = stored;
  }

  async append(entries: readonly string[], revision: number): Promise<void> {
    this.#checkOpen();
    if (this.#owed !== undefined && entries.length > 0 && entries[0] !== this.#owed) {
      throw new CheckpointError('checkpoint/out-of-order', `A write to run "${this.#folder.runId}" was refused: the entries of a write that failed before are missing.`, {
        hint: 'Make the failed write again, or save a snapshot.',
        details: { runId: this.#folder.runId, revision: this.#tip.revision },
      });
    }
    this.#order.append(entries, revision);
    if (entries.length > 0) this.#owed = undefined;
    await this.#queue.add({ kind: 'append', entries, revision });
  }

  async save(checkpoint: string, revision: number): Promise<void> {
    this.#checkOpen();
    this.#order.save(revision);
    const owed = this.#owed;
    this.#owed = undefined;
    await this.#queue.add({ kind: 'save', checkpoint, revision, owed });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue.idle();
    await this.#abandonJournal();
  }

  #checkOpen(): void {
    if (this.#closed) throw closed(this.#folder.runId);
    if (this.#lost !== undefined) throw this.#lost;
  }

  async #perform(writes: readonly (Append | Save)[]): Promise<(() => Promise<void>) | undefined> {
    const [first] = writes;
    try {
      if (first?.kind === 'save') {
        await this.#save(first);
        return () => this.#clear();
      }
      await this.#append(writes as readonly Append[]);
      return undefined;
    } catch (thrown) {
      await this.#abandonJournal();
      const error = await this.#refusal(thrown, first?.kind === 'save');
      if (error.code === 'checkpoint/conflict') this.#lost = error;
      throw error;
    }
  }

  #failed(writes: readonly (Append | Save)[]): void {
    this.#order.failed(this.#kept[0]?.snapshot.revision, this.#tip.revision);
    const owed = writes.map((write) => (write.kind === 'save' ? write.owed : write.entries[0])).find((entry) => entry !== undefined);
    this.#owed = owed ?? this.#owed;
  }

  async #append(writes: readonly Append[]): Promise<void> {
    const { file } = (this.#open ??= await this.#goOn());
    const { bytes, crc } = encodeLines(writes, this.#tip.crc);
    if (bytes.length > 0) {
      await file.write(bytes);
      await file.sync();
    }
    await this.#claim.check();
    const revision = bytes.length > 0 ? (writes.at(-1) as Append).revision : this.#tip.revision;
    this.#tip = { ...this.#tip, bytes: this.#tip.bytes + bytes.length, crc, revision };
  }

  /** A new journal after a failure: what the last one holds behind the acknowledged bytes counts for nothing. */
  async #goOn(): Promise<BegunJournal> {
    const begun = await beginJournal(this.#folder, this.#claim, this.#nextNumber(), { start: this.#tip.revision, snapshot: this.#kept[0]?.snapshot, from: this.#tip });
    this.#tip = begun.tip;
    return begun;
  }

  async #save({ checkpoint, revision }: Save): Promise<void> {
    await this.#claim.check();
    const key: JournalKey = { epoch: this.#claim.epoch, number: this.#nextNumber() };
    const snapshot = { ...key, revision };
    await writeSnapshot(this.#folder, this.#claim, snapshot, checkpoint);
    const begun = await beginJournal(this.#folder, this.#claim, key.number, { start: Math.max(this.#tip.revision, revision), snapshot, from: this.#tip });
    try {
      await this.#claim.check();
    } catch (thrown) {
      await begun.file.close().catch(() => undefined);
      throw thrown;
    }
    const [previous] = this.#kept;
    // Entries after the snapshot's revision stand in the journals before.
    const late = revision < this.#tip.revision && previous !== undefined;
    this.#kept = [{ snapshot, since: late ? previous.since : key }, ...this.#kept.slice(0, 1)];
    await this.#abandonJournal();
    this.#open = begun;
    this.#tip = begun.tip;
    this.#order.saved(revision);
  }

  #nextNumber(): number {
    this.#number += 1;
    return this.#number;
  }

  async #refusal(thrown: unknown, save: boolean): Promise<CheckpointError> {
    const { path, runId } = this.#folder;
    const stored = this.#kept.length === 0 ? 'nothing is stored yet' : `revision ${this.#tip.revision} is stored`;
    return translated(await this.#claim.reasonFor(thrown), `Could not ${save ? 'save a snapshot of' : 'append to'} run "${runId}" (${stored})`, path);
  }

  async #abandonJournal(): Promise<void> {
    const file = this.#open?.file;
    this.#open = undefined;
    await file?.close().catch(() => undefined);
  }

  async #clear(): Promise<void> {
    const oldest = this.#kept.at(-1);
    if (oldest === undefined) return;
    await clearOutdated(this.#folder, this.#claim, this.#kept.map(({ snapshot }) => snapshot), oldest.since);
  }
}
