/**
 * A run that goes on in this process, until it ends or only waits.
 *
 * Owns: what is written where, and the exit code. Does not own: how the run was started (run.ts, resume.ts, …), showing
 * it (watch.ts), what the process does when it has to end (leaving.ts).
 *
 * Invariants
 * 1. stdout gets the output as JSON and nothing else; a run without an output writes nothing.
 * 2. A signal ends a run that has no store; one that has a store is stopped, and can be resumed.
 */
import { isTaskchartError } from '../core/errors.ts';
import type { CheckpointStore } from '../ports.ts';
import type { Run } from '../runtime/run.ts';
import { failureJson, failureLine, failureLines } from './failure.ts';
import { signalCode, waitText, waitingLines, type Leaving } from './leaving.ts';
import type { LoadedWorkflow } from './load.ts';
import { nextLines, resumeCommand, type Address } from './next.ts';
import { Parking } from './parking.ts';
import { LOOK_FOR_STALLS_MS, Stalled, needsWorkers } from './stalled.ts';
import type { ConsoleTarget } from './stdout.ts';
import { exitCodes } from './usage.ts';
import { FRAME_MS } from './view.ts';
import { viewFor } from './watch.ts';

export interface Host {
  readonly process: NodeJS.Process;
  readonly leaving: Leaving;
  readonly console: ConsoleTarget;
  /** Resolves when the text has left. */
  write(text: string): Promise<void>;
}

export interface FollowFlags {
  readonly watch?: boolean;
  readonly json?: boolean;
}

export interface Followed {
  readonly run: Run<unknown>;
  readonly workflow: LoadedWorkflow;
  /** Where the run has a store. */
  readonly stored?: Stored | undefined;
}

export interface Stored {
  readonly store: CheckpointStore;
  readonly address: Address;
  /** Another process has taken the run over; default: an error. */
  readonly overtaken?: (() => Promise<number>) | undefined;
}

export async function follow(followed: Followed, flags: FollowFlags, host: Host): Promise<number> {
  const { run, stored } = followed;
  const { leaving } = host;
  const parking = stored && new Parking(run, stored.store);
  if (stored !== undefined && flags.json !== true) tellRefusals(run, host);
  const stalls = needsWorkers(followed.workflow.graph) ? tellStalls(run, flags, host) : undefined;
  leaving.running({
    run,
    next: () => (stored === undefined ? undefined : nextLines(stored.address, run.status())),
    interrupt: (signal) => (stored === undefined ? run.cancel(`interrupted by ${signal}`) : stopStored(run)),
    empty: () => parking?.look() ?? false,
    ...watch(followed, flags, host),
  });
  try {
    const output = await run.result;
    leaving.ended();
    await writeOutput(output, flags, host);
    return exitCodes.ok;
  } catch (thrown) {
    leaving.ended();
    if (parking?.parked === true && stored !== undefined) return tellWaiting(run, stored.address, flags, host);
    if (stored?.overtaken !== undefined && isTaskchartError(thrown) && thrown.code === 'checkpoint/conflict') return stored.overtaken();
    return tellFailure(thrown, stored, flags, host);
  } finally {
    clearInterval(stalls);
    parking?.close();
  }
}

export async function writeOutput(output: unknown, { json }: FollowFlags, host: Host): Promise<void> {
  if (output !== undefined) await host.write(`${JSON.stringify(output, null, json === true ? undefined : 2)}\n`);
}

/** The answer of a command that only looks. */
export async function writeLines(lines: readonly string[], host: Host): Promise<void> {
  if (lines.length > 0) await host.write(`${lines.join('\n')}\n`);
}

