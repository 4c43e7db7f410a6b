/** What a graph gives when all of its groups run in one process and nothing goes wrong, and what its tasks do meanwhile. */
import { isTaskchartError, serializeError } from '../../src/core/errors.ts';
import type { Json } from '../../src/core/json.ts';
import { Vec } from '../../machines/index.ts';
import type { Environment } from '../../src/ports.ts';
import type { TaskContext } from '../../src/define/context.ts';
import { seededRandom } from '../../src/testing.ts';
import { answerTo, buildGraph, type Graph, type Stage } from './graphs.ts';
import { Kernel } from './kernel.ts';

interface Ending {
  readonly kind: 'failed' | 'cancelled';
  readonly code: string;
  readonly message: string;
}

export type Outcome = { readonly kind: 'completed'; readonly output: string } | Ending;

export interface Expected {
  readonly outcome: Outcome;
  /** What each task execution is known by, and how often it begins. */
  readonly executions: ReadonlyMap<string, number>;
  /** How many answers are used up, by signal. */
  readonly signals: ReadonlyMap<string, number>;
}

const LONGEST_MS = 600_000;

export async function expectedOf(seed: number, runId: string, flow: string, graph: Graph): Promise<Expected> {
  const kernel = new Kernel(seed);
  const lane = kernel.lane('local');
  const executions = new Map<string, number>();
  const count = (name: string): void => void executions.set(name, (executions.get(name) ?? 0) + 1);
  const stage: Stage = {
    begins: (id, ctx, input) => count(executionName(id, ctx, input)),
    answered: (id, ctx) => count(`${executionName(id, ctx, undefined)} answered`),
    spend: (ms) => new Promise((resolve) => void lane.after(ms, resolve)),
    ends: () => undefined,
  };
  let ids = 0;
  const environment: Environment = { clock: lane, random: seededRandom(seed), newId: () => `id${(ids += 1)}`, owner: { host: 'local', pid: 1 }, backends: {} };
  emptyRegistry();
  const workflow = buildGraph(flow, graph, environment, stage, 'local');
  kernel.current = lane;
  const run = workflow.start(graph.input, { runId });
  let outcome: Outcome | undefined;
  run.result.then((output) => (outcome = completed(output)), (error: unknown) => (outcome = failed(error)));
  const signals = new Map<string, number>();
  const waiting = (): readonly string[] => [...Vec.values(run.actor.getSnapshot().context.waits)].map(({ signal }) => signal).filter(isAnswered);
  const until = kernel.now + LONGEST_MS;
  while (outcome === undefined && kernel.now < until) {
    await kernel.run(() => outcome !== undefined || waiting().length > 0, until - kernel.now);
    for (const signal of waiting()) {
      signals.set(signal, (signals.get(signal) ?? 0) + 1);
      run.signal(signal, answerTo(signal));
    }
  }
  if (outcome === undefined) throw new Error(`the graph does not end on the backend local: ${JSON.stringify(run.status())} ${JSON.stringify(graph)}`);
  return { outcome, executions, signals };
}

/** Whether somebody answers to a signal: nobody does where the graph waits for its timeout. */
export function isAnswered(signal: string): boolean {
  return !signal.startsWith('late');
}

export function executionName(id: string, { idempotencyKey, attempt, iteration }: TaskContext<unknown>, input: Json | undefined): string {
  return `${id} ${idempotencyKey} ${attempt} ${iteration} ${JSON.stringify(input) ?? ''}`;
}

export function completed(output: unknown): Outcome {
  return { kind: 'completed', output: JSON.stringify(output) ?? '' };
}

export function failed(thrown: unknown): Ending {
  const { code = '', message } = serializeError(thrown);
  return { kind: isTaskchartError(thrown) && thrown.code === 'run/cancelled' ? 'cancelled' : 'failed', code, message };
}

/** Which tasks and workflows there are is known by process: here is a new one. */
export function emptyRegistry(): void {
  delete (globalThis as { [key: symbol]: unknown })[Symbol.for('taskchart.registry')];
}
