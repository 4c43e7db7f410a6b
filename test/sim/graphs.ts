/**
 * Graphs by lot: what a seed runs, and the same graph with every group in the process.
 *
 * Owns: the shapes, the tasks. Does not own: what a graph must give (a run on the backend `local` says it), when tasks are told
 * to stop (the world).
 *
 * Invariants
 * 1. A task's value is made of its id and its input, so a lost, doubled or wrong input changes every value behind it.
 * 2. What a graph gives does not depend on the order in which members run, but for graphs that are `loose`: of those only the
 *    kind of the end is known.
 */
import { dag, each, node, parallel, sequence, sleep, task, waitFor, type ExecutionOptions, type Json, type TaskContext } from 'taskchart';
import type { Step } from '../../src/define/step.ts';
import type { Environment } from '../../src/ports.ts';
import { Workflow } from '../../src/runtime/workflow.ts';
import type { Draw } from './draw.ts';

export type Place = 'redis' | 'other' | 'local' | 'direct';
export type Act = 'value' | 'nothing' | 'iterate' | 'goto' | 'spawn' | 'stray' | 'terminate' | 'add' | 'fail' | 'hang' | 'ask' | 'cancel';
export type PolicyName = 'strict' | 'failFast' | 'bestEffort' | 'half' | 'first';

export type Spec =
  | { readonly kind: 'task'; readonly id: string; readonly act: Act; readonly failures: number; readonly delayMs: number; readonly takesMs: number; readonly saves: boolean }
  | { readonly kind: 'sequence'; readonly steps: readonly Spec[] }
  | { readonly kind: 'parallel'; readonly id: string; readonly members: readonly Spec[]; readonly policy: PolicyName; readonly on: Place; readonly most: number | undefined }
  | { readonly kind: 'each'; readonly id: string; readonly count: number; readonly body: Spec; readonly batch: number; readonly policy: PolicyName; readonly on: Place; readonly most: number | undefined }
  | { readonly kind: 'dag'; readonly nodes: readonly { readonly step: Spec; readonly needs: readonly number[] }[]; readonly on: Place }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'wait'; readonly id: string }
  | { readonly kind: 'timeout'; readonly id: string; readonly ms: number }
  | { readonly kind: 'flow'; readonly id: string; readonly body: Spec }
  | { readonly kind: 'recover'; readonly id: string; readonly body: Spec };

export interface Graph {
  /** Ends every id: two graphs of one process have no id in common. */
  readonly mark: string;
  readonly spec: Spec;
  readonly input: number;
  /** Whether `landing` and `side` are declared, or met on the way. */
  readonly declares: boolean;
  readonly loose: boolean;
}

/** What the tasks of a graph are given by the world that they run in. */
export interface Stage {
  /** A task has begun. */
  begins(id: string, ctx: TaskContext<unknown>, input: Json | undefined): void;
  answered(id: string, ctx: TaskContext<unknown>): void;
  spend(ms: number): Promise<void>;
  ends(id: string, ctx: TaskContext<unknown>): void;
}

interface Given {
  readonly waits: boolean;
  readonly failing: boolean;
}

export function drawGraph(draw: Draw, mark: string, given: Given): Graph {
  const drawer = new Drawer(draw, mark, given);
  const spec = drawer.root();
  return { mark, spec, input: draw.int(100), declares: draw.chance(0.7), loose: drawer.loose };
}

class Drawer {
  readonly #draw: Draw;
  readonly #mark: string;
  readonly #given: Given;
  #ids = 0;
  #left = 12;
  loose = false;

  constructor(draw: Draw, mark: string, given: Given) {
    this.#draw = draw;
    this.#mark = mark;
    this.#given = given;
  }

