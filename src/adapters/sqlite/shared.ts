/**
 * One database file as this process uses it: one connection, whoever asks for it.
 *
 * Owns: the order of the work, transactions, holding the file and passing it on. Does not own: SQL (tables.ts), the
 * lease's rules (lease.ts), the engine (driver.ts).
 *
 * Invariants
 * 1. Work is done in the order in which it was asked for; it is acknowledged after the commit that holds it.
 * 2. A piece of work that throws leaves nothing behind, and disturbs no other.
 * 3. Nothing is committed without the lease. A connection whose lease is lost is abandoned, never closed: closing
 *    would write to a file that is another process's now.
 * 4. After an error of the engine or the disk the connection is dropped; the next work opens the file anew.
 * 5. A process that is asked passes the file on, at the latest after HOLD_MS, and an idle one by itself.
 */
import { existsSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isTaskchartError } from '../../core/errors.ts';
import { checkHeader, closeQuietly, loadEngine, openFile, syncFolder, type Connection } from './driver.ts';
import { takeLease, Lease } from './lease.ts';
import { failure, held, taken } from './problems.ts';
import { Tables } from './tables.ts';

/** Work of this many callers shares a transaction, and with it the fsync. */
const BATCH_MOST = 256;
/** How often a process that holds the file looks whether another wants it, and how often one that wants it tries. */
const LOOK_MS = 10;
/** Whoever has just passed the file on lets the others try first. */
const STEP_BACK_MS = 4 * LOOK_MS;
/** A process with much to write is not asked more often than this. */
const HOLD_MS = 50;
const IDLE_MS = 300;

interface Job {
  readonly work: (tables: Tables) => unknown;
  /** What the answer is where no file is; absent: then the file is created. */
  readonly absent: { readonly value: unknown } | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Open {
  readonly connection: Connection;
  readonly tables: Tables;
  readonly lease: Lease;
  readonly since: number;
  /** The log has an entry in the folder that survives a power cut. */
  settled: boolean;
}

const files = new Map<string, SharedDatabase>();
let watchesExit = false;

/** The database at the path; every name of one file leads to the same. `waitMs`: for another process that has it. */
export function shared(path: string, waitMs: number): SharedDatabase {
  const real = realPath(path);
  let database = files.get(real);
  if (database === undefined) files.set(real, (database = new SharedDatabase(real)));
  database.waitMs = waitMs;
  return database;
}

function realPath(path: string): string {
  const full = resolve(path);
  try {
    return realpathSync(full);
  } catch {
    try {
      return join(realpathSync(dirname(full)), basename(full));
    } catch {
      return full;
    }
  }
}

export class SharedDatabase {
  waitMs = 0;
  readonly #path: string;
  #jobs: Job[] = [];
  #open: Open | undefined;
  #pumping = false;
  #idle: NodeJS.Timeout | undefined;
  #idleSince = 0;
  /** Until then the others have the first try. */
  #backAt = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Does the work in a transaction; resolves with its value once that is durable. */
  write<T>(work: (tables: Tables) => T): Promise<T> {
    return this.#ask<T>(work, undefined);
  }

  /** The same where a file that is not there need not be created: then the answer is `absent`. */
  read<T>(absent: T, work: (tables: Tables) => T): Promise<T> {
    return this.#ask<T>(work, { value: absent });
  }

