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

  it.each(cases)('39. %s, in the midst of a run %s: it completes, and every result is accepted once', async (_name, kept, fault) => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(proxied(place), {}, suffix());
    const worker = await bench.workerHere(proxied(place), { concurrency: 4, leaseMs: 2000, waitMs: 500 });
    const [count, gates] = [30, 3];
    const run = works.branches.start(itemsIn(folder, count, (n) => ({ hold: `gate${Math.floor((n * gates) / count)}` })), kept === 'with a journal' ? { store: memoryStore() } : {});
    for (let gate = 0; gate < gates; gate += 1) {
      await until(folder, 'began', (gate * count) / gates + 2);
      await fault(run, worker, () => release(folder, `gate${gate}`));
    }
    expect(await run.result).toEqual({ outputs: tens(count), accepted: count });
    await eventually('nothing is left', async () => (await bench.keys(place)).length === 0);
    expect(await works.slow.run([1])).toEqual([1]);
  }, LONG);
});

describe('54. a server that answers what it should not', () => {
  it('54. a key of another type: the run fails with a hint, or goes on where the key goes away', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, {}, suffix());
    await bench.client.set(`{${place.namespace}}:q:default`, 'text');
    const error = await rejection(works.items.run(itemsIn(folder, 1)));
    expect(error).toMatchObject({ name: 'TransportError', code: 'transport/wrong-type', hint: expect.stringContaining('another namespace') });
    await bench.client.del(`{${place.namespace}}:q:default`);
    const worker = await bench.workerHere(place, { leaseMs: 1000 });
    expect(await works.items.run(itemsIn(folder, 2))).toEqual({ outputs: tens(2), accepted: 2 });
    await bench.client.set(`{${place.namespace}}:q:default`, 'text');
    await eventually('the worker says so', () => worker.status().problem?.includes('something else than a list'));
    await bench.client.del(`{${place.namespace}}:q:default`);
    expect(await works.items.run(itemsIn(folder, 2))).toEqual({ outputs: tens(2), accepted: 2 });
  }, LONG);
});
