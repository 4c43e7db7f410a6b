/**
 * One actor system, as far as the page knows it: the picture of fold.ts, and what happened, in order.
 *
 * Owns: the newest messages between actors and the newest transitions of each, bounded. Does not own: the picture's own
 * bounds (../../fold.ts), where the messages come from, drawing.
 */
import type { Json } from '../../../core/json-type.ts';
import { SystemPicture, type RunPicture } from '../../fold.ts';
import type { EventMessage, InspectorMessage, SnapshotMessage, ViewerMessage } from '../../messages.ts';

const EVENTS_KEPT = 5000;
const TRANSITIONS_KEPT = 100;

export interface Transition {
  readonly at: number;
  readonly event: string;
  readonly from: Json | undefined;
  readonly to: Json | undefined;
}

export class SystemModel {
  readonly rootId: string;
  readonly picture: SystemPicture;
  /** Oldest first. */
  readonly events: EventMessage[] = [];
  /** Of the events ever taken, so many have left `events`. */
  forgotten = 0;
  /** Oldest first, by session. */
  readonly transitions = new Map<string, Transition[]>();
  /** Grows with every message. */
  version = 0;

  constructor(rootId: string) {
    this.rootId = rootId;
    this.picture = new SystemPicture(rootId);
  }

  take(message: ViewerMessage): void {
    if (!isOfSystem(message) || message.rootId !== this.rootId) return;
    this.version += 1;
    if (message.type === '@xstate.event') this.#note(message);
    if (message.type === '@xstate.snapshot') this.#compare(message);
    this.picture.take(message);
  }

  run(session: string | undefined): RunPicture | undefined {
    return session === undefined ? undefined : this.picture.runs.get(session);
  }

  #note(message: EventMessage): void {
    // Within one frame messages come actor by actor.
    const at = Number(message.createdAt);
    let place = this.events.length;
    while (place > 0 && Number(this.events[place - 1]?.createdAt) > at) place -= 1;
    this.events.splice(place, 0, message);
    if (this.events.length < EVENTS_KEPT * 1.2) return;
    this.forgotten += this.events.length - EVENTS_KEPT;
    this.events.splice(0, this.events.length - EVENTS_KEPT);
  }

  #compare(message: SnapshotMessage): void {
    const known = this.picture.actors.get(message.sessionId);
    if (known === undefined) return;
    const before = (known.last?.snapshot ?? known.actor.snapshot).value;
    const after = message.snapshot.value;
    if (JSON.stringify(before) === JSON.stringify(after)) return;
    const list = this.transitions.get(message.sessionId) ?? [];
    list.push({ at: Number(message.createdAt), event: message.event.type, from: before, to: after });
    if (list.length > TRANSITIONS_KEPT) list.shift();
    this.transitions.set(message.sessionId, list);
  }
}

/** What a picture of one system is made of. */
export function isOfSystem(message: ViewerMessage): message is InspectorMessage {
  switch (message.type) {
    case '@taskchart.source':
    case '@taskchart.system':
    case '@taskchart.reset':
    case '@taskchart.gone':
    case '@taskchart.live':
      return false;
    default:
      return true;
  }
}
