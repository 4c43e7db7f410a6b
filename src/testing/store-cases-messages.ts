/** The rest of the store's contract: messages, lists, removal. */
import { begin, type Case, checkpointOf, entryOf, holds, owner, same, stateOf } from './store-cases.ts';

export const messageCases: Readonly<Record<string, Case>> = {
  'posts are numbered from 1 in the order in which they arrived': async ({ store, reopen }) => {
    const other = await reopen();
    const writer = await begin(store, 'r');
    const texts = ['{"a":1}', 'two\nlines', '', '"é✓😀\u2028"', 'x'.repeat(300_000)];
    for (const [at, text] of texts.entries()) same('the number', await (at % 2 === 0 ? store : other).post('r', text), at + 1);
    same('all', await other.posts('r', 0), texts.map((text, at) => ({ number: at + 1, text })));
    same('those after the third', await store.posts('r', 3), texts.slice(3).map((text, at) => ({ number: at + 4, text })));
    same('those after the last', await store.posts('r', 5), []);
    same('the next number', await other.post('r', 'sixth'), 6);
    same('the next', await store.posts('r', 5), [{ number: 6, text: 'sixth' }]);
    await writer.close();
  },

  'posts of many at once get each a number of their own, and none is lost': async ({ store, reopen }) => {
    await (await begin(store, 'r')).close();
    const stores = [store, await reopen()];
    const numbers = await Promise.all(Array.from({ length: 40 }, (_, at) => (stores[at % 2] ?? store).post('r', `message ${at}`)));
    same('the numbers', [...numbers].sort((a, b) => a - b), Array.from({ length: 40 }, (_, at) => at + 1));
    const posts = await store.posts('r', 0);
    for (const [at, number] of numbers.entries()) same(`message ${at}`, posts[number - 1], { number, text: `message ${at}` });
  },

  'posts need no ownership and stay for the next writer': async ({ store, reopen }) => {
    const first = await begin(store, 'r');
    await store.post('r', 'one');
    await first.append([entryOf(1)], 1);
    await first.save(checkpointOf('r', 1), 1);
    const second = await (await reopen()).open('r', owner(2));
    await store.post('r', 'two');
    same('what the second writer finds', await store.posts('r', 0), [{ number: 1, text: 'one' }, { number: 2, text: 'two' }]);
    await second.append([entryOf(2)], 2);
    same('what is stored', await store.load('r'), stateOf('r', 1, 2));
    same('the posts of an unknown run', await store.posts('nobody', 0), []);
    await second.close();
  },

  'list shows each run, who opened it last, and how often': async ({ store, reopen }) => {
    same('an empty store', await store.list(), []);
    const first = await begin(store, 'a', 11);
    await begin(store, 'b', 12);
    const before = (await store.list()).find(({ runId }) => runId === 'a');
    same('the workflow', before?.workflow, 'contract');
    same('the owner', before?.owner, owner(11));
    await first.append([entryOf(1)], 1);
    await (await reopen()).open('a', owner(13));
    const notes = [...(await (await reopen()).list())].sort((x, y) => (x.runId < y.runId ? -1 : 1));
    same('the runs', notes.map(({ runId }) => runId), ['a', 'b']);
    same('the owners', notes.map((note) => note.owner), [owner(13), owner(12)]);
    holds('the epoch grows', (notes[0]?.epoch ?? 0) > (before?.epoch ?? 0));
    for (const { updatedAt } of notes) holds('a time of the last write', updatedAt > 0 && updatedAt < Date.now() + 60_000);
  },

  'remove takes all that belongs to a run': async ({ store, reopen }) => {
    await store.remove('nobody');
    const writer = await begin(store, 'r');
    await writer.append([entryOf(1)], 1);
    await store.post('r', 'one');
    await writer.close();
    const other = await reopen();
    await other.remove('r');
    same('load', await store.load('r'), undefined);
    same('revisions', await store.revisions('r'), []);
    same('posts', await store.posts('r', 0), []);
    same('list', await store.list(), []);
    const anew = await store.open('r', owner(2));
    same('what a new writer finds', anew.stored, undefined);
    await anew.save(checkpointOf('r', 0), 0);
    same('what is stored anew', await other.load('r'), stateOf('r', 0, 0));
    same('the first message anew', await other.post('r', 'again'), 1);
    await anew.close();
  },
};
