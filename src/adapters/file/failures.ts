/** The file store's errors: what the system said, and what is wrong with a file. */
import type { ErrorCode } from '../../core/errors.ts';
import { CheckpointError, isTaskchartError } from '../../core/errors.ts';

const olderHint = 'Load an earlier revision, or start a new run. The file was left as it is.';

/** A file whose content cannot be used. `what` goes on after the file's path. */
export function refusal(code: ErrorCode, path: string, what: string, hint = olderHint): CheckpointError {
  return new CheckpointError(code, `The file ${path} ${what}.`, { hint, details: { path } });
}

export function errnoOf(thrown: unknown): string | undefined {
  const code = typeof thrown === 'object' && thrown !== null ? (thrown as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

export function isMissing(thrown: unknown): boolean {
  return errnoOf(thrown) === 'ENOENT';
}

interface Meaning {
  readonly code: ErrorCode;
  readonly why: string;
  readonly hint: string;
}

const noAccess: Meaning = { code: 'checkpoint/no-access', why: 'the system refuses access', hint: 'Give this user the right to read and write there, or use another folder.' };
const noSpace: Meaning = { code: 'checkpoint/no-space', why: 'there is no space left', hint: 'Make space and resume the run; what was stored before is intact.' };
const notAFile: Meaning = { code: 'checkpoint/not-a-file', why: 'a folder stands where a file should be, or a file where a folder should be', hint: 'Move it away, or give the store another folder.' };
const tooManyFiles: Meaning = { code: 'checkpoint/storage', why: 'too many files are open', hint: 'Raise the limit of open files (ulimit -n), or run less at the same time.' };
const other: Meaning = { code: 'checkpoint/storage', why: 'the file system reported an error', hint: 'Check the disk, then resume the run; what was stored before is intact.' };

const meanings: ReadonlyMap<string, Meaning> = new Map([
  ['EACCES', noAccess],
  ['EPERM', noAccess],
  ['EROFS', { ...noAccess, why: 'the file system is read-only' }],
  ['ENOSPC', noSpace],
  ['EDQUOT', { ...noSpace, why: 'the quota is used up' }],
  ['EISDIR', notAFile],
  ['ENOTDIR', notAFile],
  ['ELOOP', { code: 'checkpoint/link', why: 'a link stands there, which might lead anywhere', hint: 'Replace the link by what it points to.' }],
  ['EMFILE', tooManyFiles],
  ['ENFILE', tooManyFiles],
  ['ENAMETOOLONG', { code: 'checkpoint/bad-run-id', why: 'the name is too long for this file system', hint: 'Use a shorter run id.' }],
]);

/** What the system refused, as an error of ours; our own errors pass. `doing` begins the message: `Could not save …`. */
export function translated(thrown: unknown, doing: string, path: string): CheckpointError {
  if (isTaskchartError(thrown)) return thrown as CheckpointError;
  const errno = errnoOf(thrown) ?? 'unknown error';
  const { code, why, hint } = meanings.get(errno) ?? other;
  return new CheckpointError(code, `${doing} in ${path}: ${why} (${errno}).`, { hint, details: { path, errno }, cause: thrown });
}

/** The error again, with the newest revision that can still be loaded. */
export function withUsable(error: CheckpointError, usable: number | undefined): CheckpointError {
  const known = usable === undefined ? 'No earlier revision can be loaded.' : `Revision ${usable} can still be loaded.`;
  const hint = usable === undefined ? error.hint : `Go on with load(runId, ${usable}) or taskchart fork --at ${usable}. The files were left as they are.`;
  return new CheckpointError(error.code, `${error.message} ${known}`, { hint, details: { ...error.details, usable: usable ?? null }, cause: error.cause ?? error });
}
