/**
 * One execution on the pool: its line to the thread, and the end of its wait.
 *
 * Owns: the port, the abort, the outcome. Does not own: which thread takes it, and when (pool.ts).
 *
 * Invariants
 * 1. The wait ends once: with the outcome, or with why there is none. What comes later is dropped.
 * 2. An aborted execution ends its wait at once. The task is told, and keeps its thread until it stops; after a grace
 *    period the thread is ended, so that a task that never listens does not occupy it for ever.
 * 3. A thread that dies takes one execution with it: a failed attempt that may be repeated.
 */
import { MessageChannel, receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import type { Tinypool } from 'tinypool';
import { TaskError, reviveError, serializeError } from '../../core/errors.ts';
import type { TaskCall } from '../../ports.ts';
import type { FromThread, ThreadCall, ThreadRequest, ToThread } from './messages.ts';

/** How long an aborted task may go on before its thread is ended. */
const graceMs = 1000;

/** What the pool is to an execution. */
export interface JobHost {
  readonly threads: Tinypool;
  readonly module: string;
  /** Called when a thread has been found or started for it. */
  submitted(this: void): void;
  /** Why tinypool gave it back with this error. */
  reasonFor(this: void, thrown: unknown): unknown;
}

export class Job {
  readonly outcome: Promise<unknown>;
  readonly #call: TaskCall;
  readonly #kill = new AbortController();
  readonly #onAbort = (): void => this.#abort();
  #resolve: (outcome: unknown) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #port: MessagePort | undefined;
  #grace: NodeJS.Timeout | undefined;
  #settled = false;

  constructor(call: TaskCall) {
    this.#call = call;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    call.signal.addEventListener('abort', this.#onAbort, { once: true });
    if (call.signal.aborted) this.#abort();
  }

  /** Nobody waits any more. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Runs it in a thread; resolves when the thread is free again, or gone. */
  async run({ threads, module, submitted, reasonFor }: JobHost): Promise<void> {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (message: FromThread) => this.#receive(message));
    const request: ThreadRequest = { module, call: travelling(this.#call), port: port2 };
    try {
      const ended = threads.run(request, { transferList: [port2], signal: this.#kill.signal });
      submitted();
      await ended;
      this.#drain(port1);
      this.#fail(died(this.#call, undefined));
    } catch (thrown) {
      this.#drain(port1);
      this.#fail(died(this.#call, reasonFor(thrown)));
    } finally {
      clearTimeout(this.#grace);
      port1.close();
    }
  }

  /** The pool hears of the end by another way than the port, which may have more to say. */
  #drain(port: MessagePort): void {
    for (let left = receiveMessageOnPort(port); left !== undefined; left = receiveMessageOnPort(port)) this.#receive(left.message as FromThread);
  }

  #receive(message: FromThread): void {
    if (this.#settled) return;
    if (message.kind === 'started') this.#call.started();
    else if (message.kind === 'note') this.#call.note(message.note);
    else if (message.kind === 'refused') this.#fail(reviveError(message.error));
    else if (this.#settle()) this.#resolve(message.outcome);
  }

  #abort(): void {
    const { reason } = this.#call.signal as { readonly reason: unknown };
    this.#fail(reason);
    if (this.#port === undefined) return;
    this.#port.postMessage({ kind: 'abort', reason: serializeError(reason) } satisfies ToThread);
    this.#grace = setTimeout(() => this.#kill.abort(), graceMs);
  }

  #fail(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#call.signal.removeEventListener('abort', this.#onAbort);
    return true;
  }
}

function travelling(call: TaskCall): ThreadCall {
  const { signal: _, note: __, started: ___, ...data } = call;
  return data;
}

function died(call: TaskCall, cause: unknown): TaskError {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new TaskError('task/failed', `The worker thread that executed task "${call.node}" of workflow "${call.workflow}" ended before the task did${why}`, {
    hint: 'A task that exits, throws outside its promise, or runs out of memory ends its thread. The next attempt gets another one.',
    details: { taskId: call.node },
    cause,
  });
}
