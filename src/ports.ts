/**
 * The border: what the runtime needs of the world. The comment of each interface is its contract.
 */

/** Time and turns. */
export interface Clock {
  /** Milliseconds since the epoch. May be virtual; never goes back by much. */
  now(): number;
  /** Calls `fire` once, not earlier than `delayMs` from now, unless the returned function is called before. With `background` it does not keep the process alive. */
  after(delayMs: number, fire: () => void, background?: boolean): () => void;
  /** Calls `run` in a later turn of the event loop, after input and output had their chance, unless the returned function is called before. */
  soon(run: () => void): () => void;
}

/** Randomness: numbers from 0 up to, not including, 1. */
export interface Random {
  next(): number;
}

/** A task in the graph of a workflow. */
export interface TaskName {
  readonly workflow: string;
  readonly node: string;
}

/** One execution, as it is handed to where it runs. Plain JSON but for the signal and the functions. */
export interface TaskCall extends TaskName {
  /** The same task as the workflows embedded around it name it, outermost first: where it runs, only one of them may be known. */
  readonly embedded: readonly TaskName[];
  /** False for a step that the workflow's graph does not have: the run met it on its way. */
  readonly declared: boolean;
  readonly runId: string;
  readonly input: unknown;
  readonly attempt: number;
  readonly iteration: number;
  readonly idempotencyKey: string;
  /** What people have answered to this execution so far, boxed, by question. */
  readonly answers?: Readonly<Record<string, readonly unknown[]>> | undefined;
  readonly channel: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  /** To be called when the function begins, after any queue: the task's time limit counts from there. Not once `run` has settled. */
  readonly started: () => void;
  readonly note: (note: TaskNote) => void;
}

/** What a running task says before it settles. Hints only: losing one loses nothing. */
export type TaskNote =
  | { readonly kind: 'progress'; readonly done: number; readonly total?: number | undefined; readonly note?: string | undefined }
  | { readonly kind: 'log'; readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly message: string; readonly data?: unknown };

/**
 * Where a group's tasks are executed when it is not this process's event loop. `run` resolves with an outcome in plain
 * JSON (see `Outcome` of the machines) and never rejects for what a task did; it rejects when the backend itself is out
 * of order, which counts as a failed attempt. An aborted signal ends the wait.
 */
export interface Backend {
  run(call: TaskCall): Promise<unknown>;
}

/**
 * Makes a backend from a group's `backendConfig`. Called for every use of a group, so what is costly is kept by the factory,
 * once per configuration. Nothing: the calling thread executes the tasks itself, as with `local`.
 */
export type BackendFactory = (settings: unknown) => Backend | undefined;

/** Everything that the runtime takes from outside. */
export interface Environment {
  readonly clock: Clock;
  readonly random: Random;
  /** A new run id: unique, free of `|`, `:` and white space. */
  newId(): string;
  /** Who this process is, for those who look at a store. */
  readonly owner: Omit<RunOwner, 'since'>;
  /** Backends besides `direct` and `local`, by name. */
  readonly backends: Readonly<Partial<Record<string, BackendFactory>>>;
}

/** A run as a store holds it. */
export interface StoredRun {
  /** The newest snapshot, as the text of a checkpoint envelope. */
  readonly checkpoint: string;
  /** The revision that the snapshot is of. */
  readonly revision: number;
  /** The entries that were appended after it, oldest first. */
  readonly journal: readonly string[];
}

/** What a list of runs shows; read without loading snapshots. */
export interface RunNote {
  readonly runId: string;
  readonly workflow: string;
  /** Grows with every writer that has opened the run. */
  readonly epoch: number;
  /** Who opened it last, in the words of `RunOwner`. */
  readonly owner: RunOwner | undefined;
  /** Milliseconds since the epoch. */
  readonly updatedAt: number;
}

export interface RunOwner {
  readonly host: string;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** A snapshot that a store still has. */
export interface RevisionNote {
  readonly revision: number;
  readonly savedAt: number;
  readonly bytes: number;
}

/**
 * Where runs survive their process.
 *
 * Contract
 * 1. `open` makes the caller the run's only writer: it takes effect at once, and every write of an earlier writer that
 *    has not been acknowledged by then is either part of what `stored` shows, or is refused.
 * 2. A write is durable when its promise resolves; writes are acknowledged in the order in which they were made.
 * 3. A write of a writer that is not the newest is refused with CheckpointError `checkpoint/conflict`, and changes nothing.
 * 4. `stored` and `load` show the newest snapshot and all entries after it: no gap, no entry twice, none out of order.
 *    An entry that was torn by a crash, and so never acknowledged, is left out.
 * 5. What cannot be trusted (torn snapshot, wrong checksum, foreign file) is refused with a CheckpointError that names
 *    the newest revision that can be; nothing is changed by reading.
 * 6. After `save` the snapshot replaces all entries up to its revision. The previous snapshot stays readable by its
 *    revision until the next but one has been saved, at least.
 * 7. Run ids are checked by the caller (they follow the grammar of ids) and by the store where they become paths.
 */
export interface CheckpointStore {
  open(runId: string, owner: RunOwner): Promise<RunWriter>;
  /** The newest state, or that at an earlier revision which is still there; nothing for an unknown run. */
  load(runId: string, revision?: number): Promise<StoredRun | undefined>;
  list(): Promise<readonly RunNote[]>;
  /** The snapshots that can be loaded, newest first. */
  revisions(runId: string): Promise<readonly RevisionNote[]>;
  /** Removes a run and all that belongs to it. Unknown runs are no error. */
  remove(runId: string): Promise<void>;
  /** Leaves a message for whoever owns the run; messages are numbered from 1 in the order in which they arrived. */
  post(runId: string, text: string): Promise<number>;
  /** The messages after number `after`, oldest first. They stay until the run is removed or `after` has passed them. */
  posts(runId: string, after: number): Promise<readonly { readonly number: number; readonly text: string }[]>;
}

/** One writer's hold on one run. */
export interface RunWriter {
  /** What was there when the run was opened; nothing for a new run. */
  readonly stored: StoredRun | undefined;
  /** Appends entries (single lines of text). `revision` is the run's revision after the last of them. */
  append(entries: readonly string[], revision: number): Promise<void>;
  /** Saves a snapshot of `revision`, as the text of a checkpoint envelope. */
  save(checkpoint: string, revision: number): Promise<void>;
  /** Gives the run up. Pending writes are finished first. */
  close(): Promise<void>;
}
