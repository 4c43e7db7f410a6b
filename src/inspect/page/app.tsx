/**
 * The page.
 *
 * Owns: which view stands where, the clock, the keys that work everywhere. Does not own: what is known (model/store.ts).
 *
 * Invariants
 * 1. Everything that is shown comes from the store, at the time that is looked at.
 * 2. What cannot be done now is not offered: commands need a live run that allows them and a relay that lets viewers send them.
 */
import { useCallback, useEffect, useMemo, useReducer, useState } from 'preact/hooks';
import type { NodeId } from '../../core/graph.ts';
import type { RunMessage } from '../messages.ts';
import { listedRuns } from './model/run-rows.ts';
import { isFinal } from './model/states.ts';
import type { Store } from './model/store.ts';
import { tabs, type Tab } from './model/view.ts';
import { ActorPanel } from './panel/actor-panel.tsx';
import { RunPanel } from './panel/run-panel.tsx';
import { TaskPanel } from './panel/task-panel.tsx';
import type { Ask } from './panel/value.tsx';
import { ChartView } from './views/chart-view.tsx';
import { GraphView } from './views/graph-view.tsx';
import { Header } from './views/header.tsx';
import { ConnectHelp, HelpDialog } from './views/help.tsx';
import { LogView } from './views/log-view.tsx';
import { Quiet } from './views/parts.tsx';
import { QueueView } from './views/queue-view.tsx';
import { RunList } from './views/run-list.tsx';
import { SequenceView } from './views/sequence-view.tsx';
import { TimeBar } from './views/time-bar.tsx';

const tabNames: Readonly<Record<Tab, string>> = { graph: 'Graph', statechart: 'Statechart', messages: 'Messages', queue: 'Queue', log: 'Log' };

/** What every part of the page is given. */
interface Shared {
  readonly store: Store;
  readonly run: RunMessage | undefined;
  readonly now: number;
  readonly ask: Ask | undefined;
  readonly signals: boolean;
  readonly onNode: (node: NodeId | undefined, group?: number, member?: number) => void;
}

export function App({ store, token }: { store: Store; token: string }) {
  useStore(store);
  const { run, past, view } = store;
  const now = useNow(store);
  const [railOpen, setRailOpen] = useState(() => innerWidth >= 1000);
  const [helpOpen, setHelpOpen] = useState(false);
  useKeys(store, () => setHelpOpen(true));
  useEffect(() => { document.title = run === undefined ? 'taskchart' : `${run.workflow}: ${run.state}`; }, [run?.workflow, run?.state]);

  const source = store.sourceOf(run?.rootId ?? view.root);
  const reachable = past === undefined && store.link === 'live' && (source?.state === 'connected' || source?.kind === 'file');
  const ask = useMemo<Ask | undefined>(() => (reachable ? (command) => store.ask(command) : undefined), [reachable, store]);
  const controls = store.control && run !== undefined && !isFinal(run.state) ? ask : undefined;
  const onNode = useCallback((node: NodeId | undefined, group?: number, member?: number) => store.look({ node, group, member }), [store]);
  const shared: Shared = { store, run, now, ask, signals: controls !== undefined && run?.control.includes('signal') === true, onNode };
  const empty = store.runs.size === 0 && store.systems.size === 0;
  const system = view.root === undefined ? undefined : store.systems.get(view.root);

  return (
    <div class={`app${railOpen && !empty ? '' : ' no-rail'}${past === undefined ? '' : ' in-past'}`}>
      <Header title={empty ? undefined : system?.machine ?? system?.name} run={empty ? undefined : run} source={past === undefined ? source : undefined} link={store.link} now={now} ask={controls} railOpen={railOpen} onRail={empty ? undefined : () => setRailOpen(!railOpen)} onHelp={() => setHelpOpen(true)} />
      {empty || store.link === 'refused'
        ? <main class="empty"><ConnectHelp token={token} link={store.link} /></main>
        : (
          <>
            {railOpen && <RunList runs={store.runs} systems={store.systems} sources={store.sources} sourceOf={(root) => store.sourceOf(root)} run={view.run} root={view.root} now={past === undefined ? now : Date.now()} onRun={(session) => store.lookAtRun(session)} onSystem={(root) => store.lookAtSystem(root)} />}
            <main class="main"><Main {...shared} /></main>
            <aside class="panel" aria-label="Details"><Panel {...shared} /></aside>
            <TimeBar past={past} trouble={store.trouble} startedAt={run?.startedAt} now={now} disabled={store.model === undefined} onEnter={(share) => void store.enterPast(share)} onIndex={(index) => store.goTo(index)} onLive={() => store.goLive()} />
          </>
        )}
      <HelpDialog open={helpOpen} onClose={() => setHelpOpen(false)} />
    </div>
  );
}

