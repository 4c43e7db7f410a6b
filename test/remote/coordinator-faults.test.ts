/** The coordinator over simulated lists that fail: lost replies, lost lists, lost processes, other owners. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unreachable, type FaultPlan, type SimulatedCall } from '../../src/adapters/simulated/lists.ts';
import { TransportError } from '../../src/core/errors.ts';
import { unitHeader } from '../../src/core/messages.ts';
import { Bench, range, type PlayedRun, type PlayedWorker } from './support/bench.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => {
  expect(bench.problems).toEqual([]);
});

/** Lets time pass, and a worker execute everything that comes, until the run has so many results. */
async function finish(run: PlayedRun, results: number, worker?: PlayedWorker): Promise<void> {
  const finisher = worker ?? (await bench.worker('finisher', { slots: 100 }).register());
  for (let left = 0; left < 60 && run.given.length < results; left += 1) {
    await finisher.claim();
    await finisher.finish();
    await bench.pass(2500);
  }
  expect(run.ids().length).toBe(results);
}

/** The fault hits a call of this name once; the second time the same if `times` says so. */
function once(name: string, when: 'before' | 'after', fault: { readonly lateMs?: number } = {}): FaultPlan {
  let left = 1;
  return { [when]: (call: SimulatedCall) => (call.name === name && (left -= 1) >= 0 ? { error: unreachable(), ...fault } : undefined) };
}

describe('a reply that was lost', () => {
  it.each(['before', 'after'] as const)('of a push, cut %s it was executed: every unit is in the lists once', async (when) => {
    const run = bench.run();
    bench.server.faults = once('push', when);
    run.plan(1, [0, 1, 2]);
    await bench.pass(0);
    expect(run.state).toBe('reconnect');
    expect(run.coordinator.waitsFor()).toEqual([{ kind: 'units', queue: 'q', units: 3, since: 1_000_000, reason: 'the connection to Redis is lost: the connection to the simulated server is lost' }]);
    await bench.pass(1000);
    expect(run.pendingIds()).toEqual(['1.0.0', '1.1.0', '1.2.0']);
    await finish(run, 3);
    expect(run.coordinator.waitsFor()).toEqual([]);
  });

  it('of a push that is executed when nobody expects it any more: nothing of it appears twice, nothing is lost', async () => {
    const run = bench.run();
    bench.server.faults = once('push', 'before', { lateMs: 3000 });
    run.plan(1, [0, 1, 2]);
    await bench.pass(0);
    run.plan(1, [3, 4]);
    await bench.pass(2000);
    expect(run.pendingIds()).toEqual(['1.0.0', '1.1.0', '1.2.0', '1.3.0', '1.4.0']);
    await bench.pass(5000);
    expect(run.pendingIds()).toEqual(['1.0.0', '1.1.0', '1.2.0', '1.3.0', '1.4.0']);
    await finish(run, 5);
  });

  it('of such a push, executed between the audit and what follows it', async () => {
    // The number of the lost batch is used up before the audit, so that the next push cannot be taken for it.
    for (const lateMs of range(120, 40)) {
      bench = new Bench(lateMs);
      const run = bench.run();
      bench.server.faults = once('push', 'before', { lateMs });
      run.plan(1, [0, 1]);
      await bench.pass(0);
      run.plan(1, [2, 3]);
      await bench.pass(400);
      expect([run.pendingIds(), bench.problems], `late by ${lateMs} ms`).toEqual([['1.0.0', '1.1.0', '1.2.0', '1.3.0'], []]);
    }
  });

  it.each(['take', 'waitResult', 'trim', 'held', 'audit', 'acquire', 'workers', 'reap'])('of %s, before and after it was executed: every result is taken in once', async (name) => {
    for (const when of ['before', 'after'] as const) {
      bench = new Bench();
      const run = bench.run();
      run.accepts = false;
      run.plan(1, range(6), { size: 6 });
      bench.server.faults = once(name, when);
      await bench.pass(500);
      const worker = await bench.worker('w1', { slots: 2 }).register();
      for (let round = 0; round < 3; round += 1) {
        await worker.claim();
        await worker.finish();
        await bench.pass(2500);
        if (round === 1) bench.server.cut();
      }
      await bench.pass(5000);
      run.accepts = true;
      run.accept();
      await finish(run, 6);
      for (let ticks = 0; ticks < 3; ticks += 1) await bench.pass(5000);
      expect([run.ids().sort(), run.taken, bench.problems], when).toEqual([range(6).map((index) => `1.${index}.0`), [], []]);
    }
  });

  it('of a cancel: it is sent again', async () => {
    const run = bench.run();
    run.plan(1, [0, 1]);
    await bench.pass(0);
    bench.server.faults = once('cancel', 'before');
    run.abort([1]);
    await bench.pass(2000);
    expect(run.pending).toEqual([]);
    expect(bench.server.list(bench.server.keys.cancelled('r1'))).toEqual(['1']);
  });

  it('of a release: nothing stays behind', async () => {
    for (const when of ['before', 'after'] as const) {
      bench = new Bench();
      const run = bench.run();
      run.plan(1, [0, 1], { size: 20 });
      await bench.pass(0);
      bench.server.faults = once('release', when);
      run.isReleased = true;
      const closing = run.coordinator.close('ended');
      await bench.pass(2000);
      await closing;
      expect(bench.keys()).toEqual([]);
    }
  });
});

