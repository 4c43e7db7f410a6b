/** Run events, written shortly. */
import { parallel, sequence, task, type Step } from '../../src/index.ts';
import type { RunEvent, TaskPlace } from '../../src/runtime/observer.ts';

type Place = Partial<TaskPlace>;

/** Makes events whose time is set by `at`. */
export class Events {
  at: number;

  constructor(at = 1000) {
    this.at = at;
  }

  run(type: 'run.started' | 'run.paused' | 'run.resumed' | 'run.waiting' | 'run.completed'): RunEvent {
    return { type, at: this.at };
  }
  ended(type: 'run.failed' | 'run.cancelled', message = 'it failed'): RunEvent {
    return { type, at: this.at, error: new Error(message) };
  }
  started(task: string, place: Place = {}): RunEvent {
    return { type: 'task.started', at: this.at, ...placed(task, place) };
  }
  completed(task: string, place: Place = {}): RunEvent {
    return { type: 'task.completed', at: this.at, durationMs: 0, ...placed(task, place) };
  }
  failed(task: string, final: boolean, message = 'broken', place: Place = {}): RunEvent {
    return { type: 'task.failed', at: this.at, durationMs: 0, error: new Error(message), final, ...placed(task, place) };
  }
  progress(task: string, done: number, total?: number, note?: string): RunEvent {
    return { type: 'task.progress', at: this.at, done, total, note, ...placed(task, {}) };
  }
  log(task: string, message: string, data?: unknown): RunEvent {
    return { type: 'task.log', at: this.at, level: 'info', message, data, ...placed(task, {}) };
  }
}

function placed(task: string, place: Place): TaskPlace {
  return { task, key: '1', attempt: 1, iteration: 0, ...place };
}

/** The place of a member of a group. */
export function member(id: string, index: number, size: number, more: Place = {}): Place {
  return { key: `7.${index}`, group: { id, index, size }, ...more };
}

/** Many tasks, as one step; more than the types of `sequence` and `parallel` are asked to follow. */
export function chainOf(length: number): Step<number, number> {
  return (sequence as unknown as (...steps: unknown[]) => Step<number, number>)(...tasksOf('t', length));
}
export function groupOf(length: number): Step<number, unknown> {
  return (parallel as unknown as (...steps: unknown[]) => Step<number, unknown>)(...tasksOf('m', length));
}

function tasksOf(prefix: string, length: number): unknown[] {
  return Array.from({ length }, (_, at) => task(`${prefix}${at}`, (n: number) => n));
}
