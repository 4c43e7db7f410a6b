/**
 * One life of the crashing run: `start` begins it, `resume` goes on with it. The parent (crash.ts) kills the first life.
 *
 *   node crash-child.ts start|resume '{ "store": …, "runId": …, "witness": …, "job": … }'
 *
 * Prints a JSON line for every package that was measured, and one for the end.
 */
import { fileStore } from 'taskchart/stores';
import { openWitness } from './crash-witness.ts';
import type { Job } from './workflow.ts';
import { packageReport } from './workflow.ts';

export interface Life {
  readonly store: string;
  readonly runId: string;
  readonly witness: string;
  readonly job: Job;
}

export type Said = { readonly found: number } | { readonly measured: number } | { readonly done: true };

const [, , how, text] = process.argv;
const life = JSON.parse(text!) as Life;
const store = fileStore(life.store);
openWitness(life.witness);

const run = how === 'start' ? packageReport.start(life.job, { store, runId: life.runId }) : await packageReport.resume(store, life.runId);
let measured = 0;
run.on((event) => {
  if (event.type === 'task.progress') say({ found: event.done });
  if (event.type === 'task.completed' && event.task === 'contents') say({ measured: ++measured });
});
await run.result;
say({ done: true });

function say(line: Said): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
