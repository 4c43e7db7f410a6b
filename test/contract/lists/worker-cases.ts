/** The contract of TaskLists as workers see it. The numbers are those of the contract. */
import { describe, expect, test } from 'vitest';
import { encodeDead, headerOf } from '../../../src/core/messages.ts';
import { done, during, headerParts, ids, idsOf, result, TestCoordinator, TestWorker, unit, until } from './subject.ts';
import type { ListsUnderTest } from './subject.ts';

export function workerCases(use: (check: (subject: ListsUnderTest) => Promise<void>) => () => Promise<void>): void {
  describe('step', () => {
    test('claims fill slots from the front of the queue, acks make results (1, 3)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan(ids(1, 5));
      const worker = await new TestWorker(subject, 'w').register();
      const first = await worker.step({ claims: [2, 0, 1] });
      expect(first).toEqual({ status: 'ok', claimed: [2, 0, 1].map((slot, at) => ({ slot, unit: units[at] })), refused: [], cancelled: {}, pending: 2 });
      expect(await subject.list(subject.keys.slot('w', 2))).toEqual([units[0]]);
      const second = await worker.step({ acks: [done(0, units[1] as string, 7), done(2, units[0] as string, 8)], claims: [0, 2, 3], runs: ['r'] });
      expect(second).toEqual({ status: 'ok', claimed: [{ slot: 0, unit: units[3] }, { slot: 2, unit: units[4] }], refused: [], cancelled: {}, pending: 0 });
      expect(await subject.list(subject.keys.results('r'))).toEqual([result(units[1] as string, 7), result(units[0] as string, 8)]);
      expect(await worker.lists.slots({ worker: 'w', slots: 4 })).toEqual([units[3], units[2], units[4], undefined]);
    }));

    test('said again after a lost reply, it changes nothing and gives the same units', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan(ids(1, 5));
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(0, 1);
      const request = {
        acks: [done(0, units[0] as string), { slot: 1, header: headerOf(headerParts(units[1] as string)), kind: 'return', text: unit('r', '1.1.0', 1, [9]) } as const],
        claims: [0, 1, 2],
      };
      const once = await worker.step(request);
      const lists = await unitLists(subject);
      const again = await worker.step(request);
      expect(again).toEqual({ ...once, refused: [0, 1] });
      expect(await unitLists(subject)).toEqual(lists);
      expect(await subject.list(subject.keys.queue('q'))).toEqual([unit('r', '1.1.0', 1, [9])]);
    }));

    test('only what a slot holds, at its attempt, can be acknowledged (3)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      await coordinator.push([unit('r', '1.0.0', 2)]);
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(0);
      const wrong = [done(0, unit('r', '1.0.0', 1)), done(0, unit('r', '1.0.0', 22)), done(1, unit('r', '1.0.0', 2)), done(0, unit('r', '1.0.1', 2)), done(0, unit('r2', '1.0.0', 2)), { ...done(0, unit('r', '1.0.0', 2)), header: '' }];
      expect((await worker.step({ acks: wrong })).refused).toEqual([0, 1, 2, 3, 4, 5]);
      expect(await worker.lists.slots({ worker: 'w', slots: 2 })).toEqual([unit('r', '1.0.0', 2), undefined]);
      expect(await subject.list(subject.keys.results('r'))).toEqual([]);
      expect((await worker.step({ acks: [done(0, unit('r', '1.0.0', 2))] })).refused).toEqual([]);
    }));

    test('drop, return, dead', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan(ids(1, 5));
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(0, 1, 2);
      const [drop, back, dead] = units.map((text) => headerOf(headerParts(text))) as [string, string, string];
      const again = unit('r', '1.1.0', 1, ['parked']);
      const acks = [{ slot: 0, header: drop, kind: 'drop', text: '' }, { slot: 1, header: back, kind: 'return', text: again }, { slot: 2, header: dead, kind: 'dead', text: 'its "body"\nis no JSON' }] as const;
      expect((await worker.step({ acks, claims: [] })).refused).toEqual([]);
      expect(await subject.list(subject.keys.queue('q'))).toEqual([units[3], units[4], again]);
      expect(await subject.list(subject.keys.results('r'))).toEqual([encodeDead('1.2.0', 1, 'its "body"\nis no JSON')]);
      const [entry] = await subject.list(subject.keys.dead);
      expect(JSON.parse(entry as string)).toEqual({ at: expect.any(Number), reason: 'its "body"\nis no JSON', worker: 'w', unit: units[2], deliveries: 1 });
    }));

    test('garbage in a queue is claimed like a unit, and can be put away without a header', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const huge = 'ä'.repeat(3_000_000);
      const garbage = ['', 'rubbish', '0|r|1.0.0|{}', '1|r|1.0|{}', '1||1.0.0|{}', '1|r|1.0.0', '-1|r|1.0.0|{}', huge];
      await subject.put(subject.keys.queue('q'), garbage);
      const good = await coordinator.plan(ids(1, 1));
      const worker = await new TestWorker(subject, 'w', { slots: 8 }).register();
      const claimed = await worker.claim(0, 1, 2, 3, 4, 5, 6, 7);
      expect(claimed).toEqual(garbage);
      const acks = claimed.map((_, slot) => ({ slot, header: '', kind: 'dead', text: 'no unit' }) as const);
      expect(await worker.step({ acks, claims: [0] })).toMatchObject({ refused: [], claimed: [{ slot: 0, unit: good[0] }] });
      expect((await worker.step({ acks, claims: [0] })).refused).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(await worker.lists.slots({ worker: 'w', slots: 1 })).toEqual(good);
      const entries = (await subject.list(subject.keys.dead)).map((text) => JSON.parse(text) as { readonly unit: string; readonly deliveries: number });
      expect(entries.slice(0, 7).map((entry) => entry.unit)).toEqual(garbage.slice(0, 7));
      expect(entries.every((entry) => entry.deliveries === 0)).toBe(true);
      expect(entries[7]?.unit).toMatch(/^ä{500,2000}$/);
      expect(await subject.list(subject.keys.results('r'))).toEqual([]);
    }));

    test('the list of dead units holds the newest 1,000', use(async (subject) => {
      const worker = await new TestWorker(subject, 'w', { slots: 1 }).register();
      await subject.put(subject.keys.dead, Array.from({ length: 1000 }, (_, at) => `${at}`));
      await subject.put(subject.keys.queue('q'), ['x']);
      await worker.claim(0);
      await worker.step({ acks: [{ slot: 0, header: '', kind: 'dead', text: 'no unit' }] });
      const entries = await subject.list(subject.keys.dead);
      expect([entries.length, entries[0]]).toEqual([1000, '1']);
    }));

    test('results go to their own runs', use(async (subject) => {
      const runs = await Promise.all(['a', 'b', 'c'].map((run) => new TestCoordinator(subject, run).acquire()));
      for (const id of ids(1, 4)) for (const run of runs) await run.plan([id]);
      const worker = await new TestWorker(subject, 'w', { slots: 12 }).register();
      const units = await worker.claim(...Array.from({ length: 12 }, (_, slot) => slot));
      await worker.step({ acks: units.map((text, slot) => done(slot, text, slot)) });
      for (const [at, run] of runs.entries()) {
        const results = ids(1, 4).map((id, index) => result(unit(run.run, id), index * 3 + at));
        expect(await run.lists.take({ ...run.held, most: 9 })).toMatchObject({ items: results });
      }
    }));

    test('slots that the worker does not have are refused', use(async (subject) => {
      const worker = await new TestWorker(subject, 'w', { slots: 2 }).register();
      await expect(worker.step({ claims: [2] })).rejects.toMatchObject({ code: 'invariant/broken' });
      await expect(worker.step({ acks: [done(-1, unit('r', '1.0.0'))] })).rejects.toMatchObject({ code: 'invariant/broken' });
    }));

    test('more slots than a call carries elements', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      await coordinator.plan(ids(1, 1000));
      await coordinator.plan(ids(2, 500));
      const worker = await new TestWorker(subject, 'w', { slots: 1500 }).register();
      const slots = Array.from({ length: 1500 }, (_, slot) => slot);
      const units = await worker.claim(...slots);
      expect(idsOf(units)).toEqual([...ids(1, 1000), ...ids(2, 500)]);
      const reply = await worker.step({ acks: [...units.map((text, slot) => done(slot, text, slot)), done(0, units[0] as string)] });
      expect(reply.refused).toEqual([1500]);
      const taken = [await coordinator.lists.take({ ...coordinator.held, most: 1000 }), await coordinator.lists.take({ ...coordinator.held, most: 1000 })];
      expect(taken.map((each) => each.status === 'ok' && each.items.length)).toEqual([1000, 500]);
    }));
  });

  describe('waitUnit', () => {
    test('gives what is there, what comes, or nothing in time', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan(ids(1, 1));
      const worker = await new TestWorker(subject, 'w').register();
      const wait = (slot: number, timeoutMs: number): Promise<string | undefined> => worker.lists.waitUnit({ worker: 'w', slot, queue: 'q', timeoutMs });
      expect(await wait(0, 5_000)).toBe(units[0]);
      const waiting = wait(1, 5_000);
      await coordinator.plan(ids(2, 2));
      expect(await waiting).toBe(unit('r', '2.0.0'));
      expect(await worker.lists.slots({ worker: 'w', slots: 3 })).toEqual([units[0], unit('r', '2.0.0'), undefined]);
      expect(await worker.lists.pending('q')).toBe(1);
      expect(await during(subject, worker.lists.waitUnit({ worker: 'w', slot: 2, queue: 'empty', timeoutMs: 30 }), 40)).toBeUndefined();
    }));

    test('a unit that came in unseen is given by the next claim of its slot', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan(ids(1, 3));
      const worker = await new TestWorker(subject, 'w').register();
      await worker.lists.waitUnit({ worker: 'w', slot: 0, queue: 'q', timeoutMs: 1_000 });
      expect(await worker.step({ claims: [0, 1] })).toMatchObject({ claimed: [{ slot: 0, unit: units[0] }, { slot: 1, unit: units[1] }], pending: 1 });
    }));

    test('two in a slot, which a late wait can bring about: none is lost, each can be acknowledged (1, 3)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan(ids(1, 5));
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(0, 1);
      for (const slot of [0, 1]) await worker.lists.waitUnit({ worker: 'w', slot, queue: 'q', timeoutMs: 1_000 });
      expect(await subject.list(subject.keys.slot('w', 0))).toEqual([units[0], units[2]]);
      const reply = await worker.step({ acks: [done(0, units[0] as string), done(1, units[3] as string)], claims: [0, 1, 2] });
      expect(reply).toMatchObject({ refused: [], claimed: [{ slot: 0, unit: units[2] }, { slot: 1, unit: units[1] }, { slot: 2, unit: units[4] }] });
      const audit = await coordinator.lists.audit({ ...coordinator.held, queues: ['q'] });
      expect(audit.status === 'ok' && [...audit.present].sort()).toEqual(ids(1, 5));
    }));
  });

  describe('leases and the registry', () => {
    test('a worker is listed, its lease has a time to live, and every step renews it', use(async (subject) => {
      const worker = await new TestWorker(subject, 'w', { slots: 3, leaseMs: 50_000 }).register();
      await worker.register();
      await new TestWorker(subject, 'w2', { slots: 1, queue: 'other' }).register();
      expect(await worker.lists.workers()).toEqual([{ worker: 'w', queue: 'q', slots: 3, alive: true }, { worker: 'w2', queue: 'other', slots: 1, alive: true }]);
      expect(await subject.list(subject.keys.workers)).toEqual(['w|3|q', 'w2|1|other']);
      await subject.pass(5);
      await worker.step({ leaseMs: 90_000 });
      expect(await subject.timeLeft(subject.keys.lease('w'))).toBeGreaterThan(50_000);
    }));

    test('a lease ends, and its worker is not alive any more', use(async (subject) => {
      const worker = await new TestWorker(subject, 'w', { leaseMs: 40 }).register();
      await until(subject, async () => (await subject.list(subject.keys.lease('w'))).length === 0);
      expect(await worker.lists.workers()).toEqual([{ worker: 'w', queue: 'q', slots: 4, alive: false }]);
    }));

    test('a step after the lease has ended, or after everything was emptied, enters the worker again', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const [text] = await coordinator.plan(ids(1, 1));
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(0);
      await subject.put(subject.keys.lease('w'), []);
      expect(await worker.step({ acks: [done(0, text as string)] })).toMatchObject({ status: 'ok', refused: [] });
      for (const key of (await subject.all()).keys()) await subject.put(key, []);
      expect(await worker.step({})).toMatchObject({ status: 'ok', pending: 0 });
      expect(await worker.lists.workers()).toEqual([{ worker: 'w', queue: 'q', slots: 4, alive: true }]);
      expect(await subject.list(subject.keys.workers)).toEqual(['w|4|q']);
    }));

    test('two processes with one id never share a slot', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan(ids(1, 3));
      const first = await new TestWorker(subject, 'w', { nonce: 'one' }).register();
      const second = new TestWorker(subject, 'w', { nonce: 'two' });
      await first.claim(0);
      expect(await second.lists.register({ ...second.identity, leaseMs: 1000, deliveries: 3, at: 1 })).toEqual({ status: 'taken' });
      expect(await second.step({ acks: [done(0, units[0] as string)], claims: [0, 1], runs: ['r'] })).toMatchObject({ status: 'taken', claimed: [], refused: [], cancelled: {} });
      await second.lists.leave(second.identity);
      expect(await first.lists.slots({ worker: 'w', slots: 2 })).toEqual([units[0], undefined]);
      expect(await first.step({ acks: [done(0, units[0] as string)] })).toMatchObject({ status: 'ok', refused: [] });
    }));

    test('the next process with the id gives back what the last one left, once its lease has ended (6)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      await coordinator.plan(ids(1, 4));
      const first = await new TestWorker(subject, 'w', { nonce: 'one', slots: 4 }).register();
      await first.claim(1, 3);
      await subject.put(subject.keys.lease('w'), []);
      const second = await new TestWorker(subject, 'w', { nonce: 'two', slots: 2, queue: 'other' }).register();
      expect(await subject.list(subject.keys.queue('q'))).toEqual([unit('r', '1.0.0', 2), unit('r', '1.1.0', 2), unit('r', '1.2.0'), unit('r', '1.3.0')]);
      expect(await subject.list(subject.keys.workers)).toEqual(['w|2|other']);
      expect(await second.lists.slots({ worker: 'w', slots: 4 })).toEqual([undefined, undefined, undefined, undefined]);
      expect(await first.step({ acks: [done(1, unit('r', '1.0.0'))] })).toMatchObject({ status: 'taken' });
    }));

    test('leaving gives units back as they are, and the worker is not listed any more', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan(ids(1, 4));
      const worker = await new TestWorker(subject, 'w').register();
      await worker.claim(1, 0);
      await worker.lists.leave(worker.identity);
      await worker.lists.leave(worker.identity);
      expect(new Set(await subject.list(subject.keys.queue('q')))).toEqual(new Set(units));
      expect((await subject.list(subject.keys.queue('q'))).slice(2)).toEqual(units.slice(2));
      expect(await worker.lists.workers()).toEqual([]);
      expect(await subject.list(subject.keys.lease('w'))).toEqual([]);
    }));
  });

  describe('reap', () => {
    test('units of a worker without a lease go to the front, one delivery more; its results are refused (3, 6)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const units = await coordinator.plan([...ids(1, 4)]);
      const worker = await new TestWorker(subject, 'w', { slots: 3 }).register();
      const other = await new TestWorker(subject, 'other', { slots: 1 }).register();
      await worker.claim(0, 2);
      await other.claim(0);
      expect(await coordinator.lists.reap({ deliveries: 3, at: 5 })).toEqual({ returned: 0, dead: 0 });
      await subject.put(subject.keys.lease('w'), []);
      expect(await coordinator.lists.reap({ deliveries: 3, at: 5 })).toEqual({ returned: 2, dead: 0 });
      expect(await coordinator.lists.reap({ deliveries: 3, at: 5 })).toEqual({ returned: 0, dead: 0 });
      expect(await subject.list(subject.keys.queue('q'))).toEqual([unit('r', '1.0.0', 2), unit('r', '1.1.0', 2), units[3]]);
      expect(await coordinator.lists.workers()).toEqual([{ worker: 'other', queue: 'q', slots: 1, alive: true }]);
      const reply = await worker.step({ acks: [done(0, units[0] as string), done(2, units[1] as string)], claims: [0, 2] });
      expect(reply).toMatchObject({ status: 'ok', refused: [0, 1], claimed: [{ slot: 0, unit: unit('r', '1.0.0', 2) }, { slot: 2, unit: unit('r', '1.1.0', 2) }] });
      expect(await subject.list(subject.keys.results('r'))).toEqual([]);
      expect(await coordinator.lists.workers()).toHaveLength(2);
    }));

    test('a body is not touched, attempts are numbers, and the queue is that of the worker (6)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r', { queue: 'special' }).acquire();
      const text = unit('r', '1.0.0', 9, ['|9|r|ü\u0000']);
      await coordinator.push([text]);
      const worker = await new TestWorker(subject, 'w', { queue: 'special' }).register();
      await worker.claim(0);
      await subject.put(subject.keys.lease('w'), []);
      expect(await coordinator.lists.reap({ deliveries: 10, at: 5 })).toEqual({ returned: 1, dead: 0 });
      expect(await subject.list(subject.keys.queue('special'))).toEqual([unit('r', '1.0.0', 10, ['|9|r|ü\u0000'])]);
    }));

    test('a unit whose workers are lost again and again ends with the dead, and its run is told; one of a run that is gone goes (6)', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      await coordinator.plan(ids(1, 1));
      const stale = await new TestCoordinator(subject, 'ended').acquire();
      await stale.plan(ids(2, 1));
      for (let delivery = 1; delivery <= 3; delivery += 1) {
        const worker = await new TestWorker(subject, `w${delivery}`).register();
        expect(await worker.claim(0, 1)).toEqual([unit('r', '1.0.0', delivery), unit('ended', '2.0.0', delivery)]);
        if (delivery === 3) await stale.lists.release({ ...stale.held, queues: ['q'], shared: [] });
        await subject.put(subject.keys.lease(`w${delivery}`), []);
        expect(await worker.lists.reap({ deliveries: 3, at: 77 })).toEqual(delivery < 3 ? { returned: 2, dead: 0 } : { returned: 0, dead: 1 });
      }
      expect(await subject.list(subject.keys.queue('q'))).toEqual([]);
      const entries = (await subject.list(subject.keys.dead)).map((text) => JSON.parse(text) as Readonly<Record<string, unknown>>);
      const reason = 'every worker that took it was lost before it had finished it (deliveries: 3)';
      expect(entries).toEqual([
        { at: 77, reason, worker: 'w3', unit: unit('r', '1.0.0', 3), deliveries: 3 },
      ]);
      expect(await subject.list(subject.keys.results('r'))).toEqual([encodeDead('1.0.0', 3, reason)]);
      expect(await subject.list(subject.keys.results('ended'))).toEqual([]);
    }));

    test('garbage in a slot of a lost worker goes to the dead, and garbage in the registry disturbs nobody', use(async (subject) => {
      await new TestWorker(subject, 'w').register();
      await subject.put(subject.keys.workers, ['', 'x', 'y|', 'y|1|', 'z|999999999|q', 'z|20000|q', '|1|q', ...(await subject.list(subject.keys.workers)), 'y|1|q|z']);
      await subject.put(subject.keys.slot('w', 0), ['rubbish']);
      await subject.put(subject.keys.lease('w'), []);
      const { lists } = subject.connect();
      expect(await lists.workers()).toEqual([{ worker: 'w', queue: 'q', slots: 4, alive: false }]);
      expect(await lists.reap({ deliveries: 3, at: 7 })).toEqual({ returned: 0, dead: 1 });
      const [entry] = await subject.list(subject.keys.dead);
      expect(JSON.parse(entry as string)).toMatchObject({ at: 7, unit: 'rubbish', deliveries: 0, worker: 'w' });
    }));

    test('what lands in a slot of a worker after it was given up is found for ten minutes', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      const worker = await new TestWorker(subject, 'w').register();
      await subject.put(subject.keys.lease('w'), []);
      await coordinator.lists.reap({ deliveries: 3, at: 1_000 });
      await coordinator.plan(ids(1, 1));
      await worker.lists.waitUnit({ worker: 'w', slot: 3, queue: 'q', timeoutMs: 1_000 });
      expect(await coordinator.lists.reap({ deliveries: 3, at: 601_000 })).toEqual({ returned: 1, dead: 0 });
      expect(await subject.list(subject.keys.queue('q'))).toEqual([unit('r', '1.0.0', 2)]);
      await coordinator.lists.reap({ deliveries: 3, at: 700_000 });
      expect(await subject.list(subject.keys.workers)).toEqual([]);
    }));

    test('many reapers at once give each unit back once', use(async (subject) => {
      const coordinator = await new TestCoordinator(subject, 'r').acquire();
      await coordinator.plan(ids(1, 40));
      for (const name of ['a', 'b', 'c', 'd']) {
        const worker = await new TestWorker(subject, name, { slots: 10 }).register();
        await worker.claim(...Array.from({ length: 10 }, (_, slot) => slot));
        await subject.put(subject.keys.lease(name), []);
      }
      const reapers = Array.from({ length: 5 }, () => subject.connect().lists.reap({ deliveries: 3, at: 1 }));
      const counts = await Promise.all(reapers);
      expect(counts.reduce((sum, { returned }) => sum + returned, 0)).toBe(40);
      expect([...idsOf(await subject.list(subject.keys.queue('q')))].sort()).toEqual([...ids(1, 40)].sort());
    }));
  });

  describe('signals and closing', () => {
    test('every listener hears what is published, until it stops', use(async (subject) => {
      const [one, two, speaker] = [subject.connect(), subject.connect(), subject.connect()];
      const heard: string[][] = [[], [], []];
      const stops = [one, one, two].map(({ signals }, at) => signals.subscribe((text) => (heard[at] as string[]).push(text)));
      await until(subject, async () => {
        speaker.signals.publish('ready?');
        await subject.pass(1);
        return heard.every((texts) => texts.length > 0);
      });
      speaker.signals.publish('ünï|1');
      await until(subject, async () => heard.every((texts) => texts.includes('ünï|1')));
      stops[0]?.();
      speaker.signals.publish('2');
      await until(subject, async () => heard.slice(1).every((texts) => texts.includes('2')));
      expect(heard[0]).not.toContain('2');
      for (const stop of stops) stop();
    }));

    test('closing rejects what is under way and what comes after, and the others go on', use(async (subject) => {
      const [one, two] = [subject.connect(), subject.connect()];
      expect(await one.lists.pending('q')).toBe(0);
      const waiting = one.lists.waitUnit({ worker: 'w', slot: 0, queue: 'q', timeoutMs: 60_000 });
      const failure = waiting.then(() => 'a unit', (error: unknown) => error);
      await until(subject, async () => (await two.lists.pending('q')) === 0);
      await one.lists.close();
      await one.lists.close();
      expect(await failure).toMatchObject({ name: 'TransportError' });
      await expect(one.lists.pending('q')).rejects.toMatchObject({ name: 'TransportError', retryable: false });
      one.signals.publish('nobody hears this');
      expect(await two.lists.pending('q')).toBe(0);
    }));

    test('two clients of the same lists have the same key', use(async (subject) => {
      expect(subject.connect().key).toBe(subject.connect().key);
    }));
  });
}

async function unitLists(subject: ListsUnderTest): Promise<ReadonlyMap<string, readonly string[]>> {
  return new Map([...(await subject.all())].filter(([key]) => !key.includes(':lease:')));
}
