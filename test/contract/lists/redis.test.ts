/** What only a real server can show: foreign keys, scripts that it forgot, declared keys, waits beyond the connections. */
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Keys } from '../../../src/adapters/redis/keys.ts';
import { readStep } from '../../../src/adapters/redis/step-call.ts';
import { startServer } from '../../redis/server.ts';
import type { TestServer } from '../../redis/server.ts';
import { realLists } from './real.ts';
import { done, ids, TestCoordinator, TestWorker, unit } from './subject.ts';
import type { ListsUnderTest } from './subject.ts';

let server: TestServer;
let raw: Redis;
let subject: ListsUnderTest;
let keys: Keys;

beforeAll(async () => {
  server = await startServer();
  raw = server.client();
});

afterAll(async () => {
  await server.dispose();
});

const make = realLists(() => ({ url: server.url, namespace: 'redis-test', raw }));

beforeEach(async () => {
  subject = await make();
  keys = subject.keys;
});

afterEach(async () => {
  await subject.dispose();
});

const wrongType = { name: 'TransportError', code: 'transport/wrong-type', retryable: false };

describe('a key of ours that holds something else', () => {
  test('the queue: pushes and claims fail, nothing is lost', async () => {
    const coordinator = await new TestCoordinator(subject, 'r').acquire();
    const [text] = await coordinator.plan(ids(1, 1));
    const worker = await new TestWorker(subject, 'w').register();
    await worker.claim(0);
    await raw.set(keys.queue('q'), 'x');
    await expect(coordinator.lists.push({ ...coordinator.held, batch: 2, queue: 'q', units: [unit('r', '2.0.0')] })).rejects.toMatchObject(wrongType);
    expect(await subject.list(keys.sequence('r'))).toEqual(['1']);
    await expect(worker.step({ acks: [done(0, text as string)], claims: [0] })).rejects.toMatchObject(wrongType);
    expect(await subject.list(keys.results('r'))).toHaveLength(1);
    await expect(worker.step({ acks: [{ ...done(0, text as string), kind: 'return' }] })).rejects.toMatchObject(wrongType);
    await raw.del(keys.queue('q'));
    await coordinator.lists.push({ ...coordinator.held, batch: 2, queue: 'q', units: [unit('r', '2.0.0')] });
    expect(await worker.claim(0)).toEqual([unit('r', '2.0.0')]);
  });

  test.each(['trusted', 'compared'])('the results of one run: its units are buried, those of others come through (%s)', async (how) => {
    const [bad, good] = [await new TestCoordinator(subject, 'bad').acquire(), await new TestCoordinator(subject, 'good').acquire()];
    await bad.plan(ids(1, 2));
    await good.plan(ids(1, 2));
    const worker = await new TestWorker(subject, 'w').register();
    await worker.claim();
    const units = await worker.claim(0, 1, 2, 3);
    if (how === 'compared') await raw.del(keys.lease('w'));
    await raw.set(keys.results('bad'), 'x');
    const reply = await worker.step({ acks: units.map((text, slot) => done(slot, text)), runs: ['bad', 'good'] });
    expect(reply).toMatchObject({ status: 'ok', refused: [0, 1] });
    expect(await subject.list(keys.results('good'))).toHaveLength(2);
    const entries = (await subject.list(keys.dead)).map((entry) => JSON.parse(entry) as { readonly unit: string; readonly reason: string });
    expect(entries.map((entry) => entry.unit)).toEqual(units.slice(0, 2));
    expect(entries[0]?.reason).toContain('holds something else than a list');
    expect(await worker.lists.slots({ worker: 'w', slots: 4 })).toEqual([undefined, undefined, undefined, undefined]);
    await expect(bad.lists.take({ ...bad.held, most: 1 })).rejects.toMatchObject(wrongType);
  });

  test('one slot: the call fails when the others are done, and can be said again', async () => {
    const coordinator = await new TestCoordinator(subject, 'r').acquire();
    const units = await coordinator.plan(ids(1, 3));
    const worker = await new TestWorker(subject, 'w').register();
    await worker.claim(0, 1);
    await raw.set(keys.slot('w', 1), 'x');
    const acks = [done(0, units[0] as string), done(1, units[1] as string)];
    await expect(worker.step({ acks, claims: [0] })).rejects.toMatchObject(wrongType);
    expect(await subject.list(keys.results('r'))).toHaveLength(1);
    await raw.del(keys.slot('w', 1));
    expect(await worker.step({ acks, claims: [0] })).toMatchObject({ refused: [0, 1], claimed: [{ slot: 0, unit: units[2] }] });
  });

  test('a slot of one lost worker: the units of the others go back all the same', async () => {
    const coordinator = await new TestCoordinator(subject, 'r').acquire();
    await coordinator.plan(ids(1, 2));
    for (const name of ['v', 'w']) {
      const worker = await new TestWorker(subject, name).register();
      await worker.claim(0);
      await raw.del(keys.lease(name));
    }
    await raw.set(keys.slot('v', 1), 'x');
    await expect(coordinator.lists.reap({ deliveries: 3, at: 1 })).rejects.toMatchObject(wrongType);
    expect(await subject.list(keys.queue('q'))).toEqual([unit('r', '1.1.0', 2)]);
    expect(await subject.list(keys.slot('v', 0))).toEqual([unit('r', '1.0.0')]);
  });

  test('the list of dead units: nothing leaves a slot', async () => {
    const worker = await new TestWorker(subject, 'w').register();
    await subject.put(keys.queue('q'), ['rubbish']);
    await worker.claim(0);
    await raw.set(keys.dead, 'x');
    await expect(worker.step({ acks: [{ slot: 0, header: '', kind: 'dead', text: 'no unit' }] })).rejects.toMatchObject(wrongType);
    await raw.del(keys.lease('w'));
    await expect(worker.lists.reap({ deliveries: 3, at: 1 })).rejects.toMatchObject(wrongType);
    expect(await subject.list(keys.slot('w', 0))).toEqual(['rubbish']);
  });

  test('the registry, the token, the cancelled ones', async () => {
    const coordinator = await new TestCoordinator(subject, 'r').acquire();
    await raw.set(keys.workers, 'x');
    await expect(coordinator.lists.workers()).rejects.toMatchObject(wrongType);
    await expect(coordinator.lists.audit({ ...coordinator.held, queues: ['q'] })).rejects.toMatchObject(wrongType);
    await raw.set(keys.cancelled('r'), 'x');
    await expect(coordinator.lists.cancel({ ...coordinator.held, entries: ['*'], queues: [], forMs: 1000 })).rejects.toMatchObject(wrongType);
    await raw.set(keys.coordinator('r'), 'x');
    await expect(coordinator.lists.take({ ...coordinator.held, most: 1 })).rejects.toMatchObject(wrongType);
  });
});

