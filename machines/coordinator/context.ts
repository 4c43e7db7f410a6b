/**
 * What a coordinator knows: plain JSON.
 *
 * Owns: the shapes and the first context. Does not own: how they change (open, collect, dispatch, reconcile, survey, ending).
 *
 * Invariants
 * 1. A unit is open from the moment it is planned until a result for its generation is accepted, or it is aborted; it stays in
 *    the set as `delivered` until the run has said that it holds the result.
 * 2. `taken` describes the first `held` elements of the list of that name, in their order, unless a caller that was given
 *    up has put something between them: a trim or the next take shows it.
 * 3. Nothing here grows with what is over.
 */
import type { SerializedError } from '../../src/core/errors.ts';
import type { UnitBody } from '../../src/core/messages.ts';
import { emptyFifo, type Fifo } from '../execution-context/queue.ts';
import { emptyVec, type Vec } from '../execution-context/vec.ts';
import type { Fence, PlannedGroup, UnitRef } from './events.ts';

export interface CoordinatorSettings {
  /** Units of one queue that are in the lists at a time. */
  readonly window: number;
  /** Elements of one push, take or read. */
  readonly batch: number;
  /** How long a blocking wait for a result lasts. */
  readonly waitMs: number;
  /** How often the lists are looked at where nothing else happens: for workers, for what dead ones have left. */
  readonly tickMs: number;
  /** Units are looked for when nothing has moved for so long though some are open. */
  readonly auditAfterMs: number;
  /** How often a unit is handed to a worker before it is given up. */
  readonly deliveries: number;
  /** How long a cancelled unit stays marked for the workers. */
  readonly cancelMs: number;
  /** Runs without a journal: how long their keys outlive them; well over `waitMs`, as they are renewed between two waits. */
  readonly expireMs: number;
  /** The first delay and the longest one before the lists are tried again. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
  /** Closing gives up when the lists cannot be reached for so long. */
  readonly closeMs: number;
}

export const defaultSettings: CoordinatorSettings = Object.freeze({
  window: 10_000, batch: 1000, waitMs: 2000, tickMs: 5000, auditAfterMs: 30_000, deliveries: 3, cancelMs: 600_000, expireMs: 300_000,
  retryMs: 100, longestRetryMs: 5000, closeMs: 10_000,
});

export interface CoordinatorInput {
  /** The key of the run: its id, and what tells it from others of that id; without a journal also its lives from each other. */
  readonly run: string;
  /** Letters and digits; tells coordinators of one epoch apart. */
  readonly nonce: string;
  /** Without a journal everything is durable at once. */
  readonly journalled: boolean;
  /** The revision that is durable already. */
  readonly durable?: number | undefined;
  /** The run can say whether it is still its owner (`CONFIRM`): then nobody takes a run away from it that is its own. */
  readonly confirms?: boolean | undefined;
  /** The run has just begun: what the lists hold by its id is not its own. */
  readonly fresh?: boolean | undefined;
  /** There is a graph to be stored for workers that do not have the workflow. */
  readonly graph?: boolean | undefined;
  /** Queues that an earlier life of the run may have pushed to. */
  readonly queues?: readonly string[] | undefined;
  readonly settings?: Partial<CoordinatorSettings> | undefined;
}

export interface OpenUnit {
  readonly generation: number;
  /** The run's revision that has planned it, and when. */
  readonly revision: number;
  readonly at: number;
  readonly phase: 'planned' | 'pushed' | 'delivered';
  /** Delivered without a result: it is to be stopped once the run holds that durably. */
  readonly stop?: true | undefined;
  readonly body: UnitBody;
}

export interface OpenGroup {
  readonly plan: PlannedGroup;
  /** The place of its queue in `queues`. */
  readonly queue: number;
  readonly units: Vec<OpenUnit>;
  /** Its units that are planned or pushed. */
  readonly open: number;
  /** Since when nothing of it was planned into emptiness, and no result of it came. */
  readonly quietSince: number;
}

export interface Queue {
  readonly name: string;
  /** Units to be pushed, in order; ones that are not open any more are passed over. What has to go again comes first. */
  readonly again: Fifo<UnitRef>;
  readonly planned: Fifo<UnitRef>;
  /** Its units that are in the lists. */
  readonly pushed: number;
  /** Units of the next push: fewer where the last one had to be cut for its length. */
  readonly most: number;
  /** Live workers at the last look; null before the first. */
  readonly workers: number | null;
  /** When a live worker was last seen. */
  readonly servedAt: number;
}

/** Elements of `taken` that are covered by the same delivery. */
export interface TakenPart {
  readonly count: number;
  /** The header of the last of them. */
  readonly last: string;
  /** Before both are durable it does not go. */
  readonly delivery: number;
  readonly revision: number;
}

/** A group's id or a unit's id, to be cancelled in the lists once the revision that does not want it is durable. */
export interface Cancel {
  readonly entry: string;
  readonly revision: number;
}

/** What is remembered of the command that the lists are busy with. */
export interface Outstanding {
  readonly number: number;
  readonly type: 'ACQUIRE' | 'READ' | 'AUDIT' | 'TURN' | 'CANCEL' | 'SURVEY' | 'RELEASE';
  readonly push?: { readonly batch: number; readonly queue: number; readonly units: readonly UnitRef[]; readonly missing: readonly number[] } | undefined;
  readonly trim?: number | undefined;
  /** How many of `unneeded`. */
  readonly forgets?: number | undefined;
  readonly takes?: boolean | undefined;
  /** How many of `cancels`. */
  readonly cancels?: number | undefined;
}

