/**
 * 10 Inspect live: watch a run in the browser while it happens, and answer it from there.
 *
 *   npx tsx examples/10-inspect-live.ts --live
 *
 * prints an address to open. The page shows the graph with its fan-out filling up, statecharts, values and why it waits, and it
 * has a form for the approval. In your own code `inspect: connectInspector()` is all: it sends to the relay that
 * `npx taskchart inspect` has started and TASKCHART_INSPECT names, and does nothing where there is none.
 *
 * Without --live this file is its own viewer: an inspector can give what it sees to any function.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { each, task, waitFor, workflow } from 'taskchart';
import { connectInspector, createInspector, startRelay, SystemPicture } from 'taskchart/inspect';

const live = process.argv.includes('--live');

const photos = workflow('photos',
  task('list', (count: number) => Array.from({ length: count }, (_, n) => n))
    .to(each(task('resize', async (n: number, ctx) => {
      await pause(live ? 100 : 1);
      if (n % 50 === 0 && ctx.attempt === 1) throw new Error('the disk was busy');
      return n;
    }, { retry: { attempts: 3, delay: live ? 2000 : 1 } })).withExecution({ backend: 'local', concurrency: 20 }))
    .to(waitFor('approval'))
    .to('publish', (answer) => `published: ${String(answer)}`));

if (live) {
  const relay = await startRelay();
  console.log(`open ${relay.url}`);
  console.log(await photos.start(1000, { inspect: connectInspector(relay.url) }).result);
  process.stdin.once('data', () => process.exit()); // the page stays until you press Enter
} else {
  const picture = new SystemPicture('photos');
  const inspector = createInspector((messages) => messages.forEach((message) => picture.take(message)));
  const run = photos.start(1000, { inspect: inspector });
  for await (const event of run.events()) {
    if (event.type !== 'run.waiting' || run.status().waitsFor[0]?.kind !== 'signal') continue;
    inspector.flush(); // otherwise every 100 ms
    for (const { tasks } of picture.runs.values()) {
      for (const [id, { state, done }] of tasks) console.log(`${id} is ${state}: ${done} done`);
    }
    run.signal('approval', 'yes');
  }
  console.log(await run.result);
}

/* Expected output:
list is done: 1 done
each@1 is done: 1 done
resize is done: 1000 done
approval is waiting: 0 done
published: yes
*/
