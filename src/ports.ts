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
  /** Opens the lists that a group's `backendConfig` names, for the backend `redis`; connects when first used. Absent: not to be had here. */
  readonly connect?: ((settings: unknown) => Transport) | undefined;
  /** Ties a run to its remote groups (runtime/remote/link.ts); given by the entries that have `connect`, so that a bundle without Redis has none of it. */
  readonly remote?: ((link: never) => unknown) | undefined;
  /** XState's `inspect` for runs that were given none: where the surroundings ask for it. */
  readonly inspect?: (() => ((event: never) => void) | undefined) | undefined;
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

/**
 * Who may change a run's intake: the newest coordinator. Ordered by `epoch`; `nonce` tells two of one epoch apart.
 * As text: `<epoch>|<nonce>`.
 */
export interface Fence {
  readonly epoch: number;
  /** Letters and digits. */
  readonly nonce: string;
}

/** `fenced`: a newer coordinator owns the run. `gone`: nobody does, its keys are not there (any more). */
export type Refused = { readonly status: 'fenced' | 'gone' };

/** What a group's units share, stored once beside them. */
export interface SharedPart {
  /** The last part of its key: the group's id and the hash of the text, or `graph`; never a number alone. */
  readonly name: string;
  readonly text: string;
}

export interface PushRequest {
  readonly run: string;
  readonly fence: Fence;
  /** Numbered from 1 without gaps, over all coordinators of the run. */
  readonly batch: number;
  readonly queue: string;
  /** At most 1,000, as `attempt|run|id|json` (core/messages.ts). */
  readonly units: readonly string[];
  readonly shared?: readonly SharedPart[] | undefined;
  /** Runs without a journal: their keys must not outlive them by more than this. */
  readonly expireMs?: number | undefined;
}

/** What a worker has to say about the unit in one of its slots. `header` is the unit's `attempt|run|id`. */
export interface Ack {
  readonly slot: number;
  readonly header: string;
  /**
   * `result`: `text` goes to the run's results. `drop`: nobody wants it any more. `return`: `text`, the unit as it is to be
   * taken again, goes to the back of the queue. `dead`: it is no unit that anyone could execute, and `text` says why;
   * `header` may then be empty, for what has none.
   */
  readonly kind: 'result' | 'drop' | 'return' | 'dead';
  readonly text: string;
}

/** Who a worker is. A worker's id is never used by two processes at once: `nonce` tells them apart. */
export interface WorkerIdentity {
  /** Letters, digits, `.`, `_`, `-`. */
  readonly worker: string;
  readonly nonce: string;
  readonly queue: string;
  readonly slots: number;
}

export interface StepRequest extends WorkerIdentity {
  readonly leaseMs: number;
  readonly acks: readonly Ack[];
  /** Free slots that are to be filled. Empty while draining. */
  readonly claims: readonly number[];
  /** Runs of the units in the slots, to hear what of them was cancelled. */
  readonly runs: readonly string[];
}

export interface StepReply {
  /** `taken`: another process uses this worker's id, so nothing was done. */
  readonly status: 'ok' | 'taken';
  readonly claimed: readonly { readonly slot: number; readonly unit: string }[];
  /** Places in `acks` of those that were not accepted: the slot holds another unit by now, or the run is gone. */
  readonly refused: readonly number[];
  /** What is cancelled, by run: `*`, a group's id or a unit's id. A run without a coordinator's token has `*`: nobody wants it. */
  readonly cancelled: Readonly<Record<string, readonly string[]>>;
  /** Units that wait in the queue. */
  readonly pending: number;
}

/** A live worker, as the registry shows it. */
export interface WorkerNote {
  readonly worker: string;
  readonly queue: string;
  readonly slots: number;
  readonly alive: boolean;
}

export interface Audit {
  readonly status: 'ok';
  /** Ids of the run's units, wherever they are: pending, in a slot, in the results, taken. */
  readonly present: readonly string[];
}

/**
 * The lists that coordinators and workers share: every operation is atomic, and safe to repeat after a connection was
 * lost before its reply came.
 *
 * Contract
 * 1. A unit that was pushed is in exactly one list until it is trimmed, dropped or dead: pending, slot, results, taken.
 * 2. A batch is pushed once: one with a number that is not greater than the last does nothing and says `ok`. One that leaves
 *    a gap says `gone` and does nothing: the lists have lost what came before it.
 * 3. Only the worker whose slot holds a unit, at that unit's attempt, can produce its result.
 * 4. Only the holder of the fence changes a run's intake (push, take, trim, cancel, release); others hear `fenced`.
 * 5. `take` moves the oldest results to `taken`; `trim` removes from there only what its caller has named by its last element.
 * 6. A unit in the slot of a worker without a lease goes back to the front of its queue with its attempt raised, or, past
 *    `deliveries`, to the dead ones; its run is told by `D|id|attempt|json`. One of a run without a coordinator's token goes.
 * 7. A result for a run without a coordinator's token is dropped.
 * 8. A lost reply is a rejection with TransportError, whose `retryable` says whether trying again can help.
 */
