/**
 * From a statechart to boxes and lines.
 *
 * Owns: sizes, which transitions are lines. Does not own: the arrangement (../layout/block.ts), drawing.
 *
 * Invariants
 * 1. Pure, and independent of what is active.
 * 2. Every transition is shown once: as text in its state, where it stays inside of that state; else with the line between the
 *    two states of its innermost common parent, even if it begins or ends deeper inside of them.
 */
import { arrange, pack, shifted, type Block, type Box, type Edge, type Gaps, type Line } from '../layout/block.ts';
import { join, type ChartState, type ChartTransition } from './definition.ts';

export interface ChartBox {
  readonly state: ChartState | undefined;
  /** Absent for a state: the dot before the initial one. */
  readonly dot?: true | undefined;
  readonly texts: readonly ChartText[];
  readonly compound: boolean;
  /** Of its states only the active one is named. */
  readonly brief?: true | undefined;
}

export interface ChartText {
  readonly text: string;
  /** Of a transition: how it is told from others. */
  readonly transition?: ChartTransition | undefined;
}

export interface ChartEdge {
  readonly transitions: readonly ChartTransition[];
  readonly texts: readonly string[];
}

export type ChartPicture = Block<ChartBox, ChartEdge>;
export type PlacedState = Box<ChartBox>;
export type PlacedTransition = Line<ChartEdge>;

export const textHeight = 16;
const TITLE = 28;
const PADDING = 14;
const tight: Gaps = { between: 10, along: 10 };
const space: Gaps = { between: 28, along: 26, labels: true };
const LABEL_LINES = 4;
const LABEL_LENGTH = 38;
const TEXT_LENGTH = 46;

/** `brief`: regions whose states have no states of their own are one box each, as where there are many that look alike. */
export function layoutChart(root: ChartState, brief = false): ChartPicture {
  return stateBlock(root, brief);
}

function stateBlock(state: ChartState, brief: boolean, region = false): ChartPicture {
  if (brief && region && state.children.length > 0 && state.children.every(({ children }) => children.length === 0)) {
    const width = Math.max(150, widthOf(state.key, 7.4) + 96);
    return { width, height: TITLE + 2, boxes: [{ node: { state, texts: [], compound: false, brief: true }, x: 0, y: 0, width, height: TITLE + 2, depth: 0 }], lines: [] };
  }
  const inner = new Set(state.children.map(({ key }) => join(state.path, key)));
  const isInside = (path: string): boolean => path === state.path || [...inner].some((each) => path === each || path.startsWith(`${each}.`));
  const own = state.transitions.filter(({ to }) => to === undefined || isInside(to));
  const texts: ChartText[] = [
    ...state.notes.map((text) => ({ text: short(text, TEXT_LENGTH) })),
    ...own.map((transition) => ({ text: short(textOf(transition) + targetText(state, transition), TEXT_LENGTH), transition })),
  ];
  const compound = state.children.length > 0;
  const width = Math.max(96, widthOf(state.key, 7.4) + (state.type === 'final' || state.type === 'parallel' || state.type === 'history' ? 78 : 36), ...texts.map(({ text }) => widthOf(text, 6.3) + 24));
  const head = TITLE + texts.length * textHeight + (texts.length > 0 ? 8 : 2);
  const node: ChartBox = { state, texts, compound };
  if (!compound) return { width, height: head, boxes: [{ node, x: 0, y: 0, width, height: head, depth: 0 }], lines: [] };
  const inside = insideBlock(state, brief);
  const outer = { width: Math.max(width, inside.width + 2 * PADDING), height: head + inside.height + PADDING + 4 };
  const content = shifted(inside, (outer.width - inside.width) / 2, head + 4, 1);
  return { ...outer, boxes: [{ node, x: 0, y: 0, ...outer, depth: 0 }, ...content.boxes], lines: content.lines };
}

function insideBlock(state: ChartState, brief: boolean): ChartPicture {
  const blocks: ChartPicture[] = state.children.map((child) => stateBlock(child, brief, state.type === 'parallel'));
  const edges = edgesWithin(state);
  if (state.type === 'parallel' && edges.length === 0) return pack(blocks, brief ? tight : space);
  const initial = state.children.findIndex(({ key }) => key === state.initial);
  if (initial >= 0) {
    blocks.push({ width: 10, height: 10, boxes: [{ node: { state: undefined, dot: true, texts: [], compound: false }, x: 0, y: 0, width: 10, height: 10, depth: 0 }], lines: [] });
    edges.unshift({ from: blocks.length - 1, to: initial, edge: { transitions: [], texts: [] } });
  }
  return arrange(blocks, edges, space);
}

/** Every transition between two of its children, or what is inside of them; those between the same two are one edge. */
function edgesWithin(state: ChartState): Edge<ChartEdge>[] {
  const between = new Map<string, { from: number; to: number; transitions: ChartTransition[] }>();
  const childOf = (path: string): number => state.children.findIndex((child) => path === child.path || path.startsWith(`${child.path}.`));
  const visit = (at: ChartState, from: number): void => {
    for (const transition of at.transitions) {
      const to = transition.to === undefined ? -1 : childOf(transition.to);
      if (to < 0 || to === from) continue;
      const edge = between.get(`${from} ${to}`) ?? { from, to, transitions: [] };
      edge.transitions.push(transition);
      between.set(`${from} ${to}`, edge);
    }
    for (const child of at.children) visit(child, from);
  };
  state.children.forEach((child, index) => visit(child, index));
  return [...between.values()].map(({ from, to, transitions }) => {
    const lines = transitions.map((transition) => short(textOf(transition), LABEL_LENGTH));
    const texts = lines.length > LABEL_LINES ? [...lines.slice(0, LABEL_LINES - 1), `and ${lines.length - LABEL_LINES + 1} more`] : lines;
    return { from, to, edge: { transitions, texts }, width: Math.max(...texts.map((text) => widthOf(text, 6.3))) + 12, height: texts.length * textHeight + 4 };
  });
}

function textOf({ label, guard }: ChartTransition): string {
  return guard === undefined ? label : `${label} [${guard}]`;
}

function targetText(state: ChartState, { to }: ChartTransition): string {
  if (to === undefined || to === state.path) return '';
  return ` → ${state.path === '' ? to : to.slice(state.path.length + 1)}`;
}

function widthOf(text: string, perCharacter: number): number {
  return Math.ceil(text.length * perCharacter);
}

function short(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
