/**
 * All runs that the relay knows, and the other systems: workers with the branches that they execute, machines of one's own.
 *
 * Owns: the filter, which branches are shown, how rows look. Does not own: the order of rows and what is folded
 * (model/run-rows.ts), which one is looked at (model/store.ts).
 *
 * Invariant: a change of state moves no run; only what is new comes in, on top.
 */
import { useState } from 'preact/hooks';
import type { RunMessage, SourceMessage, SystemMessage } from '../../messages.ts';
import { valueText } from '../chart/definition.ts';
import { clock, duration, grouped, runningFor } from '../model/format.ts';
import { fits, listedRuns, otherRows, shortId, type OtherRow } from '../model/run-rows.ts';
import { isFinal, runSeen } from '../model/states.ts';
import { statusTone } from './chart-view.tsx';
import { Name, Quiet, Sign } from './parts.tsx';
import { VirtualList } from './virtual-list.tsx';

interface Props {
  readonly runs: ReadonlyMap<string, RunMessage>;
  readonly systems: ReadonlyMap<string, SystemMessage>;
  readonly sources: ReadonlyMap<string, SourceMessage>;
  readonly sourceOf: (rootId: string) => SourceMessage | undefined;
  readonly run: string | undefined;
  readonly root: string | undefined;
  readonly now: number;
  readonly onRun: (session: string) => void;
  readonly onSystem: (rootId: string) => void;
}

export function RunList(props: Props) {
  const { runs, sources, sourceOf, run, now, onRun } = props;
  const [text, setText] = useState('');
  const wanted = text.trim().toLowerCase();
  const all = listedRuns(runs, sources);
  const listed = all.filter((each) => fits(wanted, each.run.workflow, each.run.runId, each.run.state));
  return (
    <nav class="rail" id="rail" aria-label="Runs">
      <div class="rail-head"><input class="field filter" type="search" placeholder="Filter runs" aria-label="Filter runs" value={text} onInput={(event) => setText(event.currentTarget.value)} /></div>
      {listed.length === 0 && <Quiet>{all.length === 0 ? 'No runs yet.' : 'None fits.'}</Quiet>}
      {listed.length > 0 && (
        <VirtualList length={listed.length} rowHeight={66} label="Runs" class="runs" picked={listed.findIndex((each) => each.run.sessionId === run)} onPick={(index) => { const session = listed[index]?.run.sessionId; if (session !== undefined) onRun(session); }}
          row={(index) => { const each = listed[index]; return each === undefined ? null : <RunRow run={each.run} earlier={each.earlier} source={sourceOf(each.run.rootId)} now={now} />; }} />
      )}
      <Others {...props} wanted={wanted} />
    </nav>
  );
}

function Others({ wanted, runs, systems, sources, sourceOf, run, root, now, onRun, onSystem }: Props & { readonly wanted: string }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(() => new Set());
  const rows = otherRows({ runs, systems, sources, open, wanted });
  if (rows.length === 0) return null;
  const pick = (index: number): void => {
    const row = rows[index];
    if (row?.kind === 'system') onSystem(row.system.rootId);
    else if (row?.kind === 'branch') onRun(row.run.sessionId);
    else if (row?.kind === 'fold') setOpen(new Set(row.open ? [...open].filter((each) => each !== row.source) : [...open, row.source]));
  };
  return (
    <>
      <h3>Workers and others</h3>
      <VirtualList length={rows.length} rowHeight={66} label="Workers and other systems" class="runs others" picked={pickedOf(rows, run, root)} onPick={pick}
        row={(index) => {
          const row = rows[index];
          switch (row?.kind) {
            case undefined: return null;
            case 'system': return <SystemRow system={row.system} lost={sourceOf(row.system.rootId)?.state === 'lost'} />;
            case 'branch': return <RunRow run={row.run} source={sourceOf(row.run.rootId)} now={now} />;
            case 'fold': return <FoldRow text={row.text} open={row.open} />;
            case 'more': return <div class="run-row"><span class="run-sub wide">and {grouped(row.count)} more</span></div>;
          }
        }} />
    </>
  );
}

/** A branch that is looked at is in its fold, when that is closed. */
function pickedOf(rows: readonly OtherRow[], run: string | undefined, root: string | undefined): number {
  const exact = rows.findIndex((row) => (row.kind === 'branch' ? row.run.sessionId === run : row.kind === 'system' && row.system.rootId === root && run === undefined));
  return exact !== -1 || run === undefined ? exact : rows.findIndex((row) => row.kind === 'fold' && row.branches.some(({ sessionId }) => sessionId === run));
}

function FoldRow({ text, open }: { text: string; open: boolean }) {
  return (
    <div class="run-row fold">
      <svg class="sign" width="14" height="14" viewBox="0 0 14 14" aria-hidden="true"><path d={open ? 'm3 5 4 4 4-4' : 'm5 3 4 4-4 4'} /></svg>
      <span class="row-text">{text}</span><span class="number">{open ? 'Hide' : 'Show'}</span>
      <span class="run-sub wide">of runs that are led elsewhere</span>
    </div>
  );
}

function RunRow({ run, earlier = false, source, now }: { run: RunMessage; earlier?: boolean; source: SourceMessage | undefined; now: number }) {
  const { tone, word } = runSeen(run, source);
  const ended = run.endedAt ?? (isFinal(run.state) || word !== run.state || run.origin === 'checkpoint' ? run.at : undefined);
  const { counts, runId } = run;
  const kind = run.origin === 'checkpoint' ? 'file, ' : run.origin === 'branch' ? 'branch, ' : earlier ? 'earlier process, ' : '';
  return (
    <div class="run-row">
      <Sign tone={tone} title={word} /><Name text={run.workflow} class="row-name" />
      <span class="number">{run.startedAt === undefined ? '' : ended === undefined ? runningFor(now - run.startedAt) : duration(ended - run.startedAt)}</span>
      {runId !== undefined && <bdi class="run-sub wide mono" title={runId}>{shortId(runId)}</bdi>}
      <span class="run-sub">{kind}{word === 'running' ? '' : `${word}, `}{grouped(counts.done)} done{counts.failed > 0 ? `, ${grouped(counts.failed)} failed` : ''}</span>
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