export interface TaskLists {
  /**
   * Becomes the run's coordinator. With a fence: again, after a connection was lost; refused if a newer one is there, and if
   * nobody is: the lists may have been emptied, or another one has ended the run. Without: as the newest, with the next epoch.
   * `seq` is the number of the last batch, `held` the results that were taken and not trimmed.
   */
  acquire(request: { readonly run: string; readonly nonce: string; readonly fence?: Fence | undefined; readonly expireMs?: number | undefined }): Promise<
    { readonly status: 'acquired'; readonly fence: Fence; readonly seq: number; readonly held: number } | Refused
  >;
  push(request: PushRequest): Promise<{ readonly status: 'ok' } | Refused>;
  /** Up to `most` results, oldest first; `held` is the length of `taken` afterwards. */
  take(request: { readonly run: string; readonly fence: Fence; readonly most: number; readonly expireMs?: number | undefined }): Promise<
    { readonly status: 'ok'; readonly items: readonly string[]; readonly held: number } | Refused
  >;
  /** Elements of `taken`, without a change: from `from`, at most `most`. */
  held(request: { readonly run: string; readonly from: number; readonly most: number }): Promise<readonly string[]>;
  /**
   * Removes the `count` oldest of `taken`, if the last of them is `last` (its header `R|id|attempt`; empty where it has none),
   * and the shared parts in `forget`, which no unit needs any more.
   */
  trim(request: { readonly run: string; readonly fence: Fence; readonly count: number; readonly last: string; readonly forget?: readonly string[] | undefined }): Promise<
    { readonly status: 'ok' | 'mismatch' } | Refused
  >;
  audit(request: { readonly run: string; readonly fence: Fence; readonly queues: readonly string[] }): Promise<Audit | Refused>;
  /**
   * Marks entries (`*`, group ids, unit ids) as cancelled for `forMs`, the latest 1,000 of them, and takes what is pending of them out of the queues;
   * `removed` counts those. Tells everyone by the signal `C|run|entry`.
   */
  cancel(request: { readonly run: string; readonly fence: Fence; readonly entries: readonly string[]; readonly queues: readonly string[]; readonly forMs: number }): Promise<
    { readonly status: 'ok'; readonly removed: number } | Refused
  >;
  /** Ends a run here: removes its keys, pending units included, and all shared parts that were ever pushed for it; `shared` names more. */
  release(request: { readonly run: string; readonly fence: Fence; readonly queues: readonly string[]; readonly shared: readonly string[] }): Promise<{ readonly status: 'ok' } | Refused>;
  /** Moves the next result to `taken` and gives it, waiting up to `timeoutMs`. On a connection of its own. */
  waitResult(request: { readonly run: string; readonly timeoutMs: number }): Promise<string | undefined>;

  /** Enters a worker into the registry; what is left in slots of its id from an earlier life goes back as in rule 6. */
  register(request: WorkerIdentity & { readonly leaseMs: number; readonly deliveries: number; readonly at: number }): Promise<{ readonly status: 'ok' | 'taken' }>;
  step(request: StepRequest): Promise<StepReply>;
  /** Moves the next pending unit to an empty slot and gives it, waiting up to `timeoutMs`. On a connection of its own. */
  waitUnit(request: { readonly worker: string; readonly slot: number; readonly queue: string; readonly timeoutMs: number }): Promise<string | undefined>;
  /** What the slots hold now. */
  slots(request: { readonly worker: string; readonly slots: number }): Promise<readonly (string | undefined)[]>;
  /** A shared part of a run's units. */
  shared(request: { readonly run: string; readonly name: string }): Promise<string | undefined>;
  /** Leaves the registry and drops the lease. Units that are still in slots go back with the attempt that they have. */
  leave(request: WorkerIdentity): Promise<void>;
  /** Rule 6, for all workers whose lease is gone. `at` is the caller's time, for the history of dead units. */
  reap(request: { readonly deliveries: number; readonly at: number }): Promise<{ readonly returned: number; readonly dead: number }>;
  workers(): Promise<readonly WorkerNote[]>;
  pending(queue: string): Promise<number>;
  /** Gives the connections up. Calls under way reject. */
  close(): Promise<void>;
}

/** Hints between coordinators and workers: a lost, doubled or late one costs time, never work. */
export interface Signals {
  /** Calls `heard` with every text that is published from now on; returns the way to stop. */
  subscribe(heard: (text: string) => void): () => void;
  publish(text: string): void;
}

/** Refreshes a worker's lease while its own thread cannot: when nothing was heard of it for too long, and not without end. */
export interface LeaseKeeper {
  /** Settles when it can keep the lease, or never will. It keeps none before the first beat. */
  readonly ready: Promise<void>;
  /** The worker has refreshed its lease by itself. */
  beat(): void;
  close(): void;
}

/** What a coordinator or a worker talks through. */
export interface Transport {
  /** Two with the same key lead to the same lists. Not for printing. */
  readonly key: string;
  readonly lists: TaskLists;
  readonly signals: Signals;
  /** Keeps a lease from another thread, for at most `blockedMs` after the last beat. Absent: not to be had here. */
  readonly keepLease?: ((worker: WorkerIdentity & { readonly leaseMs: number; readonly blockedMs: number }) => LeaseKeeper) | undefined;
}

/** Structured lines for operators. Never a secret, never a whole payload. */
export interface Logger {
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** A queue of units, by its name, and the way to it. Coordinators push to it, workers take from it. */
export interface TaskQueue {
  /** `memory`: for tests and tools, inside one process. Workers take `redis` only. */
  readonly kind: 'memory' | 'redis';
  readonly name: string;
  /** Units that wait. */
  length(): Promise<number>;
  close(): Promise<void>;
}
