/**
 * The received history of one system, and the picture at any point of it.
 *
 * Owns: the frames and the way to one of them. Does not own: fetching them, the slider.
 *
 * Invariants
 * 1. `at(index)` gives what folding the frames up to and including `index` gives, whatever was asked before.
 * 2. One step forward costs one frame; a jump at most the frames since the nearest kept point, of which there are `POINTS` at most.
 */
import type { InspectorMessage, ViewerMessage } from '../../messages.ts';
import { isOfSystem, SystemModel, type Transition } from './system-model.ts';

const POINTS = 24;

interface KeptPoint {
  readonly messages: readonly InspectorMessage[];
  readonly events: SystemModel['events'];
  readonly forgotten: number;
  readonly transitions: ReadonlyMap<string, readonly Transition[]>;
}

export class Replay {
  readonly rootId: string;
  readonly #frames: readonly (readonly ViewerMessage[])[];
  readonly #times: readonly number[];
  readonly #points = new Map<number, KeptPoint>();
  readonly #stride: number;
  #model: SystemModel;
  #index = -1;

  constructor(rootId: string, frames: readonly (readonly ViewerMessage[])[]) {
    this.rootId = rootId;
    this.#frames = frames.filter((frame) => frame.length > 0);
    this.#times = timesOf(this.#frames);
    this.#stride = Math.max(8, Math.ceil(this.#frames.length / POINTS));
    this.#model = new SystemModel(rootId);
  }

  get length(): number {
    return this.#frames.length;
  }

  /** Of the last message in a frame; never less than that of the frame before. */
  timeOf(index: number): number {
    return this.#times[index] ?? 0;
  }

  /** The first frame that is not before a time. */
  frameAt(time: number): number {
    const index = this.#times.findIndex((each) => each >= time);
    return index < 0 ? Math.max(0, this.length - 1) : index;
  }

  at(index: number): SystemModel {
    const wanted = Math.max(0, Math.min(index, this.length - 1));
    const point = Math.floor(wanted / this.#stride) * this.#stride;
    if (wanted < this.#index || (point > this.#index && this.#points.has(point))) this.#restore(point);
    for (let next = this.#index + 1; next <= wanted; next += 1) this.#take(next);
    return this.#model;
  }

  #take(index: number): void {
    for (const message of this.#frames[index] ?? []) {
      // What follows tells everything again, the latest events too.
      if (message.type === '@taskchart.reset') this.#model = new SystemModel(this.rootId);
      else this.#model.take(message);
    }
    this.#index = index;
    if (index % this.#stride === 0 && !this.#points.has(index)) this.#keep(index);
  }

  #keep(index: number): void {
    const { picture, events, forgotten, transitions } = this.#model;
    this.#points.set(index, { messages: picture.messages(), events: events.slice(), forgotten, transitions: new Map([...transitions].map(([id, list]) => [id, list.slice()])) });
  }

  #restore(index: number): void {
    const point = this.#points.get(index);
    this.#model = new SystemModel(this.rootId);
    this.#index = -1;
    if (point === undefined) return;
    for (const message of point.messages) this.#model.take(message);
    this.#model.events.splice(0, this.#model.events.length, ...point.events);
    this.#model.forgotten = point.forgotten;
    this.#model.transitions.clear();
    for (const [id, list] of point.transitions) this.#model.transitions.set(id, list.slice());
    this.#index = index;
  }
}

/** Keeps the frames that hold something about the system itself. */
export function framesOf(rootId: string, batches: readonly (readonly ViewerMessage[])[]): ViewerMessage[][] {
  return batches
    .map((batch) => batch.filter((message) => message.rootId === rootId && (isOfSystem(message) || message.type === '@taskchart.reset')))
    .filter((frame) => frame.some((message) => message.type !== '@taskchart.reset'));
}

function timesOf(frames: readonly (readonly ViewerMessage[])[]): number[] {
  let latest = 0;
  return frames.map((frame) => {
    // The first messages of a catch-up carry the times at which they were first made; the newest one tells when it was.
    for (const { createdAt } of frame) latest = Math.max(latest, Number(createdAt) || 0);
    return latest;
  });
}
