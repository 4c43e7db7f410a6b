/** The contract of TaskLists as coordinators see it. The numbers are those of the contract. */
import { describe, expect, test } from 'vitest';
import { resultHeader } from '../../../src/core/messages.ts';
import { done, during, ids, idsOf, result, TestCoordinator, TestWorker, unit, until } from './subject.ts';
import type { ListsUnderTest } from './subject.ts';

export function runCases(use: (check: (subject: ListsUnderTest) => Promise<void>) => () => Promise<void>): void {
  describe('acquire', () => {
    test('the newest coordinator has the next epoch, and the earlier one is fenced (4)', use(async (subject) => {
      const first = await new TestCoordinator(subject, 'r').acquire('a');
      expect(first.fence).toEqual({ epoch: 1, nonce: 'a' });
      const second = await new TestCoordinator(subject, 'r').acquire('b');
      expect(second.fence).toEqual({ epoch: 2, nonce: 'b' });
      const { held, lists } = first;
      expect(await lists.push({ ...held, batch: 1, queue: 'q', units: [unit('r', '1.0.0')] })).toEqual({ status: 'fenced' });
      expect(await lists.take({ ...held, most: 1 })).toEqual({ status: 'fenced' });
      expect(await lists.trim({ ...held, count: 1, last: 'R|1.0.0|1' })).toEqual({ status: 'fenced' });
      expect(await lists.audit({ ...held, queues: ['q'] })).toEqual({ status: 'fenced' });
      expect(await lists.cancel({ ...held, entries: ['*'], queues: ['q'], forMs: 1000 })).toEqual({ status: 'fenced' });
      expect(await lists.release({ ...held, queues: ['q'], shared: [] })).toEqual({ status: 'fenced' });
      expect(await lists.acquire({ run: 'r', nonce: 'a', fence: first.fence })).toEqual({ status: 'fenced' });
      expect([...(await subject.all()).values()]).toEqual([['2|b']]);
    }));

    test('asked again after a lost reply, it is the same coordinator', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire('a');
      await coordinator.acquire('a');
      expect(coordinator.fence).toEqual({ epoch: 1, nonce: 'a' });
      await coordinator.acquire('a', coordinator.fence);
      expect(coordinator.fence).toEqual({ epoch: 1, nonce: 'a' });
    }));

    test('after the lists were emptied every call says gone, the fence too, and a coordinator begins anew', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire('a');
      await coordinator.plan(['1.0.0']);
      for (const key of (await subject.all()).keys()) await subject.put(key, []);
      const { held, lists } = coordinator;
      expect(await lists.push({ ...held, batch: 2, queue: 'q', units: [unit('r', '1.1.0')] })).toEqual({ status: 'gone' });
      expect(await lists.take({ ...held, most: 1 })).toEqual({ status: 'gone' });
      expect(await lists.trim({ ...held, count: 1, last: 'R|1.0.0|1' })).toEqual({ status: 'gone' });
      expect(await lists.audit({ ...held, queues: ['q'] })).toEqual({ status: 'gone' });
      expect(await lists.cancel({ ...held, entries: ['*'], queues: ['q'], forMs: 1000 })).toEqual({ status: 'gone' });
      expect(await lists.release({ ...held, queues: ['q'], shared: [] })).toEqual({ status: 'gone' });
      expect((await subject.all()).size).toBe(0);
      expect(await lists.acquire({ run: 'r', nonce: 'a', fence: coordinator.fence })).toEqual({ status: 'gone' });
      expect((await subject.all()).size).toBe(0);
      await coordinator.acquire('a');
      expect(coordinator.fence).toEqual({ epoch: 1, nonce: 'a' });
      coordinator.seq = 0;
      await coordinator.plan(['1.0.0']);
    }));

    test('an older token that came back with lost writes holds nobody up, and does not fence the newer coordinator', use(async (subject) => {
      await new TestCoordinator(subject, 'r').acquire('a');
      const newer = await new TestCoordinator(subject, 'r').acquire('b');
      await subject.put(subject.keys.coordinator('r'), ['1|a']);
      expect(await newer.lists.take({ ...newer.held, most: 1 })).toEqual({ status: 'gone' });
      await newer.acquire('b', newer.fence);
      expect(newer.fence).toEqual({ epoch: 2, nonce: 'b' });
      expect(await subject.list(subject.keys.coordinator('r'))).toEqual(['2|b']);
    }));

    test('two of one epoch: who is there stays', use(async (subject) => {
      await subject.put(subject.keys.coordinator('r'), ['3|x']);
      const { lists } = subject.connect();
      expect(await lists.acquire({ run: 'r', nonce: 'y', fence: { epoch: 3, nonce: 'y' } })).toEqual({ status: 'fenced' });
      expect(await lists.take({ run: 'r', fence: { epoch: 3, nonce: 'y' }, most: 1 })).toEqual({ status: 'fenced' });
    }));

    test('epochs are compared as numbers', use(async (subject) => {
      await subject.put(subject.keys.coordinator('r'), ['9|x']);
      const coordinator = await new TestCoordinator(subject, 'r').acquire('y');
      expect(coordinator.fence).toEqual({ epoch: 10, nonce: 'y' });
      expect(await coordinator.lists.take({ run: 'r', fence: { epoch: 9, nonce: 'x' }, most: 1 })).toEqual({ status: 'fenced' });
    }));

    test('it says which batch was the last, and how many results are held', use(async (subject) => {
      const first = await new TestCoordinator(subject, 'r').acquire('a');
      const units = await first.plan(ids(1, 3));
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(0, 1, 2);
      await worker.step({ acks: [done(0, units[0] as string), done(1, units[1] as string)] });
      await first.lists.take({ ...first.held, most: 10 });
      const { lists } = subject.connect();
      expect(await lists.acquire({ run: 'r', nonce: 'b' })).toEqual({ status: 'acquired', fence: { epoch: 2, nonce: 'b' }, seq: 1, held: 2 });
    }));
  });

  describe('push', () => {
    test('units wait in their order, and a batch counts once, from whichever coordinator (2)', use(async (subject) => {
      const first = await new TestCoordinator(subject, 'r').acquire('a');
      const units = await first.plan(ids(1, 2));
      expect(await first.lists.push({ ...first.held, batch: 1, queue: 'q', units })).toEqual({ status: 'ok' });
      const second = await new TestCoordinator(subject, 'r').acquire('b');
      expect(second.seq).toBe(1);
      expect(await second.lists.push({ ...second.held, batch: 1, queue: 'q', units })).toEqual({ status: 'ok' });
      const more = await second.plan(ids(2, 1));
      expect(await subject.list(subject.keys.queue('q'))).toEqual([...units, ...more]);
      expect(await second.lists.pending('q')).toBe(3);
      expect(await second.lists.pending('other')).toBe(0);
    }));

    test('a number that leaves a gap says gone, and changes nothing: the lists have lost something (2)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      await coordinator.plan(ids(1, 1));
      const { lists, held } = coordinator;
      expect(await lists.push({ ...held, batch: 3, queue: 'q', units: [unit('r', '1.1.0')], shared: [{ name: '1', text: 'x' }] })).toEqual({ status: 'gone' });
      expect(await lists.pending('q')).toBe(1);
      expect(await lists.shared({ run: 'r', name: '1' })).toBeUndefined();
    }));

    test('shared parts stand beside the units, once for all', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      await coordinator.push([unit('r', '1.0.0')], [{ name: '1', text: '{"a":1}' }, { name: 'graph', text: 'ünï|"\n' }]);
      await coordinator.push([unit('r', '1.1.0')], [{ name: '1', text: '{"a":2}' }]);
      const { lists } = subject.connect();
      expect(await lists.shared({ run: 'r', name: '1' })).toBe('{"a":2}');
      expect(await lists.shared({ run: 'r', name: 'graph' })).toBe('ünï|"\n');
      expect(await lists.shared({ run: 'other', name: '1' })).toBeUndefined();
      expect(await subject.list(subject.keys.shared('r', '1'))).toEqual(['{"a":2}']);
    }));

    test('1,000 units go in one call, more are refused; any text survives', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = ids(1, 1000).map((id, at) => unit('r', id, 1, [`${at} ü 😀 \u0000 \r\n`]));
      await coordinator.push(units);
      expect(await subject.list(subject.keys.queue('q'))).toEqual(units);
      await expect(coordinator.lists.push({ ...coordinator.held, batch: 2, queue: 'q', units: [...units, unit('r', '2.0.0')] })).rejects.toMatchObject({ code: 'invariant/broken' });
      await coordinator.push([]);
      expect(coordinator.seq).toBe(2);
    }));
  });

  test('a token that the same coordinator has got by a call that came late is its own: it asks for it again (4)', use(async (subject) => {
    const { lists, held } = await new TestCoordinator(subject, 'r').acquire('n');
    await subject.put(subject.keys.coordinator('r'), ['5|n']);
    expect(await lists.trim({ ...held, count: 0, last: '' })).toEqual({ status: 'gone' });
    expect(await lists.acquire({ run: 'r', nonce: 'n', fence: held.fence })).toMatchObject({ status: 'acquired', fence: { epoch: 5, nonce: 'n' } });
    expect(await lists.acquire({ run: 'r', nonce: 'n', fence: { epoch: 5, nonce: 'm' } })).toEqual({ status: 'fenced' });
    expect(await lists.acquire({ run: 'r', nonce: 'n', fence: { epoch: 6, nonce: 'm' } })).toMatchObject({ status: 'acquired', fence: { epoch: 6, nonce: 'm' } });
  }));

  describe('take, held, trim', () => {
    test('results move to taken, oldest first, and stay until they are trimmed (5)', use(async (subject) => {
      const { coordinator, results } = await finished(subject, 5);
      const { lists, held } = coordinator;
      expect(await lists.take({ ...held, most: 2 })).toEqual({ status: 'ok', items: results.slice(0, 2), held: 2 });
      expect(await lists.take({ ...held, most: 10 })).toEqual({ status: 'ok', items: results.slice(2), held: 5 });
      expect(await lists.take({ ...held, most: 10 })).toEqual({ status: 'ok', items: [], held: 5 });
      expect(await lists.held({ run: 'r', from: 0, most: 100 })).toEqual(results);
      expect(await lists.held({ run: 'r', from: 3, most: 1 })).toEqual(results.slice(3, 4));
      expect(await lists.held({ run: 'r', from: 5, most: 1 })).toEqual([]);
      expect(await subject.list(subject.keys.results('r'))).toEqual([]);
    }));

    test('a trim removes what its caller has named by the last element, and nothing else (5)', use(async (subject) => {
      const { coordinator, results } = await finished(subject, 5);
      const { lists, held } = coordinator;
      await lists.take({ ...held, most: 10 });
      const last = resultHeader(results[2] as string);
      expect(await lists.trim({ ...held, count: 2, last })).toEqual({ status: 'mismatch' });
      expect(await lists.trim({ ...held, count: 9, last })).toEqual({ status: 'mismatch' });
      expect(await lists.trim({ ...held, count: 3, last: last.slice(0, -1) })).toEqual({ status: 'mismatch' });
      expect(await lists.trim({ ...held, count: 0, last: '' })).toEqual({ status: 'ok' });
      expect(await lists.held({ run: 'r', from: 0, most: 9 })).toEqual(results);
      expect(await lists.trim({ ...held, count: 3, last })).toEqual({ status: 'ok' });
      expect(await lists.trim({ ...held, count: 3, last })).toEqual({ status: 'mismatch' });
      expect(await lists.held({ run: 'r', from: 0, most: 9 })).toEqual(results.slice(3));
      expect(await lists.take({ ...held, most: 1 })).toEqual({ status: 'ok', items: [], held: 2 });
    }));

    test('a trim removes shared parts that nobody needs any more, and their names, with or without results (5)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const { lists, held } = coordinator;
      const shared = ['1-a', '2-b', 'graph'].map((name) => ({ name, text: `{"of":"${name}"}` }));
      expect(await lists.push({ ...held, batch: 1, queue: 'q', units: [], shared })).toEqual({ status: 'ok' });
      expect(await lists.push({ ...held, batch: 2, queue: 'q', units: [], shared: shared.slice(0, 1) })).toEqual({ status: 'ok' });
      expect(await lists.trim({ ...held, count: 1, last: 'R|1.0.0|1', forget: ['1-a'] })).toEqual({ status: 'mismatch' });
      expect(await lists.shared({ run: 'r', name: '1-a' })).toBe('{"of":"1-a"}');
      for (const _ of [1, 2]) expect(await lists.trim({ ...held, count: 0, last: '', forget: ['1-a', 'never'] })).toEqual({ status: 'ok' });
      expect(await Promise.all(['1-a', '2-b', 'graph'].map((name) => lists.shared({ run: 'r', name })))).toEqual([undefined, '{"of":"2-b"}', '{"of":"graph"}']);
      expect(await subject.list(subject.keys.sequence('r'))).toEqual(['2', '2-b', 'graph']);
      expect(await lists.push({ ...held, batch: 2, queue: 'q', units: [], shared: shared.slice(0, 1) })).toEqual({ status: 'ok' });
      expect(await lists.shared({ run: 'r', name: '1-a' })).toBeUndefined();
    }));

    test('garbage among the results is taken and trimmed like the rest', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      await subject.put(subject.keys.results('r'), ['rubbish|', 'R|x']);
      const { lists, held } = coordinator;
      expect(await lists.take({ ...held, most: 9 })).toEqual({ status: 'ok', items: ['rubbish|', 'R|x'], held: 2 });
      expect(await lists.trim({ ...held, count: 2, last: resultHeader('R|x') })).toEqual({ status: 'ok' });
      expect(await lists.held({ run: 'r', from: 0, most: 9 })).toEqual([]);
    }));

    test('waitResult gives what is there, what comes, or nothing in time', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan(ids(1, 2));
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(0, 1);
      await worker.step({ acks: [done(0, units[0] as string)] });
      expect(await coordinator.lists.waitResult({ run: 'r', timeoutMs: 5_000 })).toBe(result(units[0] as string));
      const waiting = coordinator.lists.waitResult({ run: 'r', timeoutMs: 5_000 });
      await worker.step({ acks: [done(1, units[1] as string)] });
      expect(await waiting).toBe(result(units[1] as string));
      expect(await during(subject, coordinator.lists.waitResult({ run: 'r', timeoutMs: 30 }), 40)).toBeUndefined();
      expect(await coordinator.lists.held({ run: 'r', from: 0, most: 9 })).toEqual(units.map((text) => result(text)));
      expect(await coordinator.lists.take({ ...coordinator.held, most: 1 })).toEqual({ status: 'ok', items: [], held: 2 });
    }));

    test('several runs of one client wait at the same time', use(async (subject) => {
      const { lists } = subject.connect();
      const runs = Array.from({ length: 8 }, (_, at) => `r${at}`);
      const waiting = runs.map((run) => lists.waitResult({ run, timeoutMs: 5_000 }));
      for (const run of [...runs].reverse()) await subject.put(subject.keys.results(run), [`R|${run}`]);
      expect(await Promise.all(waiting)).toEqual(runs.map((run) => `R|${run}`));
    }));
  });

  describe('audit', () => {
    test('a unit is present wherever it is: pending, in a slot, in the results, taken (1)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const other = await new TestCoordinator(subject, 'r2').acquire();
      await other.plan(ids(7, 2));
      const units = await coordinator.plan(ids(1, 4));
      await coordinator.lists.push({ ...coordinator.held, batch: 2, queue: 'second', units: [unit('r', '2.0.0')] });
      const worker = await new TestWorker(subject, 'w').register();
      const second = await new TestWorker(subject, 'w2', { queue: 'second', slots: 1 }).register();
      await worker.claim(0, 1, 2, 3);
      await second.claim(0);
      await worker.step({ acks: [done(2, units[0] as string)] });
      await coordinator.lists.take({ ...coordinator.held, most: 1 });
      await worker.step({ acks: [done(3, units[1] as string)] });
      await subject.put(subject.keys.queue('third'), ['garbage', '', 'no|unit']);
      const audit = await coordinator.lists.audit({ ...coordinator.held, queues: ['q', 'second', 'third', 'fourth'] });
      expect(audit.status === 'ok' && [...audit.present].sort()).toEqual(['1.0.0', '1.1.0', '1.2.0', '1.3.0', '2.0.0']);
      const others = await other.lists.audit({ ...other.held, queues: ['q'] });
      expect(others.status === 'ok' && [...others.present].sort()).toEqual(['7.0.0', '7.1.0']);
    }));

    test('slots of a worker that has gone, or without a lease, are looked into as well', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const worker = await new TestWorker(subject, 'w', { slots: 2 }).register();
      await worker.lists.leave(worker.identity);
      await coordinator.plan(ids(1, 1));
      expect(await worker.lists.waitUnit({ worker: 'w', slot: 1, queue: 'q', timeoutMs: 1_000 })).toBeDefined();
      expect(await coordinator.lists.audit({ ...coordinator.held, queues: ['q'] })).toEqual({ status: 'ok', present: ['1.0.0'] });
    }));

    test('long queues, and units of the run alone', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const other = await new TestCoordinator(subject, 'r.r').acquire();
      for (let group = 0; group < 3; group += 1) {
        await coordinator.plan(ids(group, 700));
        await other.plan(ids(group, 700));
      }
      const audit = await coordinator.lists.audit({ ...coordinator.held, queues: ['q'] });
      expect(audit.status === 'ok' && audit.present.length).toBe(2_100);
      expect(audit.status === 'ok' && new Set(audit.present).size).toBe(2_100);
    }));
  });

  describe('cancel', () => {
    test('the latest 1,000 entries stay marked', use(async (subject) => {
      const { lists, held } = await new TestCoordinator(subject, 'r').acquire();
      const entries = Array.from({ length: 1500 }, (_, at) => String(at));
      expect(await lists.cancel({ ...held, entries, queues: ['q'], forMs: 60_000 })).toEqual({ status: 'ok', removed: 0 });
      expect(await lists.cancel({ ...held, entries: ['1500'], queues: ['q'], forMs: 60_000 })).toEqual({ status: 'ok', removed: 0 });
      expect(await subject.list(subject.keys.cancelled('r'))).toEqual([...entries.slice(501), '1500']);
    }));

    test('what is pending of the run goes, the units of others stay in their order', use(async (subject) => {
      const a = await new TestCoordinator(subject, 'a').acquire();
      const b = await new TestCoordinator(subject, 'b').acquire();
      const mixed = ids(1, 6);
      for (const id of mixed) {
        await a.plan([id]);
        await b.plan([id]);
      }
      expect(await a.lists.cancel({ ...a.held, entries: ['*'], queues: ['q', 'none'], forMs: 60_000 })).toEqual({ status: 'ok', removed: 6 });
      expect(await subject.list(subject.keys.queue('q'))).toEqual(mixed.map((id) => unit('b', id)));
      expect(await a.lists.cancel({ ...a.held, entries: ['*'], queues: ['q'], forMs: 60_000 })).toEqual({ status: 'ok', removed: 0 });
      expect(await subject.list(subject.keys.cancelled('a'))).toEqual(['*']);
    }));

    test('a group, or single units', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      await coordinator.plan([...ids(1, 3), ...ids(11, 3), ...ids(2, 3)]);
      const { lists, held } = coordinator;
      expect(await lists.cancel({ ...held, entries: ['1'], queues: ['q'], forMs: 60_000 })).toEqual({ status: 'ok', removed: 3 });
      expect(await lists.cancel({ ...held, entries: ['2.1.0', '11.2.0', '2.2.1'], queues: ['q'], forMs: 60_000 })).toEqual({ status: 'ok', removed: 2 });
      expect(idsOf(await subject.list(subject.keys.queue('q')))).toEqual(['11.0.0', '11.1.0', '2.0.0', '2.2.0']);
      expect(await subject.list(subject.keys.cancelled('r'))).toEqual(['1', '2.1.0', '11.2.0', '2.2.1']);
      expect(await subject.timeLeft(subject.keys.cancelled('r'))).toBeGreaterThan(0);
    }));

    test('long queues, garbage among them', use(async (subject) => {
      const a = await new TestCoordinator(subject, 'a').acquire();
      const b = await new TestCoordinator(subject, 'b').acquire();
      for (let group = 0; group < 13; group += 1) {
        await a.plan(ids(group, 1000));
        if (group % 4 === 0) await b.plan(ids(group, 1));
      }
      await subject.put(subject.keys.queue('rubbish'), ['', 'x', '1|a', '1|a|', '1|a|7', '|a|1.0.0|', '1|a|1.0.0', '1|a|1.0.0|{}', '1|ab|1.0.0|']);
      expect(await a.lists.cancel({ ...a.held, entries: ['*'], queues: ['q', 'rubbish'], forMs: 60_000 })).toEqual({ status: 'ok', removed: 13_001 });
      expect(await subject.list(subject.keys.queue('q'))).toEqual([0, 4, 8, 12].map((group) => unit('b', `${group}.0.0`)));
      expect(await subject.list(subject.keys.queue('rubbish'))).toEqual(['', 'x', '1|a', '1|a|', '1|a|7', '|a|1.0.0|', '1|a|1.0.0', '1|ab|1.0.0|']);
    }));

    test('everyone hears of it, fast by signal, surely in the next step', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      await coordinator.plan(ids(1, 2));
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(0, 1);
      const heard: string[] = [];
      const stop = worker.transport.signals.subscribe((text) => heard.push(text));
      await until(subject, async () => {
        coordinator.transport.signals.publish('probe');
        await subject.pass(1);
        return heard.length > 0;
      });
      await coordinator.lists.cancel({ ...coordinator.held, entries: ['1.0.0', '7'], queues: ['q'], forMs: 50 });
      await until(subject, async () => heard.includes('C|r|1.0.0') && heard.includes('C|r|7'));
      stop();
      expect((await worker.step({ runs: ['r', 'r2'] })).cancelled).toEqual({ r: ['1.0.0', '7'], r2: ['*'] });
      await until(subject, async () => (await subject.list(subject.keys.cancelled('r'))).length === 0);
      expect((await worker.step({ runs: ['r'] })).cancelled).toEqual({});
    }));
  });

  describe('release', () => {
    test('nothing of the run stays, and nothing of others goes', use(async (subject) => {
      const a = await new TestCoordinator(subject, 'a').acquire();
      const b = await new TestCoordinator(subject, 'b').acquire();
      const shared = [{ name: '1-x', text: 'x' }, { name: 'graph', text: 'y' }];
      await b.push([unit('b', '1.0.0')], shared);
      const before = await subject.all();
      await a.push([unit('a', '1.0.0'), unit('a', '1.1.0'), unit('a', '1.2.0')], shared);
      await b.plan(ids(2, 1));
      await subject.put(subject.keys.results('a'), ['R|1.7.0|1|{}']);
      await subject.put(subject.keys.taken('a'), ['R|1.8.0|1|{}']);
      await a.lists.cancel({ ...a.held, entries: ['1.0.0'], queues: ['q'], forMs: 60_000 });
      expect(await a.lists.release({ ...a.held, queues: ['q'], shared: ['1-x', 'graph'] })).toEqual({ status: 'ok' });
      expect(await a.lists.release({ ...a.held, queues: ['q'], shared: ['1-x', 'graph'] })).toEqual({ status: 'gone' });
      const expected = new Map([...before].filter(([key]) => key !== subject.keys.coordinator('a'))).set(subject.keys.queue('q'), [unit('b', '1.0.0'), unit('b', '2.0.0')]).set(subject.keys.sequence('b'), ['2', '1-x', 'graph']);
      expect(await subject.all()).toEqual(expected);
    }));

    test('shared parts that an earlier coordinator has stored go too', use(async (subject) => {
      const first = await new TestCoordinator(subject, 'r').acquire('a');
      await first.push([unit('r', '1.0.0')], [{ name: '1-x', text: 'x' }, { name: 'graph', text: 'y' }]);
      await first.push([unit('r', '2.0.0')], [{ name: '2-x', text: 'z' }]);
      const second = await new TestCoordinator(subject, 'r').acquire('b');
      expect(await second.lists.release({ ...second.held, queues: ['q'], shared: [] })).toEqual({ status: 'ok' });
      expect([...(await subject.all()).keys()]).toEqual([]);
    }));

    test('a result that comes later is dropped, and its worker told that nobody wants the run (7)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan(ids(1, 2));
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(0, 1);
      await coordinator.lists.release({ ...coordinator.held, queues: ['q'], shared: [] });
      const reply = await worker.step({ acks: [done(0, units[0] as string)], runs: ['r'] });
      expect(reply).toMatchObject({ status: 'ok', refused: [0], cancelled: { r: ['*'] } });
      await worker.step({ acks: [{ slot: 1, header: '1|r|1.1.0', kind: 'return', text: units[1] as string }] });
      expect([...(await subject.all()).keys()].sort()).toEqual([subject.keys.lease('w'), subject.keys.workers].sort());
    }));
  });

  describe('runs without a journal', () => {
    test('their keys have a time to live, which take renews', use(async (subject) => {
      const expireMs = 60_000;
      const coordinator = await new TestCoordinator(subject, 'r', { expireMs }).acquire();
      const units = ids(1, 3).map((id) => unit('r', id));
      await coordinator.push(units, [{ name: '1', text: 'x' }]);
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(0, 1, 2);
      await worker.step({ acks: [done(0, units[0] as string)] });
      expect(await coordinator.lists.waitResult({ run: 'r', timeoutMs: 1_000 })).toBeDefined();
      await until(subject, async () => (await subject.timeLeft(subject.keys.taken('r'))) !== undefined);
      await worker.step({ acks: [done(1, units[1] as string)] });
      const { keys } = subject;
      const mine = [keys.coordinator('r'), keys.sequence('r'), keys.shared('r', '1'), keys.results('r'), keys.taken('r')];
      for (const key of mine) expect(await subject.timeLeft(key), key).toBeGreaterThan(0);
      await subject.pass(20);
      await coordinator.lists.take({ ...coordinator.held, most: 9, expireMs: 90_000 });
      for (const key of mine.filter((each) => each !== keys.results('r'))) expect(await subject.timeLeft(key), key).toBeGreaterThan(60_000);
    }));

    test('nothing stays when their coordinator is gone', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r', { expireMs: 40 }).acquire();
      await coordinator.push([], [{ name: '1', text: 'x' }]);
      await until(subject, async () => (await subject.all()).size === 0);
      expect(await coordinator.lists.take({ ...coordinator.held, most: 1 })).toEqual({ status: 'gone' });
    }));
  });
}

/** A run whose units are done. */
async function finished(subject: ListsUnderTest, count: number): Promise<{ readonly coordinator: TestCoordinator; readonly results: readonly string[] }> {
  const coordinator = await new TestCoordinator(subject, 'r').acquire();
  const units = await coordinator.plan(ids(1, count));
  const worker = await new TestWorker(subject, 'w', { slots: count }).register();
  const slots = units.map((_, slot) => slot);
  await worker.claim(...slots);
  await worker.step({ acks: units.map((text, slot) => done(slot, text, slot)) });
  return { coordinator, results: units.map((text, slot) => result(text, slot)) };
}