export interface CoordinatorContext {
  readonly run: string;
  readonly nonce: string;
  readonly journalled: boolean;
  readonly confirms: boolean;
  readonly fresh: boolean;
  readonly settings: CoordinatorSettings;
  /** The time of the latest event that carried one. */
  readonly at: number;
  readonly fence: Fence | null;
  /** The number of the last batch that was pushed. */
  readonly seq: number;
  /** Everything up to this revision of the run is durable. */
  readonly durable: number;

  readonly groups: Vec<OpenGroup>;
  readonly queues: readonly Queue[];
  /** Units planned or pushed; units pushed. */
  readonly open: number;
  readonly pushed: number;

  readonly taken: Fifo<TakenPart>;
  readonly held: number;
  /** The header of the last of them, while they are being read. */
  readonly lastRead: string | null;
  /** Number of the last delivery. */
  readonly delivered: number;
  /** Deliveries that the run has not said to hold. */
  readonly unaccepted: Fifo<{ readonly delivery: number; readonly units: readonly UnitRef[] }>;
  readonly unacceptedUnits: number;
  /** Deliveries that the run holds, but not durably. */
  readonly accepted: Fifo<{ readonly delivery: number; readonly revision: number }>;
  /** All deliveries up to this one are durable. */
  readonly covered: number;
  /** Results that nobody waited for, and elements that are no results. */
  readonly dropped: number;
  readonly bad: number;

  /** Number of the last command. */
  readonly number: number;
  readonly command: Outstanding | null;
  /** The blocking wait. One that is not live was begun before a reset: what it brings is read again. */
  readonly wait: { readonly number: number; readonly live: boolean } | null;
  /** Elements of the next take or read: fewer after one that was lost, which may have been too long for its time. */
  readonly page: number;
  /** Results may be there: take, before waiting. */
  readonly more: boolean;
  /** `taken` is not what it should be: it is read again. */
  readonly replay: boolean;
  readonly trimNow: boolean;
  readonly surveyDue: boolean;
  readonly auditDue: boolean;
  /** Keys are to live longer. */
  readonly refresh: boolean;
  readonly cancels: Fifo<Cancel>;
  /** The latest revision that has aborted something. */
  readonly abortedAt: number;
  /** The queue that the last push was for: the next begins behind it. */
  readonly turn: number;

  /** What is in the lists has been seen in this life, and what is not wanted was found. */
  readonly audited: boolean;
  /** Ids that were read from `taken` before that. */
  readonly seen: Fifo<string>;
  /** A push whose reply was lost. */
  readonly unsure: { readonly batch: number; readonly queue: string } | null;
  /** Counts the times when what is in the lists became uncertain. */
  readonly resets: number;
  /** Groups whose shared parts may be stored: at which reset they were; -1 is at none. The same for the graph. */
  readonly shared: Vec<number>;
  /** Shared parts of groups that are over, by name: to be removed once the revision that has ended them is durable. */
  readonly unneeded: Fifo<{ readonly name: string; readonly revision: number }>;
  readonly graph: { readonly wanted: boolean; readonly storedAt: number };

  /** When a result or a reply to a push last came. */
  readonly movedAt: number;
  /** The tick that is armed. */
  readonly tickMs: number | null;
  readonly shortestStartMs: number | null;
  /** Failures since the lists last did what they should, the last of them, and the delay that it costs. */
  readonly attempts: number;
  readonly error: SerializedError | null;
  readonly retryMs: number;
  readonly closing: boolean;
  /** While closing: what is out there was cancelled. */
  readonly cancelledAll: boolean;
}

export function initialCoordinatorContext({ run, nonce, journalled, durable = 0, confirms = false, fresh = false, graph = false, queues = [], settings }: CoordinatorInput): CoordinatorContext {
  const all = { ...defaultSettings, ...settings };
  return {
    run, nonce, journalled, confirms, fresh,
    settings: all,
    at: 0,
    fence: null,
    seq: 0,
    durable: journalled ? durable : Number.MAX_SAFE_INTEGER,
    groups: emptyVec(), queues: [...new Set(queues)].map(newQueue), open: 0, pushed: 0,
    taken: emptyFifo(), held: 0, lastRead: null,
    delivered: 0, unaccepted: emptyFifo(), unacceptedUnits: 0, accepted: emptyFifo(), covered: 0, dropped: 0, bad: 0,
    number: 0, command: null, wait: null,
    page: all.batch, more: false, replay: false, trimNow: false, surveyDue: false, auditDue: false, refresh: false, cancels: emptyFifo(), abortedAt: 0, turn: 0,
    audited: false, seen: emptyFifo(), unsure: null, resets: 0, shared: emptyVec(), unneeded: emptyFifo(), graph: { wanted: graph, storedAt: -1 },
    movedAt: 0, tickMs: null, shortestStartMs: null,
    attempts: 0, error: null, retryMs: 0, closing: false, cancelledAll: false,
  };
}

export function newQueue(name: string): Queue {
  return { name, again: emptyFifo(), planned: emptyFifo(), pushed: 0, most: Number.MAX_SAFE_INTEGER, workers: null, servedAt: 0 };
}
