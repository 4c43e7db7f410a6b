/** A surface to look around on, with the buttons for it. */
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Area, Viewport } from './viewport.ts';

interface Props {
  readonly viewport: Viewport;
  readonly width: number;
  readonly height: number;
  /** Of what is shown: its place is kept under it. */
  readonly name: string;
  readonly label: string;
  readonly onView?: ((area: Area) => void) | undefined;
  readonly children: ComponentChildren;
}

export function Canvas({ viewport, width, height, name, label, onView, children }: Props) {
  const outer = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  viewport.size = { width, height };
  viewport.onView = onView;
  useLayoutEffect(() => (outer.current === null || inner.current === null ? undefined : viewport.attach(outer.current, inner.current)), [viewport]);
  const known = width > 0 && height > 0;
  useLayoutEffect(() => viewport.show(name), [viewport, name, known]);
  return (
    <div class="canvas-frame">
      <div class="canvas" ref={outer} role="group" aria-label={label}>
        <div class="canvas-content" ref={inner} style={{ width: `${width}px`, height: `${height}px` }}>{children}</div>
      </div>
      <div class="tools" role="toolbar" aria-label="View">
        <button type="button" class="tool out" title="Zoom out (-)" aria-label="Zoom out" onClick={() => viewport.zoom(1 / 1.25)}>−</button>
        <button type="button" class="tool in" title="Zoom in (+)" aria-label="Zoom in" onClick={() => viewport.zoom(1.25)}>+</button>
        <button type="button" class="tool wide" title="Show all (f)" onClick={() => viewport.fit()}>Fit</button>
      </div>
    </div>
  );
}
