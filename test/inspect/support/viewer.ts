/**
 * A viewer of a relay, over real HTTP, and requests as anybody could make them.
 *
 * Owns: reading the stream and folding it. Does not own: the relay.
 */
import { request, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { SystemPicture } from 'taskchart/inspect';
import type { InspectorMessage, LiveMessage, SourceMessage, SystemMessage, ViewerMessage } from '../../../src/inspect/messages.ts';
import { paths, type Command, type CommandAnswer } from '../../../src/inspect/protocol.ts';
import { lineReader } from '../../../src/inspect/wire.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** One request, with exactly these headers. */
export function ask(url: string | URL, { method = 'GET', headers = {}, body }: { readonly method?: string; readonly headers?: OutgoingHttpHeaders; readonly body?: string } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      response.on('error', reject);
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

/** The address of one of the relay's paths, with its token. */
export function at(relay: { readonly url: string }, path: string, query: readonly (readonly [string, string])[] = []): URL {
  const url = new URL(path, relay.url);
  url.search = new URL(relay.url).search;
  for (const [key, value] of query) url.searchParams.append(key, value);
  return url;
}

export async function command(relay: { readonly url: string }, session: string, given: Command): Promise<CommandAnswer> {
  const { text } = await ask(at(relay, paths.command), { method: 'POST', body: JSON.stringify({ session, command: given }) });
  return JSON.parse(text) as CommandAnswer;
}

export class TestViewer {
  readonly messages: ViewerMessage[] = [];
  readonly sources = new Map<string, SourceMessage>();
  readonly facts = new Map<string, SystemMessage>();
  readonly systems = new Map<string, SystemPicture>();
  live: LiveMessage | undefined;
  ended = false;
  #stop: () => void = () => undefined;
  #changed: () => void = () => undefined;
  readonly #waiting = new Set<() => void>();

  /** `roots`: what it watches; `*` is everything. */
  constructor(relay: { readonly url: string }, roots: readonly string[] = ['*']) {
    const read = lineReader((line) => {
      if (line.startsWith('data: ')) for (const message of JSON.parse(line.slice(6)) as ViewerMessage[]) this.#take(message);
      for (const wake of this.#waiting) wake();
    });
    const asking = request(at(relay, paths.stream, roots.map((root) => ['root', root] as const)), { agent: false }, (response) => {
      response.setEncoding('utf8');
      response.on('data', read);
      response.on('error', () => undefined);
      response.on('close', () => {
        this.ended = true;
        for (const wake of this.#waiting) wake();
      });
      this.#changed = () => void response.resume();
      this.pause = () => void response.pause();
    });
    asking.on('error', () => (this.ended = true));
    asking.end();
    this.#stop = () => void asking.destroy();
  }

  pause: () => void = () => undefined;

  resume(): void {
    this.#changed();
  }

  close(): void {
    this.#stop();
  }

  /** Resolves when `find` finds something in what is known; looks again whenever something comes. */
  until<T>(find: () => T | undefined | false, what = String(find), ms = 8000): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => (this.#waiting.delete(look), reject(new Error(`never seen: ${what}`))), ms);
      const look = (): void => {
        const found = find();
        if (found === undefined || found === false) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** The run of this workflow, the newest of several. */
  run(workflow: string) {
    const runs = [...this.systems.values()].flatMap(({ runs: inside }) => [...inside.values()]);
    return runs.findLast(({ run }) => run?.workflow === workflow);
  }

  #take(message: ViewerMessage): void {
    this.messages.push(message);
    switch (message.type) {
      case '@taskchart.source':
        this.sources.set(message.sessionId, message);
        break;
      case '@taskchart.system':
        this.facts.set(message.rootId, message);
        break;
      case '@taskchart.live':
        this.live = message;
        break;
      case '@taskchart.reset':
      case '@taskchart.gone':
        this.systems.delete(message.rootId);
        if (message.type === '@taskchart.gone') this.facts.delete(message.rootId);
        break;
      default:
        if (!this.systems.has(message.rootId)) this.systems.set(message.rootId, new SystemPicture(message.rootId));
        this.systems.get(message.rootId)?.take(message as InspectorMessage);
    }
  }
}
