/**
 * What part of a drawing is in view, and every way to change it: wheel, drag, zoom, bringing a box into view.
 *
 * Owns: the transform of one element. Does not own: what is drawn in it.
 *
 * Invariants
 * 1. Moving draws nothing anew but the transform; `onView` is told once it has moved far.
 * 2. What is looked at is kept by name, so that coming back shows the same part.
 */
export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

const MARGIN = 24;
const [SMALLEST, LARGEST] = [0.04, 2];
/** At first nothing is drawn smaller than one can read. */
const READABLE = 0.55;
const kept = new Map<string, Place>();

export class Viewport {
  size = { width: 0, height: 0 };
  onView: ((area: Area) => void) | undefined;
  #name = '';
  #view: HTMLElement | null = null;
  #content: HTMLElement | null = null;
  #place: Place = { x: 0, y: 0, scale: 1 };
  #told: Area | undefined;

  /** What is shown from now on. */
  show(name: string): void {
    this.#name = name;
    this.#told = undefined;
    const before = kept.get(name);
    if (before !== undefined) this.#move(before);
    else if (this.size.width > 0) this.fit(READABLE);
  }

  fit(smallest = SMALLEST): void {
    const view = this.#view;
    if (view === null || view.clientWidth === 0) return;
    const [free, tall] = [view.clientWidth - 2 * MARGIN, view.clientHeight - 2 * MARGIN];
    const { width, height } = this.size;
    const scale = Math.max(smallest, Math.min(1, free / Math.max(1, width), tall / Math.max(1, height)));
    const x = width * scale <= free ? MARGIN + (free - width * scale) / 2 : MARGIN;
    const y = height * scale <= tall ? MARGIN + Math.min(40, (tall - height * scale) / 2) : MARGIN;
    this.#move({ x, y, scale });
  }

  /** Around the middle of what is in view. */
  zoom(factor: number): void {
    if (this.#view !== null) this.#zoomAt(factor, this.#view.clientWidth / 2, this.#view.clientHeight / 2);
  }

  /** Moves by as much, in the drawing's own measure. */
  shift(dx: number, dy: number): void {
    const { x, y, scale } = this.#place;
    this.#move({ x: x + dx * scale, y: y + dy * scale, scale });
  }

  /** Brings an area into view, moving as little as it can. */
  reveal(area: Area): void {
    const view = this.#view;
    if (view === null) return;
    const { x, y, scale } = this.#place;
    const dx = nudge(area.x * scale + x, area.width * scale, view.clientWidth);
    const dy = nudge(area.y * scale + y, area.height * scale, view.clientHeight);
    if (dx !== 0 || dy !== 0) this.#move({ x: x + dx, y: y + dy, scale });
  }

  /** Wheel and trackpad move, with Ctrl (or a pinch) they zoom; dragging the ground moves. */
  attach(view: HTMLElement, content: HTMLElement): () => void {
    [this.#view, this.#content] = [view, content];
    const off = new AbortController();
    const { signal } = off;
    view.addEventListener('wheel', (event) => this.#wheel(view, event), { signal, passive: false });
    let drag: { readonly x: number; readonly y: number; readonly from: Place } | undefined;
    view.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || (event.target as Element).closest('button, [data-box]') !== null) return;
      drag = { x: event.clientX, y: event.clientY, from: this.#place };
      view.setPointerCapture(event.pointerId);
    }, { signal });
    view.addEventListener('pointermove', (event) => {
      if (drag !== undefined) this.#move({ ...drag.from, x: drag.from.x + event.clientX - drag.x, y: drag.from.y + event.clientY - drag.y });
    }, { signal });
    for (const end of ['pointerup', 'pointercancel'] as const) view.addEventListener(end, () => { drag = undefined; }, { signal });
    return () => off.abort();
  }

  #wheel(view: HTMLElement, event: WheelEvent): void {
    event.preventDefault();
    const { left, top } = view.getBoundingClientRect();
    const unit = event.deltaMode === 1 ? 16 : 1;
    const [dx, dy] = event.shiftKey ? [event.deltaY || event.deltaX, 0] : [event.deltaX, event.deltaY];
    if (event.ctrlKey || event.metaKey) this.#zoomAt(Math.exp(-event.deltaY * unit * 0.004), event.clientX - left, event.clientY - top);
    else this.#move({ ...this.#place, x: this.#place.x - dx * unit, y: this.#place.y - dy * unit });
  }

  #zoomAt(factor: number, px: number, py: number): void {
    const { x, y, scale } = this.#place;
    const next = Math.min(LARGEST, Math.max(SMALLEST, scale * factor));
    this.#move({ x: px - ((px - x) / scale) * next, y: py - ((py - y) / scale) * next, scale: next });
  }

  #move(to: Place): void {
    const [view, content] = [this.#view, this.#content];
    if (view === null || content === null) return;
    this.#place = to;
    kept.set(this.#name, to);
    content.style.transform = `translate(${to.x}px, ${to.y}px) scale(${to.scale})`;
    const zoom = to.scale < 0.28 ? 'far' : to.scale < 0.5 ? 'middle' : 'near';
    if (content.dataset['zoom'] !== zoom) content.dataset['zoom'] = zoom;
    this.#tell(view);
  }

  #tell(view: HTMLElement): void {
    const { x, y, scale } = this.#place;
    const area = { x: -x / scale, y: -y / scale, width: view.clientWidth / scale, height: view.clientHeight / scale };
    const last = this.#told;
    const near = last !== undefined && Math.abs(last.width - area.width) <= area.width * 0.1 && Math.hypot(last.x - area.x, last.y - area.y) <= Math.max(area.width, area.height) * 0.2;
    if (near) return;
    this.#told = area;
    this.onView?.(area);
  }
}

/** How far to move so that a stretch is within the room; its beginning, where it is longer. */
function nudge(start: number, length: number, room: number): number {
  if (start < MARGIN) return MARGIN - start;
  return start + length > room - MARGIN ? Math.max(MARGIN - start, room - MARGIN - start - length) : 0;
}

/** The nearest in a direction, for arrow keys: near matters, and straight ahead matters more. */
export function nearest<T extends Area>(boxes: readonly T[], from: T, key: string): T | undefined {
  const [dx, dy] = key === 'ArrowLeft' ? [-1, 0] : key === 'ArrowRight' ? [1, 0] : key === 'ArrowUp' ? [0, -1] : [0, 1];
  const middle = ({ x, y, width, height }: Area): [number, number] => [x + width / 2, y + Math.min(height, 50) / 2];
  const [fx, fy] = middle(from);
  let [best, distance]: [T | undefined, number] = [undefined, Infinity];
  for (const box of boxes) {
    if (box === from) continue;
    const [x, y] = middle(box);
    const ahead = (x - fx) * dx + (y - fy) * dy;
    const aside = Math.abs((x - fx) * dy) + Math.abs((y - fy) * dx);
    if (ahead <= 4 || aside > ahead * 4) continue;
    const score = ahead + aside * 2;
    if (score < distance) [best, distance] = [box, score];
  }
  return best;
}
