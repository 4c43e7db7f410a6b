/** The pieces that a token's execution and a range member's have in common. */
import { TaskTimeoutError, WorkflowCancelledError, reviveError } from '../core/errors.ts';
import type { TaskNode } from '../core/graph.ts';
import type { Json } from '../core/json.ts';
import { isRetryable } from '../core/retry.ts';
import type { Outcome } from '../../machines/index.ts';
import type { Backend, Environment, TaskNote } from '../ports.ts';
import type { WorkflowCode } from './code.ts';
import { unknownTask } from './errors.ts';
import { Invocation, type Call } from './invocation.ts';
import type { Observers, TaskPlace } from './observer.ts';

/** What all executions of a run share. */
export interface Site {
  readonly code: WorkflowCode;
  readonly environment: Environment;
  readonly observers: Observers;
  runId: string;
  /** The newest channel that the machine has told of. */
  channel: Readonly<Record<string, Json>>;
}

/** One execution that can be aborted. */
export interface Abortable {
  abort(reason: unknown): void;
}

export function callOf(site: Site, place: TaskPlace, input: Json | undefined): Call {
  const { task: node, attempt, iteration, key } = place;
  return {
    runId: site.runId,
    workflow: site.code.workflow,
    node,
    input,
    attempt,
    iteration,
    key,
    channel: site.channel,
    resolve: (step, from) => site.code.resolve(step, from),
    note: site.observers.watched ? (note) => tellNote(site, place, note) : undefined,
  };
}

/**
 * Runs one execution by the slow road: with a time limit, on a backend, or watched. Resolves with the outcome; never
 * rejects. `register` is given the way to abort it.
 */
export async function execute(site: Site, place: TaskPlace, node: TaskNode, input: Json | undefined, backend: Backend | undefined, register: (abortable: Abortable) => void): Promise<Outcome> {
  const { clock } = site.environment;
  const startedAt = clock.now();
  if (site.observers.watched) site.observers.tell({ type: 'task.started', at: startedAt, ...place });
  const outcome = await limited(site, place, node, input, backend, register);
  if (site.observers.watched) tellOutcome(site, place, node, outcome, clock.now() - startedAt);
  return outcome;
}

async function limited(site: Site, place: TaskPlace, node: TaskNode, input: Json | undefined, backend: Backend | undefined, register: (abortable: Abortable) => void): Promise<Outcome> {
  const run = backend === undefined ? here(site, place, input) : remote(site, place, input, backend);
  register(run);
  const { timeoutMs } = node;
  if (timeoutMs === undefined) return run.outcome();
  return new Promise((resolve) => {
    const cancel = site.environment.clock.after(timeoutMs, () => {
      const error = new TaskTimeoutError('task/timeout', `task "${node.id}" of workflow "${site.code.workflow}" took longer than its timeout of ${timeoutMs} ms`, {
        hint: 'raise { timeout }, or let the task stop earlier by watching ctx.signal',
        details: { taskId: node.id, timeoutMs },
      });
      run.abort(error);
      resolve(run.fail(error));
    });
    void run.outcome().then((outcome) => {
      cancel();
      resolve(outcome);
    });
  });
}

interface Runnable extends Abortable {
  outcome(): Promise<Outcome>;
  fail(thrown: unknown): Outcome;
}

function here(site: Site, place: TaskPlace, input: Json | undefined): Runnable {
  const invocation = new Invocation(callOf(site, place, input));
  const fail = (thrown: unknown): Outcome => invocation.fail(thrown, site.environment.random.next());
  return {
    fail,
    abort: (reason) => invocation.abort(reason),
    async outcome() {
      try {
        const implementation = site.code.implementation(place.task);
        if (implementation === undefined) throw unknownTask(site.code, place.task);
        return invocation.settle(await invocation.begin(implementation));
      } catch (thrown) {
        return fail(thrown);
      }
    },
  };
}

function remote(site: Site, place: TaskPlace, input: Json | undefined, backend: Backend): Runnable {
  const controller = new AbortController();
  const invocation = new Invocation(callOf(site, place, input));
  const fail = (thrown: unknown): Outcome => invocation.fail(thrown, site.environment.random.next());
  return {
    fail,
    abort: (reason) => controller.abort(reason),
    async outcome() {
      try {
        const { attempt, iteration, key, task: node } = place;
        const outcome = (await backend.run({
          workflow: site.code.workflow, runId: site.runId, node, input, attempt, iteration, idempotencyKey: `${site.runId}/${key}`,
          channel: site.channel, signal: controller.signal, note: (note) => tellNote(site, place, note),
        })) as Outcome;
        if ('fragments' in outcome && outcome.fragments !== undefined) site.code.restore(outcome.fragments);
        return outcome.kind === 'failed' ? { ...outcome, random: site.environment.random.next() } : outcome;
      } catch (thrown) {
        return fail(thrown);
      }
    },
  };
}

function tellNote(site: Site, place: TaskPlace, note: TaskNote): void {
  const at = site.environment.clock.now();
  if (note.kind === 'progress') site.observers.tell({ type: 'task.progress', at, ...place, done: note.done, total: note.total, note: note.note });
  else site.observers.tell({ type: 'task.log', at, ...place, level: note.level, message: note.message, data: note.data });
}

function tellOutcome(site: Site, place: TaskPlace, node: TaskNode, outcome: Outcome, durationMs: number): void {
  const at = site.environment.clock.now();
  if (outcome.kind !== 'failed') {
    if (outcome.kind !== 'cancel') site.observers.tell({ type: 'task.completed', at, ...place, durationMs });
    return;
  }
  const final = !isRetryable(outcome.error) || place.attempt >= (node.retry?.attempts ?? 1);
  site.observers.tell({ type: 'task.failed', at, ...place, error: reviveError(outcome.error), final, durationMs });
}

/** Why an execution was aborted, as its `ctx.signal.reason`. */
export function abortedReason(site: Site): WorkflowCancelledError {
  return new WorkflowCancelledError('run/cancelled', `the result of this task is not wanted any more by workflow "${site.code.workflow}"`, {
    details: { runId: site.runId },
  });
}
