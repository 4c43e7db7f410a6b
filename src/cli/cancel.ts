/** `taskchart cancel`: ends a stored run, in the process that owns it or, with its file, in this one. */
import { isTaskchartError } from '../core/errors.ts';
import { sayTo, type Host } from './follow.ts';
import { loadWorkflow } from './load.ts';
import { ownerText, ownershipOf } from './owner.ts';
import { fateOf, leaveMessage } from './post.ts';
import { asking, findRun, storeOf, type GivenStore, type StoreFlags } from './store.ts';
import { RefusedError, UsageError, exitCodes } from './usage.ts';

export interface CancelFlags extends StoreFlags {
  readonly workflow?: string;
  readonly reason?: string;
}

export async function cancel(runId: string, file: string | undefined, flags: CancelFlags, host: Host): Promise<number> {
  const given = await storeOf(flags, host.process.env);
  const found = await findRun(given, runId);
  const { output, error, owner, status } = found;
  if (output !== undefined || error !== undefined) throw new RefusedError(`run ${runId} has ended already (${status.state})`);
  const ownership = ownershipOf(owner);
  const say = sayTo(host);
  if (ownership.kind === 'alive' || (ownership.kind === 'elsewhere' && file === undefined)) {
    const post = await leaveMessage(given, runId, { kind: 'cancel', ...(flags.reason === undefined ? {} : { reason: flags.reason }) });
    const fate = await fateOf(given, runId, post);
    if (fate === 'taken') {
      say(`taskchart: run ${runId} is cancelled`);
      return exitCodes.ok;
    }
    if (fate !== 'gone') {
      say(`taskchart: the cancel is stored as message ${post} of run ${runId}, but it was not seen taken in yet`);
      say(`  the run belongs to ${ownerText(ownership, Date.now())}`);
      return exitCodes.waiting;
    }
  }
  if (file === undefined) throw new UsageError(`run ${runId} belongs to ${ownerText(ownershipOf(owner), Date.now())}; to cancel it here, give its file: taskchart cancel ${runId} <file>`);
  await cancelHere(given, runId, file, flags, host);
  say(`taskchart: run ${runId} is cancelled`);
  return exitCodes.ok;
}

/** None of its tasks is started: the cancel comes before the run is told that it may go on. */
async function cancelHere(given: GivenStore, runId: string, file: string, flags: CancelFlags, host: Host): Promise<void> {
  host.leaving.loading(file);
  const workflow = await loadWorkflow(file, flags.workflow);
  host.leaving.ended();
  await asking(async () => {
    const run = await workflow.resume(given.store, runId, {});
    run.cancel(flags.reason);
    await run.result.catch((thrown: unknown) => {
      if (!isTaskchartError(thrown) || thrown.code !== 'run/cancelled') throw thrown;
    });
  });
}