  root(): Spec {
    const draw = this.#draw;
    const steps: Spec[] = [];
    if (draw.chance(0.4)) steps.push(this.#task());
    const groups = draw.pick([1, 1, 1, 2, 3]);
    for (let left = groups; left > 0; left -= 1) {
      steps.push(this.#group(draw.chance(0.85) ? 'redis' : 'local', 2));
      if (draw.chance(0.2)) steps.push(this.#step(1));
    }
    return { kind: 'sequence', steps };
  }

  #id(prefix: string): string {
    this.#ids += 1;
    return `${prefix}${this.#ids}${this.#mark}`;
  }

  #group(on: Place, depth: number): Spec {
    const draw = this.#draw;
    const kind = draw.weighted({ each: 5, parallel: 4, dag: 2 });
    const most = draw.chance(0.2) ? draw.between(1, 3) : undefined;
    if (kind === 'each') {
      const policy = this.#policy();
      const count = draw.pick([0, 1, 2, 3, 4, 4, 6]);
      return { kind, id: this.#id('list'), count, body: this.#step(depth - 1), batch: draw.pick([1, 1, 1, 2, 3]), policy: policy === 'first' ? 'half' : policy, on, most };
    }
    if (kind === 'parallel') {
      const policy = this.#policy();
      return { kind, id: this.#id('g'), members: Array.from({ length: draw.between(1, 4) }, () => this.#step(depth - 1)), policy, on, most };
    }
    const nodes = Array.from({ length: draw.between(2, 4) }, (_, at) => ({ step: this.#step(depth - 1), needs: Array.from({ length: at }, (__, need) => need).filter(() => draw.chance(0.4)) }));
    if (this.#given.failing) this.loose = true;
    return { kind, nodes, on };
  }

  #policy(): PolicyName {
    const policy = this.#draw.weighted<PolicyName>(this.#given.failing ? { strict: 3, bestEffort: 4, half: 2, first: 1, failFast: 1 } : { strict: 5, bestEffort: 1, half: 1 });
    if (policy === 'failFast') this.loose = true;
    return policy;
  }

  #step(depth: number): Spec {
    const draw = this.#draw;
    this.#left -= 1;
    if (depth <= 0 || this.#left <= 0 || draw.chance(0.35)) return this.#leaf();
    switch (draw.weighted({ sequence: 6, group: 2, flow: 1, recover: 2 })) {
      case 'sequence':
        return { kind: 'sequence', steps: Array.from({ length: draw.between(2, 3) }, () => this.#step(depth - 1)) };
      case 'group':
        return this.#group(draw.weighted<Place>({ redis: 4, local: 3, direct: 1, other: 1 }), depth - 1);
      case 'flow':
        return { kind: 'flow', id: this.#id('flow'), body: this.#step(depth - 1) };
      case 'recover':
        return { kind: 'recover', id: this.#id('mend'), body: this.#step(depth - 1) };
    }
  }

  #leaf(): Spec {
    const draw = this.#draw;
    const { waits } = this.#given;
    switch (draw.weighted({ task: 12, sleep: 1, ...(waits && { wait: 1, timeout: 0.5 }) })) {
      case 'sleep':
        return { kind: 'sleep', ms: draw.pick([0, 20, 300, 1500, 2500]) };
      case 'wait':
        return { kind: 'wait', id: this.#id('wait') };
      case 'timeout':
        return { kind: 'timeout', id: this.#id('late'), ms: draw.pick([30, 400, 1600]) };
      default:
        return this.#task();
    }
  }

  #task(): Spec {
    const draw = this.#draw;
    const { waits, failing } = this.#given;
    const act = draw.weighted<Act>({
      value: 12, add: 5, nothing: 1, iterate: 2, goto: 1, spawn: 2, stray: 0.6, terminate: 0.7, hang: 0.6,
      ...(waits && { ask: 0.8 }), ...(failing && { fail: 3, cancel: 0.15 }),
    });
    if (act === 'cancel') this.loose = true;
    const failures = draw.chance(0.25) ? draw.between(1, 2) : 0;
    return {
      kind: 'task', id: this.#id('t'), act, failures, delayMs: draw.pick([0, 0, 30, 400, 1300]),
      takesMs: draw.pick([0, 0, 0, 5, 20, 20, 100, 400, 900]), saves: draw.chance(0.08),
    };
  }
}

/** Invariant 1. */
function mix(id: string, input: Json | undefined): number {
  let hash = 2_166_136_261;
  for (const char of `${id}:${input === undefined ? 'nothing' : JSON.stringify(input)}`) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16_777_619);
  return (hash >>> 0) % 1_000_000;
}

/** What everyone who waits for this signal is told. */
export function answerTo(name: string): number {
  return mix(name, 'answer');
}

const HANG_MS = 150;
const ITERATIONS = 2;

interface AnyStep {
  as(id: string): AnyStep;
  recover(id: string, handler: (failure: never, ctx: TaskContext<unknown>) => Json): AnyStep;
  withExecution(execution: ExecutionOptions): AnyStep;
  withPolicy(policy: unknown): AnyStep;
}
const make = { dag, each, node, parallel, sequence, sleep, waitFor, task } as unknown as {
  readonly [K in 'dag' | 'each' | 'node' | 'parallel' | 'sequence' | 'sleep' | 'waitFor' | 'task']: (...given: unknown[]) => AnyStep;
};

export type SimWorkflow = Workflow<string, number, unknown>;

/** The graph as a workflow; `everywhere` puts all of its groups there. */
export function buildGraph(id: string, { spec, declares, mark }: Graph, environment: Environment, stage: Stage, everywhere?: 'local'): SimWorkflow {
  const builder = new Builder(environment, stage, mark, everywhere);
  const uses = declares ? { uses: builder.uses } : {};
  const body = builder.step(spec);
  // The sum says how often the channel operations of all branches were applied.
  const sum = make.task(`sum${mark}`, (value: Json | undefined, ctx: TaskContext<unknown>) => [value ?? null, ctx.channel.get('sum') ?? 0]);
  const inner = new Workflow(environment, `body${mark}`, body as never, uses);
  return new Workflow(environment, id, make.sequence(inner, sum) as unknown as Step<number, unknown>);
}

class Builder {
  readonly #environment: Environment;
  readonly #stage: Stage;
  readonly #everywhere: 'local' | undefined;
  readonly #landing: AnyStep;
  readonly #side: AnyStep;
  readonly #stray: AnyStep;

  constructor(environment: Environment, stage: Stage, mark: string, everywhere: 'local' | undefined) {
    this.#environment = environment;
    this.#stage = stage;
    this.#everywhere = everywhere;
    this.#landing = this.#staged(`landing${mark}`, 10, (n) => mix('landing', n));
    this.#side = this.#staged(`side${mark}`, 0, (n, ctx) => void ctx.channel.add('sum', Number(n) % 100));
    this.#stray = this.#staged(`stray${mark}`, 5, (n, ctx) => void ctx.channel.add('sum', Number(n) % 10));
  }

  get uses(): readonly never[] {
    return [this.#landing, this.#side] as never[];
  }

  step(spec: Spec): AnyStep {
    switch (spec.kind) {
      case 'task':
        return this.#task(spec);
      case 'sequence':
        return make.sequence(...spec.steps.map((step) => this.step(step)));
      case 'parallel': {
        const members = spec.members.map((member, at) => make.sequence(this.step(member)).as(`m${at}`));
        return withPolicy(this.#placed(make.parallel(...members), spec.on, spec.most), spec.policy, members.length);
      }
      case 'each': {
        const list = this.#staged(spec.id, 0, (input) => Array.from({ length: spec.count }, (_, at) => mix(spec.id, input) + at));
        return make.sequence(list, withPolicy(this.#placed(make.each(this.step(spec.body), { batch: spec.batch }), spec.on, spec.most), spec.policy, spec.count));
      }
      case 'dag':
        return this.#placed(make.dag(Object.fromEntries(spec.nodes.map(({ step, needs }, at) => [`n${at}`, make.node(this.step(step), { needs: needs.map((need) => `n${need}`) })]))), spec.on, undefined);
      case 'sleep':
        return make.sleep(spec.ms);
      case 'wait':
        return make.waitFor(spec.id);
      case 'timeout':
        return make.waitFor(spec.id, { timeout: spec.ms }).recover(`${spec.id}x`, () => mix(spec.id, 'too late'));
      case 'flow':
        return new Workflow(this.#environment, spec.id, this.step(spec.body) as never, { uses: this.uses }) as unknown as AnyStep;
      case 'recover':
        return make.sequence(this.step(spec.body)).recover(spec.id, () => mix(spec.id, 'mended'));
    }
  }

  #placed(group: AnyStep, on: Place, most: number | undefined): AnyStep {
    const concurrency = most === undefined ? {} : { concurrency: most };
    if (on === 'direct') return group.withExecution({ backend: 'direct' });
    if (this.#everywhere === 'local' || on === 'local') return group.withExecution({ backend: 'local', ...concurrency });
    return group.withExecution({ backend: 'redis', ...concurrency, backendConfig: { url: 'redis://simulated', ...(on === 'other' && { queue: 'other' }) } });
  }

  #task({ id, act, failures, delayMs, takesMs, saves }: Extract<Spec, { kind: 'task' }>): AnyStep {
    const run = (input: Json | undefined, ctx: TaskContext<unknown>): unknown => {
      if (saves) ctx.checkpoint();
      if (act === 'fail' || ctx.attempt <= failures) {
        // What a failed attempt did to the channel must leave nothing behind.
        ctx.channel.add('sum', 1000);
        throw new Error(`${id} fails`);
      }
      return this.#act(act, id, input, ctx);
    };
    const attempts = act === 'hang' ? failures + 2 : failures + 1;
    const retry = attempts === 1 ? {} : { retry: { attempts, delay: delayMs } };
    return this.#staged(id, takesMs, run, { ...retry, ...(act === 'hang' && { timeout: HANG_MS }) }, act === 'hang' ? failures + 1 : 0);
  }

  #act(act: Act, id: string, input: Json | undefined, ctx: TaskContext<unknown>): unknown {
    const value = mix(id, input);
    switch (act) {
      case 'nothing':
        return undefined;
      case 'iterate':
        return ctx.iteration < ITERATIONS ? ctx.nextIteration(value as never) : value;
      case 'goto':
        return ctx.goto(this.#landing as never, value as never);
      case 'terminate':
        return ctx.terminate(value);
      case 'spawn':
        ctx.nextTask(this.#side as never, value as never);
        return value;
      case 'stray':
        ctx.nextTask(this.#stray as never, value as never);
        return value;
      case 'add':
        ctx.channel.add('sum', value % 100);
        return value;
      case 'cancel':
        return ctx.cancel('enough');
      case 'ask':
        return this.#ask(id, value, ctx);
      default:
        return value;
    }
  }

  async #ask(id: string, value: number, ctx: TaskContext<unknown>): Promise<number> {
    const answer = await ctx.ask<number>(`ask-${id}`);
    this.#stage.answered(id, ctx);
    return value + answer;
  }

  /** `hangs`: the attempt that never ends by itself; one that has a time limit takes no time otherwise. */
  #staged(id: string, takesMs: number, run: (input: Json | undefined, ctx: TaskContext<unknown>) => unknown, options: object = {}, hangs = 0): AnyStep {
    const stage = this.#stage;
    const staged = async (input: Json | undefined, ctx: TaskContext<unknown>): Promise<unknown> => {
      stage.begins(id, ctx, input);
      if (ctx.attempt === hangs) await new Promise(() => undefined);
      if (takesMs > 0 && hangs === 0) await stage.spend(takesMs);
      const result = await run(input, ctx);
      stage.ends(id, ctx);
      return result;
    };
    return make.task(id, staged, options);
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
  }
}

/** The names that `waitFor` steps wait for. */
export function waitsIn(spec: Spec): readonly string[] {
  switch (spec.kind) {
    case 'wait':
      return [spec.id];
    case 'sequence':
      return spec.steps.flatMap(waitsIn);
    case 'parallel':
      return spec.members.flatMap(waitsIn);
    case 'dag':
      return spec.nodes.flatMap(({ step }) => waitsIn(step));
    case 'each':
    case 'flow':
    case 'recover':
      return waitsIn(spec.body);
    default:
      return [];
  }
}
