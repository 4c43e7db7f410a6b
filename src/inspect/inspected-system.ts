/**
 * One actor system as an inspector sees it: its actors, the runs among them, and what has to be told about them.
 *
 * Owns: the newest state and the newest events of each actor until the next frame. Does not own: when a frame is due
 * (inspector.ts).
 *
 * Invariants
 * 1. Between frames an actor holds references to one snapshot and to at most EVENTS_PER_FRAME events.
 * 2. `picture` holds everything that was told, so that it can be told again.
 */
import type { AnyActorRef } from 'xstate';
import { unitsWaiting, type ExecutionContext, type ExecutionEvent } from '../../machines/index.ts';
import type { RemoteWait } from '../runtime/remote/dispatch.ts';
import { handsOf, notesOf, workflowBehind, type InspectedWorkflow } from '../runtime/inspected.ts';
import type { Answering } from './answers.ts';
import { nameOf, type Definitions } from './definitions.ts';
import { DerivedChart } from './derived-chart.ts';
import { eventSummary } from './event-summary.ts';
import { SystemPicture } from './fold.ts';
import { STREAM_VERSION, TASKS_SESSION, type ActorMessage, type ControlKind, type InspectorMessage, type MessageBase, type SnapshotSummary } from './messages.ts';
import type { Redactor } from './redact.ts';
import { RunTracker } from './run-tracker.ts';
import { contextSummary } from './snapshot-summary.ts';
import { summarise } from './values.ts';

const ACTORS = 500;
const EVENTS_PER_FRAME = 24;

type CoordinatorContext = Parameters<typeof unitsWaiting>[0];

interface ShownSnapshot {
  readonly status: string;
  readonly value?: unknown;
  readonly context?: ExecutionContext;
  readonly output?: unknown;
  readonly error?: unknown;
}

interface Actor {
  readonly session: string;
  readonly workflow: InspectedWorkflow | undefined;
  ref: AnyActorRef | undefined;
  told: boolean;
  /** What its tasks say comes here. */
  heard: boolean;
  changed: boolean;
  snapshot: ShownSnapshot | undefined;
  event: { readonly type: string } | undefined;
  /** The newest, oldest first. */
  events: { readonly event: { readonly type: string }; readonly source: AnyActorRef | undefined; readonly at: number }[];
  skipped: number;
  tracker: RunTracker | undefined;
  chart: { readonly drawn: DerivedChart; told: string | undefined } | undefined;
}

interface HasParent {
  readonly _parent?: AnyActorRef;
}

/** Whether the actor belongs to the other one, directly or by those between them. */
function isInside(actor: AnyActorRef, outer: AnyActorRef | undefined): boolean {
  for (let at = (actor as HasParent)._parent; at !== undefined && outer !== undefined; at = (at as HasParent)._parent) if (at.sessionId === outer.sessionId) return true;
  return false;
}

export interface SystemSettings {
  readonly redactor: Redactor;
  readonly definitions: Definitions;
  readonly control: readonly ControlKind[];
  readonly statechart: boolean;
  /** Set for what is shown without being run. */
  readonly shown?: { readonly complete: boolean } | undefined;
  /** There is something to tell although no event came. */
  readonly touched: (system: System) => void;
}

export class System {
  readonly picture: SystemPicture;
  readonly #settings: SystemSettings;
  readonly #prefix: string;
  readonly #rootId: string;
  readonly #actors = new Map<string, Actor>();
  ended = false;

