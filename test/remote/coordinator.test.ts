/** The coordinator over simulated lists: what leaves, what comes back, what it says. Faults are in coordinator-faults.test.ts. */
import { createActor, createMachine, type InspectionEvent } from 'xstate';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { decodeShared, decodeUnit, encodeHint } from '../../src/core/messages.ts';
import { reviveError, type SerializedError } from '../../src/core/errors.ts';
import { decodeEnd } from '../../src/runtime/remote/ends.ts';
import { Bench, range, type PlayedRun } from './support/bench.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => {
  expect(bench.problems).toEqual([]);
});

/** Lets a worker execute everything that comes until the run has so many results. */
async function finish(run: PlayedRun, results: number, members = 1): Promise<void> {
  const worker = await bench.worker('finisher', { slots: 500 }).register();
  for (let left = 0; left < 100 && run.given.length < results; left += 1) {
    await worker.claim();
    await worker.finish((id) => range(members).map((at) => [`${id} ${at}`]));
    await bench.pass(2500);
  }
  expect(run.given.length).toBe(results);
}

describe('dispatch', () => {
  it('lets units leave when the revision that planned them is durable, and not before', async () => {
    const run = bench.run();
    run.isDurable = false;
    run.plan(1, [0, 1]);
    await bench.pass(60_000);
    // Not even the token is asked for: another process may own the run by now.
    expect([run.state, [...bench.calls]]).toEqual(['idle', []]);
    run.plan(1, [2]);
    run.makeDurable(1);
    await bench.pass(0);
    expect(run.pendingIds()).toEqual(['1.0.0', '1.1.0']);
    run.makeDurable(2);
    await bench.pass(0);
    expect(run.pendingIds()).toEqual(['1.0.0', '1.1.0', '1.2.0']);
  });

  it('without a journal lets them leave at once, with keys that do not outlive the run by much', async () => {
    const run = bench.run('r1~x', { journalled: false, settings: { expireMs: 20_000 } });
    run.isDurable = false;
    run.plan(1, [0]);
    await bench.pass(0);
    expect(run.pendingIds()).toEqual(['1.0.0']);
    // They are kept alive for as long as it lives.
    for (let seconds = 0; seconds < 60; seconds += 5) await bench.pass(5000);
    const { keys } = bench.server;
    for (const key of [keys.coordinator(run.name), keys.sequence(run.name), keys.shared(run.name, 'g1')]) {
      expect(bench.server.timeLeft(key)).toBeGreaterThan(10_000);
      expect(bench.server.timeLeft(key)).toBeLessThanOrEqual(20_000);
    }
  });

  it('sends at most 1,000 units and about two megabytes at a time, in their order, and no more than the window', async () => {
    const run = bench.run('r1', { settings: { window: 3500, batch: 1000 } });
    const sizes: number[] = [];
    bench.server.faults = { before: ({ name, request }) => void (name === 'push' && sizes.push((request as { units: unknown[] }).units.length)) };
    run.plan(1, range(5000), { size: 5000 });
    await bench.pass(0);
    expect(sizes).toEqual([1000, 1000, 1000, 500]);
    expect(run.pendingIds()).toEqual(range(3500).map((index) => `1.${index}.0`));
    await finish(run, 5000);
    expect(Math.max(...sizes)).toBe(1000);
  });

  it('cuts a push of long units, also where one alone is longer than a push should be', async () => {
    const run = bench.run();
    const sizes: number[] = [];
    bench.server.faults = { before: ({ name, request }) => void (name === 'push' && sizes.push((request as { units: unknown[] }).units.length)) };
    run.plan(1, range(9), { size: 9, input: (index) => 'x'.repeat(index === 4 ? 6_000_000 : 600_000) });
    await bench.pass(0);
    expect(run.pendingIds()).toEqual(range(9).map((index) => `1.${index}.0`));
    expect(Math.max(...sizes)).toBe(3);
    expect(sizes).toContain(1);
    await finish(run, 9);
    expect(bench.count('audit')).toBe(0);
  });

  it('gives queues their turns, so that one without workers does not stop another', async () => {
    const run = bench.run('r1', { settings: { window: 10 } });
    run.plan(1, range(30), { size: 30, queue: 'nobody' });
    run.plan(2, range(30), { size: 30, queue: 'q' });
    await bench.pass(0);
    expect(run.queue('nobody').length).toBe(10);
    await finish(run, 30);
    expect(run.queue('nobody').length).toBe(10);
  });

  it('sends what is planned in one turn in one push, and what is told again only once', async () => {
    const run = bench.run();
    run.plan(1, [0]);
    run.plan(2, [0, 1], { size: 2 });
    run.tellAgain(1, [0]);
    run.tellAgain(2, [0, 1]);
    await bench.pass(0);
    run.tellAgain(2, [0, 1]);
    await bench.pass(60_000);
    expect(run.pendingIds()).toEqual(['1.0.0', '2.0.0', '2.1.0']);
    expect(bench.count('push')).toBe(1);
  });

  it('sends the shared part of a small group within its units, that of a large one once beside them, and the graph once', async () => {
    const graph = { format: 'taskchart/graph', version: 1, workflow: 'flow', root: 'a', nodes: { a: { kind: 'task', id: 'a' } } } as never;
    const run = bench.run('r1', { graph });
    run.plan(1, [0, 1], { size: 2 });
    run.plan(2, range(5), { size: 1005 });
    await bench.pass(0);
    run.plan(2, range(1000, 5), { size: 1005 });
    await bench.pass(0);
    const { server } = bench;
    const units = run.pending.map(decodeUnit);
    expect(units.filter(({ body }) => body.shared !== undefined).map(({ id }) => id)).toEqual(['1.0.0', '1.1.0']);
    expect(units[0]?.body.shared?.node).toBe('group');
    expect(decodeShared(server.list(server.keys.shared('r1', 'g2'))[0] ?? '').key).toBe('2');
    expect(server.list(server.keys.shared('r1', 'g1'))).toEqual([]);
    expect(JSON.parse(server.list(server.keys.shared('r1', 'graph'))[0] ?? '')).toEqual({ v: 1, graph });
    expect(bench.shared).toEqual(['graph', 'g2']);
  });

  it.each([true, false])('removes the shared part of a group that is over, and not before that is durable (journal: %s)', async (journalled) => {
    const run = bench.run('r1', { journalled });
    const worker = bench.worker();
    const { keys } = bench.server;
    const stored = (): string[] => [1, 2, 3].filter((group) => bench.server.list(keys.shared('r1', `g${group}`)).length > 0).map(String);
    run.plan(1, [0]);
    run.plan(2, [0]);
    await bench.pass(0);
    await worker.claim();
    await worker.finish();
    await bench.pass(0);
    expect(stored()).toEqual(['1', '2']);
    run.isDurable = !journalled;
    run.revision += 1;
    run.coordinator.ended([1], run.revision);
    run.plan(3, [0]);
    await bench.pass(0);
    if (journalled) expect(stored()).toEqual(['1', '2']);
    run.makeDurable();
    await bench.pass(5000);
    expect(stored()).toEqual(['2', '3']);
    expect(bench.server.list(keys.sequence('r1')).slice(1).sort()).toEqual(['g2', 'g3']);
  });

  it('tells two runs with the same groups apart', async () => {
    const [one, two] = [bench.run('one'), bench.run('two')];
    one.plan(1, [0, 1]);
    two.plan(1, [0, 1]);
    await bench.pass(0);
    one.abort([1]);
    await finish(two, 2);
    expect(one.given).toEqual([]);
    await Promise.all([one.coordinator.close('ended'), two.coordinator.close('ended')]);
    expect(bench.keys()).toEqual([]);
  });
});

