/**
 * What the relay knows, and who is told of it.
 *
 * Owns: sources, actor systems, viewers, commands on their way. Does not own: HTTP (server.ts), whether a line is sound
 * (check-line.ts), what a slow viewer misses (viewer.ts).
 *
 * Invariants
 * 1. A viewer that comes at any moment sees what one sees that was there from the beginning, but for the history.
 * 2. Memory is bounded: by the numbers below, the bounds of a picture (fold.ts), and those of a history. What has ended, or has
 *    lost its process, is forgotten for what is new, oldest first. What is under way never is: where there is nothing else to
 *    forget, new systems are left out, and their sources are asked for them once there is room.
 * 3. What every viewer gets about a system that it does not watch comes in its newest form, a few times per second.
 * 4. A command is answered once: by the source, or with a refusal after ANSWER_MS.
 */
import type { Clock } from '../../ports.ts';
import { refusal } from '../answers.ts';
import { SystemPicture } from '../fold.ts';
import { STREAM_VERSION, type ActorMessage, type InspectorMessage, type MessageBase, type SourceMessage, type SystemMessage, type ViewerMessage } from '../messages.ts';
import type { Command, CommandAnswer, SourceCommand, SourceLine } from '../protocol.ts';
import type { Checked } from './check-line.ts';
import { History } from './history.ts';
import { LeftOut } from './left-out.ts';
import { systemFacts } from './system-facts.ts';
import { Viewer, type Outlet, type Pictures } from './viewer.ts';

const SOURCES_MOST = 300;
const SYSTEMS_MOST = 300;
const PENDING_MOST = 200;
const HISTORY_MOST = 60_000_000;
const GENERAL_MS = 200;
const ANSWER_MS = 10_000;
/** A source that has said hello and does not listen by then has gone. */
const LISTENS_WITHIN_MS = 3000;
/** Between two looks for room; a source that is asked tells everything again. */
const ASK_AGAIN_MS = 3000;

interface Source {
  message: SourceMessage;
  /** The way to it, while it listens. */
  tell: ((command: SourceCommand) => void) | undefined;
  /** Commands that came before it listened. */
  unsent: SourceCommand[];
  readonly systems: Map<string, HubSystem>;
  /** Systems of which it has not spoken since it began anew. */
  readonly stale: Set<string>;
  readonly leftOut: LeftOut;
}

interface HubSystem {
  picture: SystemPicture;
  readonly source: string;
  readonly history: History;
  root: ActorMessage | undefined;
  told: string | undefined;
  message: SystemMessage | undefined;
}

/** A source within this process: it has no line to come by. */
export type LocalAnswers = (session: string, command: Command) => CommandAnswer;

export class Hub {
  readonly #clock: Clock;
  readonly #control: boolean;
  readonly #sources = new Map<string, Source>();
  readonly #systems = new Map<string, HubSystem>();
  readonly #viewers = new Set<Viewer>();
  readonly #pending = new Map<string, { readonly source: string; readonly resolve: (answer: CommandAnswer) => void }>();
  readonly #locals = new Map<string, LocalAnswers>();
  readonly #dirty = new Set<string>();
  #timer: (() => void) | undefined;
  #asking: (() => void) | undefined;
  #nextCommand = 1;

