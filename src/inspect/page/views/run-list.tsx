/** All runs that the relay knows, and the other systems: workers, machines of one's own. */
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
          <VirtualList length={others.length} rowHeight={50} label="Workers and other systems" class="runs others" picked={run === undefined ? others.findIndex(({ rootId }) => rootId === root) : undefined} onPick={(index) => { const id = others[index]?.rootId; if (id !== undefined) onSystem(id); }}
            row={(index) => { const each = others[index]; return each === undefined ? null : <SystemRow system={each} lost={sourceOf(each.rootId)?.state === 'lost'} />; }} />
        </>
      )}
    </nav>
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
      <span class="run-sub">{run.origin === 'checkpoint' ? 'file, ' : ''}{word === 'running' ? '' : `${word}, `}{grouped(counts.done)} done{counts.failed > 0 ? `, ${grouped(counts.failed)} failed` : ''}</span>
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
