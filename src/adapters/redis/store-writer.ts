/**
 * Writes one run.
 *
 * Owns: what is acknowledged, waiting for a server that comes back, telling it again what it has forgotten, what a failed
 * write means for those after it. Does not own: the lists, connections.
 *
 * Invariants
 * 1. One write is on its way at a time; those that are asked for meanwhile go together (group commit).
 * 2. A write that fails because Redis cannot be reached is tried again, and counts once, until `patienceMs` have passed.
 * 3. No write stands behind a gap: after one that failed, entries must begin with those that failed, or a snapshot comes.
 * 4. A run that was taken over or removed is lost for good.
 * 5. A server that comes back without the writes of its last seconds (an append-only file is behind by so much) gets them
 *    again, in order, before anything else is written.
 */
import { CheckpointError, isTaskchartError, type ErrorCode, type TaskchartError } from '../../core/errors.ts';
import type { RunWriter, StoredRun } from '../../ports.ts';
import { WriteQueue } from '../file/write-queue.ts';
import { closed, conflict, WriteOrder } from '../store-errors.ts';
import { withPatience } from './patience.ts';
import { encodeBatch, encodeSnapshot, foreign, workflowOf, type Head, type Mark, type Resumed } from './store-format.ts';
import type { Claim, StoreLists, Write, Written } from './store-scripts.ts';

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

/** Writes that were acknowledged so long before a later one are in the append-only file: it is written after 2 s at the latest. */
const REMEMBERED_MS = 5000;

const codes: Readonly<Partial<Record<string, ErrorCode>>> = {
  'transport/out-of-memory': 'checkpoint/no-space',
  'transport/auth': 'checkpoint/no-access',
  'transport/forbidden': 'checkpoint/no-access',
};