describe('collect', () => {
  it('hands results to the run once, with what the worker said', async () => {
    const run = bench.run();
    run.plan(1, [0, 2], { members: 2 });
    await bench.pass(0);
    const worker = await bench.worker().register();
    await worker.claim();
    await worker.finish((id) => [[`${id} a`], { kind: 'ended', cell: { error: { name: 'E', message: 'no' } }, steps: 3 }]);
    await bench.pass(0);
    expect(run.given).toMatchObject(['1.0.0', '1.2.0'].map((id) => ({
      group: 1, index: Number(id[2]), generation: 0, worker: 'w1', startedAt: 5, durationMs: 7, ends: [[`${id} a`], { kind: 'ended', cell: { error: { name: 'E', message: 'no' } }, steps: 3 }],
    })));
  });

  it('removes a result from the lists when a durable revision of the run holds it, and not before', async () => {
    const run = bench.run();
    run.plan(1, [0, 1, 2]);
    await bench.pass(0);
    run.accepts = run.isDurable = false;
    const worker = await bench.worker().register();
    await worker.claim(2);
    await worker.finish();
    for (let ticks = 0; ticks < 3; ticks += 1) await bench.pass(5000);
    expect(run.taken.length).toBe(2);
    run.accept();
    const { revision } = run;
    for (let ticks = 0; ticks < 3; ticks += 1) await bench.pass(5000);
    expect(run.taken.length).toBe(2);
    await worker.claim(1);
    await worker.finish();
    await bench.pass(0);
    run.accept();
    run.makeDurable(revision);
    await bench.pass(5000);
    expect(run.takenIds()).toEqual(['1.2.0']);
    run.makeDurable();
    await bench.pass(5000);
    await bench.pass(5000);
    expect(run.taken).toEqual([]);
  });

  it('takes no more results while the run has many to take in', async () => {
    const run = bench.run('r1', { settings: { window: 20, batch: 10 } });
    run.accepts = false;
    run.plan(1, range(100), { size: 100 });
    const worker = await bench.worker('w1', { slots: 100 }).register();
    for (let round = 0; round < 10; round += 1) {
      await worker.claim();
      await worker.finish();
      await bench.pass(3000);
    }
    expect(run.given.length).toBeGreaterThanOrEqual(20);
    expect(run.given.length).toBeLessThanOrEqual(30);
    run.accepts = true;
    run.accept();
    await finish(run, 100);
  });

  it('takes a branch that comes back and leaves again for another unit', async () => {
    const run = bench.run();
    run.plan(1, [0]);
    await bench.pass(0);
    const worker = await bench.worker().register();
    await worker.claim();
    // The run plans it again while it takes the result in.
    run.onDeliver = () => {
      run.onDeliver = undefined;
      run.plan(1, [0], { generation: 1 });
    };
    await worker.finish();
    await bench.pass(0);
    expect(run.ids()).toEqual(['1.0.0']);
    expect(run.pendingIds()).toEqual(['1.0.1']);
    await finish(run, 2);
    expect(run.ids()).toEqual(['1.0.0', '1.0.1']);
  });

  it('drops and counts what is no result, what nobody waits for, and what does not fit its unit', async () => {
    const run = bench.run();
    run.plan(1, [0, 1], { members: 2 });
    await bench.pass(0);
    const old = (id: string, ends: unknown[] = [[1], [2]]): string => `R|${id}|1|${JSON.stringify({ v: 1, ends, worker: 'w', startedAt: 0, durationMs: 0 })}`;
    bench.forge('r1', ['garbage', 'R|1.0.0|1|{"v":2}', 'R|1.0.0|1|[', old('1.0.1'), old('7.0.0'), old('1.1.0', [[1]]), `x${'y'.repeat(100_000)}`, 'D|9.9.9|3|"why"']);
    await bench.pass(5000);
    expect(run.given).toEqual([]);
    expect(run.context).toMatchObject({ bad: 5, dropped: 3 });
    expect(run.coordinator.waitsFor()[0]?.reason).toBe('no live worker serves the queue');
    await finish(run, 2, 2);
    expect(run.context).toMatchObject({ bad: 5, dropped: 3 });
    expect(run.failures).toEqual([]);
  });

  it('looks for a unit whose result was no use, and sends it again', async () => {
    const run = bench.run();
    run.plan(1, [0]);
    await bench.pass(0);
    const worker = await bench.worker('w1', { leaseMs: 1e6 }).register();
    await worker.claim();
    await worker.finish(() => [[1], [2], [3]], true);
    await bench.pass(5000);
    expect(run.coordinator.waitsFor()[0]?.reason).toBe('1 message was dropped that is no result');
    expect(run.pending).toEqual([]);
    for (let ticks = 0; ticks < 7; ticks += 1) await bench.pass(5000);
    expect(run.pendingIds()).toEqual(['1.0.0']);
    await finish(run, 1);
  });

  it('needs few calls of the lists for many units, and almost none where nothing happens', async () => {
    const run = bench.run();
    run.plan(1, range(1000), { size: 1000 });
    await bench.pass(0);
    const worker = await bench.worker('w1', { slots: 100 }).register();
    for (let round = 0; round < 10; round += 1) {
      await worker.claim();
      await worker.finish();
      await bench.pass(0);
    }
    expect(run.given.length).toBe(1000);
    const own = ['acquire', 'push', 'take', 'trim', 'waitResult', 'held', 'audit'].reduce((sum, name) => sum + bench.count(name), 0);
    expect(own).toBeLessThanOrEqual(50);
    await bench.pass(5000);
    bench.calls.clear();
    // Nothing is open.
    for (let ticks = 0; ticks < 20; ticks += 1) await bench.pass(5000);
    expect([...bench.calls]).toEqual([]);
    run.plan(1, [1000]);
    await bench.pass(0);
    bench.calls.clear();
    // One unit that takes 25 s.
    for (let ticks = 0; ticks < 5; ticks += 1) await bench.pass(5000);
    expect([...bench.calls.values()].reduce((sum, count) => sum + count, 0)).toBeLessThan(40);
  });
});

