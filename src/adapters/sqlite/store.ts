/**
 * Runs in one SQLite file, through the WebAssembly build: nothing is compiled when it is installed.
 *
 * Owns: the port's words, what becomes of writes behind a failed one. Does not own: everything below them.
 *
 * Invariants
 * 1. A write that was asked for before an earlier one of the same writer was known to have failed is refused too: the
 *    journal has no gap.
 * 2. A closed writer writes nothing.
 */
import { CheckpointError, isTaskchartError } from '../../core/errors.ts';
import { checkId } from '../../core/ids.ts';
import { badOption, durationOption, optionsObject } from '../../core/options.ts';
import type { CheckpointStore, RevisionNote, RunNote, RunOwner, RunWriter, StoredRun } from '../../ports.ts';
import { closed } from '../store-errors.ts';
import { shared, type SharedDatabase } from './shared.ts';
import type { Tables } from './tables.ts';

export interface SqliteStoreOptions {
  /** How long to wait for another process that has the file open. Default: 10 seconds. */
  readonly waitMs?: number | undefined;
}

/** A store in the SQLite file at `path`, which is created with the first run. Needs the package node-sqlite3-wasm. */
export function sqliteStore(path: string, options: SqliteStoreOptions = {}): CheckpointStore {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) throw badOption('sqliteStore path', path, 'the path of a file');
  const { waitMs } = optionsObject('sqliteStore', options, ['waitMs']);
  return new SqliteStore(path, waitMs === undefined ? 10_000 : durationOption('sqliteStore.waitMs', waitMs));
}

class SqliteStore implements CheckpointStore {
  readonly #file: () => SharedDatabase;

  constructor(path: string, waitMs: number) {
    this.#file = () => shared(path, waitMs);
  }

  async open(runId: string, owner: RunOwner): Promise<RunWriter> {
    checkRunId(runId);
    const { epoch, stored } = await this.#file().write((tables) => tables.open(runId, owner));
    return new SqliteWriter(this.#file, runId, epoch, stored);
  }

  async load(runId: string, revision?: number): Promise<StoredRun | undefined> {
    checkRunId(runId);
    return this.#file().read<StoredRun | undefined>(undefined, (tables) => tables.load(runId, revision));
  }

  async list(): Promise<readonly RunNote[]> {
    return this.#file().read<readonly RunNote[]>([], (tables) => tables.list());
  }

  async revisions(runId: string): Promise<readonly RevisionNote[]> {
    checkRunId(runId);
    return this.#file().read<readonly RevisionNote[]>([], (tables) => tables.revisions(runId));
  }

  async remove(runId: string): Promise<void> {
    checkRunId(runId);
    return this.#file().read<void>(undefined, (tables) => tables.remove(runId));
  }

  async post(runId: string, text: string): Promise<number> {
    checkRunId(runId);
    return this.#file().write((tables) => tables.post(runId, text));
  }

  async posts(runId: string, after: number): Promise<readonly { readonly number: number; readonly text: string }[]> {
    checkRunId(runId);
    return this.#file().read<readonly { readonly number: number; readonly text: string }[]>([], (tables) => tables.posts(runId, after));
  }
}

class SqliteWriter implements RunWriter {
  readonly stored: StoredRun | undefined;
  readonly #file: () => SharedDatabase;
  readonly #runId: string;
  readonly #epoch: number;
  /** Counts failed writes: what was asked for before one is known to have failed must not follow it into the journal. */
  #failures = 0;
  #failure: unknown;
  #closed = false;
  #last: Promise<void> | undefined;

  constructor(file: () => SharedDatabase, runId: string, epoch: number, stored: StoredRun | undefined) {
    this.#file = file;
    this.#runId = runId;
    this.#epoch = epoch;
    this.stored = stored;
  }

  async append(entries: readonly string[], revision: number): Promise<void> {
    await this.#write((tables) => tables.append(this.#runId, this.#epoch, entries, revision));
  }

  async save(checkpoint: string, revision: number): Promise<void> {
    await this.#write((tables) => tables.save(this.#runId, this.#epoch, checkpoint, revision));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last?.catch(() => undefined);
  }

  async #write(work: (tables: Tables) => void): Promise<void> {
    if (this.#closed) throw closed(this.#runId);
    const known = this.#failures;
    const write = this.#file().write((tables) => {
      if (known !== this.#failures) throw this.#refused();
      work(tables);
    });
    this.#last = write;
    try {
      await write;
    } catch (error) {
      this.#failures += 1;
      this.#failure = error;
      throw error;
    }
  }

  #refused(): CheckpointError {
    if (isTaskchartError(this.#failure) && this.#failure.code === 'checkpoint/conflict') return this.#failure;
    return new CheckpointError('checkpoint/storage', `A write to run "${this.#runId}" was refused, because the one before it had failed.`, {
      hint: 'Write again what that one wrote, or save a snapshot.',
      details: { runId: this.#runId },
    });
  }
}

/** An id that the engine would cut or change must not become that of another run. */
function checkRunId(runId: string): void {
  try {
    checkId('run', runId);
  } catch (cause) {
    if (!isTaskchartError(cause)) throw cause;
    throw new CheckpointError('checkpoint/bad-run-id', cause.message, { hint: cause.hint, details: cause.details });
  }
}
