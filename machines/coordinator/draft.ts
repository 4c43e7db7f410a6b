/**
 * One event's work on a coordinator's context: opened over the old context, changed in place, closed into the new one.
 *
 * Owns: copying what is touched, once; collecting the commands. Does not own: any rule.
 *
 * Invariant: the context that it was opened over never changes.
 */
import { push } from '../execution-context/queue.ts';
import { VecDraft, emptyVec, entries, get } from '../execution-context/vec.ts';
import type { CoordinatorContext, OpenGroup, OpenUnit, Outstanding, Queue } from './context.ts';
import { newQueue } from './context.ts';
import type { Fence, HostCommand, ListsCommand, PlannedGroup, TimersCommand, WaitCommand } from './events.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type GroupDraft = Mutable<Omit<OpenGroup, 'units'>> & { readonly units: VecDraft<OpenUnit> };
export type QueueDraft = Mutable<Queue>;
type Body<C> = C extends unknown ? Omit<C, 'number'> : never;

export class Draft {
  readonly before: CoordinatorContext;
  readonly now: Mutable<CoordinatorContext>;
  lists: ListsCommand | undefined;
  wait: WaitCommand | undefined;
  timers: TimersCommand | undefined;
  host: HostCommand | undefined;
  #groups: Map<number, GroupDraft | null> | undefined;
  #queues: QueueDraft[] | undefined;
  #shared: VecDraft<number> | undefined;

  constructor(before: CoordinatorContext) {
    this.before = before;
    this.now = { ...before };
  }

  group(id: number): GroupDraft | undefined {
    let open = this.#groups?.get(id);
    if (open === undefined) {
      const stored = get(this.before.groups, id);
      open = stored === undefined ? null : { ...stored, units: new VecDraft(stored.units) };
      (this.#groups ??= new Map()).set(id, open);
    }
    return open ?? undefined;
  }

  addGroup(plan: PlannedGroup): GroupDraft {
    const group: GroupDraft = { plan, queue: this.#queueOf(plan.queue), units: new VecDraft<OpenUnit>(emptyVec()), open: 0, quietSince: this.now.at };
    (this.#groups ??= new Map()).set(plan.id, group);
    return group;
  }

  removeGroup(id: number): void {
    (this.#groups ??= new Map()).set(id, null);
  }

  /** Every group: for the rare events that look at all of them. */
  allGroups(): GroupDraft[] {
    const ids = new Set(this.#groups?.keys());
    for (const [id] of entries(this.before.groups)) ids.add(id);
    return [...ids].map((id) => this.group(id)).filter((group) => group !== undefined);
  }

  queue(at: number): QueueDraft {
    return this.queues[at] as QueueDraft;
  }

  get queues(): readonly QueueDraft[] {
    return (this.#queues ??= this.before.queues.map((queue) => ({ ...queue })));
  }

  /** Gives the lists something to do; they have nothing else in their hands. */
  command(body: Body<ListsCommand>, kept: Omit<Outstanding, 'number' | 'type'> = {}): void {
    const number = this.#nextNumber();
    this.lists = { ...body, number } as ListsCommand;
    this.now.command = { number, type: body.type, ...kept };
  }

  listen(): void {
    const number = this.#nextNumber();
    this.wait = { type: 'WAIT', number, run: this.now.run, timeoutMs: this.now.settings.waitMs };
    this.now.wait = { number, live: true };
  }

  /** At which reset the shared part of a group was last stored. */
  storedAt(id: number): number | undefined {
    return this.#shared === undefined ? get(this.before.shared, id) : this.#shared.get(id);
  }

  stored(id: number, reset: number): void {
    (this.#shared ??= new VecDraft(this.before.shared)).set(id, reset);
  }

  /** A group's shared part is of no use any more once `revision` is durable. An earlier life may have stored it. */
  discard({ id, beside }: PlannedGroup, revision: number): void {
    if (beside === undefined || (this.storedAt(id) === undefined && this.now.fresh)) return;
    (this.#shared ??= new VecDraft(this.before.shared)).delete(id);
    this.now.unneeded = push(this.now.unneeded, { name: beside, revision });
  }

  /** The fence; whoever asks has seen that there is one. */
  get fence(): Fence {
    return this.now.fence as Fence;
  }

  get expireMs(): number | undefined {
    return this.now.journalled ? undefined : this.now.settings.expireMs;
  }

  done(): CoordinatorContext {
    return { ...this.now, groups: this.#groupsDone(), queues: this.#queues ?? this.before.queues, shared: this.#shared?.done() ?? this.before.shared };
  }

  #nextNumber(): number {
    this.now.number += 1;
    return this.now.number;
  }

  #queueOf(name: string): number {
    const found = this.queues.findIndex((queue) => queue.name === name);
    if (found >= 0) return found;
    (this.#queues as QueueDraft[]).push({ ...newQueue(name) });
    return this.queues.length - 1;
  }

  #groupsDone(): CoordinatorContext['groups'] {
    if (this.#groups === undefined) return this.before.groups;
    const groups = new VecDraft(this.before.groups);
    for (const [id, group] of this.#groups) if (group === null) groups.delete(id);
      else groups.set(id, { ...group, units: group.units.done() });
    return groups.done();
  }
}
