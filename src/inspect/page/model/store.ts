/**
 * What the page knows and what is looked at.
 *
 * Owns: the lists of sources, systems and runs, the model of the one that is looked at, the way back through time, the
 * selection. Does not own: the stream (connection.ts), drawing.
 *
 * Invariants
 * 1. Listeners are told at most once per frame of the screen, however much arrives.
 * 2. While a stream begins, what was shown stays; it is replaced when the new one has told everything.
 * 3. A run that goes on in another process is followed, unless something of its past is being looked at.
 */
import type { NodeId } from '../../../core/graph.ts';
import type { RunPicture } from '../../fold.ts';
import type { RunMessage, SourceMessage, SystemMessage, ViewerMessage } from '../../messages.ts';
import type { Command, CommandAnswer } from '../../protocol.ts';
import type { LinkHandlers, LinkState } from './connection.ts';
import { framesOf, Replay } from './replay.ts';
import { isWorker } from './run-rows.ts';
import { isFinal } from './states.ts';
import { SystemModel } from './system-model.ts';
import { hashOfView, type View } from './view.ts';

/** What the store needs of a connection. */
export interface Line {
  subscribe(roots: readonly string[]): void;
  command(request: { session: string; command: Command }): Promise<CommandAnswer>;
  history(rootId: string): Promise<ViewerMessage[][]>;
}

export interface Past {
  readonly replay: Replay;
  readonly index: number;
}

export class Store implements LinkHandlers {
  link: LinkState = 'connecting';
  /** The relay lets viewers control runs. */
  control = false;
  /** All that is known has been told once. */
  ready = false;
  readonly sources = new Map<string, SourceMessage>();
  readonly systems = new Map<string, SystemMessage>();
  readonly runs = new Map<string, RunMessage>();
  view: View;
  past: Past | undefined;
  /** Why the history could not be had. */
  trouble: string | undefined;
  /** Groups that someone opened or closed, by run. */
  readonly toggled = new Map<string, Map<NodeId, boolean>>();
  /** Grows with every change. */
  version = 0;
  #model: SystemModel | undefined;
  #incoming: { readonly seen: Set<string>; readonly model: SystemModel | undefined } | undefined;
  #line: Line | undefined;
  #subscribed: string | undefined;
  readonly #listeners = new Set<() => void>();
  #scheduled = false;
  /** What is looked at is a system that nobody has asked for: the first run takes its place. */
  #ownChoice = false;

  constructor(view: View) {
    this.view = view;
  }

  // For the page --------------------------------------------------------------------------------------------------------

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins. The address may say what to look at. */
  start(line: Line): void {
    this.#line = line;
    this.#subscribe(this.view.root, true);
  }

  look(change: Partial<View>): void {
    this.view = { ...this.view, ...change };
    history.replaceState(null, '', hashOfView(this.view));
    this.changed();
  }