describe('a result that a dying connection has moved', () => {
  it('is found within a few seconds, although no call says so and nothing is durable', async () => {
    const run = bench.run();
    run.accepts = false;
    run.plan(1, [0, 1]);
    await bench.pass(0);
    const worker = await bench.worker().register();
    await worker.claim(1);
    // The server does not notice the cut, and serves the old wait.
    run.client.cut({ zombies: true });
    await bench.pass(500);
    expect(run.state).toBe('working.collect');
    await worker.finish();
    await bench.pass(0);
    expect([run.takenIds(), run.ids()]).toEqual([['1.0.0'], []]);
    for (let ticks = 0; ticks < 2; ticks += 1) await bench.pass(5000);
    expect(run.ids()).toEqual(['1.0.0']);
  });

  it('does not let a later one be taken for it when both are trimmed', async () => {
    const run = bench.run();
    run.plan(1, range(4), { size: 4 });
    await bench.pass(0);
    const workers = await Promise.all(['w1', 'w2', 'w3', 'w4'].map((name) => bench.worker(name, { slots: 1 }).register()));
    for (const worker of workers) await worker.claim();
    run.client.cut({ zombies: true });
    await bench.pass(500);
    for (const worker of workers) {
      await worker.finish();
      await bench.pass(0);
    }
    for (let ticks = 0; ticks < 4; ticks += 1) await bench.pass(5000);
    expect([run.ids().sort(), run.taken]).toEqual([range(4).map((index) => `1.${index}.0`), []]);
  });
});

describe('a blocking wait that was lost', () => {
  it('is begun again: results come at once as before', async () => {
    const run = bench.run();
    run.plan(1, [0, 1]);
    await bench.pass(0);
    const worker = await bench.worker('w1', { slots: 1 }).register();
    for (const ids of [['1.0.0'], ['1.0.0', '1.1.0']]) {
      run.client.cut();
      await bench.pass(500);
      await worker.claim();
      await worker.finish();
      await bench.pass(0);
      expect(run.ids()).toEqual(ids);
    }
  });

  it('leaves nothing in the lists that is never trimmed, also where nobody wants what it moved', async () => {
    const run = bench.run();
    run.plan(1, [0, 1]);
    await bench.pass(0);
    const workers = await Promise.all(['w1', 'w2'].map((name) => bench.worker(name, { slots: 1 }).register()));
    for (const worker of workers) await worker.claim();
    run.client.cut({ zombies: true });
    await bench.pass(500);
    run.abort([], [[1, 0, 0]]);
    await bench.pass(0);
    for (const worker of workers) {
      await worker.finish();
      await bench.pass(0);
    }
    expect([run.takenIds(), run.ids()]).toEqual([['1.0.0', '1.1.0'], ['1.1.0']]);
    for (let ticks = 0; ticks < 4; ticks += 1) await bench.pass(5000);
    expect(run.taken).toEqual([]);
  });
});

