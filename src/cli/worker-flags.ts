/**
 * What `taskchart worker` can be told besides its Redis: flags, and their variables.
 *
 * Owns: names, texts, limits. Does not own: what the values mean to a worker (runtime/worker/options.ts).
 *
 * Invariants
 * 1. A flag goes before its variable.
 * 2. What is wrong is a UsageError of one line that names the flag or the variable.
 */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Variables } from './redis-flags.ts';
import { UsageError } from './usage.ts';

export interface WorkerFlags {
  readonly queue?: string;
  readonly concurrency?: number;
  readonly id?: string;
  readonly lease?: number;
  readonly drain?: number;
  readonly deliveries?: number;
  readonly healthPort?: number;
}

interface NumberFlag {
  readonly name: 'concurrency' | 'lease' | 'drain' | 'deliveries' | 'healthPort';
  readonly flag: string;
  readonly variable: string;
  readonly text: string;
  readonly least: number;
  readonly most: number;
}

const DAY_MS = 86_400_000;

const numbers: readonly NumberFlag[] = [
  { name: 'concurrency', flag: '--concurrency <n>', variable: 'TASKCHART_CONCURRENCY', text: 'units at a time (default 16)', least: 1, most: 1000 },
  { name: 'lease', flag: '--lease <ms>', variable: 'TASKCHART_LEASE', text: 'how long the worker counts as live after its last sign (default 10000)', least: 100, most: DAY_MS },
  { name: 'drain', flag: '--drain <ms>', variable: 'TASKCHART_DRAIN', text: 'how long units may go on after SIGTERM (default 25000)', least: 0, most: DAY_MS },
  { name: 'deliveries', flag: '--deliveries <n>', variable: 'TASKCHART_DELIVERIES', text: 'how often a unit is handed out before it is given up (default 3)', least: 1, most: 1000 },
  { name: 'healthPort', flag: '--health-port <port>', variable: 'TASKCHART_HEALTH_PORT', text: 'answers HTTP there: 200 while the last successful step is not older than the lease, else 503', least: 0, most: 65_535 },
];

const texts = [
  { name: 'queue', flag: '--queue <name>', variable: 'TASKCHART_QUEUE', text: 'the queue to take units from (default default)' },
  { name: 'id', flag: '--id <id>', variable: 'TASKCHART_WORKER_ID', text: 'of this worker, never used by two processes at once (default: host, process and something random)' },
] as const;

export const workerHelp = `
Each of these flags has a variable, too: ${[...texts, ...numbers].map(({ variable }) => variable).join(', ').replace(/(.{60,80}?), /g, '$1,\n')}

Exit codes of a worker:
  0    drained by SIGTERM or SIGINT: what it had is finished or given back
  1    it could not work, or could not give back what it had (then others have it when its
       lease has run out)
  2    wrong usage: a flag, a module; one line on stderr says what
  3    another process uses its id
  The first SIGTERM (or SIGINT) drains, a second one gives units back at once, a third kills.

stdout gets the banner, stderr the log: JSON, one per line.`;

export function addWorkerFlags(command: Command): Command {
  for (const { flag, text, variable } of texts) command.option(flag, `${text} [${variable}]`);
  for (const one of numbers) command.addOption(new Option(one.flag, `${one.text} [${one.variable}]`).argParser(numberOf(one)));
  return command;
}

/** Flags, and where there are none the variables. */
export function workerFlagsOf(given: WorkerFlags, variables: Variables): WorkerFlags {
  const flags: Record<string, unknown> = { ...given };
  for (const { name, variable } of texts) flags[name] ??= textIn(variables[variable]);
  for (const one of numbers) {
    const text = textIn(variables[one.variable]);
    if (text === undefined || flags[one.name] !== undefined) continue;
    const value = wholeIn(text, one);
    if (value === undefined) throw new UsageError(`the variable ${one.variable} must be a whole number from ${one.least} to ${one.most}`);
    flags[one.name] = value;
  }
  return flags;
}

function numberOf(one: NumberFlag): (text: string) => number {
  return (text) => {
    const value = wholeIn(text, one);
    if (value === undefined) throw new InvalidArgumentError(`It must be a whole number from ${one.least} to ${one.most}.`);
    return value;
  };
}

function wholeIn(text: string, { least, most }: NumberFlag): number | undefined {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  return value >= least && value <= most ? value : undefined;
}

/** An empty variable is one that is not set. */
function textIn(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text;
}