describe('what it waits for', () => {
  it('says how many units, since when, and that nobody serves the queue', async () => {
    const run = bench.run();
    run.plan(1, [0, 1]);
    await bench.pass(500);
    run.plan(2, [0], { queue: 'other' });
    await bench.pass(2000);
    await bench.pass(5000);
    const reason = 'no live worker serves the queue';
    expect(run.coordinator.waitsFor()).toEqual([{ kind: 'units', queue: 'q', units: 2, since: 1_000_000, reason }, { kind: 'units', queue: 'other', units: 1, since: 1_000_500, reason }]);
    const worker = await bench.worker().register();
    await worker.claim(1);
    await worker.finish();
    await bench.pass(5000);
    expect(run.coordinator.waitsFor()).toEqual([{ kind: 'units', queue: 'q', units: 1, since: 1_000_000 }, { kind: 'units', queue: 'other', units: 1, since: 1_000_500, reason }]);
    run.abort([1, 2]);
    expect(run.coordinator.waitsFor()).toEqual([]);
  });

  it('fails the units of a group that nobody starts in time, and stops them once the run holds that durably', async () => {
    const run = bench.run();
    run.plan(1, [0, 2], { members: 2, startTimeoutMs: 30_000 });
    run.plan(2, [0], { startTimeoutMs: 200_000 });
    await bench.pass(0);
    run.isDurable = false;
    for (let ticks = 0; ticks < 5; ticks += 1) await bench.pass(5000);
    expect(run.given).toEqual([]);
    for (let ticks = 0; ticks < 3; ticks += 1) await bench.pass(5000);
    expect(run.ids()).toEqual(['1.0.0', '1.2.0']);
    expect(run.given.map(({ ends }) => ends.length)).toEqual([2, 2]);
    const outcome = decodeEnd(run.given[0]?.ends[1] as never) as { cell: { error: SerializedError } };
    const error = reviveError(outcome.cell.error);
    expect(error).toMatchObject({ name: 'TaskError', code: 'task/no-worker', details: { queue: 'q', startTimeoutMs: 30_000 } });
    expect(error.message).toContain('no live worker serves the queue "q"');
    expect(error.message).toContain('run "r1"');
    // Not durable: a crash would bring them back to a run that waits for them.
    expect(run.pending.length).toBe(3);
    run.makeDurable();
    await bench.pass(0);
    expect(run.pendingIds()).toEqual(['2.0.0']);
  });

  it('does not fail them while a live worker is there, or was there shortly before, or the lists cannot be asked', async () => {
    const run = bench.run();
    const worker = await bench.worker('w1', { leaseMs: 40_000, slots: 1 }).register();
    run.plan(1, [0, 1], { startTimeoutMs: 10_000 });
    for (let ticks = 0; ticks < 6; ticks += 1) await bench.pass(5000);
    expect(run.given).toEqual([]);
    await worker.claim();
    await bench.pass(35_000);
    bench.server.stop();
    for (let ticks = 0; ticks < 10; ticks += 1) await bench.pass(5000);
    expect(run.given).toEqual([]);
    expect(run.coordinator.waitsFor()[0]?.reason).toMatch(/^the connection to Redis is lost: /);
    bench.server.start();
    for (let ticks = 0; ticks < 4; ticks += 1) await bench.pass(5000);
    expect(run.ids()).toEqual(['1.0.0', '1.1.0']);
  });

  it('takes no branch from a worker whose maps and queues no checkpoint may have', () => {
    const empty = { size: 0, depth: 0, root: [] };
    const parked = (branch: object) => decodeEnd({ kind: 'parked', steps: 1, waits: [], branch } as never);
    expect(parked({ groups: empty })).toMatchObject({ kind: 'parked', branch: { groups: empty } });
    const refused = (branch: object, field: string) => expect(() => parked(branch)).toThrow(expect.objectContaining({ code: 'protocol/bad-result', message: expect.stringContaining(field) as string }) as Error);
    refused({ groups: { ...empty, depth: 1e9 } }, '"branch.groups.depth": 1000000000');
    refused({ root: { queue: { size: 1, head: 0, chunks: [], tail: [] } } }, '"branch.root.queue.size": 1');
  });

  it('looks after workers that died where no other is left to do it', async () => {
    const run = bench.run();
    run.plan(1, [0]);
    await bench.pass(0);
    for (const name of ['w1', 'w2', 'w3']) {
      const worker = await bench.worker(name, { leaseMs: 3000 }).register();
      expect(await worker.claim()).toEqual(['1.0.0']);
      for (let ticks = 0; ticks < 2; ticks += 1) await bench.pass(5000);
    }
    // Every worker that took it has died.
    expect(run.ids()).toEqual(['1.0.0']);
    const { cell } = decodeEnd(run.given[0]?.ends[0] as never) as { cell: { error: SerializedError } };
    expect(cell.error).toMatchObject({ name: 'TaskError', code: 'task/dead-unit', details: { unit: '1.0.0', deliveries: 3 } });
    expect(cell.error.message).toContain('unit 1.0.0 of group "group" (workflow "flow", run "r1") was given up after 3 deliveries: ');
    expect(cell.error.hint).toContain('doctor');
  });

  it('passes on what running units say, and nothing else that is published', async () => {
    const run = bench.run();
    run.plan(1, [0]);
    await bench.pass(0);
    const note = { kind: 'progress', done: 1 };
    const { signals } = bench.server.connect();
    for (const [name, id] of [['r1', '1.0.0'], ['r2', '1.0.0'], ['r1', '1.0.1'], ['r1', '2.0.0'], ['r1', '1.9.0']] as const) signals.publish(encodeHint({ kind: 'note', run: name, id, index: 0, note }));
    for (const text of ['', 'N|r1|1.0.0|0|{', 'C|r1|*', 'N|r1|1.0.0|x|1', 'garbage']) signals.publish(text);
    await bench.pass(0);
    expect(run.notes).toEqual([[{ group: 1, index: 0 }, note]]);
  });
});

