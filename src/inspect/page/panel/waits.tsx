/** Why a run is waiting: everything that has to happen before it can go on, with a way to do it where there is one. */
import type { Listed, Wait } from '../../messages.ts';
import { count, moment, oneLine, pretty, runningFor, until } from '../model/format.ts';
import { Name, Quiet, Sign } from '../views/parts.tsx';
import { SignalForm } from './signal-form.tsx';
import type { Ask } from './value.tsx';

interface Props {
  readonly waits: Listed<Wait>;
  readonly now: number;
  /** Present where signals may be sent now. */
  readonly ask?: Ask | undefined;
  readonly onNode: (node: string, group?: number) => void;
}

export function Waits({ waits, now, ask, onNode }: Props) {
  return (
    <ul class="waits">
      {waits.first.map((wait) => (
        <li key={'key' in wait ? `${wait.kind} ${wait.key}` : `${wait.kind} ${wait.group}`}>
          <OneWait wait={wait} now={now} ask={ask} onNode={onNode} />
        </li>
      ))}
      {waits.total > waits.first.length && <li><Quiet>and {count(waits.total - waits.first.length, 'more wait')}</Quiet></li>}
    </ul>
  );
}

/** What it waits for, in words. A kind that is not known says at least its name. */
function OneWait({ wait, now, ask, onNode }: Omit<Props, 'waits'> & { readonly wait: Wait }) {
  const node = <button type="button" class="link node-link" onClick={() => onNode(wait.node, wait.kind === 'members' ? wait.group : undefined)}><Name text={wait.node} /></button>;
  switch (wait.kind) {
    case 'units':
      return (
        <>
          <p><Sign tone="waiting" /><span class="why">{count(wait.count, 'unit')} on the queue <Name text={wait.queue} class="mono" /></span><span class="when">{runningFor(now - wait.since)}</span></p>
          {wait.reason !== undefined && <p class="because">{wait.reason}</p>}
        </>
      );
    case 'task':
      return <p><Sign tone="running" />{node}<span class="why">is running{wait.attempt > 1 ? `, attempt ${wait.attempt}` : ''}</span><span class="when">{runningFor(now - wait.since)}</span></p>;
    case 'members':
      return <p><Sign tone="running" />{node}<span class="why">has {count(wait.count, 'member')} running</span></p>;
    case 'retry':
      return (
        <>
          <p><Sign tone="retrying" />{node}<span class="why">is tried again, attempt {wait.attempt}</span><span class="when" title={moment(wait.dueAt, now)}>{until(wait.dueAt, now)}</span></p>
          {wait.error !== undefined && <p class="because">{oneLine(wait.error)}</p>}
        </>
      );
    case 'sleep':
      return <p><Sign tone="waiting" />{node}<span class="why">sleeps</span><span class="when" title={moment(wait.dueAt, now)}>{until(wait.dueAt, now)}</span></p>;
    case 'wait-timeout':
      return <p><Sign tone="waiting" />{node}<span class="why">gives up waiting</span><span class="when" title={moment(wait.dueAt, now)}>{until(wait.dueAt, now)}</span></p>;
    case 'signal':
      return (
        <>
          <p><Sign tone="waiting" />{node}<span class="why">{wait.asked ? 'asks' : 'waits for the signal'} <Name text={wait.signal} class="mono" /></span><span class="when">{runningFor(now - wait.since)}</span></p>
          {wait.question !== undefined && <pre class="value question">{pretty(wait.question)}</pre>}
          {ask !== undefined && <SignalForm ask={ask} name={wait.signal} />}
        </>
      );
    default:
      return <p><Sign tone="waiting" />{String((wait as { readonly kind: unknown }).kind)}</p>;
  }
}
