/**
 * What is known of a run while one watches it: a few counters per row of the task tree, made from run events.
 *
 * Owns: the counters and the states that follow from them. Does not own: rows (tree-layout.ts), their text
 * (tree-lines.ts, plain.ts), the time (every event and every question carries it).
 *
 * Invariants
 * 1. Pure: the same events give the same model. An event costs the same however large the graph is.
 * 2. Nothing is kept per execution, so a fan-out of any size takes the memory of one row.
 * 3. An execution is `running`, `waiting` for its next attempt, `done` or `failed`; iterations of one execution count once.
 */
import { isTaskchartError } from '../core/errors.ts';
import type { Graph, NodeId } from '../core/graph.ts';
import type { RunEvent, TaskPlace } from '../runtime/observer.ts';
import type { WaitingFor } from '../runtime/status.ts';
import { addUnknown, layOut, type Layout, type Row } from './tree-layout.ts';
import { oneLine } from './text.ts';

export type RowState = 'pending' | 'running' | 'waiting' | 'done' | 'failed' | 'stopped' | 'skipped';

/** `stopped`: it was left as it is while something of it was under way; it can be resumed. */
export type RunState = 'starting' | 'running' | 'waiting' | 'paused' | 'stopped' | 'completed' | 'failed' | 'cancelled';

const ends: ReadonlySet<RunState> = new Set(['completed', 'failed', 'cancelled']);

/** What happened to the executions of one row. */
export interface Tally {
  running: number;
  /** Failed, and tried again later. */
  waiting: number;
  done: number;
  failed: number;
  /** Members of a fan-out, as far as they are known. */
  size: number;
  /** Executions, without their further iterations and attempts. */
  begun: number;
  /** Of the latest execution. */
  attempt: number;
  iteration: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
  progress: { readonly done: number; readonly total?: number | undefined; readonly note?: string | undefined } | undefined;
  /** The latest failure, in one line, also where it was tried again. */
  error: string | undefined;
  /** The latest failure for good. */
  lost: string | undefined;
  /** For a wait, a sleep or a retry: since when, or until when. */
  parked: { readonly since?: number; readonly dueAt?: number } | undefined;
}

const untouched: Readonly<Tally> = Object.freeze(emptyTally());

/** Events that are not listed change nothing here. */
const runStates: Readonly<Record<string, RunState>> = {
  'run.started': 'running', 'run.resumed': 'running', 'run.waiting': 'waiting', 'run.paused': 'paused', 'run.completed': 'completed', 'run.failed': 'failed', 'run.cancelled': 'cancelled',
};

type PlacedEvent = Extract<RunEvent, TaskPlace>;

export class TreeModel {
  readonly workflow: string;
  readonly layout: Layout;
  readonly #tallies = new Map<Row, Tally>();
  readonly #parked = new Set<Row>();
  state: RunState = 'starting';
  startedAt: number | undefined;
  /** When the run ended, or this process left it as it is. */
  endedAt: number | undefined;
  /** Executions that have ended well or for good, over all rows. */
  done = 0;
  failed = 0;

  constructor(workflow: string, graph?: Graph) {
    this.workflow = workflow;
    this.layout = graph === undefined ? { rows: [], pauses: [], rowOf: new Map(), opens: new Map() } : layOut(graph);
  }

  get ended(): boolean {
    return ends.has(this.state);
  }

  /** Nothing is under way any more: it has ended, or was stopped. */
  get over(): boolean {
    return this.ended || this.state === 'stopped';
  }

  /** This process has left the run, which has not ended: it waits, is paused, or was stopped. */
  get left(): boolean {
    return this.endedAt !== undefined && !this.ended;
  }

