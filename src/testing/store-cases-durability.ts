/** Points 2, 4, 5 and 6 of the store's contract: order, completeness, snapshots and their revisions. */
import type { CheckpointStore, RunWriter } from '../ports.ts';
import { begin, type Case, checkpointOf, entriesOf, entryOf, holds, owner, refused, same, stateOf } from './store-cases.ts';

export const durabilityCases: Readonly<Record<string, Case>> = {
  '2: what is acknowledged is there for whoever opens the store next': async ({ store, reopen }) => {
    const writer = await begin(store, 'r');
    same('after a snapshot', await (await reopen()).load('r'), stateOf('r', 0, 0));
    await writer.append(entriesOf(0, 2), 2);
    same('after an append', await (await reopen()).load('r'), stateOf('r', 0, 2));
    await writer.save(checkpointOf('r', 2), 2);
    same('after a second snapshot', await (await reopen()).load('r'), stateOf('r', 2, 2));
    await writer.close();
    same('after closing', await (await reopen()).load('r'), stateOf('r', 2, 2));
  },

  '2: writes are acknowledged in the order in which they were made': async ({ store }) => {
    const writer = await begin(store, 'r');
    const order: number[] = [];
    const writes: Promise<unknown>[] = [];
    for (let revision = 1; revision <= 60; revision++) {
      const write = revision % 7 === 0 ? writer.save(checkpointOf('r', revision), revision) : writer.append([entryOf(revision)], revision);
      writes.push(write.then(() => order.push(revision)));
    }
    await Promise.all(writes);
    same('the order of acknowledgements', order, Array.from({ length: 60 }, (_, at) => at + 1));
    same('what is stored', await store.load('r'), stateOf('r', 56, 60));
    await writer.close();
  },

  '2: close finishes the writes that are under way': async ({ store, reopen }) => {
    const writer = await begin(store, 'r');
    const writes = [writer.append(entriesOf(0, 3), 3), writer.append(entriesOf(3, 5), 5)];
    await writer.close();
    await Promise.all(writes);
    same('what is stored', await (await reopen()).load('r'), stateOf('r', 0, 5));
  },

  '4: many entries come back complete and in order': async ({ store, reopen }) => {
    const writer = await begin(store, 'r');
    for (let from = 0; from < 20_000; from += 2000) await writer.append(entriesOf(from, from + 2000), from + 2000);
    same('what is stored', await (await reopen()).load('r'), stateOf('r', 0, 20_000));
    await writer.close();
  },

  '4: big entries and big snapshots come back as they were': async ({ store, reopen }) => {
    const writer = await begin(store, 'r');
    const big = [1_000_000, 70_000, 1, 3_000_000].map((length, at) => JSON.stringify([at + 1, 'é'.repeat(length)]));
    await writer.append(big, 4);
    same('the entries', (await (await reopen()).load('r'))?.journal, big);
    const heavy = checkpointOf('r', 4, 5_000_000);
    await writer.save(heavy, 4);
    same('the snapshot', (await (await reopen()).load('r'))?.checkpoint, heavy);
    await writer.close();
  },

  '4: entries are texts that the store does not look into': async ({ store, reopen }) => {
    const writer = await begin(store, 'r');
    const odd = ['1', 'null', '""', '"\\n"', ' 2 ', '\t3', ':4 5', '#', '{"__proto__":1}', '"\u0000\u0085\u2028\r"', '"😀é"'];
    await writer.append(odd, odd.length);
    same('the entries', (await (await reopen()).load('r'))?.journal, odd);
    await writer.close();
  },

  '4: an empty append is acknowledged and adds nothing': async ({ store }) => {
    const writer = await begin(store, 'r');
    await writer.append([], 0);
    await writer.append(entriesOf(0, 1), 1);
    await writer.append([], 1);
    same('what is stored', await store.load('r'), stateOf('r', 0, 1));
    await writer.close();
  },

  '4: runs do not mix': async ({ store, reopen }) => {
    const ids = ['a', 'a.b', 'a-b', 'a_b', 'aa', 'größe', 'x'.repeat(100)];
    const writers: RunWriter[] = [];
    for (const id of ids) writers.push(await begin(store, id));
    await Promise.all(writers.map((writer, at) => writer.append(entriesOf(0, at + 1), at + 1)));
    const other = await reopen();
    for (const [at, id] of ids.entries()) same(`run ${id}`, await other.load(id), stateOf(id, 0, at + 1));
    await store.remove('a');
    same('the neighbour of a removed run', await other.load('a.b'), stateOf('a.b', 0, 2));
  },

  '5: reading changes nothing and takes the run from nobody': async ({ store, reopen }) => {
    const writer = await begin(store, 'r');
    await writer.append(entriesOf(0, 2), 2);
    await writer.save(checkpointOf('r', 2), 2);
    const other = await reopen();
    for (let time = 0; time < 2; time++) {
      same('load', await other.load('r'), stateOf('r', 2, 2));
      same('load of the snapshot before', await other.load('r', 0), stateOf('r', 0, 0));
      same('revisions', (await other.revisions('r')).map(({ revision }) => revision), [2, 0]);
      same('list', (await other.list()).map(({ runId }) => runId), ['r']);
      same('posts', await other.posts('r', 0), []);
    }
    await writer.append([entryOf(3)], 3);
    same('what is stored after the writer went on', await other.load('r'), stateOf('r', 2, 3));
    await writer.close();
  },

  '6: a snapshot replaces the entries up to its revision': async ({ store, reopen }) => {
    const writer = await begin(store, 'r');
    await writer.append(entriesOf(0, 3), 3);
    await writer.save(checkpointOf('r', 3), 3);
    same('at once', await store.load('r'), stateOf('r', 3, 3));
    await writer.append(entriesOf(3, 5), 5);
    same('with entries after it', await (await reopen()).load('r'), stateOf('r', 3, 5));
    await writer.save(checkpointOf('r', 9), 9);
    same('ahead of what was appended', await (await reopen()).load('r'), stateOf('r', 9, 9));
    await writer.append([entryOf(10)], 10);
    same('and on from there', await (await reopen()).load('r'), stateOf('r', 9, 10));
    await writer.close();
  },

  '6: entries after the revision of a snapshot that comes late stay': async ({ store, reopen }) => {
    const writer = await begin(store, 'r');
    for (let revision = 1; revision <= 5; revision++) await writer.append([entryOf(revision)], revision);
    await writer.save(checkpointOf('r', 3), 3);
    same('at once', await (await reopen()).load('r'), stateOf('r', 3, 5));
    await writer.append([entryOf(6)], 6);
    same('with another entry', await (await reopen()).load('r'), stateOf('r', 3, 6));
    await writer.save(checkpointOf('r', 6), 6);
    same('after the next snapshot', await (await reopen()).load('r'), stateOf('r', 6, 6));
    await writer.close();
  },

  '6: entries after late snapshots stay, however many come': async ({ store, reopen }) => {
    const writer = await begin(store, 'r');
    for (let revision = 1; revision <= 6; revision++) await writer.append([entryOf(revision)], revision);
    for (let revision = 1; revision <= 4; revision++) {
      await writer.save(checkpointOf('r', revision), revision);
      same(`after the late snapshot ${revision}`, await (await reopen()).load('r'), stateOf('r', revision, 6));
      same('the snapshot before', await store.load('r', revision - 1), stateOf('r', revision - 1, revision - 1));
    }
    const second = await (await reopen()).open('r', owner(2));
    same('what the next writer finds', second.stored, stateOf('r', 4, 6));
    await second.close();
  },

  '6: a snapshot of the same revision takes the place of the one before': async ({ store, reopen }) => {
    const writer = await begin(store, 'r');
    await writer.save(checkpointOf('r', 0, 10), 0);
    same('what is stored', (await store.load('r'))?.checkpoint, checkpointOf('r', 0, 10));
    const second = await (await reopen()).open('r', owner(2));
    await second.save(checkpointOf('r', 0, 20), 0);
    same('what is stored by another writer', await store.load('r'), { ...stateOf('r', 0, 0), checkpoint: checkpointOf('r', 0, 20) });
    await second.append([entryOf(1)], 1);
    same('with an entry', (await store.load('r'))?.journal, [entryOf(1)]);
    await second.close();
  },

  '6: the snapshot before stays readable by its revision, also for the next writer': async ({ store, reopen }) => {
    let writer = await begin(store, 'r');
    for (let revision = 2; revision <= 8; revision += 2) {
      await writer.append(entriesOf(revision - 2, revision), revision);
      await writer.save(checkpointOf('r', revision), revision);
      same(`the snapshot before revision ${revision}`, await store.load('r', revision - 2), stateOf('r', revision - 2, revision - 2));
      if (revision === 4) writer = await (await reopen()).open('r', owner(2));
      same('the one before, when the run was opened again', await store.load('r', revision - 2), stateOf('r', revision - 2, revision - 2));
    }
    await checkRevisions(store, 'r', 8);
    await writer.close();
  },

  '6: a revision that is not there is refused, an unknown run is nothing': async ({ store }) => {
    await (await begin(store, 'r')).close();
    await refused('a revision that never was', store.load('r', 77), 'checkpoint/unknown-revision');
    same('an unknown run', await store.load('nobody'), undefined);
    same('a revision of an unknown run', await store.load('nobody', 1), undefined);
    same('the revisions of an unknown run', await store.revisions('nobody'), []);
  },
};

async function checkRevisions(store: CheckpointStore, runId: string, newest: number): Promise<void> {
  const notes = await store.revisions(runId);
  const revisions = notes.map(({ revision }) => revision);
  same('the first two revisions, newest first', revisions.slice(0, 2), [newest, newest - 2]);
  same('the order of revisions', revisions, [...revisions].sort((a, b) => b - a));
  for (const { revision, bytes, savedAt } of notes) {
    same(`the bytes of revision ${revision}`, bytes, new TextEncoder().encode(checkpointOf(runId, revision)).length);
    holds(`revision ${revision} has a time`, savedAt > 0 && savedAt < Date.now() + 60_000);
    same(`revision ${revision}`, (await store.load(runId, revision))?.checkpoint, checkpointOf(runId, revision));
  }
}
