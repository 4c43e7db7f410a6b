/**
 * A run as plain lines: for logs, pipes and terminals that cannot redraw.
 *
 * Owns: which changes deserve a line, and how often. Does not own: counters (tree-model.ts).
 *
 * Invariants
 * 1. One write per frame, of at most LINES_PER_FRAME lines about rows, as many again for failures, and one that counts the rest.
 * 2. A row says something at most once per QUIET_MS, except that it has ended. What it says is its newest state.
 * 3. A fan-out is one row: its lines are counts.
 */
import { preview } from '../core/preview.ts';
import type { RunEvent } from '../runtime/observer.ts';
import type { WaitingFor } from '../runtime/status.ts';
import type { Row } from './tree-layout.ts';
import type { RowState, TreeModel } from './tree-model.ts';
import { countsText, progressText } from './tree-lines.ts';
import { duration, grouped, oneLine } from './text.ts';
import type { Output, View } from './view.ts';

const QUIET_MS = 1000;
const LINES_PER_FRAME = 25;
const LOGS_PER_FRAME = 100;

interface Said {
  readonly at: number;
  readonly text: string;
}

export class PlainReport implements View {
  readonly #model: TreeModel;
  readonly #out: Output;
  readonly #waitsFor: () => readonly WaitingFor[];
  readonly #changed = new Set<Row>();
  readonly #said = new Map<Row, Said>();
  readonly #waits = new Set<string>();
  #lines: string[] = [];
  #logs = 0;
  #announced = false;
  #waiting = false;
  #ended = false;

  constructor(model: TreeModel, out: Output, waitsFor: () => readonly WaitingFor[] = () => []) {
    this.#model = model;
    this.#out = out;
    this.#waitsFor = waitsFor;
  }

  see(event: RunEvent): void {
    if (event.type === 'task.log') {
      this.#logs += 1;
      if (this.#logs <= LOGS_PER_FRAME) this.#lines.push(`${logLine(event)}\n`);
      return;
    }
    const row = this.#model.see(event);
    if (row !== undefined) this.#changed.add(row);
    else if (event.type === 'run.waiting') this.#waiting = true;
    else if (event.type === 'run.paused') this.#lines.push(`${this.#model.workflow}: paused\n`);
  }

  release(): void {}

  print(text: string): void {
    this.#lines.push(text);
  }

  frame(now: number): void {
    this.#gather(now, false);
    this.#flush();
  }

  end(now: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#gather(now, true);
    const { startedAt, endedAt, done, failed, workflow } = this.#model;
    if (startedAt !== undefined) {
      const took = duration((endedAt ?? now) - startedAt);
      this.#lines.push(`${workflow}: ${endingText(this.#model)} ${took}, ${grouped(done)} done${failed > 0 ? `, ${grouped(failed)} failed` : ''}\n`);
    }
    this.#flush();
  }

  #gather(now: number, last: boolean): void {
    if (!this.#announced && this.#model.startedAt !== undefined) {
      this.#announced = true;
      this.#lines.unshift(`${this.#model.workflow}: started\n`);
    }
    if (this.#logs > LOGS_PER_FRAME) this.#lines.push(`… and ${grouped(this.#logs - LOGS_PER_FRAME)} more log lines\n`);
    this.#logs = 0;
    let room = LINES_PER_FRAME;
    const left = new Map<RowState, number>();
    for (const row of this.#changed) {
      const state = this.#model.stateOf(row);
      const said = this.#said.get(row);
      const text = room > 0 || state === 'failed' ? this.#textOf(row, state) : '';
      if (said !== undefined && !last && now - said.at < QUIET_MS && !isEnd(said.text, state)) continue;
      this.#changed.delete(row);
      if (text === said?.text) continue;
      if (room > 0 || (state === 'failed' && room > -LINES_PER_FRAME)) {
        room -= 1;
        this.#said.set(row, { at: now, text });
        this.#lines.push(`${row.label}: ${text}\n`);
      } else left.set(state, (left.get(state) ?? 0) + 1);
    }
    if (left.size > 0) this.#lines.push(`… and ${[...left].map(([state, count]) => `${grouped(count)} more ${state}`).join(', ')}\n`);
    if (this.#waiting) this.#sayWaits(now);
    this.#waiting = false;
  }

  #textOf(row: Row, state: RowState): string {
    const tally = this.#model.tally(row);
    const took = tally.startedAt === undefined || tally.endedAt === undefined ? '' : ` in ${duration(tally.endedAt - tally.startedAt)}`;
    if (row.counted) {
      const failure = tally.failed > 0 && tally.lost !== undefined ? ` (${tally.lost})` : '';
      return `${countsText(tally, this.#model.sizeOf(row))}${failure}${state === 'done' || state === 'failed' ? took : ''}`;
    }
    const times = tally.begun > 1 ? ` (${grouped(tally.begun)} times)` : tally.iteration > 0 ? ` (iteration ${tally.iteration})` : '';
    if (state === 'done') return `done${took}${times}`;
    if (state === 'failed') return `failed${took}${tally.attempt > 1 ? `, ${tally.attempt} attempts` : ''}: ${tally.error ?? ''}`;
    if (tally.waiting > 0) return `attempt ${tally.attempt} failed, tries again: ${tally.error ?? ''}`;
    if (tally.progress !== undefined) return progressText(tally.progress);
    if (state === 'stopped') return 'stopped';
    return `started${tally.attempt > 1 ? ` (attempt ${tally.attempt})` : ''}${times}`;
  }

  #sayWaits(at: number): void {
    for (const one of this.#waitsFor()) {
      const text = one.kind === 'signal' ? `waits for the signal ${one.name}` : one.kind === 'sleep' ? `sleeps for ${duration(one.dueAt - at)} (${one.task})` : undefined;
      if (text === undefined || this.#waits.has(text)) continue;
      this.#waits.add(text);
      this.#lines.push(`${this.#model.workflow}: ${text}\n`);
    }
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    this.#out.write(this.#lines.join(''));
    this.#lines = [];
  }
}

/** How the view ends, up to the time that it took. */
function endingText({ state, endedAt }: TreeModel): string {
  if (endedAt === undefined) return 'has not ended after';
  if (state === 'waiting') return 'waits, after';
  if (state === 'paused') return 'is paused, after';
  return state === 'completed' ? 'completed in' : `${state} after`;
}

/** The row has ended, and did not just say so: a loop ends many times. */
function isEnd(said: string, state: RowState): boolean {
  return (state === 'done' && !said.startsWith('done')) || (state === 'failed' && !said.startsWith('failed'));
}

/** `task warn: message data`, in one line of bounded length. */
export function logLine(event: Extract<RunEvent, { type: 'task.log' }>): string {
  const data = event.data === undefined ? '' : ` ${preview(event.data)}`;
  return `${event.task}${event.level === 'info' ? '' : ` ${event.level}`}: ${oneLine(`${event.message.slice(0, 1000)}${data}`)}`;
}
