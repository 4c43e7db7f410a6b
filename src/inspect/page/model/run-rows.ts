/**
 * What the list of runs shows, row by row: runs, and under workers the branches of runs that they execute.
 *
 * Owns: the order, which entries belong together, what is folded. Pure. Does not own: how a row looks (views/run-list.tsx).
 *
 * Invariants
 * 1. A branch never stands among the runs.
 * 2. However many branches a process has executed, at most OPEN_MOST rows are for them.
 * 3. A change of state moves no run.
 */
import type { RunMessage, SourceMessage, SystemMessage } from '../../messages.ts';
import { grouped } from './format.ts';
import { isFinal, runSeen } from './states.ts';

/** Rows for the branches of one process, when they are shown. */
export const OPEN_MOST = 20;
const ID_MOST = 28;

export interface ListedRun {
  readonly run: RunMessage;
  /** A later process goes on with the same run. */
  readonly earlier: boolean;
}

/** The newest run first, and under each what earlier processes have said of it. */
export function listedRuns(runs: ReadonlyMap<string, RunMessage>, sources: ReadonlyMap<string, SourceMessage>): ListedRun[] {
  const begun = (run: RunMessage): number => run.startedAt ?? Number(run.createdAt);
  const later = byProcess(sources);
  const together = new Map<string, RunMessage[]>();
  for (const run of runs.values()) {
    if (run.origin === 'branch') continue;
    // A file is no process, and without an id nothing is known to be the same run.
    const key = run.runId === undefined ? run.sessionId : JSON.stringify([run.origin, run.workflow, run.runId]);
    together.set(key, [...(together.get(key) ?? []), run]);
  }
  const lists = [...together.values()].map((list) => list.sort(later));
  const newest = (list: readonly RunMessage[]): number => Math.max(...list.map(begun));
  lists.sort((a, b) => newest(b) - newest(a) || ((a[0]?.sessionId ?? '') < (b[0]?.sessionId ?? '') ? 1 : -1));
  return lists.flatMap((list) => list.map((run, at) => ({ run, earlier: at > 0 && run.origin === 'live' })));
}

/** Sources are in the order in which they have come; within one, sessions are numbered. */
function byProcess(sources: ReadonlyMap<string, SourceMessage>): (a: RunMessage, b: RunMessage) => number {
  const order = new Map([...sources.keys()].map((id, at) => [id, at]));
  const place = ({ sessionId }: RunMessage): number => order.get(prefixOf(sessionId)) ?? -1;
  const number = ({ sessionId }: RunMessage): number => Number(/\d+$/.exec(sessionId)?.[0] ?? 0);
  return (a, b) => place(b) - place(a) || number(b) - number(a);
}

export type OtherRow =
  | { readonly kind: 'system'; readonly system: SystemMessage }
  | { readonly kind: 'fold'; readonly source: string; readonly text: string; readonly open: boolean; readonly branches: readonly RunMessage[] }
  | { readonly kind: 'branch'; readonly run: RunMessage }
  | { readonly kind: 'more'; readonly count: number };

export interface Others {
  readonly systems: ReadonlyMap<string, SystemMessage>;
  readonly runs: ReadonlyMap<string, RunMessage>;
  readonly sources: ReadonlyMap<string, SourceMessage>;
  /** The sources whose branches are shown. */
  readonly open: ReadonlySet<string>;
  /** Lower case; what is looked for. */
  readonly wanted: string;
}

/** Systems without runs of their own, each process' branches folded under the last of its workers. */
export function otherRows(others: Others): OtherRow[] {
  const { systems, runs, wanted } = others;
  const branches = branchesBySource(others);
  const shown = [...systems.values()].filter((system) => isOther(system, runs) && (fits(wanted, system.name, system.machine) || (isWorker(system) && branches.has(system.source))));
  const lastWorker = new Map(shown.filter(isWorker).map((system) => [system.source, system.rootId]));
  const rows: OtherRow[] = [];
  for (const system of shown) {
    rows.push({ kind: 'system', system });
    if (lastWorker.get(system.source) === system.rootId) rows.push(...foldRows(system.source, branches.get(system.source) ?? [], others));
  }
  // The worker itself may have been forgotten before they were.
  for (const [source, list] of branches) if (!lastWorker.has(source)) rows.push(...foldRows(source, list, others));
  return rows;
}

export function isWorker({ machine, facts }: SystemMessage): boolean {
  return machine === 'worker' && typeof facts['queue'] === 'string';
}

/** What has runs of its own is among those; what has branches alone is in a fold. */
function isOther(system: SystemMessage, runs: ReadonlyMap<string, RunMessage>): boolean {
  return isWorker(system) || !system.runs.some((session) => runs.has(session));
}

function branchesBySource({ systems, runs, wanted }: Others): Map<string, RunMessage[]> {
  const branches = new Map<string, RunMessage[]>();
  for (const run of runs.values()) {
    if (run.origin !== 'branch' || !fits(wanted, run.workflow, run.runId, run.state)) continue;
    const source = systems.get(run.rootId)?.source ?? prefixOf(run.rootId);
    const list = branches.get(source);
    if (list === undefined) branches.set(source, [run]);
    else list.push(run);
  }
  return branches;
}

function foldRows(source: string, branches: readonly RunMessage[], { sources, open }: Others): OtherRow[] {
  if (branches.length === 0) return [];
  const isOpen = open.has(source);
  const rows: OtherRow[] = [{ kind: 'fold', source, text: branchesText(branches, sources.get(source)), open: isOpen, branches }];
  if (!isOpen) return rows;
  const over = ({ state }: RunMessage): number => (isFinal(state) ? 1 : 0);
  const sorted = branches.toSorted((a, b) => over(a) - over(b) || b.at - a.at);
  // The row that says how many more there are is one of them.
  const most = sorted.length > OPEN_MOST ? OPEN_MOST - 1 : OPEN_MOST;
  for (const run of sorted.slice(0, most)) rows.push({ kind: 'branch', run });
  if (sorted.length > most) rows.push({ kind: 'more', count: sorted.length - most });
  return rows;
}

/** `12 branches, 3 running, 1 failed`. */
export function branchesText(branches: readonly RunMessage[], source: SourceMessage | undefined): string {
  const words = new Map<string, number>();
  for (const run of branches) {
    const { word } = runSeen(run, source);
    if (word !== 'completed') words.set(word, (words.get(word) ?? 0) + 1);
  }
  return [`${grouped(branches.length)} ${branches.length === 1 ? 'branch' : 'branches'}`, ...[...words].map(([word, count]) => `${grouped(count)} ${word}`)].join(', ');
}

/** Ids differ at their ends, so that is what is kept. */
export function shortId(id: string): string {
  const characters = Array.from(id);
  if (characters.length <= ID_MOST) return id;
  const half = (ID_MOST - 1) / 2;
  return `${characters.slice(0, Math.floor(half)).join('')}…${characters.slice(-Math.ceil(half)).join('')}`;
}

export function fits(wanted: string, ...texts: readonly (string | undefined)[]): boolean {
  return wanted === '' || texts.filter((text) => text !== undefined).join(' ').toLowerCase().includes(wanted);
}

function prefixOf(session: string): string {
  return session.slice(0, Math.max(0, session.indexOf('/')));
}
