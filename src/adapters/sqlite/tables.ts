/**
 * What is written and read within one transaction.
 *
 * Owns: the rows of a run, their checksums. Does not own: transactions (shared.ts), the tables' shape (driver.ts).
 *
 * Invariants
 * 1. A write carries the epoch of its writer, and changes nothing when the run has another one.
 * 2. Batches of entries are numbered without a gap from the snapshot on; the run's row knows the last number.
 * 3. Every body has a checksum that also covers whose it is and where it belongs: SQLite itself has none.
 * 4. The newest KEPT snapshots of a run stay, and all batches after the oldest of them.
 */
import { crc32 } from 'node:zlib';
import { CheckpointError } from '../../core/errors.ts';
import type { RevisionNote, RunNote, RunOwner, StoredRun } from '../../ports.ts';
import { WriteOrder, conflict, unknownRevision } from '../store-errors.ts';
import type { Connection, Row, Statement, Value } from './driver.ts';
import { damaged } from './problems.ts';

/** The newest and the one before it. What was appended after the older one stays, and leads as far as the newest. */
const KEPT = 2;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class Tables {
  readonly #connection: Connection;
  readonly #path: string;
  readonly #statements = new Map<string, Statement>();

  constructor(connection: Connection, path: string) {
    this.#connection = connection;
    this.#path = path;
  }

  /** Ends what was prepared; the connection can be closed then. */
  close(): void {
    for (const statement of this.#statements.values()) {
      try {
        statement.finalize();
      } catch {
        // It repeats the error of its last use.
      }
    }
    this.#statements.clear();
  }

  /** Makes the caller the only writer. */
  open(run: string, owner: RunOwner): { readonly epoch: number; readonly stored: StoredRun | undefined } {
    const now = Date.now();
    this.#run(
      `INSERT INTO runs VALUES (?, 1, ?, '', 0, 0, NULL, ?) ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1, owner = excluded.owner, updated = excluded.updated`,
      [run, JSON.stringify(owner), now],
    );
    const epoch = number(this.#get('SELECT epoch FROM runs WHERE id = ?', [run]), 'epoch');
    const stored = this.load(run);
    // Entries without a snapshot before them are of no use to anybody.
    if (stored === undefined) this.#run('DELETE FROM batches WHERE run = ?', [run]);
    return { epoch, stored };
  }

  append(run: string, epoch: number, entries: readonly string[], revision: number): void {
    const row = this.#owned(run, epoch);
    orderOf(run, row).append(entries, revision);
    if (entries.length === 0) return;
    const at = number(row, 'batches') + 1;
    const body = encoder.encode(entries.join('\n'));
    this.#run('INSERT INTO batches VALUES (?, ?, ?, ?, ?)', [run, at, revision, sumOf(body, batchPlace(run, at, revision)), body]);
    this.#run('UPDATE runs SET revision = ?, batches = ?, updated = ? WHERE id = ?', [revision, at, Date.now(), run]);
  }

  save(run: string, epoch: number, checkpoint: string, revision: number): void {
    const row = this.#owned(run, epoch);
    const batch = this.#batchAt(run, row, revision);
    const body = encoder.encode(checkpoint);
    const now = Date.now();
    this.#run('INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?, ?)', [run, revision, batch, now, sumOf(body, snapshotPlace(run, batch, revision)), body]);
    this.#run('DELETE FROM snapshots WHERE run = ?1 AND revision NOT IN (SELECT revision FROM snapshots WHERE run = ?1 ORDER BY revision DESC LIMIT ?2)', [run, KEPT]);
    this.#run('DELETE FROM batches WHERE run = ?1 AND number <= (SELECT min(batch) FROM snapshots WHERE run = ?1)', [run]);
    const newest = Math.max(revision, number(row, 'revision'));
    this.#run('UPDATE runs SET workflow = ?, revision = ?, snapshot = ?, updated = ? WHERE id = ?', [workflowOf(checkpoint), newest, revision, now, run]);
  }

  /** The newest state, or that at a revision at which a write ended. */
  load(run: string, revision?: number): StoredRun | undefined {
    const head = this.#head(run);
    const snapshots = this.#all('SELECT run, revision, batch, sum FROM snapshots WHERE run = ? ORDER BY revision DESC', [run]);
    if (revision !== undefined) return head === undefined ? undefined : this.#at(run, snapshots, revision);
    const newest = snapshots[0];
    if (newest === undefined && (head === undefined || head['snapshot'] === null)) return undefined;
    if (newest === undefined || head === undefined || newest['revision'] !== head['snapshot']) throw this.#untrusted(run, `the newest snapshot of run "${run}" is missing`, snapshots);
    const { stored, reached, fault } = this.#state(run, newest, snapshots);
    if (fault === undefined && reached === head['revision']) return stored;
    throw this.#untrusted(run, fault ?? `what was written last of run "${run}" is missing`, snapshots);
  }

  list(): RunNote[] {
    return this.#all('SELECT * FROM runs WHERE snapshot IS NOT NULL ORDER BY id', []).map((row) => ({
      runId: String(row['id']),
      workflow: String(row['workflow']),
      epoch: number(row, 'epoch'),
      owner: ownerOf(row['owner']),
      updatedAt: number(row, 'updated'),
    }));
  }

  revisions(run: string): RevisionNote[] {
    const rows = this.#all('SELECT revision, saved, length(body) AS bytes FROM snapshots WHERE run = ? ORDER BY revision DESC', [run]);
    return rows.map((row) => ({ revision: number(row, 'revision'), savedAt: number(row, 'saved'), bytes: number(row, 'bytes') }));
  }

  remove(run: string): void {
    for (const table of ['batches', 'snapshots', 'posts']) this.#run(`DELETE FROM ${table} WHERE run = ?`, [run]);
    this.#run('DELETE FROM runs WHERE id = ?', [run]);
  }

  post(run: string, text: string): number {
    const last = this.#get('SELECT max(number) AS number FROM posts WHERE run = ?', [run])?.['number'];
    const at = typeof last === 'number' ? last + 1 : 1;
    const body = encoder.encode(text);
    this.#run('INSERT INTO posts VALUES (?, ?, ?, ?)', [run, at, sumOf(body, `${run} ${at}`), body]);
    return at;
  }

  posts(run: string, after: number): { readonly number: number; readonly text: string }[] {
    return this.#all('SELECT * FROM posts WHERE run = ? AND number > ? ORDER BY number', [run, after]).map((row) => {
      const at = number(row, 'number');
      const text = textOf(row['body'], row['sum'], `${run} ${at}`);
      if (text === undefined) throw damaged(this.#path, `the checksum of message ${at} of run "${run}" is wrong`);
      return { number: at, text };
    });
  }

  /** The number of the last batch that a snapshot of the revision covers. */
  #batchAt(run: string, head: Row, revision: number): number {
    const { snapshot } = head;
    if (revision === snapshot) return number(this.#get('SELECT batch FROM snapshots WHERE run = ? AND revision = ?', [run, revision]), 'batch');
    const ended = this.#get('SELECT number FROM batches WHERE run = ? AND revision = ?', [run, revision]);
    // Only a batch that ended there can have others behind it.
    if (ended !== undefined && (typeof snapshot !== 'number' || revision > snapshot)) return number(ended, 'number');
    orderOf(run, head).save(revision);
    return number(head, 'batches');
  }

  /** An earlier snapshot and the entries after it may lead to the revision as well: where the newer one is damaged. */
  #at(run: string, snapshots: readonly Row[], revision: number): StoredRun {
    let fault: string | undefined;
    for (const row of snapshots) {
      if (number(row, 'revision') > revision) continue;
      const state = this.#state(run, row, snapshots, revision);
      if (state.stored !== undefined && state.reached === revision) return state.stored;
      fault ??= state.fault;
    }
    if (fault !== undefined) throw this.#untrusted(run, fault, snapshots);
    throw unknownRevision(run, revision, snapshots.map((row) => number(row, 'revision')));
  }

  /** A snapshot and what was appended after it, as far as `most`; `fault` says why it goes no further. */
  #state(run: string, row: Row, snapshots: readonly Row[], most = Number.MAX_SAFE_INTEGER): State {
    const from = number(row, 'revision');
    const body = this.#get('SELECT body FROM snapshots WHERE run = ? AND revision = ?', [run, from])?.['body'];
    const checkpoint = textOf(body, row['sum'], snapshotPlace(run, number(row, 'batch'), from));
    if (checkpoint === undefined) return { reached: -1, fault: `the checksum of the snapshot of revision ${from} of run "${run}" is wrong`, stored: undefined };
    const journal: string[] = [];
    let reached = from;
    let last = number(row, 'batch');
    let fault: string | undefined;
    for (const batch of this.#all('SELECT * FROM batches WHERE run = ? AND number > ? AND revision <= ? ORDER BY number', [run, last, most])) {
      // A newer snapshot stands where nothing was appended for a while: entries behind it do not follow those before.
      const jump = snapshots.some((newer) => newer['batch'] === last && number(newer, 'revision') > reached);
      const entries = textOf(batch['body'], batch['sum'], batchPlace(run, last + 1, number(batch, 'revision')));
      if (jump || number(batch, 'number') !== last + 1) fault = `entries of run "${run}" after revision ${reached} are missing`;
      else if (entries === undefined) fault = `the checksum of entries of run "${run}" after revision ${reached} is wrong`;
      if (fault !== undefined || entries === undefined) break;
      last += 1;
      reached = number(batch, 'revision');
      for (const entry of entries.split('\n')) journal.push(entry);
    }
    return { reached, fault, stored: { checkpoint, revision: from, journal } };
  }

  #head(run: string): Row | undefined {
    return this.#get('SELECT * FROM runs WHERE id = ?', [run]);
  }

  /** The run's row, if the epoch is still the newest. */
  #owned(run: string, epoch: number): Row {
    const row = this.#head(run);
    if (row !== undefined && row['epoch'] === epoch) return row;
    throw row === undefined ? conflict(run) : conflict(run, number(row, 'epoch'), ownerOf(row['owner']));
  }

  /** Names the newest revision that `load` can give. */
  #untrusted(run: string, reason: string, snapshots: readonly Row[]): CheckpointError {
    const usable = Math.max(-1, ...snapshots.map((row) => this.#state(run, row, snapshots).reached));
    if (usable === -1) return damaged(this.#path, reason, 'No revision of the run can be used. Go back to a copy of the file.');
    const error = damaged(this.#path, `${reason}; revision ${usable} can still be loaded`, `Go on with load(runId, ${usable}) or taskchart fork --at ${usable}. The file was left as it is.`);
    return new CheckpointError(error.code, error.message, { hint: error.hint, details: { ...error.details, runId: run, usable } });
  }

  #run(sql: string, values: readonly Value[]): void {
    this.#statement(sql).run(values);
  }

  #get(sql: string, values: readonly Value[]): Row | undefined {
    return this.#all(sql, values)[0];
  }

  #all(sql: string, values: readonly Value[]): readonly Row[] {
    return this.#statement(sql).all(values);
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#connection.prepare(sql)));
    return statement;
  }
}