  lookAtRun(session: string): void {
    if (session === this.view.run) return;
    this.past = undefined;
    const rootId = this.runs.get(session)?.rootId;
    this.look({ run: session, root: rootId, group: undefined, member: undefined, actor: undefined, ...(this.#isSameWorkflow(session) ? {} : { node: undefined }) });
    this.#subscribe(rootId);
  }

  lookAtSystem(rootId: string): void {
    this.past = undefined;
    this.#ownChoice = false;
    this.look({ run: undefined, root: rootId, node: undefined, group: undefined, member: undefined, actor: undefined });
    this.#subscribe(rootId);
  }

  /** Of the past, where that is looked at. */
  get model(): SystemModel | undefined {
    return this.past === undefined ? this.#model : this.past.replay.at(this.past.index);
  }

  /** What is looked at now has not been told yet. */
  get loading(): boolean {
    return this.past === undefined && this.#subscribed !== undefined && this.#model?.rootId !== this.#subscribed;
  }

  get picture(): RunPicture | undefined {
    return this.model?.run(this.view.run);
  }

  get run(): RunMessage | undefined {
    if (this.past !== undefined) return this.picture?.run;
    return this.view.run === undefined ? undefined : this.runs.get(this.view.run);
  }

  /** The newest other session of the run that is looked at. */
  get continuation(): RunMessage | undefined {
    const { run } = this;
    if (run?.runId === undefined) return undefined;
    let newest: RunMessage | undefined;
    for (const other of this.runs.values()) {
      if (other.runId === run.runId && other.sessionId !== run.sessionId && other.origin === run.origin && Number(other.createdAt) > Number(newest?.createdAt ?? 0)) newest = other;
    }
    return newest !== undefined && Number(newest.createdAt) >= Number(run.createdAt) ? newest : undefined;
  }

  sourceOf(rootId: string | undefined): SourceMessage | undefined {
    if (rootId === undefined) return undefined;
    return this.sources.get(this.systems.get(rootId)?.source ?? rootId.slice(0, Math.max(0, rootId.indexOf('/'))));
  }

  async ask(command: Command): Promise<CommandAnswer> {
    const session = this.view.run;
    if (this.#line === undefined || session === undefined) return { ok: false, error: { name: 'Error', message: 'No run is looked at.' } };
    return this.#line.command({ session, command });
  }

  /** Fetches the history once and goes to a share of it, 0 to 1. */
  async enterPast(share: number): Promise<void> {
    const rootId = this.#subscribed;
    if (rootId === undefined || this.#line === undefined) return;
    try {
      const replay = new Replay(rootId, framesOf(rootId, await this.#line.history(rootId)));
      if (this.#subscribed !== rootId) return;
      this.trouble = replay.length === 0 ? 'The relay has kept no history of this run.' : undefined;
      if (replay.length > 0) this.past = { replay, index: Math.round(share * (replay.length - 1)) };
    } catch (thrown) {
      this.trouble = thrown instanceof Error ? thrown.message : String(thrown);
    }
    this.changed();
  }

  goTo(index: number): void {
    if (this.past === undefined) return;
    const { replay } = this.past;
    this.past = { replay, index: Math.max(0, Math.min(index, replay.length - 1)) };
    this.changed();
  }

  goLive(): void {
    this.past = undefined;
    this.trouble = undefined;
    this.changed();
  }

  toggle(id: NodeId, open: boolean): void {
    const key = this.view.run ?? '';
    const map = new Map(this.toggled.get(key));
    map.set(id, open);
    this.toggled.set(key, map);
    this.changed();
  }

  changed(): void {
    this.version += 1;
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      for (const listener of this.#listeners) listener();
    });
  }

  // From the connection -------------------------------------------------------------------------------------------------

  state(link: LinkState): void {
    // The reason stays visible while it is tried again.
    if (this.link === 'refused' && link === 'lost') return;
    this.link = link;
    this.changed();
  }

  begin(): void {
    this.#incoming = { seen: new Set(), model: this.#subscribed === undefined ? undefined : new SystemModel(this.#subscribed) };
  }

  batch(messages: readonly ViewerMessage[]): void {
    for (const message of messages) this.#take(message);
    this.changed();
  }

  #take(message: ViewerMessage): void {
    const { rootId, sessionId } = message;
    switch (message.type) {
      case '@taskchart.source':
        this.#incoming?.seen.add(`source ${sessionId}`);
        this.sources.set(sessionId, message);
        break;
      case '@taskchart.system':
        this.#incoming?.seen.add(`system ${rootId}`);
        this.systems.set(rootId, message);
        if (this.#incoming === undefined && this.view.run === undefined) this.#chooseRun();
        break;
      case '@taskchart.live':
        this.control = message.control;
        this.#finish();
        break;
      case '@taskchart.gone':
        this.#forget(rootId);
        break;
      case '@taskchart.reset':
        if (this.#incoming === undefined && rootId === this.#subscribed) this.#model = new SystemModel(rootId);
        break;
      default:
        if (message.type === '@taskchart.run') this.#takeRun(message);
        (this.#incoming === undefined ? this.#model : this.#incoming.model)?.take(message);
    }
  }

  #takeRun(message: RunMessage): void {
    this.#incoming?.seen.add(`run ${message.sessionId}`);
    const isNew = !this.runs.has(message.sessionId);
    this.runs.set(message.sessionId, message);
    if (this.#incoming === undefined && (isNew || this.view.run === undefined)) this.#chooseRun();
  }

  /** Everything has been told: what was not mentioned is no more. */
  #finish(): void {
    const incoming = this.#incoming;
    if (incoming === undefined) return;
    this.#incoming = undefined;
    this.ready = true;
    this.#model = incoming.model;
    for (const [name, map] of [['source', this.sources], ['system', this.systems], ['run', this.runs]] as const) {
      for (const id of map.keys()) if (!incoming.seen.has(`${name} ${id}`)) map.delete(id);
    }
    this.#chooseRun();
  }

  #forget(rootId: string): void {
    this.systems.delete(rootId);
    for (const [session, run] of this.runs) if (run.rootId === rootId) this.runs.delete(session);
  }

  /** Looks at something, where nothing (any more) is looked at, and follows a run to its next process (invariant 3). */
  #chooseRun(): void {
    const { view, run } = this;
    const lost = run !== undefined && !isFinal(run.state) && this.sourceOf(run.rootId)?.state !== 'connected';
    const next = this.past === undefined && lost ? this.continuation : undefined;
    if (next !== undefined) this.lookAtRun(next.sessionId);
    else if (run === undefined && this.past === undefined) {
      this.#chooseFirst(view.root);
    } else if (run !== undefined && this.#subscribed !== run.rootId) this.#subscribe(run.rootId);
  }

  /** The newest run; else any system, as long as there is no run. */
  #chooseFirst(root: string | undefined): void {
    const asked = root !== undefined && this.systems.has(root);
    if (asked && !this.#ownChoice) return;
    const run = newestOf(this.runs.values());
    const [first] = this.systems.values();
    const system = ([...this.systems.values()].find(isWorker) ?? first)?.rootId;
    if (run !== undefined) this.lookAtRun(run.sessionId);
    else if (!asked && system !== undefined) {
      this.lookAtSystem(system);
      this.#ownChoice = true;
    }
  }

  #isSameWorkflow(session: string): boolean {
    const before = this.view.run === undefined ? undefined : this.runs.get(this.view.run);
    return before === undefined || before.workflow === this.runs.get(session)?.workflow;
  }

  #subscribe(rootId: string | undefined, anyway = false): void {
    if (!anyway && rootId === this.#subscribed) return;
    this.#subscribed = rootId;
    this.#line?.subscribe(rootId === undefined ? [] : [rootId]);
  }
}

/** Active ones first. Branches are never chosen: they come and go by the hundred, and belong to the run that they are part of. */
function newestOf(runs: Iterable<RunMessage>): RunMessage | undefined {
  const rank = (run: RunMessage): number => (isFinal(run.state) ? -1e15 : 0) + (run.startedAt ?? run.at);
  let newest: RunMessage | undefined;
  for (const run of runs) if (run.origin !== 'branch' && (newest === undefined || rank(run) > rank(newest))) newest = run;
  return newest;
}