describe('cancelling', () => {
  it('reaches units that wait, are executed, or have not left; their results are dropped', async () => {
    const run = bench.run('r1', { settings: { window: 4 } });
    run.plan(1, range(3), { size: 3 });
    await bench.pass(0);
    const worker = await bench.worker().register();
    await worker.claim(1);
    run.plan(2, range(3), { size: 3 });
    await bench.pass(0);
    expect(run.pendingIds()).toEqual(['1.1.0', '1.2.0', '2.0.0']);
    const heard: string[] = [];
    bench.server.connect().signals.subscribe((text) => void heard.push(text));
    run.abort([1], [[2, 1, 0]]);
    await bench.pass(0);
    expect(heard).toEqual(['C|r1|1']);
    expect(run.pendingIds()).toEqual(['2.0.0', '2.2.0']);
    expect(bench.server.list(bench.server.keys.cancelled('r1'))).toEqual(['1']);
    await worker.finish();
    await finish(run, 2);
    expect(run.ids()).toEqual(['2.0.0', '2.2.0']);
  });

  it('waits until the revision that wants them no more is durable: a crash would bring it back', async () => {
    const run = bench.run();
    run.plan(1, [0, 1]);
    await bench.pass(0);
    run.isDurable = false;
    run.abort([], [[1, 1, 0]]);
    await bench.pass(10_000);
    expect(run.pendingIds()).toEqual(['1.0.0', '1.1.0']);
    expect(run.coordinator.waitsFor()[0]?.units).toBe(1);
    run.makeDurable();
    await bench.pass(0);
    expect(run.pendingIds()).toEqual(['1.0.0']);
  });

  it('keeps the result of such a unit in the lists until then', async () => {
    const run = bench.run();
    run.plan(1, [0, 1]);
    await bench.pass(0);
    const worker = await bench.worker().register();
    await worker.claim();
    run.isDurable = false;
    run.abort([], [[1, 0, 0]]);
    await worker.finish();
    for (let ticks = 0; ticks < 3; ticks += 1) await bench.pass(5000);
    expect(run.ids()).toEqual(['1.1.0']);
    expect(run.takenIds()).toEqual(['1.0.0', '1.1.0']);
    run.makeDurable();
    await bench.pass(5000);
    await bench.pass(5000);
    expect(run.taken).toEqual([]);
  });
});

