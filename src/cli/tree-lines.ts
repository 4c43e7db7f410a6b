/**
 * The task tree as lines of text.
 *
 * Owns: which rows are shown where there are more than fit, and what a line says. Does not own: counters (tree-model.ts),
 * the terminal (tree.ts).
 *
 * Invariants
 * 1. Pure: the same model and view give the same lines.
 * 2. Never more lines than the view has, and no line wider than its columns.
 * 3. What is running is shown before what is done or to come; what is left out is counted.
 */
import type { Row } from './tree-layout.ts';
import type { RowState, Tally, TreeModel } from './tree-model.ts';
import { columnsOf, duration, fit, grouped, oneLine, pad } from './text.ts';

export type Tone = RowState | 'quiet';

export interface View {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly columns: number;
  readonly lines: number;
  /** Colours a piece of text; the default leaves it as it is. */
  readonly paint?: (tone: Tone, text: string) => string;
}

const marks: Record<RowState, string> = { pending: '·', running: '▸', waiting: '◦', done: '✔', failed: '✖', stopped: '■', skipped: '–' };
const BAR = 12;
const LABEL_MOST = 36;

interface Shown {
  readonly row: Row;
  readonly state: RowState;
  /** Only of groups: what their tasks are at. */
  readonly sum: Sum | undefined;
}

/** Over the rows of a group. */
interface Sum {
  tasks: number;
  /** Executions, where the others count rows. */
  inFlight: number;
  toRetry: number;
  running: number;
  waiting: number;
  done: number;
  failed: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
}

/** A line about the run, and a line per row. */
export function drawTree(model: TreeModel, view: View): string[] {
  const paint = view.paint ?? ((_tone, text) => text);
  const shown = visibleRows(model);
  const { from, to } = windowOf(shown, Math.max(1, view.lines - 1));
  const lines = [headOf(model, view, paint)];
  if (from > 0) lines.push(paint('quiet', fit(`  … ${countsOf(shown.slice(0, from))}`, view.columns)));
  const inView = shown.slice(from, to);
  const width = Math.min(LABEL_MOST, Math.floor(view.columns / 2), Math.max(0, ...inView.map(({ row }) => 2 * row.depth + columnsOf(row.label))));
  for (const one of inView) lines.push(lineOf(model, one, width, view, paint));
  if (to < shown.length) lines.push(paint('quiet', fit(`  … ${countsOf(shown.slice(to))}`, view.columns)));
  return lines.slice(0, Math.max(1, view.lines));
}

/** `312/400 done, 64 running, 2 failed`: one line about a fan-out, as trees and plain lines both say it. */
export function countsText({ running, waiting, done, failed }: Pick<Tally, 'running' | 'waiting' | 'done' | 'failed'>, size: number | undefined): string {
  const parts = [`${grouped(done)}${size === undefined || (size === done && failed === 0) ? '' : `/${grouped(size)}`} done`];
  if (running > 0) parts.push(`${grouped(running)} running`);
  if (waiting > 0) parts.push(`${grouped(waiting)} to try again`);
  if (failed > 0) parts.push(`${grouped(failed)} failed`);
  return parts.join(', ');
}

/** How far a task says it is, without the bar. */
export function progressText({ done, total, note }: NonNullable<Tally['progress']>): string {
  const parts = [total === undefined ? grouped(done) : `${grouped(done)}/${grouped(total)}`];
  if (note !== undefined && note !== '') parts.push(oneLine(String(note).slice(0, 200)));
  return parts.join(' ');
}

function headOf(model: TreeModel, view: View, paint: NonNullable<View['paint']>): string {
  const { state } = model;
  const tone: RowState = state === 'completed' ? 'done' : state === 'failed' ? 'failed' : state === 'cancelled' || state === 'stopped' ? 'stopped' : state === 'waiting' || state === 'paused' ? 'waiting' : 'running';
  const took = model.startedAt === undefined ? '' : ` ${duration((model.endedAt ?? view.now) - model.startedAt)}`;
  const failed = model.failed > 0 ? `, ${grouped(model.failed)} failed` : '';
  const text = `${model.workflow}  ${state}${took}, ${grouped(model.done)} done${failed}`;
  return `${paint(tone, marks[tone])} ${fit(text, view.columns - 2)}`;
}

