/**
 * 01 Hello: two tasks, one after the other.
 *
 * A task is a named async function. `.to` runs the next one with the output of the one before; its input type is
 * inferred. `run` starts the workflow and promises the output of its last task.
 *
 *   npx tsx examples/01-hello.ts
 */
import { task, workflow } from 'taskchart';

const hello = workflow('hello',
  task('greet', async (name: string) => ({ name, greeting: `Hello, ${name}!` }))
    .to('measure', ({ greeting }) => ({ greeting, letters: greeting.length })));

const { greeting, letters } = await hello.run('world');
console.log(`${greeting} (${letters} characters)`);

// The same run again, with a handle: every step that it takes is an event.
const run = hello.start('reader');
run.on((event) => {
  if (event.type === 'task.completed') console.log(`done: ${event.task}`);
});
console.log((await run.result).greeting);

/* Expected output:
Hello, world! (13 characters)
done: greet
done: measure
Hello, reader!
*/
