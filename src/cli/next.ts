/** The commands with which people go on with a stored run, ready to be pasted. */
import type { RunStatus } from '../runtime/status.ts';
import { oneLine } from './text.ts';

/** Where a run is found again. */
export interface Address {
  readonly runId: string;
  /** Absent where it is not known: then a placeholder is shown. */
  readonly file: string | undefined;
  readonly workflow: string | undefined;
  readonly store: string | undefined;
}

const SIGNALS_SHOWN = 8;

export function signalCommand(at: Address, signal: string): string {
  return command('signal', at, [fileOf(at), quoted(at.runId), quoted(signal), "'<json>'"]);
}

export function resumeCommand(at: Address): string {
  return command('resume', at, [fileOf(at), quoted(at.runId)]);
}

/** Where the Redis is may hold a password, so it is not told. */
export function workerCommand(at: Pick<Address, 'file'>, queue: string | undefined): string {
  return ['taskchart worker', fileOf(at), '--redis <url>', ...(queue === undefined ? [] : ['--queue', quoted(queue)])].join(' ');
}

/** `answer: …` for each signal that the run waits for; `go on: …` where it waits for a time, is paused, or is not executed. */
export function nextLines(at: Address, { state, waitsFor }: Pick<RunStatus, 'state' | 'waitsFor'>): string[] {
  if (state === 'paused') return [`go on: ${resumeCommand(at)}`];
  const signals = new Set(waitsFor.flatMap((one) => (one.kind === 'signal' ? [one.name] : [])));
  const lines = [...signals].slice(0, SIGNALS_SHOWN).map((signal) => `answer: ${signalCommand(at, signal)}`);
  if (waitsFor.some((one) => one.kind !== 'signal' && one.kind !== 'wait-timeout') || signals.size === 0) lines.push(`go on: ${resumeCommand(at)}`);
  return lines;
}

function command(name: string, at: Address, words: readonly string[]): string {
  const workflow = at.workflow === undefined ? [] : ['--workflow', quoted(at.workflow)];
  const store = at.store === undefined ? [] : ['--store', quoted(at.store)];
  return ['taskchart', name, ...words, ...workflow, ...store].join(' ');
}

function fileOf({ file }: Pick<Address, 'file'>): string {
  return file === undefined ? '<file>' : quoted(file);
}

/** As a shell takes it. */
function quoted(word: string): string {
  const safe = oneLine(word);
  return /^[\w./:@%+=,-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", `'\\''`)}'`;
}
