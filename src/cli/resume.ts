/**
 * `taskchart resume`, and what other commands share with it: taking a stored run up in this process.
 *
 * Owns: the checks before a run is taken from the store. Does not own: the store's own fence, by which an owner that was
 * overtaken stops.
 *
 * Invariants
 * 1. A run whose owner lives on this host is not taken from it, unless that is asked for.
 * 2. A run that has ended is not opened: its end is told again.
 */
import { reviveError } from '../core/errors.ts';
import type { StoredRunDescription } from '../runtime/inspect-stored.ts';
import type { ResumeOptions } from '../runtime/workflow.ts';
import { follow, sayTo, tellFailure, writeOutput, type FollowFlags, type Host } from './follow.ts';
import { loadWorkflow, type LoadedWorkflow } from './load.ts';
import { ownerText, ownershipOf } from './owner.ts';
import { asking, checkRunId, findRun, storeOf, type GivenStore, type StoreFlags } from './store.ts';
import { RefusedError, exitCodes } from './usage.ts';

export interface ResumeFlags extends FollowFlags, StoreFlags {
  readonly workflow?: string;
  readonly manual?: boolean;
  readonly takeOver?: boolean;
  readonly allowAdditions?: boolean;
}

export async function resume(file: string, runId: string, flags: ResumeFlags, host: Host): Promise<number> {
  checkRunId(runId);
  const given = await storeOf(flags, host.process.env);
  host.leaving.loading(file);
  const workflow = await loadWorkflow(file, flags.workflow);
  const found = await findRun(given, runId);
  const ended = await tellEnd(found, flags, host);
  if (ended !== undefined) return ended;
  if (flags.takeOver !== true) refuseOwned(found);
  return goOn({ file, runId, workflow, given }, flags, host);
}

export interface Taken {
  readonly file: string;
  readonly runId: string;
  readonly workflow: LoadedWorkflow;
  readonly given: GivenStore;
  readonly overtaken?: (() => Promise<number>) | undefined;
}

/** Takes the run up, and follows it. */
export async function goOn({ file, runId, workflow, given, overtaken }: Taken, flags: ResumeFlags, host: Host, unpause = true): Promise<number> {
  const options: ResumeOptions = { ...(flags.manual === true ? { record: 'manual' } : {}), ...(flags.allowAdditions === true ? { allowAdditions: true } : {}) };
  const run = await asking(() => workflow.resume(given.store, runId, options));
  if (unpause && run.status().state === 'paused') run.resume();
  const address = { runId, file, workflow: flags.workflow, store: given.flag };
  return follow({ run, workflow, stored: { store: given.store, address, overtaken } }, flags, host);
}

/** Tells a run's end again, with the exit code that it had; nothing for one that has not ended. */
async function tellEnd({ runId, output, error }: StoredRunDescription, flags: FollowFlags, host: Host): Promise<number | undefined> {
  if (output === undefined && error === undefined) return undefined;
  host.leaving.ended();
  if (flags.json !== true) sayTo(host)(`taskchart: run ${runId} has already ended; nothing was run`);
  if (error !== undefined) return tellFailure(reviveError(error), undefined, flags, host);
  await writeOutput(output?.[0], flags, host);
  return exitCodes.ok;
}

function refuseOwned({ runId, owner }: StoredRunDescription): void {
  const ownership = ownershipOf(owner);
  if (ownership.kind !== 'alive') return;
  throw new RefusedError(`run ${runId} belongs to ${ownerText(ownership, Date.now())}. It goes on there; --take-over takes it from that process, which then stops`);
}
