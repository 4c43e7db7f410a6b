/**
 * A process that runs one workflow after the other: those that an earlier one has left are resumed. Each result becomes a file.
 * It ends with 0 when it was told to stop and its run is over, and with 7 when another process has taken its run.
 *
 *   coordinator.ts <folder> <lane> <single> <several>
 */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isTaskchartError } from 'taskchart';
import { fileStore } from 'taskchart/stores';
import { chaos } from './flow.ts';

const [folder = '', lane = '', single = '', several = ''] = process.argv.slice(2);
const results = join(folder, 'results');
mkdirSync(results, { recursive: true });
const store = fileStore(join(folder, 'runs'));

for (let nth = 0; ; nth += 1) {
  const runId = `${lane}-${nth}`;
  const file = join(results, `${runId}.json`);
  if (existsSync(file)) continue;
  if (existsSync(join(folder, 'stop')) && (await store.load(runId)) === undefined) break;
  try {
    const known = (await store.load(runId)) !== undefined;
    const run = known ? await chaos.resume(store, runId) : chaos.start({ single: Number(single), several: Number(several) }, { store, runId });
    console.log(`${known ? 'resumed' : 'started'} ${runId}`);
    const shown = setInterval(() => console.log(JSON.stringify(run.status())), 5000);
    const output = await run.result.finally(() => clearInterval(shown));
    writeFileSync(`${file}.new`, JSON.stringify(output));
    renameSync(`${file}.new`, file);
    console.log(`ended ${runId}`);
  } catch (thrown) {
    if (isTaskchartError(thrown) && (thrown.code === 'checkpoint/conflict' || thrown.code === 'run/fenced')) {
      console.log(`lost ${runId}: ${thrown.code}`);
      process.exit(7);
    }
    throw thrown;
  }
}
