/**
 * What a namespace holds: workers, queues, stranded and dead units, results, stored runs.
 *
 * Owns: reading them, without a change and without a lock. Does not own: what is good or bad about it (doctor.ts).
 *
 * Invariants
 * 1. Reading is bounded, however much there is; what was left out is said.
 * 2. Things move meanwhile: nothing here is exact to the moment.
 */
import type { Argument, Connection } from './client.ts';
import { Script } from './client.ts';
import type { DeadUnit } from './dead.ts';
import type { Keys } from './keys.ts';
import { type Entry, parseEntries } from './registry.ts';

const KEYS_SEEN_MOST = 200_000;
const RUNS_MOST = 1000;
const SLOTS_MOST = 20_000;
const DEAD_SHOWN = 20;
const AT_ONCE = 500;

export interface WorkerFacts {
  readonly worker: string;
  readonly queue: string;
  readonly slots: number;
  readonly alive: boolean;
  readonly busy: number;
  readonly leaseMs: number;
}

export interface RunFacts {
  readonly run: string;
  /** Results that nobody has taken, and taken ones that no durable snapshot covers. */
  readonly results: number;
  readonly taken: number;
  readonly coordinated: boolean;
  /** Since its coordinator has last done something; unknown where the server does not say. */
  readonly idleMs: number | undefined;
  /** When its keys go by themselves; nothing for a run that can be resumed. */
  readonly leftMs: number | undefined;
}

export interface NamespaceFacts {
  readonly workers: readonly WorkerFacts[];
  readonly queues: readonly { readonly queue: string; readonly pending: number; readonly workers: number }[];
  /** Units in slots of workers without a lease; `listed`: whether somebody will find them there. */
  readonly stranded: readonly { readonly worker: string; readonly units: number; readonly listed: boolean }[];
  readonly dead: { readonly count: number; readonly newest: readonly DeadUnit[] };
  readonly runs: readonly RunFacts[];
  readonly stored: number;
  /** All namespaces that were met under the same prefix, this one included if it holds anything. */
  readonly namespaces: readonly string[];
  /** False where there are more keys than were looked at. */
  readonly complete: boolean;
}

/** Through a script, so that on a cluster it runs where the namespace is. */
const scan = new Script("return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000)");

interface Found {
  readonly namespaces: ReadonlySet<string>;
  readonly queues: ReadonlySet<string>;
  readonly runs: ReadonlySet<string>;
  readonly slots: ReadonlyMap<string, ReadonlySet<number>>;
  readonly complete: boolean;
}

export async function namespaceFacts(connection: Connection, keys: Keys, namespace: string, prefix: string): Promise<NamespaceFacts> {
  const found = await look(connection, keys, namespace, prefix);
  const entries = parseEntries((await connection.call('LRANGE', [keys.workers, 0, -1])) as readonly string[]);
  const workers = await workersOf(connection, keys, entries);
  const dead = await deadOf(connection, keys);
  return {
    workers: workers.filter(({ entry, facts }) => entry.goneAt === undefined || facts.alive).map(({ facts }) => facts),
    queues: await queuesOf(connection, keys, found.queues, workers.map(({ facts }) => facts)),
    stranded: await strandedOf(connection, keys, workers, found.slots),
    dead,
    runs: await runsOf(connection, keys, [...found.runs].slice(0, RUNS_MOST)),
    stored: await count(connection, 'LLEN', `${prefix}{${namespace}}:runs`),
    namespaces: [...found.namespaces].sort(),
    complete: found.complete && found.runs.size <= RUNS_MOST,
  };
}

const ROLES = /^(?:q:(.+)|w:([^:]+):(\d+)|(?:res|taken|coord|seq):(.+)|workers|dead|runs|(?:lease|grp|cancel|run|log|mail):.+)$/;

