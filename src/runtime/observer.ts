/** What a run tells those who watch it. Hints for people: nothing depends on them, and nobody pays for them unwatched. */
import type { NodeId } from '../core/graph.ts';

/** Where an execution belongs, if it is a member of a group by itself. */
export interface GroupPlace {
  readonly id: NodeId;
  readonly index: number;
  readonly size: number;
}

export interface TaskPlace {
  /** The node id of the task. */
  readonly task: NodeId;
  /** Unique per execution, the same for each attempt. */
  readonly key: string;
  /** Counts from 1. */
  readonly attempt: number;
  /** Counts from 0. */
  readonly iteration: number;
  readonly group?: GroupPlace | undefined;
}

export type RunEvent = { /** Milliseconds since the epoch. */ readonly at: number } & (
  | { readonly type: 'run.started' | 'run.paused' | 'run.resumed' | 'run.waiting' | 'run.completed' }
  | { readonly type: 'run.failed' | 'run.cancelled' | 'run.message-refused'; readonly error: Error }
  | ({ readonly type: 'task.started' } & TaskPlace)
  | ({ readonly type: 'task.completed'; readonly durationMs: number } & TaskPlace)
  | ({
      readonly type: 'task.failed';
      readonly error: Error;
      /** No attempt is left. */
      readonly final: boolean;
      readonly durationMs: number;
    } & TaskPlace)
  | ({ readonly type: 'task.progress'; readonly done: number; readonly total?: number | undefined; readonly note?: string | undefined } & TaskPlace)
  | ({ readonly type: 'task.log'; readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly message: string; readonly data?: unknown } & TaskPlace)
);

export type RunListener = (event: RunEvent) => void;

/** What a task says while it runs. */
export type NoteEvent = Extract<RunEvent, { readonly type: 'task.progress' | 'task.log' }>;

/** Delivers events; a listener that throws is reported once to the console and disturbs nobody. */
export class Observers {
  readonly #listeners = new Set<RunListener>();
  readonly #noteListeners = new Set<(event: NoteEvent) => void>();

  get watched(): boolean {
    return this.#listeners.size > 0;
  }

  add(listener: RunListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Somebody hears what tasks say, without the slower road that telling of every task takes. */
  get heard(): boolean {
    return this.#noteListeners.size > 0;
  }

  /** Calls `listener` for progress and logs alone; the run counts as unwatched. */
  hear(listener: (event: NoteEvent) => void): void {
    this.#noteListeners.add(listener);
  }

  tell(event: RunEvent): void {
    if (this.#noteListeners.size > 0 && (event.type === 'task.progress' || event.type === 'task.log')) for (const listener of this.#noteListeners) listener(event);
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (thrown) {
        this.#listeners.delete(listener);
        console.error('taskchart: a run listener threw and was removed:', thrown);
      }
    }
  }
}
