/**
 * ACCEPTANCE 39 and 54: a server that is killed, emptied or silent, connections that are cut at the worst moments, and
 * everything that a list, a channel or a server can answer that it should not.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { setTimeout as pause } from 'node:timers/promises';
import type { Run } from 'taskchart';
import { memoryStore } from 'taskchart/stores';
import type { TaskWorker } from 'taskchart/redis';
import { rejection } from '../acceptance/support/watch.ts';
import { Bench, itemsIn, release, type Place } from './bench.ts';
import { marksIn, worksOn } from './fixtures/work.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { eventually } from './worker-process.ts';

let bench: Bench;
let proxy: Proxy;
beforeAll(async () => {
  bench = await Bench.open({ appendonly: true });
  proxy = await startProxy(bench.server.port);
});
afterEach(() => bench.clear());
afterAll(async () => {
  await proxy.close();
  await bench.close();
});

const LONG = 180_000;
const tens = (count: number): number[] => Array.from({ length: count }, (_, n) => n * 10);
const of = (folder: string, what: string): number[] => marksIn(folder).filter((mark) => mark.what === what).map(({ n }) => n);
const until = (folder: string, what: string, count: number): Promise<unknown> => eventually(`${count} tasks ${what}`, () => new Set(of(folder, what)).size >= count);
let suffixes = 0;
const suffix = (): string => `-${(suffixes += 1)}`;
/** The same lists, through the proxy. */
const proxied = (place: Place): Place => ({ ...place, url: `redis://127.0.0.1:${proxy.port}` });

/** Both sides have noticed that something is wrong, or it is over already. */
const noticed = (run: Run<unknown>, worker: TaskWorker): Promise<unknown> =>
  eventually('both have noticed', () => worker.status().problem !== undefined && run.status().waitsFor.some((wait) => wait.kind === 'units' && wait.reason !== undefined));

const faults: Readonly<Record<string, (run: Run<unknown>, worker: TaskWorker, letGo: () => void) => Promise<void>>> = {
  'redis-server is killed and restarted from its append-only file': async (run, worker, letGo) => {
    await bench.server.kill();
    // Tasks end while nobody can take their results.
    letGo();
    await noticed(run, worker);
    await bench.server.restart();
  },
  'all connections are cut': async (_run, _worker, letGo) => {
    proxy.cut();
    letGo();
  },
  'the server is silent for 0.8 s': async (_run, _worker, letGo) => {
    bench.server.pause();
    letGo();
    await pause(800);
    bench.server.resume();
  },
  'everything on the way is stuck for 0.8 s': async (_run, _worker, letGo) => {
    proxy.stall();
    letGo();
    await pause(800);
    proxy.flow();
  },
  'commands run, and their replies are lost': async (_run, _worker, letGo) => {
    letGo();
    for (let times = 0; times < 4; times += 1) {
      const { lost } = proxy;
      proxy.loseReply();
      await eventually('a reply is lost', () => proxy.lost > lost);
    }
  },
  'commands are lost on their way': async (_run, _worker, letGo) => {
    letGo();
    for (let times = 0; times < 4; times += 1) {
      const { lost } = proxy;
      proxy.loseCommand();
      await eventually('a command is lost', () => proxy.lost > lost);
    }
  },
  FLUSHALL: async (_run, _worker, letGo) => {
    await bench.client.flushall();
    letGo();
  },
};

describe('39. a Redis that fails', () => {
  const cases = Object.entries(faults).flatMap(([name, fault]) => [[name, 'with a journal', fault] as const, [name, 'without a journal', fault] as const]);

  it.each(cases)('39. %s, in the midst of a run %s: it completes, and every result is accepted once', async (name, kept, fault) => {
    const [place, folder] = [bench.place(), bench.folder()];
    // Few at a time, so that units are still pushed when faults come.
    const works = worksOn(proxied(place), { concurrency: 6 }, suffix());
    const worker = await bench.workerHere(proxied(place), { concurrency: 4, leaseMs: 15_000, waitMs: 500 });
    const [count, gates] = [30, 3];
    const run = works.branches.start(itemsIn(folder, count, (n) => ({ hold: `gate${Math.floor((n * gates) / count)}` })), kept === 'with a journal' ? { store: memoryStore() } : {});
    for (let gate = 0; gate < gates; gate += 1) {
      await until(folder, 'began', (gate * count) / gates + 2);
      await fault(run, worker, () => release(folder, `gate${gate}`));
    }
    expect(await run.result).toEqual({ outputs: tens(count), accepted: count });
    // The worker lives: only what was thrown away is executed again.
    const executed = of(folder, 'one');
    if (name === 'FLUSHALL') expect(new Set(executed).size).toBe(count);
    else expect(executed.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n));
    await eventually('nothing is left', async () => (await bench.keys(place)).length === 0);
    expect(await works.slow.run([1])).toEqual([1]);
  }, LONG);
});