  /** Takes an event in; returns the row that it changed. */
  see(event: RunEvent): Row | undefined {
    if (this.startedAt === undefined) this.#begin(event.at);
    if ('task' in event) return this.#seeTask(event);
    if (event.type === 'run.failed' && isTaskchartError(event.error) && event.error.code === 'run/stopped') return this.#leave(event.at);
    const state = runStates[event.type];
    if (state !== undefined) this.state = state;
    if (this.ended) this.endedAt = event.at;
    return undefined;
  }

  /** Takes in what the run waits for (`run.status().waitsFor`): waits and sleeps make no events. */
  waitsFor(list: readonly WaitingFor[]): void {
    const before = new Set(this.#parked);
    this.#parked.clear();
    for (const one of list) {
      const row = this.#rowWaiting(one);
      if (row === undefined) continue;
      this.#open(row).parked = one.kind === 'signal' ? { since: one.since } : 'dueAt' in one ? { dueAt: one.dueAt } : undefined;
      this.#parked.add(row);
    }
    for (const row of before) {
      if (this.#parked.has(row)) continue;
      const tally = this.#open(row);
      tally.parked = undefined;
      if (isPause(row)) tally.done = 1;
    }
  }

  /** The counters of a row; all zero where nothing has happened. */
  tally(row: Row): Readonly<Tally> {
    return this.#tallies.get(row) ?? untouched;
  }

  /** True once anything happened to the row. */
  used(row: Row): boolean {
    return this.#tallies.has(row);
  }

  /** How many executions the row will have, if that is known. */
  sizeOf(row: Row): number | undefined {
    const sized = row.kind === 'each' ? row : row.sizedBy;
    const size = sized === undefined ? 0 : this.tally(sized).size;
    return size === 0 ? undefined : size;
  }

  /** The state of a row by its own counters. Groups take theirs from their children (tree-lines.ts). */
  stateOf(row: Row): RowState {
    const tally = this.#tallies.get(row);
    if (tally === undefined) return this.ended ? 'skipped' : 'pending';
    if (tally.running > 0 || tally.waiting > 0 || tally.parked !== undefined) {
      if (this.over) return 'stopped';
      return tally.running > 0 ? 'running' : 'waiting';
    }
    if (!row.counted) return tally.failed > 0 && tally.error !== undefined ? 'failed' : tally.done > 0 ? 'done' : this.ended ? 'skipped' : 'pending';
    return this.#stateOfMany(row, tally);
  }

  #stateOfMany(row: Row, { begun, done, failed }: Tally): RowState {
    const size = this.sizeOf(row);
    const open = size !== undefined && done + failed < size;
    if (open && !this.over) return 'running';
    if (failed > 0 && !row.tolerant && row.sizedBy?.tolerant !== true && !row.recovers) return 'failed';
    if (open && this.state !== 'completed') return 'stopped';
    return begun > 0 || done > 0 ? 'done' : this.ended ? 'skipped' : 'pending';
  }

  /** Nothing has failed: a run that waits still does, in its store. */
  #leave(at: number): undefined {
    if (this.state !== 'waiting' && this.state !== 'paused') this.state = 'stopped';
    this.endedAt = at;
  }

