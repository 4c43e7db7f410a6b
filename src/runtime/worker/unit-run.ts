/**
 * One unit in a worker's hands: its members one after the other, and what is said of it in the end.
 *
 * Owns: the quick road (a member that is one plain execution of one task), the way to the slow one (branch.ts), units that
 * cannot be executed here. Does not own: which units there are (units.ts), what the lists make of the answer.
 *
 * Invariants
 * 1. What is stopped says nothing. Everything else says one thing, once.
 * 2. Both roads give the same outcomes.
 * 3. A unit whose task is not known here goes back; it fails only when every live worker of the queue has seen it and time
 *    has passed.
 */
import { serializeError } from '../../core/errors.ts';
import type { NodeId } from '../../core/graph.ts';
import type { Json } from '../../core/json.ts';
import { MESSAGE_VERSION, encodeResult, encodeUnit, failedEnd, headerOf, type MemberEnd, type Unit } from '../../core/messages.ts';
import { cellOf, type Outcome, type UnitEnd } from '../../../machines/index.ts';
import type { Environment, TaskNote, Transport } from '../../ports.ts';
import type { Inspect } from '../inspection.ts';
import { Invocation, steered, type Scene, type Spot } from '../invocation.ts';
import type { NoteEvent } from '../observer.ts';
import { isThenable } from '../range.ts';
import { encodeEnd } from '../remote/ends.ts';
import { Branch, type BranchEnd, type BranchHost, type FirstExecution } from './branch.ts';
import { UnitNotes } from './notes.ts';
import type { GroupPlace, Places } from './places.ts';
import type { UnknownTask } from './run-code.ts';
import { refused, unknownTaskError } from './unknown-task.ts';

/** What all units of a worker have in common. */
export interface UnitHost {
  readonly worker: string;
  readonly queue: string;
  readonly transport: Transport;
  readonly environment: Environment;
  readonly places: Places;
  readonly inspect: Inspect | undefined;
  readonly unknownTaskMs: number;
  /** Branches are handed over after the execution that they are at. */
  readonly draining: boolean;
  /** Said once of each unit, unless it was stopped. */
  ended(run: UnitRun, end: UnitEnd): void;
}

/** What a spot shows before it is known where it is. */
const nowhere: Scene = Object.freeze({
  runId: '',
  workflow: '',
  channel: {},
  resolve: () => ({ node: '' }),
});

export class UnitRun implements Spot, BranchHost {
  readonly slot: number;
  readonly header: string;
  readonly unit: Unit;
  readonly startedAt: number;
  stopped = false;
  // The spot that its members share: they are executed one after the other.
  scene: Scene = nowhere;
  readonly node: NodeId;
  readonly attempt = 1;
  readonly iteration = 0;
  readonly id = 0;
  readonly hop = 0;
  path: string | undefined;
  readonly #host: UnitHost;
  readonly #text: string;
  #at = 0;
  readonly #ends: MemberEnd[] = [];
  #parked = false;
  #running: Invocation | undefined;
  #branch: Branch | undefined;
  #notes: UnitNotes | undefined;

  constructor(host: UnitHost, slot: number, text: string, unit: Unit, startedAt: number) {
    this.#host = host;
    this.slot = slot;
    this.#text = text;
    this.unit = unit;
    this.header = headerOf(unit);
    this.node = unit.body.entry;
    this.startedAt = startedAt;
  }

  get environment(): Environment {
    return this.#host.environment;
  }
  get inspect(): Inspect | undefined {
    return this.#host.inspect;
  }

  begin(): void {
    const place = this.#host.places.known(this.unit);
    if (place === undefined || place.run.unknown(this.node) !== undefined) void this.#prepare(place);
    else void this.#members(place);
  }

  /** Nobody wants it any more: its tasks are told, and nothing is said of it. */
  stop(reason: unknown): void {
    this.stopped = true;
    this.#running?.abort(reason);
    this.#branch?.stop();
    this.#notes?.close();
  }

  handOver(): void {
    this.#branch?.handOver();
  }

  /** It ends here and now: with where its branch stands, or as it came. */
  giveBack(reason: unknown): UnitEnd {
    const end = this.#count === 1 ? this.#branch?.giveBack() : undefined;
    this.stop(reason);
    return end?.kind === 'end' ? this.#endOf('result', this.#result([end.end], end.parked)) : this.#endOf('return', this.#text);
  }

  /** A hint to its run. */
  note(note: TaskNote): void {
    this.#say(this.node, note);
  }

  hears(note: NoteEvent): void {
    if (note.type === 'task.log') this.#say(note.task, { kind: 'log', level: note.level, message: note.message, data: note.data });
    else this.#say(note.task, { kind: 'progress', done: note.done, total: note.total, note: note.note });
  }

