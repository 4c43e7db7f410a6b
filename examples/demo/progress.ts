/**
 * Shows a run of the demo while it goes on: a few lines that are drawn again on a terminal, plain lines elsewhere.
 *
 * Owns: the stages, their times, the drawing. Reads nothing but the events of the run.
 *
 * Invariants
 * 1. A fan-out is one line with a count, whatever its size.
 * 2. At most ten drawings per second, however many events come.
 * 3. Nothing is drawn after `end`.
 */
import type { RunEvent } from 'taskchart';
import { grouped, plain } from './report.ts';

interface Stage {
  readonly name: string;
  /** The tasks it consists of, and the one among them whose completion counts a unit as done. */
  readonly tasks: readonly string[];
  readonly counts: string;
  startedAt?: number;
  endedAt?: number;
  done: number;
  total: number;
}

/** From this size on a group is worth lines of its own while it runs. */
const fanOut = 8;

export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class Progress {
  readonly stages: readonly Stage[] = [
    stage('find packages', ['find'], 'find', 1),
    stage('read and hash', ['manifest', 'unnamed', 'contents'], 'contents', 1),
    stage('collect', ['collect'], 'collect', 1),
    stage('licences, duplicates, sizes', ['licences', 'duplicates', 'sizes'], '', 3),
    stage('write the report', ['write'], 'write', 1),
  ];
  /** Attempts that failed and are tried again. */
  retries = 0;
  private readonly out: Output;
  private lines = 0;
  private drawnAt = 0;
  private quarter = 0;

  constructor(out: Output) {
    this.out = out;
  }

  readonly see = (event: RunEvent): void => {
    if (event.type === 'task.log') return this.note(event.message);
    if (event.type === 'task.progress') return this.size(event.task, event.done);
    if (event.type !== 'task.started' && event.type !== 'task.completed' && event.type !== 'task.failed') return;
    const stage = this.stages.find((one) => one.tasks.includes(event.task));
    if (stage === undefined) return;
    if (event.type === 'task.failed' && !event.final) this.retries++;
    if (stage.startedAt === undefined) this.start(stage, event.at);
    const unit = stage.counts === '' || stage.counts === event.task;
    if ((event.type === 'task.completed' && unit) || (event.type === 'task.failed' && event.final && event.task !== 'manifest')) {
      stage.done++;
      stage.endedAt = event.at;
      this.advance(stage);
    }
    this.draw(event.at);
  };

  /** The last drawing; afterwards the caller owns the output. */
  end(): void {
    this.draw(Infinity);
    this.lines = 0;
  }

  /** What `find` has found is what the next stage has to read. */
  private size(task: string, found: number): void {
    const at = this.stages.findIndex((one) => one.tasks.includes(task));
    const next = this.stages[at + 1];
    if (next !== undefined) next.total = found;
  }

  private start(stage: Stage, at: number): void {
    stage.startedAt = at;
    if (!this.out.isTTY && stage.total >= fanOut) this.out.write(`${stage.name}: ${done(stage)}\n`);
  }

  /** Elsewhere than on a terminal: a line per quarter of a fan-out, and one at the end of each stage. */
  private advance(stage: Stage): void {
    if (this.out.isTTY) return;
    const quarter = stage.total < fanOut ? 0 : Math.floor((4 * stage.done) / stage.total);
    if (stage.done === stage.total) this.out.write(`${stage.name}: ${done(stage)} in ${took(stage)}\n`);
    else if (quarter > this.quarter) this.out.write(`${stage.name}: ${done(stage)}\n`);
    this.quarter = stage.done === stage.total ? 0 : quarter;
  }

  private note(text: string): void {
    this.erase();
    this.out.write(`${plain(text)}\n`);
  }

  private draw(at: number): void {
    if (!this.out.isTTY || at - this.drawnAt < 100) return;
    this.drawnAt = at;
    this.erase();
    const rows = this.stages.map((one) => `  ${mark(one)} ${one.name.padEnd(29)}${one.startedAt === undefined ? '' : done(one).padEnd(14)}${took(one)}\n`);
    this.out.write(rows.join(''));
    this.lines = rows.length;
  }

  private erase(): void {
    if (this.lines > 0) this.out.write(`\u001b[${this.lines}A\u001b[0J`);
    this.lines = 0;
  }
}

function stage(name: string, tasks: string[], counts: string, total: number): Stage {
  return { name, tasks, counts, done: 0, total };
}

function mark(stage: Stage): string {
  if (stage.startedAt === undefined) return '·';
  return stage.done >= stage.total ? '✔' : '▸';
}

function done(stage: Stage): string {
  if (stage.total === 1) return stage.done === 1 ? 'done' : '';
  return stage.done === stage.total ? grouped(stage.total) : `${grouped(stage.done)} of ${grouped(stage.total)}`;
}

export function took({ startedAt, endedAt }: { startedAt?: number; endedAt?: number }): string {
  if (startedAt === undefined || endedAt === undefined) return '';
  const ms = endedAt - startedAt;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