describe('the end', () => {
  it('leaves nothing of the run in the lists, no timer, and no connection', async () => {
    const run = bench.run();
    run.plan(1, range(8), { size: 8 });
    run.plan(2, range(3), { size: 30, queue: 'other' });
    await bench.pass(0);
    const worker = await bench.worker().register();
    await worker.claim();
    await worker.finish();
    await worker.claim(2);
    await bench.pass(0);
    run.isReleased = true;
    const heard: string[] = [];
    bench.server.connect().signals.subscribe((text) => void heard.push(text));
    const closing = run.coordinator.close('ended');
    expect(run.coordinator.close('left')).toBe(closing);
    await closing;
    expect(bench.keys()).toEqual([]);
    expect(heard).toEqual(['C|r1|*']);
    // What is still executed is told to stop, and what comes of it is dropped.
    expect(await worker.cancelled()).toEqual({ r1: ['*'] });
    await worker.finish();
    await bench.pass(60_000);
    expect(bench.keys()).toEqual([]);
    expect(bench.clock.nextDueAt).toBeUndefined();
    await expect(run.client.lists.pending('q')).rejects.toMatchObject({ code: 'transport/unreachable' });
    run.plan(3, [0]);
    run.abort([1]);
    expect([run.coordinator.waitsFor(), run.failures, run.state]).toEqual([[], [], 'closed']);
  });

  it('leaves everything as it is for whoever resumes the run', async () => {
    const run = bench.run();
    run.plan(1, [0, 1, 2]);
    await bench.pass(0);
    run.accepts = false;
    const worker = await bench.worker().register();
    await worker.claim(1);
    await worker.finish();
    await bench.pass(0);
    await run.coordinator.close('left');
    expect(run.pendingIds()).toEqual(['1.1.0', '1.2.0']);
    expect(run.takenIds()).toEqual(['1.0.0']);
  });

  it('ends a run without a journal also when it is left', async () => {
    const run = bench.run('r1~x', { journalled: false });
    run.plan(1, [0, 1, 2]);
    await bench.pass(0);
    await run.coordinator.close('left');
    expect(bench.keys()).toEqual([]);
  });

  it('opens no connection where nothing was planned, but clears what an earlier life may have left', async () => {
    const idle = bench.run('idle');
    const fleeting = bench.run('fleeting~x', { journalled: false });
    const first = bench.run('r1');
    first.plan(1, [0, 1], { queue: 'other' });
    await bench.pass(0);
    await first.coordinator.close('left');
    bench.calls.clear();
    await Promise.all([idle.coordinator.close('left'), fleeting.coordinator.close('ended')]);
    expect([...bench.calls]).toEqual([]);
    const second = bench.run('r1', { queues: ['other'] });
    first.isReleased = true;
    await second.coordinator.close('ended');
    // The shared part of a group that this life does not know stays; its graph and its lists do not.
    expect(bench.keys().filter((key) => !key.includes(':grp:'))).toEqual([]);
  });

  it('gives up clearing lists that cannot be reached', async () => {
    const run = bench.run('r1', { settings: { closeMs: 10_000 } });
    run.plan(1, [0]);
    await bench.pass(0);
    bench.server.stop();
    await bench.pass(0);
    let isClosed = false;
    void run.coordinator.close('ended').then(() => (isClosed = true));
    await bench.pass(9000);
    expect(isClosed).toBe(false);
    await bench.pass(2000);
    expect([isClosed, run.state, run.failures]).toEqual([true, 'closed', []]);
    expect(bench.clock.nextDueAt).toBeUndefined();
  });
});

describe('seen from outside', () => {
  it('is a child of the actor that it belongs to, in whose system it is inspected, and tells it nothing', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const seen: InspectionEvent[] = [];
    const parent = createActor(createMachine({ id: 'run', on: { '*': { actions: () => expect.unreachable('the parent heard something') }, STOP: '.over' }, initial: 'on', states: { on: {}, over: { type: 'final' } } }), { inspect: (event) => void seen.push(event) }).start();
    const run = bench.run('r1', { parent });
    run.plan(1, [0]);
    await bench.pass(0);
    parent.send({ type: 'STOP' });
    await run.coordinator.close('ended');
    const { actor } = run.coordinator;
    expect((actor as { _parent?: { sessionId: string } })._parent?.sessionId).toBe(parent.sessionId);
    const states = seen.flatMap((event) => (event.type === '@xstate.snapshot' && event.actorRef === actor ? [JSON.stringify((event.snapshot as { value?: unknown }).value)] : []));
    expect([...new Set(states)]).toEqual(['"idle"', '"acquire"', '{"working":"dispatch"}', '{"working":"collect"}', '"ending"', '"closed"']);
    expect(warn.mock.calls).toEqual([]);
    warn.mockRestore();
  });
});
