/** `task`: a named async function. */
import { checkId } from '../core/ids.ts';
import { BaseStep, taskSpec } from './flow.ts';
import type { Links, TaskFunction } from './links.ts';
import { registerTask } from './registry.ts';
import { stepBrand, type TaskSpec } from './spec.ts';
import type { OutputOf, Step } from './step.ts';
import type { TaskOptions } from './task-options.ts';

export interface Task<Id extends string, in I, out O> extends Step<I, O, Id>, Links<I, O, Id> {
  readonly kind: 'task';
  readonly id: Id;
  /** A second instance under another id: a step object stands in a workflow only once. */
  as<const Id2 extends string>(id: Id2): Task<Id2, I, O>;
}

/**
 * A named function that is run at least once, retried as its options say, and whose output goes to the next step.
 *
 * @example task('fetch', async (url: string) => (await fetch(url)).text(), { retry: { attempts: 3 }, timeout: 5_000 })
 */
export function task<const Id extends string, R, I = unknown>(id: Id, run: TaskFunction<I, R>, options?: TaskOptions): Task<Id, I, OutputOf<R>> {
  return new TaskStep(taskSpec(id, run, options), id);
}

export class TaskStep<Id extends string, in I, out O> extends BaseStep<I, O, Id> implements Task<Id, I, O> {
  readonly kind = 'task';
  readonly id: Id;

  constructor(spec: TaskSpec, id: Id) {
    super(spec);
    this.id = id;
    Object.freeze(this);
    registerTask(this);
  }

  as<const Id2 extends string>(id: Id2): Task<Id2, I, O> {
    return new TaskStep(renamed(this[stepBrand] as TaskSpec, checkId('task', id)), id);
  }
}

/** The same task under another id. It reads the function when it is asked, as a contract gets it late. */
export function renamed(original: TaskSpec, id: string): TaskSpec {
  return {
    ...original,
    id,
    get run() {
      return original.run;
    },
  } as TaskSpec;
}
