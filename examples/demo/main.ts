/**
 * A report over the packages that are installed under node_modules.
 *
 *   npm run demo                                  the packages of this checkout
 *   npm run demo -- --root ../other --out report  another project, another folder for the report
 *   npm run demo -- --allow MIT,ISC,Apache-2.0    another list of allowed licences
 *   npm run demo -- --crash                       kills itself in the middle, goes on, and shows that nothing was done twice
 */
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isTaskchartError } from 'taskchart';
import { crash } from './crash.ts';
import { usuallyAllowed } from './licences.ts';
import { Progress } from './progress.ts';
import { count, grouped, plain, size } from './report.ts';
import type { Job } from './workflow.ts';
import { packageReport } from './workflow.ts';

// A reader that has seen enough (`| head`) does not stop the report.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
const flags = readFlags();
if (typeof flags === 'string') {
  process.stderr.write(`${flags}\n`);
  process.exitCode = 2;
} else if (flags.crash) {
  process.exitCode = await crash(flags.job, (line) => process.stdout.write(`${line}\n`)).catch(tell);
} else {
  process.exitCode = await main(flags.job);
}

async function main(job: Job): Promise<number> {
  const startedAt = performance.now();
  const progress = new Progress(process.stdout);
  const run = packageReport.start(job);
  run.on(progress.see);
  process.once('SIGINT', () => run.cancel('interrupted'));
  try {
    const result = await run.result;
    progress.end();
    process.stdout.write(summary(result, progress, (performance.now() - startedAt) / 1000));
    return 0;
  } catch (error) {
    progress.end();
    return tell(error);
  }
}

function tell(error: unknown): number {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  if (isTaskchartError(error) && error.hint) process.stderr.write(`${error.hint}\n`);
  return 1;
}

type Result = Awaited<ReturnType<typeof packageReport.run>>;

function summary({ sizes, licences, duplicates, unreadable, links, written }: Result, progress: Progress, seconds: number): string {
  const open = licences?.open.map((one) => `${one.package} (${one.licence ?? one.verdict})`) ?? [];
  const rows: [string, string][] = [
    ['packages', `${grouped(sizes.packages)} with ${count(sizes.files, 'file')}, ${size(sizes.bytes)}, every file hashed`],
    ['largest', sizes.largest.slice(0, 3).map((one) => `${one.package} (${size(one.bytes)})`).join(', ')],
    ['duplicates', duplicates.several.length === 0 ? 'none' : `${count(duplicates.several.length, 'name')} in several versions, ${size(duplicates.extraBytes)} more than needed`],
    ['licences', licences === undefined ? 'the check failed' : `${grouped(licences.counts.allowed)} allowed, ${open.length} to look at${open.length === 0 ? '' : `: ${some(open)}`}`],
  ];
  if (duplicates.differing.length > 0) rows.push(['differing', `same version, other content: ${some(duplicates.differing)}`]);
  if (unreadable.length > 0) rows.push(['unreadable', some(unreadable)]);
  if (links.length > 0) rows.push(['links', `${count(links.length, 'link')} not followed`]);
  if (progress.retries > 0) rows.push(['retries', grouped(progress.retries)]);
  rows.push(['time', `${seconds.toFixed(1)} s`]);
  rows.push(['report', written.markdown], ['', written.json]);
  return `\n${rows.map(([name, text]) => `  ${name.padEnd(12)}${plain(text)}`).join('\n')}\n`;
}

function some(names: readonly string[]): string {
  return names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
}

/** The job and how to run it, or what is wrong with the command line. */
function readFlags(): { job: Job; crash: boolean } | string {
  try {
    const options = { root: { type: 'string' }, out: { type: 'string' }, allow: { type: 'string' }, crash: { type: 'boolean' } } as const;
    const { values } = parseArgs({ options });
    const allowed = values.allow?.split(',').map((id) => id.trim()).filter((id) => id !== '') ?? usuallyAllowed;
    const job = { root: resolve(values.root ?? '.'), out: resolve(values.out ?? join(tmpdir(), 'package-report')), allowed: [...allowed] };
    return { job, crash: values.crash === true };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
