/** What can be wrong with a database file, in words. */
import { CheckpointError, isTaskchartError, type ErrorCode } from '../../core/errors.ts';
import { cut } from '../../core/preview.ts';
import { DEAD_AFTER_MS, type Held } from './lease.ts';

/** Any thrown value as a short reason. */
export function reasonOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return cut(text.split('\n', 1)[0] ?? '', 160);
}

export function foreign(path: string, reason: string, hint = 'Check the path. A store creates its own file.'): CheckpointError {
  return new CheckpointError('checkpoint/foreign', `"${path}" is not a store of runs: ${reason}.`, { hint, details: { path } });
}

export function noFile(path: string, kind: string): CheckpointError {
  return new CheckpointError('checkpoint/not-a-file', `"${path}" is not a store of runs: it is ${kind}.`, { hint: 'Give the store the path of a file.', details: { path } });
}

export function damaged(path: string, reason: string, hint = 'Go back to a copy of the file. It was not changed.'): CheckpointError {
  return new CheckpointError('checkpoint/damaged', `The store "${path}" is damaged: ${reason}.`, { hint, details: { path } });
}

export function newer(path: string, found: number, known: number): CheckpointError {
  return new CheckpointError('checkpoint/version', `The store "${path}" has version ${found}; this package reads version ${known}.`, {
    hint: 'Update the package to the version that wrote it, or a later one.',
    details: { path },
  });
}

export function held(path: string, { holder, silentMs }: Held, waitedMs: number): CheckpointError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  const silence = silentMs > 2000 ? ` Its last sign of life was ${Math.round(silentMs / 1000)} s ago.` : '';
  return new CheckpointError('checkpoint/locked', `The store "${path}" is held by ${who}, which did not give it up within ${waitedMs / 1000} s.${silence}`, {
    hint: `One process at a time has the file open, and passes it on when another asks; a process whose event loop is blocked cannot. One on another host counts as dead after ${DEAD_AFTER_MS / 1000} s of silence. For many processes at once use fileStore.`,
    details: { path, ...(holder === undefined ? {} : { host: holder.host, pid: holder.pid }) },
  });
}

export function taken(path: string): CheckpointError {
  return new CheckpointError('checkpoint/locked', `Another process has taken the store "${path}" over, because this one gave no sign of life.`, {
    hint: 'Nothing was written. Resume the runs of this process from the store.',
    details: { path },
  });
}

interface Meaning {
  readonly words: RegExp;
  readonly code: ErrorCode;
  readonly hint: string;
}

/** What the engine says when the file layer below it was refused, and what Node says. */
const meanings: readonly Meaning[] = [
  { words: /database or disk is full|ENOSPC|EDQUOT/, code: 'checkpoint/no-space', hint: 'Make space and resume the run; what was stored before is intact.' },
  { words: /readonly|EACCES|EPERM|EROFS/, code: 'checkpoint/no-access', hint: 'Give this user the right to write to the file and to its folder: reading too needs a lease beside the file.' },
  { words: /ENOTDIR|EISDIR|EEXIST/, code: 'checkpoint/not-a-file', hint: 'A folder stands where a file should be, or a file where a folder should be. Give the store another path.' },
];

/** What the engine or the file system threw, with the path. Our own errors pass unchanged. */
export function failure(path: string, thrown: unknown): Error {
  if (isTaskchartError(thrown)) return thrown;
  const reason = reasonOf(thrown);
  if (/malformed|not a database|corrupt/i.test(reason)) return damaged(path, `SQLite says "${reason}"`);
  const meaning = meanings.find(({ words }) => words.test(reason));
  return new CheckpointError(meaning?.code ?? 'checkpoint/storage', `The store "${path}" cannot be used: ${reason}.`, {
    hint: meaning?.hint ?? 'Check free space, the rights of the folder, and the disk; what was stored before is intact.',
    details: { path },
    cause: thrown,
  });
}
