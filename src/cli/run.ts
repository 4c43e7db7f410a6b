/**
 * `taskchart run`: one run of a workflow, from a file, to the end.
 *
 * Owns: what happens in which order, and what is written where. Does not own: loading (load.ts), showing (watch.ts),
 * what the process does when it has to end (leaving.ts).
 *
 * Invariants
 * 1. stdout gets the output as JSON and nothing else; a run without an output writes nothing.
 * 2. Nothing starts before flags, input and file have been found good.
 */
import { isTaskchartError } from '../core/errors.ts';
import type { Run } from '../runtime/run.ts';
import { failureJson, failureLine, failureLines } from './failure.ts';
import { readInput } from './input.ts';
import { signalCode, type Leaving } from './leaving.ts';
import { loadWorkflow, type LoadedWorkflow } from './load.ts';
import type { ConsoleTarget } from './stdout.ts';
import { UsageError, exitCodes } from './usage.ts';
import { FRAME_MS } from './view.ts';
import { viewFor } from './watch.ts';

export interface RunFlags {
  readonly workflow?: string;
  readonly input?: string;
  readonly watch?: boolean;
  readonly concurrency?: number;
  readonly maxSteps?: number;
  readonly json?: boolean;
}

export interface Host {
  readonly process: NodeJS.Process;
  readonly leaving: Leaving;
  readonly console: ConsoleTarget;
  /** Resolves when the text has left. */
  write(text: string): Promise<void>;
}

export async function run(file: string, flags: RunFlags, host: Host): Promise<number> {
  const { process, leaving } = host;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const input = await readInput(flags.input, process.stdin, say);
  leaving.loading(file);
  const workflow = await loadWorkflow(file, flags.workflow);
  const started = start(workflow, input, flags);
  leaving.running({ run: started, ...watch(started, workflow, flags, host) });
  try {
    const output = await started.result;
    leaving.ended();
    if (output !== undefined) await host.write(`${JSON.stringify(output, null, flags.json === true ? undefined : 2)}\n`);
    return exitCodes.ok;
  } catch (thrown) {
    leaving.ended();
    if (flags.json === true) say(JSON.stringify({ error: failureJson(thrown) }));
    else if (leaving.signal !== undefined) say(`taskchart: cancelled by ${leaving.signal}`);
    else for (const line of failureLines(thrown)) say(line);
    if (leaving.signal !== undefined) return signalCode(leaving.signal);
    return isTaskchartError(thrown) && thrown.code === 'run/cancelled' ? exitCodes.cancelled : exitCodes.failed;
  }
}

function start(workflow: LoadedWorkflow, input: unknown, { concurrency, maxSteps }: RunFlags): Run<unknown> {
  try {
    return workflow.start(input, { ...(concurrency === undefined ? {} : { concurrency }), ...(maxSteps === undefined ? {} : { maxSteps }) });
  } catch (thrown) {
    // The input is the only value that comes from the command line here.
    if (isTaskchartError(thrown) && thrown.code.startsWith('value/')) throw new UsageError(failureLine(thrown));
    throw new StartError(thrown);
  }
}

/** A workflow that refuses to start. */
export class StartError extends Error {
  constructor(cause: unknown) {
    super('the workflow cannot be started', { cause });
  }
}

/** Shows the run while it goes on; returns the ways to stop. */
function watch(started: Run<unknown>, workflow: LoadedWorkflow, flags: RunFlags, host: Host): { release: () => void; end: () => void } {
  if (flags.watch !== true) return { release: () => undefined, end: () => undefined };
  const { stderr, env } = host.process;
  const view = viewFor(stderr, { workflow: workflow.id, graph: workflow.graph, json: flags.json === true, environment: env }, () => started.status().waitsFor);
  const stop = started.on((event) => view.see(event));
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
