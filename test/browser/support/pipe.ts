/**
 * The line to a browser: commands and events of the DevTools protocol as JSON texts that end in a NUL byte.
 *
 * Owns: numbering commands, matching answers, handing events to the session that they are for. Does not own: the process.
 *
 * Invariants
 * 1. Every command settles: by its answer, or when the line or its session ends.
 * 2. Bytes are joined before they are decoded: a character may be cut in two by a chunk.
 */
import type { Readable, Writable } from 'node:stream';

/** What a command answers or an event tells; whoever asks knows the fields. */
export type Fields = Readonly<Record<string, unknown>>;

type Listener = (params: Fields) => void;

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Fields;
  readonly result?: Fields;
  readonly error?: { readonly message: string; readonly data?: string };
}

interface Pending {
  readonly method: string;
  readonly session: string | undefined;
  resolve(result: Fields): void;
  reject(error: Error): void;
}

export class ProtocolFailure extends Error {
  override readonly name = 'ProtocolFailure';
}

export class Pipe {
  readonly #output: Writable;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<string, Set<Listener>>();
  #chunks: Buffer[] = [];
  #lastId = 0;
  #ended: string | undefined;

  constructor(input: Readable, output: Writable) {
    this.#output = output;
    input.on('data', (chunk: Buffer) => this.#take(chunk));
    // The browser's end says why it is gone; these only must not end this process.
    input.on('error', () => undefined);
    output.on('error', () => undefined);
  }

  send<T extends Fields = Fields>(method: string, params: object = {}, session?: string): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(new ProtocolFailure(`${method}: ${this.#ended}`));
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { method, session, resolve: resolve as (result: Fields) => void, reject });
      this.#output.write(`${JSON.stringify({ id, method, params, ...(session === undefined ? {} : { sessionId: session }) })}\0`);
    });
  }

  /** Calls `listener` for an event of one session, or of the browser itself; returns the way to stop. */
  on(method: string, listener: Listener, session?: string): () => void {
    const key = `${session ?? ''} ${method}`;
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Nothing more will come, for one session or at all: whoever still waits is told why. */
  end(reason: string, session?: string): void {
    if (session === undefined) this.#ended ??= reason;
    for (const [id, pending] of this.#pending) {
      if (session !== undefined && pending.session !== session) continue;
      this.#pending.delete(id);
      pending.reject(new ProtocolFailure(`${pending.method}: ${reason}`));
    }
  }

  #take(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(0); at >= 0; at = chunk.indexOf(0, from)) {
      this.#chunks.push(chunk.subarray(from, at));
      const text = Buffer.concat(this.#chunks).toString('utf8');
      this.#chunks = [];
      from = at + 1;
      this.#receive(JSON.parse(text) as Message);
    }
    if (from < chunk.length) this.#chunks.push(chunk.subarray(from));
  }

  #receive({ id, sessionId, method, params = {}, result = {}, error }: Message): void {
    if (id === undefined) {
      for (const listener of [...this.#listeners.get(`${sessionId ?? ''} ${method}`) ?? []]) listener(params);
      return;
    }
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    if (error === undefined) pending.resolve(result);
    else pending.reject(new ProtocolFailure(`${pending.method}: ${error.message}${error.data === undefined ? '' : ` (${error.data})`}`));
  }
}