/** How far a snapshot leads. */
interface State {
  readonly reached: number;
  readonly fault: string | undefined;
  readonly stored: StoredRun | undefined;
}

/** Where a body belongs, as its checksum covers it. */
function snapshotPlace(run: string, batch: number, revision: number): string {
  return `${run} ${batch} ${revision} snapshot`;
}

function batchPlace(run: string, at: number, revision: number): string {
  return `${run} ${at} ${revision} entries`;
}

/** Nothing where the checksum is wrong. */
function textOf(body: Value | undefined, sum: Value | undefined, place: string): string | undefined {
  return body instanceof Uint8Array && sum === sumOf(body, place) ? decoder.decode(body) : undefined;
}

function sumOf(body: Uint8Array, place: string): number {
  const start = crc32(place);
  // Of nothing at all zlib may give 0, whatever it began with.
  return body.length === 0 ? start : crc32(body, start);
}

function number(row: Row | undefined, column: string): number {
  const value = row?.[column];
  if (typeof value === 'number') return value;
  throw new CheckpointError('checkpoint/damaged', `A store of runs is damaged: its column "${column}" holds no number.`, { hint: 'Go back to a copy of the file.' });
}

function orderOf(run: string, head: Row): WriteOrder {
  const snapshot = head['snapshot'];
  return new WriteOrder(run, typeof snapshot === 'number' ? snapshot : undefined, number(head, 'revision'));
}

function ownerOf(text: unknown): RunOwner | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const { host, pid, since } = JSON.parse(text) as Partial<RunOwner>;
    return typeof host === 'string' && typeof pid === 'number' && typeof since === 'number' ? { host, pid, since } : undefined;
  } catch {
    return undefined;
  }
}

/** For lists only: found at the head of the envelope, which may be large. */
function workflowOf(checkpoint: string): string {
  const quoted = /"workflow":("(?:[^"\\]|\\.){0,1000}")/.exec(checkpoint.slice(0, 4000))?.[1];
  try {
    return quoted === undefined ? '' : String(JSON.parse(quoted));
  } catch {
    return '';
  }
}
