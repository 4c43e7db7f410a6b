/**
 * The statechart of an actor: the active states are lit, and so is the transition that was taken last.
 *
 * Owns: the list of actors, what is lit. Does not own: reading a machine (chart/definition.ts), its layout (chart/chart-layout.ts).
 *
 * Invariant: what is lit is what the newest snapshot says; nothing is simulated.
 */
import { useCallback, useMemo } from 'preact/hooks';
import type { ActorPicture } from '../../fold.ts';
import { TASKS_SESSION } from '../../messages.ts';
import { layoutChart, textHeight, type ChartPicture, type PlacedState, type PlacedTransition } from '../chart/chart-layout.ts';
import { activePaths, readChart, type ChartState, type ChartTransition } from '../chart/definition.ts';
import { pathOf } from '../layout/block.ts';
import type { SystemModel, Transition } from '../model/system-model.ts';
import { Canvas } from './canvas.tsx';
import { Name, Quiet, Sign } from './parts.tsx';
import { tones, type Tone } from '../model/states.ts';
import { Viewport } from './viewport.ts';
import { VirtualList } from './virtual-list.tsx';

interface Props {
  readonly name: string;
  readonly model: SystemModel;
  readonly actor: ActorPicture | undefined;
  readonly onActor: (session: string) => void;
}

export function ChartView({ name, model, actor, onActor }: Props) {
  return (
    <div class="split">
      <ActorList model={model} picked={actor?.actor.sessionId} onActor={onActor} />
      {actor === undefined ? <div class="blank"><Quiet>No actor is known of this system.</Quiet></div> : <Chart key={actor.actor.sessionId} name={name} actor={actor} last={model.transitions.get(actor.actor.sessionId)?.at(-1)} />}
    </div>
  );
}

const statusTones: Readonly<Record<string, Tone>> = { active: 'running', done: 'done', error: 'failed', stopped: 'stopped' };

export function statusTone(status: string): Tone {
  return statusTones[status] ?? 'pending';
}

/** The actors as a tree: parents before what they have started. */
export function actorTree(model: SystemModel): { readonly actor: ActorPicture; readonly depth: number }[] {
  const { actors } = model.picture;
  const children = new Map<string | undefined, ActorPicture[]>();
  for (const each of actors.values()) {
    const parent = each.actor.parentId !== undefined && actors.has(each.actor.parentId) ? each.actor.parentId : undefined;
    const list = children.get(parent);
    if (list === undefined) children.set(parent, [each]);
    else list.push(each);
  }
  const tree: { actor: ActorPicture; depth: number }[] = [];
  const seen = new Set<ActorPicture>();
  const stack = (children.get(undefined) ?? []).toReversed().map((actor) => ({ actor, depth: 0 }));
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (seen.has(at.actor)) continue;
    seen.add(at.actor);
    tree.push(at);
    for (const child of (children.get(at.actor.actor.sessionId) ?? []).toReversed()) stack.push({ actor: child, depth: at.depth + 1 });
  }
  return tree;
}

function ActorList({ model, picked, onActor }: { model: SystemModel; picked: string | undefined; onActor: (session: string) => void }) {
  const tree = actorTree(model);
  return (
    <aside class="actors">
      <h3>Actors</h3>
      <VirtualList length={tree.length} rowHeight={30} label="Actors" picked={tree.findIndex(({ actor }) => actor.actor.sessionId === picked)} onPick={(index) => { const session = tree[index]?.actor.actor.sessionId; if (session !== undefined) onActor(session); }}
        row={(index) => {
          const { actor, depth } = tree[index] as (typeof tree)[number];
          const { status } = actor.last?.snapshot ?? actor.actor.snapshot;
          return <><span style={{ width: `${Math.min(depth, 6) * 14}px` }} /><Sign tone={statusTone(status)} title={status} /><Name text={actor.actor.name} class="row-name" /></>;
        }} />
    </aside>
  );
}

