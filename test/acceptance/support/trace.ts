/** What the tasks of a test did, in order, and the hook by which a test looks into a run while they do it. */
import { task, type TaskContext, type TaskOptions } from 'taskchart';
import type { OutputOf } from '../../../src/define/step.ts';
import type { Task } from '../../../src/define/task.ts';
import { turnNumber, turns } from './clock.ts';

export interface TraceEntry {
  readonly what: 'start' | 'end';
  readonly task: string;
  /** `ctx.idempotencyKey`. */
  readonly key: string;
  readonly attempt: number;
  readonly iteration: number;
  /** As JSON text. */
  readonly input: string;
  /** The turn of the event loop. */
  readonly turn: number;
}

/** `turns`: how many turns of the event loop the task takes. `ticks`: time passes in the midst of it, up to the next timer. */
export type TracedOptions = TaskOptions & { readonly turns?: number; readonly ticks?: true };

export class Trace {
  /** For the workflow whose tasks are traced. */
  readonly id: string;
  readonly entries: TraceEntry[] = [];
  /** Called inside every task: when it begins, and after each turn that it waits. */
  onTask: ((id: string, ctx: TaskContext<unknown>, beginning: boolean) => void) | undefined;

  /** Moves time to the next timer. */
  tick: (() => void) | undefined;

  /** Who is told instead of this one: tasks that are built once may take part in one run after the other. */
  follower: Trace | undefined;

  constructor(id = 'w') {
    this.id = id;
  }

  /** The ids of the tasks in the order in which they began. */
  get started(): string[] {
    return this.entries.filter((entry) => entry.what === 'start').map((entry) => entry.task);
  }

  count(id: string): number {
    return this.started.filter((started) => started === id).length;
  }

  /** A task that is traced. */
  task<const Id extends string, R, I = unknown>(id: Id, run: (input: I, ctx: TaskContext<I>) => R, options: TracedOptions = {}): Task<Id, I, OutputOf<R>> {
    const { turns: takes = 0, ticks, ...others } = options;
    const traced = async (input: I, ctx: TaskContext<I>): Promise<unknown> => {
      const trace = this.follower ?? this;
      const text = JSON.stringify(input) ?? '';
      const { taskId, idempotencyKey: key, attempt, iteration } = ctx;
      const add = (what: 'start' | 'end'): void => void trace.entries.push({ what, task: taskId, key, attempt, iteration, input: text, turn: turnNumber() });
      add('start');
      try {
        trace.onTask?.(id, ctx as TaskContext<unknown>, true);
        for (let left = takes; left > 0; left -= 1) {
          await turns(1);
          trace.onTask?.(id, ctx as TaskContext<unknown>, false);
        }
        if (ticks === true) {
          trace.tick?.();
          await turns(3);
          trace.onTask?.(id, ctx as TaskContext<unknown>, false);
        }
        return await run(input, ctx);
      } finally {
        add('end');
      }
    };
    return task(id, traced as never, others) as unknown as Task<Id, I, OutputOf<R>>;
  }
}
