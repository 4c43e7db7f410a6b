/**
 * The files that the older Python system wrote for a checkpoint: `<base>.state.json` and `<base>.meta.json`.
 *
 * Owns: reading and checking them, field by field. Does not own: what they mean for a graph (legacy.ts). The
 * third file of the set, `<base>.pkl`, is never read: opening a pickle runs whatever is in it.
 *
 * Invariants
 * 1. Throws nothing but CheckpointError, which names the file and the field.
 * 2. Fields that the writer always wrote must be there; a field of a wrong type is refused, never converted.
 * 3. Fields that are not known are named, and their values are never shown: connection settings may hold passwords.
 */
import { CheckpointError, type ErrorCode } from '../core/errors.ts';
import { preview, toJson } from '../core/json.ts';
import type { Json, JsonObject } from '../core/json-type.ts';

const LEGACY_VERSION = '1.0';
/** No id is longer. */
const LONGEST = 1000;

export interface LegacyTask {
  readonly taskId: string;
  readonly status: string;
  readonly retryCount: number;
  readonly maxRetries: number | undefined;
  readonly lastError: string | undefined;
}

export interface LegacyState {
  readonly sessionId: string;
  readonly startNode: string | undefined;
  readonly steps: number;
  readonly completedTasks: readonly string[];
  readonly cycleCounts: Readonly<Record<string, number>>;
  readonly pendingTasks: readonly LegacyTask[];
  readonly resumingTaskId: string | undefined;
  /** The names under `backend` and their values where those are plain words, such as `channel: redis`. */
  readonly backend: readonly string[];
  /** Fields that nothing here knows. */
  readonly unknown: readonly string[];
}

export interface LegacyMeta {
  readonly checkpointId: string;
  readonly createdAt: number;
  readonly steps: number;
  readonly userMetadata: JsonObject;
  readonly unknown: readonly string[];
}

/** What is in the state file, given as its text or as the parsed object. */
export function parseLegacyState(given: unknown, file: string): LegacyState {
  const fields = new Fields(file, parse(given, file));
  const version = fields.take('schema_version');
  if (version === undefined) throw problem('checkpoint/foreign', file, 'has no field schema_version, so it is no state of a checkpoint', 'Check that this is the .state.json file.');
  if (version !== LEGACY_VERSION) {
    throw problem('checkpoint/version', file, `field schema_version is ${preview(version, 40)}; only "${LEGACY_VERSION}" can be converted`, 'Load and save the checkpoint once with the last version of the older system.');
  }
  const sessionId = fields.text('session_id');
  return {
    sessionId,
    startNode: fields.idOrNull('start_node'),
    steps: fields.count('steps'),
    completedTasks: fields.list('completed_tasks').map((id, at) => fields.checkText(id, `completed_tasks[${at}]`)),
    cycleCounts: Object.fromEntries(Object.entries(fields.record('cycle_counts')).map(([id, count]) => [id, fields.checkCount(count, `cycle_counts[${preview(id, 60)}]`)])),
    pendingTasks: fields.list('pending_tasks').map((task, at) => taskOf(fields, task, at)),
    resumingTaskId: fields.idOrNull('resuming_task_id'),
    backend: backendOf(fields),
    unknown: fields.rest(),
  };
}

/** What is in the meta file. It must belong to the same session as the state. */
export function parseLegacyMeta(given: unknown, file: string, state: LegacyState): LegacyMeta {
  const fields = new Fields(file, parse(given, file));
  const session = fields.text('session_id');
  if (session !== state.sessionId) {
    throw problem('checkpoint/invalid', file, `field session_id is ${preview(session, 60)}, but the state's is ${preview(state.sessionId, 60)}`, 'Use the two files of one checkpoint.');
  }
  const created = fields.text('created_at');
  const createdAt = Date.parse(created);
  if (!(createdAt >= 0)) throw fields.wrong('created_at', created, 'a time such as 2025-01-31T12:00:00+00:00');
  fields.textOrNull('start_node');
  backendOf(fields);
  return {
    checkpointId: fields.text('checkpoint_id'),
    createdAt,
    steps: fields.count('steps'),
    userMetadata: fields.has('user_metadata') ? fields.record('user_metadata') : {},
    unknown: fields.rest(),
  };
}

const statuses: ReadonlySet<unknown> = new Set(['ready', 'running', 'success', 'error']);

