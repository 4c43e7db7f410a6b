/** Small text files that people hand over, such as the input of a run. Read whole, as UTF-8, whatever their name. */
import { open } from 'node:fs/promises';

/** Far above what a person hands over, below what would fill the memory. */
const MOST_BYTES = 256 * 1024 * 1024;

const MISSING = 'there is no such file';

const meanings: ReadonlyMap<unknown, string> = new Map([
  ['ENOENT', MISSING],
  ['ENOTDIR', MISSING],
  ['EISDIR', 'it is a folder'],
  ['EACCES', 'the system refuses to read it'],
  ['EPERM', 'the system refuses to read it'],
]);

/** A file that cannot be read; the message goes on after the file's name. */
export class TextFileError extends Error {
  static {
    Object.defineProperty(this.prototype, 'name', { value: 'TextFileError' });
  }

  /** Nothing stands at the path. */
  get missing(): boolean {
    return this.message === MISSING;
  }
}

/** The text of a file, without a byte order mark. Rejects with TextFileError. */
export async function readTextFile(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readBytes(path);
  } catch (thrown) {
    if (thrown instanceof TextFileError) throw thrown;
    throw new TextFileError(meanings.get((thrown as { readonly code?: unknown }).code) ?? 'it cannot be read', { cause: thrown });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (thrown) {
    throw new TextFileError('it is no UTF-8 text', { cause: thrown });
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size > MOST_BYTES) throw new TextFileError(`it has more than ${MOST_BYTES / 1024 / 1024} MiB`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}
