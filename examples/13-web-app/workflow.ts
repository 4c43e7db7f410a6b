/** Counts the primes below a number, one span after the other, and then asks a person for a note. */
import { channelKey, each, task, waitFor, workflow } from 'taskchart';

interface Span { from: number; to: number }

/** What the page shows while it counts. It is part of the snapshot, and grows in the same step in which a span is done. */
export const progress = { spans: channelKey<number>('spans'), done: channelKey<number>('done'), primes: channelKey<number>('primes') };

const spanSize = 50_000;

const divide = task('divide', (below: number, ctx) => {
  const spans: Span[] = [];
  for (let from = 0; from < below; from += spanSize) spans.push({ from, to: Math.min(below, from + spanSize) });
  ctx.channel.set(progress.spans, spans.length);
  return spans;
});

const count = task('count', async ({ from, to }: Span, ctx) => {
  await new Promise((next) => setTimeout(next)); // lets the page paint between two spans
  let primes = 0;
  for (let n = from; n < to; n += 1) if (isPrime(n)) primes += 1;
  ctx.channel.add(progress.primes, primes);
  ctx.channel.add(progress.done);
  console.debug(`counted from ${from}`);
});

export const primes = workflow('primes', divide
  .to(each(count).withExecution({ backend: 'local', concurrency: 1 }))
  .to(waitFor('note'))
  .to('result', (note, ctx) => ({ primes: ctx.channel.get(progress.primes) ?? 0, note: String(note ?? '') })));

function isPrime(n: number): boolean {
  if (n < 3 || n % 2 === 0) return n === 2;
  for (let by = 3; by * by <= n; by += 2) if (n % by === 0) return false;
  return true;
}
