/** The queue, what is in flight, what was kept for later, and the channel. */
import type { ComponentChildren } from 'preact';
import type { RunPicture } from '../../fold.ts';
import type { Listed, PlaceInFlight, PlaceInQueue } from '../../messages.ts';
import { grouped, pretty, runningFor } from '../model/format.ts';
import { Name, Quiet } from './parts.tsx';

interface Props {
  readonly picture: RunPicture;
  readonly now: number;
  readonly onNode: (node: string, group?: number, member?: number) => void;
}

export function QueueView({ picture, now, onNode }: Props) {
  const { status } = picture;
  if (status === undefined) return <div class="blank"><Quiet>Nothing was heard of the queue yet.</Quiet></div>;
  const signals = Object.entries(status.keptSignals);
  const channel = Object.entries(status.channel);
  return (
    <div class="queue">
      <Table title="In flight" list={status.inFlight} empty="Nothing is being executed." heads={['Task', 'Execution', 'Attempt', 'Iteration', 'For']} row={(place: PlaceInFlight) => [
        <NodeLink place={place} onNode={onNode} />, <Name text={place.key} class="cell-key mono" />, place.attempt, place.iteration, runningFor(now - place.since),
      ]} />
      <Table title="Queue" list={status.queue} empty="The queue is empty." heads={['Task', 'Execution', 'Attempt']} row={(place: PlaceInQueue) => [
        <NodeLink place={place} onNode={onNode} />, <Name text={place.key} class="cell-key mono" />, place.attempt,
      ]} />
      <section class="section">
        <header><h3>Signals kept for later</h3></header>
        {signals.length === 0 ? <Quiet>None came before someone waited for it.</Quiet> : <ul class="plain">{signals.map(([name, count]) => <li key={name}><Name text={name} class="mono" /> <span class="number">{grouped(count)}</span></li>)}</ul>}
      </section>
      <section class="section">
        <header><h3>Channel</h3></header>
        {channel.length === 0 ? <Quiet>It is empty.</Quiet> : channel.map(([key, value]) => <div key={key} class="pair"><Name text={key} class="mono" /><pre class="value">{pretty(value)}{value.cut ? '…' : ''}</pre></div>)}
      </section>
    </div>
  );
}

function NodeLink({ place, onNode }: { place: PlaceInQueue & Partial<Pick<PlaceInFlight, 'group' | 'index'>>; onNode: Props['onNode'] }) {
  return <button type="button" class="link" onClick={() => onNode(place.node, place.group, place.index)}><Name text={place.node} /></button>;
}

interface TableProps<T> {
  readonly title: string;
  readonly list: Listed<T>;
  readonly empty: string;
  readonly heads: readonly string[];
  readonly row: (item: T) => readonly ComponentChildren[];
}

function Table<T extends PlaceInQueue>({ title, list, empty, heads, row }: TableProps<T>) {
  const more = list.total - list.first.length;
  return (
    <section class="section table">
      <header><h3>{title}</h3><span class="aside">{grouped(list.total)}</span></header>
      {list.first.length === 0 ? <Quiet>{empty}</Quiet> : (
        <table>
          <thead><tr>{heads.map((head) => <th key={head} scope="col">{head}</th>)}</tr></thead>
          <tbody>{list.first.map((item, at) => <tr key={`${item.key} ${at}`}>{row(item).map((cell, index) => <td key={index}>{cell}</td>)}</tr>)}</tbody>
        </table>
      )}
      {more > 0 && <Quiet>and {grouped(more)} more</Quiet>}
    </section>
  );
}