/** Rows that are to be seen, with their states; groups know theirs from below, so it goes backwards. */
function visibleRows(model: TreeModel): Shown[] {
  const { rows } = model.layout;
  const sums = new Map<Row, Sum>();
  const shown: Shown[] = [];
  for (let at = rows.length - 1; at >= 0; at -= 1) {
    const row = rows[at] as Row;
    const sum = sums.get(row);
    const state = sum === undefined ? model.stateOf(row) : stateOfGroup(model, row, sum);
    if (row.optional && sum === undefined && !model.used(row)) continue;
    shown.push({ row, state, sum });
    if (row.parent !== undefined) addUp(sums, row.parent, sum ?? sumOf(model, row, state));
  }
  return shown.reverse();
}

function sumOf(model: TreeModel, row: Row, state: RowState): Sum {
  const { startedAt, endedAt, running, waiting } = model.tally(row);
  return {
    tasks: 1,
    inFlight: running,
    toRetry: waiting,
    running: state === 'running' ? 1 : 0,
    waiting: state === 'waiting' ? 1 : 0,
    done: state === 'done' ? 1 : 0,
    failed: state === 'failed' ? 1 : 0,
    startedAt,
    endedAt,
  };
}

function addUp(sums: Map<Row, Sum>, parent: Row, part: Sum): void {
  const sum = sums.get(parent);
  if (sum === undefined) {
    sums.set(parent, { ...part });
    return;
  }
  sum.tasks += part.tasks;
  sum.inFlight += part.inFlight;
  sum.toRetry += part.toRetry;
  sum.running += part.running;
  sum.waiting += part.waiting;
  sum.done += part.done;
  sum.failed += part.failed;
  if (part.startedAt !== undefined) sum.startedAt = Math.min(part.startedAt, sum.startedAt ?? part.startedAt);
  if (part.endedAt !== undefined) sum.endedAt = Math.max(part.endedAt, sum.endedAt ?? part.endedAt);
}

function stateOfGroup(model: TreeModel, row: Row, sum: Sum): RowState {
  const open = sum.running > 0 ? 'running' : sum.waiting > 0 ? 'waiting' : undefined;
  if (open !== undefined) return open;
  if (row.kind === 'each' && row.body?.last !== undefined) return model.stateOf(row);
  if (sum.failed > 0 && !row.tolerant && !row.recovers) return 'failed';
  if (sum.startedAt === undefined) return model.ended ? 'skipped' : 'pending';
  if (sum.done + sum.failed >= sum.tasks || model.tally(row).done > 0 || model.state === 'completed') return 'done';
  return model.over ? 'stopped' : 'running';
}

/** The part that is shown: around what is under way, or around the failure, or the end. */
function windowOf(shown: readonly Shown[], lines: number): { from: number; to: number } {
  if (shown.length <= lines) return { from: 0, to: shown.length };
  const room = Math.max(1, lines - 2);
  const isLeaf = ({ sum }: Shown): boolean => sum === undefined;
  let focus = shown.findIndex((one) => isLeaf(one) && (one.state === 'running' || one.state === 'waiting'));
  if (focus < 0) focus = shown.findIndex((one) => isLeaf(one) && one.state === 'failed');
  if (focus < 0) focus = shown.findLastIndex((one) => one.state === 'done') + 1;
  const from = Math.max(0, Math.min(focus - Math.floor(room / 3), shown.length - room));
  return { from, to: from + room };
}

function countsOf(left: readonly Shown[]): string {
  const counts = new Map<RowState, number>();
  for (const { state, sum } of left) if (sum === undefined) counts.set(state, (counts.get(state) ?? 0) + 1);
  const names: [RowState, string][] = [['done', 'done'], ['running', 'running'], ['waiting', 'waiting'], ['failed', 'failed'], ['stopped', 'stopped'], ['pending', 'to come'], ['skipped', 'not run']];
  return names.flatMap(([state, name]) => (counts.has(state) ? [`${grouped(counts.get(state) ?? 0)} ${name}`] : [])).join(', ');
}

