/**
 * `npm run demo -- --crash`: the report's process is killed in the middle of the fan-out, and another one goes on.
 *
 * Owns: starting, killing and resuming the run in child processes, and the audit. Does not own: the lives (crash-child.ts),
 * the lines of the witness (crash-witness.ts), the report (workflow.ts).
 *
 * Invariants
 * 1. The kill is SIGKILL, sent when half of the packages are measured by the child's own lines; no time is waited for.
 * 2. What the store holds as finished is read from its JSON text, without the library's help.
 * 3. The audit compares that with the witness file, which the tasks write to by themselves.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { fileStore } from 'taskchart/stores';
import type { Life, Said } from './crash-child.ts';
import { audit, type Audit } from './crash-audit.ts';
import { readWitness } from './crash-witness.ts';
import { count, grouped, plain } from './report.ts';
import type { Job } from './workflow.ts';
import { packageReport } from './workflow.ts';

/** With fewer packages the run may be over before the kill arrives. */
const fewest = 24;

type Write = (line: string) => void;

/** Says what happens; resolves with the exit code: 0 where everything that was promised held. */
export async function crash(job: Job, write: Write): Promise<number> {
  mkdirSync(job.out, { recursive: true });
  const folder = mkdtempSync(join(job.out, 'crash-'));
  const life: Life = { store: join(folder, 'store'), runId: 'report', witness: join(folder, 'witness.jsonl'), job: { ...job, out: join(folder, 'report') } };
  write(`The run "${life.runId}" is stored in ${life.store}`);

  const first = await live('start', life, write, (said, total) => 'measured' in said && said.measured >= total / 2);
  if (!first.killed) {
    write(`It was over before it could be killed: ${count(first.total, 'package')}, and at least ${fewest} are needed. --root takes another project.`);
    return 1;
  }
  const stored = await fileStore(life.store).load(life.runId);
  if (stored === undefined) throw new Error('the killed run left nothing in its store');
  const text = [stored.checkpoint, ...stored.journal];
  write(`  killed by SIGKILL after ${grouped(first.measured)} of ${grouped(first.total)} packages; it left a checkpoint and ${count(stored.journal.length, 'line')} of journal`);

  const second = await live('resume', life, write, () => false);
  write(`  the other ${grouped(second.measured)} packages were measured here`);
  const found = audit(text, readWitness(life.witness), first.pid);
  for (const line of lines(found)) write(line);

  const whole = { ...job, out: join(folder, 'uninterrupted') };
  await packageReport.run(whole);
  const differing = ['report.json', 'report.md'].filter((name) => readFileSync(join(life.job.out, name), 'utf8') !== readFileSync(join(whole.out, name), 'utf8'));
  write(differing.length === 0 ? 'The report equals that of an uninterrupted run, byte for byte.' : `The report differs from that of an uninterrupted run: ${differing.join(', ')}`);
  write(`  ${join(life.job.out, 'report.md')}`);
  return differing.length === 0 && found.problems.length === 0 ? 0 : 1;
}

interface Lived {
  readonly pid: number;
  readonly killed: boolean;
  readonly total: number;
  readonly measured: number;
}

/** Runs one life, and kills it as soon as a line of its own asks for that. */
function live(how: 'start' | 'resume', life: Life, write: Write, deadly: (said: Said, total: number) => boolean): Promise<Lived> {
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(new URL('crash-child.ts', import.meta.url)), how, JSON.stringify(life)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = child.pid ?? 0;
  let [killed, total, measured] = [false, 0, 0];
  write(`Process ${pid} ${how === 'start' ? 'starts' : 'resumes'} it`);
  createInterface(child.stdout).on('line', (line) => {
    const said = JSON.parse(line) as Said;
    if ('found' in said) total = said.found;
    if ('measured' in said) measured = said.measured;
    if (!killed && total >= fewest && deadly(said, total)) killed = child.kill('SIGKILL');
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve({ pid, killed: signal === 'SIGKILL', total, measured });
      else reject(new Error(`process ${pid} ended with ${signal ?? `code ${code}`}`));
    });
  });
}

function lines({ acknowledged, repeated, interrupted, unrecorded, total, problems }: Audit): string[] {
  return [
    'The witness, a file to which every package task appends by itself:',
    `  ${grouped(acknowledged).padStart(5)}  tasks were finished in the store before the kill`,
    `  ${grouped(repeated).padStart(5)}  of them were done twice`,
    `  ${grouped(interrupted).padStart(5)}  were cut off in the middle: they ran again, with the same idempotency key`,
    `  ${grouped(unrecorded).padStart(5)}  had ended, but their results were not on disk yet: they ran again, with the same key`,
    `  ${grouped(total).padStart(5)}  tasks in all, each of them done`,
    ...problems.map((problem) => `  wrong: ${plain(problem)}`),
  ];
}