function taskOf(outer: Fields, given: Json, at: number): LegacyTask {
  const fields = outer.inner(given, `pending_tasks[${at}]`);
  const status = fields.take('status') ?? 'ready';
  if (!statuses.has(status)) throw fields.wrong('status', status, 'ready, running, success or error');
  const created = fields.take('created_at');
  if (created !== undefined && created !== null && typeof created !== 'number') throw fields.wrong('created_at', created, 'a time in seconds');
  return {
    taskId: fields.text('task_id'),
    status: status as string,
    retryCount: fields.has('retry_count') ? fields.count('retry_count') : 0,
    maxRetries: fields.has('max_retries') ? fields.count('max_retries') : undefined,
    lastError: fields.textOrNull('last_error'),
  };
}

/** Only short words are kept: what else stands there may be an address with a password. */
function backendOf(fields: Fields): readonly string[] {
  const backend = fields.take('backend');
  if (backend === undefined || backend === null) return [];
  if (typeof backend === 'string') return [word(backend) ?? 'given'];
  if (typeof backend !== 'object' || Array.isArray(backend)) throw fields.wrong('backend', backend, 'an object or a text');
  return Object.entries(backend as JsonObject).map(([name, value]) => `${preview(name, 40).slice(1, -1)}${word(value) === undefined ? '' : `: ${word(value)}`}`);
}

function word(value: Json): string | undefined {
  return typeof value === 'string' && /^[a-z_]{1,20}$/i.test(value) ? value : undefined;
}

/** One object of a file, field by field. */
class Fields {
  readonly #file: string;
  readonly #where: string;
  readonly #object: JsonObject;
  readonly #taken = new Set<string>();

  constructor(file: string, object: JsonObject, where = '') {
    this.#file = file;
    this.#object = object;
    this.#where = where;
  }

  inner(value: Json, where: string): Fields {
    if (!isRecord(value)) throw this.wrong(where, value, 'an object');
    return new Fields(this.#file, value, `${where}.`);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  take(name: string): Json | undefined {
    this.#taken.add(name);
    return this.has(name) ? this.#object[name] : undefined;
  }

  text(name: string): string {
    return this.checkText(this.#need(name), name);
  }

  textOrNull(name: string): string | undefined {
    const value = this.take(name);
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string') return value;
    throw this.wrong(name, value, 'a text or null');
  }

  idOrNull(name: string): string | undefined {
    const value = this.textOrNull(name);
    return value === undefined ? undefined : this.checkText(value, name);
  }

  count(name: string): number {
    return this.checkCount(this.#need(name), name);
  }

  list(name: string): readonly Json[] {
    const value = this.#need(name);
    if (Array.isArray(value)) return value as readonly Json[];
    throw this.wrong(name, value, 'a list');
  }

  record(name: string): JsonObject {
    const value = this.#need(name);
    if (isRecord(value)) return value;
    throw this.wrong(name, value, 'an object');
  }

  checkText(value: Json, name: string): string {
    if (typeof value === 'string' && value !== '' && value.length <= LONGEST) return value;
    throw this.wrong(name, value, `a text of 1 to ${LONGEST} characters`);
  }

  checkCount(value: Json, name: string): number {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.wrong(name, value, 'a whole number from 0');
  }

  rest(): string[] {
    return Object.keys(this.#object).filter((name) => !this.#taken.has(name));
  }

  wrong(name: string, value: unknown, expected: string): CheckpointError {
    return problem('checkpoint/invalid', this.#file, `field ${this.#where}${name} is ${preview(value, 60)}, not ${expected}`);
  }

  #need(name: string): Json {
    const value = this.take(name);
    if (value !== undefined) return value;
    throw problem('checkpoint/invalid', this.#file, `field ${this.#where}${name} is missing`);
  }
}

function problem(code: ErrorCode, file: string, what: string, hint = 'Write the checkpoint again with the older system, or start a new run.'): CheckpointError {
  return new CheckpointError(code, `The older system's file ${file} cannot be converted: ${what}.`, { hint, details: { file } });
}

function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(given: unknown, file: string): JsonObject {
  let value: unknown = given;
  if (given === undefined || given === null) throw problem('checkpoint/empty', file, 'it is missing', 'Give the path without its endings: the .state.json file must be there.');
  if (typeof given === 'string') {
    if (given.trim() === '') throw problem('checkpoint/empty', file, 'it is empty');
    try {
      value = JSON.parse(given);
    } catch (error) {
      const torn = error instanceof Error && /end of JSON|unterminated/i.test(error.message);
      throw problem('checkpoint/not-json', file, torn ? `its text ends in the middle, after ${given.length} characters` : 'it is not JSON');
    }
  }
  if (!isRecord(value)) throw problem('checkpoint/foreign', file, `it holds ${preview(value, 40)}, not an object`);
  try {
    return toJson(value, file) as JsonObject;
  } catch (error) {
    throw problem('checkpoint/invalid', file, error instanceof Error ? error.message.replace(/\.$/, '') : 'it is not JSON');
  }
}
