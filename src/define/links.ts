/**
 * The types of what can follow a step, and of the composites that following makes.
 *
 * Owns: `Links` and the interfaces that it gives back. Does not own: the objects behind them (flow.ts).
 */
import type { TaskContext, TaskFailure } from './context.ts';
import type { ExecutionOptions } from './execution.ts';
import type { JsonGuard } from './json-guard.ts';
import type { ApplyPolicy, Policy } from './policy.ts';
import type { OutputOf, Pretty, Step, Through } from './step.ts';
import type { TaskOptions } from './task-options.ts';

/** A task function. The guard refuses outputs whose type is no JSON, with the path. */
export type TaskFunction<I, R> = ((input: I, ctx: TaskContext<I>) => R) & JsonGuard<OutputOf<R>>;

export type Branches<I, B> = { readonly [K in keyof B]: ((input: I, ctx: TaskContext<I>) => B[K]) & JsonGuard<OutputOf<B[K]>> };
export type BranchOutputs<B> = { -readonly [K in keyof B]: OutputOf<B[K]> };

/** What every step that has an output offers. */
export interface Links<in I, out O, out K extends string> {
  /** Runs `next` afterwards, with this step's output as its input. */
  to<O2, K2 extends string>(next: Step<O, O2, K2>): Flow<I, Through<O2, O>, K2>;
  /** The same with a task written in place: its input type is inferred. */
  to<const Id extends string, R>(id: Id, run: TaskFunction<O, R>, options?: TaskOptions): Flow<I, OutputOf<R>, Id>;
  /** Runs the functions side by side on this step's output; the result is an object with their outputs. */
  fork<B>(branches: Branches<O, B>): Group<BranchOutputs<B>, I, BranchOutputs<B>, never>;
  /** Runs when this step has failed for good; its output takes the step's place. */
  recover<R>(id: string, handler: TaskFunction<TaskFailure<I>, R>, options?: TaskOptions): Flow<I, O | OutputOf<R>, K>;
}

export interface Flow<in I, out O, out K extends string = string> extends Step<I, O, K>, Links<I, O, K> {
  /** Gives this flow a name: its key where it is a member of a group. */
  as<const Id extends string>(id: Id): Flow<I, O, Id>;
}

/** A group with keyed outputs. `Outs` are the outputs if all succeed, `O` what the policy leaves of that. */
export interface Group<Outs, in I, out O, out K extends string = string> extends Flow<I, O, K> {
  as<const Id extends string>(id: Id): Group<Outs, I, O, Id>;
  /** Where and how many at a time. Default: `local`, 64 at a time. */
  withExecution(execution: ExecutionOptions): Group<Outs, I, O, K>;
  /** When the group counts as a success. Default: `strict`. */
  withPolicy<const P extends Policy<keyof Outs & string>>(policy: P): Group<Outs, I, Pretty<ApplyPolicy<Outs, P>>, K>;
}
