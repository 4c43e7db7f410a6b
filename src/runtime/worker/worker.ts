/**
 * TaskWorker: a worker machine with its actors, and words for what people do to it.
 *
 * Owns: starting, draining, status, listeners, logs, the lease for a blocked thread. Does not own: how it works (the
 * machine and units.ts), the queue's connection (whoever made the queue closes it).
 *
 * Invariants
 * 1. It takes units from a Redis task queue and from nothing else.
 * 2. `ended` settles once, and never rejects; what awaits an end rejects with the reason where that was none of its own.
 * 3. A listener or a logger that throws disturbs nobody.
 */
import { createActor, type Actor } from 'xstate';
import { TaskchartError, reviveError } from '../../core/errors.ts';
import { knownIds } from '../../define/registry.ts';
import { createWorkerMachine, workerState, type UnitEnd, type WorkerContext, type WorkerMachine, type WorkerState, type WorkerVerdict } from '../../../machines/index.ts';
import type { Environment, LeaseKeeper, Logger, WorkerIdentity } from '../../ports.ts';
import { TaskFinder } from '../find.ts';
import { harmless, type Inspect } from '../inspection.ts';
import { createWorkerActors } from './actors.ts';
import { checkWorker, type CheckedWorker, type TaskWorkerOptions } from './options.ts';
import { Places } from './places.ts';
import { RunCodes } from './run-code.ts';

/** What a worker tells those who listen. Hints for people: nothing depends on them. */
export type WorkerNews = { /** Milliseconds since the epoch. */ readonly at: number } & (
  | { readonly type: 'worker.state'; readonly state: WorkerState }
  | { readonly type: 'unit.started'; readonly slot: number; readonly run: string; readonly unit: string; readonly task: string; readonly attempt: number }
  | { readonly type: 'unit.ended'; readonly slot: number; readonly header: string; readonly how: UnitEnd['kind'] }
);

export interface RunningUnit {
  readonly slot: number;
  readonly run: string;
  readonly unit: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** It has ended, and the lists have not taken that in. */
  readonly ended: boolean;
}

export interface WorkerStatus {
  readonly id: string;
  readonly queue: string;
  readonly state: WorkerState;
  readonly concurrency: number;
  /** The last successful step is not older than the lease. */
  readonly healthy: boolean;
  /** When that was, in milliseconds since the epoch. */
  readonly lastStepAt: number | undefined;
  readonly running: readonly RunningUnit[];
  /** Units that waited in the queue at the last step. */
  readonly pending: number;
  /** Results that the lists have taken in, and those that they have not. */
  readonly served: number;
  readonly refused: number;
  /** Why the lists cannot be reached. */
  readonly problem: string | undefined;
  readonly workflows: readonly string[];
  readonly tasks: readonly string[];
}

const REFUSAL_LOG_MS = 5000;

export class TaskWorker {
  readonly id: string;
  /** The XState actor, for everything that XState can do with one. */
  readonly actor: Actor<WorkerMachine>;
  /** How it ended: drained, its id taken, or failed. Never rejects. */
  readonly ended: Promise<WorkerVerdict>;
  readonly #options: CheckedWorker;
  readonly #environment: Environment;
  readonly #identity: WorkerIdentity;
  readonly #logger: Logger | undefined;
  readonly #finder = new TaskFinder();
  readonly #listeners = new Set<(news: WorkerNews) => void>();
  #keeper: LeaseKeeper | undefined;
  #refusalLoggedAt = 0;
  #started: Promise<void> | undefined;
  #over = false;

