/**
 * Everything about a run: why it waits, how it stands, what it was given and gave.
 *
 * Owns: the order of these parts: what someone can do about it comes first. Does not own: single waits (waits.tsx), values (value.tsx).
 */
import type { RunPicture } from '../../fold.ts';
import type { RunMessage, SourceMessage } from '../../messages.ts';
import { count, duration, grouped, moment, runningFor } from '../model/format.ts';
import { isFinal, runSeen } from '../model/states.ts';
import { Badge, Copy, Facts, Name, Quiet, Section } from '../views/parts.tsx';
import { SignalForm } from './signal-form.tsx';
import { ErrorText, Value, type Ask } from './value.tsx';
import { Waits } from './waits.tsx';

interface Props {
  readonly run: RunMessage;
  readonly picture: RunPicture | undefined;
  readonly source: SourceMessage | undefined;
  readonly now: number;
  readonly ask: Ask | undefined;
  readonly signals: boolean;
  readonly continuation: RunMessage | undefined;
  readonly onRun: (session: string) => void;
  readonly onNode: (node: string, group?: number) => void;
}

export function RunPanel({ run, picture, source, now, ask, signals, continuation, onRun, onNode }: Props) {
  const { tone, word } = runSeen(run, source);
  const waits = picture?.status?.waitsFor;
  return (
    <div class="panel-body">
      <header class="panel-head">
        <div class="panel-title"><h2><Name text={run.workflow} /></h2></div>
        <div class="panel-sub"><Badge tone={tone} word={word} /><span class="kind">{originText(run)}</span></div>
      </header>
      {(word === 'lost' || word === 'left') && <Gone word={word} continuation={continuation} onRun={onRun} />}
      {run.error !== undefined && <Section title={run.state === 'cancelled' ? 'Why it was cancelled' : 'Why it failed'}><ErrorText error={run.error} /></Section>}
      {waits !== undefined && waits.total > 0 && !isFinal(run.state) && (
        <Section title={run.state === 'waiting' ? 'Why it is waiting' : 'What it waits for'} aside={grouped(waits.total)}>
          <Waits waits={waits} now={now} ask={signals ? ask : undefined} onNode={onNode} />
        </Section>
      )}
      <Facts rows={factRows(run, source, now)} />
      <Value title="Input" value={picture?.input} ask={ask} which="input" of={{ run: true }} />
      <Value title="Output" value={picture?.output} ask={ask} which="output" of={{ run: true }} />
      {signals && ask !== undefined && <details class="section"><summary>Send another signal</summary><SignalForm ask={ask} /></details>}
    </div>
  );
}

function factRows(run: RunMessage, source: SourceMessage | undefined, now: number): Parameters<typeof Facts>[0]['rows'] {
  const { counts } = run;
  const ended = run.endedAt ?? (isFinal(run.state) ? run.at : undefined);
  return [
    run.runId !== undefined && ['Run', <><Name text={run.runId} class="mono" /> <Copy text={run.runId} /></>],
    run.startedAt !== undefined && ['Started', moment(run.startedAt, now)],
    run.startedAt !== undefined && [ended === undefined ? 'For' : 'Took', ended === undefined ? runningFor(now - run.startedAt) : duration(ended - run.startedAt)],
    ['Executions', `${grouped(counts.done)} done${counts.failed > 0 ? `, ${grouped(counts.failed)} failed` : ''}, ${grouped(run.steps)} started`],
    ['Now', nowText(counts)],
    ['Revision', grouped(run.revision)],
    source !== undefined && ['Process', processText(source)],
    source !== undefined && source.dropped > 0 && ['Not sent', `${count(source.dropped, 'message')} that the process could not send in time`],
  ];
}

function nowText(counts: RunMessage['counts']): string {
  const parts = [[counts.running, 'running'], [counts.queued, 'queued'], [counts.waiting, 'waiting'], [counts.retrying, 'retrying']] as const;
  return parts.filter(([value]) => value > 0).map(([value, word]) => `${grouped(value)} ${word}`).join(', ') || 'nothing under way';
}

export function processText({ kind, host, pid, title }: SourceMessage): string {
  if (kind === 'file') return title ?? 'file';
  const parts = [title, kind === 'browser' ? 'browser' : undefined, pid === undefined ? undefined : `pid ${pid}`, host];
  return parts.filter((part) => part !== undefined && part !== '').join(', ') || kind;
}

function originText({ origin }: RunMessage): string {
  return origin === 'checkpoint' ? 'read from a checkpoint file, no process runs it' : origin === 'branch' ? 'branch of another run' : '';
}

function Gone({ word, continuation, onRun }: { word: string; continuation: RunMessage | undefined; onRun: Props['onRun'] }) {
  return (
    <div class="notice">
      <p>{word === 'lost' ? 'Its process has gone without a word; it may have crashed. This is the last that was heard of it.' : 'Its process has ended before the run had.'}</p>
      {continuation === undefined
        ? <Quiet>With a store it can be resumed: <code>taskchart resume</code>. It then goes on here.</Quiet>
        : <button type="button" class="button" onClick={() => onRun(continuation.sessionId)}>It goes on in another process: look there</button>}
    </div>
  );
}
