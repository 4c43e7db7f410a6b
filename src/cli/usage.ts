/** Exit codes, and errors in how the command was used: one line each, never a stack. */
import { CommanderError } from 'commander';
import { cut } from '../core/preview.ts';
import { oneLine } from './text.ts';

/** Documented in `taskchart --help`. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, cancelled: 3, waiting: 4, signal: 128 } as const;

export const exitCodesHelp = `
Exit codes:
  0    the run completed, or what was asked is done
  1    the run failed, or what was asked cannot be done
  2    wrong usage: a flag, the file or the input; one line on stderr says what
  3    the run was cancelled by one of its tasks, or by taskchart cancel
  4    the run has not ended, and nothing in this process can continue it: it waits
       for a signal, for a time more than a minute ahead, or a task of it never settles;
       stderr says what it waits for, and which command answers
  130  interrupted by SIGINT (143: SIGTERM, 129: SIGHUP); a second signal kills.
       A run without a store is cancelled; one with a store can be resumed`;

export const storeHelp = `
Stores:
  --store <folder>         files in that folder
  --store sqlite:<path>    one SQLite file (needs the package node-sqlite3-wasm)
  --store redis://<host>   a Redis: redis://user:password@host:6379/0, rediss:// for TLS.
                           TASKCHART_NAMESPACE, TASKCHART_PREFIX, TASKCHART_REDIS_USERNAME
                           and TASKCHART_REDIS_PASSWORD say what the URL does not
  Default: the variable TASKCHART_STORE, else the folder .taskchart. "run" is durable
  only where --store or TASKCHART_STORE is given.`;

/** Something that the user of the command can mend: exit code 2. */
export class UsageError extends Error {
  static {
    Object.defineProperty(this.prototype, 'name', { value: 'UsageError' });
  }
}

/** What was asked cannot be done as things are: exit code 1. */
export class RefusedError extends Error {
  static {
    Object.defineProperty(this.prototype, 'name', { value: 'RefusedError' });
  }
}

/** Something of ours that does not begin: what its cause says is told, with exit code 1. */
export class StartError extends Error {
  constructor(cause: unknown) {
    super('this cannot be started', { cause });
  }
}

/** The line for a usage error, or undefined for anything else. */
export function usageLine(thrown: unknown): string | undefined {
  if (thrown instanceof UsageError) return `taskchart: ${oneLine(cut(thrown.message, 1000))}`;
  if (!(thrown instanceof CommanderError)) return undefined;
  // What stands behind the name of an unknown flag, or in a URL, may be a password.
  const unsaid = thrown.message.replace(/^error: /, '').replace(/'(--?[\w-]+)=[^']*'/g, "'$1=…'").replace(/:\/\/[^\s']*@/g, '://***@');
  const message = unsaid.replace(/'([^']{100,})'/g, (_all, data: string) => `'${cut(data, 100)}'`);
  return `taskchart: ${oneLine(cut(message, 400))}${message.includes('(Did you mean') ? '' : '; see taskchart --help'}`;
}
