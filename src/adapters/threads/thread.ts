/**
 * The thread's side of the line: loads the module, knows whether code runs inside a task, answers the pool.
 *
 * Does not own: finding and running the task (worker.ts).
 *
 * Invariant: whatever happens, the last message of an execution is its outcome or a refusal, and nothing is thrown.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { DefinitionError, reviveError, serializeError } from '../../core/errors.ts';
import { preview } from '../../core/preview.ts';
import type { TaskNote } from '../../ports.ts';
import { markThread } from './mark.ts';
import type { FromThread, ThreadCall, ThreadRequest, ToThread } from './messages.ts';

/** One execution's line to the pool. */
export class Line {
  readonly #port: MessagePort;
  #aborted: { readonly reason: unknown } | undefined;
  #tell: ((reason: unknown) => void) | undefined;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', (message: ToThread) => this.#abort(message));
  }

  /** Asks for word of an abort; the answer is true when it came already. */
  onAbort(tell: (reason: unknown) => void): boolean {
    const early = receiveMessageOnPort(this.#port);
    if (early !== undefined) this.#abort(early.message as ToThread);
    this.#tell = tell;
    if (this.#aborted !== undefined) tell(this.#aborted.reason);
    return this.#aborted !== undefined;
  }

  send(message: FromThread): void {
    this.#port.postMessage(message);
  }

  /** A note is a hint, so what cannot travel is shown as text. */
  note(note: TaskNote): void {
    try {
      this.send({ kind: 'note', note });
    } catch {
      if (note.kind === 'log') this.send({ kind: 'note', note: { ...note, data: preview(note.data) } });
    }
  }

  #abort(message: ToThread): void {
    this.#aborted = { reason: reviveError(message.reason) };
    this.#tell?.(this.#aborted.reason);
  }
}

/** Makes the function that the pool calls in the thread. `execute` answers with the outcome, and throws where it has none. */
export function threadHandler(execute: (module: string, call: ThreadCall, line: Line) => Promise<unknown>): (request: ThreadRequest) => Promise<void> {
  const tasks = new AsyncLocalStorage<true>();
  markThread({ inTask: () => tasks.getStore() === true });
  return async ({ module, call, port }) => {
    const line = new Line(port);
    try {
      await load(module);
      line.send({ kind: 'outcome', outcome: await tasks.run(true, () => execute(module, call, line)) });
    } catch (thrown) {
      line.send({ kind: 'refused', error: serializeError(thrown) });
    }
  };
}

async function load(module: string): Promise<void> {
  try {
    await import(module);
  } catch (cause) {
    throw new DefinitionError('definition/backend-unavailable', `A worker thread could not load the module ${preview(module)}: ${preview(cause instanceof Error ? cause.message : cause)}`, {
      hint: 'Name the module that defines the workflow: { module: import.meta.url }. It is loaded once more in every thread, so it must not start runs.',
      details: { module },
      cause,
    });
  }
}
