/**
 * The SQLite engine, loaded when it is first needed, and the way to one open file of ours.
 *
 * What the engine's own file layer does, and what follows from it (version 0.8):
 * - It locks by creating the folder `<file>.lock`; any lock excludes everybody. A process that dies leaves it behind.
 * - It takes that folder, its own included, as a sign of a live writer, so it never rolls a rollback journal back after
 *   a crash. Rollback journals are therefore never used for a file that holds runs.
 * - In write-ahead mode, which without shared memory needs the exclusive locking mode, a crash leaves whole commits
 *   only, each checked by checksums; with `synchronous=FULL` a commit costs one fsync of the log.
 * - It never syncs the folder in which files are created; that is done here.
 *
 * Owns: opening, creating, the check that a file is ours. Does not own: who may open it (lease.ts), tables' rows.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, rmSync, rmdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DefinitionError } from '../../core/errors.ts';
import { damaged, foreign, newer, noFile, reasonOf } from './problems.ts';

export type Value = number | bigint | string | Uint8Array | null;
export type Row = Readonly<Record<string, Value>>;

/** As much of the engine's interface as is used here. */
export interface Connection {
  readonly inTransaction: boolean;
  exec(sql: string): void;
  run(sql: string, values?: readonly Value[]): { readonly changes: number };
  get(sql: string, values?: readonly Value[]): Row | null;
  all(sql: string, values?: readonly Value[]): readonly Row[];
  prepare(sql: string): Statement;
  close(): void;
}

export interface Statement {
  run(values?: readonly Value[]): { readonly changes: number };
  get(values?: readonly Value[]): Row | null;
  all(values?: readonly Value[]): readonly Row[];
  finalize(): void;
}

export type Engine = new (file: string, options?: { readonly fileMustExist?: boolean }) => Connection;

const APPLICATION_ID = 0x7463_6874;
const SCHEMA_VERSION = 1;

const SCHEMA = `
CREATE TABLE runs (id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, owner TEXT, workflow TEXT NOT NULL, revision INTEGER NOT NULL, batches INTEGER NOT NULL, snapshot INTEGER, updated INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE snapshots (run TEXT NOT NULL, revision INTEGER NOT NULL, batch INTEGER NOT NULL, saved INTEGER NOT NULL, sum INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (run, revision));
CREATE TABLE batches (run TEXT NOT NULL, number INTEGER NOT NULL, revision INTEGER NOT NULL, sum INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (run, number)) WITHOUT ROWID;
CREATE TABLE posts (run TEXT NOT NULL, number INTEGER NOT NULL, sum INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (run, number)) WITHOUT ROWID;
`;
const TABLES = 'batches,posts,runs,snapshots';

let loading: Promise<Engine> | undefined;

export async function loadEngine(): Promise<Engine> {
  loading ??= import('node-sqlite3-wasm').then((module) => {
    const { Database } = ((module as { readonly default?: unknown }).default ?? module) as { readonly Database: Engine };
    return Database;
  });
  try {
    return await loading;
  } catch (cause) {
    loading = undefined;
    throw new DefinitionError('definition/store-unavailable', `A SQLite store needs the package node-sqlite3-wasm, which cannot be loaded (${reasonOf(cause)}).`, {
      hint: 'Install it: npm install node-sqlite3-wasm@0.8. Or use fileStore, which needs nothing.',
      cause,
    });
  }
}

/** Opens the file; the caller holds its lease. A file that is not there is created whole or not at all. */
export function openFile(engine: Engine, path: string): Connection {
  if (!existsSync(path)) createFile(engine, path);
  checkHeader(path);
  // Whoever holds the lease is alone, so a lock that is there is that of a dead process.
  removeFolder(`${path}.lock`);
  const connection = new engine(path, { fileMustExist: true });
  try {
    prepare(connection);
    const tables = connection.all("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").map((row) => row['name']);
    if (tables.join(',') !== TABLES) throw damaged(path, 'its tables are not those of a run store');
    return connection;
  } catch (error) {
    closeQuietly(connection);
    throw error;
  }
}

export function closeQuietly(connection: Connection): void {
  try {
    connection.close();
  } catch {
    // What was committed is in the log, and the next one to open the file finds it there.
  }
}

/** A new entry in a folder is durable when the folder is; platforms that cannot sync a folder need not. */
export function syncFolder(path: string): void {
  let fd: number | undefined;
  try {
    fd = openSync(dirname(path), 'r');
    fsyncSync(fd);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM' && code !== 'EISDIR' && code !== 'EINVAL' && code !== 'EACCES') throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function prepare(connection: Connection): void {
  connection.exec('PRAGMA locking_mode=EXCLUSIVE');
  const mode = connection.get('PRAGMA journal_mode=WAL')?.['journal_mode'];
  if (mode !== 'wal') throw new Error(`the write-ahead log cannot be switched on (the mode stays ${String(mode)})`);
  connection.exec('PRAGMA synchronous=FULL; PRAGMA journal_size_limit=4194304; PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF');
}

/** Under another name first: a crash in between leaves nothing that could be taken for a store. */
function createFile(engine: Engine, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.new`;
  for (const leftover of [draft, `${draft}-journal`, `${draft}-wal`]) rmSync(leftover, { force: true });
  removeFolder(`${draft}.lock`);
  const connection = new engine(draft);
  try {
    prepare(connection);
    connection.exec(`BEGIN; ${SCHEMA} PRAGMA application_id=${APPLICATION_ID}; PRAGMA user_version=${SCHEMA_VERSION}; COMMIT`);
  } finally {
    connection.close();
  }
  renameSync(draft, path);
  syncFolder(path);
}

const MAGIC = 'SQLite format 3\0';

/** Before the engine sees it, so that the reason can be said in words. */
export function checkHeader(path: string): void {
  const stat = statSync(path);
  if (!stat.isFile()) throw noFile(path, stat.isDirectory() ? 'a folder' : 'no regular file');
  if (stat.size === 0) throw foreign(path, 'it is empty', 'Remove the file; a new one is then created.');
  const header = Buffer.alloc(100);
  const fd = openSync(path, 'r');
  let length: number;
  try {
    length = readSync(fd, header, 0, 100, 0);
  } finally {
    closeSync(fd);
  }
  if (header.toString('latin1', 0, 16) !== MAGIC) throw foreign(path, 'it is no SQLite database');
  if (length < 100) throw damaged(path, `it ends after ${length} bytes`);
  if (header.readUInt32BE(68) !== APPLICATION_ID) throw foreign(path, 'it is the SQLite database of another program');
  const version = header.readUInt32BE(60);
  if (version > SCHEMA_VERSION) throw newer(path, version, SCHEMA_VERSION);
  if (version !== SCHEMA_VERSION) throw damaged(path, `its version is ${version}`);
  if (existsSync(`${path}-journal`)) {
    throw damaged(path, 'another program has left a rollback journal beside it', `Open the file once with the sqlite3 command, which repairs it: sqlite3 "${path}" "PRAGMA integrity_check"`);
  }
}

function removeFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
