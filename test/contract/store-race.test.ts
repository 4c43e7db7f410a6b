/** Two writers of one run, the first one halted before and after each of its calls while the second does its work. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fileStoreOn } from '../../src/adapters/file/store.ts';
import { isTaskchartError } from '../../src/core/errors.ts';
import type { CheckpointStore, RunWriter, StoredRun } from '../../src/ports.ts';
import { begin, checkpointOf, entriesOf, entryOf, owner } from '../../src/testing/store-cases.ts';
import { Disk } from './store/disk.ts';

/** Lets one pass through the gate a number of times, then halts until it is opened. */
class Halt {
  left = Infinity;
  passed = 0;
  #reached: () => void = () => undefined;
  #open: () => void = () => undefined;
  readonly reached = new Promise<void>((resolve) => (this.#reached = resolve));
  readonly opened = new Promise<void>((resolve) => (this.#open = resolve));

  gate = (): Promise<void> | undefined => {
    this.passed += 1;
    if (this.left-- !== 0) return undefined;
    this.#reached();
    return this.opened;
  };

  open(): void {
    this.#open();
  }
}

interface Scene {
  readonly disk: Disk;
  readonly halt: Halt;
  readonly first: CheckpointStore;
  readonly second: CheckpointStore;
}

function scene(): Scene {
  const disk = new Disk();
  const halt = new Halt();
  return { disk, halt, first: fileStoreOn(disk.fileSystem(halt.gate), '/runs'), second: fileStoreOn(disk.fileSystem(), '/runs') };
}

async function acknowledged(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (thrown) {
    if (isTaskchartError(thrown) && thrown.code === 'checkpoint/conflict') return false;
    throw thrown;
  }
}

const reachedBy = (stored: StoredRun | undefined): number => (stored === undefined ? -1 : stored.revision + stored.journal.length);

function checkWhole(stored: StoredRun | undefined, where: string): void {
  if (stored === undefined) throw new Error(`${where}: nothing is stored`);
  expect(stored, where).toEqual({ checkpoint: checkpointOf('r', stored.revision), revision: stored.revision, journal: entriesOf(stored.revision, reachedBy(stored)) });
}

/** The second writer goes on from what it found: some entries, two snapshots, another entry. */
async function work(writer: RunWriter): Promise<number> {
  const from = reachedBy(writer.stored);
  await writer.append([entryOf(from + 1)], from + 1);
  await writer.save(checkpointOf('r', from + 1), from + 1);
  await writer.append([entryOf(from + 2)], from + 2);
  await writer.save(checkpointOf('r', from + 2), from + 2);
  await writer.append([entryOf(from + 3)], from + 3);
  return from + 3;
}

let now = 1_700_000_000_000;

// A run that is made anew ranks by its time, so time must pass.
beforeEach(() => {
  vi.spyOn(Date, 'now').mockImplementation(() => (now += 1));
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe('a writer that is overtaken', () => {
  it.each([['before the newer one wrote', false], ['after it wrote and cleared away', true]])('at any of its calls, and goes on %s', async (_, works) => {
    let rounds = 0;
    let refusals = 0;
    for (let at = 0; ; at++, rounds++) {
      const { halt, first, second } = scene();
      const writer = await begin(first, 'r');
      halt.left = at;
      const outcomes: Promise<boolean>[] = [];
      const expected: number[] = [];
      const all = (async () => {
        for (const [revision, save] of [[1, false], [2, false], [2, true], [3, false], [4, true], [5, false]] as const) {
          expected.push(revision);
          outcomes.push(acknowledged(save ? writer.save(checkpointOf('r', revision), revision) : writer.append([entryOf(revision)], revision)));
          if (!(await outcomes.at(-1))) return;
        }
      })();
      const finished = await Promise.race([all.then(() => true), halt.reached]);
      if (finished === true) break;
      const where = `halted at ${at}`;
      const other = await second.open('r', owner(2));
      checkWhole(other.stored, where);
      let end = works ? await work(other) : reachedBy(other.stored);
      halt.open();
      await all;
      const results = await Promise.all(outcomes);
      const highest = Math.max(0, ...expected.filter((_revision, index) => results[index]));
      expect(reachedBy(other.stored), where).toBeGreaterThanOrEqual(highest);
      expect(results.at(-1), `${where}: the overtaken writer stops`).toBe(false);
      refusals += 1;
      if (!works) end = await work(other);
      const stored = await second.load('r');
      checkWhole(stored, where);
      expect(reachedBy(stored), where).toBe(end);
      expect((await second.revisions('r')).map(({ revision }) => revision), where).toEqual([end - 1, end - 2]);
      expect(await second.load('r', end - 2), where).toEqual({ checkpoint: checkpointOf('r', end - 2), revision: end - 2, journal: [] });
    }
    expect(rounds).toBeGreaterThan(60);
    expect(refusals).toBe(rounds);
  });

  it('while it opens the run, at any of its calls: it is refused or sees everything', async () => {
    let rounds = 0;
    const results = { refused: 0, newest: 0 };
    for (let at = 0; ; at++, rounds++) {
      const { halt, first, second } = scene();
      const former = await begin(second, 'r');
      await former.append([entryOf(1)], 1);
      halt.left = at;
      const opening = first.open('r', owner(2)).then((writer) => writer, (error: unknown) => error);
      const finished = await Promise.race([opening.then(() => true), halt.reached]);
      if (finished === true) break;
      const where = `halted at ${at}`;
      // Two others come and go, so that claims are cleared away under the one that is halted.
      for (const pid of [3, 4]) await work(await second.open('r', owner(pid)));
      const third = await second.open('r', owner(5));
      const end = await work(third);
      halt.open();
      const outcome = await opening;
      const late = isTaskchartError(outcome) || reachedBy((outcome as RunWriter).stored) < end;
      if (late) {
        // Refused at once, or by its first write where it was open before the others came.
        if (isTaskchartError(outcome)) expect(outcome.code, where).toBe('checkpoint/conflict');
        else expect(await acknowledged((outcome as RunWriter).append([entryOf(2)], 2)), where).toBe(false);
        results.refused += 1;
        await third.append([entryOf(end + 1)], end + 1);
        expect(reachedBy(await second.load('r')), where).toBe(end + 1);
      } else {
        const writer = outcome as RunWriter;
        results.newest += 1;
        checkWhole(writer.stored, where);
        expect(reachedBy(writer.stored), where).toBe(end);
        expect(await acknowledged(third.append([entryOf(end + 1)], end + 1)), where).toBe(false);
        expect(await work(writer), where).toBe(end + 3);
        checkWhole(await second.load('r'), where);
      }
      expect(await acknowledged(former.append([entryOf(2)], 2)), where).toBe(false);
    }
    expect(rounds).toBeGreaterThan(20);
    expect(results.refused).toBeGreaterThan(0);
    expect(results.newest).toBeGreaterThan(0);
  });

  it('at any of its calls by one that halts at any of its own: what is acknowledged is seen', async () => {
    let rounds = 0;
    let refusals = 0;
    let ends = false;
    for (let mine = 0; !ends; mine++) {
      for (let theirs = 0; ; theirs++, rounds++) {
        const disk = new Disk();
        const [one, two] = [new Halt(), new Halt()];
        const writer = await begin(fileStoreOn(disk.fileSystem(one.gate), '/runs'), 'r');
        one.left = mine;
        const writes = (async () => {
          const appended = await acknowledged(writer.append([entryOf(1)], 1));
          return appended && (await acknowledged(writer.save(checkpointOf('r', 2), 2))) ? 2 : appended ? 1 : 0;
        })();
        ends = (await Promise.race([writes.then(() => true), one.reached])) === true;
        if (ends) break;
        two.left = theirs;
        const second = fileStoreOn(disk.fileSystem(two.gate), '/runs');
        const opening = second.open('r', owner(2));
        const opened = await Promise.race([opening.then(() => true), two.reached]);
        one.open();
        const where = `halted at ${mine}, the other at ${theirs}`;
        const reached = await writes;
        two.open();
        const other = await opening;
        checkWhole(other.stored, where);
        expect(reachedBy(other.stored), where).toBeGreaterThanOrEqual(reached);
        expect(await second.load('r'), where).toEqual(other.stored);
        checkWhole((await work(other), await second.load('r')), where);
        if (reached < 2) refusals += 1;
        if (opened === true) break;
      }
    }
    expect(rounds).toBeGreaterThan(400);
    expect(refusals).toBeGreaterThan(100);
    expect(refusals).toBeLessThan(rounds);
  }, 60_000);

  it.each([['forwards', 1], ['backwards', -5000]])('by the removal of its run, at any of its calls, while the clock goes %s: it is refused, and the run that is made anew is untouched', async (_, step) => {
    let rounds = 0;
    for (let at = 0; ; at++, rounds++) {
      const { halt, first, second } = scene();
      const writer = await begin(first, 'r');
      halt.left = at;
      const all = (async () => (await acknowledged(writer.append([entryOf(1)], 1))) && (await acknowledged(writer.save(checkpointOf('r', 1), 1))) && acknowledged(writer.append([entryOf(2)], 2)))();
      const finished = await Promise.race([all.then(() => true), halt.reached]);
      if (finished === true) break;
      await second.remove('r');
      now += step;
      const anew = await begin(second, 'r', 7);
      halt.open();
      expect(await all, `halted at ${at}`).toBe(false);
      await anew.append(entriesOf(0, 2), 2);
      const stored = await second.load('r');
      checkWhole(stored, `halted at ${at}`);
      expect(reachedBy(stored)).toBe(2);
    }
    expect(rounds).toBeGreaterThan(20);
  });

  it('while a reader reads, at any of its calls: it gets a whole state', async () => {
    let rounds = 0;
    for (let at = 0; ; at++, rounds++) {
      const { halt, first, second } = scene();
      const writer = await begin(second, 'r');
      await writer.append(entriesOf(0, 3), 3);
      halt.left = at;
      const reading = first.load('r');
      const finished = await Promise.race([reading.then(() => true), halt.reached]);
      if (finished === true) break;
      await writer.save(checkpointOf('r', 3), 3);
      await writer.append([entryOf(4)], 4);
      await writer.save(checkpointOf('r', 4), 4);
      await work(await second.open('r', owner(2)));
      halt.open();
      checkWhole(await reading, `halted at ${at}`);
    }
    expect(rounds).toBeGreaterThan(3);
  });
});
