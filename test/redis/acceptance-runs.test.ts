/** ACCEPTANCE 37, 38, 43, 44, 46: what a run does on a Redis that it shares, when its coordinator dies, without workers, when it is cancelled, and what it leaves. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ParallelGroupError, Run, RunStatus } from 'taskchart';
import { memoryStore } from 'taskchart/stores';
import { rejection } from '../acceptance/support/watch.ts';
import { Bench, itemsIn, release, type Place } from './bench.ts';
import { marksIn, worksOn } from './fixtures/work.ts';
import { eventually } from './worker-process.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.clear());
afterAll(() => bench.close());

const LONG = 120_000;
const tens = (count: number): number[] => Array.from({ length: count }, (_, n) => n * 10);
const of = (folder: string, what: string): number[] => marksIn(folder).filter((mark) => mark.what === what).map(({ n }) => n).toSorted((a, b) => a - b);
const until = (folder: string, what: string, count: number): Promise<unknown> => eventually(`${count} tasks ${what}`, () => of(folder, what).length >= count);
let suffixes = 0;
/** A worker finds a workflow by its id: in this process each has its own. */
const suffix = (): string => `-${(suffixes += 1)}`;

describe('37. runs that share a server', () => {
  it('37. two runs of one workflow at the same time, in one namespace, each get their own results', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, {}, suffix());
    await bench.workerHere(place, { concurrency: 3 });
    const runs = Array.from({ length: 4 }, (_, at) => works.items.start(itemsIn(folder, 20, (n) => ({ hold: 'go', n: at * 1000 + n }))));
    await until(folder, 'began', 3);
    release(folder, 'go');
    for (const [at, run] of runs.entries()) expect(await run.result).toEqual({ outputs: tens(20).map((n) => at * 10_000 + n), accepted: 20 });
    expect(of(folder, 'began').length).toBe(80);
  }, LONG);

  it('37. two namespaces on one server, with the same run id and queue, do not see each other', async () => {
    const places = [bench.place(), bench.place()];
    const folders = [bench.folder(), bench.folder()];
    const workers = await Promise.all(places.map((place) => bench.worker(place)));
    const runs = places.map((place, at) => worksOn(place).items.start(itemsIn(folders[at] as string, 10, (n) => ({ n: at * 1000 + n })), { runId: 'same', store: memoryStore() }));
    for (const [at, run] of runs.entries()) {
      expect(await run.result).toEqual({ outputs: tens(10).map((n) => at * 10_000 + n), accepted: 10 });
      expect([...new Set(marksIn(folders[at] as string).map(({ pid }) => pid))]).toEqual([workers[at]?.pid]);
    }
  }, LONG);
});

