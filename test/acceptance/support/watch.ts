/** What a run tells about its tasks: the only view that is the same on every backend. */
import type { Run, RunEvent } from 'taskchart';

export class Watched {
  readonly events: RunEvent[] = [];

  constructor(run: Run<unknown>) {
    run.on((event) => this.events.push(event));
  }

  /** Task ids in the order in which their executions began. */
  get started(): string[] {
    return this.events.flatMap((event) => (event.type === 'task.started' ? [event.task] : []));
  }

  get completed(): string[] {
    return this.events.flatMap((event) => (event.type === 'task.completed' ? [event.task] : []));
  }

  /** How often executions of a task began. */
  count(task: string): number {
    return this.started.filter((started) => started === task).length;
  }

  /** Where an event of this kind stands for the first time; -1 if it does not. */
  at(type: RunEvent['type'], task: string): number {
    return this.events.findIndex((event) => event.type === type && 'task' in event && event.task === task);
  }
}

/** The error that a promise rejects with; a promise that resolves is one. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { readonly [key: string]: unknown }> {
  let output: unknown;
  try {
    output = await promise;
  } catch (error) {
    return error as Error & { [key: string]: unknown };
  }
  throw new Error(`expected a failure, but got ${JSON.stringify(output)}`);
}

/** What a function throws. */
export function thrownBy(run: () => unknown): Error & { readonly [key: string]: unknown } {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    return error as Error & { [key: string]: unknown };
  }
  throw new Error(`expected an error, but got ${String(result)}`);
}
