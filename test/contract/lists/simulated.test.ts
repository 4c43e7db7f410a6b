/** The faults of the simulated server: each does what it says, and the lists keep their rules through it. */
import { expect, test } from 'vitest';
import { SimulatedServer, unreachable } from '../../../src/adapters/simulated/lists.ts';
import type { SimulatedCall } from '../../../src/adapters/simulated/lists.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { done, ids, unit } from './subject.ts';

function make(remember = 0): { readonly clock: VirtualClock; readonly server: SimulatedServer } {
  const clock = new VirtualClock(1_000_000);
  return { clock, server: new SimulatedServer({ clock, remember }) };
}

const worker = { worker: 'w', nonce: 'n', queue: 'q', slots: 2, leaseMs: 10_000 };
const fence = { epoch: 1, nonce: 'a' };
const lost = { name: 'TransportError', code: 'transport/unreachable', retryable: true };

/** What came of it, without waiting for it. */
function watch<T>(promise: Promise<T>): { outcome: unknown } {
  const seen: { outcome: unknown } = { outcome: 'pending' };
  promise.then((value) => (seen.outcome = value), (error: unknown) => (seen.outcome = error));
  return seen;
}

test('a call can be lost before it was executed, or after', async () => {
  const { server } = make();
  const { lists } = server.connect('c');
  await lists.acquire({ run: 'r', nonce: 'a' });
  const push = (batch: number): Promise<unknown> => lists.push({ run: 'r', fence, batch, queue: 'q', units: [unit('r', `1.${batch}.0`)] });
  server.faults = { before: ({ name }) => (name === 'push' ? { error: unreachable() } : undefined) };
  await expect(push(1)).rejects.toMatchObject(lost);
  expect(server.list(server.keys.queue('q'))).toEqual([]);
  server.faults = { after: ({ name, client }) => (name === 'push' && client === 'c' ? { error: unreachable() } : undefined) };
  await expect(push(1)).rejects.toMatchObject(lost);
  expect(server.list(server.keys.queue('q'))).toHaveLength(1);
  server.faults = {};
  expect(await push(1)).toEqual({ status: 'ok' });
  expect(server.list(server.keys.queue('q'))).toHaveLength(1);
});

test('a lost call can be executed late, when its repetition was long before', async () => {
  const { clock, server } = make();
  const { lists } = server.connect();
  await lists.acquire({ run: 'r', nonce: 'a' });
  const push = (): Promise<unknown> => lists.push({ run: 'r', fence, batch: 1, queue: 'q', units: [unit('r', '1.0.0')] });
  server.faults = { before: () => ({ error: unreachable(), lateMs: 100 }) };
  await expect(push()).rejects.toMatchObject(lost);
  server.faults = {};
  expect(await push()).toEqual({ status: 'ok' });
  const executed: string[] = [];
  server.executed = ({ name }: SimulatedCall) => executed.push(name);
  await clock.advance(100);
  expect(executed).toEqual(['push']);
  expect(server.list(server.keys.queue('q'))).toHaveLength(1);
});

test('calls of one connection stay in their order, however long one of them takes', async () => {
  const { clock, server } = make();
  const { lists } = server.connect();
  server.faults = { before: ({ request }) => (request === 'a' ? { delayMs: 50 } : undefined), after: ({ request }) => (request === 'b' ? { delayMs: 50 } : undefined) };
  const order: string[] = [];
  const calls = ['a', 'b', 'c'].map((queue) => lists.pending(queue).then(() => order.push(queue)));
  await clock.advance(60);
  expect(order).toEqual(['a']);
  await clock.advance(60);
  await Promise.all(calls);
  expect(order).toEqual(['a', 'b', 'c']);
});

test('a paused server answers nobody, and does afterwards what it was told', async () => {
  const { clock, server } = make();
  const { lists } = server.connect();
  await lists.acquire({ run: 'r', nonce: 'a' });
  server.pause();
  const given = watch(lists.push({ run: 'r', fence, batch: 1, queue: 'q', units: [unit('r', '1.0.0')] }));
  await clock.advance(4_000);
  expect(given.outcome).toBe('pending');
  await clock.advance(2_000);
  expect(given.outcome).toMatchObject({ code: 'transport/timeout', retryable: true });
  expect(server.list(server.keys.queue('q'))).toEqual([]);
  server.resume();
  await clock.settle();
  expect(server.list(server.keys.queue('q'))).toHaveLength(1);
});

test('a wait ends while the server is paused, and says so when it goes on', async () => {
  const { clock, server } = make();
  const waiting = watch(server.connect().lists.waitUnit({ worker: 'w', slot: 0, queue: 'q', timeoutMs: 100 }));
  await clock.settle();
  server.pause();
  await clock.advance(1_000);
  expect(waiting.outcome).toBe('pending');
  server.resume();
  await clock.settle();
  expect(waiting.outcome).toBeUndefined();
});