  #begin(at: number): void {
    this.startedAt = at;
    if (this.state === 'starting') this.state = 'running';
  }

  #seeTask(event: PlacedEvent): Row | undefined {
    if (event.type === 'task.log') return undefined;
    const row = this.layout.rowOf.get(event.task) ?? addUnknown(this.layout, event.task);
    const tally = this.#open(row);
    switch (event.type) {
      case 'task.started':
        this.#started(row, tally, event);
        break;
      case 'task.progress':
        tally.progress = { done: event.done, total: event.total, note: event.note };
        break;
      case 'task.completed':
        this.#over(tally, event.at);
        this.#completed(row, tally, event.task, 1);
        if (!row.counted) tally.error = undefined;
        break;
      case 'task.failed':
        this.#over(tally, event.at);
        this.#failed(row, tally, event);
    }
    return row;
  }

  #started(row: Row, tally: Tally, event: TaskPlace & { readonly at: number }): void {
    if (tally.running === 0 && tally.waiting === 0 && !row.counted && event.iteration === 0) tally.startedAt = event.at;
    tally.startedAt ??= event.at;
    tally.running += 1;
    tally.attempt = event.attempt;
    tally.iteration = event.iteration;
    tally.progress = undefined;
    tally.parked = undefined;
    if (event.attempt > 1) tally.waiting = Math.max(0, tally.waiting - 1);
    else if (event.iteration > 0) this.#completed(row, tally, event.task, -1);
    else {
      tally.begun += 1;
      this.#opened(event);
      for (let at: Row | undefined = row; at !== undefined; at = at.parent) this.#closeBefore(at);
    }
  }

  #over(tally: Tally, at: number): void {
    tally.running = Math.max(0, tally.running - 1);
    tally.endedAt = at;
    tally.progress = undefined;
  }

  /** The first task of the first item tells the size of a fan-out; a `+` behind the last `.` of its key means that the execution is a later one. */
  #opened(event: TaskPlace): void {
    if (event.group?.index !== 0 || event.key.includes('+', event.key.lastIndexOf('.'))) return;
    const fanOut = this.layout.opens.get(event.task);
    if (fanOut !== undefined) this.#open(fanOut).size += event.group.size;
  }

  /** An iteration makes the completion before it undone. A fan-out is as far as the last task of its body. */
  #completed(row: Row, tally: Tally, task: NodeId, by: 1 | -1): void {
    this.done = Math.max(0, this.done + by);
    tally.done = Math.max(0, tally.done + by);
    const fanOut = row.sizedBy;
    if (fanOut?.body?.last === task) this.#open(fanOut).done = tally.done;
  }

  #failed(row: Row, tally: Tally, event: Extract<PlacedEvent, { type: 'task.failed' }>): void {
    tally.error = oneLine(event.error.message.slice(0, 300)).slice(0, 200);
    if (!event.final) {
      tally.waiting += 1;
      return;
    }
    tally.lost = tally.error;
    tally.failed += 1;
    this.failed += 1;
    if (row.sizedBy !== undefined && !row.recovers) this.#open(row.sizedBy).failed += 1;
  }

  /** What stands right before a row that begins is over: a pause has ended, and what still ran in a group has been aborted. */
  #closeBefore(begun: Row): void {
    if (begun.parent?.counted === true) return;
    for (let over = begun.before; over !== undefined; over = isPause(over) ? over.before : undefined) {
      if (isPause(over)) this.#open(over).done = 1;
      else this.#stop(over);
    }
  }

  #stop(group: Row): void {
    const { rows } = this.layout;
    if (group.kind === 'group') this.#open(group).done = 1;
    for (let at = group.index; at < rows.length; at += 1) {
      const row = rows[at] as Row;
      if (at > group.index && row.depth <= group.depth) break;
      const tally = this.#tallies.get(row);
      if (tally !== undefined) tally.running = tally.waiting = 0;
    }
  }

  #open(row: Row): Tally {
    let tally = this.#tallies.get(row);
    if (tally === undefined) this.#tallies.set(row, (tally = emptyTally()));
    return tally;
  }

  #rowWaiting(one: WaitingFor): Row | undefined {
    if (one.kind === 'signal') return this.layout.pauses.find((row) => row.signal === one.name);
    if (one.kind === 'sleep') return this.layout.pauses.find((row) => row.id === one.task);
    return one.kind === 'retry' ? this.layout.rowOf.get(one.task) : undefined;
  }
}

function isPause(row: Row): boolean {
  return row.kind === 'wait' || row.kind === 'sleep';
}

function emptyTally(): Tally {
  return {
    running: 0, waiting: 0, done: 0, failed: 0, size: 0, begun: 0, attempt: 0, iteration: 0,
    startedAt: undefined, endedAt: undefined, progress: undefined, error: undefined, lost: undefined, parked: undefined,
  };
}
