/**
 * Random graphs with deterministic tasks, as plain data: built into workflows, and evaluated by a second, simple reading of
 * the rules (`evaluate`) that knows no queue, no machine and no concurrency.
 *
 * Owns: the data, its two meanings. Does not own: the property (random-graphs.test.ts).
 *
 * Invariants
 * 1. A task's value is a number made of its id and its input, so a lost, doubled or wrong input changes every value behind it.
 * 2. What a graph gives does not depend on the order in which members run: side tasks only add, failures have no message.
 */
import * as fc from 'fast-check';
import { dag, each, node, parallel, sequence, sleep, task, waitFor, workflow, type ExecutionOptions, type Json, type TaskContext, type Workflow } from 'taskchart';
import type { CutCase } from './cuts.ts';
import type { Trace } from './trace.ts';

export type Act = 'value' | 'nothing' | 'iterate' | 'goto' | 'spawn' | 'terminate' | 'fail';
export type PolicyName = 'strict' | 'failFast' | 'bestEffort' | 'half' | 'first' | 'even';

export type Spec =
  | { readonly kind: 'task'; readonly act: Act; readonly failures: number; readonly delay: number; readonly turns: number }
  | { readonly kind: 'sequence'; readonly steps: readonly Spec[] }
  | { readonly kind: 'parallel'; readonly members: readonly Spec[]; readonly policy: PolicyName }
  | { readonly kind: 'each'; readonly count: number; readonly body: Spec; readonly policy: PolicyName }
  | { readonly kind: 'dag'; readonly nodes: readonly { readonly step: Spec; readonly needs: readonly number[] }[] }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'wait' }
  | { readonly kind: 'workflow'; readonly body: Spec }
  | { readonly kind: 'recover'; readonly body: Spec };

/** Graphs with or without tasks that fail for good. */
export function specs(failing: boolean): fc.Arbitrary<Spec> {
  const acts: Act[] = ['value', 'value', 'value', 'nothing', 'iterate', 'goto', 'spawn', 'terminate', ...(failing ? (['fail', 'fail'] as const) : [])];
  const policies: PolicyName[] = failing ? ['strict', 'failFast', 'bestEffort', 'half', 'first', 'even'] : ['strict', 'half', 'bestEffort'];
  const policy = fc.constantFrom(...policies);
  const leaf: fc.Arbitrary<Spec> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('task' as const), act: fc.constantFrom(...acts), failures: fc.constantFrom(0, 0, 0, 1, 2), delay: fc.constantFrom(0, 0, 20), turns: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('sleep' as const), ms: fc.constantFrom(0, 5, 50) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'wait' as const }) },
  );
  const inner = (step: fc.Arbitrary<Spec>): fc.Arbitrary<Spec> => fc.oneof(
    fc.record({ kind: fc.constant('sequence' as const), steps: fc.array(step, { minLength: 1, maxLength: 4 }) }),
    fc.record({ kind: fc.constant('parallel' as const), members: fc.array(step, { minLength: 1, maxLength: 4 }), policy }),
    fc.record({ kind: fc.constant('each' as const), count: fc.nat(4), body: step, policy: policy.filter((name) => name !== 'first') }),
    fc.record({ kind: fc.constant('dag' as const), nodes: fc.array(fc.record({ step, needs: fc.uniqueArray(fc.nat(3), { maxLength: 2 }) }), { minLength: 1, maxLength: 4 }) })
      .map(({ kind, nodes }) => ({ kind, nodes: nodes.map(({ step: given, needs }, at) => ({ step: given, needs: needs.filter((need) => need < at) })) })),
    fc.record({ kind: fc.constant('workflow' as const), body: step }),
    fc.record({ kind: fc.constant('recover' as const), body: step }),
  );
  const step = (depth: number): fc.Arbitrary<Spec> => (depth === 0 ? leaf : fc.oneof({ withCrossShrink: true }, { weight: 3, arbitrary: leaf }, { weight: 4, arbitrary: inner(step(depth - 1)) }));
  return fc.record({ kind: fc.constant('sequence' as const), steps: fc.array(step(3), { minLength: 1, maxLength: 3 }) });
}

