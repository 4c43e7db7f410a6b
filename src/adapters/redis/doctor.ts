/**
 * Examines a Redis and a namespace in it, and says what should be changed.
 *
 * Owns: which facts are good, and the advice. Does not own: reading them (doctor-server.ts, doctor-namespace.ts), how they
 * are shown.
 *
 * Invariants
 * 1. Nothing that is there is changed. What is tried out is tried on keys that are gone when it is over.
 * 2. What may not be examined is a finding of its own; the rest goes on.
 */
import { randomBytes } from 'node:crypto';
import { isTaskchartError, type TaskchartError } from '../../core/errors.ts';
import type { RedisConfig } from '../../core/redis-config.ts';
import { type ClientLimits, RedisClient } from './client.ts';
import { namespaceFacts, type NamespaceFacts } from './doctor-namespace.ts';
import { clockOf, serverFacts, type ServerFacts, tryEverything } from './doctor-server.ts';
import { keysOf } from './keys.ts';
import { redisSettings } from './settings.ts';

export type { NamespaceFacts, RunFacts } from './doctor-namespace.ts';
export type { ServerFacts } from './doctor-server.ts';

export interface Finding {
  /** `problem`: something does not work, or will be lost. `warning`: it should be looked at. `note`: good to know. */
  readonly level: 'problem' | 'warning' | 'note';
  readonly what: string;
  /** What to change. */
  readonly advice?: string | undefined;
}

export interface Examination {
  readonly place: string;
  readonly namespace: string;
  readonly server: ServerFacts | undefined;
  readonly clock: { readonly skewMs: number; readonly roundTripMs: number } | undefined;
  readonly contents: NamespaceFacts | undefined;
  readonly findings: readonly Finding[];
}

const SKEW_MOST_MS = 2000;
/** A coordinator that lives does something more often than this. */
const IDLE_MS = 60_000;

/** Rejects where the server cannot be reached at all, or refuses the user. */
export async function examineRedis(config: RedisConfig, limits?: Partial<ClientLimits>): Promise<Examination> {
  const settings = redisSettings(config, 'redis');
  const client = new RedisClient(settings, limits);
  const keys = keysOf(settings.namespace, settings.prefix);
  const findings: Finding[] = [];
  try {
    await client.commands.call('PING', []).catch(unlessForbidden('PING', findings));
    const server = await attempt('the state of the server (INFO)', findings, () => serverFacts(client.commands));
    const clock = await attempt('its clock (TIME)', findings, () => clockOf(client.commands));
    const scratch = `${settings.prefix}{${settings.namespace}}:doctor:${randomBytes(6).toString('hex')}`;
    const works = await tryEverything(client.commands, client.connection('doctor'), keys, scratch).then(() => undefined, (thrown: unknown) => thrown);
    if (works !== undefined) findings.push(broken(works));
    const contents = await attempt(`the namespace ${settings.namespace}`, findings, () => namespaceFacts(client.commands, keys, settings.namespace, settings.prefix));
    if (server !== undefined) findings.push(...serverFindings(server, contents?.stored ?? 0));
    if (clock !== undefined && Math.abs(clock.skewMs) > SKEW_MOST_MS) findings.push(skewed(clock.skewMs));
    if (contents !== undefined) findings.push(...namespaceFindings(contents, settings.namespace));
    return { place: settings.place, namespace: settings.namespace, server, clock, contents, findings: byLevel(findings) };
  } finally {
    client.close();
  }
}

/** What this user may not ask is left out; a server that is not there ends everything. */
async function attempt<T>(what: string, findings: Finding[], work: () => Promise<T>): Promise<T | undefined> {
  return work().catch(unlessForbidden(what, findings));
}

function unlessForbidden(what: string, findings: Finding[]): (thrown: unknown) => undefined {
  return (thrown) => {
    if (!isTaskchartError(thrown) || thrown.code === 'transport/unreachable' || thrown.code === 'transport/timeout' || thrown.code === 'transport/auth') throw thrown;
    findings.push({ level: 'note', what: `${what} could not be examined: ${thrown.message}`, advice: thrown.code === 'transport/forbidden' ? 'Let doctor run as a user with more rights.' : thrown.hint });
    return undefined;
  };
}

function broken(thrown: unknown): Finding {
  const { message, hint } = thrown as TaskchartError;
  return { level: 'problem', what: `What coordinators and workers do does not work: ${message}`, advice: hint };
}

function skewed(skewMs: number): Finding {
  const what = `The clock of this machine is ${(Math.abs(skewMs) / 1000).toFixed(1)} s ${skewMs > 0 ? 'ahead of' : 'behind'} that of the server.`;
  return { level: 'warning', what, advice: 'Let NTP set both. Leases do not depend on it; times in reports, and when a run that sleeps goes on, do.' };
}

