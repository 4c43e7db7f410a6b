/**
 * The live task tree on a terminal.
 *
 * Owns: drawing over the frame before, the cursor, the text that others print meanwhile. Does not own: what is in a
 * frame (tree-lines.ts), when a frame is due (run.ts).
 *
 * Invariants
 * 1. One write per frame, and none where nothing has changed.
 * 2. A frame is never higher than the terminal, so the one before can always be erased.
 * 3. The cursor is hidden from the first frame on until `release` or `end`. After `end` nothing is drawn.
 */
import type { RunEvent } from '../runtime/observer.ts';
import type { WaitingFor } from '../runtime/status.ts';
import { drawTree, type Tone } from './tree-lines.ts';
import type { TreeModel } from './tree-model.ts';
import { logLine } from './plain.ts';
import type { Output, View } from './view.ts';

const HIDE = '\u001b[?25l';
const SHOW = '\u001b[?25h';
const PRINTED_MOST = 500;
const LAST_FRAME_MOST = 60;

const colours: Record<Tone, string> = { pending: '2', running: '36', waiting: '33', done: '32', failed: '31', stopped: '33', skipped: '2', quiet: '2' };

export interface LiveTreeOptions {
  readonly waitsFor?: (() => readonly WaitingFor[]) | undefined;
  readonly colours?: boolean;
}

export class LiveTree implements View {
  readonly #model: TreeModel;
  readonly #out: Output;
  readonly #waitsFor: () => readonly WaitingFor[];
  readonly #paint: (tone: Tone, text: string) => string;
  #printed: string[] = [];
  #dropped = 0;
  #drawn: readonly string[] = [];
  #hidden = false;
  #released = false;
  #ended = false;

  constructor(model: TreeModel, out: Output, options: LiveTreeOptions = {}) {
    this.#model = model;
    this.#out = out;
    this.#waitsFor = options.waitsFor ?? (() => []);
    this.#paint = options.colours === false ? (_tone, text) => text : (tone, text) => (text === '' ? '' : `\u001b[${colours[tone]}m${text}\u001b[0m`);
  }

  see(event: RunEvent): void {
    if (event.type === 'task.log') this.print(`${logLine(event)}\n`);
    else this.#model.see(event);
  }

  print(text: string): void {
    if (this.#ended) this.#out.write(text);
    else if (this.#printed.length < PRINTED_MOST) this.#printed.push(text);
    else this.#dropped += 1;
  }

  frame(now: number): void {
    if (this.#ended) return;
    if (!this.#model.ended) this.#model.waitsFor(this.#waitsFor());
    this.#draw(now, Math.max(2, (this.#out.rows ?? 24) - 1));
  }

  release(): void {
    this.#released = true;
    if (this.#hidden) this.#out.write(SHOW);
    this.#hidden = false;
  }

  end(now: number): void {
    if (this.#ended) return;
    // What it waits for may be newer than the last frame.
    if (this.#model.left) this.#model.waitsFor(this.#waitsFor());
    this.#draw(now, Math.max(this.#drawn.length, Math.min(LAST_FRAME_MOST, (this.#out.rows ?? 24) - 1)));
    this.#ended = true;
    this.release();
  }

  #draw(now: number, height: number): void {
    const columns = Math.max(10, (this.#out.columns ?? 80) - 1);
    const lines = drawTree(this.#model, { now, columns, lines: height, paint: this.#paint });
    const printed = this.#takePrinted();
    if (printed === '' && lines.length === this.#drawn.length && lines.every((line, at) => line === this.#drawn[at])) return;
    const up = this.#drawn.length > 0 ? `\u001b[${this.#drawn.length}A\r` : '';
    const text = printed === '' ? '' : `\u001b[0J${printed}`;
    this.#out.write(`${this.#hidden || this.#released ? '' : HIDE}${up}${text}${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[0J`);
    this.#hidden = !this.#released;
    this.#drawn = lines;
  }

  #takePrinted(): string {
    if (this.#printed.length === 0) return '';
    let text = this.#printed.join('');
    if (this.#dropped > 0) text += `${text.endsWith('\n') ? '' : '\n'}… and ${this.#dropped} more lines\n`;
    this.#printed = [];
    this.#dropped = 0;
    return text.endsWith('\n') ? text : `${text}\n`;
  }
}
