/**
 * What one actor system has told so far, as far as there is room: for viewers that look back.
 *
 * Owns: the frames, and the picture before the first of them. Invariant: folding `lines()` gives the picture of now; what is too old
 * is folded into the beginning.
 */
import { SystemPicture } from '../fold.ts';
import type { InspectorMessage, ViewerMessage } from '../messages.ts';

const CHARACTERS_MOST = 1_500_000;

export class History {
  #before: SystemPicture;
  readonly #rootId: string;
  /** JSON texts of messages, by frame. */
  #frames: (readonly string[])[] = [];
  #first = 0;
  characters = 0;

  constructor(rootId: string) {
    this.#rootId = rootId;
    this.#before = new SystemPicture(rootId);
  }

  add(frame: readonly string[]): void {
    this.#frames.push(frame);
    this.characters += sizeOf(frame);
    this.shrinkTo(CHARACTERS_MOST);
  }

  shrinkTo(most: number): void {
    while (this.characters > most && this.#first < this.#frames.length) {
      const frame = this.#frames[this.#first] as readonly string[];
      this.#frames[this.#first] = [];
      this.#first += 1;
      this.characters -= sizeOf(frame);
      for (const text of frame) this.#fold(JSON.parse(text) as ViewerMessage);
    }
    if (this.#first < 1000 || this.#first < this.#frames.length / 2) return;
    this.#frames = this.#frames.slice(this.#first);
    this.#first = 0;
  }

  /** JSON lines, oldest first; each is an array of messages. `reset` is the message with which it begins. */
  *lines(reset: string): Generator<string> {
    yield `[${[reset, ...this.#before.messages().map((message) => JSON.stringify(message))].join(',')}]\n`;
    for (let at = this.#first; at < this.#frames.length; at += 1) yield `[${(this.#frames[at] as readonly string[]).join(',')}]\n`;
  }

  #fold(message: ViewerMessage): void {
    if (message.type === '@taskchart.reset') this.#before = new SystemPicture(this.#rootId);
    else this.#before.take(message as InspectorMessage);
  }
}

function sizeOf(frame: readonly string[]): number {
  let size = 0;
  for (const text of frame) size += text.length;
  return size;
}
