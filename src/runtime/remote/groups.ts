/**
 * The groups of one run whose members are executed by workers: between the executor and the run's coordinators.
 *
 * Owns: turning members into units and results into reports; one coordinator for each place that groups name.
 * Does not own: the way to the workers (coordinator.ts), what an outcome means (the machine).
 *
 * Invariants
 * 1. Whatever the executor is told again is planned again: a coordinator knows what is open already.
 * 2. A result is reported at once, and the revision that holds it is told to its coordinator.
 * 3. The members of one unit are reported in one event.
 */
import { TaskchartError, isTaskchartError, reviveError } from '../../core/errors.ts';
import type { EachNode, NodeId, ParallelNode } from '../../core/graph.ts';
import { hashJson } from '../../core/hash.ts';
import type { Json } from '../../core/json.ts';
import { MESSAGE_VERSION, type MemberEnd, type SharedBody, type UnitBody } from '../../core/messages.ts';
import { isValue, type Outcome, type RangeStart, type Start, type UnitOutcome } from '../../../machines/index.ts';
import type { TaskNote, Transport } from '../../ports.ts';
import type { Site } from '../execution.ts';
import type { GroupExecutor } from '../group-executor.ts';
import type { Outbox } from '../outbox.ts';
import type { Delivered, Dispatcher, DispatchHost, PlannedGroup, PlannedUnit, RemoteWait } from './dispatch.ts';
import { decodeEnd } from './ends.ts';
import { toldIn } from './told.ts';

/** The run, as far as its remote groups need it. */
export interface RemoteRun {
  readonly site: Site;
  readonly outbox: Outbox;
  readonly groups: GroupExecutor;
  /** When the run began, and the hash of its graph. */
  readonly startedAt: number;
  readonly graphHash: string;
  /** The run's revision, once everything that was reported is taken in. */
  revision(): number;
  /** Whether a group is still without its verdict. */
  isOpen(group: number): boolean;
  /** The run cannot go on in this process. */
  failed(error: Error): void;
  /** As `DispatchHost` says; absent without a journal. */
  readonly confirm?: (() => Promise<void>) | undefined;
  /** Makes the coordinator for a place. */
  coordinate(transport: Transport, host: DispatchHost): Dispatcher;
}

/** A member that left as a token of its own. */
interface Away {
  readonly token: number;
  readonly group: number;
  readonly index: number;
  readonly generation: number;
  readonly coordinator: Dispatcher;
}

/** What the results of a group's units need to become reports. */
interface OpenGroup {
  readonly node: NodeId;
  readonly key: string;
  readonly size: number;
  readonly coordinator: Dispatcher;
  /** The channel when its shared part was made: units planned later carry theirs if it is another. */
  readonly plan: PlannedGroup;
  /** Of the shared part: another for another text, as workers keep what they have read. */
  readonly name: string;
  readonly entry: (index: number) => NodeId;
}

export class RemoteGroups {
  readonly #run: RemoteRun;
  readonly #coordinators = new Map<string, Dispatcher>();
  readonly #open = new Map<number, OpenGroup>();
  readonly #byToken = new Map<number, Away>();
  readonly #byMember = new Map<string, Away>();

  constructor(run: RemoteRun) {
    this.#run = run;
  }

