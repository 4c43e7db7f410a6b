/**
 * The file system of Node.
 *
 * Small writes are made at once: they go to the system's memory, and a turn through the thread pool costs more than
 * they do. What waits for the disk (syncs, big writes) never blocks the event loop.
 */
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import type { FileFacts, FileKind, FileSystem, FolderEntry, OpenFile } from './file-system.ts';

const SMALL_WRITE = 64 * 1024;

/** Absent on Windows, where the store's look at each entry's kind must do. */
const noFollow = fs.constants.O_NOFOLLOW ?? 0;

export function nodeFileSystem(sync: boolean): FileSystem {
  return {
    facts,
    names: (folder) => fs.readdirSync(folder),
    list,
    read,
    create: (path) => create(path, sync),
    rename: (from, to) => fs.promises.rename(from, to),
    link: (from, to) => fs.promises.link(from, to),
    unlink: (path) => fs.promises.unlink(path),
    makeFolders,
    makeFolder: (path) => fs.promises.mkdir(path),
    removeTree: (path) => fs.promises.rm(path, { recursive: true, force: true }),
    syncFolder: sync ? syncFolder : async () => undefined,
  };
}

function facts(path: string): FileFacts | undefined {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  return found && { kind: kindOf(found), bytes: found.size, modifiedAt: found.mtimeMs };
}

async function list(folder: string): Promise<readonly FolderEntry[]> {
  const entries = await fs.promises.readdir(folder, { withFileTypes: true });
  return entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }));
}

function kindOf(entry: Pick<fs.Dirent, 'isFile' | 'isDirectory' | 'isSymbolicLink'>): FileKind {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  return entry.isSymbolicLink() ? 'link' : 'other';
}

async function read(path: string, limit?: number): Promise<Uint8Array> {
  const file = await fs.promises.open(path, fs.constants.O_RDONLY | noFollow);
  try {
    if (limit === undefined) return await file.readFile();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(limit), 0, limit, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Node's own way to do this never ends where the system has no such folder to offer, as below /proc. */
async function makeFolders(path: string): Promise<string | undefined> {
  try {
    await fs.promises.mkdir(path);
    return path;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'EEXIST' && fs.statSync(path).isDirectory()) return undefined;
    const above = dirname(path);
    if (code !== 'ENOENT' || above === path) throw code === 'EEXIST' ? Object.assign(new Error(`ENOTDIR: ${path}`), { code: 'ENOTDIR', path }) : thrown;
    const first = await makeFolders(above);
    await fs.promises.mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    return first ?? path;
  }
}

/** A bare descriptor: a handle that nobody closed would be closed, with a warning, when it is collected. */
function create(path: string, sync: boolean): Promise<OpenFile> {
  return new Promise((resolve, reject) => {
    fs.open(path, 'wx', (error, fd) => {
      if (error !== null) return reject(error);
      resolve({
        async write(bytes) {
          for (let at = 0; at < bytes.length; ) at += bytes.length - at <= SMALL_WRITE ? fs.writeSync(fd, bytes, at) : await bigWrite(fd, bytes, at);
        },
        sync: sync ? () => called((done) => fs.fdatasync(fd, done)) : async () => undefined,
        close: () => called((done) => fs.close(fd, done)),
      });
    });
  });
}

function bigWrite(fd: number, bytes: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) => fs.write(fd, bytes, at, bytes.length - at, null, (error, written) => (error === null ? resolve(written) : reject(error))));
}

function called(call: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => (error === null || error === undefined ? resolve() : reject(error))));
}

async function syncFolder(path: string): Promise<void> {
  // Windows has no such call; names are durable there when the files are.
  if (process.platform === 'win32') return;
  const folder = await fs.promises.open(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    await folder.sync();
  } catch (error) {
    // Some network file systems know no sync of a folder.
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
  } finally {
    await folder.close();
  }
}