describe('38. a coordinator that dies', () => {
  const start = (place: Place, folder: string, flow: string, input?: unknown): ReturnType<Bench['script']> =>
    bench.script('coordinate.ts', JSON.stringify({ place, store: `${folder}/store`, runId: 'r38', flow, input }));
  const output = async (coordinator: ReturnType<Bench['script']>): Promise<unknown> => {
    const { stdout, stderr, code } = await coordinator.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(/^ended (.*)$/m.exec(stdout)?.[1] ?? 'null');
  };
  /** The newest coordinator has taken the run over. */
  const takenOver = (place: Place, epoch: number): Promise<unknown> => eventually(`epoch ${epoch}`, async () => {
    const key = (await bench.keys(place)).find((name) => name.startsWith('coord:r38~')) ?? '';
    return (await bench.list(place, key))[0]?.startsWith(`${epoch}|`);
  });

  it('38. and is resumed: what is finished is not executed again, what is in flight is not dispatched twice', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    await bench.worker(place, { concurrency: 4 });
    const holds = (n: number): string => (n < 4 ? 'first' : n < 8 ? 'second' : 'third');
    const first = start(place, folder, 'items', itemsIn(folder, 12, (n) => ({ hold: holds(n) })));
    await until(folder, 'began', 4);
    release(folder, 'first');
    await until(folder, 'began', 8);
    // Four are finished, four are in flight, four are pending.
    await first.kill();
    const second = start(place, folder, 'items');
    await takenOver(place, 2);
    release(folder, 'second');
    await until(folder, 'began', 12);
    await second.kill();
    // The rest ends while there is no coordinator at all.
    release(folder, 'third');
    await until(folder, 'ended', 12);
    expect(await output(start(place, folder, 'items'))).toEqual({ outputs: tens(12), accepted: 12 });
    for (const what of ['began', 'ended']) expect(of(folder, what)).toEqual(Array.from({ length: 12 }, (_, n) => n));
    expect(await bench.keys(place)).toEqual([]);
  }, LONG);

  it('38. at any moment: killed again and again while results come in, each unit is executed once', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    await bench.worker(place, { concurrency: 2 });
    const count = 40;
    let coordinator = start(place, folder, 'branches', itemsIn(folder, count, (n) => ({ hold: `gate${Math.floor(n / 8)}` })));
    for (let gate = 0; gate < 5; gate += 1) {
      await until(folder, 'began', gate * 8 + 1);
      release(folder, `gate${gate}`);
      await until(folder, 'ended', gate * 8 + 3 + gate);
      await coordinator.kill();
      coordinator = start(place, folder, 'branches');
    }
    expect(await output(coordinator)).toEqual({ outputs: tens(count), accepted: count });
    for (const what of ['one', 'began', 'ended']) expect(of(folder, what)).toEqual(Array.from({ length: count }, (_, n) => n));
    expect(await bench.keys(place)).toEqual([]);
  }, LONG);

  it('38. a new run by the id of one that is under way, in a store of its own, and the older one do not meet', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    await bench.worker(place, { concurrency: 2 });
    const works = worksOn(place);
    const older = works.items.start(itemsIn(folder, 4, () => ({ hold: 'go' })), { runId: 'r38', store: memoryStore() });
    await until(folder, 'began', 2);
    // A store of its own lets it begin. Their units have the same ids.
    const newer = works.items.start(itemsIn(folder, 3, () => ({ hold: 'go' })), { runId: 'r38', store: memoryStore() });
    await eventually('both are there', async () => (await bench.keys(place)).filter((key) => key.startsWith('coord:r38')).length === 2);
    release(folder, 'go');
    expect(await older.result).toEqual({ outputs: tens(4), accepted: 4 });
    expect(await newer.result).toEqual({ outputs: tens(3), accepted: 3 });
  }, LONG);
});

const units = (run: Run<unknown>): Extract<RunStatus['waitsFor'][number], { kind: 'units' }> | undefined =>
  run.status().waitsFor.find((wait) => wait.kind === 'units') as never;

describe('43. no worker at all', () => {
  it('43. the run says what it waits for, why and since when; a worker that comes ends that', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const before = Date.now();
    const run = worksOn(place, {}, suffix()).items.start(itemsIn(folder, 3));
    const wait = await eventually('it says why', () => (units(run)?.reason === undefined ? undefined : units(run)));
    expect(wait).toMatchObject({ kind: 'units', queue: 'default', units: 3, reason: 'no live worker serves the queue' });
    expect(wait.since).toBeGreaterThanOrEqual(before);
    expect(wait.since).toBeLessThanOrEqual(Date.now());
    await bench.workerHere(place);
    expect(await run.result).toEqual({ outputs: tens(3), accepted: 3 });
  }, LONG);

  it('43. with startTimeout it fails with that message', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const run = worksOn(place, { startTimeout: 500 }, suffix()).items.start(itemsIn(folder, 2));
    const { failed } = (await rejection(run.result)) as unknown as ParallelGroupError;
    expect(failed.map(({ id }) => id)).toEqual(['0', '1']);
    expect(failed[0]?.error).toMatchObject({ name: 'TaskError', code: 'task/no-worker' });
    for (const text of ['within 500 ms', 'no live worker', '"default"']) expect(failed[0]?.error.message).toContain(text);
    expect(of(folder, 'began')).toEqual([]);
    await eventually('nothing is left', async () => (await bench.keys(place)).length === 0);
  }, LONG);

  it('43. startTimeout does not end what a worker is at, however long that takes', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, { startTimeout: 300 }, suffix());
    await bench.workerHere(place, { concurrency: 1 });
    const run = works.items.start(itemsIn(folder, 2, () => ({ hold: 'go' })));
    await until(folder, 'began', 1);
    const since = Date.now();
    await eventually('longer than the limit', () => Date.now() - since > 2000);
    release(folder, 'go');
    expect(await run.result).toEqual({ outputs: tens(2), accepted: 2 });
  }, LONG);
});

