/**
 * What a relay tells every viewer, as the terminal reads it: sources, systems and runs.
 *
 * Owns: the newest of each, and rates over the last seconds. Does not own: how they are shown (top.ts).
 *
 * Invariants
 * 1. Pure but for `follow`: the time comes with every message and every question.
 * 2. What the relay has forgotten is forgotten here.
 */
import type { RunMessage, SourceMessage, SystemMessage, ViewerMessage } from '../inspect/messages.ts';
import { paths } from '../inspect/protocol.ts';
import { platformWire } from '../inspect/wire.ts';

/** A run, and how fast it goes. */
export interface SeenRun {
  readonly run: RunMessage;
  /** Executions that have ended per second, lately. */
  readonly rate: number;
}

/** How long a rate looks back. */
const WINDOW_MS = 3000;

export class RelayStream {
  readonly sources = new Map<string, SourceMessage>();
  readonly systems = new Map<string, SystemMessage>();
  readonly #runs = new Map<string, RunMessage>();
  readonly #counts = new Map<string, { readonly at: number; readonly count: number }[]>();
  /** Everything that was known when the connection was made has come. */
  live = false;

  take(message: ViewerMessage, now: number): void {
    switch (message.type) {
      case '@taskchart.source':
        this.sources.set(message.sessionId, message);
        break;
      case '@taskchart.system':
        this.systems.set(message.rootId, message);
        if (typeof message.facts['served'] === 'number') this.#count(message.rootId, message.facts['served'], now);
        break;
      case '@taskchart.run':
        this.#runs.set(message.sessionId, message);
        this.#count(message.sessionId, message.counts.done + message.counts.failed, now);
        break;
      case '@taskchart.gone':
        this.#forget(message.rootId);
        break;
      case '@taskchart.live':
        this.live = true;
        break;
      default:
    }
  }

  /** Those that are under way first, newest first. */
  runs(now: number): SeenRun[] {
    const over = ({ state }: RunMessage): number => (state === 'completed' || state === 'failed' || state === 'cancelled' || state === 'stopped' ? 1 : 0);
    const list = [...this.#runs.values()].map((run) => ({ run, rate: over(run) === 1 ? 0 : this.rate(run.sessionId, now) }));
    return list.toSorted((a, b) => over(a.run) - over(b.run) || (b.run.startedAt ?? 0) - (a.run.startedAt ?? 0));
  }

  /** Per second. */
  rate(id: string, now: number): number {
    const counts = this.#counts.get(id) ?? [];
    const [first] = counts;
    const last = counts.at(-1);
    if (first === undefined || last === undefined || now - last.at > WINDOW_MS) return 0;
    return ((last.count - first.count) * 1000) / Math.max(1000, now - first.at);
  }

  #count(id: string, count: number, at: number): void {
    const counts = this.#counts.get(id) ?? [];
    counts.push({ at, count });
    while (counts.length > 2 && at - (counts[0]?.at ?? 0) > WINDOW_MS) counts.shift();
    this.#counts.set(id, counts);
  }

  #forget(rootId: string): void {
    const system = this.systems.get(rootId);
    this.systems.delete(rootId);
    for (const id of [rootId, ...(system?.runs ?? [])]) {
      this.#runs.delete(id);
      this.#counts.delete(id);
    }
  }
}

/** Reads the stream of the relay at this address into `stream`. `ended` is told once, with the status of a refusal. */
export function follow(address: URL, stream: RelayStream, changed: () => void, ended: (status: number | undefined) => void): () => void {
  const token = address.searchParams.get('token') ?? '';
  const line = (text: string): void => {
    if (!text.startsWith('data: ')) return;
    try {
      for (const message of JSON.parse(text.slice('data: '.length)) as ViewerMessage[]) stream.take(message, Date.now());
    } catch {
      return;
    }
    changed();
  };
  return platformWire().listen(new URL(paths.stream, address), token, line, ended);
}