function Chart({ name, actor, last }: { name: string; actor: ActorPicture; last: Transition | undefined }) {
  const viewport = useMemo(() => new Viewport(), []);
  const { definition, name: called } = actor.actor;
  const chart = useMemo(() => readChart(definition, called), [definition, called]);
  // The picture of a workflow has a region for each task, and all of them look alike.
  const brief = actor.actor.sessionId.endsWith(TASKS_SESSION);
  const layout = useMemo(() => (chart === undefined ? undefined : layoutChart(chart, brief)), [chart, brief]);
  const snapshot = actor.last?.snapshot ?? actor.actor.snapshot;
  const active = activePaths(snapshot.value);
  const event = actor.last?.event.type;
  const isLatest = useCallback((transition: ChartTransition): boolean => {
    if (transition.to === undefined) return transition.event !== '' && sameEvent(transition.event, event) && active.has(transition.from);
    return last !== undefined && (transition.event === '' || sameEvent(transition.event, last.event)) && activePaths(last.from).has(transition.from) && activePaths(last.to).has(transition.to);
  }, [last, event, active]);
  if (layout === undefined) {
    return <div class="blank"><p><Sign tone={statusTone(snapshot.status)} /> <Name text={called} /> is {snapshot.status}.</p><Quiet>It is no state machine (a callback, a promise, an observable), so there is no chart of it.</Quiet></div>;
  }
  const draw = (box: PlacedState, index: number) => <StateBox key={box.node.state?.path ?? `dot ${index}`} box={box} active={active} isLatest={isLatest} />;
  return (
    <Canvas viewport={viewport} name={`chart ${name} ${actor.actor.sessionId}`} width={layout.width} height={layout.height} label={`Statechart of ${called}`}>
      {layout.boxes.filter(({ node }) => node.compound).map(draw)}
      <Transitions layout={layout} active={active} isLatest={isLatest} />
      {layout.boxes.filter(({ node }) => !node.compound).map(draw)}
      <Labels layout={layout} isLatest={isLatest} />
    </Canvas>
  );
}

/** XState puts ids of its own behind some types. */
function sameEvent(declared: string, seen: string | undefined): boolean {
  if (seen === undefined) return false;
  return declared === seen || declared === '*' || (declared.startsWith('xstate.') && seen.startsWith(declared));
}

function StateBox({ box, active: paths, isLatest }: { box: PlacedState; active: ReadonlySet<string>; isLatest: (transition: ChartTransition) => boolean }) {
  const { state, dot, texts, compound, brief } = box.node;
  const style = { transform: `translate(${box.x}px, ${box.y}px)`, width: `${box.width}px`, height: `${box.height}px` };
  if (dot || state === undefined) return <div class="dot" style={style} />;
  if (brief) return <BriefState state={state} active={paths} style={style} />;
  const active = paths.has(state.path);
  return (
    <div class={`state ${state.type}${compound ? ' outer' : ''}${active ? ' active' : ''}`} data-state-path={state.path} data-active={active} style={style} title={state.description}>
      <div class="state-title"><Name text={state.key} />{state.type === 'final' && <span class="kind">final</span>}{state.type === 'parallel' && <span class="kind">parallel</span>}{state.type === 'history' && <span class="kind">history</span>}</div>
      {texts.length > 0 && (
        <div class="state-texts">
          {texts.map(({ text, transition }, index) => <div key={index} class={transition !== undefined && isLatest(transition) ? 'latest' : ''} style={{ height: `${textHeight}px` }}>{text}</div>)}
        </div>
      )}
    </div>
  );
}

function BriefState({ state, active, style }: { state: ChartState; active: ReadonlySet<string>; style: Readonly<Record<string, string>> }) {
  const inside = state.children.find(({ path }) => active.has(path));
  const tone = tones.find((each) => each === inside?.key) ?? 'pending';
  return (
    <div class={`state brief t-${tone}`} data-state-path={state.path} data-active={inside?.key} style={style}>
      <div class="state-title"><Sign tone={tone} /><Name text={state.key} /><span class="kind">{inside?.key ?? ''}</span></div>
    </div>
  );
}

function Transitions({ layout, active, isLatest }: { layout: ChartPicture; active: ReadonlySet<string>; isLatest: (transition: ChartTransition) => boolean }) {
  return (
    <svg class="edges" width={layout.width} height={layout.height} aria-hidden="true">
      <defs>
        {['plain', 'possible', 'latest'].map((kind) => (
          <marker key={kind} id={`arrow-${kind}-chart`} class={`arrow ${kind}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 .8 7 4 0 7.2z" /></marker>
        ))}
      </defs>
      {layout.lines.map((line, index) => {
        const kind = kindOf(line, active, isLatest);
        return <path key={index} class={`edge ${kind}`} d={pathOf(line)} marker-end={`url(#arrow-${kind}-chart)`} />;
      })}
    </svg>
  );
}

function kindOf({ edge }: PlacedTransition, active: ReadonlySet<string>, isLatest: (transition: ChartTransition) => boolean): 'plain' | 'possible' | 'latest' {
  if (edge.transitions.some(isLatest)) return 'latest';
  return edge.transitions.some(({ from }) => active.has(from)) ? 'possible' : 'plain';
}

function Labels({ layout, isLatest }: { layout: ChartPicture; isLatest: (transition: ChartTransition) => boolean }) {
  return (
    <>
      {layout.lines.map(({ edge, label }, index) => label !== undefined && edge.texts.length > 0 && (
        <div key={index} class={`edge-label${edge.transitions.some(isLatest) ? ' latest' : ''}`} style={{ transform: `translate(${label.x}px, ${label.y}px) translate(-50%, -50%)` }}>
          {edge.texts.map((text, line) => <div key={line} style={{ height: `${textHeight}px` }}>{text}</div>)}
        </div>
      ))}
    </>
  );
}
