/**
 * 05 Iterate until: a task runs again with a new input until it is content.
 *
 * `nextIteration` starts the next pass; the successors run once, with the value that is returned in the end. Every pass is
 * in the snapshot, so a loop that is cut off goes on where it was. A loop that never ends meets `maxIterations`.
 */
import { IterationLimitError, task, workflow } from 'taskchart';

interface Guess { of: number; guess: number }

const squareRoot = task('squareRoot', ({ of, guess }: Guess, ctx) => {
  const better = (guess + of / guess) / 2;
  console.log(`  pass ${ctx.iteration}: ${better.toFixed(6)}`);
  return Math.abs(better - guess) > 1e-6 ? ctx.nextIteration({ of, guess: better }) : better;
});

const root = workflow('root', squareRoot.to('round', (value) => Number(value.toFixed(4))));
console.log(await root.run({ of: 2, guess: 1 }));

const endless = workflow('endless', task('search', (n: number, ctx) => ctx.nextIteration(n + 1), { maxIterations: 3 }));
try {
  await endless.run(0);
} catch (error) {
  console.log(error instanceof IterationLimitError, (error as Error).message);
}

/* Expected output:
  pass 0: 1.500000
  pass 1: 1.416667
  pass 2: 1.414216
  pass 3: 1.414214
  pass 4: 1.414214
1.4142
true task "search" of workflow "endless" asked for more than 3 iterations
*/
