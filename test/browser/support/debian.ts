/**
 * Debian's packages in a folder of our own: downloaded by apt-get, unpacked by dpkg, without root and without installing.
 *
 * Owns: which packages this machine lacks, the download, the unpacking, and that two processes do not do it twice. Does
 * not own: what is made of the files.
 *
 * Invariants
 * 1. The folder appears whole or not at all: it is filled under another name, tried, and renamed.
 * 2. The machine's own package lists are used as they are; where they are missing or stale, lists of our own are fetched.
 */
import { execFile } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const environment = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };

/**
 * Unpacks packages, and what they need and the machine lacks, into `folder`. Nothing happens where it is there already.
 * `check` tries what was unpacked; the folder is taken only if it does not throw.
 */
export async function unpackDebian(names: readonly string[], folder: string, check: (root: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return;
  mkdirSync(dirname(folder), { recursive: true });
  const release = await lock(`${folder}.lock`);
  try {
    if (existsSync(folder)) return;
    const parts = `${folder}.parts`;
    rmSync(parts, { recursive: true, force: true });
    const [archives, root] = [join(parts, 'archives'), join(parts, 'root')];
    mkdirSync(archives, { recursive: true });
    mkdirSync(root);
    await download(names, archives, join(parts, 'apt'));
    for (const archive of readdirSync(archives)) await run('dpkg', ['-x', join(archives, archive), root]);
    await check(root);
    renameSync(root, folder);
    rmSync(parts, { recursive: true, force: true });
  } finally {
    release();
  }
}

/** Every folder below `root` that holds shared libraries, for LD_LIBRARY_PATH. */
export function libraryFolders(root: string): string[] {
  const libraries = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => /\.so(\.|$)/.test(entry.name));
  return [...new Set(libraries.map((entry) => entry.parentPath))];
}

async function download(names: readonly string[], archives: string, apt: string): Promise<void> {
  const get = async (options: readonly string[]): Promise<void> => {
    const { stdout } = await run('apt-get', [...options, '--simulate', '--no-install-recommends', 'install', ...names], { env: environment });
    const missing = [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, one]) => one ?? '');
    await run('apt-get', [...options, '-o', 'APT::Sandbox::User=root', 'download', ...missing], { env: environment, cwd: archives, maxBuffer: 1 << 24 });
  };
  try {
    await get([]);
  } catch {
    const options = await ownLists(apt);
    await get(options);
  }
}

async function ownLists(apt: string): Promise<string[]> {
  mkdirSync(join(apt, 'lists/partial'), { recursive: true });
  mkdirSync(join(apt, 'cache/archives/partial'), { recursive: true });
  const options = ['-o', `Dir::State::lists=${join(apt, 'lists')}`, '-o', `Dir::Cache=${join(apt, 'cache')}`];
  await run('apt-get', [...options, '-o', 'APT::Sandbox::User=root', 'update'], { env: environment, maxBuffer: 1 << 24 });
  return options;
}

/** Waits until no other live process holds the file. */
async function lock(file: string): Promise<() => void> {
  for (;;) {
    try {
      const handle = openSync(file, 'wx');
      writeSync(handle, String(process.pid));
      closeSync(handle);
      return () => rmSync(file, { force: true });
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
      if (!isHeld(file)) rmSync(file, { force: true });
      await pause(100);
    }
  }
}

function isHeld(file: string): boolean {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    // Empty: its owner is between making it and writing to it.
    return pid === 0 || process.kill(pid, 0);
  } catch {
    return false;
  }
}
