/**
 * What a worker can be told, checked where it is given.
 *
 * Owns: names, defaults and limits of the options. Does not own: what they do (worker.ts).
 *
 * Invariants
 * 1. Every refusal names the option and shows the value, but for the queue, which may hold secrets.
 * 2. An id that is made is in the grammar of those that are given.
 */
import { TaskchartError } from '../../core/errors.ts';
import { badOption, durationOption, integerOption, optionsObject, textOption } from '../../core/options.ts';
import type { Clock, Environment, Logger, Random, TaskQueue } from '../../ports.ts';
import type { Inspect } from '../inspection.ts';
import type { RedisTaskQueue } from './queue.ts';

export interface TaskWorkerOptions {
  /** Made by `createTaskQueue({ backend: 'redis', … })`; the worker does not close it. */
  readonly queue: TaskQueue;
  /** Units at a time; default 16. */
  readonly concurrency?: number | undefined;
  /** Default: host, process id and something random. Letters, digits, `.`, `_`, `-`; never used by two processes at once. */
  readonly id?: string | undefined;
  /** How long the worker counts as live after its last sign; default 10,000. */
  readonly leaseMs?: number | undefined;
  /** How often a unit is handed out before it is given up; default 3. */
  readonly deliveries?: number | undefined;
  /** How long units may go on after a drain has begun; default 25,000. */
  readonly drainMs?: number | undefined;
  /** How often the units of dead workers are looked for; default half the lease. */
  readonly reapMs?: number | undefined;
  /** How long an idle worker's blocking wait lasts; default 2,000. */
  readonly waitMs?: number | undefined;
  /** A unit whose task no live worker knows fails after this; default 10,000. */
  readonly unknownTaskMs?: number | undefined;
  /** How long the lease is kept for a task that blocks the event loop; default 60,000. */
  readonly blockedMs?: number | undefined;
  readonly logger?: Logger | undefined;
  /** XState's own option: sees every event and snapshot of the worker's actors, and of the branches that it executes. */
  readonly inspect?: Inspect | undefined;
  /** For tests: another time, other randomness. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

export interface CheckedWorker {
  readonly queue: RedisTaskQueue;
  readonly id: string;
  readonly concurrency: number;
  readonly leaseMs: number;
  readonly deliveries: number;
  readonly drainMs: number;
  readonly reapMs: number;
  readonly waitMs: number;
  readonly unknownTaskMs: number;
  readonly blockedMs: number;
}

const names = ['queue', 'concurrency', 'id', 'leaseMs', 'deliveries', 'drainMs', 'reapMs', 'waitMs', 'unknownTaskMs', 'blockedMs', 'logger', 'inspect', 'clock', 'random'];
const WHERE = 'TaskWorker';
/** One call of the lists carries as much. */
const MOST_SLOTS = 1000;

export function checkWorker(given: TaskWorkerOptions, environment: Environment): CheckedWorker {
  const { queue, concurrency = 16, id, leaseMs = 10_000, deliveries = 3, drainMs = 25_000, waitMs = 2000, unknownTaskMs = 10_000, blockedMs = 60_000, ...rest } = optionsObject(WHERE, given, names) as unknown as TaskWorkerOptions;
  const { reapMs = leaseMs / 2 } = rest;
  return {
    queue: redisQueue(queue),
    id: id === undefined ? newWorkerId(environment) : workerId(id),
    concurrency: integerOption(`${WHERE}.concurrency`, concurrency, 1, MOST_SLOTS),
    leaseMs: durationOption(`${WHERE}.leaseMs`, leaseMs, 100),
    deliveries: integerOption(`${WHERE}.deliveries`, deliveries, 1, 1000),
    drainMs: durationOption(`${WHERE}.drainMs`, drainMs),
    reapMs: durationOption(`${WHERE}.reapMs`, reapMs, 10),
    waitMs: durationOption(`${WHERE}.waitMs`, waitMs, 10),
    unknownTaskMs: durationOption(`${WHERE}.unknownTaskMs`, unknownTaskMs),
    blockedMs: durationOption(`${WHERE}.blockedMs`, blockedMs),
  };
}

/** Its id becomes part of keys and of lines. */
function workerId(id: unknown): string {
  const text = textOption(`${WHERE}.id`, id);
  if (/^[A-Za-z0-9._-]{1,200}$/.test(text)) return text;
  throw badOption(`${WHERE}.id`, text, 'up to 200 letters, digits, ".", "_" and "-"');
}

function newWorkerId({ owner, newId }: Environment): string {
  return `${owner.host.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, 100)}-${owner.pid}-${newId().slice(0, 8)}`;
}

/** Recognised by what it is and not by its class: two copies of the package may meet. */
function redisQueue(queue: unknown): RedisTaskQueue {
  const { kind, name, transport } = (typeof queue === 'object' && queue !== null ? queue : {}) as Partial<RedisTaskQueue>;
  if (kind === 'redis' && typeof name === 'string' && typeof transport === 'object') return queue as RedisTaskQueue;
  const what = typeof kind === 'string' ? `a queue of the kind "${String(kind).slice(0, 50)}"` : queue === null ? 'null' : `a value of type ${typeof queue}`;
  throw new TaskchartError('worker/wrong-queue', `a worker takes units from a Redis task queue alone, but was given ${what}`, {
    hint: "make it with createTaskQueue({ backend: 'redis', ... }); a queue in memory has no workers: use the backend \"local\"",
  });
}