  #ask<T>(work: (tables: Tables) => T, absent: Job['absent']): Promise<T> {
    return new Promise<T>((fulfil, reject) => {
      this.#jobs.push({ work, absent, resolve: fulfil as (value: unknown) => void, reject });
      if (!this.#pumping) void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    clearTimeout(this.#idle);
    do {
      // What the same turn still asks for shares the transaction.
      await turn();
      await this.#next();
    } while (this.#jobs.length > 0);
    this.#pumping = false;
    this.#idleSince = Date.now();
    this.#watch();
  }

  async #next(): Promise<void> {
    try {
      // Between transactions nothing is lost with a connection, so a lease that went is simply taken anew.
      if (this.#open?.lease.lost === true) this.#drop(this.#open);
      if (this.#open !== undefined && Date.now() - this.#open.since > HOLD_MS && existsSync(this.#wanted)) this.#passOn();
      if (this.#open === undefined && !existsSync(this.#path)) this.#answerAbsent();
      if (this.#jobs.length === 0) return;
      this.#open ??= await this.#acquire();
    } catch (error) {
      const jobs = this.#jobs;
      this.#jobs = [];
      for (const job of jobs) job.reject(failure(this.#path, error));
      return;
    }
    this.#transact(this.#open, this.#jobs.splice(0, BATCH_MOST));
  }

  /** Reading where nothing is: no file comes into being. What stands behind a write waits for that. */
  #answerAbsent(): void {
    const write = this.#jobs.findIndex((job) => job.absent === undefined);
    for (const job of this.#jobs.splice(0, write === -1 ? this.#jobs.length : write)) job.resolve(job.absent?.value);
  }

  async #acquire(): Promise<Open> {
    const engine = await loadEngine();
    const began = Date.now();
    mkdirSync(dirname(this.#path), { recursive: true });
    // Before anything is put beside a file that is not ours.
    if (existsSync(this.#path)) checkHeader(this.#path);
    if (began < this.#backAt) await delay(this.#backAt - began);
    for (;;) {
      const found = takeLease(this.#path);
      if (found instanceof Lease) {
        try {
          rmSync(this.#wanted, { force: true });
          const connection = openFile(engine, this.#path);
          watchExit();
          return { connection, tables: new Tables(connection, this.#path), lease: found, since: Date.now(), settled: false };
        } catch (error) {
          found.release();
          throw error;
        }
      }
      if (Date.now() - began >= this.waitMs) throw held(this.#path, found, this.waitMs);
      writeFileSync(this.#wanted, '');
      await delay(LOOK_MS);
    }
  }

  #transact(open: Open, jobs: readonly Job[]): void {
    const { connection, tables, lease } = open;
    let outcomes: (() => void)[] = [];
    try {
      lease.beat();
      connection.exec('BEGIN IMMEDIATE');
      outcomes = jobs.map((job) => this.#attempt(connection, tables, job));
      if (lease.lost) throw taken(this.#path);
      connection.exec('COMMIT');
      if (!open.settled) syncFolder(this.#path);
      open.settled = true;
    } catch (error) {
      const reason = failure(this.#path, error);
      this.#drop(open);
      for (const job of jobs) job.reject(reason);
      return;
    }
    for (const outcome of outcomes) outcome();
  }

  /** What to tell the caller after the commit. Throws only what concerns the whole transaction. */
  #attempt(connection: Connection, tables: Tables, job: Job): () => void {
    connection.exec('SAVEPOINT job');
    try {
      const value = job.work(tables);
      connection.exec('RELEASE job');
      return () => job.resolve(value);
    } catch (error) {
      // Disk errors may have ended the transaction; ours are about one run.
      if (!isTaskchartError(error) || !connection.inTransaction) throw error;
      connection.exec('ROLLBACK TO job; RELEASE job');
      return () => job.reject(error);
    }
  }

  /** Leaves the file alone, without a commit. */
  #drop(open: Open): void {
    this.#open = undefined;
    if (open.lease.lost) return;
    try {
      if (open.connection.inTransaction) open.connection.exec('ROLLBACK');
    } catch {
      // Closing rolls back too.
    }
    open.tables.close();
    closeQuietly(open.connection);
    open.lease.release();
  }

  #passOn(): void {
    this.release();
    this.#backAt = Date.now() + STEP_BACK_MS;
  }

  /** Closes the file, so that another process can have it; the next work opens it again. */
  release(): void {
    clearTimeout(this.#idle);
    if (this.#open !== undefined) this.#drop(this.#open);
  }

  /** While idle: passes the file on when it is wanted, or when nobody here has needed it for a while. */
  #watch(): void {
    if (this.#open === undefined) return;
    if (existsSync(this.#wanted)) return this.#passOn();
    if (Date.now() - this.#idleSince > IDLE_MS) return this.release();
    this.#open.lease.beat();
    this.#idle = setTimeout(() => this.#watch(), LOOK_MS);
    this.#idle.unref();
  }

  get #wanted(): string {
    return `${this.#path}.wanted`;
  }
}

/** A process that ends by itself leaves no lease behind; for one that is killed the lease tells that it is gone. */
function watchExit(): void {
  if (watchesExit) return;
  watchesExit = true;
  process.once('exit', () => {
    for (const database of files.values()) database.release();
  });
}

function turn(): Promise<void> {
  return new Promise((done) => setImmediate(done));
}

function delay(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