export class StoreWriter implements RunWriter {
  readonly stored: StoredRun | undefined;
  readonly #lists: StoreLists;
  readonly #runId: string;
  readonly #claim: Claim;
  readonly #patienceMs: number;
  readonly #queue = new WriteQueue<Append | Save>({
    joins: ({ kind }) => kind === 'append',
    perform: async (writes) => {
      await this.#perform(writes);
      return undefined;
    },
    failed: (writes) => this.#failed(writes),
  });
  readonly #order: WriteOrder;
  /** What is acknowledged: how many writes, the log's last number, the revision, the two newest snapshots, the log after the newest. */
  #op: number;
  #last: number;
  #revision: number;
  #marks: readonly Mark[];
  #writes: { readonly number: number; readonly revision: number }[];
  /** The newest of what is acknowledged, oldest first. */
  #recent: { readonly write: Write; readonly at: number }[] = [];
  /** The first entry that was refused, which must come again before others may. */
  #owed: string | undefined;
  #lost: CheckpointError | undefined;
  #closed = false;

  constructor(lists: StoreLists, runId: string, claim: Claim, { op, last }: Pick<Head, 'op' | 'last'>, resumed: Resumed | undefined, patienceMs: number) {
    this.#lists = lists;
    this.#runId = runId;
    this.#claim = claim;
    this.#patienceMs = patienceMs;
    this.stored = resumed?.stored;
    this.#op = op;
    this.#last = last;
    this.#marks = resumed?.marks ?? [];
    this.#writes = [...(resumed?.writes ?? [])];
    this.#revision = this.#writes.at(-1)?.revision ?? this.#marks[0]?.revision ?? 0;
    this.#order = new WriteOrder(runId, this.#marks[0]?.revision, this.#revision);
  }

  async append(entries: readonly string[], revision: number): Promise<void> {
    this.#checkOpen();
    if (this.#owed !== undefined && entries.length > 0 && entries[0] !== this.#owed) {
      throw new CheckpointError('checkpoint/out-of-order', `A write to run "${this.#runId}" was refused: the entries of a write that failed before are missing.`, {
        hint: 'Make the failed write again, or save a snapshot.',
        details: { runId: this.#runId, revision: this.#revision },
      });
    }
    this.#order.append(entries, revision);
    if (entries.length > 0) this.#owed = undefined;
    await this.#queue.add({ kind: 'append', entries: [...entries], revision });
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
  }

  #checkOpen(): void {
    if (this.#closed) throw closed(this.#runId);
    if (this.#lost !== undefined) throw this.#lost;
  }

  async #perform(writes: readonly (Append | Save)[]): Promise<void> {
    const [first] = writes;
    if (first?.kind === 'save') await this.#save(first);
    else await this.#append(writes.filter((write) => write.kind === 'append' && write.entries.length > 0) as Append[]);
  }

  async #append(writes: readonly Append[]): Promise<void> {
    const numbered = writes.map(({ revision }, at) => ({ number: this.#last + at + 1, revision }));
    const elements = writes.map(({ entries, revision }, at) => encodeBatch(this.#runId, this.#last + at + 1, writes[at - 1]?.revision ?? this.#revision, revision, entries));
    const revision = numbered.at(-1)?.revision ?? this.#revision;
    await this.#write('append to', { revision, body: { kind: 'append', elements } });
    for (const write of numbered) this.#writes.push(write);
    this.#last += numbered.length;
    this.#revision = revision;
  }

  async #save({ checkpoint, revision }: Save): Promise<void> {
    const [newest, before] = this.#marks;
    const mark: Mark = { revision, cover: this.#coverOf(revision) };
    // One of the same revision takes the place of the newest.
    const kept = newest?.revision === revision ? before : newest;
    const element = encodeSnapshot(this.#runId, revision, mark.cover, Date.now(), checkpoint);
    const after = Math.max(this.#revision, revision);
    const drop = Math.min(mark.cover, kept?.cover ?? mark.cover);
    await this.#write('save a snapshot of', { revision: after, body: { kind: 'save', revision, keep: kept?.revision ?? -1, drop, workflow: workflowOf(checkpoint), element } });
    this.#marks = kept === undefined ? [mark] : [mark, kept];
    this.#writes = this.#writes.filter(({ number }) => number > mark.cover);
    this.#revision = after;
    this.#order.saved(revision);
  }

  /** The last write that a snapshot of the revision holds. */
  #coverOf(revision: number): number {
    const [newest] = this.#marks;
    const covered = this.#writes.findLast((write) => write.revision <= revision);
    return covered?.number ?? (this.#writes.length > 0 || newest?.revision === revision ? (newest?.cover ?? 0) : this.#last);
  }

  /** Until it is written, refused, or given up. */
  async #write(what: string, { revision, body }: Pick<Write, 'revision' | 'body'>): Promise<void> {
    const write: Write = { op: this.#op, last: this.#last, snapshots: this.#marks.map((mark) => mark.revision), revision, body };
    try {
      await withPatience(this.#patienceMs, () => this.#send(write));
    } catch (thrown) {
      if (isTaskchartError(thrown) && thrown.name === 'TransportError') throw this.#refusal(what, thrown);
      throw thrown;
    }
    this.#op += 1;
    this.#remember(write, Date.now());
  }

  /** What is old goes when it is half of all, so that each write is moved a few times at most. */
  #remember(write: Write, at: number): void {
    this.#recent.push({ write, at });
    if ((this.#recent[this.#recent.length >> 1]?.at ?? at) >= at - REMEMBERED_MS) return;
    this.#recent = this.#recent.filter((recent) => recent.at >= at - REMEMBERED_MS);
  }

  async #send(write: Write): Promise<void> {
    const outcome = await this.#lists.write(this.#runId, this.#claim, write);
    if (outcome.status !== 'lost') return this.#accept(outcome);
    const known = outcome.head?.op ?? write.op;
    const forgotten = this.#recent.filter((recent) => recent.write.op >= known);
    if (known >= write.op || forgotten.length !== write.op - known) throw (this.#lost = this.#gap());
    for (const recent of forgotten) this.#accept(await this.#lists.write(this.#runId, this.#claim, recent.write));
    this.#accept(await this.#lists.write(this.#runId, this.#claim, write));
  }

  #accept(outcome: Written): void {
    if (outcome.status === 'ok') return;
    if (outcome.status === 'foreign') throw foreign(this.#runId, this.#lists.run(this.#runId));
    this.#lost = outcome.status === 'conflict' ? conflict(this.#runId, outcome.head?.epoch, outcome.head?.owner) : outcome.status === 'gone' ? conflict(this.#runId) : this.#gap();
    throw this.#lost;
  }

  /** Redis has forgotten more of what it had acknowledged than is remembered here. */
  #gap(): CheckpointError {
    return new CheckpointError('checkpoint/storage', `Redis has lost the last writes of run "${this.#runId}" (revision ${this.#revision} had been acknowledged), so this writer may write no more.`, {
      hint: 'Resume the run: it goes on from what is left. To lose less, give Redis an append-only file (appendonly yes).',
      details: { runId: this.#runId, revision: this.#revision },
    });
  }

  #refusal(what: string, cause: TaskchartError): CheckpointError {
    const stored = this.#marks.length === 0 ? 'nothing is stored yet' : `revision ${this.#revision} is stored`;
    return new CheckpointError(codes[cause.code] ?? 'checkpoint/storage', `Could not ${what} run "${this.#runId}" (${stored}): ${cause.message}`, { hint: cause.hint, details: { runId: this.#runId, revision: this.#revision }, cause });
  }

  #failed(writes: readonly (Append | Save)[]): void {
    this.#order.failed(this.#marks[0]?.revision, this.#revision);
    const owed = writes.map((write) => (write.kind === 'save' ? write.owed : write.entries[0])).find((entry) => entry !== undefined);
    this.#owed = owed ?? this.#owed;
  }
}
