/**
 * How the process ends while a run is under way: signals, an empty event loop, a task that calls process.exit.
 *
 * Owns: the process's listeners and what they say on stderr. Does not own: how a run that has ended is told (follow.ts).
 *
 * Invariants
 * 1. The process never ends silently before its run: stderr says what the run waits for, and the exit code is not 0.
 * 2. The terminal is given back on every way out that lets code run.
 * 3. The first signal interrupts the run. After it the listeners are gone, so the second kills, also where a task blocks.
 */
import { constants } from 'node:os';
import { preview, type Json } from '../core/json.ts';
import type { Run } from '../runtime/run.ts';
import type { WaitingFor } from '../runtime/status.ts';
import { duration, grouped, oneLine, plural } from './text.ts';
import { exitCodes } from './usage.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const WAITS_SHOWN = 8;
const NOTICE_MS = 1000;
/** How long tasks have to clean up after a signal. */
const GRACE_MS = 5000;

interface UnderWay {
  readonly run: Pick<Run<unknown>, 'status'>;
  /** The commands that go on with what waits; nothing where no command can. */
  readonly next: () => readonly string[] | undefined;
  readonly interrupt: (signal: NodeJS.Signals) => void;
  /** Nothing is left to do in this process: true if the run sees to its own end. */
  readonly empty: () => boolean;
  /** Leaves the terminal so that the process may be killed at any moment. */
  readonly release: () => void;
  /** Shows the run for the last time. */
  readonly end: () => void;
}

export class Leaving {
  readonly #process: NodeJS.Process;
  #loading: string | undefined;
  #underWay: UnderWay | undefined;
  /** The signal that has interrupted the run. */
  signal: (typeof signals)[number] | undefined;

