/**
 * Runs in a folder: a folder for each, readable with any tool.
 *
 * Owns: the port's words. Does not own: everything below them (open.ts, writer.ts, chain.ts, posts.ts).
 */
import { randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import { badOption, booleanOption, optionsObject } from '../../core/options.ts';
import type { CheckpointStore, RevisionNote, RunNote, RunOwner, RunWriter, StoredRun } from '../../ports.ts';
import { loadNewest, loadRevision, soundSnapshots } from './chain.ts';
import { isMissing, translated } from './failures.ts';
import type { FileSystem, FolderEntry } from './file-system.ts';
import { noteOf } from './list.ts';
import { isRunId, REMOVED } from './names.ts';
import { nodeFileSystem } from './node-file-system.ts';
import { openRun } from './open.ts';
import { type Post, readPosts, writePost } from './posts.ts';
import { isThere, runFolder, type RunFolder, type StoreFolder } from './run-folder.ts';

export interface FileStoreOptions {
  /** Whether a write is on the disk before it is acknowledged. Without it a power cut, but no crash, can lose some. Default true. */
  readonly sync?: boolean | undefined;
}

/** A store in a folder, which is made when it is needed. Many processes may use it, each run by one at a time. */
export function fileStore(folder: string, options: FileStoreOptions = {}): CheckpointStore {
  if (typeof folder !== 'string' || folder === '' || folder.includes('\0')) throw badOption('fileStore folder', folder, 'the path of a folder');
  const { sync } = optionsObject('fileStore', options, ['sync']);
  return fileStoreOn(nodeFileSystem(sync === undefined || booleanOption('fileStore.sync', sync)), resolve(folder));
}

/** The store on a file system of any kind. */
export function fileStoreOn(fs: FileSystem, path: string): CheckpointStore {
  return new FileStore(fs, path);
}

class FileStore implements CheckpointStore {
  readonly #fs: FileSystem;
  readonly #path: string;
  readonly #store: StoreFolder;

  constructor(fs: FileSystem, path: string) {
    this.#fs = fs;
    this.#path = path;
    this.#store = { fs, path, unsynced: undefined };
  }

  async open(runId: string, owner: RunOwner): Promise<RunWriter> {
    return openRun(this.#folder(runId), owner);
  }

  async load(runId: string, revision?: number): Promise<StoredRun | undefined> {
    const folder = this.#folder(runId);
    return revision === undefined ? (await loadNewest(folder))?.stored : loadRevision(folder, revision);
  }

  async list(): Promise<readonly RunNote[]> {
    const runs = (await this.#entries()).filter(({ name, kind }) => kind === 'folder' && isRunId(name));
    const notes: RunNote[] = [];
    for (let at = 0; at < runs.length; at += 16) {
      const some = await Promise.all(runs.slice(at, at + 16).map(({ name }) => noteOf(this.#folder(name))));
      for (const note of some) if (note !== undefined) notes.push(note);
    }
    return notes;
  }

  async revisions(runId: string): Promise<readonly RevisionNote[]> {
    const snapshots = await soundSnapshots(this.#folder(runId));
    return snapshots.map(({ key, savedAt, bytes }) => ({ revision: key.revision, savedAt, bytes }));
  }

  /** Moves the folder out of sight first, so that no half of a run is ever seen. */
  async remove(runId: string): Promise<void> {
    const { path } = this.#folder(runId);
    const removed = join(this.#path, REMOVED);
    try {
      if (isThere(this.#fs, path)) {
        await this.#fs.makeFolders(removed);
        await this.#fs.rename(path, join(removed, randomUUID()));
        await this.#fs.syncFolder(this.#path);
      }
      if (isThere(this.#fs, removed)) await this.#fs.removeTree(removed);
    } catch (thrown) {
      if (!isMissing(thrown)) throw translated(thrown, `Could not remove run "${runId}"`, path);
    }
  }

  async post(runId: string, text: string): Promise<number> {
    return writePost(this.#folder(runId), text);
  }

  async posts(runId: string, after: number): Promise<readonly Post[]> {
    return readPosts(this.#folder(runId), after);
  }

  #folder(runId: string): RunFolder {
    return runFolder(this.#store, runId);
  }

  async #entries(): Promise<readonly FolderEntry[]> {
    try {
      return await this.#fs.list(this.#path);
    } catch (thrown) {
      if (isMissing(thrown)) return [];
      throw translated(thrown, 'Could not list the runs', this.#path);
    }
  }
}