describe('lists that were lost', () => {
  it('are filled again after everything was removed: units, shared parts, graph, token', async () => {
    const graph = { format: 'taskchart/graph', version: 1, workflow: 'flow', root: 'a', nodes: { a: { kind: 'task', id: 'a' } } } as never;
    const run = bench.run('r1', { graph });
    run.plan(1, range(10), { size: 10 });
    await bench.pass(0);
    const worker = await bench.worker('w1', { slots: 3 }).register();
    await worker.claim();
    await worker.finish();
    await bench.pass(0);
    await worker.claim();
    bench.server.flush();
    run.isReleased = true;
    await worker.finish();
    // Nothing happens that would show it, but the next look.
    for (let ticks = 0; ticks < 2; ticks += 1) await bench.pass(5000);
    expect(run.pendingIds().length).toBe(7);
    expect(bench.shared).toEqual(['graph', 'g1', 'graph', 'g1']);
    await finish(run, 10);
    expect(run.failures).toEqual([]);
  });

  it('are filled again when a push meets nobody', async () => {
    const run = bench.run();
    run.plan(1, [0, 1]);
    await bench.pass(0);
    bench.server.flush();
    run.plan(1, [2]);
    await bench.pass(500);
    expect(run.pendingIds().sort()).toEqual(['1.0.0', '1.1.0', '1.2.0']);
  });

  it.each(range(16))('come back without the last %i operations: every result is taken in once, nothing is lost', async (lost) => {
    const run = bench.run();
    run.plan(1, range(12), { size: 12 });
    await bench.pass(0);
    const worker = await bench.worker('w1', { slots: 2 }).register();
    for (let round = 0; round < 3; round += 1) {
      await worker.claim();
      await worker.finish();
      await bench.pass(0);
    }
    run.isReleased = true;
    bench.server.restart(lost);
    worker.units.clear();
    bench.problems.length = 0;
    const again = await bench.worker('w2', { slots: 4 }).register();
    for (let left = 0; left < 12 && run.given.length < 12; left += 1) {
      await again.claim();
      await again.finish();
      await bench.pass(5000);
    }
    expect(run.ids().sort()).toEqual(range(12).map((index) => `1.${index}.0`).sort());
    expect(run.failures).toEqual([]);
    // A result that came back after it was taken in is in the lists beside its unit for a moment: that is what was lost.
    bench.problems.splice(0, bench.problems.length, ...bench.problems.filter((problem) => !problem.includes('more than one list')));
  });

  it('are waited for while the server is away, with growing pauses, and said so', async () => {
    const run = bench.run();
    run.plan(1, [0]);
    await bench.pass(0);
    const tries: number[] = [];
    bench.server.faults = { before: ({ name }) => void (name === 'acquire' && tries.push(bench.clock.now())) };
    bench.server.stop();
    for (let ticks = 0; ticks < 24; ticks += 1) await bench.pass(5000);
    expect(run.failures).toEqual([]);
    expect(run.coordinator.waitsFor()[0]?.reason).toMatch(/^the connection to Redis is lost/);
    const pauses = tries.slice(1).map((at, index) => at - (tries[index] ?? 0));
    expect(tries.length).toBeLessThan(60);
    expect(Math.min(...pauses.slice(0, 3))).toBeLessThan(500);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(5000);
    expect(new Set(pauses.slice(-10)).size, 'the pauses have no jitter').toBeGreaterThan(5);
    bench.server.start();
    await bench.pass(6000);
    expect(run.state).toBe('working.collect');
    await finish(run, 1);
  });

  it.each([
    ['transport/out-of-memory', true], ['transport/loading', true], ['transport/read-only', true], ['transport/timeout', true],
    ['transport/auth', false], ['transport/forbidden', false], ['transport/wrong-type', false],
  ] as const)('refuse with %s: retried %s', async (code, retryable) => {
    const run = bench.run();
    run.plan(1, [0]);
    await bench.pass(0);
    let isBroken = true;
    bench.server.faults = { before: ({ name }) => (isBroken && name !== 'register' && name !== 'step' ? { error: new TransportError(code, `no: ${code}`, { hint: 'do this', details: { retryable } }) } : undefined) };
    run.plan(1, [1]);
    await bench.pass(20_000);
    if (!retryable) {
      expect(run.failures).toMatchObject([{ name: 'TransportError', code, hint: 'do this' }]);
      expect(run.state).toBe('failed');
      await run.coordinator.close('ended');
      return;
    }
    expect(run.failures).toEqual([]);
    expect(run.coordinator.waitsFor()[0]?.reason).toBe(`${code === 'transport/timeout' ? 'the connection to Redis is lost' : 'Redis cannot be used for now'}: no: ${code}`);
    isBroken = false;
    await bench.pass(6000);
    await finish(run, 2);
  });
});

