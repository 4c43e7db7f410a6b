/** ACCEPTANCE 35, 36, 40, 41, 42, 47, 56: workers that die, stop, drain, do not know a task, meet garbage, share an id. Real processes, a real server. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ParallelGroupError } from 'taskchart';
import { Bench, fixture, itemsIn, release } from './bench.ts';
import { marksIn, worksOn, type Mark } from './fixtures/work.ts';
import { rejection } from '../acceptance/support/watch.ts';
import { eventually, WorkerProcess } from './worker-process.ts';

let bench: Bench;
/** What takes its time goes on beside the other tests. */
let aside: WorkerProcess[] = [];
let slow: Promise<unknown>;
let unknown: Promise<unknown>;

beforeAll(async () => {
  bench = await Bench.open();
  const [slowPlace, otherPlace] = [bench.place(), bench.place()];
  slow = worksOn(slowPlace).slow.run([33_000]);
  unknown = rejection(worksOn(otherPlace).items.run(itemsIn(bench.folder(), 1)));
  const { url } = bench.server;
  aside = [
    new WorkerProcess([fixture('serve.ts')], { redis: url, namespace: slowPlace.namespace, lease: 1000 }),
    new WorkerProcess([fixture('serve-other.ts')], { redis: url, namespace: otherPlace.namespace, id: 'stranger', lease: 1000 }),
  ];
  await Promise.all(aside.map((worker) => worker.registered()));
});
afterEach(() => bench.clear());
afterAll(async () => {
  await Promise.all(aside.map((worker) => worker.kill()));
  await bench.close();
});

const tens = (count: number): number[] => Array.from({ length: count }, (_, n) => n * 10);
const of = (marks: readonly Mark[], what: string, worker?: WorkerProcess): number[] =>
  marks.filter((mark) => mark.what === what && (worker === undefined || mark.pid === worker.pid)).map(({ n }) => n).toSorted((a, b) => a - b);
const until = (folder: string, what: string, count: number, worker?: WorkerProcess): Promise<unknown> =>
  eventually(`${count} tasks ${what}`, () => of(marksIn(folder), what, worker).length >= count);
const LONG = 120_000;

describe('35. a worker that dies or stops', () => {
  it('35. SIGKILL in mid-unit: another one finishes its units after the lease, under the same keys', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const [victim, rescuer] = await Promise.all([bench.worker(place, { concurrency: 2, lease: 1000 }), bench.worker({ ...place }, { concurrency: 2, lease: 1000 })]);
    const run = worksOn(place).items.start(itemsIn(folder, 4, () => ({ hold: 'go' })));
    await until(folder, 'began', 4);
    await victim.kill();
    release(folder, 'go');
    expect(await run.result).toEqual({ outputs: tens(4), accepted: 4 });
    const marks = marksIn(folder);
    const lost = of(marks, 'began', victim);
    expect(lost.length).toBe(2);
    expect(of(marks, 'ended', victim)).toEqual([]);
    expect(of(marks, 'ended', rescuer)).toEqual([0, 1, 2, 3]);
    for (const n of [0, 1, 2, 3]) {
      const began = marks.filter((mark) => mark.what === 'began' && mark.n === n);
      expect(began.length).toBe(lost.includes(n) ? 2 : 1);
      expect(new Set(began.map(({ key }) => key)).size).toBe(1);
    }
  }, LONG);

  it('35. SIGSTOP past the lease, then SIGCONT: its stale result is fenced', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const victim = await bench.worker(place, { concurrency: 1, lease: 1000 });
    const run = worksOn(place).items.start(itemsIn(folder, 2, (n) => ({ hold: n === 0 ? 'go' : 'later' })));
    await until(folder, 'began', 1, victim);
    await victim.freeze();
    const rescuer = await bench.worker(place, { concurrency: 2, lease: 1000 });
    await until(folder, 'began', 2, rescuer);
    release(folder, 'go');
    await until(folder, 'ended', 1, rescuer);
    victim.signal('SIGCONT');
    await eventually('the victim has heard that nobody wants its result', () =>
      of(marksIn(folder), 'aborted', victim).length > 0 || victim.log.some(({ message }) => /result was not accepted/.test(message)));
    release(folder, 'later');
    expect(await run.result).toEqual({ outputs: tens(2), accepted: 2 });
    expect(of(marksIn(folder), 'ended', rescuer)).toEqual([0, 1]);
    // It is a worker like any other again.
    await rescuer.kill();
    expect(await worksOn(place).items.run(itemsIn(folder, 3))).toEqual({ outputs: tens(3), accepted: 3 });
    expect(victim.over).toBe(undefined);
  }, LONG);
});

