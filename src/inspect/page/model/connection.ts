/**
 * The page's line to the relay that it came from.
 *
 * Owns: the stream and its return after it broke, commands, the history. Does not own: what the messages mean.
 *
 * Invariants
 * 1. At most one stream is open; nothing of an earlier one is passed on.
 * 2. A broken stream comes back by itself, with growing pauses, and begins anew (`begin`).
 * 3. Requests go to the page's own origin alone.
 */
import type { ViewerMessage } from '../../messages.ts';
import { paths, type CommandAnswer, type CommandRequest } from '../../protocol.ts';

export type LinkState = 'connecting' | 'live' | 'lost' | 'refused';

export interface LinkHandlers {
  /** A stream has opened; all that is known follows. */
  begin(): void;
  batch(messages: readonly ViewerMessage[]): void;
  state(state: LinkState): void;
}

const PAUSES_MS = [250, 500, 1000, 2000, 4000];

export class Connection {
  readonly #token: string;
  readonly #handlers: LinkHandlers;
  #source: EventSource | undefined;
  #roots: readonly string[] = [];
  #failures = 0;
  #timer = 0;

  constructor(token: string, handlers: LinkHandlers) {
    this.#token = token;
    this.#handlers = handlers;
  }

  /** Opens the stream anew, with everything about these systems. */
  subscribe(roots: readonly string[]): void {
    this.#roots = roots;
    this.#open();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }

  async command(request: CommandRequest): Promise<CommandAnswer> {
    try {
      const response = await fetch(this.#url(paths.command), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(request) });
      const text = await response.text();
      return (parsed(text) as CommandAnswer | undefined) ?? refused(`The relay answered with status ${response.status}${text === '' ? '' : `: ${text.slice(0, 200)}`}.`);
    } catch {
      return refused('The relay cannot be reached. The command may not have arrived.');
    }
  }

  /** The kept history of a system, oldest first. */
  async history(rootId: string): Promise<ViewerMessage[][]> {
    const response = await fetch(this.#url(paths.history, [rootId]));
    if (!response.ok) throw new Error(`The relay answered with status ${response.status}.`);
    const batches: ViewerMessage[][] = [];
    for (const line of (await response.text()).split('\n')) {
      const batch = line === '' ? undefined : parsed(line);
      if (Array.isArray(batch)) batches.push(batch as ViewerMessage[]);
    }
    return batches;
  }

  #open(): void {
    this.close();
    const source = new EventSource(this.#url(paths.stream, this.#roots));
    this.#source = source;
    source.onopen = () => {
      this.#failures = 0;
      this.#handlers.begin();
      this.#handlers.state('live');
    };
    source.onmessage = ({ data }) => {
      const batch = parsed(String(data));
      if (Array.isArray(batch)) this.#handlers.batch(batch as ViewerMessage[]);
    };
    source.onerror = () => {
      // The browser would come back by itself after some kinds of failure but not after others.
      this.close();
      void this.#lost();
    };
  }

  /** An EventSource does not say why it failed; a plain request does. */
  async #lost(): Promise<void> {
    this.#handlers.state('lost');
    const pause = PAUSES_MS[Math.min(this.#failures, PAUSES_MS.length - 1)] as number;
    this.#failures += 1;
    const probe = new AbortController();
    try {
      const { status } = await fetch(this.#url(paths.stream), { signal: probe.signal });
      if (status === 401 || status === 403) this.#handlers.state('refused');
    } catch {
      // Not there: it is tried again below.
    } finally {
      probe.abort();
    }
    if (this.#source === undefined) this.#timer = setTimeout(() => this.#open(), pause);
  }

  #url(path: string, roots: readonly string[] = []): string {
    const query = new URLSearchParams({ token: this.#token });
    for (const root of roots) query.append('root', root);
    return `${path}?${query.toString()}`;
  }
}

function refused(message: string): CommandAnswer {
  return { ok: false, error: { name: 'Error', message } };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
