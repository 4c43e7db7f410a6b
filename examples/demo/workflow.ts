/**
 * The demo's graph.
 *
 *   find → each package (manifest → contents) → collect → licences │ duplicates │ sizes → write
 *
 * Owns: what runs when, what is tried again, what may fail. Does not own: the file work (packages.ts), the judgements
 * (findings.ts), the text of the report (report.ts).
 *
 * Invariants
 * 1. Every package that was found is in the report: counted, or named as unreadable.
 * 2. Only errors that pass are tried again.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { channelKey, each, NonRetryableError, parallel, task, workflow } from 'taskchart';
import { witnessed } from './crash-witness.ts';
import type { Duplicates, Inventory, Licences, Package, Sizes } from './findings.ts';
import { checkLicences, findDuplicates, sumSizes } from './findings.ts';
import { findPackages, isTransient, nameByPlace, readContents, readManifest } from './packages.ts';
import type { Findings } from './report.ts';
import { toJsonReport, toMarkdownReport } from './report.ts';

export interface Job {
  readonly root: string;
  readonly out: string;
  readonly allowed: string[];
}

interface Place { root: string; path: string }
interface Checks { licences?: Licences; duplicates: Duplicates; sizes: Sizes }
interface Named extends Place { name: string; version: string | null; licence: string | null; problem: string | null }

/** Several hundred folders are read side by side: the system may refuse a file for a moment. */
const files = { retry: { attempts: 8, backoff: 'exponential', delay: 50, maxDelay: 1000, jitter: 0.5 } } as const;

/** What later steps need besides their input. */
const jobKey = channelKey<Job>('job');
const foundKey = channelKey<{ packages: string[]; links: string[] }>('found');
const inventoryKey = channelKey<Inventory>('inventory');

const find = task('find', async (job: Job, ctx): Promise<Place[]> => {
  const found = await lastingFailsAtOnce(findPackages(job.root));
  ctx.progress(found.packages.length);
  ctx.channel.set(jobKey, job);
  ctx.channel.set(foundKey, found);
  return found.packages.map((path) => ({ root: job.root, path }));
}, files);

const manifest = task('manifest', async ({ root, path }: Place, ctx): Promise<Named> => {
  const stated = await witnessed(ctx, path, () => lastingFailsAtOnce(readManifest(join(root, path))));
  return { root, path, ...stated, problem: null };
}, files);

const contents = task('contents', async ({ root, ...named }: Named, ctx): Promise<Package> => {
  const read = await witnessed(ctx, named.path, () => lastingFailsAtOnce(readContents(join(root, named.path), ctx.signal)));
  return { ...named, ...read };
}, { ...files, timeout: 120_000 });

/** A broken manifest is a finding, not a failure: the package still counts, under the name of its folder. */
const scan = manifest
  .recover('unnamed', ({ message, input }) => ({ ...input, name: nameByPlace(input.path), version: null, licence: null, problem: message }))
  .to(contents);

/** bestEffort leaves null in the place of a package that could not be read at all. */
const collect = task('collect', (scanned: (Package | null)[], ctx): Inventory => {
  const packages = scanned.filter((one) => one !== null);
  for (const one of packages) if (one.problem !== null) ctx.log.warn(`${one.path}: ${one.problem}`);
  const inventory = { allowed: ctx.channel.get(jobKey)?.allowed ?? [], packages };
  ctx.channel.set(inventoryKey, inventory);
  return inventory;
});

const licences = task('licences', checkLicences);
const duplicates = task('duplicates', findDuplicates);
const sizes = task('sizes', (inventory: Inventory) => sumSizes(inventory));

const write = task('write', async (checks: Checks, ctx) => {
  const job = ctx.channel.get(jobKey)!;
  const found = ctx.channel.get(foundKey)!;
  const inventory = ctx.channel.get(inventoryKey)!;
  const read = new Set(inventory.packages.map((one) => one.path));
  const findings: Findings = { ...checks, inventory, unreadable: found.packages.filter((path) => !read.has(path)), links: found.links };
  const written = { markdown: join(job.out, 'report.md'), json: join(job.out, 'report.json') };
  await lastingFailsAtOnce(mkdir(job.out, { recursive: true }));
  await lastingFailsAtOnce(writeFile(written.markdown, toMarkdownReport(findings)));
  await lastingFailsAtOnce(writeFile(written.json, toJsonReport(findings)));
  return { ...checks, written, unreadable: findings.unreadable, links: findings.links };
}, files);

/** The licence check may fail without taking the report with it; the other two may not. */
export const packageReport = workflow('package-report', find
  .to(each(scan).withExecution({ backend: 'local', concurrency: 8 }).withPolicy('bestEffort'))
  .to(collect)
  .to(parallel(licences, duplicates, sizes).withPolicy({ critical: ['duplicates', 'sizes'] }))
  .to(write));

/** A transient error is worth another attempt; a missing folder or a broken manifest stays what it is. */
async function lastingFailsAtOnce<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (isTransient(error)) throw error;
    throw new NonRetryableError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
