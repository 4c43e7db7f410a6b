/**
 * `connectInspector`: an inspector whose messages go to a relay, and whose runs are steered from there.
 *
 * Owns: the source of one process or page, its queue, coming back after the connection was lost. Does not own: making messages
 * (inspector.ts), HTTP itself (wire.ts).
 *
 * Invariants
 * 1. One request at a time; what comes meanwhile waits. A queue that grows beyond its limit is dropped: what follows then tells
 *    everything that still matters (`fresh`) and no history. That catch-up is told in pieces and has no limit as a whole.
 * 2. While the relay is not there nothing is queued, and it is tried again with growing pauses. None of that keeps a process alive:
 *    it waits for what is being sent, and not longer than HOLD_MS after the last event of an actor.
 * 3. The relay that is not there, slow, or hostile never disturbs a run: nothing that it says is thrown.
 */
import type { InspectionEvent } from 'xstate';
import { badOption, textOption } from '../core/options.ts';
import { SummarisingInspector, type Inspector, type InspectorOptions } from './inspector.ts';
import { STREAM_VERSION, type InspectorMessage } from './messages.ts';
import { paths, type SourceCommand, type SourceLine } from './protocol.ts';
import { relayFromEnvironment } from './relay-address.ts';
import { refusal } from './answers.ts';
import { LINE_MOST, platformWire, type Wire } from './wire.ts';

const QUEUE_MOST = 4_000_000;
const BODY_MOST = 1_000_000;
const HOLD_MS = 5000;
const PAUSE_LEAST_MS = 250;
const PAUSE_MOST_MS = 5000;

export interface ConnectOptions extends InspectorOptions {
  /** What the page calls this process; default: the script's name, or the page's title. */
  readonly title?: string | undefined;
}

export interface ConnectedInspector extends Inspector {
  /** Sends what there is; resolves when it has arrived, or cannot. Never rejects. */
  settle(): Promise<void>;
  /** Says good-bye, after what is new. */
  close(): void;
}

/**
 * Connects the actors that it inspects to a relay (`taskchart inspect`): `workflow.start(input, { inspect: connectInspector() })`.
 * `url` is what the relay has printed, with its token; default: the variable TASKCHART_INSPECT. Without either it does nothing, so
 * that it can stay in the code.
 */
export function connectInspector(url?: string | URL, options: ConnectOptions = {}): ConnectedInspector {
  const { title, ...inspecting } = options;
  if (title !== undefined) textOption('title', title);
  const target = targetOf(url);
  if (target !== undefined) return new Connection(target, inspecting, title);
  const idle = new SummarisingInspector(() => undefined, inspecting);
  return { next: () => undefined, flush: () => undefined, settle: async () => undefined, close: idle.close };
}

interface Target {
  readonly base: URL;
  readonly token: string;
}

function targetOf(given: string | URL | undefined): Target | undefined {
  const text = given === undefined ? relayFromEnvironment() : String(given);
  if (text === undefined) return undefined;
  const name = given === undefined ? 'TASKCHART_INSPECT' : 'url';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const token = url?.searchParams.get('token') ?? '';
  // The token is not shown again in an error.
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) throw badOption(name, text.replace(/token=[^&\s]*/, 'token=…'), 'the address that "taskchart inspect" has printed');
  if (token === '') throw badOption(name, `${url.origin}${url.pathname}`, 'an address with a token: http://127.0.0.1:<port>/?token=<token>');
  return { base: new URL(url.origin), token };
}

class Connection implements ConnectedInspector {
  readonly #target: Target;
  readonly #wire: Wire = platformWire();
  readonly #title: string | undefined;
  readonly #id = newSourceId();
  readonly #inspector: SummarisingInspector;
  #queue: string[] = [];
  #queued = 0;
  #dropped = 0;
  /** The relay has to be told everything, from now on. */
  #fresh = true;
  /** Something was dropped; everything is told once the catch-up under way is through, so that a busy run does not keep it from its end. */
  #lost = false;
  /** What is left of everything. Texts are made piece by piece. */
  #catchUp: (InspectorMessage | SourceLine)[] = [];
  /** An event has come that is not in a frame yet. */
  #news = false;
  /** Keeps the process alive. */
  #hold: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #pauseMs = PAUSE_LEAST_MS;
  #stopListening: (() => void) | undefined;
  #closed = false;

