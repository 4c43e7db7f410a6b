/**
 * Makes a run durable: accepted events go to the run's store in batches, and a full snapshot follows when the journal
 * has outgrown the last one.
 *
 * Owns: what is written and when. Does not own: the store, the run, what a failed write means for the run.
 *
 * Invariants
 * 1. Events are recorded in the order in which the machine accepted them; the journal has no gap.
 * 2. One write is on its way at a time; what is accepted meanwhile is the next batch (group commit).
 * 3. A snapshot is saved when the journal since the last one is longer than both it and JOURNAL_LEAST, so all bytes
 *    ever written stay in proportion to the bytes of what happened.
 * 4. After a write has failed nothing more is written: the store keeps its last good revision.
 */
import { encodeEntry } from './journal-codec.ts';
import { serializeCheckpoint, type Checkpoint } from '../core/checkpoint.ts';
import type { ExecutionEvent } from '../../machines/index.ts';
import type { RunWriter } from '../ports.ts';

export interface Captured {
  readonly checkpoint: Checkpoint;
  /** The run's revision in it. */
  readonly revision: number;
}

/** What is stored when recording starts. */
export interface RecordStart {
  readonly revision: number;
  readonly snapshotBytes: number;
  readonly journalBytes: number;
  /** The newest message of the store's mailbox that it has taken in. */
  readonly posted: number;
}

export type RecordMode = 'journal' | 'manual';

const JOURNAL_LEAST = 256 * 1024;
/** More unwritten text than this, and the executor waits. */
const PENDING_MOST = 8 * 1024 * 1024;

export class Recorder {
  readonly #writer: RunWriter;
  readonly #mode: RecordMode;
  readonly #capture: () => Captured;
  readonly #failed: (error: unknown) => void;
  #lines: string[] = [];
  #linesBytes = 0;
  #revision: number;
  #posted: number;
  #durablePost: number;
  #durable: number;
  readonly #listeners = new Set<(revision: number) => void>();
  #journalBytes: number;
  #snapshotBytes: number;
  #wanted = false;
  #loop: Promise<void> | undefined;
  #failure: unknown;
  #relieved: (() => void) | undefined;
  #congestion: Promise<void> | undefined;

  /** `capture` gives the run as it is now; `failed` hears of the first write that failed. */
  constructor(writer: RunWriter, mode: RecordMode, start: RecordStart, capture: () => Captured, failed: (error: unknown) => void) {
    this.#writer = writer;
    this.#mode = mode;
    this.#revision = start.revision;
    this.#posted = start.posted;
    this.#durablePost = start.posted;
    this.#durable = start.revision;
    this.#snapshotBytes = start.snapshotBytes;
    this.#journalBytes = start.journalBytes;
    this.#capture = capture;
    this.#failed = failed;
  }

  /** Set while more is unwritten than may be held in memory. */
  get congestion(): Promise<void> | undefined {
    return this.#congestion;
  }

  /** The newest message of the mailbox that a restored run would know of. */
  get durablePost(): number {
    return this.#durablePost;
  }

  /** Whether every accepted event is stored: then what leaves the process can wait until what planned it is durable. */
  get journalled(): boolean {
    return this.#mode === 'journal';
  }

  /** The newest revision that a restored run would have. */
  get durable(): number {
    return this.#durable;
  }

  /** Calls `listener` with every revision that becomes durable; returns the way to stop. */
  onDurable(listener: (revision: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** An event that the machine has accepted; `revision` is the run's revision after it. */
  accept(event: ExecutionEvent, revision: number, before: number): void {
    if (this.#failure !== undefined) return;
    this.#revision = revision;
    if ('post' in event && event.post !== undefined) this.#posted = Math.max(this.#posted, event.post);
    if (asksForSnapshot(event)) this.#wanted = true;
    if (this.#mode === 'journal') {
      const line = encodeEntry(event, revision, before);
      this.#lines.push(line);
      this.#linesBytes += line.length;
      if (this.#linesBytes > PENDING_MOST) this.#congestion ??= new Promise((resolve) => (this.#relieved = resolve));
    }
    if (this.#mode === 'journal' || this.#wanted) this.#work();
  }

  /** Saves a snapshot of the run as it is now; resolves when it is durable. */
  async save(): Promise<void> {
    this.#wanted = true;
    await this.flush();
  }

  /** As `EventSink` says. */
  confirm(): Promise<void> {
    return this.save();
  }

  /** Resolves when everything accepted so far is durable. */
  async flush(): Promise<void> {
    if (this.#failure === undefined) this.#work();
    await this.#loop;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Makes the final state durable and gives the run up. */
  async finish(): Promise<void> {
    await this.save();
    // What had to be durable is.
    await this.#writer.close().catch(() => undefined);
  }

  /** Gives the run up as it is stored. */
  async abandon(): Promise<void> {
    this.#failure ??= new Error('abandoned');
    await this.#loop;
    await this.#writer.close().catch(() => undefined);
  }

  #work(): void {
    this.#loop ??= this.#write();
  }

  async #write(): Promise<void> {
    try {
      // A turn for whatever the same turn still accepts.
      await Promise.resolve();
      while (this.#failure === undefined && (this.#lines.length > 0 || this.#wanted)) {
        if (this.#wanted || this.#isOutgrown()) await this.#snapshot();
        else await this.#append();
        this.#relieve();
      }
    } catch (thrown) {
      this.#failure ??= thrown;
      this.#failed(thrown);
      this.#relieve();
    } finally {
      // In the turn in which nothing was left to write: what is accepted from here on needs a loop of its own.
      this.#loop = undefined;
    }
  }

  #isOutgrown(): boolean {
    return this.#journalBytes + this.#linesBytes > Math.max(JOURNAL_LEAST, this.#snapshotBytes);
  }

  async #append(): Promise<void> {
    const lines = this.#lines;
    const posted = this.#posted;
    const revision = this.#revision;
    this.#journalBytes += this.#linesBytes;
    this.#lines = [];
    this.#linesBytes = 0;
    await this.#writer.append(lines, revision);
    this.#durablePost = posted;
    this.#tell(revision);
  }

  /** The snapshot holds what the waiting lines say, so they need not be written. */
  async #snapshot(): Promise<void> {
    this.#wanted = false;
    const posted = this.#posted;
    const { checkpoint, revision } = this.#capture();
    const text = serializeCheckpoint(checkpoint);
    this.#lines = [];
    this.#linesBytes = 0;
    this.#journalBytes = 0;
    this.#snapshotBytes = text.length;
    await this.#writer.save(text, revision);
    this.#durablePost = posted;
    this.#tell(revision);
  }

  #tell(revision: number): void {
    this.#durable = revision;
    for (const listener of this.#listeners) listener(revision);
  }

  #relieve(): void {
    if (this.#linesBytes > PENDING_MOST && this.#failure === undefined) return;
    this.#relieved?.();
    this.#congestion = undefined;
    this.#relieved = undefined;
  }
}

function asksForSnapshot(event: ExecutionEvent): boolean {
  if (event.type !== 'SETTLED') return false;
  return event.reports.some((report) => 'end' in report && report.end !== undefined && 'checkpoint' in report.end && report.end.checkpoint === true);
}