/** Invariant 1. */
function mix(id: string, input: Json | undefined): number {
  let hash = 2_166_136_261;
  for (const char of `${id}:${input === undefined ? 'nothing' : JSON.stringify(input)}`) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16_777_619);
  return (hash >>> 0) % 1_000_000;
}

/** Ids in the order in which `build` and `evaluate` both walk. */
class Names {
  readonly #counts = new Map<string, number>();

  next(kind: string): string {
    const count = this.#counts.get(kind) ?? 0;
    this.#counts.set(kind, count + 1);
    return `${kind}${count}`;
  }

  copy(): Names {
    const copy = new Names();
    for (const [kind, count] of this.#counts) copy.#counts.set(kind, count);
    return copy;
  }
}

const ITERATIONS = 2;

interface AnyStep {
  as(id: string): AnyStep;
  recover(id: string, handler: () => Json): AnyStep;
  withExecution(execution: ExecutionOptions): AnyStep;
  withPolicy(policy: unknown): AnyStep;
}
const make = { dag, each, node, parallel, sequence, sleep, waitFor, workflow } as unknown as Readonly<Record<string, (...given: unknown[]) => AnyStep>> & {
  readonly [K in 'dag' | 'each' | 'node' | 'parallel' | 'sequence' | 'sleep' | 'waitFor' | 'workflow']: (...given: unknown[]) => AnyStep;
};

class Builder {
  readonly answers: Record<string, Json> = {};
  readonly #trace: Trace;
  readonly #execution: ExecutionOptions;
  readonly #names = new Names();
  readonly landing: unknown;
  readonly side: unknown;

  constructor(trace: Trace, execution: ExecutionOptions) {
    this.#trace = trace;
    this.#execution = execution;
    this.landing = trace.task('landing', (n: number) => mix('landing', n), { turns: 1 });
    this.side = trace.task('side', (n: number, ctx) => void ctx.channel.add('sides', n));
  }