  constructor(options: TaskWorkerOptions, environment: Environment) {
    const { clock = environment.clock, random = environment.random, logger, inspect = environment.inspect?.() as Inspect | undefined } = options;
    this.#options = checkWorker(options, environment);
    this.#finder.keep();
    this.#environment = { ...environment, clock, random };
    this.#logger = logger;
    const { id, queue, concurrency, leaseMs, deliveries, drainMs, reapMs, waitMs } = this.#options;
    this.id = id;
    this.#identity = { worker: id, nonce: environment.newId(), queue: queue.name, slots: concurrency };
    const machine = createWorkerMachine().provide({ actors: this.#actors(inspect) });
    this.actor = createActor(machine, { id, input: { ...this.#identity, leaseMs, deliveries, drainMs, reapMs, waitMs }, ...(inspect && { inspect: harmless(inspect) }) });
    this.ended = new Promise((resolve) => this.#watch(resolve));
  }

  /** Begins to work; resolves when the worker is registered. Rejects where it cannot work at all: the reason says why. */
  start(): Promise<void> {
    return (this.#started ??= this.#begin());
  }

  /** Claims nothing new, lets units finish or hands them over, and leaves. A second call gives back what is left. */
  drain(): Promise<void> {
    return this.#leave({ type: 'DRAIN', at: this.#environment.clock.now() });
  }

  /** Gives everything back now, and leaves. */
  stop(): Promise<void> {
    return this.#leave({ type: 'STOP', at: this.#environment.clock.now() });
  }

  status(): WorkerStatus {
    const { context } = this.actor.getSnapshot();
    const { worker, queue, slots, steppedAt, leaseMs, places, pending, served, refused, problem } = context;
    const running = places.flatMap((place, slot) => (place === null ? [] : [{ slot, run: place.run, unit: place.id, since: place.since, ended: place.ack !== undefined }]));
    return {
      id: worker, queue, state: workerState(context), concurrency: slots,
      healthy: context.verdict === null && steppedAt !== null && this.#environment.clock.now() - steppedAt <= leaseMs,
      lastStepAt: steppedAt ?? undefined,
      running, pending, served, refused,
      problem: problem?.message,
      workflows: knownIds('workflows'),
      tasks: knownIds('tasks'),
    };
  }

  /** Calls `listener` for everything that happens from now on; returns the way to stop. */
  on(listener: (news: WorkerNews) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #actors(inspect: Inspect | undefined): ReturnType<typeof createWorkerActors> {
    const { queue, concurrency, leaseMs, deliveries, unknownTaskMs } = this.#options;
    const { lists, signals } = queue.transport;
    const environment = this.#environment;
    const { clock, random } = environment;
    const places = new Places({ lists, clock, random, codes: new RunCodes(this.#finder, queue.name, environment) });
    const units = {
      worker: this.id, queue: queue.name, slots: concurrency, transport: queue.transport, environment, places, inspect, unknownTaskMs,
      began: (slot: number, { run, id, attempt, body }: { run: string; id: string; attempt: number; body: { entry: string } }) => {
        if (this.#listeners.size > 0) this.#tell({ type: 'unit.started', at: clock.now(), slot, run, unit: id, task: body.entry, attempt });
      },
      ended: (end: UnitEnd) => this.#unitEnded(end),
    };
    return createWorkerActors({ identity: this.#identity, leaseMs, deliveries, lists, signals, clock, random, units });
  }

  #begin(): Promise<void> {
    if (knownIds('tasks').length + knownIds('workflows').length === 0) {
      return Promise.reject(new TaskchartError('worker/no-tasks', `worker "${this.id}" has no task that it could execute: nothing that this process has loaded defines one`, {
        hint: 'import the modules that define the workflows or tasks before the worker starts: taskchart worker ./tasks.js',
      }));
    }
    this.#finder.keep();
    const registered = new Promise<void>((resolve, reject) => {
      const { unsubscribe } = this.actor.subscribe(({ context }) => {
        if (context.link !== 'open' && context.verdict === null) return;
        unsubscribe();
        if (context.verdict === null || context.verdict.kind === 'drained') resolve();
        else reject(reviveError(context.verdict.error));
      });
    });
    const { queue, leaseMs, blockedMs } = this.#options;
    this.#keeper = blockedMs > 0 ? queue.transport.keepLease?.({ ...this.#identity, leaseMs, blockedMs }) : undefined;
    // The very first task may block this thread: then it is too late to look for another one.
    if (this.#keeper === undefined) this.actor.start();
    else void this.#keeper.ready.then(() => this.actor.start());
    return registered;
  }

  async #leave(event: { readonly type: 'DRAIN' | 'STOP'; readonly at: number }): Promise<void> {
    if (this.#started === undefined) {
      this.actor.start();
      this.#started = Promise.resolve();
    }
    if (!this.#over) this.actor.send(event);
    const verdict = await this.ended;
    if (verdict.kind !== 'drained') throw reviveError(verdict.error);
  }

  #watch(resolve: (verdict: WorkerVerdict) => void): void {
    let before = this.actor.getSnapshot().context;
    let state = workerState(before);
    this.actor.subscribe({
      next: ({ context }) => {
        // The lease was refreshed from here: whoever keeps it for a blocked thread need not.
        if (context.steppedAt !== before.steppedAt) this.#keeper?.beat();
        const now = workerState(context);
        if (now !== state) this.#tell({ type: 'worker.state', at: context.at, state: now });
        this.#log(before, context);
        state = now;
        before = context;
        if (context.verdict !== null) this.#end(context.verdict, resolve);
      },
      // Nothing of ours throws into the machine; if it did, the units come back when the lease has run out.
      error: (error) => this.#end({ kind: 'failed', error: { name: 'InvariantError', code: 'invariant/broken', message: `worker "${this.id}" broke down: ${String(error)}` } }, resolve),
      complete: () => this.#end({ kind: 'failed', error: { name: 'TaskchartError', code: 'run/stopped', message: `worker "${this.id}" was stopped before it had given back what it had` } }, resolve),
    });
  }

  #end(verdict: WorkerVerdict, resolve: (verdict: WorkerVerdict) => void): void {
    if (this.#over) return;
    this.#over = true;
    this.#keeper?.close();
    resolve(verdict);
  }

  #unitEnded(end: UnitEnd): void {
    const at = this.#environment.clock.now();
    const { slot, header, kind, text } = end;
    if (this.#listeners.size > 0) this.#tell({ type: 'unit.ended', at, slot, header, how: kind });
    if (kind === 'dead') this.#write('warn', 'a list held what is no unit of work; it was moved to the dead ones', { header, reason: text.slice(0, 200) });
    else if (end.refused === true && at - this.#refusalLoggedAt >= REFUSAL_LOG_MS) {
      this.#refusalLoggedAt = at;
      this.#write('warn', 'a unit went back to the queue: its task is not known to this worker', { header });
    }
  }

  #log(before: WorkerContext, now: WorkerContext): void {
    if (before.link !== 'open' && now.link === 'open') {
      this.#write('info', before.steppedAt === null ? 'the worker is registered' : 'the connection is back', { queue: now.queue, concurrency: now.slots });
    }
    if (now.failures > before.failures) {
      const { code, message } = now.problem ?? {};
      this.#write(now.failures === 1 ? 'warn' : 'debug', 'the lists cannot be reached; trying again', { failures: now.failures, code, reason: message });
    }
    if (before.drain === null && now.drain !== null) this.#write('info', 'draining', { running: now.places.filter((place) => place !== null).length });
    if (now.refused > before.refused) this.#write('warn', 'a result was not accepted: its run has ended, or the unit is with another worker', { refused: now.refused });
    if (now.verdict !== null) {
      const { kind } = now.verdict;
      const error = kind === 'drained' ? undefined : now.verdict.error;
      this.#write(error === undefined ? 'info' : 'error', error === undefined ? 'drained' : error.message, { served: now.served, ...(error && { code: error.code, hint: error.hint }) });
    }
  }

  #write(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>): void {
    try {
      this.#logger?.log(level, message, { worker: this.id, ...fields });
    } catch {
      // Who logs must not stop who works.
    }
  }

  #tell(news: WorkerNews): void {
    for (const listener of this.#listeners) {
      try {
        listener(news);
      } catch (thrown) {
        this.#listeners.delete(listener);
        console.error('taskchart: a worker listener threw and was removed:', thrown);
      }
    }
  }
}
