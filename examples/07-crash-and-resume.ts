/**
 * 07 Crash and resume: a run survives `kill -9`.
 *
 * With a store every accepted result is written down, in batches and with fsync. This file starts itself as a child
 * process, which is killed while it packs. Then it takes the same run up again: what was finished is not repeated; what was
 * in flight runs again, under the same idempotency key, by which the world outside can see that it is the same work.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { task, workflow } from 'taskchart';
import { fileStore } from 'taskchart/stores';

let powerCut: (() => Promise<void>) | undefined; // only in the first process
const say = (what: string, key: string) => console.log(`  ${what} (${key})`);

const order = workflow('order',
  task('charge', (item: string, ctx) => {
    say('charge the card', ctx.idempotencyKey);
    return { item, paid: true };
  })
    .to('pack', async ({ item }, ctx) => {
      say(`pack the ${item}`, ctx.idempotencyKey);
      await powerCut?.();
      return `parcel with a ${item}`;
    })
    .to('ship', (parcel, ctx) => say(`ship the ${parcel}`, ctx.idempotencyKey)));

const [, , folder] = process.argv;
if (folder !== undefined) {
  const run = order.start('lamp', { store: fileStore(folder), runId: 'order-1' });
  powerCut = async () => {
    await run.checkpoint(); // resolves when all that has happened so far is on disk
    process.kill(process.pid, 'SIGKILL');
  };
} else {
  const store = mkdtempSync(join(tmpdir(), 'orders-'));
  console.log('first process');
  const child = spawnSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), store], { stdio: 'inherit' });
  console.log(`killed by ${child.signal}\nsecond process`);
  const run = await order.resume(fileStore(store), 'order-1');
  await run.result;
  console.log(run.status().state);
}

/* Expected output:
first process
  charge the card (order-1/1)
  pack the lamp (order-1/1+1)
killed by SIGKILL
second process
  pack the lamp (order-1/1+1)
  ship the parcel with a lamp (order-1/1+2)
completed
*/
