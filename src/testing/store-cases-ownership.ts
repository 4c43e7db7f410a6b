/** Points 1 and 3 of the store's contract: one writer, and what becomes of the others. */
import { isTaskchartError } from '../core/errors.ts';
import type { RunWriter } from '../ports.ts';
import { begin, type Case, checkpointOf, entriesOf, entryOf, holds, owner, refused, same, stateOf } from './store-cases.ts';

const conflict = 'checkpoint/conflict';

export const ownershipCases: Readonly<Record<string, Case>> = {
  '1: a new run has nothing stored': async ({ store }) => {
    const writer = await store.open('r', owner(1));
    same('what a new writer finds', writer.stored, undefined);
    same('what load finds before the first snapshot', await store.load('r'), undefined);
    await writer.close();
  },

  '1: open shows all that was acknowledged, and the older writer is refused': async ({ store, reopen }) => {
    const first = await begin(store, 'r');
    await first.append(entriesOf(0, 3), 3);
    const second = await (await reopen()).open('r', owner(2));
    same('what the second writer finds', second.stored, stateOf('r', 0, 3));
    await refused('an append of the first writer', first.append([entryOf(4)], 4), conflict);
    await second.append([entryOf(4)], 4);
    same('the state after it', await store.load('r'), stateOf('r', 0, 4));
    await second.close();
  },

  '1: an older writer is refused also where the newer one has written nothing yet': async ({ store, reopen }) => {
    const first = await store.open('r', owner(1));
    const second = await (await reopen()).open('r', owner(2));
    await refused('the first snapshot of the first writer', first.save(checkpointOf('r', 0), 0), conflict);
    same('what is stored', await store.load('r'), undefined);
    await second.save(checkpointOf('r', 0), 0);
    same('what is stored then', await store.load('r'), stateOf('r', 0, 0));
    await second.close();
  },

  '1: a write that races with an open is seen by it or refused, and refused ones do not turn up later': async ({ store, reopen }) => {
    const other = await reopen();
    for (let round = 0; round < 8; round++) {
      const runId = `race${round}`;
      const first = await begin(store, runId);
      const writes: Promise<boolean>[] = [];
      for (let revision = 1; revision <= 20; revision++) writes.push(outcomeOf(first.append([entryOf(revision)], revision)));
      if (round % 2 === 1) await writes[round];
      const second = await other.open(runId, owner(2));
      const shown = second.stored?.journal.length ?? -1;
      const acknowledged = (await Promise.all(writes)).filter(Boolean).length;
      holds(`all ${acknowledged} acknowledged writes are among the ${shown} that the new writer was shown`, acknowledged <= shown);
      same('what the new writer was shown', second.stored, stateOf(runId, 0, shown));
      same('what is stored when the old writer has stopped', await store.load(runId), second.stored);
      await second.append([entryOf(shown + 1)], shown + 1);
      same('what is stored after the new writer went on', await other.load(runId), stateOf(runId, 0, shown + 1));
      await second.close();
    }
  },

  '1: a snapshot that races with an open is seen by it or refused': async ({ store, reopen }) => {
    const other = await reopen();
    for (let round = 0; round < 6; round++) {
      const runId = `race${round}`;
      const first = await begin(store, runId);
      await first.append(entriesOf(0, 5), 5);
      const saved = outcomeOf(first.save(checkpointOf(runId, 5), 5));
      const second = await other.open(runId, owner(2));
      const shown = second.stored?.revision;
      if (await saved) same('the snapshot that the new writer was shown', shown, 5);
      same('what the new writer was shown', second.stored, stateOf(runId, shown ?? -1, 5));
      await second.append([entryOf(6)], 6);
      same('what is stored after the new writer went on', await store.load(runId), stateOf(runId, shown ?? -1, 6));
      await second.close();
    }
  },

  '1: of many that open at once exactly one may write': async ({ store, reopen }) => {
    await (await begin(store, 'r')).close();
    const stores = [store, await reopen(), store, await reopen(), store];
    const opened = await Promise.allSettled(stores.map((each, at) => each.open('r', owner(at))));
    const outcomes = await Promise.all(opened.map((result) => (result.status === 'fulfilled' ? outcomeOf(result.value.append([entryOf(1)], 1)) : refusedByConflict(result.reason))));
    same('how many could write', outcomes.filter(Boolean).length, 1);
    same('what is stored', await store.load('r'), stateOf('r', 0, 1));
  },

  '3: a late append and a late snapshot are refused and change nothing': async ({ store, reopen }) => {
    const first = await begin(store, 'r');
    await first.append(entriesOf(0, 2), 2);
    const other = await reopen();
    const second = await other.open('r', owner(2));
    await refused('a late append', first.append([entryOf(3)], 3), conflict);
    await refused('a late snapshot', first.save(checkpointOf('r', 3), 3), conflict);
    await refused('a later append', first.append([entryOf(4)], 4), conflict);
    await first.close();
    same('the newest state', await other.load('r'), stateOf('r', 0, 2));
    same('the revisions', (await other.revisions('r')).map(({ revision }) => revision), [0]);
    await second.append([entryOf(3)], 3);
    await second.save(checkpointOf('r', 3), 3);
    same('the newest state after the second writer wrote', await store.load('r'), stateOf('r', 3, 3));
    await second.close();
  },

  '3: three writers in a row, each goes on from the one before': async ({ store, reopen }) => {
    const writers: RunWriter[] = [await begin(store, 'r')];
    for (let at = 1; at <= 3; at++) {
      await writers[at - 1]?.append([entryOf(at)], at);
      const next = await (await reopen()).open('r', owner(at));
      same(`what writer ${at} finds`, next.stored, stateOf('r', 0, at));
      writers.push(next);
    }
    for (const older of writers.slice(0, 3)) await refused('a write of an older writer', older.append([entryOf(4)], 4), conflict);
    await writers[3]?.append([entryOf(4)], 4);
    same('what is stored', await store.load('r'), stateOf('r', 0, 4));
  },
};

/** True where the write was acknowledged; a refusal must be a conflict. */
async function outcomeOf(write: Promise<void>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (thrown) {
    return refusedByConflict(thrown);
  }
}

function refusedByConflict(thrown: unknown): false {
  if (isTaskchartError(thrown) && thrown.code === conflict) return false;
  throw thrown;
}
