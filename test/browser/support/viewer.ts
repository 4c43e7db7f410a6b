/** A viewer of a relay without a page: reads the stream, sends commands. */
import type { Command, CommandAnswer } from '../../../src/inspect/protocol.ts';
import type { ViewerMessage } from '../../../src/inspect/messages.ts';

export class Viewer {
  readonly #address: URL;

  /** `address`: what the relay has printed, with its token. */
  constructor(address: string) {
    this.#address = new URL(address);
  }

  /** Everything about all runs, as it comes. Leaving the loop ends the request. */
  async *messages(): AsyncGenerator<ViewerMessage> {
    const response = await fetch(this.#path('/api/stream', { root: '*' }));
    if (response.body === null || response.status !== 200) throw new Error(`the relay answered ${response.status}`);
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of response.body) {
      const parts = (text + decoder.decode(chunk, { stream: true })).split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) if (part.startsWith('data: ')) yield* JSON.parse(part.slice('data: '.length)) as ViewerMessage[];
    }
  }

  async command(session: string, command: Command): Promise<CommandAnswer> {
    const response = await fetch(this.#path('/api/command'), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ session, command }) });
    return (await response.json()) as CommandAnswer;
  }

  /** Reads until a run waits for the signal; gives the run's session and all that was read. */
  async untilWaitingFor(signal: string): Promise<{ session: string; seen: ViewerMessage[] }> {
    const seen: ViewerMessage[] = [];
    for await (const message of this.messages()) {
      seen.push(message);
      if (message.type === '@taskchart.status' && message.waitsFor.first.some((one) => one.kind === 'signal' && one.signal === signal)) return { session: message.sessionId, seen };
    }
    throw new Error('the stream has ended');
  }

  #path(path: string, parameters: Record<string, string> = {}): URL {
    const url = new URL(path, this.#address);
    url.search = String(new URLSearchParams({ ...Object.fromEntries(this.#address.searchParams), ...parameters }));
    return url;
  }
}