  constructor(clock: Clock, control: boolean) {
    this.#clock = clock;
    this.#control = control;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** Takes in what a source has posted. False: it has to introduce itself first. */
  receive(id: string, lines: readonly { readonly text: string; readonly checked: Checked }[]): boolean {
    const frames = new Map<string, string[]>();
    for (const { text, checked } of lines) {
      if (checked.kind === 'line') {
        if (!this.#takeLine(id, checked.line)) return false;
        continue;
      }
      const source = this.#sources.get(id);
      if (source === undefined) return false;
      this.#takeMessage(source, checked.message, text, frames);
    }
    this.#deliver(frames);
    return this.#sources.has(id);
  }

  /** The source has introduced itself. */
  knows(id: string): boolean {
    return this.#sources.has(id);
  }

  /** Opens the way to a source that is known. Returns what to do when it closes. */
  listen(id: string, tell: (command: SourceCommand) => void): () => void {
    const source = this.#sources.get(id);
    if (source === undefined) return () => undefined;
    source.tell = tell;
    for (const command of source.unsent.splice(0)) tell(command);
    this.#sourceIs(source, 'connected');
    return () => {
      if (source.tell !== tell) return;
      source.tell = undefined;
      this.#isGone(source);
    };
  }

  /** Something that is looked at without a process that runs it. */
  show(id: string, message: Pick<SourceMessage, 'kind' | 'title'>, messages: readonly InspectorMessage[], answers: LocalAnswers): void {
    this.#locals.set(id, answers);
    const source = this.#introduce(id, { ...message, state: 'ended', dropped: 0 });
    const frames = new Map<string, string[]>();
    for (const one of messages) this.#takeMessage(source, one, JSON.stringify(one), frames);
    this.#deliver(frames);
  }

  view(outlet: Outlet, roots: readonly string[]): Viewer {
    const viewer = new Viewer(outlet, this.#picturesFor(), roots, this.#systems.keys());
    this.#viewers.add(viewer);
    viewer.catchUp();
    return viewer;
  }

  leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
  }

  history(rootId: string): Generator<string> | undefined {
    return this.#systems.get(rootId)?.history.lines(this.#note('@taskchart.reset', rootId));
  }

  async command(session: string, command: Command): Promise<CommandAnswer> {
    const id = session.slice(0, session.indexOf('/'));
    const looks = command.kind === 'value' || command.kind === 'members';
    if (!looks && !this.#control) return refusal('this relay lets nobody steer runs', 'it was started with --read-only');
    const local = this.#locals.get(id);
    if (local !== undefined) return local(session, command);
    const source = this.#sources.get(id);
    if (source === undefined) return refusal('the relay does not know this run any more');
    if (source.tell === undefined && source.message.state !== 'connected') return refusal('the process of this run is not connected', source.message.state === 'lost' ? 'it may have crashed; a stored run goes on with taskchart resume' : undefined);
    if (this.#pending.size >= PENDING_MOST) return refusal('too many commands are on their way');
    return new Promise((resolve) => {
      const key = String(this.#nextCommand++);
      const stop = this.#clock.after(ANSWER_MS, () => this.#answered(id, key, refusal('the process of this run has not answered; it may be busy, and the command may still be carried out')), true);
      this.#pending.set(key, { source: id, resolve: (answer) => (stop(), resolve(answer)) });
      if (source.tell === undefined) source.unsent.push({ id: key, session, command });
      else source.tell({ id: key, session, command });
    });
  }

  close(): void {
    this.#timer?.();
    this.#asking?.();
    for (const { resolve } of this.#pending.values()) resolve(refusal('the relay has ended'));
    this.#pending.clear();
    this.#viewers.clear();
  }

  #picturesFor(): Pictures {
    return {
      picture: (rootId) => this.#picture(rootId),
      overview: (skip) => this.#overview(skip),
      live: JSON.stringify({ ...this.#base(''), type: '@taskchart.live', control: this.#control }),
    };
  }

  #picture(rootId: string): string[] | undefined {
    const system = this.#systems.get(rootId);
    if (system === undefined) return undefined;
    const messages: ViewerMessage[] = [...(system.message === undefined ? [] : [system.message]), ...system.picture.messages()];
    return [this.#note('@taskchart.reset', rootId), ...messages.map((message) => JSON.stringify(message))];
  }

  #overview(skip: (rootId: string) => boolean): string[] {
    const list: ViewerMessage[] = [...this.#sources.values()].map(({ message }) => message);
    for (const [rootId, { message, picture }] of this.#systems) {
      if (message !== undefined) list.push(message);
      if (!skip(rootId)) for (const { run } of picture.runs.values()) if (run !== undefined) list.push(run);
    }
    return list.map((message) => JSON.stringify(message));
  }

  #takeLine(id: string, line: SourceLine): boolean {
    const source = this.#sources.get(id);
    if (line.type === 'hello') {
      const { type: _, version: __, fresh: ___, ...message } = line;
      const known = this.#introduce(id, { ...message, state: 'connected' });
      for (const root of known.systems.keys()) known.stale.add(root);
      known.leftOut.asked();
      this.#clock.after(LISTENS_WITHIN_MS, () => this.#isGone(known), true);
    } else if (source === undefined) return false;
    else if (line.type === 'answer') this.#answered(id, line.id, line.answer);
    else this.#sourceIs(source, 'ended');
    return true;
  }

  #introduce(id: string, message: Omit<SourceMessage, keyof MessageBase | 'type'>): Source {
    let source = this.#sources.get(id);
    const full: SourceMessage = { ...this.#base(id), type: '@taskchart.source', ...message };
    if (source === undefined) {
      source = { message: full, tell: undefined, unsent: [], systems: new Map(), stale: new Set(), leftOut: new LeftOut() };
      this.#sources.set(id, source);
      this.#forgetSources();
    } else source.message = full;
    this.#tellAll([JSON.stringify(full)]);
    return source;
  }

  #takeMessage(source: Source, message: InspectorMessage, text: string, frames: Map<string, string[]>): void {
    const { rootId } = message;
    let system = source.systems.get(rootId);
    const frame = frames.get(rootId) ?? [];
    if (system === undefined) {
      if (!this.#hasRoomFor(source, message)) return;
      system = { picture: new SystemPicture(rootId), source: source.message.sessionId, history: new History(rootId), root: undefined, told: undefined, message: undefined };
      source.systems.set(rootId, system);
      this.#systems.set(rootId, system);
    } else if (source.stale.delete(rootId)) {
      system.picture = new SystemPicture(rootId);
      frame.push(this.#note('@taskchart.reset', rootId));
    }
    system.picture.take(message);
    if (message.type === '@xstate.actor' && message.sessionId === rootId) system.root = message;
    frame.push(text);
    frames.set(rootId, frame);
  }

  #deliver(frames: ReadonlyMap<string, readonly string[]>): void {
    for (const [rootId, texts] of frames) {
      const system = this.#systems.get(rootId);
      if (system === undefined) continue;
      system.history.add(texts);
      for (const viewer of this.#viewers) if (viewer.wants(rootId)) viewer.batch(rootId, texts);
      this.#dirty.add(rootId);
    }
    if (this.#dirty.size > 0) this.#timer ??= this.#clock.after(GENERAL_MS, () => this.#tellGeneral(), true);
  }

  /** Invariant 3. */
  #tellGeneral(): void {
    this.#timer = undefined;
    const systems: string[] = [];
    const runs = new Map<string, string[]>();
    for (const rootId of this.#dirty) {
      const system = this.#systems.get(rootId);
      if (system === undefined) continue;
      const changed = this.#refresh(rootId, system);
      if (changed !== undefined) systems.push(changed);
      runs.set(rootId, [...system.picture.runs.values()].flatMap(({ run }) => (run === undefined ? [] : [JSON.stringify(run)])));
    }
    this.#dirty.clear();
    for (const viewer of this.#viewers) {
      const texts = [...systems];
      for (const [rootId, list] of runs) if (!viewer.wants(rootId)) texts.push(...list);
      if (texts.length > 0) viewer.general(texts);
    }
    this.#trimHistories();
  }

  #refresh(rootId: string, system: HubSystem): string | undefined {
    const facts = systemFacts(system.root, system.picture);
    const text = JSON.stringify(facts);
    if (text === system.told) return undefined;
    system.told = text;
    system.message = { ...this.#base(rootId), type: '@taskchart.system', source: system.source, ...facts };
    return JSON.stringify(system.message);
  }

  #isGone(source: Source): void {
    if (source.tell === undefined && source.message.state === 'connected') this.#sourceIs(source, this.#isBusy(source) ? 'lost' : 'ended');
  }

  #sourceIs(source: Source, state: SourceMessage['state']): void {
    if (source.message.state === state) return;
    source.message = { ...source.message, createdAt: String(this.#clock.now()), state };
    this.#tellAll([JSON.stringify(source.message)]);
  }

  #isBusy({ systems }: Source): boolean {
    for (const system of systems.values()) if (system.root !== undefined && isActive(system)) return true;
    return false;
  }

  #answered(source: string, key: string, answer: CommandAnswer): void {
    const pending = this.#pending.get(key);
    if (pending?.source !== source) return;
    this.#pending.delete(key);
    pending.resolve(answer);
  }

  #tellAll(texts: readonly string[]): void {
    for (const viewer of this.#viewers) viewer.general(texts);
  }

  /** Invariant 2. */
  #hasRoomFor({ leftOut }: Source, message: InspectorMessage): boolean {
    const lacks = leftOut.lacks(message);
    if (!lacks && this.#makesRoom()) {
      leftOut.admit(message.rootId);
      return true;
    }
    if (!lacks) leftOut.refuse(message);
    this.#askLater();
    return false;
  }

  /** Whether there is room for one more system. */
  #makesRoom(): boolean {
    if (this.#systems.size < SYSTEMS_MOST) return true;
    for (const [rootId, system] of this.#systems) {
      if (!this.#isOver(system)) continue;
      this.#forget(rootId, system);
      return true;
    }
    return false;
  }

  #isOver(system: HubSystem): boolean {
    return this.#sources.get(system.source)?.message.state !== 'connected' || !isActive(system);
  }

  #askLater(): void {
    this.#asking ??= this.#clock.after(ASK_AGAIN_MS, () => this.#askAgain(), true);
  }

  /** Looks again as long as a source has something that is wanted: room comes without a word from it. */
  #askAgain(): void {
    this.#asking = undefined;
    const waiting = [...this.#sources.values()].filter(({ message, leftOut }) => message.state === 'connected' && leftOut.wants);
    if (waiting.length === 0) return;
    this.#askLater();
    let room = SYSTEMS_MOST;
    for (const system of this.#systems.values()) if (!this.#isOver(system)) room -= 1;
    for (const { tell, leftOut } of room > 0 ? waiting : []) {
      if (tell === undefined) continue;
      leftOut.asked();
      tell({ resend: true });
    }
  }

  /** Those that have gone first, then those that have not listened yet. */
  #forgetSources(): void {
    for (const kind of ['gone', 'any'] as const) {
      for (const [id, { message, tell, systems }] of this.#sources) {
        if (this.#sources.size <= SOURCES_MOST) return;
        if (tell !== undefined || this.#locals.has(id) || (kind === 'gone' && message.state === 'connected')) continue;
        for (const [rootId, system] of systems) this.#forget(rootId, system);
        this.#sources.delete(id);
      }
    }
  }

  #forget(rootId: string, system: HubSystem): void {
    const source = this.#sources.get(system.source);
    this.#systems.delete(rootId);
    this.#dirty.delete(rootId);
    source?.systems.delete(rootId);
    source?.stale.delete(rootId);
    source?.leftOut.forgotten(rootId, !isActive(system));
    this.#tellAll([this.#note('@taskchart.gone', rootId)]);
  }

  #trimHistories(): void {
    let characters = 0;
    for (const { history } of this.#systems.values()) characters += history.characters;
    for (const { history } of this.#systems.values()) {
      if (characters <= HISTORY_MOST) return;
      characters -= history.characters;
      history.shrinkTo(0);
    }
  }

  #note(type: '@taskchart.reset' | '@taskchart.gone', rootId: string): string {
    return JSON.stringify({ ...this.#base(rootId), type });
  }

  #base(sessionId: string): MessageBase {
    return { sessionId, rootId: sessionId, createdAt: String(this.#clock.now()), id: null, _version: STREAM_VERSION };
  }
}

/** A system of which the root has not been heard of may be. */
function isActive({ picture, root }: HubSystem): boolean {
  const { status = 'active' } = picture.actors.get(picture.rootId)?.last?.snapshot ?? root?.snapshot ?? {};
  return status === 'active';
}
