/**
 * All runs that the relay knows, and the other systems: workers, machines of one's own.
 *
 * Owns: their order and the filter. Does not own: which one is looked at (model/store.ts).
 *
 * Invariant: a change of state moves no row; only what is new comes in, on top.
 */
import { useState } from 'preact/hooks';
import type { RunMessage, SourceMessage, SystemMessage } from '../../messages.ts';
import { valueText } from '../chart/definition.ts';
import { clock, duration, grouped, runningFor } from '../model/format.ts';
import { isFinal, runSeen } from '../model/states.ts';
import { statusTone } from './chart-view.tsx';
import { Name, Quiet, Sign } from './parts.tsx';
import { VirtualList } from './virtual-list.tsx';

interface Props {
  readonly runs: ReadonlyMap<string, RunMessage>;
  readonly systems: ReadonlyMap<string, SystemMessage>;
  readonly sourceOf: (rootId: string) => SourceMessage | undefined;
  readonly run: string | undefined;
  readonly root: string | undefined;
  readonly now: number;
  readonly onRun: (session: string) => void;
  readonly onSystem: (rootId: string) => void;
}

export function RunList({ runs, systems, sourceOf, run, root, now, onRun, onSystem }: Props) {
  const [text, setText] = useState('');
  const wanted = text.trim().toLowerCase();
  const sorted = sortedRuns(runs).filter((each) => wanted === '' || `${each.workflow} ${each.runId ?? ''} ${each.state}`.toLowerCase().includes(wanted));
  const others = [...systems.values()].filter((system) => isOther(system, runs)).filter(({ name, machine }) => wanted === '' || `${name} ${machine ?? ''}`.toLowerCase().includes(wanted));
  return (
    <nav class="rail" id="rail" aria-label="Runs">
      <div class="rail-head"><input class="field filter" type="search" placeholder="Filter runs" aria-label="Filter runs" value={text} onInput={(event) => setText(event.currentTarget.value)} /></div>
      {sorted.length === 0 && <Quiet>{runs.size === 0 ? 'No runs yet.' : 'None fits.'}</Quiet>}
      {sorted.length > 0 && (
        <VirtualList length={sorted.length} rowHeight={50} label="Runs" class="runs" picked={sorted.findIndex(({ sessionId }) => sessionId === run)} onPick={(index) => { const session = sorted[index]?.sessionId; if (session !== undefined) onRun(session); }}
          row={(index) => { const each = sorted[index]; return each === undefined ? null : <RunRow run={each} source={sourceOf(each.rootId)} now={now} />; }} />
      )}
      {others.length > 0 && (
        <>
          <h3>Workers and others</h3>
          <Others systems={others} runs={runs} sourceOf={sourceOf} run={run} root={root} now={now} onRun={onRun} onSystem={onSystem} />
        </>
      )}
    </nav>
  );
}

/** A system that is looked at is followed by the branches that it runs. */
function Others({ systems, runs, sourceOf, run, root, now, onRun, onSystem }: Omit<Props, 'systems'> & { readonly systems: readonly SystemMessage[] }) {
  const rows = systems.flatMap((system): (SystemMessage | RunMessage)[] => (system.rootId === root ? [system, ...[...runs.values()].filter((each) => each.rootId === root)] : [system]));
  const picked = rows.findIndex((row) => (row.type === '@taskchart.run' ? row.sessionId === run : row.rootId === root && run === undefined));
  const pick = (index: number): void => {
    const row = rows[index];
    if (row?.type === '@taskchart.run') onRun(row.sessionId);
    else if (row !== undefined) onSystem(row.rootId);
  };
  return (
    <VirtualList length={rows.length} rowHeight={50} label="Workers and other systems" class="runs others" picked={picked} onPick={pick}
      row={(index) => {
        const row = rows[index];
        if (row === undefined) return null;
        return row.type === '@taskchart.run' ? <RunRow run={row} source={sourceOf(row.rootId)} now={now} /> : <SystemRow system={row} lost={sourceOf(row.rootId)?.state === 'lost'} />;
      }} />
  );
}

/** The newest first; a state changes no place. */
function sortedRuns(runs: ReadonlyMap<string, RunMessage>): RunMessage[] {
  const begun = (run: RunMessage): number => run.startedAt ?? Number(run.createdAt);
  return [...runs.values()].filter(({ origin }) => origin !== 'branch').sort((a, b) => begun(b) - begun(a) || (a.sessionId < b.sessionId ? 1 : -1));
}

function isOther(system: SystemMessage, runs: ReadonlyMap<string, RunMessage>): boolean {
  return !system.runs.some((session) => { const run = runs.get(session); return run !== undefined && run.origin !== 'branch'; });
}

function RunRow({ run, source, now }: { run: RunMessage; source: SourceMessage | undefined; now: number }) {
  const { tone, word } = runSeen(run, source);
  const ended = run.endedAt ?? (isFinal(run.state) || word !== run.state || run.origin === 'checkpoint' ? run.at : undefined);
  const { counts } = run;
  return (
    <div class="run-row">
      <Sign tone={tone} title={word} /><Name text={run.workflow} class="row-name" />
      <span class="number">{run.startedAt === undefined ? '' : ended === undefined ? runningFor(now - run.startedAt) : duration(ended - run.startedAt)}</span>
      <span class="run-sub">{run.origin === 'checkpoint' ? 'file, ' : run.origin === 'branch' ? 'branch, ' : ''}{word === 'running' ? '' : `${word}, `}{grouped(counts.done)} done{counts.failed > 0 ? `, ${grouped(counts.failed)} failed` : ''}</span>
      <span class="run-sub end">{run.startedAt === undefined ? '' : clock(run.startedAt)}</span>
    </div>
  );
}

function SystemRow({ system, lost }: { system: SystemMessage; lost: boolean }) {
  const facts = Object.entries(system.facts).map(([name, value]) => `${name} ${value}`).join(', ');
  return (
    <div class="run-row">
      <Sign tone={lost ? 'failed' : statusTone(system.status)} title={lost ? 'lost' : system.status} /><Name text={system.machine ?? system.name} class="row-name" />
      <span class="number">{lost ? 'lost' : valueText(system.value) || system.status}</span>
      <span class="run-sub wide">{facts === '' ? `${grouped(system.actors)} actors` : facts}</span>
    </div>
  );
}
