/**
 * What reaches the coordinator machine, and what it tells its actors.
 *
 * A reply carries the number of the command that it answers: one to a command that was given up changes nothing. Time and
 * randomness come in with the events. One event gives at most one command for each actor.
 */
import type { SerializedError } from '../../src/core/errors.ts';
import type { MemberEnd, SharedBody, UnitBody } from '../../src/core/messages.ts';

/** Who may change a run's intake. See `Fence` of the ports. */
export interface Fence {
  readonly epoch: number;
  readonly nonce: string;
}

export type UnitRef = readonly [group: number, index: number, generation: number];

/** A unit of a group: one branch, or with `batch` several, from `index` on. */
export interface PlannedUnit {
  readonly group: number;
  readonly index: number;
  /** How often its branch was handed out before. */
  readonly generation: number;
  readonly body: UnitBody;
}

/** A group whose units are planned. */
export interface PlannedGroup {
  readonly id: number;
  readonly queue: string;
  readonly shared: SharedBody;
  /** The name by which the shared part is stored beside its units; absent where it travels within them. */
  readonly beside?: string | undefined;
  /** Its units fail when nobody has started one of the group's units for so long and no live worker serves the queue. */
  readonly startTimeoutMs?: number | undefined;
}

/** An element of `taken`, as it was read. One that is no result has a header only, empty where there is none. */
export interface Arrival {
  readonly header: string;
  readonly result?: ArrivedResult | undefined;
}

export type ArrivedResult = Finished | Dead;

interface OfUnit {
  readonly group: number;
  readonly index: number;
  readonly generation: number;
}

interface Finished extends OfUnit {
  readonly kind: 'done';
  /** One for each member of the unit. */
  readonly ends: readonly MemberEnd[];
  readonly worker: string | undefined;
  /** By the worker's clock, in milliseconds since the epoch, and how long it took. */
  readonly startedAt: number | undefined;
  readonly durationMs: number | undefined;
}

/** No worker could execute it. */
interface Dead extends OfUnit {
  readonly kind: 'dead';
  readonly deliveries: number;
  readonly reason: string;
}

/** A unit that is not open any more, and how its members have ended. */
export type Accepted = Omit<Finished, 'kind'>;

export interface LiveWorker {
  readonly worker: string;
  readonly queue: string;
  readonly alive: boolean;
}

export type CoordinatorActor = 'lists' | 'results' | 'timers' | 'host';

export interface Reply {
  /** The number of the command. */
  readonly number: number;
  readonly at: number;
}

/** The run speaks. */
export type RunEvent =
  | { readonly type: 'PLANNED'; readonly at: number; readonly revision: number; readonly groups: readonly PlannedGroup[]; readonly units: readonly PlannedUnit[] }
  | { readonly type: 'DURABLE'; readonly revision: number }
  | { readonly type: 'ACCEPTED'; readonly delivery: number; readonly revision: number }
  /** `revision` is that of the run that wants these no more. */
  | { readonly type: 'ABORTED'; readonly revision: number; readonly groups: readonly number[]; readonly units: readonly UnitRef[] }
  | { readonly type: 'ENDED'; readonly revision: number; readonly groups: readonly number[] }
  /** This process still owns the run: a write that was made after it was asked is durable. */
  | { readonly type: 'CONFIRMED' }
  | { readonly type: 'CLOSE'; readonly how: 'ended' | 'left' };

