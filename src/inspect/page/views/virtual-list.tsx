/**
 * A list of any length with rows of one height, of which only those in view are drawn.
 *
 * Owns: scrolling, which row the keyboard is at. Does not own: what a row shows.
 *
 * Invariants
 * 1. The number of drawn rows depends on the height of the list alone.
 * 2. Rows that come in at the end move nothing; with `follow` the list stays at its end while it is there.
 */
import type { ComponentChildren } from 'preact';
import { useCallback, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

interface Props {
  readonly length: number;
  readonly rowHeight: number;
  readonly label: string;
  readonly row: (index: number) => ComponentChildren;
  /** Enter, Space or a click on a row. */
  readonly onPick?: ((index: number) => void) | undefined;
  readonly picked?: number | undefined;
  readonly follow?: boolean | undefined;
  readonly class?: string | undefined;
  /** The rows in view, after each change. */
  readonly onWindow?: ((from: number, to: number) => void) | undefined;
}

const OVERSCAN = 6;
/** Browsers cannot scroll further than some millions of pixels. */
const HEIGHT_LIMIT = 8_000_000;

export function VirtualList({ length, rowHeight, label, row, onPick, picked, follow, class: more = '', onWindow }: Props) {
  const id = useId();
  const element = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 400 });
  const [active, setActive] = useState(0);
  const atEnd = useRef(true);
  const height = Math.min(HEIGHT_LIMIT, length * rowHeight);

  const look = useCallback(() => {
    const list = element.current;
    if (list === null) return;
    atEnd.current = list.scrollTop + list.clientHeight >= list.scrollHeight - rowHeight;
    setView((before) => (before.top === list.scrollTop && before.height === list.clientHeight ? before : { top: list.scrollTop, height: list.clientHeight }));
  }, [rowHeight]);

  useLayoutEffect(() => {
    const list = element.current;
    if (list === null) return undefined;
    const observer = new ResizeObserver(look);
    observer.observe(list);
    return () => observer.disconnect();
  }, [look]);
  useLayoutEffect(() => {
    const list = element.current;
    if (list !== null && follow && atEnd.current) list.scrollTop = list.scrollHeight;
    look();
  }, [length, follow, look]);

  const share = height === 0 ? 0 : (length * rowHeight) / height;
  const first = Math.max(0, Math.min(length - 1, Math.floor((view.top * share) / rowHeight)) - OVERSCAN);
  const last = Math.min(length, first + Math.ceil(view.height / rowHeight) + 2 * OVERSCAN);
  useLayoutEffect(() => onWindow?.(first, last), [first, last, onWindow]);

  const go = (index: number): void => {
    const to = Math.max(0, Math.min(length - 1, index));
    setActive(to);
    const list = element.current;
    if (list === null) return;
    const top = (to * rowHeight) / share;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor(view.height / rowHeight) - 1);
    const moves: Record<string, number> = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: length - 1 };
    const to = moves[event.key];
    if (to !== undefined) go(to);
    else if ((event.key === 'Enter' || event.key === ' ') && onPick !== undefined && active < length) onPick(active);
    else return;
    event.preventDefault();
  };

  const rows: ComponentChildren[] = [];
  for (let index = first; index < last; index += 1) {
    // Beyond the limit a pixel stands for several rows; those in view keep their height.
    const top = share > 1 ? view.top + index * rowHeight - view.top * share : index * rowHeight;
    const pick = onPick === undefined ? undefined : () => { setActive(index); onPick(index); };
    rows.push(
      <div key={index} id={`${id}-${index}`} class={`row${index === active ? ' active' : ''}${index === picked ? ' picked' : ''}`} role="option" aria-selected={index === picked} aria-posinset={index + 1} aria-setsize={length} style={{ height: `${rowHeight}px`, transform: `translateY(${top}px)` }} onClick={pick}>
        {row(index)}
      </div>,
    );
  }
  return (
    <div ref={element} class={`virtual ${more}`} role="listbox" tabIndex={0} aria-label={label} aria-activedescendant={active >= first && active < last ? `${id}-${active}` : undefined} onScroll={look} onKeyDown={onKeyDown}>
      <div class="virtual-height" style={{ height: `${height}px` }}>{rows}</div>
    </div>
  );
}
