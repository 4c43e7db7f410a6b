/**
 * One node of the graph as a box: its state, and in few words how it is going.
 *
 * Owns: the words. Does not own: where the box is (layout/graph-layout.ts).
 *
 * Invariants
 * 1. The size of a box depends on no state: what is too long is cut, and whole in its title.
 * 2. A box whose state has not changed is not drawn again.
 */
import type { GraphNode } from '../../../core/graph.ts';
import type { ErrorSummary, TaskState } from '../../messages.ts';
import { sizes, type PlacedBox } from '../layout/graph-layout.ts';
import { duration, grouped, oneLine, runningFor } from '../model/format.ts';
import { elapsed, isActive, type Segments } from '../model/states.ts';
import { Bar, memo, Name, shallow, Sign } from './parts.tsx';

export interface NodeCardProps {
  readonly box: PlacedBox;
  readonly state: TaskState | undefined;
  readonly error: ErrorSummary | undefined;
  /** The name of the signal that it waits for. */
  readonly signal: string | undefined;
  /** Of what is inside, where there is something. */
  readonly segments: Segments | undefined;
  readonly selected: boolean;
  /** The one that the tab key comes to. */
  readonly stop: boolean;
  /** Changes only where a time runs on. */
  readonly now: number;
  readonly onPick: (id: string) => void;
  readonly onToggle: (id: string, open: boolean) => void;
}

export const NodeCard = memo(function NodeCard({ box, state, error, signal, segments, selected, stop, now, onPick, onToggle }: NodeCardProps) {
  const { id, node, shape, name } = box.node;
  const tone = state?.state ?? 'pending';
  const time = state === undefined ? undefined : elapsed(state, now);
  const timeText = time === undefined ? '' : isActive(state) ? runningFor(time) : duration(time);
  const words = wordsOf(node, state, { error, signal, segments }) + (box.node.onDemand && tone === 'pending' ? ', only on demand' : '');
  const style = { transform: `translate(${box.x}px, ${box.y}px)`, width: `${box.width}px`, height: `${box.height}px` };
  const share = progressShare(state);
  return (
    <div class={`node ${shape} t-${tone}${selected ? ' selected' : ''}${box.node.onDemand ? ' on-demand' : ''}`} data-box={id} data-state={tone} style={style}>
      <button type="button" class="node-body" tabIndex={stop ? 0 : -1} aria-pressed={selected} aria-label={`${name}, ${node.kind}, ${words}${timeText === '' ? '' : `, ${timeText}`}`} title={`${name === id ? id : `${name} (${id})`}\n${words}`} style={shape === 'open' ? { height: `${sizes.title}px` } : undefined} onClick={() => onPick(id)}>
        <Sign tone={tone} />
        <Name text={name} class="node-name" />
        <span class="node-time">{timeText}</span>
        <span class="node-words">{words}</span>
        {shape === 'closed' && segments !== undefined && <Bar segments={segments} />}
      </button>
      {shape !== 'card' && (
        <button type="button" class="toggle" tabIndex={-1} aria-expanded={shape === 'open'} aria-label={`${shape === 'open' ? 'Close' : 'Open'} ${name}`} title={shape === 'open' ? 'Close (o)' : 'Open (o)'} onClick={() => onToggle(id, shape !== 'open')}>
          <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><path d={shape === 'open' ? 'm2.5 4.5 3.5 3.5 3.5-3.5' : 'm4.5 2.5 3.5 3.5-3.5 3.5'} /></svg>
        </button>
      )}
      {share !== undefined && <span class="share"><i style={{ width: `${share * 100}%` }} /></span>}
    </div>
  );
}, (before, after) => {
  const [{ segments: a, ...rest }, { segments: b, ...other }] = [before, after];
  return shallow(rest, other) && (a === b || (a !== undefined && b !== undefined && shallow(a, b)));
});

function progressShare(state: TaskState | undefined): number | undefined {
  const progress = state?.progress;
  if (progress?.total === undefined || progress.total <= 0 || !isActive(state)) return undefined;
  return Math.min(1, Math.max(0, progress.done / progress.total));
}

/** The state in a word, and what is worth knowing of it. */
function wordsOf(node: GraphNode, state: TaskState | undefined, { error, signal, segments }: Pick<NodeCardProps, 'error' | 'signal' | 'segments'>): string {
  if (segments !== undefined && segments.size > 0 && (state === undefined || state.state !== 'pending')) return insideWords(segments);
  if (state === undefined || state.state === 'pending') return plannedWords(node);
  const words: string[] = [];
  if (state.state === 'failed') words.push(error === undefined ? 'failed' : oneLine(error));
  else if (state.state === 'waiting' && signal !== undefined) words.push(`waiting for ${signal}`);
  else if (state.state === 'retrying') words.push('to be retried');
  else words.push(state.state);
  if (isActive(state) && state.running + state.waiting + state.retrying > 1) words.push(`${grouped(state.running + state.waiting + state.retrying)} at once`);
  if (state.attempt > 1) words.push(node.kind === 'task' && node.retry !== undefined ? `attempt ${state.attempt} of ${node.retry.attempts}` : `attempt ${state.attempt}`);
  if (state.iteration > 0) words.push(`iteration ${grouped(state.iteration)}`);
  if (state.state === 'done' && state.done > 1) words.push(`${grouped(state.done)} times`);
  if (state.progress !== undefined && isActive(state)) words.push(progressWords(state.progress));
  return words.join(' · ');
}

function progressWords({ done, total, note }: NonNullable<TaskState['progress']>): string {
  const numbers = total === undefined ? grouped(done) : `${grouped(done)}/${grouped(total)}`;
  return note === undefined ? numbers : `${numbers} ${note}`;
}

function insideWords({ size, done, failed, running, waiting, retrying }: Segments): string {
  const parts = [`${grouped(done)}/${grouped(size)} done`];
  for (const [value, word] of [[failed, 'failed'], [running, 'running'], [retrying, 'retrying'], [waiting, 'waiting']] as const) if (value > 0) parts.push(`${grouped(value)} ${word}`);
  return parts.join(' · ');
}

function plannedWords(node: GraphNode): string {
  switch (node.kind) {
    case 'wait':
      return `waits for ${node.signal}`;
    case 'sleep':
      return `sleeps ${duration(node.delayMs)}`;
    case 'parallel':
      return `${grouped(node.members.length)} in parallel`;
    case 'dag':
      return `${grouped(node.members.length)} nodes`;
    case 'each':
      return 'for each item';
    case 'scope':
      return node.workflow === undefined ? 'sequence' : `workflow ${node.workflow}`;
    case 'task':
      return 'pending';
  }
}