function Main(shared: Shared) {
  const { store, run } = shared;
  const offered: readonly Tab[] = run === undefined ? tabs.filter((tab) => tab === 'statechart' || tab === 'messages') : tabs;
  const tab = offered.includes(store.view.tab) ? store.view.tab : offered[0] ?? 'graph';
  return (
    <>
      <div class="tabs" role="tablist" aria-label="Views">
        {offered.map((each) => <button type="button" key={each} role="tab" id={`tab-${each}`} aria-selected={each === tab} aria-controls="view" tabIndex={each === tab ? 0 : -1} onClick={() => store.look({ tab: each })} onKeyDown={(event) => moveTab(event, offered, each, store)}>{tabNames[each]}</button>)}
      </div>
      <div class="view" id="view" role="tabpanel" aria-labelledby={`tab-${tab}`}><CurrentView {...shared} tab={tab} /></div>
    </>
  );
}

function moveTab(event: KeyboardEvent, offered: readonly Tab[], tab: Tab, store: Store): void {
  const by = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
  const next = offered[(offered.indexOf(tab) + by + offered.length) % offered.length];
  if (by === 0 || next === undefined) return;
  store.look({ tab: next });
  document.getElementById(`tab-${next}`)?.focus();
}

function CurrentView({ store, run, now, onNode, tab }: Shared & { readonly tab: Tab }) {
  const { model, picture, view, past } = store;
  const toggle = useCallback((id: NodeId, open: boolean) => store.toggle(id, open), [store]);
  if (store.loading) return null;
  if (model === undefined) return <div class="blank"><Quiet>{store.ready ? 'Nothing is looked at: pick a run.' : 'Connecting…'}</Quiet></div>;
  switch (tab) {
    case 'statechart':
      return <ChartView name={model.rootId} model={model} actor={actorOf(store)} onActor={(actor) => store.look({ actor })} />;
    case 'messages':
      return <SequenceView model={model} live={past === undefined} />;
    case 'queue':
      return picture === undefined ? null : <QueueView picture={picture} now={now} onNode={onNode} />;
    case 'log':
      return picture === undefined ? null : <LogView picture={picture} live={past === undefined} onNode={onNode} />;
    case 'graph':
      if (picture?.graph === undefined) return <div class="blank"><Quiet>{past === undefined ? 'The graph of this run is not known yet.' : 'At this time nothing was known of the run.'}</Quiet></div>;
      return <GraphView name={`${run?.workflow ?? ''} ${picture.graph.graphHash}`} picture={picture} graph={picture.graph} toggled={store.toggled.get(view.run ?? '')} selected={view.node} now={now} onPick={onNode} onToggle={toggle} />;
  }
}

function actorOf(store: Store) {
  const { model, view } = store;
  const actors = model?.picture.actors;
  return actors?.get(view.actor ?? '') ?? actors?.get(view.run ?? '') ?? actors?.get(model?.rootId ?? '') ?? actors?.values().next().value;
}

