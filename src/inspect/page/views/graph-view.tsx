/**
 * The workflow's graph with the states of its nodes.
 *
 * Owns: what is open, where the keyboard is. Does not own: the layout (layout/), how a box looks (node-card.tsx).
 *
 * Invariants
 * 1. A change of state moves nothing; opening a group leaves it where it is on the screen.
 * 2. Of a large graph only what is in view is drawn.
 */
import { useCallback, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { NodeId } from '../../../core/graph.ts';
import type { GroupPicture, RunPicture } from '../../fold.ts';
import type { GraphMessage } from '../../messages.ts';
import { insideOf, layoutGraph, openByDefault, type GraphPicture, type PlacedBox, type PlacedEdge } from '../layout/graph-layout.ts';
import { pathOf } from '../layout/block.ts';
import { isActive, segmentsOf, segmentsOfSteps, type Segments } from '../model/states.ts';
import { Canvas } from './canvas.tsx';
import { NodeCard } from './node-card.tsx';
import { nearest, Viewport, type Area } from './viewport.ts';

const ALL_DRAWN = 700;

interface Props {
  readonly name: string;
  readonly picture: RunPicture;
  readonly graph: GraphMessage;
  readonly toggled: ReadonlyMap<NodeId, boolean> | undefined;
  readonly selected: NodeId | undefined;
  readonly now: number;
  readonly onPick: (id: NodeId | undefined) => void;
  readonly onToggle: (id: NodeId, open: boolean) => void;
}

export function GraphView({ name, picture, graph, toggled, selected, now, onPick, onToggle }: Props) {
  const viewport = useMemo(() => new Viewport(), []);
  const element = useRef<HTMLDivElement>(null);
  const [stop, setStop] = useState<NodeId | undefined>();
  const [area, setArea] = useState<Area | undefined>();
  const key = graphKey(graph);
  const standard = useMemo(() => openByDefault(graph), [key]);
  const layout = useMemo(() => layoutGraph(graph, (id) => toggled?.get(id) ?? standard.has(id)), [key, toggled]);
  const scopes = useMemo(() => closedScopes(graph, layout), [layout]);
  const groups = newestGroups(picture);
  const signals = new Map(picture.status?.waitsFor.first.flatMap((wait) => (wait.kind === 'signal' ? [[wait.node, wait.signal] as const] : [])));
  useKeptPlace(layout, viewport);

  const visible = layout.boxes.length > ALL_DRAWN && area !== undefined ? layout.boxes.filter((box) => meets(box, area)) : layout.boxes;
  const current = layout.boxes.some(({ node }) => node.id === (stop ?? selected)) ? stop ?? selected : layout.boxes[0]?.node.id;
  const toggle = useCallback((id: NodeId, open: boolean) => onToggle(id, open), [onToggle]);
  const pick = useCallback((id: NodeId) => { setStop(id); onPick(id); }, [onPick]);

  const onKeyDown = (event: KeyboardEvent): void => {
    const box = layout.boxes.find(({ node }) => node.id === current);
    if (box === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith('Arrow')) {
      const next = nearest(layout.boxes, box, event.key);
      if (next !== undefined) {
        setStop(next.node.id);
        viewport.reveal(next.node.shape === 'open' ? { ...next, height: 40 } : next);
        requestAnimationFrame(() => focusBox(element.current, next.node.id));
      }
    } else if (event.key === 'o' && box.node.shape !== 'card') toggle(box.node.id, box.node.shape !== 'open');
    else return;
    event.preventDefault();
  };
  const card = (box: PlacedBox) => {
    const { id } = box.node;
    const state = picture.tasks.get(id);
    return (
      <NodeCard key={id} box={box} state={state} error={state?.state === 'failed' ? picture.values.get(id)?.error : undefined} signal={state?.state === 'waiting' ? signals.get(id) : undefined}
        segments={segmentsFor(box, picture, groups.get(id), scopes)} selected={id === selected} stop={id === current} now={isActive(state) ? now : 0} onPick={pick} onToggle={toggle} />
    );
  };
  return (
    <div class="graph" ref={element} onKeyDown={onKeyDown}>
      {!graph.complete && <p class="hint">Only the names of the tasks are known here, not what follows what: that takes the workflow's file.</p>}
      <Canvas viewport={viewport} name={`graph ${name}`} width={layout.width} height={layout.height} label={`Graph of ${graph.workflow}`} onView={layout.boxes.length > ALL_DRAWN ? setArea : undefined}>
        {visible.filter(({ node }) => node.shape === 'open').map(card)}
        <Edges layout={layout} picture={picture} area={layout.boxes.length > ALL_DRAWN ? area : undefined} />
        {visible.filter(({ node }) => node.shape !== 'open').map(card)}
      </Canvas>
    </div>
  );
}

/** A graph is told again when a viewer catches up; it is another one only if its nodes are. */
function graphKey(graph: GraphMessage): string {
  return `${graph.graphHash} ${Object.keys(graph.nodes).length} ${graph.uses.length}`;
}

function segmentsFor(box: PlacedBox, picture: RunPicture, group: GroupPicture | undefined, scopes: ReadonlyMap<NodeId, readonly NodeId[]>): Segments | undefined {
  const { id, node, shape } = box.node;
  if (shape === 'card') return undefined;
  if (node.kind !== 'scope') return segmentsOf(picture.tasks.get(id), group?.last);
  const inside = scopes.get(id);
  return inside === undefined ? undefined : segmentsOfSteps(inside.map((inner) => picture.tasks.get(inner)));
}

function closedScopes(graph: GraphMessage, layout: GraphPicture): Map<NodeId, readonly NodeId[]> {
  const scopes = layout.boxes.filter(({ node }) => node.shape !== 'card' && node.node.kind === 'scope');
  return new Map(scopes.map(({ node }) => [node.id, insideOf(graph.nodes, node.id)]));
}

function newestGroups(picture: RunPicture): Map<NodeId, GroupPicture> {
  const newest = new Map<NodeId, GroupPicture>();
  for (const group of picture.groups.values()) newest.set(group.last.node, group);
  return newest;
}

function Edges({ layout, picture, area }: { layout: GraphPicture; picture: RunPicture; area: Area | undefined }) {
  const paths = useMemo(() => layout.lines.map((line) => ({ line, path: pathOf(line), around: aroundOf(line) })), [layout]);
  return (
    <svg class="edges" width={layout.width} height={layout.height} aria-hidden="true">
      <defs>
        {['plain', 'walked', 'recover'].map((kind) => (
          <marker key={kind} id={`arrow-${kind}`} class={`arrow ${kind}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 .8 7 4 0 7.2z" /></marker>
        ))}
      </defs>
      {paths.map(({ line, path, around }) => {
        if (area !== undefined && !meets(around, area)) return null;
        const walked = isWalked(line, picture);
        const kind = line.edge.kind === 'recover' ? 'recover' : walked ? 'walked' : 'plain';
        return <path key={`${line.edge.kind} ${line.edge.from} ${line.edge.to}`} class={`edge ${line.edge.kind}${walked ? ' walked' : ''}`} d={path} marker-end={`url(#arrow-${kind})`} />;
      })}
    </svg>
  );
}

function isWalked({ edge }: PlacedEdge, picture: RunPicture): boolean {
  const [from, to] = [picture.tasks.get(edge.from), picture.tasks.get(edge.to)];
  if (from === undefined || to === undefined || to.state === 'pending' || to.state === 'skipped') return false;
  return edge.kind === 'recover' ? from.failed > 0 : from.done > 0;
}

function aroundOf({ points }: PlacedEdge): Area {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

/** With some margin, since what is in view is told only after it has moved far. */
function meets(box: Area, area: Area): boolean {
  const [mx, my] = [area.width * 0.5, area.height * 0.5];
  return box.x + box.width >= area.x - mx && box.x <= area.x + area.width + mx && box.y + box.height >= area.y - my && box.y <= area.y + area.height + my;
}

/** Keeps the first box that both layouts have, and that was opened or closed, in its place. */
function useKeptPlace(layout: GraphPicture, viewport: Viewport): void {
  const before = useRef(layout);
  useLayoutEffect(() => {
    const old = before.current;
    before.current = layout;
    if (old === layout) return;
    const shapes = new Map(old.boxes.map((box) => [box.node.id, box]));
    const turned = layout.boxes.find(({ node }) => { const was = shapes.get(node.id); return was !== undefined && was.node.shape !== node.shape; });
    const was = turned === undefined ? undefined : shapes.get(turned.node.id);
    if (turned !== undefined && was !== undefined) viewport.shift(was.x + was.width / 2 - turned.x - turned.width / 2, was.y - turned.y);
  }, [layout]);
}

function focusBox(root: HTMLElement | null, id: NodeId): void {
  for (const each of root?.querySelectorAll<HTMLElement>('[data-box]') ?? []) {
    if (each.dataset['box'] === id) each.querySelector<HTMLElement>('.node-body')?.focus({ preventScroll: true });
  }
}
