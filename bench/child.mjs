/**
 * The fresh process of one measurement: one contender, one workload, once, without warm-up.
 * The job comes as JSON in the first argument, the outcome leaves as JSON on file descriptor 3.
 */
import { writeSync } from 'node:fs';
import { memoryAtEnd } from './lib/measure.mjs';

const job = JSON.parse(process.argv[2]);

function report(outcome) {
  writeSync(3, JSON.stringify(outcome));
}

try {
  const contender = await import(`./contenders/${job.contender}.mjs`);
  const measured = await contender[job.workload](job.params);
  report({ ok: true, ...measured, memory: memoryAtEnd() });
  process.exit(0);
} catch (error) {
  report({ ok: false, error: String(error?.message ?? error).slice(0, 300) });
  process.exit(1);
}