describe('40. draining', () => {
  it('40. SIGTERM: it finishes what it has, claims nothing new, and exits with 0', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const leaver = await bench.worker(place, { concurrency: 2 });
    const run = worksOn(place).items.start(itemsIn(folder, 5, () => ({ hold: 'go' })));
    await until(folder, 'began', 2);
    leaver.signal('SIGTERM');
    await leaver.says(/^draining$/);
    expect((await bench.list(place, 'q:default')).length).toBe(3);
    release(folder, 'go');
    expect(await leaver.ended).toMatchObject({ code: 0, signal: null });
    expect(of(marksIn(folder), 'began')).toEqual([0, 1]);
    expect(of(marksIn(folder), 'ended')).toEqual([0, 1]);
    expect((await bench.list(place, 'q:default')).length).toBe(3);
    await bench.worker(place);
    expect(await run.result).toEqual({ outputs: tens(5), accepted: 5 });
    expect(of(marksIn(folder), 'began')).toEqual([0, 1, 2, 3, 4]);
  }, LONG);

  it.each(['a second SIGTERM', 'the deadline'])('40. %s: it gives its units back as they were, and exits with 0', async (what) => {
    const [place, folder] = [bench.place(), bench.folder()];
    const leaver = await bench.worker(place, { concurrency: 2, drain: what === 'the deadline' ? 300 : 100_000 });
    const run = worksOn(place).items.start(itemsIn(folder, 3, () => ({ hold: 'go' })));
    await until(folder, 'began', 2);
    leaver.signal('SIGTERM');
    await leaver.says(/^draining$/);
    if (what === 'a second SIGTERM') leaver.signal('SIGTERM');
    expect(await leaver.ended).toMatchObject({ code: 0, signal: null });
    const marks = marksIn(folder);
    // Whether a task still hears of it before its process is gone is up to the machine.
    expect([of(marks, 'began'), of(marks, 'ended')]).toEqual([[0, 1], []]);
    // Nobody died of them: they have not used up a delivery.
    expect((await bench.list(place, 'q:default')).map((unit) => unit.slice(0, 2))).toEqual(['1|', '1|', '1|']);
    release(folder, 'go');
    await bench.worker(place);
    expect(await run.result).toEqual({ outputs: tens(3), accepted: 3 });
  }, LONG);

  it('40. a branch goes on elsewhere from where it stood', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const leaver = await bench.worker(place, { concurrency: 4, drain: 300 });
    const run = worksOn(place).branches.start(itemsIn(folder, 3, () => ({ hold: 'go' })));
    await until(folder, 'began', 3);
    leaver.signal('SIGTERM');
    expect(await leaver.ended).toMatchObject({ code: 0, signal: null });
    release(folder, 'go');
    const other = await bench.worker(place);
    expect(await run.result).toEqual({ outputs: tens(3), accepted: 3 });
    const marks = marksIn(folder);
    expect(of(marks, 'one')).toEqual([0, 1, 2]);
    expect(of(marks, 'ended', other)).toEqual([0, 1, 2]);
    for (const n of [0, 1, 2]) expect(new Set(marks.filter((mark) => mark.what === 'began' && mark.n === n).map(({ key }) => key)).size).toBe(1);
  }, LONG);
});

describe('41. a unit that kills its worker every time', () => {
  it('41. is given up after the maximum of deliveries: a failure that says so, and a place among the dead', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const run = worksOn(place).items.start(itemsIn(folder, 4, (n) => ({ die: n === 2 })));
    let over = false;
    const failure = rejection(run.result).finally(() => (over = true)) as unknown as Promise<ParallelGroupError>;
    let spawned = 0;
    // Whoever runs workers starts another one when one has died.
    while (!over) {
      const worker = bench.starting(place, { concurrency: 1, lease: 300 });
      spawned += 1;
      await Promise.race([worker.ended, failure]);
    }
    const { failed, succeeded } = await failure;
    expect(succeeded).toEqual(['0', '1', '3']);
    expect(failed).toMatchObject([{ id: '2', error: { name: 'TaskError', code: 'task/dead-unit', message: expect.stringMatching(/3/) } }]);
    expect(of(marksIn(folder), 'began')).toEqual([0, 1, 2, 2, 2, 3]);
    expect(spawned).toBe(4);
    const dead = (await bench.list(place, 'dead')).map((text) => JSON.parse(text) as { readonly reason: string; readonly unit: string; readonly deliveries: number });
    expect(dead).toMatchObject([{ deliveries: 3, unit: expect.stringContaining('"index":2') }]);
    expect(dead[0]?.reason).toMatch(/lease|worker/);
  }, LONG);
});

describe('42. a task that a worker does not know', () => {
  it('42. is left to a worker that knows it', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const stranger = await bench.worker(place, { id: 'stranger' }, 'serve-other.ts');
    const run = worksOn(place).items.start(itemsIn(folder, 6));
    await stranger.says(/its task is not known to this worker/);
    await bench.worker(place, { id: 'expert' });
    expect(await run.result).toEqual({ outputs: tens(6), accepted: 6 });
  }, LONG);

  it('42. fails where no live worker knows it: with its id, the worker and what that knows', async () => {
    const error = (await unknown) as unknown as ParallelGroupError;
    const [member] = error.failed;
    expect(member?.error).toMatchObject({ name: 'TaskError', code: 'task/unknown-task' });
    for (const text of ['"work"', '"items"', '"stranger"', 'otherTask', 'other']) expect(member?.error.message).toContain(text);
  }, LONG);
});

