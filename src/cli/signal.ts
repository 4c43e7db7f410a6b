/**
 * `taskchart signal`: answers a wait of a stored run.
 *
 * Owns: the order of things. Does not own: what a signal means to the run.
 *
 * Invariants
 * 1. Name and value are checked against the workflow and the run before anything is left or started.
 * 2. The signal is stored before it is said to be. Whoever owns the run next takes it in, once.
 * 3. Where a living process owns the run, it goes on there; otherwise it goes on here.
 */
import { sayTo, type Host } from './follow.ts';
import { readInput } from './input.ts';
import { loadWorkflow } from './load.ts';
import { ownerText, ownershipOf } from './owner.ts';
import { fateOf, leaveMessage } from './post.ts';
import { goOn, type ResumeFlags } from './resume.ts';
import { asking, checkRunId, findRun, storeOf } from './store.ts';
import { RefusedError, exitCodes } from './usage.ts';
import { checkStoredSignal } from '../runtime/inspect-stored.ts';

export async function signal(file: string, runId: string, name: string, json: string | undefined, flags: ResumeFlags, host: Host): Promise<number> {
  const say = sayTo(host);
  const value = await readInput('the value', json, host.process.stdin, say);
  checkRunId(runId);
  const given = await storeOf(flags, host.process.env);
  host.leaving.loading(file);
  const workflow = await loadWorkflow(file, flags.workflow);
  const found = await findRun(given, runId, workflow);
  if (found.output !== undefined || found.error !== undefined) throw new RefusedError(`run ${runId} has ended (${found.status.state}), so the signal ${name} was not stored`);
  await asking(() => checkStoredSignal(given.store, runId, workflow, name, value));
  const post = await leaveMessage(given, runId, { kind: 'signal', name, ...(value === undefined ? {} : { value }) });
  const ownership = ownershipOf(found.owner);

  /** In the hands of another process: nothing for those that are gone. */
  const elsewhere = async (): Promise<number | undefined> => {
    const fate = await fateOf(given, runId, post);
    if (fate === 'refused') throw new RefusedError(`run ${runId} has refused the signal ${name}: it had gone on meanwhile`);
    if (fate === 'taken') {
      host.leaving.ended();
      say(`taskchart: run ${runId} has taken the signal ${name} in, and goes on in the process that owns it`);
      return exitCodes.ok;
    }
    if (fate === 'gone' || ownership.kind !== 'alive') return undefined;
    host.leaving.ended();
    say(`taskchart: the signal ${name} is stored as message ${post} of run ${runId}, but it was not seen taken in yet`);
    say(`  the run belongs to ${ownerText(ownershipOf(found.owner), Date.now())}`);
    say(`  hint: it may be busy, or store by hand (--manual); taskchart resume --take-over goes on here`);
    return exitCodes.waiting;
  };

  const there = ownership.kind === 'alive' || ownership.kind === 'elsewhere' ? await elsewhere() : undefined;
  if (there !== undefined) return there;
  const overtaken = async (): Promise<number> => (await elsewhere()) ?? exitCodes.failed;
  return goOn({ file, runId, workflow, given, overtaken }, flags, host, false);
}
