/**
 * The border: what the runtime needs of the world. The comment of each interface is its contract.
 */

/** Time and turns. */
export interface Clock {
  /** Milliseconds since the epoch. May be virtual; never goes back by much. */
  now(): number;
  /** Calls `fire` once, not earlier than `delayMs` from now, unless the returned function is called before. */
  after(delayMs: number, fire: () => void): () => void;
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
  /** Backends besides `direct` and `local`, by name. */
  readonly backends: Readonly<Partial<Record<string, BackendFactory>>>;
}
