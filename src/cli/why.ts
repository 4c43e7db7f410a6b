/**
 * `taskchart why`: what a stored run waits for, since when, who owns it, and what went wrong last.
 *
 * Owns: the words. Does not own: reading the run (runtime/inspect-stored.ts).
 *
 * Invariants
 * 1. Looking changes nothing: neither the run's owner nor its mailbox.
 * 2. The last line says how far the picture can be trusted.
 */
import { failureJson, failureLines } from './failure.ts';
import { writeLines, type Host } from './follow.ts';
import { waitingLines } from './leaving.ts';
import { loadWorkflow, type LoadedWorkflow } from './load.ts';
import { nextLines, workerCommand, type Address } from './next.ts';
import { ownerText, ownershipOf, type Ownership } from './owner.ts';
import { isOver, stateWord } from './ps.ts';
import { asking, findRun, storeOf, type GivenStore, type StoreFlags } from './store.ts';
import { preview } from '../core/preview.ts';
import type { StoredRunDescription } from '../runtime/inspect-stored.ts';
import { duration, grouped, oneLine, plural } from './text.ts';
import { exitCodes } from './usage.ts';

export interface WhyFlags extends StoreFlags {
  readonly workflow?: string;
  readonly json?: boolean;
}

export async function why(runId: string, file: string | undefined, flags: WhyFlags, host: Host): Promise<number> {
  const given = await storeOf(flags, host.process.env);
  if (file !== undefined) host.leaving.loading(file);
  const workflow = file === undefined ? undefined : await loadWorkflow(file, flags.workflow);
  host.leaving.ended();
  const found = await findRun(given, runId, workflow);
  // Only behind what the run has stored: a store may forget what it is asked to look behind.
  const unread = isOver(found) ? 0 : (await asking(() => given.store.posts(runId, found.posted))).length;
  const address: Address = { runId, file, workflow: flags.workflow, store: given.flag };
  const ownership = ownershipOf(found.owner);
  const lines = flags.json === true ? [JSON.stringify(asJson(found, ownership, unread))] : told({ found, ownership, unread, workflow }, address, given);
  await writeLines(lines, host);
  return exitCodes.ok;
}

interface Picture {
  readonly found: StoredRunDescription;
  readonly ownership: Ownership;
  /** Messages in the run's mailbox. */
  readonly unread: number;
  readonly workflow: LoadedWorkflow | undefined;
}

function told({ found, ownership, unread, workflow: code }: Picture, address: Address, given: GivenStore): string[] {
  const now = Date.now();
  const { runId, workflow, status, since, revision, output } = found;
  const head = `run ${runId} of workflow ${workflow}: ${stateWord(found, ownership)}, last event ${duration(now - since)} ago, revision ${grouped(revision)}`;
  const lines = isOver(found) ? endLines(found) : openLines(found, ownership, address, now, (group) => code && workerOf(code, group, address));
  if (unread > 0) lines.push(`${plural(unread, 'message')} in its mailbox ${unread === 1 ? 'is' : 'are'} not taken in yet`);
  for (const [name, count] of Object.entries(status.keptSignals)) lines.push(`it keeps ${count === 1 ? 'a signal' : `${grouped(count)} signals`} ${oneLine(name)}, for which nobody ${output === undefined ? 'waits yet' : 'has waited'}`);
  lines.push(basis(found, address, given));
  return [head, ...lines.map((line) => `  ${line}`)];
}

function openLines(found: StoredRunDescription, ownership: Ownership, address: Address, now: number, worker: (group: string) => string | undefined): string[] {
  const { status, lastFailure } = found;
  const owned = ownership.kind === 'alive' || ownership.kind === 'elsewhere';
  const lines = waitingLines(status.waitsFor, status.queued, now, owned && status.state === 'running' ? [] : nextLines(address, status), worker);
  if (status.state === 'paused') lines.unshift('it is paused');
  lines.push(`owner: ${ownerText(ownership, now)}`);
  if (lastFailure === undefined) return [...lines, 'last error: none that the store knows of'];
  const where = `${lastFailure.task === undefined ? '' : `${oneLine(lastFailure.task)}, `}${duration(now - lastFailure.at)} ago`;
  const [first = '', ...more] = failureLines(lastFailure.error);
  return [...lines, `last error (${where}): ${first}`, ...more];
}

/** The command that executes the members of a group, where workers do. */
function workerOf({ definition: { graph, settings } }: LoadedWorkflow, group: string, address: Address): string | undefined {
  const node = Object.hasOwn(graph.nodes, group) ? graph.nodes[group] : undefined;
  if (node === undefined || !('execution' in node) || node.execution.backend !== 'redis') return undefined;
  const { queue } = (settings.get(group) ?? {}) as { readonly queue?: unknown };
  return workerCommand(address, typeof queue === 'string' ? queue : undefined);
}

function endLines({ output, error }: StoredRunDescription): string[] {
  if (error !== undefined) return failureLines(error);
  return [output === undefined || output.length === 0 ? 'it has no output' : `output: ${oneLine(preview(output[0]))}`];
}

/** How far the picture can be trusted. */
function basis({ exact, shown, revision }: StoredRunDescription, { runId }: Address, { flag }: GivenStore): string {
  if (exact) return `seen at revision ${grouped(revision)}, which is the newest`;
  const command = `taskchart why ${runId} <file>${flag === undefined ? '' : ` --store ${flag}`}`;
  return `seen at the snapshot of revision ${grouped(shown)}; ${plural(revision - shown, 'later event')} ${revision - shown === 1 ? 'is' : 'are'} not in it. Exactly: ${command}`;
}

function asJson(found: StoredRunDescription, ownership: Ownership, unread: number): object {
  const { runId, workflow, status, since, revision, shown, exact, owner, lastFailure, error, output } = found;
  return {
    run: runId,
    workflow,
    ...status,
    state: stateWord(found, ownership),
    since,
    revision,
    shown,
    exact,
    unread,
    ...(owner === undefined ? {} : { owner: { ...owner, state: ownership.kind } }),
    ...(lastFailure === undefined ? {} : { lastFailure: { ...lastFailure, error: failureJson(lastFailure.error) } }),
    ...(error === undefined ? {} : { error: failureJson(error) }),
    ...(output === undefined || output.length === 0 ? {} : { output: output[0] }),
  };
}