async function look(connection: Connection, keys: Keys, namespace: string, prefix: string): Promise<Found> {
  const [namespaces, queues, runs] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const slots = new Map<string, Set<number>>();
  const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}{*}:*`;
  let cursor = '0';
  let seen = 0;
  do {
    const [next, names] = (await connection.run(scan, [keys.workers], [cursor, pattern])) as readonly [string, readonly string[]];
    cursor = next;
    // An iteration looks at a thousand keys, and gives those that match.
    seen += 1000;
    for (const name of names) {
      const end = name.indexOf('}:', prefix.length);
      const parts = ROLES.exec(name.slice(end + 2));
      const holder = name.slice(prefix.length + 1, end);
      if (end < 0 || parts === null || holder.includes('{')) continue;
      namespaces.add(holder);
      if (holder !== namespace) continue;
      const [, queue, worker, slot, run] = parts;
      if (queue !== undefined) queues.add(queue);
      if (run !== undefined) runs.add(run);
      if (worker !== undefined) slots.set(worker, (slots.get(worker) ?? new Set()).add(Number(slot)));
    }
  } while (cursor !== '0' && seen < KEYS_SEEN_MOST);
  return { namespaces, queues, runs, slots, complete: cursor === '0' };
}

interface Seen {
  readonly entry: Entry;
  readonly facts: WorkerFacts;
}

async function workersOf(connection: Connection, keys: Keys, entries: readonly Entry[]): Promise<readonly Seen[]> {
  const leases = await counts(connection, 'PTTL', entries.map(({ worker }) => keys.lease(worker)));
  const seen: Seen[] = [];
  let slotsSeen = 0;
  for (const [at, entry] of entries.entries()) {
    const { worker, queue, slots } = entry;
    const leaseMs = Math.max(0, leases[at] ?? 0);
    const most = Math.max(0, Math.min(slots, SLOTS_MOST - slotsSeen));
    slotsSeen += most;
    const held = await counts(connection, 'LLEN', Array.from({ length: most }, (_, slot) => keys.slot(worker, slot)));
    seen.push({ entry, facts: { worker, queue, slots, alive: leaseMs > 0, busy: held.filter((length) => length > 0).length, leaseMs } });
  }
  return seen;
}

async function queuesOf(connection: Connection, keys: Keys, met: ReadonlySet<string>, workers: readonly WorkerFacts[]): Promise<NamespaceFacts['queues']> {
  const names = [...new Set([...met, ...workers.filter(({ alive }) => alive).map(({ queue }) => queue)])].sort();
  const lengths = await counts(connection, 'LLEN', names.map((name) => keys.queue(name)));
  return names.map((queue, at) => ({ queue, pending: lengths[at] ?? 0, workers: workers.filter((worker) => worker.alive && worker.queue === queue).length }));
}

async function strandedOf(connection: Connection, keys: Keys, workers: readonly Seen[], slots: Found['slots']): Promise<NamespaceFacts['stranded']> {
  const stranded: { worker: string; units: number; listed: boolean }[] = [];
  for (const { facts } of workers) if (!facts.alive && facts.busy > 0) stranded.push({ worker: facts.worker, units: facts.busy, listed: true });
  for (const [worker, met] of slots) {
    const listed = workers.find(({ entry }) => entry.worker === worker);
    // Slots that the registry does not know of: of a worker that nobody lists, or beyond those that it has.
    const unknown = [...met].filter((slot) => listed === undefined || slot >= listed.entry.slots);
    const held = await counts(connection, 'LLEN', unknown.map((slot) => keys.slot(worker, slot)));
    const units = held.filter((length) => length > 0).length;
    if (units > 0) stranded.push({ worker, units, listed: false });
  }
  return stranded;
}

async function deadOf(connection: Connection, keys: Keys): Promise<NamespaceFacts['dead']> {
  const length = await count(connection, 'LLEN', keys.dead);
  const texts = length === 0 ? [] : ((await connection.call('LRANGE', [keys.dead, -DEAD_SHOWN, -1])) as readonly string[]);
  return { count: length, newest: texts.map(deadUnit).reverse() };
}

function deadUnit(text: string): DeadUnit {
  try {
    const { at, reason, worker, unit, deliveries } = JSON.parse(text) as Partial<DeadUnit>;
    return { at: Number(at) || 0, reason: String(reason), worker: String(worker), unit: String(unit), deliveries: Number(deliveries) || 0 };
  } catch {
    return { at: 0, reason: 'its entry cannot be read', worker: '', unit: text.slice(0, 200), deliveries: 0 };
  }
}

async function runsOf(connection: Connection, keys: Keys, runs: readonly string[]): Promise<readonly RunFacts[]> {
  const coordinators = runs.map((run) => keys.coordinator(run));
  // First of all: what is looked at counts as used from then on.
  const idle = await Promise.all(coordinators.map((key) => connection.call('OBJECT', ['IDLETIME', key]).then((seconds) => (typeof seconds === 'number' ? seconds * 1000 : undefined), () => undefined)));
  const [left, results, taken] = [await counts(connection, 'PTTL', coordinators), await counts(connection, 'LLEN', runs.map((run) => keys.results(run))), await counts(connection, 'LLEN', runs.map((run) => keys.taken(run)))];
  return runs.map((run, at) => {
    const ttl = left[at] ?? -2;
    return { run, results: results[at] ?? 0, taken: taken[at] ?? 0, coordinated: ttl !== -2, idleMs: idle[at], leftMs: ttl > 0 ? ttl : undefined };
  });
}

async function counts(connection: Connection, command: string, keys: readonly string[]): Promise<readonly number[]> {
  const found: number[] = [];
  for (let from = 0; from < keys.length; from += AT_ONCE) found.push(...(await Promise.all(keys.slice(from, from + AT_ONCE).map((key) => count(connection, command, key)))));
  return found;
}

/** 0 where the key holds something else than a list. */
async function count(connection: Connection, command: string, key: string, ...more: readonly Argument[]): Promise<number> {
  const reply = await connection.call(command, [key, ...more]).catch((thrown: unknown) => {
    if ((thrown as { readonly code?: unknown }).code === 'transport/wrong-type') return 0;
    throw thrown;
  });
  return typeof reply === 'number' ? reply : 0;
}
