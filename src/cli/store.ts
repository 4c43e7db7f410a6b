/**
 * The store that a command works on.
 *
 * Owns: which store is meant, finding a run in it, which of a store's complaints are wrong usage. Does not own: stores.
 *
 * Invariants
 * 1. Looking for a run opens nothing and takes nothing from its owner.
 * 2. What is wrong with the name of the store or of the run is a UsageError of one line.
 * 3. The user and the password of a Redis URL are shown nowhere, in the commands that are proposed neither.
 */
import { isTaskchartError } from '../core/errors.ts';
import { checkId } from '../core/ids.ts';
import { nearestName } from '../core/options.ts';
import { cut } from '../core/preview.ts';
import type { CheckpointStore, RunNote } from '../ports.ts';
import { describeStored, type StoredRunDescription } from '../runtime/inspect-stored.ts';
import type { StoredWorkflow } from '../runtime/stored-context.ts';
import { failureLine } from './failure.ts';
import { redisStoreConfig, shownUrl } from './redis-flags.ts';
import { StartError, UsageError } from './usage.ts';

const DEFAULT_STORE = '.taskchart';
const SQLITE = 'sqlite:';
const REDIS = /^(?:redis|valkey)s?:/i;
/** What looks like a URL is meant as one: a folder of that name would be a run's store that nobody finds. */
const URL_LIKE = /^[a-z][a-z0-9+.-]*:\/\//i;

export interface StoreFlags {
  readonly store?: string;
}

export interface GivenStore {
  readonly store: CheckpointStore;
  /** As it was given. */
  readonly name: string;
  /** What another command needs to be told; absent where it finds the store by itself. */
  readonly flag: string | undefined;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** The store that is meant; nothing where none was asked for. */
export async function storeIfGiven(flags: StoreFlags, variables: Variables): Promise<GivenStore | undefined> {
  return flags.store === undefined && byVariable(variables) === undefined ? undefined : storeOf(flags, variables);
}

export async function storeOf(flags: StoreFlags, variables: Variables): Promise<GivenStore> {
  const standard = byVariable(variables) ?? DEFAULT_STORE;
  const name = flags.store ?? standard;
  if (name.trim() === '' || name.includes('\0')) throw new UsageError('--store is empty: give a folder, sqlite:<path>, or redis://<host>');
  const flag = flags.store === undefined || flags.store === standard ? undefined : flags.store;
  if (REDIS.test(name.trim())) return { store: await redisStore(name, variables), name: shownUrl(name, false), flag: flag === undefined ? undefined : shownUrl(flag, true) };
  const [scheme] = name.startsWith(SQLITE) ? [] : (URL_LIKE.exec(name.trim()) ?? []);
  // The rest may hold a password.
  if (scheme !== undefined) throw new UsageError(`--store ${cut(scheme, 100)}… is no store that is known: give a folder, sqlite:<path>, redis://<host> or rediss://<host>`);
  const path = name.startsWith(SQLITE) ? name.slice(SQLITE.length) : undefined;
  if (path === '') throw new UsageError('--store sqlite: needs the path of a file, such as sqlite:runs.db');
  const { fileStore, sqliteStore } = await import('../stores.ts');
  const store = await asking(async () => (path === undefined ? fileStore(name) : sqliteStore(path)));
  return { store, name, flag };
}

async function redisStore(url: string, variables: Variables): Promise<CheckpointStore> {
  const config = redisStoreConfig(url, variables);
  const { RedisCheckpointStore } = await import('../adapters/redis/checkpoint-store.ts');
  return new RedisCheckpointStore(config);
}

function byVariable({ TASKCHART_STORE: name }: Variables): string | undefined {
  return name === undefined || name === '' ? undefined : name;
}

/** Complaints about what the user has named. */
const usageCodes: ReadonlySet<string> = new Set([
  'checkpoint/not-a-file', 'checkpoint/link', 'checkpoint/foreign', 'checkpoint/bad-run-id', 'checkpoint/unknown-run', 'checkpoint/unknown-revision', 'checkpoint/exists',
  'checkpoint/wrong-workflow', 'checkpoint/no-access', 'definition/bad-id', 'definition/bad-option', 'definition/backend-unavailable', 'run/unknown-signal',
]);

/** Does something with a store before anything runs. Its errors say whose fault it is. */
export async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (!isTaskchartError(thrown)) throw thrown;
    if (usageCodes.has(thrown.code) || thrown.code.startsWith('value/')) throw new UsageError(failureLine(thrown));
    throw new StartError(thrown);
  }
}

export function checkRunId(id: string): void {
  try {
    checkId('run', id);
  } catch (thrown) {
    throw new UsageError(failureLine(thrown));
  }
}

/** The store's entry of a run. An unknown one is wrong usage. */
export async function findNote(given: GivenStore, id: string): Promise<RunNote> {
  checkRunId(id);
  const notes = await asking(() => given.store.list());
  const note = notes.find(({ runId }) => runId === id);
  if (note === undefined) throw unknown(given, id, notes);
  return note;
}

/** What a run is doing, by all that is stored. */
export async function findRun(given: GivenStore, id: string, workflow?: StoredWorkflow): Promise<StoredRunDescription> {
  const note = await findNote(given, id);
  const found = await asking(() => describeStored(given.store, note, workflow));
  if (found === undefined) throw unknown(given, id, [note]);
  return found;
}

function unknown(given: GivenStore, id: string, notes: readonly RunNote[]): UsageError {
  const nearest = nearestName(id, notes.map(({ runId }) => runId));
  const hint = notes.length === 0 ? 'it has none' : nearest === undefined ? `taskchart ps${given.flag === undefined ? '' : ` --store ${cut(given.flag, 100)}`} lists them` : `did you mean ${nearest}?`;
  return new UsageError(`the store ${cut(given.name, 100)} has no run ${cut(id, 100)}; ${hint}`);
}