/** The lists answer. */
export type ListsEvent =
  | (Reply & { readonly type: 'ACQUIRED'; readonly fence: Fence; readonly seq: number; readonly held: number })
  | (Reply & { readonly type: 'READ'; readonly arrivals: readonly Arrival[] })
  | (Reply & { readonly type: 'AUDITED'; readonly present: readonly string[] })
  | (Reply & {
      readonly type: 'TURNED';
      /** How many of the units have left, and the groups whose shared parts went with them. */
      readonly pushed?: { readonly units: number; readonly groups: readonly number[] } | undefined;
      readonly trimmed?: 'ok' | 'mismatch' | undefined;
      readonly taken?: { readonly arrivals: readonly Arrival[]; readonly held: number } | undefined;
    })
  | (Reply & { readonly type: 'CANCELLED' })
  | (Reply & { readonly type: 'SURVEYED'; readonly workers: readonly LiveWorker[] })
  | (Reply & { readonly type: 'RELEASED' })
  /** Somebody else is the run's coordinator, or nobody is. `random` is 0 to 1. */
  | (Reply & { readonly type: 'REFUSED'; readonly status: 'fenced' | 'gone'; readonly random: number });

export type CoordinatorEvent =
  | RunEvent
  | ListsEvent
  /** An actor has started, fresh or again: it has nothing in its hands. */
  | { readonly type: 'READY'; readonly from: CoordinatorActor; readonly at: number }
  /** The blocking wait has ended, with a result or without. */
  | (Reply & { readonly type: 'HEARD'; readonly arrival?: Arrival | undefined })
  /** A command has failed, or its reply was lost. */
  | (Reply & { readonly type: 'LOST'; readonly from: 'lists' | 'results'; readonly error: SerializedError; readonly retryable: boolean; readonly random: number })
  | { readonly type: 'TICK'; readonly at: number }
  | { readonly type: 'RETRY'; readonly at: number }
  /** Closing takes too long. */
  | { readonly type: 'GAVE_UP'; readonly at: number };

export interface PushPart {
  readonly batch: number;
  readonly queue: string;
  readonly units: readonly PlannedUnit[];
  /** The groups of the units. */
  readonly groups: readonly PlannedGroup[];
  /** Groups whose shared parts are not in the lists yet, as far as is known; and whether the graph is missing. */
  readonly missing: readonly number[];
  readonly graph: boolean;
}

/** One command for the lists; one is outstanding at a time. All that a turn holds is executed in the order push, trim, take. */
export type ListsCommand = { readonly number: number } & (
  | { readonly type: 'ACQUIRE'; readonly run: string; readonly nonce: string; readonly fence: Fence | null; readonly expireMs: number | undefined }
  | { readonly type: 'READ'; readonly run: string; readonly from: number; readonly most: number }
  | { readonly type: 'AUDIT'; readonly run: string; readonly fence: Fence; readonly queues: readonly string[]; /** A batch whose fate is unknown: its number is used up first. */ readonly seal: { readonly batch: number; readonly queue: string } | null; readonly expireMs: number | undefined }
  | {
      readonly type: 'TURN';
      readonly run: string;
      readonly fence: Fence;
      readonly push: PushPart | null;
      /** `forget`: names of shared parts that no unit needs any more. */
      readonly trim: { readonly count: number; readonly last: string; readonly forget: readonly string[] } | null;
      readonly take: { readonly most: number } | null;
      readonly expireMs: number | undefined;
    }
  | { readonly type: 'CANCEL'; readonly run: string; readonly fence: Fence; readonly entries: readonly string[]; readonly queues: readonly string[]; readonly forMs: number }
  | { readonly type: 'SURVEY'; readonly deliveries: number }
  | { readonly type: 'RELEASE'; readonly run: string; readonly fence: Fence; readonly queues: readonly string[]; readonly shared: readonly string[] }
);

export interface WaitCommand {
  readonly type: 'WAIT';
  readonly number: number;
  readonly run: string;
  readonly timeoutMs: number;
}

/** Each replaces what was armed under its name before. */
export interface TimersCommand {
  readonly type: 'ARM';
  readonly tickMs?: number | undefined;
  readonly retryMs?: number | undefined;
  readonly closeMs?: number | undefined;
}

export type HostCommand =
  | { readonly type: 'DELIVER'; readonly delivery: number; readonly results: readonly Accepted[] }
  /** Whether this process still owns the run: nobody else may answer. */
  | { readonly type: 'CONFIRM' }
  | { readonly type: 'FAIL'; readonly error: SerializedError };
