/**
 * Messages for whoever owns a run: a file for each, in a folder of the run.
 *
 * Invariants
 * 1. A message has its number, and all its bytes, or it is not there: it is written under another name and linked to the
 *    first number that is free. Of two that want one number, one takes the next.
 * 2. Numbers have no holes, so a reader asks for the next one alone, however many there are.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { errnoOf, isMissing, translated } from './failures.ts';
import { checkRun, seal, unseal } from './format.ts';
import { postName, POSTS, temporaryName } from './names.ts';
import { makeFolder, makeRunFolder } from './open.ts';
import { isThere, pathIn, readFile, type RunFolder } from './run-folder.ts';

export interface Post {
  readonly number: number;
  readonly text: string;
}

export async function writePost(folder: RunFolder, text: string): Promise<number> {
  const path = pathIn(folder, POSTS);
  const { fs, runId } = folder;
  try {
    if (!isThere(fs, folder.path) || !isThere(fs, path)) {
      await makeRunFolder(folder);
      await makeFolder(fs, path);
    }
    await fs.syncFolder(folder.path);
    const temporary = join(path, temporaryName(randomUUID()));
    await writeWhole(folder, temporary, text);
    const number = await linkNext(folder, path, temporary);
    await fs.unlink(temporary).catch(() => undefined);
    await fs.syncFolder(path);
    return number;
  } catch (thrown) {
    throw translated(thrown, `Could not leave a message for run "${runId}"`, path);
  }
}

async function writeWhole({ fs, runId }: RunFolder, path: string, text: string): Promise<void> {
  const file = await fs.create(path);
  try {
    await file.write(seal('post', { run: runId, at: Date.now() }, text).bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function linkNext({ fs }: RunFolder, folder: string, temporary: string): Promise<number> {
  for (let number = firstFree((taken) => fs.facts(join(folder, postName(taken))) !== undefined); ; number++) {
    try {
      await fs.link(temporary, join(folder, postName(number)));
      return number;
    } catch (thrown) {
      if (errnoOf(thrown) !== 'EEXIST') throw thrown;
    }
  }
}

/** The first number from 1 on that is not taken, by doubling and halving. */
function firstFree(isTaken: (number: number) => boolean): number {
  let free = 1;
  while (isTaken(free)) free *= 2;
  for (let taken = Math.floor(free / 2); free - taken > 1; ) {
    const middle = taken + Math.floor((free - taken) / 2);
    if (isTaken(middle)) taken = middle;
    else free = middle;
  }
  return free;
}

/** The messages after a number, oldest first, as far as they go without a hole. */
export async function readPosts(folder: RunFolder, after: number): Promise<readonly Post[]> {
  if (!hasPosts(folder)) return [];
  const posts: Post[] = [];
  for (let number = after + 1; ; number++) {
    const name = join(POSTS, postName(number));
    try {
      const bytes = await readFile(folder, name);
      const { fields, end } = unseal('post', bytes, pathIn(folder, name));
      checkRun(fields, folder.runId, pathIn(folder, name));
      posts.push({ number, text: bytes.toString('utf8', end) });
    } catch (thrown) {
      if (isMissing(thrown)) return posts;
      throw thrown;
    }
  }
}

function hasPosts(folder: RunFolder): boolean {
  const path = pathIn(folder, POSTS);
  try {
    return isThere(folder.fs, folder.path) && isThere(folder.fs, path);
  } catch (thrown) {
    throw translated(thrown, `Could not read the messages for run "${folder.runId}"`, path);
  }
}