  constructor(target: Target, options: InspectorOptions, title: string | undefined) {
    this.#target = target;
    this.#title = title;
    this.#inspector = new SummarisingInspector((messages) => this.#take(messages), options, `${this.#id}/`);
  }

  readonly next = (event: InspectionEvent): void => {
    this.#news = true;
    this.#inspector.next(event);
  };

  readonly flush = (): void => this.#inspector.flush();

  readonly settle = async (): Promise<void> => {
    this.#inspector.flush();
    // Someone waits for it, so the process does.
    const hold = setInterval(() => undefined, HOLD_MS);
    for (let tries = 0; this.#sending !== undefined && tries < 20; tries += 1) await this.#sending;
    clearInterval(hold);
  };

  readonly close = (): void => {
    if (this.#closed) return;
    this.#inspector.flush();
    // Afterwards there is nothing left to tell it from.
    if (this.#sending !== undefined && (this.#fresh || this.#lost)) this.#begin();
    this.#inspector.close();
    this.#closed = true;
    clearTimeout(this.#retry);
    if (!this.#fresh || this.#sending !== undefined) this.#add([{ type: 'bye' }]);
    const stop = this.#stopListening;
    this.#stopListening = undefined;
    void this.#send().finally(() => stop?.());
    this.#holdProcess();
  };

  #take(messages: readonly InspectorMessage[]): void {
    // Between two tries only the picture grows; it is told as a whole once the relay is there. So it is after a loss.
    if (this.#retry !== undefined || this.#lost) this.#dropped += messages.length;
    else this.#add(messages);
    void this.#send();
    if (this.#news) this.#holdProcess();
    this.#news = false;
  }

  /** Requests do not keep the process alive by themselves, or a relay could do so for good. */
  #holdProcess(): void {
    clearTimeout(this.#hold);
    if (this.#sending !== undefined) this.#hold = setTimeout(() => undefined, HOLD_MS);
  }

  #add(lines: readonly (InspectorMessage | SourceLine)[]): void {
    for (const line of lines) {
      const text = this.#textOf(line);
      if (text === undefined) continue;
      this.#queue.push(text);
      this.#queued += text.length + 1;
    }
    if (this.#queued <= QUEUE_MOST) return;
    this.#forgetQueue();
    this.#lost = true;
  }

  /** Nothing for a line that no relay would take. */
  #textOf(line: InspectorMessage | SourceLine): string | undefined {
    const text = JSON.stringify(line);
    if (text.length <= LINE_MOST) return text;
    this.#dropped += 1;
    return undefined;
  }

  #forgetQueue(): void {
    this.#dropped += this.#queue.length;
    this.#queue = [];
    this.#queued = 0;
  }

  #send(): Promise<void> {
    if (this.#sending !== undefined || this.#retry !== undefined) return this.#sending ?? Promise.resolve();
    if (!this.#hasMore) return Promise.resolve();
    this.#sending = this.#drain().finally(() => {
      this.#sending = undefined;
      // After a failure nothing is left but `fresh`, and the next try is due later, or never.
      if (this.#queue.length > 0 || this.#catchUp.length > 0) void this.#send();
      else clearTimeout(this.#hold);
    });
    return this.#sending;
  }

  get #hasMore(): boolean {
    return this.#queue.length > 0 || this.#catchUp.length > 0 || this.#fresh || this.#lost;
  }

  /** Posts until nothing is left, or the relay does not answer. */
  async #drain(): Promise<void> {
    while (this.#hasMore) {
      const body = this.#nextBody();
      if (body === '') continue;
      const status = await this.#wire.post(this.#url(), this.#target.token, body).catch(() => undefined);
      if (status === 200) {
        // Not before it has taken everything: one that refuses every second piece is not asked without a pause.
        if (this.#catchUp.length === 0) this.#pauseMs = PAUSE_LEAST_MS;
        this.#listen();
        continue;
      }
      this.#fresh = true;
      this.#catchUp = [];
      this.#forgetQueue();
      // A source that the relay has forgotten is introduced again at once.
      if (status === 404 && this.#pauseMs === PAUSE_LEAST_MS && !this.#closed) {
        this.#pauseMs *= 2;
        continue;
      }
      this.#later();
      return;
    }
  }

  /** Everything there is to tell now, as messages: they do not change, and what comes later comes after them. */
  #begin(): void {
    this.#fresh = false;
    this.#lost = false;
    const queue = this.#queue.filter((line) => line.startsWith('{"type":"bye"') || line.startsWith('{"type":"answer"'));
    this.#queue = queue;
    this.#queued = queue.reduce((sum, line) => sum + line.length + 1, 0);
    // Backwards: taken from the end.
    this.#catchUp = [this.#hello(), ...this.#inspector.everything()].toReversed();
  }

  #nextBody(): string {
    if (this.#fresh || (this.#lost && this.#catchUp.length === 0)) this.#begin();
    const lines: string[] = [];
    for (let size = 0; size < BODY_MOST; ) {
      const line = this.#nextLine();
      if (line === undefined) break;
      lines.push(line);
      size += line.length + 1;
    }
    return lines.join('\n');
  }

  #nextLine(): string | undefined {
    for (let message = this.#catchUp.pop(); message !== undefined; message = this.#catchUp.pop()) {
      const text = this.#textOf(message);
      if (text !== undefined) return text;
    }
    // What is in the queue now, such as the good-bye, comes after the next catch-up.
    const line = this.#lost ? undefined : this.#queue.shift();
    if (line !== undefined) this.#queued -= line.length + 1;
    return line;
  }

  #hello(): SourceLine {
    const { process, document } = globalThis as { readonly process?: { readonly pid?: number; readonly argv?: readonly string[]; readonly getBuiltinModule?: (name: string) => unknown }; readonly document?: { readonly title?: string } };
    const os = process?.getBuiltinModule?.('node:os') as { readonly hostname?: () => string } | undefined;
    const title = this.#title ?? (document === undefined ? process?.argv?.[1]?.split(/[\\/]/).at(-1) : document.title);
    return {
      type: 'hello', version: STREAM_VERSION, kind: document === undefined && process?.pid !== undefined ? 'node' : 'browser', fresh: true, dropped: this.#dropped,
      ...(os?.hostname === undefined ? {} : { host: os.hostname() }), ...(process?.pid === undefined ? {} : { pid: process.pid }), ...(title === undefined || title === '' ? {} : { title: title.slice(0, 200) }),
    };
  }

  #later(): void {
    if (this.#closed) return;
    const pause = this.#pauseMs * (0.75 + Math.random() / 2);
    this.#pauseMs = Math.min(PAUSE_MOST_MS, this.#pauseMs * 2);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      void this.#send();
    }, pause);
    (this.#retry as { readonly unref?: () => void }).unref?.();
  }

  #listen(): void {
    if (this.#stopListening !== undefined || this.#closed) return;
    this.#stopListening = this.#wire.listen(this.#url(), this.#target.token, (line) => this.#command(line), () => {
      this.#stopListening = undefined;
      // Gone, or a new one that does not know this source: introduced again, with everything.
      if (this.#closed) return;
      this.#fresh = true;
      if (this.#sending === undefined && this.#retry === undefined) this.#later();
    });
  }

  #command(line: string): void {
    if (this.#closed) return;
    // Whatever a relay says: this runs in the handler of a stream, where a throw would end the process.
    try {
      const given = JSON.parse(line) as Partial<Extract<SourceCommand, { readonly id: string }>> | null;
      if (typeof given !== 'object' || given === null) return;
      if ('resend' in given) this.#fresh = true;
      else if (typeof given.id === 'string' && typeof given.session === 'string') this.#add([{ type: 'answer', id: given.id, answer: given.command === undefined ? refusal('there is no command') : this.#inspector.ask(given.session, given.command) }]);
      void this.#send();
    } catch {
      // Nobody understands it.
    }
  }

  #url(): URL {
    return new URL(`${paths.source}${this.#id}`, this.#target.base);
  }
}

const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyz';

/** Unique among the processes that one relay may ever see. */
function newSourceId(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => LETTERS[byte % LETTERS.length]).join('');
}
