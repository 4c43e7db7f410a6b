/**
 * The part of TaskLists that coordinators use, over Redis.
 *
 * Owns: which script does it, with which keys. Does not own: what the scripts do (scripts/run.ts), connections.
 *
 * Invariant: every key that a script touches is declared, which is why the names of a run's shared parts are remembered here:
 * `take` keeps them alive for a run without a journal, and such a run never outlives this process.
 */
import { TransportError } from '../../core/errors.ts';
import type { Fence, PushRequest, Refused, TaskLists } from '../../ports.ts';
import type { RedisClient, Reply, Script } from './client.ts';
import type { Keys } from './keys.ts';
import type { RegistryView } from './registry-view.ts';
import { badReply, countOf, statusOf, textOf, textsOf } from './replies.ts';
import { checkPush, MOST_ELEMENTS } from './requests.ts';
import * as scripts from './scripts/run.ts';
import type { Waits } from './waits.ts';

type RequestOf<Name extends keyof TaskLists> = Parameters<TaskLists[Name]>[0];
type ReplyOf<Name extends keyof TaskLists> = ReturnType<TaskLists[Name]>;

/** Looking into long queues takes its time. */
const LONG_MS = 60_000;

/** So many elements of a queue are looked at in one go, and so often in one call: the server does nothing else meanwhile. */
const PURGE_SIZE = 1000;
const PURGE_ROUNDS = 10;

/** From so many results on it is worth another call not to send them through Lua. */
const MANY_RESULTS = 8;

/** What is left out when queues are long and several clients clear them at once is found by looking again. */
const MOST_PURGES = 5;

interface Expiring {
  expireMs: number;
  readonly shared: Set<string>;
}

export class RunLists {
  readonly #client: RedisClient;
  readonly #keys: Keys;
  readonly #waits: Waits;
  readonly #registry: RegistryView;
  readonly #expiring = new Map<string, Expiring>();

  constructor(client: RedisClient, keys: Keys, waits: Waits, registry: RegistryView) {
    this.#client = client;
    this.#keys = keys;
    this.#waits = waits;
    this.#registry = registry;
  }