function lineOf(model: TreeModel, one: Shown, width: number, view: View, paint: NonNullable<View['paint']>): string {
  const { row, state, sum } = one;
  const indent = '  '.repeat(Math.min(row.depth, 12));
  const room = view.columns - indent.length - 4;
  if (room < 4) return fit(`${indent}${marks[state]} ${row.label}`, view.columns);
  const label = fit(row.label, Math.min(room, Math.max(4, width - indent.length)));
  const time = timeOf(model, one, view.now);
  const detail = sum === undefined || (row.kind === 'each' && row.body?.last !== undefined) ? detailOf(model, row, state, sum, view.now) : groupText(sum, state);
  if (detail === '' && time === '') return `  ${indent}${paint(state, marks[state])} ${state === 'pending' || state === 'skipped' ? paint('quiet', label) : label}`;
  const padded = pad(label, width - indent.length);
  const rest = room - columnsOf(padded) - 2;
  const clock = columnsOf(time) <= rest ? time : '';
  const said = fit(detail, clock === '' ? rest : rest - columnsOf(clock) - 2);
  const parts = [said === '' || state !== 'failed' ? said : paint('failed', said), clock === '' ? '' : paint('quiet', clock)];
  const line = [padded, ...parts.filter((part) => part !== '')].join('  ');
  return `  ${indent}${paint(state, marks[state])} ${rest <= 0 ? label : line}`;
}

function groupText(sum: Sum, state: RowState): string {
  if (state === 'pending' || state === 'skipped' || sum.tasks < 2) return '';
  return countsText(sum, sum.tasks);
}

function detailOf(model: TreeModel, row: Row, state: RowState, sum: Sum | undefined, now: number): string {
  if (state === 'pending' || state === 'skipped') return '';
  const tally = model.tally(row);
  if (tally.parked !== undefined && tally.running === 0 && !row.counted) return parkedText(row, tally, now);
  if (row.counted) {
    const size = model.sizeOf(row);
    const counts = countsText(sum === undefined ? tally : { ...tally, running: sum.inFlight, waiting: sum.toRetry }, size);
    const failure = tally.failed > 0 && tally.lost !== undefined ? ` (${tally.lost})` : '';
    const open = size !== undefined && (state === 'running' || state === 'waiting');
    return open ? `${bar((tally.done + tally.failed) / size)} ${counts}${failure}` : counts + failure;
  }
  return executionText(tally, state);
}

function executionText(tally: Readonly<Tally>, state: RowState): string {
  const parts: string[] = [];
  if (tally.progress !== undefined) {
    const { done, total } = tally.progress;
    if (total !== undefined && total > 0) parts.push(bar(done / total));
    parts.push(progressText(tally.progress));
  }
  if (state === 'failed') parts.push(tally.error ?? 'failed');
  const also: string[] = [];
  if (tally.attempt > 1) also.push(state === 'running' || state === 'waiting' ? `attempt ${tally.attempt}` : `${tally.attempt} attempts`);
  if (tally.iteration > 0) also.push(`iteration ${tally.iteration}`);
  if (tally.begun > 1) also.push(`${grouped(tally.begun)} times`);
  if (also.length > 0) parts.push(parts.length === 0 ? also.join(', ') : `(${also.join(', ')})`);
  return parts.join(' ');
}

function parkedText(row: Row, tally: Readonly<Tally>, now: number): string {
  const { since, dueAt } = tally.parked ?? {};
  if (since !== undefined) return `waits for the signal ${row.signal ?? ''} since ${duration(now - since)}`;
  const left = `in ${duration(Math.max(0, (dueAt ?? now) - now))}`;
  return row.kind === 'task' ? `attempt ${tally.attempt + 1} ${left}${tally.error === undefined ? '' : `: ${tally.error}`}` : left;
}

function timeOf(model: TreeModel, { row, state, sum }: Shown, now: number): string {
  if (row.kind === 'wait' || row.kind === 'sleep') return '';
  const { startedAt, endedAt } = sum ?? model.tally(row);
  if (startedAt === undefined) return '';
  const until = state === 'running' || state === 'waiting' ? now : state === 'stopped' ? (model.endedAt ?? endedAt) : endedAt;
  return until === undefined ? '' : duration(until - startedAt);
}

function bar(share: number): string {
  const full = Math.max(0, Math.min(BAR, Math.floor(share * BAR)));
  return '█'.repeat(full) + '░'.repeat(BAR - full);
}