/** Tells how a run has failed; returns the exit code. */
export function tellFailure(thrown: unknown, stored: Pick<Stored, 'address'> | undefined, { json }: FollowFlags, host: Host): number {
  const { leaving } = host;
  const code = isTaskchartError(thrown) ? thrown.code : '';
  const say = sayTo(host);
  if (json === true) say(JSON.stringify({ error: failureJson(thrown) }));
  else if (leaving.signal !== undefined && stored !== undefined && code === 'run/stopped') {
    say(`taskchart: stopped by ${leaving.signal}; the run is stored`);
    say(`  go on: ${resumeCommand(stored.address)}`);
  } else if (leaving.signal !== undefined) say(`taskchart: cancelled by ${leaving.signal}`);
  else for (const line of failureLines(thrown)) say(line);
  if (leaving.signal !== undefined) return signalCode(leaving.signal);
  return code === 'run/cancelled' ? exitCodes.cancelled : exitCodes.failed;
}

/** Lines for people and programs. While a run is shown they must go by `host.console`. */
export function sayTo({ process }: Host): (line: string) => void {
  return (line) => void process.stderr.write(`${line}\n`);
}

function tellWaiting(run: Run<unknown>, address: Address, { json }: FollowFlags, host: Host): number {
  const say = sayTo(host);
  // A stopped actor keeps its last state.
  const { state, waitsFor, queued } = run.status();
  const next = nextLines(address, { state, waitsFor });
  if (json === true) say(JSON.stringify({ waiting: { run: run.id, state, waitsFor, next } }));
  else {
    say(`taskchart: run ${run.id} ${state === 'paused' ? 'is paused' : 'waits'}, and everything is stored`);
    for (const line of waitingLines(waitsFor, queued, Date.now(), next)) say(`  ${line}`);
  }
  return exitCodes.waiting;
}

/** Messages of other processes that the run could not use. */
function tellRefusals(run: Run<unknown>, host: Host): void {
  run.on((event) => {
    if (event.type === 'run.message-refused') host.console.print(`taskchart: a message to the run was refused: ${failureLine(event.error)}\n`);
  });
}

/** Why nothing comes back from workers, where nothing does. */
function tellStalls(run: Run<unknown>, { json }: FollowFlags, host: Host): NodeJS.Timeout {
  const stalled = new Stalled((wait) => {
    const line = json === true ? JSON.stringify({ type: 'run.stalled', run: run.id, ...wait }) : `taskchart: the run waits for ${waitText(wait, Date.now())}`;
    host.console.print(`${line}\n`);
  });
  return setInterval(() => stalled.look(run.status().waitsFor, Date.now()), LOOK_FOR_STALLS_MS).unref();
}

/** Leaves the run as it is, with what has ended stored. */
function stopStored(run: Run<unknown>): void {
  const started = run.actor.getSnapshot().context.run !== null;
  if (!started) run.on(({ type }) => void (type === 'run.started' && stopStored(run)));
  else void run
    .checkpoint()
    .catch(() => undefined)
    .finally(() => run.actor.stop());
}

/** Shows the run while it goes on; returns the ways to stop. */
function watch({ run, workflow }: Followed, flags: FollowFlags, host: Host): { release: () => void; end: () => void } {
  if (flags.watch !== true) return { release: () => undefined, end: () => undefined };
  const { stderr, env } = host.process;
  const view = viewFor(stderr, { workflow: workflow.id, graph: workflow.graph, json: flags.json === true, environment: env }, () => run.status().waitsFor);
  const stop = run.on((event) => view.see(event));
  // A run that is taken up where it waits makes no event of that. Programs get what the run says, and no more.
  const { state } = run.status();
  if (flags.json !== true && (state === 'waiting' || state === 'paused')) view.see({ type: `run.${state}`, at: Date.now() });
  const before = host.console.print;
  host.console.print = (text) => view.print(text);
  // Not a reason to stay: with nothing else to do, the process has to find that out.
  const timer = setInterval(() => view.frame(Date.now()), FRAME_MS).unref();
  const end = (): void => {
    clearInterval(timer);
    stop();
    view.end(Date.now());
    host.console.print = before;
  };
  return { release: () => view.release(), end };
}
