/** The pieces that a token's execution and a range member's have in common. */
import { TaskTimeoutError, WorkflowCancelledError, reviveError } from '../core/errors.ts';
import type { NodeId, TaskNode } from '../core/graph.ts';
import type { Json } from '../core/json.ts';
import { isRetryable } from '../core/retry.ts';
import { executionKey, type Outcome } from '../../machines/index.ts';
import type { Backend, Environment, TaskNote } from '../ports.ts';
import type { WorkflowCode } from './code.ts';
import { unknownTask } from './errors.ts';
import { embeddedNames } from './find.ts';
import { Invocation, type Resolved, type Scene, type Spot } from './invocation.ts';
import type { Observers, TaskPlace } from './observer.ts';

/** What all executions of a run share. */
export class Site implements Scene {
  readonly code: WorkflowCode;
  readonly environment: Environment;
  readonly observers: Observers;
  readonly runId: string;
  channel: Readonly<Record<string, Json>> = {};

  constructor(code: WorkflowCode, environment: Environment, observers: Observers, runId: string) {
    this.code = code;
    this.environment = environment;
    this.observers = observers;
    this.runId = runId;
  }

  get workflow(): string {
    return this.code.workflow;
  }

  resolve(step: object, from: NodeId): Resolved {
    return this.code.resolve(step, from);
  }

  hears(note: TaskNote, spot: Spot, index: number | undefined): void {
    if (!this.observers.heard) return;
    const key = index === undefined ? executionKey(spot) : `${executionKey(spot)}.${index}`;
    tellNote(this, { task: spot.node, key, attempt: spot.attempt, iteration: spot.iteration }, note);
  }
}

/** One execution, with what identifies it to the machine. */
export interface Job {
  readonly place: TaskPlace;
  readonly node: TaskNode;
  readonly input: Json | undefined;
  readonly answers?: Spot['answers'];
  /** Where it runs, if not here. */
  readonly backend: Backend | undefined;
}

function invocationOf(site: Site, job: Job): Invocation {
  const { place } = job;
  const { task: node, attempt, iteration } = place;
  const spot = { scene: site, note: (note: TaskNote) => tellNote(site, place, note), node, attempt, iteration, id: 0, hop: 0, path: place.key, answers: job.answers };
  return new Invocation(spot, job.input, undefined);
}

/** One execution that can be aborted. */
export interface Abortable {
  abort(reason: unknown): void;
}

/**
 * Runs one execution by the slow road: with a time limit, on a backend, or watched. Resolves with the outcome; never
 * rejects. `register` is given the way to abort it.
 */
export async function execute(site: Site, job: Job, register: (abortable: Abortable) => void): Promise<Outcome> {
  const { place, node } = job;
  const { clock } = site.environment;
  let startedAt: number | undefined;
  const started = (): number => {
    startedAt = clock.now();
    if (site.observers.watched) site.observers.tell({ type: 'task.started', at: startedAt, ...place });
    return startedAt;
  };
  const outcome = await limited(site, job, register, started);
  startedAt ??= started();
  if (site.observers.watched) tellOutcome(site, place, node, outcome, clock.now() - startedAt);
  return outcome;
}

/** The time limit counts from where the function begins, not from where a backend's queue does. */
async function limited(site: Site, job: Job, register: (abortable: Abortable) => void, started: () => void): Promise<Outcome> {
  const { node, backend } = job;
  const run = backend === undefined ? here(site, job) : remote(site, job, backend);
  const { timeoutMs } = node;
  if (timeoutMs === undefined) {
    register(run);
    return run.outcome(started);
  }
  return new Promise((resolve) => {
    let cancel: (() => void) | undefined;
    let aborted = false;
    // A task that was aborted may never settle: its timer must not keep the process and the run until it fires.
    const abort = (reason: unknown): void => {
      aborted = true;
      cancel?.();
      run.abort(reason);
    };
    register({ abort });
    const expire = (): void => {
      const error = new TaskTimeoutError('task/timeout', `task "${node.id}" of workflow "${site.code.workflow}" took longer than its timeout of ${timeoutMs} ms`, {
        hint: 'raise { timeout }, or let the task stop earlier by watching ctx.signal',
        details: { taskId: node.id, timeoutMs },
      });
      run.abort(error);
      resolve(run.fail(error));
    };
    const begin = (): void => {
      started();
      if (!aborted) cancel = site.environment.clock.after(timeoutMs, expire);
    };
    void run.outcome(begin).then((outcome) => {
      cancel?.();
      resolve(outcome);
    });
  });
}

interface Runnable extends Abortable {
  /** `started` is called once the function begins. */
  outcome(started: () => void): Promise<Outcome>;
  fail(thrown: unknown): Outcome;
}

function here(site: Site, job: Job): Runnable {
  const invocation = invocationOf(site, job);
  const { place } = job;
  const fail = (thrown: unknown): Outcome => invocation.fail(thrown, site.environment.random.next());
  return {
    fail,
    abort: (reason) => invocation.abort(reason),
    async outcome(started) {
      started();
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

function remote(site: Site, job: Job, backend: Backend): Runnable {
  const controller = new AbortController();
  const invocation = invocationOf(site, job);
  const { place, input } = job;
  const fail = (thrown: unknown): Outcome => invocation.fail(thrown, site.environment.random.next());
  return {
    fail,
    abort: (reason) => controller.abort(reason),
    async outcome(started) {
      try {
        const { attempt, iteration, key, task: node } = place;
        const outcome = (await backend.run({
          workflow: site.code.workflow, node, embedded: embeddedNames((id) => site.code.node(id), node), declared: site.code.definition.graph.nodes[node] !== undefined,
          runId: site.runId, input, attempt, iteration, idempotencyKey: `${site.runId}/${key}`, answers: job.answers, channel: site.channel, signal: controller.signal, started, note: (note) => tellNote(site, place, note),
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