  /** Members that leave in units of `units.batch`, from its multiples on. */
  startRange(range: RangeStart, revision: number): void {
    const group = this.#groupOf(range.group, range.node, range);
    const batch = range.units?.batch ?? 1;
    const units: PlannedUnit[] = [];
    for (let from = range.from; from < range.to; ) {
      const to = Math.min(range.to, (Math.floor(from / batch) + 1) * batch);
      units.push({ group: range.group, index: from, generation: 0, body: this.#bodyOf(range, group, from, to) });
      from = to;
    }
    group.coordinator.plan(revision, [group.plan], units);
  }

  /** A member that leaves by itself: of a dag, or one that was away before. */
  startToken(start: Start, revision: number): void {
    const { group: id, index, unit, within } = start;
    if (id === undefined || index === undefined || unit === undefined || within === undefined || this.#byToken.has(start.id)) return;
    const group = this.#groupOf(id, within, unit);
    const away: Away = { token: start.id, group: id, index, generation: unit.generation, coordinator: group.coordinator };
    this.#byToken.set(start.id, away);
    this.#byMember.set(memberKey(id, index), away);
    const { branch, signals, stepsLeft } = unit;
    const body: UnitBody = {
      v: MESSAGE_VERSION, group: group.name, index, entry: start.node, inputs: [start.input === undefined ? [] : [start.input]],
      ...this.#channelFor(group), ...(branch !== undefined && { branch, signals }), ...(stepsLeft !== undefined && { stepsLeft }),
    };
    group.coordinator.plan(revision, [group.plan], [{ group: id, index, generation: unit.generation, body }]);
  }

  abortToken(token: number): void {
    const away = this.#byToken.get(token);
    if (away === undefined) return;
    this.#forget(away);
    away.coordinator.abort([], [away], this.#run.revision());
  }

  abortGroup(group: number): void {
    const open = this.#open.get(group);
    if (open === undefined) return;
    this.#open.delete(group);
    open.coordinator.abort([group], [], this.#run.revision());
  }

  durable(revision: number): void {
    for (const coordinator of this.#coordinators.values()) coordinator.durable(revision);
  }

  waitsFor(): readonly RemoteWait[] {
    return [...this.#coordinators.values()].flatMap((coordinator) => coordinator.waitsFor());
  }

  /** Resolves when the lists hold nothing of the run any more (`ended`), or are left as they are for whoever resumes it. */
  async close(how: 'ended' | 'left'): Promise<void> {
    const open = [...this.#coordinators.values()];
    this.#coordinators.clear();
    await Promise.all(open.map((coordinator) => coordinator.close(how)));
  }

  /** Sees to it that a run that was resumed leaves nothing behind, also in places where no group was open any more. */
  reach(): void {
    for (const { transport } of this.#run.groups.remotePlaces()) this.#coordinatorAt(transport);
  }

  #groupOf(id: number, node: NodeId, given: { readonly key: string; readonly size: number; readonly input?: Json | undefined }): OpenGroup {
    const known = this.#open.get(id);
    if (known !== undefined) return known;
    const { site, groups, startedAt, graphHash } = this.#run;
    const { queue, startTimeoutMs, transport } = groups.remote(node);
    const shared: SharedBody = {
      v: MESSAGE_VERSION, runId: site.runId, workflow: site.workflow, graphHash, startedAt, node, key: given.key, size: given.size, queue, channel: site.channel,
      ...(given.input !== undefined && { input: [given.input] as const }),
      ...(site.observers.watched && { watched: true as const }),
    };
    const name = `${id}-${hashJson(shared as unknown as Json)}`;
    const plan: PlannedGroup = { id, queue, shared, ...(!travelsWithin(shared) && { beside: name }), ...(startTimeoutMs !== undefined && { startTimeoutMs }) };
    const group: OpenGroup = { node, key: given.key, size: given.size, coordinator: this.#coordinatorAt(transport), plan, name, entry: this.#entryOf(node) };
    this.#open.set(id, group);
    return group;
  }

  #entryOf(node: NodeId): (index: number) => NodeId {
    const group = this.#run.site.code.node(node) as EachNode | ParallelNode;
    return group.kind === 'each' ? () => group.body : (index) => group.members[index]?.entry ?? '';
  }

  #coordinatorAt(transport: Transport): Dispatcher {
    let coordinator = this.#coordinators.get(transport.key);
    if (coordinator === undefined) {
      const host: DispatchHost = {
        deliver: (delivery, results) => this.#deliver(transport.key, delivery, results),
        // What has been left has nothing to say any more.
        failed: (error) => void (this.#coordinators.has(transport.key) && this.#run.failed(error)),
        confirm: this.#run.confirm,
        note: (unit, note) => this.#note(unit, note),
      };
      coordinator = this.#run.coordinate(transport, host);
      this.#coordinators.set(transport.key, coordinator);
    }
    return coordinator;
  }

  #bodyOf(range: RangeStart, group: OpenGroup, from: number, to: number): UnitBody {
    const { items, units } = range;
    const inputs = items?.slice(from, to).map((item) => [item] as const);
    const stepsLeft = units?.stepsLeft;
    return { v: MESSAGE_VERSION, group: group.name, index: from, entry: group.entry(from), ...(inputs && { inputs }), ...this.#channelFor(group), ...(stepsLeft !== undefined && { stepsLeft }) };
  }

  #channelFor(group: OpenGroup): Pick<UnitBody, 'channel'> {
    const { channel } = this.#run.site;
    return channel === group.plan.shared.channel ? {} : { channel };
  }

  #deliver(key: string, delivery: number, results: readonly Delivered[]): void {
    for (const result of results) this.#report(result);
    this.#run.outbox.flush();
    const coordinator = this.#coordinators.get(key);
    const groups = new Set<number>();
    for (const { group } of results) groups.add(group);
    const ended = [...groups].filter((group) => this.#open.has(group) && !this.#run.isOpen(group));
    for (const group of ended) this.#open.delete(group);
    if (ended.length > 0) coordinator?.ended(ended, this.#run.revision());
    coordinator?.accepted(delivery, this.#run.revision());
  }

  #report(result: Delivered): void {
    const open = this.#open.get(result.group);
    if (open === undefined) return;
    const away = this.#byMember.size === 0 ? undefined : this.#byMember.get(memberKey(result.group, result.index));
    if (away !== undefined) this.#forget(away);
    const { outbox, site } = this.#run;
    for (const [at, end] of result.ends.entries()) {
      const index = result.index + at;
      const outcome = this.#outcome(end, open.entry(index));
      if (site.observers.watched) this.#tell(open, index, end, outcome, result);
      if (away !== undefined) outbox.add({ id: away.token, end: outcome });
      else if (outcome.kind === 'ended' && isValue(outcome.cell) && isPlain(outcome)) outbox.cell(result.group, index, outcome.cell);
      else outbox.member(result.group, index, outcome);
    }
  }

  /** What cannot be taken for an end makes its member fail: the unit is not open any more, and nothing better will come. */
  #outcome(end: MemberEnd, entry: NodeId): UnitOutcome | Extract<Outcome, { kind: 'cancel' }> {
    try {
      const outcome = decodeEnd(end);
      if (outcome.kind === 'parked' && outcome.branch !== null) this.#learn(outcome.branch);
      return outcome;
    } catch (thrown) {
      const error = isTaskchartError(thrown) ? thrown : new TaskchartError('protocol/bad-result', String(thrown));
      const { code, hint, details } = error;
      return { kind: 'ended', steps: 1, cell: { error: { name: error.name, code, message: `the result of task "${entry}" cannot be used: ${error.message}`, ...(hint !== undefined && { hint }), ...(details !== undefined && { details }) } } };
    }
  }

  /** Steps that a branch has met on its way: their waits are this run's waits while the branch is here. */
  #learn(branch: Json): void {
    const { fragments } = branch as { readonly fragments?: Parameters<Site['code']['restore']>[0] };
    if (fragments !== undefined && Object.keys(fragments).length > 0) this.#run.site.code.restore(fragments);
  }

  #forget(away: Away): void {
    this.#byToken.delete(away.token);
    this.#byMember.delete(memberKey(away.group, away.index));
  }

  #tell(open: OpenGroup, index: number, end: MemberEnd, outcome: UnitOutcome | Extract<Outcome, { kind: 'cancel' }>, { startedAt, durationMs = 0 }: Delivered): void {
    const { observers, environment } = this.#run.site;
    const group = { id: open.node, index, size: open.size };
    const told = toldIn(end, group);
    for (const event of told) observers.tell(event);
    if (told.length > 0 || outcome.kind === 'parked' || outcome.kind === 'cancel') return;
    const at = environment.clock.now();
    const place = { task: open.entry(index), key: `${open.key}.${index}`, attempt: 1, iteration: 0, group };
    observers.tell({ type: 'task.started', at: Math.min(at, startedAt ?? at), ...place });
    if (isFailed(outcome)) observers.tell({ type: 'task.failed', at, ...place, error: reviveError(outcome.cell.error), final: true, durationMs });
    else observers.tell({ type: 'task.completed', at, ...place, durationMs });
  }

  #note(unit: { readonly group: number; readonly index: number }, given: unknown): void {
    const open = this.#open.get(unit.group);
    const { observers, environment } = this.#run.site;
    if (open === undefined || !observers.watched || typeof given !== 'object' || given === null) return;
    const note = given as TaskNote & { readonly task?: unknown };
    const task = typeof note.task === 'string' ? note.task : open.entry(unit.index);
    const place = { at: environment.clock.now(), task, key: `${open.key}.${unit.index}`, attempt: 1, iteration: 0, group: { id: open.node, index: unit.index, size: open.size } };
    if (note.kind === 'progress' && typeof note.done === 'number') observers.tell({ type: 'task.progress', ...place, done: note.done, total: note.total, note: note.note });
    else if (note.kind === 'log' && typeof note.message === 'string') observers.tell({ type: 'task.log', ...place, level: note.level, message: note.message, data: note.data });
  }
}

/**
 * Groups of up to so many members send a shared part of up to so much text with each unit: that saves a worker the way to it.
 * It depends on that part alone, so it is the same for all units of a group.
 */
const FEW_MEMBERS = 4;
const SHORT_TEXT = 4096;

function travelsWithin(shared: SharedBody): boolean {
  return shared.size === 1 || (shared.size <= FEW_MEMBERS && JSON.stringify(shared).length <= SHORT_TEXT);
}

function memberKey(group: number, index: number): string {
  return `${group}.${index}`;
}

function isFailed(outcome: UnitOutcome): outcome is Extract<UnitOutcome, { kind: 'ended' }> & { readonly cell: { readonly error: Parameters<typeof reviveError>[0] } } {
  return outcome.kind === 'ended' && !isValue(outcome.cell);
}

function isPlain({ steps, counts, channel, signals, checkpoint }: UnitOutcome): boolean {
  return steps === 1 && signals === undefined && counts === undefined && channel === undefined && checkpoint === undefined;
}

