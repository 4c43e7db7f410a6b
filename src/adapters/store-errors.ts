/** What every store refuses in the same words: a writer that was overtaken, writes that do not fit. */
import { CheckpointError } from '../core/errors.ts';
import { preview } from '../core/json.ts';
import type { RunOwner } from '../ports.ts';

/** A newer writer has opened the run, or the run was removed (then there is no `epoch`). */
export function conflict(runId: string, epoch?: number, owner?: RunOwner): CheckpointError {
  const by = owner === undefined ? '' : ` by process ${owner.pid} on ${preview(owner.host, 60)}`;
  const what = epoch === undefined ? 'was removed' : `was opened again${by}`;
  return new CheckpointError('checkpoint/conflict', `Run "${runId}" ${what}, so this writer may write no more; its last write was refused.`, {
    hint: epoch === undefined ? 'Start a new run.' : 'Let the other process go on with the run, or end it and resume the run again.',
    details: { runId, ...(epoch === undefined ? {} : { epoch }), ...(owner === undefined ? {} : { owner: { ...owner } }) },
  });
}

export function closed(runId: string): CheckpointError {
  return new CheckpointError('checkpoint/closed', `The writer of run "${runId}" was closed, and something was written to it after that.`, { hint: 'Open the run again.', details: { runId } });
}

/** `known`: the revisions that can be loaded, newest first. */
export function unknownRevision(runId: string, revision: number, known: readonly number[]): CheckpointError {
  const list = known.length === 0 ? 'It has none.' : `It has ${known.slice(0, 10).join(', ')}.`;
  return new CheckpointError('checkpoint/unknown-revision', `Run "${runId}" has no revision ${preview(revision, 30)}. ${list}`, {
    hint: 'Take one of these revisions, or none for the newest state.',
    details: { runId, known },
  });
}

/** Where a run stands for the next write: the revision of its snapshot, and those that were written after it. */
export class WriteOrder {
  readonly #runId: string;
  #snapshot: number | undefined;
  #revision: number;
  /** The revisions of the writes after the last snapshot that is saved. */
  #after: number[] = [];

  constructor(runId: string, snapshot: number | undefined, revision: number) {
    this.#runId = runId;
    this.#snapshot = snapshot;
    this.#revision = revision;
  }

  /** Refuses entries that are no lines, or that would not follow what is there. */
  append(entries: readonly string[], revision: number): void {
    this.#check(revision);
    if (this.#snapshot === undefined) throw this.#outOfOrder('entries were appended before the first snapshot was saved', 'Save a snapshot first.');
    if (entries.length === 0) return;
    if (revision <= this.#revision) throw this.#outOfOrder(`entries up to revision ${revision} were appended, but revision ${this.#revision} is written already`);
    for (const entry of entries) {
      if (entry.includes('\n') || !isWellFormed(entry)) {
        throw new CheckpointError('checkpoint/invalid', `An entry for run "${this.#runId}" is no single line of text: ${preview(entry, 60)}.`, { hint: 'Write entries as JSON text.', details: { runId: this.#runId } });
      }
    }
    this.#revision = revision;
    this.#after.push(revision);
  }

  /** Refuses a snapshot of a revision before the last one, or of one in the middle of a write. */
  save(revision: number): void {
    this.#check(revision);
    if (this.#snapshot !== undefined && revision < this.#snapshot) throw this.#outOfOrder(`a snapshot of revision ${revision} was saved, but there is one of revision ${this.#snapshot} already`);
    if (revision < this.#revision && revision !== this.#snapshot && !this.#after.includes(revision)) {
      throw this.#outOfOrder(`a snapshot of revision ${revision} was saved, but no write ended there`);
    }
    this.#snapshot = revision;
    this.#revision = Math.max(this.#revision, revision);
  }

  /** A snapshot was saved: what was written before it is not asked for any more. */
  saved(revision: number): void {
    this.#after = this.#after.filter((written) => written > revision);
  }

  /** Writes have failed: back to what is acknowledged. */
  failed(snapshot: number | undefined, revision: number): void {
    this.#snapshot = snapshot;
    this.#revision = revision;
    this.#after = this.#after.filter((written) => written <= revision);
  }

  #check(revision: number): void {
    if (!Number.isSafeInteger(revision) || revision < 0) throw this.#outOfOrder(`${preview(revision, 30)} was given as a revision`, 'Revisions are whole numbers from 0.');
  }

  #outOfOrder(what: string, hint = 'Write in the order of revisions, each write once.'): CheckpointError {
    return new CheckpointError('checkpoint/out-of-order', `A write to run "${this.#runId}" was refused: ${what}.`, { hint, details: { runId: this.#runId, revision: this.#revision } });
  }
}

/** Half a surrogate pair would come back as another character. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}