function serverFindings(server: ServerFacts, stored: number): Finding[] {
  const { version, role, memory, evicted, persistence, clients } = server;
  const findings: Finding[] = [];
  const add = (level: Finding['level'], what: string, advice?: string): void => void findings.push({ level, what, advice });
  if (isOlder(version, 6, 2) && server.name === 'Redis') add('problem', `Redis ${version} is too old.`, 'Use Redis 6.2 or later, or Valkey.');
  if (role === 'slave' || role === 'replica') add('problem', 'The server is a replica: it takes no writes.', 'Give the address of the primary, or the sentinels.');
  if (memory.policy !== 'noeviction') add('problem', `When its memory is full the server throws keys away (maxmemory-policy ${memory.policy}): units and results get lost.`, 'CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.');
  if (evicted > 0) add('warning', `The server has thrown away ${evicted} keys for want of memory since it started.`, 'Raise maxmemory, or give coordinators and workers a server of their own.');
  if (memory.mostBytes > 0 && memory.usedBytes > 0.8 * memory.mostBytes) add('warning', `${Math.round((100 * memory.usedBytes) / memory.mostBytes)} % of its memory are used.`, 'Raise maxmemory: writes are refused when it is full.');
  if (!persistence.writesOk) add('problem', 'The server could not write its data to disk the last time.', 'Make space, and look at its log: it refuses writes until that works.');
  if (!persistence.appendOnly) {
    const rest = persistence.snapshots === undefined || persistence.snapshots === '' ? 'keeps nothing when it ends' : 'keeps only snapshots of every now and then when it ends';
    const lost = stored > 0 ? 'the runs that are stored here' : 'pending units and results, which coordinators then send again';
    add(stored > 0 ? 'problem' : 'warning', `The server has no append-only file: it ${rest}, so it loses ${lost}.`, 'CONFIG SET appendonly yes, and appendonly yes with appendfsync everysec in redis.conf.');
  } else if (persistence.sync === 'no') {
    add('warning', 'The append-only file is synced when the system likes (appendfsync no): a loss of power takes up to half a minute.', 'CONFIG SET appendfsync everysec, and the same in redis.conf.');
  } else if (persistence.sync === 'always') {
    add('note', 'The append-only file is synced before every reply (appendfsync always): safest, and slower by the time of a sync per command.');
  }
  if (clients.most !== undefined && clients.connected > 0.8 * clients.most) add('warning', `${clients.connected} of at most ${clients.most} clients are connected.`, 'Raise maxclients: a worker has three connections, a coordinator three.');
  return findings;
}

function namespaceFindings(contents: NamespaceFacts, namespace: string): Finding[] {
  const { workers, queues, stranded, dead, runs, namespaces, complete } = contents;
  const alive = workers.filter((worker) => worker.alive);
  const findings: Finding[] = [];
  const add = (level: Finding['level'], what: string, advice?: string): void => void findings.push({ level, what, advice });
  for (const { queue, pending, workers: serving } of queues) {
    if (pending > 0 && serving === 0) add('problem', `${units(pending)} on the queue ${queue}, which no live worker serves.`, `Start one: taskchart worker <module> --queue ${queue} --namespace ${namespace}.`);
  }
  for (const { worker, units: held, listed } of stranded) {
    const what = `${units(held)} in the slots of the worker ${worker}, which has no lease`;
    if (!listed) add('problem', `${what} and which no registry lists.`, `Start a worker with --id ${worker} and stop it again: it gives back what it finds in its slots.`);
    else if (alive.length === 0) add('problem', `${what}, and no worker lives that would give them back.`, 'Start a worker.');
    else add('note', `${what}: other workers give them back within the time of a lease.`);
  }
  if (dead.count > 0) add('warning', `${units(dead.count)} given up: ${reasons(dead.newest.map(({ reason }) => reason))}.`, 'Their runs have been told. Mend the task or the worker; the list keeps the newest 1000 and may be deleted.');
  const left = runs.filter((run) => run.results > 0 && (!run.coordinated || (run.idleMs ?? 0) > IDLE_MS));
  if (left.length > 0) {
    const shown = left.slice(0, 5).map(({ run, results }) => `${run} (${results})`).join(', ');
    add('warning', `${left.length === 1 ? 'A run has' : `${left.length} runs have`} results that nobody takes: ${shown}${left.length > 5 ? ', …' : ''}.`, 'Their coordinators are gone. Resume the runs; the keys of runs without a store go by themselves.');
  }
  if (alive.length === 0 && namespaces.some((other) => other !== namespace)) {
    const others = namespaces.filter((other) => other !== namespace);
    add('note', `No worker lives in the namespace ${namespace}; there are others: ${others.slice(0, 10).join(', ')}${others.length > 10 ? ', …' : ''}.`, 'Coordinators and workers must be given the same namespace, prefix and database.');
  }
  if (!complete) add('note', 'There are so many keys that only a part of them was looked at.');
  return findings;
}

function units(count: number): string {
  return count === 1 ? '1 unit is' : `${count} units are`;
}

/** How often which reason, the most frequent first. */
function reasons(all: readonly string[]): string {
  const counted = new Map<string, number>();
  for (const reason of all) counted.set(reason, (counted.get(reason) ?? 0) + 1);
  const sorted = [...counted].sort(([, a], [, b]) => b - a);
  return `${sorted.slice(0, 3).map(([reason, count]) => (sorted.length === 1 ? reason : `${reason} (${count})`)).join('; ')}${sorted.length > 3 ? '; …' : ''}`;
}

function isOlder(version: string, major: number, minor: number): boolean {
  const parts = /^(\d+)\.(\d+)/.exec(version);
  if (parts === null) return false;
  const [first, second] = [Number(parts[1]), Number(parts[2])];
  return first < major || (first === major && second < minor);
}

const levels: readonly Finding['level'][] = ['problem', 'warning', 'note'];

function byLevel(findings: readonly Finding[]): readonly Finding[] {
  return levels.flatMap((level) => findings.filter((finding) => finding.level === level));
}
