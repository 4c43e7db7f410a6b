/**
 * Runs in Redis, in lists: a run's own list, the log of what was appended to it, its mailbox, and a registry of runs.
 *
 * Owns: the port's words. Does not own: the lists (store-scripts.ts), what is in them (store-format.ts), writing
 * (store-writer.ts).
 *
 * Invariant: what is acknowledged is as durable as the server is set up to be. With an append-only file it survives the
 * server's end, with `appendfsync everysec` but for the last second or two; a writer that is still there gives those back.
 */
import { randomBytes } from 'node:crypto';
import { CheckpointError, isTaskchartError } from '../../core/errors.ts';
import { checkId } from '../../core/ids.ts';
import { durationOption, optionsObject } from '../../core/options.ts';
import type { RedisConfig } from '../../core/redis-config.ts';
import type { CheckpointStore, RevisionNote, RunNote, RunOwner, RunWriter, StoredRun } from '../../ports.ts';
import { RedisClient } from './client.ts';
import { withPatience } from './patience.ts';
import { redisSettings } from './settings.ts';
import { type Contents, decodeHead, newestOf, noteOf, stateAt } from './store-format.ts';
import { StoreLists } from './store-scripts.ts';
import { StoreWriter } from './store-writer.ts';

export interface RedisStoreOptions {
  /** How long a write waits for a server that cannot be reached, in milliseconds. Default: 30 seconds. */
  readonly patienceMs?: number | undefined;
}

const LISTED_AT_ONCE = 500;
/** A connection that breaks is tried again; an address where nobody is should be told soon. */
const READ_PATIENCE_MS = 1000;

/** Connects when it is first used. An idle store does not keep the process alive. */
export class RedisCheckpointStore implements CheckpointStore {
  readonly #client: RedisClient;
  readonly #lists: StoreLists;
  readonly #patienceMs: number;

  constructor(config: RedisConfig, options: RedisStoreOptions = {}) {
    const settings = redisSettings(config, 'redisStore');
    const { patienceMs } = optionsObject('redisStore', options, ['patienceMs']);
    this.#patienceMs = patienceMs === undefined ? 30_000 : durationOption('redisStore.patienceMs', patienceMs);
    this.#client = new RedisClient(settings);
    this.#lists = new StoreLists(this.#client.commands, settings.namespace, settings.prefix);
  }

  async open(runId: string, owner: RunOwner): Promise<RunWriter> {
    checkRunId(runId);
    const nonce = randomBytes(8).toString('hex');
    const { claim, contents } = await patiently(() => this.#lists.open(runId, owner, nonce));
    const resumed = await newestOf(runId, contents, () => this.#read(runId, 'all'));
    return new StoreWriter(this.#lists, runId, claim, contents.head, resumed, this.#patienceMs);
  }

  async load(runId: string, revision?: number): Promise<StoredRun | undefined> {
    checkRunId(runId);
    const contents = await this.#read(runId, revision === undefined ? 'newest' : 'all');
    if (contents === undefined) return undefined;
    if (revision !== undefined) return stateAt(runId, contents, revision);
    return (await newestOf(runId, contents, () => this.#read(runId, 'all')))?.stored;
  }

  async list(): Promise<readonly RunNote[]> {
    const ids = await patiently(() => this.#lists.ids());
    const notes: RunNote[] = [];
    for (let from = 0; from < ids.length; from += LISTED_AT_ONCE) {
      const some = ids.slice(from, from + LISTED_AT_ONCE);
      const found = await patiently(() => this.#lists.look(some, 'heads'));
      for (const [at, runId] of some.entries()) {
        const head = decodeHead(found[at]?.[0] ?? '');
        if (head !== undefined && head.snapshots.length > 0) notes.push({ runId, workflow: head.workflow, epoch: head.epoch, owner: head.owner, updatedAt: head.updatedAt });
      }
    }
    return notes;
  }

  async revisions(runId: string): Promise<readonly RevisionNote[]> {
    checkRunId(runId);
    const [found = []] = await patiently(() => this.#lists.look([runId], 'snapshots'));
    const notes = found.slice(1).flatMap((beginning) => noteOf(beginning) ?? []);
    return notes.sort((a, b) => b.revision - a.revision);
  }

  async remove(runId: string): Promise<void> {
    checkRunId(runId);
    await patiently(() => this.#lists.remove(runId));
  }

  async post(runId: string, text: string): Promise<number> {
    checkRunId(runId);
    const element = `${randomBytes(9).toString('base64url')}|${text}`;
    return patiently(() => this.#lists.post(runId, element));
  }

  async posts(runId: string, after: number): Promise<readonly { readonly number: number; readonly text: string }[]> {
    checkRunId(runId);
    const elements = await patiently(() => this.#lists.posts(runId, after));
    return elements.map((element, at) => ({ number: after + at + 1, text: element.slice(element.indexOf('|') + 1) }));
  }

  /** Gives the connection up; what is under way is refused. */
  close(): void {
    this.#client.close();
  }

  #read(runId: string, which: 'newest' | 'all'): Promise<Contents | undefined> {
    return patiently(() => this.#lists.read(runId, which));
  }
}

function patiently<T>(work: () => Promise<T>): Promise<T> {
  return withPatience(READ_PATIENCE_MS, work);
}

/** An id that follows another grammar might be part of another key. */
function checkRunId(runId: string): void {
  try {
    checkId('run', runId);
  } catch (cause) {
    if (!isTaskchartError(cause)) throw cause;
    throw new CheckpointError('checkpoint/bad-run-id', cause.message, { hint: cause.hint, details: cause.details });
  }
}
