/** What a step is to the compiler: its input, its output and the key that its output gets in a group. */

/** Returned by `ctx.goto` and its kin; never part of an output. */
export interface Control {
  readonly '~control': string;
}

/** What a task function hands on: awaited, without control. */
export type OutputOf<R> = Exclude<Awaited<R>, Control>;

/**
 * Anything composable. `K` is the key of its output in a group: a task's id, a flow's last id, or the name given by
 * `.as()`; `never` where it has none.
 *
 * The `~` properties exist for the compiler only.
 */
export interface Step<in I, out O, out K extends string = string> {
  readonly kind: StepKind;
  readonly '~input'?: ((value: I) => void) | undefined;
  readonly '~output'?: (() => O) | undefined;
  readonly '~key'?: (() => K) | undefined;
}

export type StepKind = 'task' | 'flow' | 'parallel' | 'each' | 'dag' | 'wait' | 'sleep' | 'workflow';

// `any` is needed here: input is contravariant, so no other type stands for "any step".
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyStep = Step<any, any, string>;

/** What every one of the steps accepts, where `S` is a union. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type StepInput<S> = [S] extends [Step<infer I, any, string>] ? I : never;
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type StepOutput<S> = S extends Step<any, infer O, string> ? O : never;
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type StepKey<S> = S extends Step<any, any, infer K> ? K : never;

/** The output of a step that hands its input on (`sleep`). */
export interface Passed {
  readonly '~passed': true;
}

/** `O`, or `P` where the step hands its input on. */
export type Through<O, P> = [O] extends [Passed] ? ([Passed] extends [O] ? (0 extends 1 & O ? O : P) : O) : O;

/** An input as rest arguments: it may be left out where `undefined` is an input. */
export type InputArguments<I> = undefined extends I ? [input?: I] : [input: I];

/** Shows an intersection as the one object that it is. */
export type Pretty<T> = { [K in keyof T]: T[K] } & {};
