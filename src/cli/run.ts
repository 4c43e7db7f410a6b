/**
 * `taskchart run`: a new run of a workflow, from a file.
 *
 * Owns: what happens before it starts. Does not own: loading (load.ts), going on with it (follow.ts).
 *
 * Invariant: nothing starts before flags, input and file have been found good.
 */
import { customAlphabet } from 'nanoid';
import { isTaskchartError } from '../core/errors.ts';
import type { Run } from '../runtime/run.ts';
import { failureLine } from './failure.ts';
import { follow, sayTo, type FollowFlags, type Host } from './follow.ts';
import { readInput } from './input.ts';
import { loadWorkflow, type LoadedWorkflow } from './load.ts';
import { asking, checkRunId, storeIfGiven, type GivenStore, type StoreFlags } from './store.ts';
import { oneLine } from './text.ts';
import { StartError, UsageError } from './usage.ts';

export interface RunFlags extends FollowFlags, StoreFlags {
  readonly workflow?: string;
  readonly input?: string;
  readonly concurrency?: number;
  readonly maxSteps?: number;
  readonly runId?: string;
  readonly manual?: boolean;
}

export async function run(file: string, flags: RunFlags, host: Host): Promise<number> {
  const { process, leaving } = host;
  const input = await readInput('--input', flags.input, process.stdin, sayTo(host));
  if (flags.runId !== undefined) checkRunId(flags.runId);
  const given = await storeIfGiven(flags, process.env);
  if (flags.manual === true && given === undefined) throw new UsageError('--manual says when a store is written to, so it needs --store');
  leaving.loading(file);
  const workflow = await loadWorkflow(file, flags.workflow);
  if (given === undefined) return follow({ run: start(workflow, input, flags), workflow }, flags, host);
  const runId = flags.runId ?? newRunId(workflow);
  await refuseKnown(given, runId);
  const started = start(workflow, input, { ...flags, runId }, given);
  announce(started, given, flags, host);
  const address = { runId, file, workflow: flags.workflow, store: given.flag };
  return follow({ run: started, workflow, stored: { store: given.store, address } }, flags, host);
}

function start(workflow: LoadedWorkflow, input: unknown, { concurrency, maxSteps, runId, manual }: RunFlags, given?: GivenStore): Run<unknown> {
  try {
    return workflow.start(input, {
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(maxSteps === undefined ? {} : { maxSteps }),
      ...(runId === undefined ? {} : { runId }),
      ...(given === undefined ? {} : { store: given.store }),
      ...(manual === true ? { record: 'manual' as const } : {}),
    });
  } catch (thrown) {
    // The input is the only value that comes from the command line here.
    if (isTaskchartError(thrown) && thrown.code.startsWith('value/')) throw new UsageError(failureLine(thrown));
    throw new StartError(thrown);
  }
}

/** Short enough to be typed, and it says whose run it is. */
export function newRunId({ id }: Pick<LoadedWorkflow, 'id'>): string {
  return `${[...id].slice(0, 60).join('')}-${customAlphabet('23456789abcdefghjkmnpqrstuvwxyz', 8)()}`;
}

/** Starting a run under the id of another one would take that from its owner. */
export async function refuseKnown(given: GivenStore, runId: string): Promise<void> {
  const known = await asking(() => given.store.list());
  if (known.some((note) => note.runId === runId)) throw new UsageError(`the store ${given.name} has a run ${runId} already; taskchart resume goes on with it`);
}

/** As soon as there is something to resume, the run's id is told. */
function announce(started: Run<unknown>, given: GivenStore, { json }: RunFlags, host: Host): void {
  const stop = started.on(() => {
    stop();
    const line = json === true ? JSON.stringify({ type: 'run.stored', run: started.id, store: given.name }) : `taskchart: run ${started.id} is stored in ${oneLine(given.name)}`;
    host.console.print(`${line}\n`);
  });
}
