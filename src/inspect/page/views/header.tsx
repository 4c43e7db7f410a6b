/**
 * The run that is looked at in one line, and what can be asked of it.
 *
 * Owns: the buttons and the question before a run is cancelled. Does not own: what is allowed (`RunMessage.control`, app.tsx).
 *
 * Invariant: nothing is cancelled without a second click.
 */
import { useRef, useState } from 'preact/hooks';
import type { RunMessage, SourceMessage } from '../../messages.ts';
import type { Command, CommandAnswer } from '../../protocol.ts';
import { duration, grouped, runningFor } from '../model/format.ts';
import type { LinkState } from '../model/connection.ts';
import { isFinal, runSeen } from '../model/states.ts';
import { Badge, Name } from './parts.tsx';

interface Props {
  readonly title: string | undefined;
  readonly run: RunMessage | undefined;
  readonly source: SourceMessage | undefined;
  readonly link: LinkState;
  readonly now: number;
  /** Present where commands can be sent now. */
  readonly ask: ((command: Command) => Promise<CommandAnswer>) | undefined;
  /** Absent where there is nothing to list. */
  readonly onRail: (() => void) | undefined;
  readonly railOpen: boolean;
  readonly onHelp: () => void;
}

const linkWords: Readonly<Record<LinkState, string>> = { connecting: 'connecting', live: 'live', lost: 'connection lost, trying again', refused: 'token refused' };

export function Header({ title, run, source, link, now, ask, onRail, railOpen, onHelp }: Props) {
  return (
    <header class="top">
      {onRail !== undefined && <button type="button" class="button rail-button" aria-expanded={railOpen} aria-controls="rail" onClick={onRail}>Runs</button>}
      {run === undefined
        ? <div class="top-run"><h1>{title === undefined ? 'taskchart' : <Name text={title} />}</h1></div>
        : <RunLine run={run} source={source} now={now} />}
      {run !== undefined && <Controls run={run} ask={ask} />}
      <span class={`link-state ${link}`} role="status"><i />{linkWords[link]}</span>
      <button type="button" class="button icon" aria-label="Keys and help" title="Keys and help (?)" onClick={onHelp}>?</button>
    </header>
  );
}

function RunLine({ run, source, now }: { run: RunMessage; source: SourceMessage | undefined; now: number }) {
  const { counts, startedAt } = run;
  const { tone, word } = runSeen(run, source);
  const ended = run.endedAt ?? (isFinal(run.state) || word === 'lost' || word === 'left' || run.origin === 'checkpoint' ? run.at : undefined);
  const busy = [[counts.running, 'running'], [counts.waiting, 'waiting'], [counts.retrying, 'retrying'], [counts.queued, 'queued']] as const;
  return (
    <div class="top-run">
      <h1><Name text={run.workflow} /></h1>
      {run.runId !== undefined && <Name text={run.runId} class="run-id mono" />}
      <Badge tone={tone} word={word} />
      {startedAt !== undefined && <span class="number elapsed">{ended === undefined ? runningFor(now - startedAt) : duration(ended - startedAt)}</span>}
      <span class="counts">
        <span><b>{grouped(counts.done)}</b> done</span>
        {counts.failed > 0 && <span class="t-failed"><b>{grouped(counts.failed)}</b> failed</span>}
        {busy.map(([value, name]) => value > 0 && <span key={name}><b>{grouped(value)}</b> {name}</span>)}
      </span>
    </div>
  );
}

function Controls({ run, ask }: { run: RunMessage; ask: Props['ask'] }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState('');
  const [said, setSaid] = useState('');
  const offered = ask === undefined ? [] : run.control;
  const send = (command: Command): void => {
    setSaid('');
    void ask?.(command).then((answer) => setSaid(answer.ok ? '' : answer.error.message));
  };
  return (
    <div class="controls">
      {said !== '' && <span class="said bad" role="alert">{said}</span>}
      {offered.includes('pause') && <button type="button" class="button" onClick={() => send({ kind: 'pause' })}>Pause</button>}
      {offered.includes('resume') && <button type="button" class="button primary" onClick={() => send({ kind: 'resume' })}>Resume</button>}
      {offered.includes('cancel') && <button type="button" class="button danger" onClick={() => dialog.current?.showModal()}>Cancel…</button>}
      {offered.includes('cancel') && <dialog ref={dialog} class="dialog" aria-label="Cancel the run">
        <form method="dialog" onSubmit={() => send(reason.trim() === '' ? { kind: 'cancel' } : { kind: 'cancel', reason: reason.trim() })}>
          <h2>Cancel this run?</h2>
          <p>What is in flight is aborted. It cannot be taken back.</p>
          <input class="field" placeholder="Why? (optional)" aria-label="Reason" value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
          <p class="form-line end"><button type="button" class="button" onClick={() => dialog.current?.close()}>Keep it running</button><button type="submit" class="button danger full">Cancel the run</button></p>
        </form>
      </dialog>}
    </div>
  );
}
