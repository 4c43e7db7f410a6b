/** `taskchart fork`: a new run that goes on from where another one stood. */
import { forkStored } from '../runtime/fork-stored.ts';
import { sayTo, type Host } from './follow.ts';
import { loadWorkflow } from './load.ts';
import { thisOwner } from './owner.ts';
import { goOn, type ResumeFlags } from './resume.ts';
import { newRunId } from './run.ts';
import { asking, checkRunId, findNote, storeOf } from './store.ts';
import { UsageError } from './usage.ts';

export interface ForkFlags extends ResumeFlags {
  readonly at: number;
  readonly as?: string;
}

export async function fork(file: string, runId: string, flags: ForkFlags, host: Host): Promise<number> {
  checkRunId(runId);
  if (flags.as !== undefined) checkRunId(flags.as);
  const given = await storeOf(flags, host.process.env);
  host.leaving.loading(file);
  const workflow = await loadWorkflow(file, flags.workflow);
  const { workflow: owner } = await findNote(given, runId);
  if (owner !== '' && owner !== workflow.id) throw new UsageError(`run ${runId} belongs to workflow ${owner}, not to ${workflow.id}; give its file, or --workflow`);
  const as = flags.as ?? newRunId(workflow);
  await asking(() => forkStored(given.store, runId, workflow, { at: flags.at, as, owner: thisOwner() }));
  sayTo(host)(flags.json === true ? JSON.stringify({ type: 'run.stored', run: as, store: given.name }) : `taskchart: run ${as} goes on from revision ${flags.at} of ${runId}`);
  return goOn({ file, runId: as, workflow, given }, flags, host);
}