describe('another owner', () => {
  it('fences a coordinator: it is told, and changes nothing any more', async () => {
    const first = bench.run('r1');
    first.plan(1, range(4), { size: 4 });
    await bench.pass(0);
    const worker = await bench.worker().register();
    await worker.claim(2);
    const second = bench.run('r1');
    second.tellAgain(1, range(4), { size: 4 });
    await bench.pass(100);
    first.isReleased = true;
    first.plan(1, [9]);
    await bench.pass(100);
    expect(first.failures).toMatchObject([{ code: 'run/fenced' }]);
    expect(first.failures[0]?.message).toContain('run "r1"');
    expect(first.state).toBe('fenced');
    first.abort([1]);
    first.accept();
    await first.coordinator.close('ended');
    expect(second.pendingIds()).toEqual(['1.2.0', '1.3.0']);
    await worker.finish();
    await finish(second, 4);
    expect(second.failures).toEqual([]);
  });

  it('of the same revision goes on where the first stopped: what is in the lists is not sent again, results are taken in', async () => {
    const first = bench.run('r1');
    first.plan(1, range(8), { size: 8 });
    await bench.pass(0);
    first.accepts = false;
    const worker = await bench.worker('w1', { slots: 2 }).register();
    await worker.claim();
    await worker.finish();
    await bench.pass(0);
    await worker.claim();
    await first.coordinator.close('left');
    first.isReleased = true;
    await worker.finish();
    await worker.claim();
    bench.calls.clear();
    const second = bench.run('r1', { durable: 1 });
    second.tellAgain(1, range(8), { size: 8 });
    await bench.pass(0);
    expect(second.ids().sort()).toEqual(['1.0.0', '1.1.0', '1.2.0', '1.3.0']);
    expect(bench.count('push')).toBe(0);
    await worker.finish();
    await finish(second, 8, worker);
    expect(new Set(worker.claimed).size).toBe(worker.claimed.length);
    expect(bench.count('push')).toBe(0);
  });

  it('stops what an earlier life has left and this one does not want, by its ids', async () => {
    const first = bench.run('r1');
    first.plan(1, range(4), { size: 4 });
    first.plan(2, [0, 1]);
    await bench.pass(0);
    const worker = await bench.worker().register();
    await worker.claim(1);
    await worker.finish();
    await bench.pass(0);
    await first.coordinator.close('left');
    // The run has aborted group 2 and unit 1.3.0, and holds 1.0.0; of group 1 more will be planned.
    const second = bench.run('r1', { durable: 9 });
    second.holds(['1.0.0']);
    first.isReleased = true;
    second.tellAgain(1, [1, 2], { size: 4 });
    await bench.pass(0);
    expect(second.pendingIds()).toEqual(['1.1.0', '1.2.0']);
    expect([...bench.server.list(bench.server.keys.cancelled('r1'))].sort()).toEqual(['1.3.0', '2.0.0', '2.1.0']);
    await finish(second, 2);
  });
});

describe('faults without end', () => {
  it.each(range(30, 1))('seed %i: cuts before and after calls, zombies, restarts; then everything is there once', async (seed) => {
    bench = new Bench(seed);
    const { random } = bench.environment;
    const run = bench.run('r1', { settings: { window: 12, batch: 5 } });
    const worker = await bench.worker('w1', { slots: 3, leaseMs: 4000 }).register();
    let isCalm = false;
    const maybe = (chance: number) => !isCalm && random.next() < chance;
    const ours = (call: SimulatedCall): boolean => call.client === 'coordinator 1';
    bench.server.faults = {
      before: (call) => (ours(call) && maybe(0.03) ? { error: unreachable(), ...(random.next() < 0.5 && { lateMs: Math.floor(random.next() * 4000) }) } : undefined),
      after: (call) => (ours(call) && maybe(0.03) ? { error: unreachable() } : undefined),
    };
    run.plan(1, range(40), { size: 40 });
    for (let round = 0; round < 25; round += 1) {
      if (maybe(0.15)) run.client.cut({ zombies: random.next() < 0.5 });
      if (maybe(0.1)) run.plan(2 + round, [0, 1], { size: 2 });
      if (maybe(0.05)) run.abort([2 + round]);
      run.accepts = run.isDurable = random.next() < 0.7;
      if (run.accepts && run.deliveries.length > 0) run.accept();
      await worker.claim();
      await worker.finish();
      await bench.pass(random.next() * 3000);
    }
    isCalm = true;
    run.accepts = run.isDurable = true;
    if (run.deliveries.length > 0) run.accept();
    for (let left = 0; left < 40 && run.open().length > 0; left += 1) {
      await worker.claim();
      await worker.finish();
      await bench.pass(5000);
    }
    expect([run.open(), run.failures], `seed ${seed}`).toEqual([[], []]);
    run.isReleased = true;
    const closing = run.coordinator.close('ended');
    await bench.pass(3000);
    await closing;
    expect(bench.keys(), `seed ${seed}`).toEqual([]);
    expect(bench.problems, `seed ${seed}`).toEqual([]);
    expect(run.pending.map((text) => unitHeader(text)?.id)).toEqual([]);
  });
});