describe('54. a server that answers what it should not', () => {
  it('54. a key of another type: a run fails at once with a hint; a worker says so, and goes on when the key is gone', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, {}, suffix());
    const queue = `{${place.namespace}}:q:default`;
    await bench.client.set(queue, 'text');
    const error = await rejection(works.items.run(itemsIn(folder, 1)));
    expect(error).toMatchObject({ name: 'TransportError', code: 'transport/wrong-type', hint: expect.stringContaining('another namespace') });
    await bench.client.del(queue);
    const worker = await bench.workerHere(place, { leaseMs: 1000 });
    expect(await works.items.run(itemsIn(folder, 2))).toEqual({ outputs: tens(2), accepted: 2 });
    await bench.client.set(queue, 'text');
    await eventually('the worker says so', () => worker.status().problem?.includes('something else than a list'));
    await bench.client.del(queue);
    expect(await works.items.run(itemsIn(folder, 2))).toEqual({ outputs: tens(2), accepted: 2 });
  }, LONG);

  it('54. a server that wants a password all of a sudden: the run fails at once with a hint, and can be resumed', async () => {
    const own = await Bench.open();
    try {
      const [place, folder] = [own.place(), own.folder()];
      const works = worksOn(place, {}, suffix());
      const worker = await own.workerHere(place, { concurrency: 1 });
      const store = memoryStore();
      const run = works.items.start(itemsIn(folder, 3, () => ({ hold: 'go' })), { runId: 'r54', store });
      await until(folder, 'began', 1);
      const failure = rejection(run.result);
      await own.client.config('SET', 'requirepass', 'hunter2');
      await own.client.call('AUTH', 'hunter2');
      await own.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      expect(await failure).toMatchObject({ name: 'TransportError', code: 'transport/auth', hint: expect.stringContaining('password') });
      await own.client.config('SET', 'requirepass', '');
      release(folder, 'go');
      expect(await (await works.items.resume(store, 'r54')).result).toEqual({ outputs: tens(3), accepted: 3 });
      // A worker that was let in once tries on.
      expect(worker.status()).toMatchObject({ healthy: true, problem: undefined });
    } finally {
      await own.close();
    }
  }, LONG);

  const passing: Readonly<Record<string, { readonly says: RegExp; readonly begin: () => Promise<unknown>; readonly end: () => Promise<unknown> }>> = {
    'READONLY': { says: /replica/, begin: () => bench.client.call('REPLICAOF', '127.0.0.1', '1'), end: () => bench.client.call('REPLICAOF', 'NO', 'ONE') },
    'OOM': { says: /no memory left/, begin: () => bench.client.config('SET', 'maxmemory', '1'), end: () => bench.client.config('SET', 'maxmemory', '0') },
    'LOADING': { says: /loading|lost|silent|answer/, begin: loading, end: async () => undefined },
  };

  it.each(Object.entries(passing))('54. %s: the run says why it waits, and goes on when that is over', async (_name, { says, begin, end }) => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, {}, suffix());
    await bench.workerHere(place, { concurrency: 2, leaseMs: 15_000, waitMs: 300 });
    const run = works.items.start(itemsIn(folder, 6, (n) => ({ hold: n < 2 ? 'go' : 'later' })));
    await until(folder, 'began', 2);
    const heard: string[] = [];
    const listening = setInterval(() => heard.push(...run.status().waitsFor.map((wait) => (wait.kind === 'units' ? (wait.reason ?? '') : ''))), 5);
    try {
      await begin();
      release(folder, 'go');
      await eventually('the run says why', () => heard.some((text) => says.test(text)));
    } finally {
      clearInterval(listening);
    }
    await end();
    release(folder, 'later');
    expect(await run.result).toEqual({ outputs: tens(6), accepted: 6 });
  }, LONG);

  it('54. a message of 100 MB, in the queue and among the results, is put aside', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, {}, suffix());
    const worker = await bench.workerHere(place, { concurrency: 2, leaseMs: 60_000 });
    const run = works.items.start(itemsIn(folder, 3, (n) => ({ hold: n === 0 ? 'go' : 'done' })));
    release(folder, 'done');
    await until(folder, 'ended', 2);
    const key = await keyOf(place);
    const huge = Buffer.alloc(100_000_000, 'x');
    await bench.client.rpush(`{${place.namespace}}:q:default`, huge, `1|${key}|77.0.0|{"v":1}`);
    await bench.client.rpush(`{${place.namespace}}:res:${key}`, huge);
    await eventually('both are among the dead', async () => (await bench.list(place, 'dead')).length === 2);
    for (const text of await bench.list(place, 'dead')) expect(text.length).toBeLessThan(100_000);
    release(folder, 'go');
    expect(await run.result).toEqual({ outputs: tens(3), accepted: 3 });
    expect(worker.status().healthy).toBe(true);
  }, LONG);

  it('54. results that are none, of unknown units, of stale attempts, and duplicates: dropped and counted', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, {}, suffix());
    await bench.workerHere(place, { concurrency: 4 });
    const run = works.items.start(itemsIn(folder, 4, (n) => ({ hold: n === 3 ? 'go' : 'done' })));
    release(folder, 'done');
    await until(folder, 'ended', 3);
    const key = await keyOf(place);
    const results = `{${place.namespace}}:res:${key}`;
    await eventually('three are accepted', () => run.actor.getSnapshot().context.channel['accepted'] === 3);
    const body = JSON.stringify({ v: 1, ends: [[666]], worker: 'w', startedAt: 1, durationMs: 1 });
    const group = (await bench.list(place, `w:${(await bench.client.keys(`{${place.namespace}}:w:*`))[0]?.split(':w:')[1]}`))[0]?.split('|')[2]?.split('.')[0] ?? '';
    expect(group).toMatch(/^\d+$/);
    const units = [`${group}.0.0`, `${group}.0.0`, `${group}.1.7`, `${group}.3.7`, '999.0.0', `${group}.4000000.0`];
    const forged = ['', 'garbage', 'R|', '|||', `R|${group}.0.0|1|no json`, `R|${group}.3.0|1|{"v":99}`, `P|${group}.1.0|1|{}`, ...units.map((unit) => `R|${unit}|1|${body}`)];
    await bench.client.rpush(results, ...forged);
    const counted = /^(\d+) messages were dropped that are no results$/;
    await eventually('they are counted', () => run.status().waitsFor.some((one) => one.kind === 'units' && Number(counted.exec(one.reason ?? '')?.[1]) >= 6));
    // Of a run that nobody knows.
    await bench.client.rpush(`{${place.namespace}}:res:nobody`, `R|1.0.0|1|${body}`);
    release(folder, 'go');
    expect(await run.result).toEqual({ outputs: tens(4), accepted: 4 });
    expect(await bench.list(place, 'res:nobody')).toHaveLength(1);
  }, LONG);

  it('54. forged messages on the channel: nobody stumbles, and none makes a result be lost', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, {}, suffix());
    const worker = await bench.workerHere(place, { concurrency: 4 });
    const run = works.items.start(itemsIn(folder, 4, () => ({ hold: 'go' })));
    const said: string[] = [];
    run.on((event) => said.push(event.type));
    await until(folder, 'began', 4);
    const key = await keyOf(place);
    const channel = `{${place.namespace}}:ctl`;
    for (const text of ['', 'C', 'C|', 'C||', 'C|nobody|*', `C|${key}|../*`, 'N|', `N|${key}|1.0.0|0|no json`, `N|${key}|1.0.0|0|{"kind":"log","level":"info","message":7}`, `N|${key}|__proto__|0|{}`, '{"__proto__":{"x":1}}', 'x'.repeat(2_000_000)]) {
      expect(await bench.client.publish(channel, text)).toBeGreaterThan(0);
    }
    // One that is well made: others may say what they like, the run decides.
    await bench.client.publish(channel, `C|${key}|*`);
    release(folder, 'go');
    expect(await run.result).toEqual({ outputs: tens(4), accepted: 4 });
    expect(said).not.toContain('run.failed');
    expect([of(folder, 'began').length, of(folder, 'aborted')]).toEqual([4, []]);
    expect(worker.status().healthy).toBe(true);
  }, LONG);
});

/** The run's key, of the one run in a namespace. */
async function keyOf(place: Place): Promise<string> {
  const keys = await eventually('there is a run', async () => (await bench.keys(place)).find((key) => key.startsWith('coord:')));
  return keys.slice('coord:'.length);
}

/** Reads its own file again, slowly, and answers nothing else meanwhile. */
async function loading(): Promise<void> {
  await bench.client.eval("for i = 1, 20000 do redis.call('RPUSH', 'many' .. i, 'x') end", 0);
  await bench.client.config('SET', 'key-load-delay', '100');
  await bench.client.config('SET', 'loading-process-events-interval-bytes', '1024');
  await bench.client.call('DEBUG', 'LOADAOF');
  await bench.client.config('SET', 'key-load-delay', '0');
}
