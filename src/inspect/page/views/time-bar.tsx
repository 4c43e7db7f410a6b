/** The way back through the received history, and to the present again. */
import { useRef } from 'preact/hooks';
import type { Past } from '../model/store.ts';
import { clock, duration, grouped } from '../model/format.ts';

interface Props {
  readonly past: Past | undefined;
  readonly trouble: string | undefined;
  readonly startedAt: number | undefined;
  readonly now: number;
  readonly disabled: boolean;
  readonly onEnter: (share: number) => void;
  readonly onIndex: (index: number) => void;
  readonly onLive: () => void;
}

const STEPS = 1000;

export function TimeBar({ past, trouble, startedAt, now, disabled, onEnter, onIndex, onLive }: Props) {
  const asked = useRef(false);
  const length = past?.replay.length ?? 0;
  if (past !== undefined) asked.current = false;
  const max = past === undefined ? STEPS : Math.max(1, length - 1);
  const value = past === undefined ? STEPS : past.index;
  const at = past === undefined ? now : past.replay.timeOf(past.index);
  const slide = (to: number): void => {
    if (past !== undefined) onIndex(to);
    else if (to < STEPS && !asked.current) {
      asked.current = true;
      onEnter(to / STEPS);
    }
  };
  const step = (by: number): void => {
    if (past === undefined) onEnter(1);
    else onIndex(past.index + by);
  };
  const since = startedAt === undefined ? '' : `${at < startedAt ? '−' : '+'}${duration(Math.abs(at - startedAt))}`;
  const words = past === undefined ? 'now' : `${clock(at, true)}, ${since} after the start`;
  return (
    <footer class={`time${past === undefined ? '' : ' in-past'}`}>
      <button type="button" class="tool" disabled={disabled} aria-label="One step back" title="One step back (,)" onClick={() => step(-1)}>‹</button>
      <button type="button" class="tool" disabled={disabled || past === undefined} aria-label="One step on" title="One step on (.)" onClick={() => step(1)}>›</button>
      <input type="range" class="slider" min={0} max={max} step={1} value={value} disabled={disabled} aria-label="History" aria-valuetext={words}
        onInput={(event) => slide(Number(event.currentTarget.value))} />
      <span class="time-at number">{trouble !== undefined ? <span class="bad">{trouble}</span> : <>{clock(at, past !== undefined)} <span class="quiet">{past === undefined ? '' : since}</span></>}</span>
      <span class="time-step number quiet">{past === undefined ? '' : `${grouped(past.index + 1)} of ${grouped(length)}`}</span>
      <button type="button" class={`button live${past === undefined ? ' on' : ''}`} aria-pressed={past === undefined} title="Back to now (l)" onClick={onLive}><i />{past === undefined ? 'Live' : 'Back to live'}</button>
    </footer>
  );
}
