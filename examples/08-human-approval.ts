/**
 * 08 Human approval: a run waits for people, and nobody has to keep a process alive for that.
 *
 * `waitFor` is a step that parks the run until a signal of that name comes. `ctx.ask` asks from inside a task, which runs
 * again from its top once it has the answer. The first process below ends by itself when nothing is left but waiting.
 * The second takes the run up from the store and brings the answers, minutes or weeks later.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isTaskchartError, task, waitFor, workflow } from 'taskchart';
import { fileStore } from 'taskchart/stores';
import { z } from 'zod';

const release = workflow('release',
  task('draft', (version: string) => console.log(`  notes for ${version} are written`))
    .to(waitFor('approval', { schema: z.object({ by: z.string() }) }))
    .to('publish', async ({ by }, ctx) => {
      const channel = await ctx.ask('channel', { question: 'stable or beta?', schema: z.enum(['stable', 'beta']) });
      return `published to ${channel}, approved by ${by}`;
    }));

const [, , folder] = process.argv;
if (folder !== undefined) {
  const run = release.start('2.0', { store: fileStore(folder), runId: 'release-2.0' });
  run.on((event) => event.type === 'run.waiting' && console.log('  waits for', run.status().waitsFor.map((one) => one.kind === 'signal' && one.name)));
} else {
  const store = mkdtempSync(join(tmpdir(), 'releases-'));
  console.log('first process');
  const child = spawnSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), store], { stdio: 'inherit' });
  console.log(`it has ended with code ${child.status}\nsecond process`);
  const run = await release.resume(fileStore(store), 'release-2.0');
  try {
    run.signal('approval', { by: 7 });
  } catch (error) {
    if (isTaskchartError(error)) console.log(`  refused: ${error.code}`); // and the run still waits
  }
  run.on((event) => event.type === 'run.waiting' && run.signal('channel', 'beta')); // publish has asked
  run.signal('approval', { by: 'Ada' });
  console.log(`  ${await run.result}`);
}

/* Expected output:
first process
  notes for 2.0 are written
  waits for [ 'approval' ]
it has ended with code 0
second process
  refused: value/schema
  published to beta, approved by Ada
*/
