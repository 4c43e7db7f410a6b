/**
 * What the tasks of a unit say while they run, as hints to their run: at most a few per second, the newest first to stay.
 *
 * Invariants
 * 1. Nothing is published where nothing is said, and at most one progress and three log lines per second and unit.
 * 2. A note is always JSON, and short: what cannot travel is shown as text.
 */
import { preview, toJson, type Json } from '../../core/json.ts';
import { encodeHint } from '../../core/messages.ts';
import type { Clock, Signals, TaskNote } from '../../ports.ts';

const EVERY_MS = 1000;
const MOST_LOGS = 3;
const MOST_CHARS = 4000;

export class UnitNotes {
  readonly #signals: Signals;
  readonly #clock: Clock;
  readonly #run: string;
  readonly #id: string;
  #progress: string | undefined;
  #logs: string[] = [];
  #cancel: (() => void) | undefined;

  constructor(signals: Signals, clock: Clock, run: string, id: string) {
    this.#signals = signals;
    this.#clock = clock;
    this.#run = run;
    this.#id = id;
  }

  say(index: number, task: string, note: TaskNote): void {
    const text = encodeHint({ kind: 'note', run: this.#run, id: this.#id, index, note: plain(task, note) });
    if (note.kind === 'progress') this.#progress = text;
    else {
      this.#logs.push(text);
      if (this.#logs.length > MOST_LOGS) this.#logs.shift();
    }
    if (this.#cancel === undefined) this.#tell();
  }

  /** The unit has ended: what is left is said now. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#publish();
  }

  /** Says what there is, and then nothing for a while. */
  #tell(): void {
    this.#cancel = this.#clock.after(EVERY_MS, () => {
      this.#cancel = undefined;
      if (this.#progress !== undefined || this.#logs.length > 0) this.#tell();
    }, true);
    this.#publish();
  }

  #publish(): void {
    const texts = [...this.#logs, ...(this.#progress === undefined ? [] : [this.#progress])];
    this.#logs = [];
    this.#progress = undefined;
    for (const text of texts) this.#signals.publish(text);
  }
}

function plain(task: string, note: TaskNote): Json {
  if (note.kind === 'progress') {
    const { done, total, note: text } = note;
    return { kind: 'progress', task, done: Number(done), ...(total === undefined ? {} : { total: Number(total) }), ...(text === undefined ? {} : { note: String(text).slice(0, MOST_CHARS) }) };
  }
  return { kind: 'log', task, level: note.level, message: note.message.slice(0, MOST_CHARS), ...(note.data === undefined ? {} : { data: shown(note.data) }) };
}

function shown(data: unknown): Json {
  try {
    return toJson(data, 'data', { maxChars: MOST_CHARS }) ?? null;
  } catch {
    return preview(data);
  }
}