describe('47. a message that is no unit', () => {
  it('47. goes to the dead ones with the reason, and the worker goes on', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const worker = await bench.worker(place, { concurrency: 2 });
    const run = worksOn(place).items.start(itemsIn(folder, 4, (n) => ({ hold: n === 0 ? 'go' : 'done' })));
    release(folder, 'done');
    await until(folder, 'ended', 3);
    // Of a run that nobody coordinates a unit is dropped, whatever it is.
    const key = (await bench.keys(place)).find((name) => name.startsWith('coord:'))?.slice('coord:'.length) ?? '';
    const bodies = ['no json', '{"v":99}', '[]', JSON.stringify({ v: 1, group: 5 }), `{"v":1,"x":"${'x'.repeat(5_000_000)}`];
    const garbage = ['garbage', '', '\u0000\u0001|||', '1|2', ...bodies.map((body, at) => `1|${key}|77.${at}.0|${body}`)];
    await bench.client.rpush(`{${place.namespace}}:q:default`, ...garbage);
    const dead = await eventually('all are among the dead', async () => {
      const texts = await bench.list(place, 'dead');
      return texts.length === garbage.length ? texts.map((text) => JSON.parse(text) as { readonly reason: string; readonly unit: string }) : undefined;
    });
    release(folder, 'go');
    expect(await run.result).toEqual({ outputs: tens(4), accepted: 4 });
    for (const { reason, unit } of dead) {
      expect(reason.length).toBeGreaterThan(10);
      expect(reason.length).toBeLessThan(500);
      expect(unit.length).toBeLessThan(100_000);
    }
    expect(dead.find(({ unit }) => unit.includes('"v":99'))?.reason).toContain('version 99');
    expect(await worksOn(place).items.run(itemsIn(folder, 2))).toEqual({ outputs: tens(2), accepted: 2 });
    expect(worker.over).toBe(undefined);
    expect(worker.log.filter(({ message }) => /moved to the dead ones/.test(message)).length).toBeGreaterThanOrEqual(bodies.length);
    expect(Math.max(...worker.stderr.split('\n').map((line) => line.length))).toBeLessThan(1000);
  }, LONG);
});

describe('56. two workers with one id', () => {
  it('56. the second one ends with exit code 3, and takes nothing', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const first = await bench.worker(place, { id: 'twin', concurrency: 2 });
    const second = bench.starting(place, { id: 'twin', concurrency: 2 });
    const run = worksOn(place).items.start(itemsIn(folder, 6, () => ({ hold: 'go' })));
    expect(await second.ended).toMatchObject({ code: 3, stderr: expect.stringContaining('twin') });
    release(folder, 'go');
    expect(await run.result).toEqual({ outputs: tens(6), accepted: 6 });
    expect(of(marksIn(folder), 'began', first)).toEqual([0, 1, 2, 3, 4, 5]);
  }, LONG);

  it('56. a worker whose id was taken over while it stood still ends, and never shares a slot', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const first = await bench.worker(place, { id: 'twin', concurrency: 2, lease: 500 });
    const run = worksOn(place).items.start(itemsIn(folder, 4, () => ({ hold: 'go' })));
    await until(folder, 'began', 2, first);
    await first.freeze();
    const second = await takeOver(() => bench.starting(place, { id: 'twin', concurrency: 2, lease: 500 }));
    await until(folder, 'began', 2, second);
    first.signal('SIGCONT');
    expect(await first.ended).toMatchObject({ code: 3 });
    release(folder, 'go');
    expect(await run.result).toEqual({ outputs: tens(4), accepted: 4 });
    expect(of(marksIn(folder), 'ended')).toEqual([0, 1, 2, 3]);
    expect(of(marksIn(folder), 'ended', second)).toEqual([0, 1, 2, 3]);
  }, LONG);
});

/** Tries until the lease of the other one has run out. */
async function takeOver(start: () => WorkerProcess): Promise<WorkerProcess> {
  for (;;) {
    const worker = start();
    try {
      await worker.registered();
      return worker;
    } catch {
      expect(worker.over?.code).toBe(3);
    }
  }
}

describe('36. a member that takes long', () => {
  it('36. and blocks its thread for longer than the lease stays with its worker', async () => {
    const [place, folder] = [bench.place(), bench.folder()];
    const busy = await bench.worker(place, { concurrency: 1, lease: 2500 });
    const run = worksOn(place).items.start(itemsIn(folder, 1, () => ({ blockMs: 6000 })));
    await until(folder, 'began', 1);
    const idle = await bench.worker(place, { concurrency: 1, lease: 2500 });
    expect(await run.result).toEqual({ outputs: [0], accepted: 1 });
    expect(of(marksIn(folder), 'began', busy)).toEqual([0]);
    expect(of(marksIn(folder), 'began', idle)).toEqual([]);
  }, LONG);

  it('36. of 33 s completes: there is no fixed limit', async () => {
    expect(await slow).toEqual([33_000]);
  }, LONG);
});