  #say(task: NodeId, note: TaskNote): void {
    if (this.stopped) return;
    const { transport, environment } = this.#host;
    this.#notes ??= new UnitNotes(transport.signals, environment.clock, this.unit.run, this.unit.id);
    this.#notes.say(this.unit.body.index + this.#at, task, note);
  }

  get #count(): number {
    return this.unit.body.inputs?.length ?? 1;
  }

  #input(place: GroupPlace): Json | undefined {
    const { inputs } = this.unit.body;
    return inputs === undefined ? place.shared.input?.[0] : inputs[this.#at]?.[0];
  }

  /** Fetches what has to be fetched, and sees what cannot be executed here. */
  async #prepare(known: GroupPlace | undefined): Promise<void> {
    try {
      const place = known ?? (await this.#host.places.fetch(this.unit, this));
      if (this.stopped) return;
      const unknown = place.run.unknown(this.node);
      if (unknown === undefined) await this.#members(place);
      else await this.#refuse(unknown, place.shared.workflow);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  async #members(place: GroupPlace): Promise<void> {
    const { branch, stepsLeft, channel } = this.unit.body;
    try {
      this.scene = place.scene(channel);
      this.path = place.shared.key;
      const entry = branch === undefined && stepsLeft !== 0 ? place.run.entry(this.node) : undefined;
      for (const count = this.#count; this.#at < count; this.#at += 1) {
        const input = this.#input(place);
        let first: FirstExecution | undefined;
        if (entry !== undefined) {
          // The quick road stands here and not in a function of its own: an async function more costs a third of the speed.
          const invocation = new Invocation(this, input, this.unit.body.index + this.#at);
          this.#running = invocation;
          try {
            let result = invocation.begin(entry.implementation);
            if (isThenable(result)) result = await result;
            if (this.stopped) return;
            const value = invocation.plainValue(result);
            if (value !== steered) {
              this.#ends.push(value === undefined ? [] : [value]);
              continue;
            }
            first = { outcome: invocation.settle(result), startedAt: this.startedAt };
          } catch (thrown) {
            if (this.stopped) return;
            first = { outcome: invocation.fail(thrown, this.environment.random.next()), startedAt: this.startedAt };
          }
          this.#running = undefined;
        }
        const end = (first && quickEnd(first.outcome)) ?? (await this.#slowly(place, input, first));
        if (end === undefined || this.stopped) return;
        this.#ends.push(end);
      }
      this.#host.ended(this, this.#endOf('result', this.#result(this.#ends, this.#parked)));
      this.#notes?.close();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** The member's branch as a whole; nothing when something else was said of the unit. */
  async #slowly(place: GroupPlace, input: Json | undefined, first: FirstExecution | undefined): Promise<MemberEnd | undefined> {
    const { shared, run: code } = place;
    const { index, branch, signals = [], stepsLeft } = this.unit.body;
    const path = `${shared.key}.${index + this.#at}`;
    const stood = branch === undefined || this.#count > 1 ? undefined : { branch, signals };
    const end = await new Promise<BranchEnd>((resolve) => {
      this.#branch = new Branch({ code, runId: shared.runId, graphHash: shared.graphHash, watched: shared.watched === true, path, entry: this.node, input, channel: this.scene.channel, stepsLeft, stood }, this, resolve);
      this.#branch.begin(first);
      if (this.#host.draining) this.#branch.handOver();
    });
    this.#branch = undefined;
    if (this.stopped) return undefined;
    if (end.kind === 'unknown') return void (await this.#refuse(end.task, shared.workflow));
    this.#parked ||= end.parked;
    return end.end;
  }

  async #refuse(unknown: UnknownTask, workflow: string): Promise<void> {
    const { worker, queue, transport, unknownTaskMs } = this.#host;
    const now = this.environment.clock.now();
    let body;
    try {
      body = await refused(this.unit.body, { worker, queue, now, unknownTaskMs, workers: () => transport.lists.workers() });
    } catch {
      // The lists do not say who else is there: it goes back as it came, to be looked at again.
      body = this.unit.body;
    }
    if (this.stopped) return;
    if (body === undefined) return this.#fail(unknownTaskError(unknown, workflow, { worker, queue }));
    this.#host.ended(this, { ...this.#endOf('return', encodeUnit({ ...this.unit, body })), refused: true });
  }

  /** None of its members can be had: all fail for the same reason. */
  #fail(thrown: unknown): void {
    if (this.stopped) return;
    const error = serializeError(thrown);
    this.#notes?.close();
    this.#host.ended(this, this.#endOf('result', this.#result(Array.from({ length: this.#count }, () => failedEnd(error)), false)));
  }

  #result(ends: readonly MemberEnd[], parked: boolean): string {
    const durationMs = this.environment.clock.now() - this.startedAt;
    return encodeResult(this.unit, parked ? 'parked' : 'ended', { v: MESSAGE_VERSION, ends, worker: this.#host.worker, startedAt: this.startedAt, durationMs });
  }

  #endOf(kind: UnitEnd['kind'], text: string): UnitEnd {
    return { slot: this.slot, header: this.header, kind, text };
  }
}

/** An outcome that ends the member as it is; the others need the machine to say what they mean. */
function quickEnd(outcome: Outcome): MemberEnd | undefined {
  if (outcome.kind === 'cancel') return encodeEnd(outcome);
  if (outcome.kind !== 'value' || outcome.spawned !== undefined || outcome.fragments !== undefined) return undefined;
  const { value, channel, checkpoint } = outcome;
  return encodeEnd({ kind: 'ended', cell: cellOf(value), steps: 1, ...(channel && { channel }), ...(checkpoint && { checkpoint }) });
}
