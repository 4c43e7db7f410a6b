/**
 * The file work of the demo: what is installed under `node_modules`, and what is in it.
 *
 * Owns: finding packages, reading a manifest, hashing and sizing a package's files. Knows nothing of taskchart.
 * Does not own: judging licences (licences.ts), comparing packages (findings.ts), tries again (workflow.ts).
 *
 * Invariants
 * 1. A package is a real folder directly in a `node_modules` (or in a scope there) of the root or of another package.
 *    A `node_modules` deeper inside a package is that package's own content, test fixtures for example.
 * 2. Links are listed and never followed: nothing is counted twice and no loop is possible.
 * 3. A package's files are the regular files below it, without the packages nested in it.
 * 4. The hash of a package is the sha-256 of what `sha256sum` prints for its files in byte order, so anyone can check it:
 *    `find . -path ./node_modules -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum`
 */
import { createHash } from 'node:crypto';
import { lstat, open, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

export interface Found {
  /** Folders, as paths from the root with forward slashes, in byte order. */
  readonly packages: string[];
  readonly links: string[];
}

export interface Manifest {
  readonly name: string;
  readonly version: string | null;
  /** As the manifest states it; null where it says nothing. */
  readonly licence: string | null;
}

export interface Contents {
  readonly files: number;
  readonly bytes: number;
  readonly sha256: string;
}

export async function findPackages(root: string): Promise<Found> {
  const found: Found = { packages: [], links: [] };
  const folders = ['node_modules'];
  if (!(await isFolder(join(root, 'node_modules')))) {
    throw new Error(`There is no folder node_modules in ${root}. Install the packages first (npm ci).`);
  }
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await list(join(root, folder))) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory() && entry.name === '.pnpm') folders.push(...(await pnpmStore(root, path)));
      else if (entry.name.startsWith('.')) continue;
      else if (entry.isSymbolicLink()) found.links.push(path);
      else if (!entry.isDirectory()) continue;
      else if (entry.name.startsWith('@') && basename(folder) === 'node_modules') folders.push(path);
      else {
        found.packages.push(path);
        if (await isFolder(join(root, path, 'node_modules'))) folders.push(`${path}/node_modules`);
      }
    }
  }
  return { packages: found.packages.sort(byBytes), links: found.links.sort(byBytes) };
}

export async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, 'package.json'), 'utf8');
  const manifest = JSON.parse(text.replace(/^\uFEFF/, '')) as Record<string, unknown> | null;
  const name = manifest?.['name'];
  if (typeof name !== 'string' || name === '') throw new Error('package.json states no name');
  const version = manifest?.['version'];
  return { name, version: typeof version === 'string' ? version : null, licence: statedLicence(manifest ?? {}) };
}

/** The name that a package without a readable manifest has by its place. */
export function nameByPlace(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

export async function readContents(folder: string, signal?: AbortSignal): Promise<Contents> {
  const paths = await filesOf(folder);
  const sums = createHash('sha256');
  const buffer = Buffer.allocUnsafe(256 * 1024);
  let bytes = 0;
  for (const path of paths) {
    signal?.throwIfAborted();
    const hash = createHash('sha256');
    bytes += await readInto(hash, join(folder, path), buffer);
    sums.update(`${hash.digest('hex')}  ${path}\n`);
  }
  return { files: paths.length, bytes, sha256: sums.digest('hex') };
}

/** Errors that pass: too many open files, a file that another program holds for a moment. */
export function isTransient(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && ['EMFILE', 'ENFILE', 'EBUSY', 'EAGAIN', 'EINTR'].includes(code);
}

/** Order by bytes as `LC_ALL=C sort` has it; `<` on strings differs beyond the basic plane. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Invariants 2 and 3. */
async function filesOf(folder: string): Promise<string[]> {
  const files: string[] = [];
  const folders = [''];
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    for (const entry of await list(join(folder, at))) {
      const path = at === '' ? entry.name : `${at}/${entry.name}`;
      if (entry.isFile()) files.push(path);
      else if (entry.isDirectory() && path !== 'node_modules') folders.push(path);
    }
  }
  return files.sort(byBytes);
}

/** One buffer per package: memory stays the same whatever the size of a file. */
async function readInto(hash: ReturnType<typeof createHash>, path: string, buffer: Buffer): Promise<number> {
  const file = await open(path);
  try {
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return bytes;
      hash.update(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** Today's `license`, and the two old spellings that are still on npm: an object, and a list of objects. */
function statedLicence(manifest: Record<string, unknown>): string | null {
  const stated = manifest['license'] ?? manifest['licenses'];
  const all = (Array.isArray(stated) ? stated : [stated]).map(licenceType).filter((type) => type !== '');
  return all.length === 0 ? null : all.length === 1 ? all[0]! : `(${all.join(' OR ')})`;
}

function licenceType(stated: unknown): string {
  if (typeof stated === 'string') return stated.trim();
  const type = (stated as { type?: unknown } | null | undefined)?.type;
  return typeof type === 'string' ? type.trim() : '';
}

/** pnpm keeps the real folders in a store of its own and links to them. */
async function pnpmStore(root: string, store: string): Promise<string[]> {
  const entries = await list(join(root, store));
  return entries.filter((e) => e.isDirectory() && e.name !== 'node_modules').map((e) => `${store}/${e.name}/node_modules`);
}

async function list(folder: string) {
  return readdir(folder, { withFileTypes: true });
}

/** Only "there is none" is an answer; any other error must not hide packages. */
async function isFolder(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