describe('44. cancel', () => {
  it.each([['without a journal', false], ['with a journal', true]])('44. with units pending, in flight, backing off, asleep and asking, %s: all stop, and no key stays', async (_name, journalled) => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, {}, suffix());
    const worker = await bench.workerHere(place, { concurrency: 8 });
    const options = (runId: string) => (journalled ? { runId: `${runId}${place.namespace}`, store: memoryStore() } : {});
    const runs: Run<unknown>[] = [
      works.flaky.start(itemsIn(folder, 2), options('flaky')),
      works.sleeping.start(itemsIn(folder, 2), options('sleeping')),
      works.asking.start(itemsIn(folder, 2), options('asking')),
    ];
    await eventually('they wait', () => runs.every((run) => run.status().waitsFor.some(({ kind }) => ['retry', 'sleep', 'signal'].includes(kind))));
    // More than the worker has places for.
    runs.push(works.items.start(itemsIn(folder, 20, () => ({ hold: 'never' })), options('items')), works.branches.start(itemsIn(folder, 20, () => ({ hold: 'never' })), options('branches')));
    await eventually('all places are taken', () => worker.status().running.length === 8);
    for (const run of runs) run.cancel('enough');
    for (const run of runs) expect(await rejection(run.result)).toMatchObject({ name: 'WorkflowCancelledError', reason: 'enough' });
    await eventually('the worker has stopped all', () => worker.status().running.length === 0);
    const [began, aborted] = [of(folder, 'began'), of(folder, 'aborted')];
    expect(aborted.length).toBe(began.length - 2);
    expect(of(folder, 'ended')).toEqual([]);
    await gone(place);
    // Nothing begins later.
    expect(await works.slow.run([1])).toEqual([1]);
    expect(of(folder, 'began')).toEqual(began);
  }, LONG);

  it('44. from a task of the run, also inside a group whose other members are pending', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, {}, suffix());
    await bench.workerHere(place, { concurrency: 2 });
    const run = works.items.start(itemsIn(folder, 10, (n) => (n === 1 ? { cancel: true, hold: 'go' } : { hold: 'never' })));
    await until(folder, 'began', 2);
    release(folder, 'go');
    expect(await rejection(run.result)).toMatchObject({ name: 'WorkflowCancelledError', taskId: 'work' });
    // Its worker may have begun another member before anybody knew.
    await eventually('all others have stopped', () => of(folder, 'aborted').length === of(folder, 'began').length - 1);
    expect(of(folder, 'ended')).toEqual([]);
    await gone(place);
  }, LONG);
});

/** What is left goes by itself. */
async function gone(place: Place): Promise<void> {
  await eventually('every key is gone or expires', async () => {
    const keys = await bench.keys(place);
    const left = await Promise.all(keys.map((key) => bench.client.pttl(`{${place.namespace}}:${key}`)));
    return left.every((ms) => ms !== -1);
  });
}

describe('46. after a run has ended', () => {
  it.each([['without a journal', false], ['with a journal', true]])('46. %s, completed, failed or with members left out: nothing of it is in Redis', async (_name, journalled) => {
    const [place, folder] = [bench.place(), bench.folder()];
    const works = worksOn(place, {}, suffix());
    await bench.workerHere(place, { concurrency: 4 });
    const options = () => (journalled ? { store: memoryStore() } : {});
    expect(await works.items.start(itemsIn(folder, 50), options()).result).toEqual({ outputs: tens(50), accepted: 50 });
    expect(await works.branches.start(itemsIn(folder, 10), options()).result).toEqual({ outputs: tens(10), accepted: 10 });
    expect((await rejection(works.items.start(itemsIn(folder, 10, (n) => ({ fail: n === 3 })), options()).result)).name).toBe('ParallelGroupError');
    expect(await works.some.start(itemsIn(folder, 3, (n) => ({ fail: n === 1 })), options()).result).toEqual({ outputs: [0, null, 20], accepted: 2 });
    const asking = works.asking.start(itemsIn(folder, 2), options());
    await eventually('it asks', () => asking.status().waitsFor.filter(({ kind }) => kind === 'signal').length === 2);
    asking.signal('go', 5);
    asking.signal('go', 6);
    expect((await asking.result).flat().toSorted()).toEqual([5, 6]);
    await eventually('nothing is left', async () => (await bench.keys(place)).length === 0);
  }, LONG);

  it('46. a worker that leaves takes its places and its lease along', async () => {
    const place = bench.place();
    worksOn(place, {}, suffix());
    const worker = await bench.workerHere(place);
    expect((await bench.client.keys(`{${place.namespace}}:lease:*`)).length).toBe(1);
    await worker.drain();
    expect((await bench.client.keys(`{${place.namespace}}:*`)).filter((key) => !key.endsWith(':workers'))).toEqual([]);
  }, LONG);
});
