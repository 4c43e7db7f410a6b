/**
 * Runs whose groups go over a real Redis to a real worker, in virtual time: for the cut harness.
 *
 * Owns: a clock that knows when Redis and the worker have nothing left to say, a worker for each life of a run, what a cut
 * may repeat there. Does not own: the cases, the harness (cuts.ts).
 *
 * Invariants
 * 1. Time moves only when neither the coordinator nor the worker waits for an answer of Redis, and nothing has happened
 *    while Redis answered something else.
 * 2. A workflow is built once: a worker in the same process finds its code by its id.
 * 3. When a run is over nothing of it is in Redis.
 */
import { expect } from 'vitest';
import type { Redis } from 'ioredis';
import type { AnyActorRef, InspectionEvent } from 'xstate';
import type { Workflow } from 'taskchart';
import { createTaskQueue, TaskWorker, type RedisTaskQueue } from 'taskchart/redis';
import { eventually } from '../../redis/worker-process.ts';
import { TestClock } from './clock.ts';
import type { Cut, CutCase, Home } from './cuts.ts';
import { leavePlace, redisConfig, placeClient } from './redis-place.ts';
import { Trace, type TraceEntry } from './trace.ts';

/** Answers of Redis during which nothing else may happen before time moves. */
const CALM = 3;
/** A worker's own times are out of the way of those of the cases. */
const LONG_MS = 1_000_000_000;

class RedisClock extends TestClock {
  readonly #home: RedisHome;

  constructor(home: RedisHome, startAt?: number) {
    super(startAt);
    this.#home = home;
  }

  override async quiet(): Promise<void> {
    for (let calm = 0; calm < CALM; calm += 1) {
      const before = this.#home.happened;
      await super.quiet();
      await this.#home.ping();
      await super.quiet();
      if (this.#home.happened !== before || this.#home.asking) calm = -1;
    }
  }
}

export class RedisHome implements Home {
  readonly remote = true;
  readonly most: number;
  readonly checkExecutions = checkRemoteExecutions;
  /** Counts everything that actors hear, in the run, its coordinators, the worker and its branches. */
  happened = 0;
  readonly options = { inspect: (event: InspectionEvent): void => this.#saw(event) };
  readonly #client: Redis = placeClient();
  readonly #flows = new Map<CutCase, { readonly front: Trace; readonly flow: Workflow<string, never, unknown> }>();
  #coordinators = new Set<AnyActorRef>();
  #queue: RedisTaskQueue | undefined;
  #worker: TaskWorker | undefined;

  constructor(most: number) {
    this.most = most;
  }

  get asking(): boolean {
    if (this.#worker?.actor.getSnapshot().context.call !== null) return true;
    return [...this.#coordinators].some((coordinator) => {
      const { status, context } = coordinator.getSnapshot() as { readonly status: string; readonly context: { readonly command: unknown } };
      return status === 'active' && context.command !== null;
    });
  }

  async ping(): Promise<void> {
    await this.#client.ping();
  }

  async enter(startAt?: number): Promise<TestClock> {
    const clock = new RedisClock(this, startAt);
    this.#coordinators = new Set();
    this.#queue = createTaskQueue({ backend: 'redis', ...redisConfig('here') });
    this.#worker = new TaskWorker({ queue: this.#queue, id: 'worker', clock, leaseMs: LONG_MS, reapMs: LONG_MS, waitMs: 60_000, blockedMs: 0, inspect: this.options.inspect });
    await this.#worker.start();
    return clock;
  }

  flow(test: CutCase, trace: Trace): Workflow<string, never, unknown> {
    let known = this.#flows.get(test);
    if (known === undefined) {
      const front = new Trace(`case${this.#flows.size}`);
      known = { front, flow: test.make(front) };
      this.#flows.set(test, known);
    }
    known.front.follower = trace;
    return known.flow;
  }

  async leave(): Promise<void> {
    await this.#worker?.stop();
    // What its worker has left waits there still, unless its connection ends.
    await this.#queue?.close();
    const { namespace } = redisConfig('here');
    const left = async (): Promise<readonly string[]> => (await this.#client.keys(`*{${namespace}}:*`)).filter((key) => !key.endsWith(':workers'));
    const clean = async (): Promise<boolean> => (await left()).length === 0;
    await eventually('nothing of the run is left in Redis', clean, 10_000).catch(async () => expect(await left()).toEqual([]));
  }

  async close(): Promise<void> {
    await leavePlace();
  }

  #saw({ type, actorRef }: InspectionEvent): void {
    this.happened += 1;
    if (type === '@xstate.actor' && (actorRef as AnyActorRef).id === 'coordinator') this.#coordinators.add(actorRef as AnyActorRef);
  }
}

/**
 * What holds of executions on a worker whose run has no journal: a member whose end the run has not heard of begins again,
 * with the keys that it had; what the run has heard of is over.
 */
function checkRemoteExecutions(cut: Cut, after: readonly TraceEntry[], drops: boolean, place: string): void {
  const again = new Map(after.filter(({ what }) => what === 'start').map((entry) => [`${entry.key} #${entry.attempt}`, entry]));
  const ended = new Set(cut.before.filter(({ what }) => what === 'end').map(({ key }) => key));
  for (const { what, task, key, attempt, input, iteration } of cut.before) {
    if (what === 'end') continue;
    const where = `${place}: ${task} ${key} #${attempt}`;
    const same = again.get(`${key} #${attempt}`);
    if (same !== undefined) {
      expect({ task: same.task, input: same.input, iteration: same.iteration }, where).toEqual({ task, input, iteration });
      expect(cut.told, `${where} was over, and ran again`).not.toContain(key);
    } else if (!ended.has(key) && !drops) expect([...again.values()].map((entry) => entry.key), `${where} was in flight, and did not run again`).toContain(key);
  }
  const starts = after.filter(({ what }) => what === 'start').map(({ key, attempt }) => `${key} #${attempt}`);
  expect(starts.length, `${place}: an execution ran twice after the cut`).toBe(new Set(starts).size);
}
