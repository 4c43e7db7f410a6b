/**
 * The few calls that the file store makes, so that tests can stand in for the disk and break it.
 *
 * A call that fails throws or rejects with an error whose `code` is the system's (`ENOSPC`, `EACCES`, …).
 */

export type FileKind = 'file' | 'folder' | 'link' | 'other';

export interface FolderEntry {
  readonly name: string;
  readonly kind: FileKind;
}

export interface FileFacts {
  readonly kind: FileKind;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
}

export interface FileSystem {
  /** What stands at the path, links not followed; nothing where nothing stands. */
  facts(path: string): FileFacts | undefined;
  /** The names in a folder. At once: they are asked for after every write. */
  names(folder: string): readonly string[];
  list(folder: string): Promise<readonly FolderEntry[]>;
  /** The file's bytes, or the first `limit` of them. A link is refused with `ELOOP`. */
  read(path: string, limit?: number): Promise<Uint8Array>;
  /** Makes a file that is not there yet; fails with `EEXIST` where anything stands. */
  create(path: string): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  /** A second name for a file; fails with `EEXIST` where anything stands. */
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes the folder and those above it; says which was the first that was not there. */
  makeFolders(path: string): Promise<string | undefined>;
  /** Makes one folder; fails with `EEXIST` where anything stands. */
  makeFolder(path: string): Promise<void>;
  removeTree(path: string): Promise<void>;
  /** Makes the names in the folder durable. */
  syncFolder(path: string): Promise<void>;
}

/** A file that this process made and appends to. */
export interface OpenFile {
  /** Appends all bytes. When it fails, some of them may be there. */
  write(bytes: Uint8Array): Promise<void>;
  /** Makes everything written so far durable. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
