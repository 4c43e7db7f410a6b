/** Everything about one actor. */
import type { ActorPicture } from '../../fold.ts';
import { valueText } from '../chart/definition.ts';
import { clock } from '../model/format.ts';
import type { Transition } from '../model/system-model.ts';
import { statusTone } from '../views/chart-view.tsx';
import { Badge, Copy, Facts, Name, Quiet, Section } from '../views/parts.tsx';
import type { Json } from '../../../core/json-type.ts';

export function ActorPanel({ actor, transitions }: { actor: ActorPicture; transitions: readonly Transition[] }) {
  const snapshot = actor.last?.snapshot ?? actor.actor.snapshot;
  const value = valueText(snapshot.value);
  return (
    <div class="panel-body" key={actor.actor.sessionId}>
      <header class="panel-head">
        <div class="panel-title"><h2><Name text={actor.actor.name} /></h2></div>
        <div class="panel-sub"><Badge tone={statusTone(snapshot.status)} word={snapshot.status} /><span class="kind">{actor.actor.definition === undefined ? 'actor' : 'state machine'}</span></div>
      </header>
      <Facts rows={[
        value !== '' && ['State', <span class="mono">{value.length > 400 ? `${value.slice(0, 400)}…` : value}</span>],
        ['Session', <Name text={actor.actor.sessionId} class="mono" />],
        actor.last !== undefined && ['Last event', <Name text={actor.last.event.type} class="mono" />],
        (snapshot.tags?.length ?? 0) > 0 && ['Tags', (snapshot.tags ?? []).join(', ')],
      ]} />
      <Section title="Transitions">
        {transitions.length === 0 ? <Quiet>None were seen since this page is open.</Quiet> : (
          <ol class="transitions">
            {transitions.slice(-12).toReversed().map((each, index) => (
              <li key={`${each.at} ${index}`} class={index === 0 ? 'latest' : ''}>
                <span class="lane-time">{clock(each.at, true)}</span><Name text={each.event} class="transition-event mono" />
                <span class="transition-states">{valueText(each.from) || 'start'} → {valueText(each.to)}</span>
              </li>
            ))}
          </ol>
        )}
      </Section>
      <Json title="Context" value={snapshot.context} />
      <Json title="Output" value={snapshot.output} />
      <Json title="Error" value={snapshot.error} />
    </div>
  );
}

function Json({ title, value }: { title: string; value: Json | undefined }) {
  if (value === undefined) return null;
  const text = JSON.stringify(value, null, 2);
  return <Section title={title} aside={<Copy text={text} />}><pre class="value" tabIndex={0} aria-label={title}>{text}</pre></Section>;
}