test('a cut breaks what is under way; a zombie still takes what comes', async () => {
  const { clock, server } = make();
  const client = server.connect();
  const waits = [0, 1].map((slot) => watch(client.lists.waitUnit({ worker: 'w', slot, queue: 'q', timeoutMs: 2_000 })));
  await clock.settle();
  client.cut();
  const zombie = watch(client.lists.waitUnit({ worker: 'w', slot: 1, queue: 'q', timeoutMs: 2_000 }));
  await clock.settle();
  client.cut({ zombies: true });
  await clock.settle();
  for (const { outcome } of [...waits, zombie]) expect(outcome).toMatchObject(lost);
  server.put(server.keys.queue('q'), [unit('r', '1.0.0'), unit('r', '1.1.0')]);
  expect(server.list(server.keys.slot('w', 1))).toEqual([unit('r', '1.0.0')]);
  expect(server.list(server.keys.queue('q'))).toEqual([unit('r', '1.1.0')]);
  expect(await client.lists.step({ ...worker, acks: [], claims: [0, 1], runs: [] })).toMatchObject({ claimed: [{ slot: 0, unit: unit('r', '1.1.0') }, { slot: 1, unit: unit('r', '1.0.0') }] });
});

test('a zombie gives up when its time is over', async () => {
  const { clock, server } = make();
  const client = server.connect();
  const zombie = watch(client.lists.waitUnit({ worker: 'w', slot: 1, queue: 'q', timeoutMs: 2_000 }));
  await clock.settle();
  client.cut({ zombies: true });
  await clock.advance(2_001);
  server.put(server.keys.queue('q'), ['x']);
  expect(server.list(server.keys.queue('q'))).toEqual(['x']);
  expect(zombie.outcome).toMatchObject(lost);
});

test('a server that is down refuses, and starts again without the last operations', async () => {
  const { server } = make(100);
  const { lists } = server.connect();
  await lists.acquire({ run: 'r', nonce: 'a' });
  await lists.register({ ...worker, deliveries: 3, at: 1 });
  await lists.push({ run: 'r', fence, batch: 1, queue: 'q', units: ids(1, 3).map((id) => unit('r', id)) });
  await lists.step({ ...worker, acks: [], claims: [0, 1], runs: [] });
  const before = server.all();
  const left = server.timeLeft(server.keys.lease('w'));
  await lists.step({ ...worker, leaseMs: 99_000, acks: [done(0, unit('r', '1.0.0'))], claims: [0], runs: [] });
  await lists.take({ run: 'r', fence, most: 1 });
  await lists.pending('q');
  server.stop();
  await expect(lists.pending('q')).rejects.toMatchObject(lost);
  server.start(3);
  expect(server.all()).toEqual(before);
  expect(server.timeLeft(server.keys.lease('w'))).toBe(left);
  expect(await lists.pending('q')).toBe(1);
  expect(() => server.start(101)).toThrow(expect.objectContaining({ code: 'invariant/broken' }));
});

test('restarting breaks waits, emptying does not', async () => {
  const { clock, server } = make();
  const { lists } = server.connect();
  const waiting = watch(lists.waitUnit({ worker: 'w', slot: 0, queue: 'q', timeoutMs: 2_000 }));
  await clock.settle();
  server.flush();
  server.put(server.keys.queue('q'), ['x']);
  await clock.settle();
  expect(waiting.outcome).toBe('x');
  const broken = watch(lists.waitUnit({ worker: 'w', slot: 1, queue: 'q', timeoutMs: 2_000 }));
  await clock.settle();
  server.restart();
  await clock.settle();
  expect(broken.outcome).toMatchObject(lost);
  server.put(server.keys.queue('q'), ['y']);
  expect(server.list(server.keys.slot('w', 1))).toEqual([]);
});

test('signals can be lost, doubled and late, each for each listener', async () => {
  const { clock, server } = make();
  const [a, b, c] = [server.connect('a'), server.connect('b'), server.connect('c')];
  const heard: Record<string, string[]> = { a: [], b: [], c: [] };
  for (const { name, signals } of [a, b, c]) signals.subscribe((text) => (heard[name] as string[]).push(text));
  server.faults = { signal: (client, text) => (client === 'a' ? [] : client === 'b' ? [0, 0] : text === '1' ? [20] : [10]) };
  a.signals.publish('1');
  a.signals.publish('2');
  await clock.advance(30);
  expect(heard).toEqual({ a: [], b: ['1', '1', '2', '2'], c: ['2', '1'] });
});

test('the same calls give the same lists', async () => {
  const runs = await Promise.all([1, 2].map(async () => {
    const { server } = make();
    const seen: string[] = [];
    server.executed = ({ client, name }) => seen.push(`${client} ${name} ${JSON.stringify([...server.all()])}`);
    const { lists } = server.connect();
    await lists.acquire({ run: 'r', nonce: 'a' });
    await lists.push({ run: 'r', fence, batch: 1, queue: 'q', units: [unit('r', '1.0.0')] });
    await lists.step({ ...worker, acks: [], claims: [0], runs: [] });
    return seen;
  }));
  expect(runs[0]).toEqual(runs[1]);
  expect(runs[0]).toHaveLength(3);
});