  constructor(prefix: string, rootId: string, settings: SystemSettings) {
    this.#prefix = prefix;
    this.#rootId = `${prefix}${rootId}`;
    this.#settings = settings;
    this.picture = new SystemPicture(this.#rootId);
  }

  appears(ref: AnyActorRef): void {
    this.#actor(ref);
  }

  sent(ref: AnyActorRef, source: AnyActorRef | undefined, event: { readonly type: string }): void {
    const actor = this.#actor(ref);
    if (actor === undefined) return;
    // What a task says may come before the first frame.
    if (!actor.heard && actor.workflow !== undefined) this.#hear(actor, ref);
    actor.changed = true;
    actor.events.push({ event, source, at: Date.now() });
    if (actor.events.length <= EVENTS_PER_FRAME) return;
    actor.events.shift();
    actor.skipped += 1;
  }

  stands(ref: AnyActorRef, snapshot: ShownSnapshot, event: ExecutionEvent): void {
    const actor = this.#actor(ref);
    if (actor === undefined) return;
    actor.changed = true;
    actor.snapshot = snapshot;
    actor.event = event;
    if (actor.session === this.#rootId) this.ended = snapshot.status !== 'active';
    if (actor.workflow !== undefined && snapshot.context?.root !== undefined) this.#tracker(actor, actor.workflow).see(snapshot.context, snapshot.value, snapshot.status, event);
  }

  /** The run that this session is, as commands find it. */
  find(session: string): Answering | undefined {
    const actor = this.#actors.get(session.startsWith(this.#prefix) ? session.slice(this.#prefix.length) : session);
    if (actor?.tracker === undefined) return undefined;
    return { tracker: actor.tracker, redactor: this.#settings.redactor, hands: actor.ref && handsOf(actor.ref) };
  }

  /** It has ended, and is kept for late viewers alone. */
  release(): void {
    for (const actor of this.#actors.values()) {
      actor.ref = undefined;
      actor.snapshot = undefined;
      actor.event = undefined;
      actor.tracker = undefined;
      actor.chart = undefined;
    }
  }

  /** Something is left for the next frame. */
  get unfinished(): boolean {
    for (const { tracker } of this.#actors.values()) if (tracker?.unfinished === true) return true;
    return false;
  }

  frame(now: number): InspectorMessage[] {
    const list: InspectorMessage[] = [];
    for (const actor of this.#actors.values()) if (!actor.told) list.push(this.#actorMessage(actor, now));
    for (const actor of this.#actors.values()) {
      const base = this.#base(actor.session, now);
      if (!actor.heard && actor.tracker !== undefined && actor.ref !== undefined) this.#hear(actor, actor.ref);
      if (actor.changed) this.#events(actor, list);
      if (actor.tracker !== undefined) {
        const told = actor.tracker.frame(base, this.#remoteWaits(actor));
        list.push(...told);
        if (told.length > 0 && this.#settings.statechart) this.#chart(actor, actor.tracker, now, list);
      }
      if (actor.changed && actor.snapshot !== undefined) {
        list.push({ ...base, type: '@xstate.snapshot', event: this.#summary(actor.event ?? { type: '' }, actor), snapshot: this.#snapshot(actor) });
      }
      actor.changed = false;
    }
    for (const message of list) this.picture.take(message);
    return list;
  }

  /** What the coordinators of a run say that it waits for. */
  #remoteWaits(run: Actor): readonly RemoteWait[] {
    const list: RemoteWait[] = [];
    for (const { ref, snapshot } of this.#actors.values()) {
      if (ref?.id !== 'coordinator' || !isInside(ref, run.ref)) continue;
      const context = snapshot?.context as unknown as CoordinatorContext | undefined;
      if (snapshot?.status === 'active' && Array.isArray(context?.queues)) list.push(...unitsWaiting(context));
    }
    return list;
  }

  #actor(ref: AnyActorRef): Actor | undefined {
    const known = this.#actors.get(ref.sessionId);
    if (known !== undefined) return known;
    if (this.#actors.size >= ACTORS && !this.#forgetOne()) return undefined;
    const actor: Actor = {
      session: `${this.#prefix}${ref.sessionId}`, workflow: workflowBehind(ref as { readonly logic?: unknown }), ref, told: false, heard: false, changed: true, snapshot: undefined, event: undefined,
      events: [], skipped: 0, tracker: undefined, chart: undefined,
    };
    this.#actors.set(ref.sessionId, actor);
    return actor;
  }

  #forgetOne(): boolean {
    for (const [id, actor] of this.#actors) {
      if (!actor.told || actor.session === this.#rootId || actor.snapshot?.status === 'active' || actor.changed) continue;
      this.#actors.delete(id);
      return true;
    }
    return false;
  }

  #tracker(actor: Actor, workflow: InspectedWorkflow): RunTracker {
    if (actor.tracker !== undefined) return actor.tracker;
    const { graph, graphHash } = workflow;
    const branch = actor.snapshot?.context?.operations !== undefined;
    const { redactor, control, shown } = this.#settings;
    const origin = shown !== undefined ? 'checkpoint' : branch ? 'branch' : 'live';
    const tracker = new RunTracker({ graph: { ...graph, graphHash, complete: shown?.complete ?? true }, redactor, control: branch ? [] : control, origin });
    actor.tracker = tracker;
    return tracker;
  }

  #actorMessage(actor: Actor, now: number): ActorMessage {
    actor.told = true;
    const { ref } = actor;
    actor.snapshot ??= ref?.getSnapshot() as ShownSnapshot | undefined;
    const parent = (ref as { readonly _parent?: AnyActorRef } | undefined)?._parent;
    const definition = ref && this.#settings.definitions.of(ref);
    return {
      ...this.#base(actor.session, now), type: '@xstate.actor', name: ref === undefined ? actor.session : nameOf(ref),
      ...(parent && { parentId: `${this.#prefix}${parent.sessionId}` }), ...(definition !== undefined && { definition }), snapshot: this.#snapshot(actor),
    };
  }

  #hear(actor: Actor, ref: AnyActorRef): void {
    const notes = notesOf(ref);
    if (notes === undefined) return;
    actor.heard = true;
    notes.hear((event) => {
      actor.tracker?.hear(event);
      this.#settings.touched(this);
    });
  }

  #events(actor: Actor, list: InspectorMessage[]): void {
    let { skipped } = actor;
    for (const { event, source, at } of actor.events) {
      const base = this.#base(actor.session, at);
      list.push({
        ...base, type: '@xstate.event', event: this.#summary(event, actor),
        ...(source && { sourceId: `${this.#prefix}${source.sessionId}` }), ...(skipped > 0 && { skipped }),
      });
      skipped = 0;
    }
    actor.events = [];
    actor.skipped = 0;
  }

  /** Events of the machine and of its two hands are ours. */
  #summary(event: { readonly type: string }, actor: Actor): ReturnType<typeof eventSummary> {
    const parent = (actor.ref as { readonly _parent?: AnyActorRef } | undefined)?._parent;
    const own = actor.workflow !== undefined || (parent !== undefined && this.#actors.get(parent.sessionId)?.workflow !== undefined);
    return eventSummary(event, own, this.#settings.redactor);
  }

  #snapshot({ snapshot, workflow }: Actor): SnapshotSummary {
    const status = snapshot?.status === 'done' || snapshot?.status === 'error' || snapshot?.status === 'stopped' ? snapshot.status : 'active';
    if (snapshot === undefined) return { status };
    const { redactor } = this.#settings;
    const own = workflow !== undefined && snapshot.context?.root !== undefined;
    const path = own ? 'run' : '';
    return {
      status,
      ...(snapshot.value === undefined ? {} : { value: summarise(snapshot.value, redactor, [], { left: 1000 }), children: {}, historyValue: {}, tags: [] }),
      ...(snapshot.context === undefined ? {} : { context: own ? contextSummary(snapshot.context) : summarise(snapshot.context, redactor, ['context']) }),
      ...(snapshot.output === undefined ? {} : { output: summarise(snapshot.output, redactor, [path, 'output'], { left: 100 }) }),
      ...(snapshot.error === undefined ? {} : { error: summarise(snapshot.error, redactor, [path, 'error'], { left: 100 }) }),
    };
  }

  #chart(actor: Actor, tracker: RunTracker, now: number, list: InspectorMessage[]): void {
    const base = this.#base(`${actor.session}${TASKS_SESSION}`, now);
    const first = actor.chart === undefined;
    const chart = (actor.chart ??= { drawn: new DerivedChart(tracker.index.workflow, tracker.index), told: undefined });
    const value = chart.drawn.value((id) => tracker.nodes.stateOf(id));
    const status = tracker.over ? 'done' : 'active';
    const snapshot: SnapshotSummary = { status, value, context: {}, children: {}, historyValue: {}, tags: [] };
    if (first) list.push({ ...base, type: '@xstate.actor', name: `${tracker.index.workflow} (tasks)`, parentId: actor.session, definition: chart.drawn.definition, snapshot });
    const text = JSON.stringify([status, value]);
    if (text === chart.told) return;
    chart.told = text;
    list.push({ ...base, type: '@xstate.snapshot', event: { type: 'frame' }, snapshot });
  }

  #base(sessionId: string, now: number): MessageBase {
    return { sessionId, rootId: this.#rootId, createdAt: String(now), id: null, _version: STREAM_VERSION };
  }
}
