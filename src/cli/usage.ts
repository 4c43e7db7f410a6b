/** Exit codes, and errors in how the command was used: one line each, never a stack. */
import { CommanderError } from 'commander';
import { cut } from '../core/preview.ts';
import { oneLine } from './text.ts';

/** Documented in `taskchart --help`. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, cancelled: 3, waiting: 4, signal: 128 } as const;

export const exitCodesHelp = `
Exit codes:
  0    the run completed
  1    the run failed
  2    wrong usage: a flag, the file or the input; one line on stderr says what
  3    the run was cancelled by one of its tasks
  4    the run has not ended, and nothing in this process can continue it: it waits
       for a signal, or for a task that never settles; stderr says for what
  130  cancelled by SIGINT (143: SIGTERM, 129: SIGHUP); a second signal kills`;

/** Something that the user of the command can mend: exit code 2. */
export class UsageError extends Error {
  static {
    Object.defineProperty(this.prototype, 'name', { value: 'UsageError' });
  }
}

/** The line for a usage error, or undefined for anything else. */
export function usageLine(thrown: unknown): string | undefined {
  if (thrown instanceof UsageError) return `taskchart: ${oneLine(cut(thrown.message, 1000))}`;
  if (!(thrown instanceof CommanderError)) return undefined;
  const message = thrown.message.replace(/^error: /, '').replace(/'([^']{100,})'/g, (_all, data: string) => `'${cut(data, 100)}'`);
  return `taskchart: ${oneLine(cut(message, 400))}${message.includes('(Did you mean') ? '' : '; see taskchart --help'}`;
}