test('a server that has forgotten its scripts gets them again', async () => {
  const coordinator = await new TestCoordinator(subject, 'r').acquire();
  await raw.script('FLUSH');
  await coordinator.plan(ids(1, 1));
  await raw.script('FLUSH');
  expect(await coordinator.lists.take({ ...coordinator.held, most: 1 })).toEqual({ status: 'ok', items: [], held: 0 });
});

test('every key that a script touches is declared', async () => {
  const lines: string[][] = [];
  const monitor = await server.client().monitor();
  monitor.on('monitor', (_time: string, args: string[], source: string) => lines.push([source, ...args]));
  const coordinator = await new TestCoordinator(subject, 'r', { expireMs: 60_000 }).acquire();
  await coordinator.push(ids(1, 30).map((id) => unit('r', id)), [{ name: '1', text: 'x' }]);
  const worker = await new TestWorker(subject, 'w', { slots: 12 }).register();
  const units = await worker.claim(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
  await worker.step({ acks: units.slice(0, 9).map((text, slot) => done(slot, text)), claims: [0], runs: ['r'] });
  await worker.step({ acks: [{ ...done(9, units[9] as string), kind: 'dead' }, { ...done(10, units[10] as string), kind: 'return' }, done(11, unit('r', '1.0.0'))] });
  const taken = await coordinator.lists.take({ ...coordinator.held, most: 100, expireMs: 60_000 });
  expect(taken).toMatchObject({ held: 10 });
  await coordinator.lists.trim({ ...coordinator.held, count: 1, last: 'R|1.0.0|1' });
  await coordinator.lists.audit({ ...coordinator.held, queues: ['q', 'p'] });
  await raw.del(keys.lease('w'));
  await worker.lists.reap({ deliveries: 1, at: 1 });
  await new TestWorker(subject, 'w', { nonce: 'later' }).register();
  await coordinator.lists.cancel({ ...coordinator.held, entries: ['1.20.0'], queues: ['q'], forMs: 60_000 });
  await worker.lists.slots({ worker: 'w', slots: 3 });
  await worker.lists.leave({ ...worker.identity, nonce: 'later' });
  await coordinator.lists.release({ ...coordinator.held, queues: ['q', 'p'], shared: ['1'] });
  await raw.publish('done', 'done');
  await expect.poll(() => lines.some((line) => line.includes('done'))).toBe(true);
  monitor.disconnect();
  let declared: readonly string[] = [];
  let checked = 0;
  for (const [source, command = '', ...args] of lines) {
    if (/^eval/i.test(command)) declared = args.slice(2, 2 + Number(args[1]));
    if (source !== 'lua') continue;
    const touched = args.filter((arg) => arg.includes(`${keys.control.slice(0, -3)}`) && arg !== keys.control);
    checked += touched.length;
    for (const key of touched) expect(declared, `${command} ${args.join(' ')}`).toContain(key);
  }
  expect(checked).toBeGreaterThan(60);
});

test('a thousand runs of one process wait over a bounded number of connections', async () => {
  const { lists } = subject.connect();
  const runs = Array.from({ length: 1000 }, (_, at) => `r${at}`);
  const waiting = runs.map((run) => lists.waitResult({ run, timeoutMs: 15_000 }));
  await Promise.all(runs.map((run) => subject.put(keys.results(run), [`R|${run}`])));
  expect(await Promise.all(waiting)).toEqual(runs.map((run) => `R|${run}`));
  expect(String(await raw.client('LIST')).split('\n').length).toBeLessThan(90);
});

test.each([['a text', 'OK'], ['no status', [1, 2]], ['a unit for no claim', ['ok', 0, [7, 'x'], [], [], 1]], ['half a claim', ['ok', 0, [1], [], [], 1]], ['too few lists', ['ok', 0, [], []]], ['a refused ack that was not sent', ['ok', 0, [], [3], [], 1]], ['nothing', null]] as const)('a reply that is none: %s', (_, reply) => {
  const request = { worker: 'w', nonce: 'n', queue: 'q', slots: 1, leaseMs: 1, acks: [], claims: [0], runs: [] };
  expect(() => readStep(request, { known: '', next: '', trusted: [], end: () => undefined }, reply)).toThrow(expect.objectContaining({ code: 'protocol/bad-message' }));
});
