/**
 * 02 Diamond: one task, two that run side by side on its output, one that joins them.
 *
 * The same shape in three ways. `fork` is the shortest. `parallel` puts together tasks that exist already. `dag` is for
 * graphs that are no neat levels: a node starts as soon as all that it needs is done.
 */
import { dag, node, parallel, task, workflow } from 'taskchart';

const words = task('words', (text: string) => text.split(' '));
const count = task('count', (list: string[]) => list.length);
const longest = task('longest', (list: string[]) => list.reduce((a, b) => (b.length > a.length ? b : a)));

const forked = workflow('forked', words
  .fork({ count: (list) => list.length, last: (list) => list.at(-1) ?? null })
  .to('join', ({ count, last }) => `${count} words, the last is "${last}"`));

const grouped = workflow('grouped', words
  .to(parallel(count, longest))
  .to('join', ({ count, longest }) => `${count} words, the longest is "${longest}"`));

// A node's input is an object with the outputs of what it needs. The output holds the nodes that nobody needs.
const graph = workflow('graph', dag({
  words: node(words),
  count: node(task('countIn', (input: { words: string[] }) => input.words.length), { needs: ['words'] }),
  first: node(task('firstIn', (input: { words: string[] }) => input.words[0] ?? ''), { needs: ['words'] }),
  join: node(task('joinIn', (input: { count: number; first: string }) => `${input.count} words, the first is "${input.first}"`), {
    needs: ['count', 'first'],
  }),
}));

const text = 'all happy families are alike';
console.log(await forked.run(text));
console.log(await grouped.run(text));
console.log((await graph.run(text)).join);

/* Expected output:
5 words, the last is "alike"
5 words, the longest is "families"
5 words, the first is "all"
*/