  async acquire({ run, nonce, fence, expireMs }: RequestOf<'acquire'>): ReplyOf<'acquire'> {
    this.#expire(run, expireMs);
    const { coordinator, sequence, results, taken } = this.#keys;
    const keys = [coordinator(run), sequence(run), results(run), taken(run)];
    const [status, token, seq, held] = statusOf('acquire', await this.#client.commands.run(scripts.acquire, keys, [nonce, fence === undefined ? '' : fenceText(fence), millis(expireMs)]));
    if (isRefused(status)) return { status };
    if (status !== 'acquired') throw badReply('acquire', status);
    return { status, fence: readFence(textOf('acquire', token)), seq: countOf('acquire', seq), held: countOf('acquire', held) };
  }

  async push(request: PushRequest): ReplyOf<'push'> {
    checkPush(request);
    const { run, fence, batch, queue, units, shared = [], expireMs } = request;
    this.#expire(run, expireMs, shared.map(({ name }) => name));
    const keys = [this.#keys.coordinator(run), this.#keys.sequence(run), this.#keys.queue(queue), ...shared.map(({ name }) => this.#keys.shared(run, name))];
    return this.#done('push', scripts.push, keys, [fenceText(fence), batch, millis(expireMs), units.length, ...units, ...shared.map(({ text }) => text), ...shared.map(({ name }) => name)]);
  }

  async take({ run, fence, most, expireMs }: RequestOf<'take'>): ReplyOf<'take'> {
    this.#expire(run, expireMs);
    const kept = expireMs === undefined ? [] : [this.#keys.sequence(run), ...[...(this.#expiring.get(run)?.shared ?? [])].map((name) => this.#keys.shared(run, name))];
    const keys = [this.#keys.coordinator(run), this.#keys.taken(run), this.#keys.results(run), ...kept];
    const [status, items, held] = statusOf('take', await this.#client.commands.run(scripts.take, keys, [fenceText(fence), Math.min(most, MOST_ELEMENTS), millis(expireMs), MANY_RESULTS]));
    if (isRefused(status)) return { status };
    const count = countOf(okOnly('take', status), held);
    if (typeof items !== 'number') return { status: 'ok', items: textsOf('take', items), held: count };
    const moved = await this.held({ run, from: 0, most: items });
    // Somebody else has trimmed meanwhile: another coordinator.
    return moved.length === items ? { status: 'ok', items: moved, held: count } : this.take({ run, fence, most, expireMs });
  }

  async held({ run, from, most }: RequestOf<'held'>): ReplyOf<'held'> {
    return textsOf('LRANGE', await this.#client.commands.call('LRANGE', [this.#keys.taken(run), from, from + most - 1]));
  }

  async trim({ run, fence, count, last, forget = [] }: RequestOf<'trim'>): ReplyOf<'trim'> {
    const { coordinator, taken, sequence, shared } = this.#keys;
    const keys = [coordinator(run), taken(run), sequence(run), ...forget.map((name) => shared(run, name))];
    const [status] = statusOf('trim', await this.#client.commands.run(scripts.trim, keys, [fenceText(fence), count, last, ...forget]));
    if (isRefused(status) || status === 'mismatch') return { status };
    for (const name of forget) this.#expiring.get(run)?.shared.delete(name);
    return { status: okOnly('trim', status) };
  }

  async audit({ run, fence, queues }: RequestOf<'audit'>): ReplyOf<'audit'> {
    const { coordinator, workers, results, taken, queue, slot } = this.#keys;
    for (let tries = 0; tries < 50; tries += 1) {
      const { texts, entries } = await this.#registry.read();
      const places = [...queues.map(queue), ...entries.flatMap(({ entry }) => Array.from({ length: entry.slots }, (_, at) => slot(entry.worker, at)))];
      const keys = [coordinator(run), workers, results(run), taken(run), ...places];
      const reply = await this.#client.commands.run(scripts.audit, keys, [fenceText(fence), run, places.length, ...texts], { timeoutMs: LONG_MS });
      const [status, present] = statusOf('audit', reply);
      if (isRefused(status)) return { status };
      if (status !== 'changed') return { status: okOnly('audit', status), present: textsOf('audit', present) };
    }
    throw new TransportError('transport/failed', 'workers come and go so fast that a run cannot look for its units', { details: { retryable: true }, hint: 'it is tried again; look at why workers restart' });
  }

  async cancel({ run, fence, entries, queues, forMs }: RequestOf<'cancel'>): ReplyOf<'cancel'> {
    const keys = [this.#keys.coordinator(run), this.#keys.cancelled(run)];
    let removed = 0;
    for (let from = 0; from < entries.length; from += MOST_ELEMENTS) {
      const some = entries.slice(from, from + MOST_ELEMENTS);
      const marked = await this.#done('cancel', scripts.cancel, keys, [fenceText(fence), Math.ceil(forMs), this.#keys.control, run, ...some]);
      if (marked.status !== 'ok') return marked;
      const purged = await this.#purge(run, fence, some, queues);
      if (purged.status !== 'ok') return purged;
      removed += purged.removed;
    }
    return { status: 'ok', removed };
  }

  async release({ run, fence, queues, shared }: RequestOf<'release'>): ReplyOf<'release'> {
    const { coordinator, sequence, results, taken, cancelled } = this.#keys;
    // What does not outlive this process was stored by this process alone. Elsewhere only the holder of the fence adds to them,
    // and that is checked again by the script.
    const own = this.#expiring.get(run)?.shared;
    const [purged, listed] = await Promise.all([this.#purge(run, fence, ['*'], queues), own ?? this.#client.commands.call('LRANGE', [sequence(run), 1, -1])]);
    if (purged.status !== 'ok') return purged;
    const names = new Set([...shared, ...(own ?? textsOf('LRANGE', listed as Reply))]);
    const keys = [coordinator(run), sequence(run), results(run), taken(run), cancelled(run), ...[...names].map((name) => this.#keys.shared(run, name))];
    const released = await this.#done('release', scripts.release, keys, [fenceText(fence)]);
    if (released.status === 'ok') this.#expiring.delete(run);
    return released;
  }

  waitResult({ run, timeoutMs }: RequestOf<'waitResult'>): ReplyOf<'waitResult'> {
    return this.#waits.move(this.#keys.results(run), this.#keys.taken(run), timeoutMs, this.#expiring.get(run)?.expireMs);
  }

  async #purge(run: string, fence: Fence, entries: readonly string[], queues: readonly string[]): Promise<{ readonly status: 'ok'; readonly removed: number } | Refused> {
    let removed = 0;
    for (const queue of queues) {
      for (let pass = 0; pass < MOST_PURGES; pass += 1) {
        const purged = await this.#purgeOnce(run, fence, entries, this.#keys.queue(queue));
        if (purged.status !== 'ok') return purged;
        removed += purged.removed;
        // In one call nobody else can have moved anything.
        if (purged.removed === 0 || purged.calls === 1) break;
      }
    }
    return { status: 'ok', removed };
  }

  async #purgeOnce(run: string, fence: Fence, entries: readonly string[], queue: string): Promise<{ readonly status: 'ok'; readonly removed: number; readonly calls: number } | Refused> {
    let removed = 0;
    let behind = 0;
    for (let calls = 1; ; calls += 1) {
      const reply = await this.#client.commands.run(scripts.purge, [this.#keys.coordinator(run), queue], [fenceText(fence), run, behind, PURGE_SIZE, PURGE_ROUNDS, ...entries], { timeoutMs: LONG_MS });
      const [status, found, passed, more] = statusOf('purge', reply);
      if (isRefused(status)) return { status };
      removed += countOf(okOnly('purge', status), found);
      behind = countOf('purge', passed);
      if (countOf('purge', more) === 0) return { status: 'ok', removed, calls };
    }
  }

  async #done(what: string, script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<{ readonly status: 'ok' } | Refused> {
    const [status] = statusOf(what, await this.#client.commands.run(script, keys, args));
    return isRefused(status) ? { status } : { status: okOnly(what, status) };
  }

  #expire(run: string, expireMs: number | undefined, names: readonly string[] = []): void {
    if (expireMs === undefined) return;
    const known = this.#expiring.get(run) ?? { expireMs, shared: new Set<string>() };
    known.expireMs = Math.ceil(expireMs);
    for (const name of names) known.shared.add(name);
    this.#expiring.set(run, known);
  }
}

function isRefused(status: Reply): status is Refused['status'] {
  return status === 'fenced' || status === 'gone';
}

function okOnly(what: string, status: string): 'ok' {
  if (status !== 'ok') throw badReply(what, status);
  return 'ok';
}

/** A script takes the empty text for "stays". */
function millis(ms: number | undefined): string {
  return ms === undefined ? '' : String(Math.ceil(ms));
}

function fenceText({ epoch, nonce }: Fence): string {
  return `${epoch}|${nonce}`;
}

function readFence(text: string): Fence {
  const at = text.indexOf('|');
  const epoch = Number(text.slice(0, at));
  if (at <= 0 || !Number.isSafeInteger(epoch)) throw badReply('acquire', text);
  return { epoch, nonce: text.slice(at + 1) };
}
