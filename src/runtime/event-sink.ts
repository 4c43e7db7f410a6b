import type { ExecutionEvent } from '../../machines/index.ts';

/** What records the events that a run has accepted. */
export interface EventSink {
  /** `before`: the time of the context that the event came to. */
  accept(event: ExecutionEvent, revision: number, before: number): void;
  readonly congestion: Promise<void> | undefined;
  /** Whether all accepted events are stored. */
  readonly journalled: boolean;
  /** The newest revision that a restored run would have. */
  readonly durable: number;
  onDurable(listener: (revision: number) => void): () => void;
  /** Resolves when a write that was made after this call is durable: nobody else owns the run. */
  confirm?(): Promise<void>;
}
