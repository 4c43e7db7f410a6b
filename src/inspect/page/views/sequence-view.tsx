/**
 * Messages between actors, one line each, in the order in which they were sent.
 *
 * Owns: which actors have a lane, which messages are shown. Does not own: the list of messages (system-model.ts).
 */
import { useState } from 'preact/hooks';
import type { EventMessage } from '../../messages.ts';
import { clock, grouped } from '../model/format.ts';
import type { SystemModel } from '../model/system-model.ts';
import { actorTree } from './chart-view.tsx';
import { Name, Quiet } from './parts.tsx';
import { VirtualList } from './virtual-list.tsx';

const LANES = 7;
const OUTSIDE = '';

interface Lane {
  readonly id: string;
  readonly name: string;
}

interface Props {
  readonly model: SystemModel;
  readonly live: boolean;
}

export function SequenceView({ model, live }: Props) {
  const [hidden, setHidden] = useState<ReadonlySet<string> | undefined>();
  const [text, setText] = useState('');
  const [picked, setPicked] = useState<EventMessage | undefined>();
  const all = lanesOf(model);
  const off = hidden ?? new Set(all.slice().sort((a, b) => b.count - a.count).slice(LANES).map(({ id }) => id));
  const lanes = all.filter(({ id }) => !off.has(id));
  const at = new Map(lanes.map(({ id }, index) => [id, index]));
  const wanted = text.trim().toLowerCase();
  const shown = model.events.filter((event) => at.has(event.sessionId) && at.has(senderOf(model, event)) && (wanted === '' || event.event.type.toLowerCase().includes(wanted)));
  const others = model.events.length - shown.length;
  const toggle = (id: string): void => {
    const next = new Set(off);
    if (!next.delete(id)) next.add(id);
    setHidden(next);
  };
  return (
    <div class="sequence">
      <div class="bar-line">
        <input class="field filter" type="search" placeholder="Filter by event" aria-label="Filter messages by event" value={text} onInput={(event) => setText(event.currentTarget.value)} />
        <details class="menu"><summary class="button">Actors ({lanes.length} of {all.length})</summary>
          <div class="menu-body">{all.map(({ id, name, count }) => <label key={id}><input type="checkbox" checked={!off.has(id)} onChange={() => toggle(id)} /> <Name text={name} /> <span class="number">{grouped(count)}</span></label>)}</div>
        </details>
        <span class="quiet">{grouped(shown.length)} shown{others > 0 ? `, ${grouped(others)} not` : ''}{model.forgotten > 0 ? `, ${grouped(model.forgotten)} older ones forgotten` : ''}</span>
      </div>
      <div class="lanes" aria-hidden="true">
        <span class="lane-time" />
        <div class="lane-heads">{lanes.map(({ id, name }) => <span key={id} class="lane-head"><Name text={name} /></span>)}</div>
      </div>
      <div class="lane-body">
        <div class="life-lines" aria-hidden="true">{lanes.map(({ id }) => <i key={id} />)}</div>
        {shown.length === 0 && <div class="blank over"><Quiet>No messages{model.events.length === 0 ? ' were seen yet' : ' fit'}.</Quiet></div>}
        <VirtualList length={shown.length} rowHeight={26} label="Messages" follow={live} picked={picked === undefined ? undefined : shown.indexOf(picked)} onPick={(index) => setPicked(shown[index])}
          row={(index) => { const event = shown[index]; return event === undefined ? null : <Message event={event} from={at.get(senderOf(model, event)) ?? 0} to={at.get(event.sessionId) ?? 0} lanes={lanes} />; }} />
      </div>
      <div class="drawer">
        {picked === undefined ? <Quiet>Pick a message to see what it holds.</Quiet> : <EventText event={picked} model={model} />}
      </div>
    </div>
  );
}

/** Who sends but was never announced is as good as someone outside. */
function senderOf(model: SystemModel, { sourceId }: EventMessage): string {
  return sourceId !== undefined && model.picture.actors.has(sourceId) ? sourceId : OUTSIDE;
}

function lanesOf(model: SystemModel): (Lane & { readonly count: number })[] {
  const counts = new Map<string, number>();
  const add = (id: string): void => { counts.set(id, (counts.get(id) ?? 0) + 1); };
  for (const event of model.events) {
    add(event.sessionId);
    add(senderOf(model, event));
  }
  const lanes = actorTree(model).map(({ actor }) => ({ id: actor.actor.sessionId, name: actor.actor.name, count: counts.get(actor.actor.sessionId) ?? 0 }));
  const outside = counts.get(OUTSIDE);
  return [...(outside === undefined ? [] : [{ id: OUTSIDE, name: 'outside', count: outside }]), ...lanes.filter(({ count }) => count > 0)];
}

function Message({ event, from, to, lanes }: { event: EventMessage; from: number; to: number; lanes: readonly Lane[] }) {
  const share = (index: number): number => ((index + 0.5) / Math.max(1, lanes.length)) * 100;
  const [left, right] = [Math.min(share(from), share(to)), Math.max(share(from), share(to))];
  const self = from === to;
  const style = self ? { left: `${left}%`, width: '26px' } : { left: `${left}%`, width: `${right - left}%` };
  const label = <span class="message-type">{event.event.type}{event.skipped ? <em> +{grouped(event.skipped)} left out</em> : null}</span>;
  return (
    <>
      <span class="lane-time">{clock(Number(event.createdAt), true)}</span>
      <span class="message-lane">
        <span class={`message ${self ? 'self' : from < to ? 'right' : 'left'}`} style={style}>{label}</span>
      </span>
      <span class="hidden">from {lanes[from]?.name} to {lanes[to]?.name}</span>
    </>
  );
}

function EventText({ event, model }: { event: EventMessage; model: SystemModel }) {
  const name = (id: string): string => model.picture.actors.get(id)?.actor.name ?? 'outside';
  return (
    <>
      <p class="drawer-head"><strong class="mono">{event.event.type}</strong> <span class="quiet">from <Name text={name(senderOf(model, event))} /> to <Name text={name(event.sessionId)} /> at {clock(Number(event.createdAt), true)}</span></p>
      <pre class="value">{JSON.stringify(event.event, null, 2)}</pre>
    </>
  );
}