function Panel({ store, run, now, ask, signals, onNode }: Shared) {
  const { view, picture, model, past } = store;
  // Half of it would move when the rest comes.
  if (store.loading) return null;
  if (view.tab === 'statechart' || run === undefined) {
    const actor = actorOf(store);
    return actor === undefined ? <Quiet>Nothing is known at this time.</Quiet> : <ActorPanel actor={actor} transitions={model?.transitions.get(actor.actor.sessionId) ?? []} />;
  }
  const nodes = picture?.graph?.nodes;
  const node = view.node !== undefined && nodes !== undefined && Object.hasOwn(nodes, view.node) ? nodes[view.node] : undefined;
  if (node !== undefined && picture !== undefined) {
    return <TaskPanel node={node} picture={picture} group={view.group} member={view.member} now={now} ask={ask} signals={signals} onGroup={(group) => store.look({ group, member: undefined })} onMember={(member) => store.look({ member })} onNode={onNode} onClose={() => onNode(undefined)} />;
  }
  const source = past === undefined ? store.sourceOf(run.rootId) : undefined;
  return <RunPanel run={run} picture={picture} source={source} now={now} ask={ask} signals={signals} continuation={past === undefined ? store.continuation : undefined} onRun={(session) => store.lookAtRun(session)} onNode={onNode} />;
}

/** Draws again when the store has changed. */
function useStore(store: Store): void {
  const [, draw] = useReducer<number, void>((count) => count + 1, 0);
  useEffect(() => store.listen(() => draw()), [store]);
}

/** The time that is looked at: it runs while something is under way, and stands still in the past. */
function useNow(store: Store): number {
  const [now, setNow] = useState(() => Date.now());
  const running = store.past === undefined && [...store.runs.values()].some(({ state }) => !isFinal(state));
  useEffect(() => {
    setNow(Date.now());
    if (!running) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [running]);
  if (store.past !== undefined) return store.past.replay.timeOf(store.past.index);
  return stoodStill(store) ?? Math.max(now, store.run?.at ?? 0);
}

/** For what no process runs (any more), the time at which that was so. */
function stoodStill(store: Store): number | undefined {
  const { run } = store;
  if (run === undefined || isFinal(run.state)) return undefined;
  if (run.origin === 'checkpoint') return run.at;
  const source = store.sourceOf(run.rootId);
  return source === undefined || source.state === 'connected' ? undefined : Math.max(run.at, Number(source.createdAt));
}

/** Keys that work wherever no text is being typed. */
function useKeys(store: Store, onHelp: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const target = event.target as Element;
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]') !== null) return;
      if (event.key === 'Escape' && target.matches('input, textarea, select')) (target as HTMLElement).blur();
      else if (target.matches('input:not([type=range]):not([type=checkbox]), textarea, select')) return;
      else if (!act(store, event.key, onHelp)) return;
      event.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [store]);
}

function act(store: Store, key: string, onHelp: () => void): boolean {
  const tab = tabs[Number(key) - 1];
  if (tab !== undefined && store.run !== undefined) store.look({ tab });
  else if (key === 'Escape') store.look(store.view.member === undefined ? { node: undefined, group: undefined } : { member: undefined });
  else if (key === '?') onHelp();
  else if (key === 'l') store.goLive();
  else if (key === ',') void (store.past === undefined ? store.enterPast(1) : store.goTo(store.past.index - 1));
  else if (key === '.') store.goTo((store.past?.index ?? 0) + 1);
  else if (key === '[' || key === ']') nextRun(store, key === ']' ? 1 : -1);
  else if (key === '/') document.querySelector<HTMLElement>('.view .filter, .panel .filter, .rail .filter')?.focus();
  else if (key === 'f' || key === '+' || key === '-') document.querySelector<HTMLElement>(`.tools .${key === 'f' ? 'wide' : key === '+' ? 'in' : 'out'}`)?.click();
  else return false;
  return true;
}

function nextRun(store: Store, by: number): void {
  const runs = listedRuns(store.runs, store.sources);
  const next = runs[runs.findIndex(({ run }) => run.sessionId === store.view.run) + by];
  if (next !== undefined) store.lookAtRun(next.run.sessionId);
}
