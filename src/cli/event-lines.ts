/** `--watch --json`: every run event as one line of JSON, written once per frame. For programs. */
import { cut, preview } from '../core/preview.ts';
import type { RunEvent } from '../runtime/observer.ts';
import { failureJson } from './failure.ts';
import type { Output, View } from './view.ts';

export class EventLines implements View {
  readonly #out: Output;
  #lines: string[] = [];

  constructor(out: Output) {
    this.#out = out;
  }

  see(event: RunEvent): void {
    this.#lines.push(`${eventLine(event)}\n`);
  }

  frame(): void {
    if (this.#lines.length === 0) return;
    this.#out.write(this.#lines.join(''));
    this.#lines = [];
  }

  release(): void {}

  print(text: string): void {
    this.#lines.push(text);
  }

  end(): void {
    this.frame();
  }
}

function eventLine(event: RunEvent): string {
  if ('error' in event) return JSON.stringify({ ...event, error: failureJson(event.error) });
  if (event.type === 'task.log') return JSON.stringify({ ...event, message: cut(event.message, 1000), ...(event.data === undefined ? {} : { data: preview(event.data) }) });
  if (event.type === 'task.progress' && event.note !== undefined) return JSON.stringify({ ...event, note: cut(String(event.note), 200) });
  return JSON.stringify(event);
}