  constructor(process: NodeJS.Process) {
    this.#process = process;
    process.on('beforeExit', this.#onEmpty);
    process.on('exit', this.#onExit);
  }

  /** From now on, until `running`: a module that never finishes loading is told. */
  loading(file: string): void {
    this.#loading = file;
  }

  running(underWay: UnderWay): void {
    this.#loading = undefined;
    this.#underWay = underWay;
    for (const signal of signals) this.#process.on(signal, this.#onSignal);
  }

  /** The run, or the loading, has ended one way or the other. */
  ended(): void {
    this.#loading = undefined;
    this.#underWay?.end();
    this.#underWay = undefined;
    for (const signal of signals) this.#process.off(signal, this.#onSignal);
  }

  /** Leaves with `code`: at once, or after a signal when the tasks in flight have cleaned up. */
  leave(code: number): void {
    if (this.signal === undefined) return this.#process.exit(code);
    this.#process.exitCode = code;
    setTimeout(() => this.#say(`taskchart: tasks are still running; they have ${duration(GRACE_MS)} to stop, a second ${this.signal} ends them now`), NOTICE_MS).unref();
    setTimeout(() => this.#process.exit(code), GRACE_MS).unref();
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    for (const one of signals) this.#process.off(one, this.#onSignal);
    this.signal = signals.find((one) => one === signal);
    this.#underWay?.release();
    this.#underWay?.interrupt(signal);
  };

  /** Nothing is left that could go on. */
  readonly #onEmpty = (): void => {
    if (this.#loading !== undefined) {
      this.#say(`taskchart: ${oneLine(this.#loading)} never finishes loading: a top-level await in it does not settle`);
      this.#loading = undefined;
      this.#process.exitCode = exitCodes.usage;
    }
    if (this.#underWay === undefined || this.#underWay.empty()) return;
    const { run, next, end } = this.#underWay;
    this.#underWay = undefined;
    end();
    const { waitsFor, queued } = run.status();
    this.#say('taskchart: the run has not ended, and nothing in this process can continue it');
    for (const line of waitingLines(waitsFor, queued, Date.now(), next())) this.#say(`  ${line}`);
    this.#process.exitCode = exitCodes.waiting;
  };

  readonly #onExit = (code: number): void => {
    if (this.#loading !== undefined && code === 0) this.#process.exitCode = exitCodes.usage;
    if (this.#underWay === undefined) return;
    const { run, end } = this.#underWay;
    this.#underWay = undefined;
    end();
    this.#say(`taskchart: the process was ended with code ${code} before the run had ended`);
    const { waitsFor, queued } = run.status();
    for (const line of waitingLines(waitsFor, queued, Date.now()).filter((text) => !text.startsWith('hint'))) this.#say(`  ${line}`);
    if (code === 0) this.#process.exitCode = exitCodes.failed;
  };

  #say(line: string): void {
    this.#process.stderr.write(`${line}\n`);
  }
}

/** The exit code of a process that a signal has ended. */
export function signalCode(signal: NodeJS.Signals): number {
  return exitCodes.signal + constants.signals[signal];
}

/**
 * What a run waits for, in lines; `next` are the commands that go on with it, where there are any. `workerOf` gives the
 * command that executes the members of a group, where workers do.
 */
export function waitingLines(waitsFor: readonly WaitingFor[], queued: number, now: number, next?: readonly string[], workerOf?: (group: string) => string | undefined): string[] {
  const lines = waitsFor.slice(0, WAITS_SHOWN).map((one) => `it waits for ${waitText(one, now)}`);
  if (waitsFor.length > WAITS_SHOWN) lines.push(`… and for ${grouped(waitsFor.length - WAITS_SHOWN)} more`);
  if (queued > 0) lines.push(`${plural(queued, 'step')} ${waitsFor.length === 0 ? (queued === 1 ? 'is queued' : 'are queued') : queued === 1 ? 'waits behind that' : 'wait behind that'}`);
  const signal = waitsFor.find((one) => one.kind === 'signal');
  if (next !== undefined) lines.push(...next);
  else if (signal !== undefined) lines.push(`hint: a program gives the signal: run.signal('${signal.name}', value)`);
  const worker = waitsFor.flatMap((one) => (one.kind === 'members' ? (workerOf?.(one.group) ?? []) : []))[0];
  if (waitsFor.some((one) => one.kind === 'units')) lines.push('hint: taskchart worker executes units; taskchart doctor says which workers live, and what is stranded');
  else if (worker !== undefined) lines.push(`hint: its members are executed by workers: ${worker} executes them, taskchart doctor --redis <url> says which workers live`);
  else if (waitsFor.some((one) => one.kind === 'task' || one.kind === 'members')) lines.push('hint: a task that may never settle needs a time limit: task(id, fn, { timeout: 30_000 })');
  return lines;
}

/** What one wait is for, behind `waits for`. */
export function waitText(one: WaitingFor, now: number): string {
  switch (one.kind) {
    case 'task':
      return `task ${one.task}${one.attempt > 1 ? ` (attempt ${one.attempt})` : ''}, which has not settled`;
    case 'members':
      return `${plural(one.count, 'member')} of ${one.group}, which ${one.count === 1 ? 'has' : 'have'} not settled`;
    case 'signal':
      return `the signal ${one.name}, for ${duration(now - one.since)}${one.question === undefined ? '' : `: ${asked(one.question)}`}`;
    case 'units':
      return `${plural(one.units, 'unit')} on the queue ${one.queue}, for ${duration(now - one.since)}${one.reason === undefined ? '' : `: ${oneLine(one.reason).slice(0, 300)}`}`;
    default:
      return `${one.task} (${one.kind}), due in ${duration(Math.max(0, one.dueAt - now))}${one.error === undefined ? '' : `, after: ${oneLine(one.error.message).slice(0, 200)}`}`;
  }
}

/** What a task asks people; other people's words, so on one line and not without end. */
function asked(question: Json): string {
  return typeof question === 'string' ? oneLine(question).slice(0, 200) : preview(question);
}