  step(spec: Spec): AnyStep {
    switch (spec.kind) {
      case 'task':
        return this.#task(spec);
      case 'sequence':
        return make.sequence(...spec.steps.map((step) => this.step(step)));
      case 'parallel': {
        const members = spec.members.map((member, at) => make.sequence(this.step(member)).as(`m${at}`));
        return withPolicy(make.parallel(...members).withExecution(this.#execution), spec.policy, members.length);
      }
      case 'each': {
        const id = this.#names.next('list');
        const list = this.#trace.task(id, (input: Json) => Array.from({ length: spec.count }, (_, at) => mix(id, input) + at));
        return make.sequence(list, withPolicy(make.each(this.step(spec.body), { batch: 2 }).withExecution(this.#execution), spec.policy, spec.count));
      }
      case 'dag':
        return make.dag(Object.fromEntries(spec.nodes.map(({ step, needs }, at) => [`n${at}`, make.node(this.step(step), { needs: needs.map((need) => `n${need}`) })]))).withExecution(this.#execution);
      case 'sleep':
        return make.sleep(spec.ms);
      case 'wait': {
        const name = this.#names.next('wait');
        this.answers[name] = mix(name, undefined);
        return make.waitFor(name);
      }
      case 'workflow':
        return make.workflow(this.#names.next('flow'), this.step(spec.body), { uses: [this.landing, this.side] });
      case 'recover': {
        const id = this.#names.next('mend');
        return make.sequence(this.step(spec.body)).recover(id, () => mix(id, 'mended'));
      }
    }
  }

  #task({ act, failures, delay, turns }: Extract<Spec, { kind: 'task' }>): AnyStep {
    const id = this.#names.next('t');
    const run = (input: Json, ctx: TaskContext<Json>): unknown => {
      if (act === 'fail' || ctx.attempt <= failures) throw new Error('no');
      const value = mix(id, input);
      if (act === 'nothing') return undefined;
      if (act === 'iterate') return ctx.iteration < ITERATIONS ? ctx.nextIteration(value) : value;
      if (act === 'goto') return ctx.goto(this.landing as never, value as never);
      if (act === 'terminate') return ctx.terminate(value);
      if (act === 'spawn') ctx.nextTask(this.side as never, (value % 100) as never);
      return value;
    };
    return this.#trace.task(id, run, { turns, ...(failures === 0 ? {} : { retry: { attempts: failures + 1, delay } }) }) as unknown as AnyStep;
  }
}

function withPolicy(group: AnyStep, policy: PolicyName, size: number): AnyStep {
  switch (policy) {
    case 'strict':
      return group;
    case 'failFast':
      return group.withPolicy({ failFast: true });
    case 'bestEffort':
      return group.withPolicy('bestEffort');
    case 'half':
      return size === 0 ? group : group.withPolicy({ atLeast: Math.ceil(size / 2) });
    case 'first':
      return group.withPolicy({ critical: ['m0'] });
    case 'even':
      return group.withPolicy((results: readonly { ok: boolean }[]) => results.filter(({ ok }) => ok).length % 2 === 0);
  }
}

/** What a step comes to: `exit` is a value with which its scope ends at once. */
type Result = { readonly kind: 'value' | 'exit'; readonly value: Json | undefined } | { readonly kind: 'fail' };

class Evaluator {
  sides = 0;
  #names = new Names();

  step(spec: Spec, input: Json | undefined): Result {
    switch (spec.kind) {
      case 'task':
        return this.#task(spec, input);
      case 'sequence': {
        let result: Result = { kind: 'value', value: input };
        for (const [at, step] of spec.steps.entries()) {
          if (result.kind === 'value') result = this.step(step, result.value);
          else this.#skip(spec.steps.slice(at, at + 1));
        }
        return result;
      }
      case 'parallel': {
        const results = spec.members.map((member) => this.#scope(member, input));
        return decided(results, spec.policy) ? { kind: 'value', value: keyed(results, 'm') } : { kind: 'fail' };
      }
      case 'each':
        return this.#each(spec, input);
      case 'dag':
        return this.#dag(spec.nodes, input);
      case 'sleep':
        return { kind: 'value', value: input };
      case 'wait':
        return { kind: 'value', value: mix(this.#names.next('wait'), undefined) };
      case 'workflow':
        this.#names.next('flow');
        return this.#scope(spec.body, input);
      case 'recover': {
        const id = this.#names.next('mend');
        const result = this.#scope(spec.body, input);
        return result.kind === 'fail' ? { kind: 'value', value: mix(id, 'mended') } : result;
      }
    }
  }

  /** A scope turns an exit into its value. */
  #scope(spec: Spec, input: Json | undefined): Result {
    const result = this.step(spec, input);
    return result.kind === 'exit' ? { kind: 'value', value: result.value } : result;
  }

  #task({ act }: Extract<Spec, { kind: 'task' }>, input: Json | undefined): Result {
    const id = this.#names.next('t');
    if (act === 'fail') return { kind: 'fail' };
    let value: Json = mix(id, input);
    if (act === 'nothing') return { kind: 'value', value: undefined };
    if (act === 'goto') return { kind: 'exit', value: mix('landing', value) };
    if (act === 'terminate') return { kind: 'exit', value };
    if (act === 'spawn') this.sides += value % 100;
    if (act === 'iterate') for (let left = ITERATIONS; left > 0; left -= 1) value = mix(id, value);
    return { kind: 'value', value };
  }

  #each({ count, body, policy }: Extract<Spec, { kind: 'each' }>, input: Json | undefined): Result {
    const id = this.#names.next('list');
    const before = this.#names;
    const results: Result[] = [];
    // Every item runs the same tasks: each starts from the same place in the names.
    for (let at = 0; at < Math.max(count, 1); at += 1) {
      this.#names = before.copy();
      const sides = this.sides;
      const result = this.#scope(body, mix(id, input) + at);
      if (at < count) results.push(result);
      else this.sides = sides;
    }
    if (!decided(results, policy)) return { kind: 'fail' };
    return { kind: 'value', value: results.map((result) => (result.kind === 'fail' ? null : (result.value ?? null))) };
  }

  #dag(nodes: Extract<Spec, { kind: 'dag' }>['nodes'], input: Json | undefined): Result {
    const results: Result[] = [];
    for (const { step, needs } of nodes) {
      // What cannot run because a need has failed is walked for its names only; the dag has failed anyway.
      const given = needs.length === 0 ? input : keyed(needs.map((need) => results[need] as Result), 'n', needs);
      results.push(this.#scope(step, given));
    }
    if (results.some(({ kind }) => kind === 'fail')) return { kind: 'fail' };
    const needed = new Set(nodes.flatMap(({ needs }) => needs));
    const sinks = nodes.map((_, at) => at).filter((at) => !needed.has(at));
    return { kind: 'value', value: keyed(sinks.map((at) => results[at] as Result), 'n', sinks) };
  }

  /** Walks steps that do not run, for their names. */
  #skip(steps: readonly Spec[]): void {
    const { sides } = this;
    for (const step of steps) this.step(step, null);
    this.sides = sides;
  }
}

function keyed(results: readonly Result[], prefix: string, indexes: readonly number[] = results.map((_, at) => at)): Json {
  const output: Record<string, Json> = {};
  results.forEach((result, at) => {
    if (result.kind !== 'fail' && result.value !== undefined) output[`${prefix}${indexes[at]}`] = result.value;
  });
  return output;
}

function decided(results: readonly Result[], policy: PolicyName): boolean {
  const failed = results.filter(({ kind }) => kind === 'fail').length;
  switch (policy) {
    case 'strict':
    case 'failFast':
      return failed === 0;
    case 'bestEffort':
      return true;
    case 'half':
      return results.length - failed >= Math.ceil(results.length / 2);
    case 'first':
      return results[0]?.kind !== 'fail';
    case 'even':
      return (results.length - failed) % 2 === 0;
  }
}

/** What a run of the graph must give: its output, or nothing where it fails. `sides` is what its side tasks add up to. */
export function evaluate(spec: Spec, input: Json): { readonly output: Json | undefined; readonly sides: number } | undefined {
  const evaluator = new Evaluator();
  const result = evaluator.step(spec, input);
  return result.kind === 'fail' ? undefined : { output: result.value, sides: evaluator.sides };
}

export interface Variant {
  readonly name: string;
  readonly execution: ExecutionOptions;
  readonly concurrency?: number;
}

/** The graph as a run that can be cut. With `sums` its output is `[output, sides]`. */
export function caseOf(spec: Spec, input: Json, variant: Variant, sums: boolean): CutCase {
  const answers: Record<string, Json> = {};
  return {
    name: variant.name,
    input,
    answers,
    drops: true,
    make: (trace) => {
      const builder = new Builder(trace, variant.execution);
      const body = builder.step(spec);
      Object.assign(answers, builder.answers);
      const uses = { uses: [builder.landing, builder.side] };
      const root = sums ? make.sequence(make.workflow('body', body, uses), task('sums', (value: Json, ctx) => [value ?? null, ctx.channel.get('sides') ?? 0])) : body;
      return make.workflow(trace.id, root, sums ? {} : uses) as unknown as Workflow<string, never, unknown>;
    },
    ...(variant.concurrency === undefined ? {} : { options: { concurrency: variant.concurrency } }),
  };
}
