/** What the pool and its threads say to each other: structured clones of plain data. */
import type { MessagePort } from 'node:worker_threads';
import type { SerializedError } from '../../core/errors.ts';
import type { TaskCall, TaskNote } from '../../ports.ts';

/** The part of a call that can travel. */
export type ThreadCall = Omit<TaskCall, 'signal' | 'note' | 'started'>;

/** What a thread is handed for one execution. The port is for this execution alone. */
export interface ThreadRequest {
  /** A file: URL. */
  readonly module: string;
  readonly call: ThreadCall;
  readonly port: MessagePort;
}

export type FromThread =
  | { readonly kind: 'started' }
  | { readonly kind: 'note'; readonly note: TaskNote }
  | { readonly kind: 'outcome'; readonly outcome: unknown }
  /** The thread cannot execute the task at all. */
  | { readonly kind: 'refused'; readonly error: SerializedError };

export interface ToThread {
  readonly kind: 'abort';
  readonly reason: SerializedError;
}
