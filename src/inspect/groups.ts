/**
 * The members of one group, as one context after another is shown.
 *
 * Owns: a state per member, what has changed since it was last sent, the group's counts. Does not own: which groups there are
 * (group-ledger.ts), what a failed member means for the nodes (run-tracker.ts).
 *
 * Invariants
 * 1. A member has one state; one with a token or a branch of its own (`hold`) has the state of that until it has an outcome.
 * 2. Of the members that are in the executor's hands the first `limit` are taken to be running: it starts them in order.
 * 3. `message` tells every change once. Groups above MEMBERS_LISTED have counts and no states.
 */
import { Vec, executionKey, type Cell, type Group, type RangeReport, type Report } from '../../machines/index.ts';
import type { SerializedError } from '../core/errors.ts';
import { MEMBERS_LISTED, MEMBER_NOTES, type GroupMessage, type MemberCode, type MemberNote, type MemberRange, type MessageBase } from './messages.ts';
import { diffVec } from './vec-diff.ts';

const CODES: readonly MemberCode[] = ['p', 'q', 'r', 'w', 't', 'd', 'f', 'x'];
const [PENDING, QUEUED, RUNNING, WAITING, RETRYING, DONE, FAILED, STOPPED] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const held = { r: RUNNING, w: WAITING, t: RETRYING, q: QUEUED } as const;

export type HeldCode = keyof typeof held;

/** A member's outcome, as soon as it is known. */
export interface MemberEnd {
  readonly index: number;
  readonly error: SerializedError | undefined;
  readonly cell: Cell | undefined;
}

/** The member of this group that a token stood for, and the node at which it stood. */
export type MemberOf = (token: number) => { readonly index: number; readonly node: string } | undefined;

/** `stopped`: it was running when its group ended. */
export type RangeHook = (index: number, by: 1 | -1, stopped?: boolean) => void;

export function failureOf(cell: Cell): SerializedError | undefined {
  return typeof cell === 'object' && 'error' in cell ? cell.error : undefined;
}

export class GroupTracker {
  readonly id: number;
  readonly node: string;
  readonly limit: number;
  /** The newest that was seen of it. */
  group: Group;
  changed = true;
  readonly startedAt: number;
  #endedAt: number | undefined;
  readonly #states: Uint8Array | undefined;
  readonly #sent: Uint8Array | undefined;
  /** The values of its members are of interest: each is a node of its own. */
  readonly #distinct: RangeHook | undefined;
  /** Of a group whose members are nodes of their own: those that are running as part of a range. */
  readonly #ranged = new Set<number>();
  readonly #held = new Map<number, number>();
  #heldBy = { running: 0, waiting: 0, retrying: 0 };
  readonly #notes = new Map<number, MemberNote>();
  #noted = 0;
  /** All members before it have an outcome. */
  #settled = 0;
  /** The changed part. */
  #low = Infinity;
  #high = 0;
  /** Outcomes of its last step, which no context shows. */
  readonly #late = new Map<number, Cell>();
  /** The running members of its range are not known yet. */
  #stale = false;
  #final: { done: number; failed: number } | undefined;

  /** `distinct`: members are nodes of their own; it is told which of them run as part of a range. */
  constructor(group: Group, limit: number, at: number, distinct?: RangeHook) {
    this.#distinct = distinct;
    this.id = group.id;
    this.node = group.parent.node;
    this.limit = limit;
    this.group = group;
    this.startedAt = at;
    if (group.size > MEMBERS_LISTED) return;
    this.#states = new Uint8Array(group.size);
    this.#sent = new Uint8Array(group.size);
  }

  get ended(): boolean {
    return this.#endedAt !== undefined;
  }

  stateOf(index: number): MemberCode {
    this.#spread();
    return CODES[this.#states?.[index] ?? this.#unlisted(index)] ?? 'p';
  }

  outcomeOf(index: number): Cell | undefined {
    return this.#late.get(index) ?? Vec.get(this.group.outcomes, index);
  }

  note(index: number, note: MemberNote): void {
    if (this.#noted >= MEMBER_NOTES) return;
    this.#noted += 1;
    this.#notes.set(index, note);
    this.changed = true;
  }

  /** The member has a token or a branch; `undefined`: not any more, or it is queued. */
  hold(index: number, code: HeldCode | undefined): void {
    this.#leavesRange(index);
    const before = this.#held.get(index);
    if (before !== undefined) this.#countHeld(before, -1);
    if (code === undefined) this.#held.delete(index);
    else {
      this.#held.set(index, held[code]);
      this.#countHeld(held[code], 1);
    }
    const now = this.#states?.[index];
    if (now !== undefined && now !== DONE && now !== FAILED) this.#set(index, code === undefined ? QUEUED : held[code]);
    this.changed = true;
  }

  /** Takes a newer state of the group in; returns the outcomes that are new. */
  update(group: Group, from: Group | undefined): MemberEnd[] {
    const ends: MemberEnd[] = [];
    diffVec<Cell>(from?.outcomes ?? Vec.emptyVec(), group.outcomes, (index, _before, cell) => {
      if (cell === undefined) return;
      const error = failureOf(cell);
      this.#set(index, error === undefined ? DONE : FAILED);
      if (this.#held.has(index)) this.hold(index, undefined);
      else this.#leavesRange(index);
      if (error !== undefined || this.#distinct !== undefined) ends.push({ index, error, cell });
    });
    this.group = group;
    this.changed = true;
    this.#stale = true;
    // Of members that are nodes of their own everyone counts; else it can wait until somebody asks.
    if (this.#distinct !== undefined) this.#spread();
    return ends;
  }

  /**
   * The group is gone: its last members ended in the same step. `reports` are what that step was told, `memberOf` finds the
   * member of a token; `completed`: its policy was content.
   */
  end(reports: readonly Report[], memberOf: MemberOf, completed: boolean, failures: ReadonlyMap<number, SerializedError>, at: number): MemberEnd[] {
    const ends = new Map<number, MemberEnd>();
    const known = this.group.outcomes;
    const take = (index: number, cell: Cell | undefined): void => {
      if (ends.has(index) || !(index >= 0 && index < this.group.size) || Vec.get(known, index) !== undefined) return;
      const error = cell === undefined ? undefined : failureOf(cell);
      this.#set(index, error === undefined ? DONE : FAILED);
      ends.set(index, { index, error, cell });
      if (cell !== undefined) this.#late.set(index, cell);
    };
    for (const report of reports) this.#takeReport(report, memberOf, take);
    for (const [index, error] of failures) take(index, { error });
    const late = [...ends.values()];
    const failed = this.group.failed + late.filter(({ error }) => error !== undefined).length;
    this.#stale = false;
    this.#final = { done: completed ? this.group.size - failed : known.size + late.length - failed, failed };
    const states = this.#states;
    for (let index = this.#settled; states !== undefined && index < states.length; index += 1) {
      const state = states[index] as number;
      if (state !== DONE && state !== FAILED) this.#set(index, completed ? DONE : state === PENDING ? PENDING : STOPPED);
    }
    for (const index of this.#ranged) this.#distinct?.(index, -1, states?.[index] === STOPPED);
    this.#ranged.clear();
    this.#held.clear();
    this.#heldBy = { running: 0, waiting: 0, retrying: 0 };
    this.#endedAt = at;
    this.changed = true;
    return late;
  }

  /** Members that run as part of a range. */
  get rangeRunning(): number {
    return this.ended ? 0 : Math.max(0, Math.min(this.group.open, this.limit - this.#heldBy.running));
  }

  get counts(): Pick<GroupMessage, 'running' | 'waiting' | 'retrying' | 'done' | 'failed'> {
    if (this.#final !== undefined) return { running: 0, waiting: 0, retrying: 0, ...this.#final };
    const { outcomes, failed } = this.group;
    const { running, waiting, retrying } = this.#heldBy;
    return { running: running + this.rangeRunning, waiting, retrying, done: outcomes.size - failed, failed };
  }

  /** The first members that are running as part of a range. */
  *running(most: number): Generator<number> {
    const states = this.#states;
    if (states === undefined || this.group.open === 0) return;
    this.#spread();
    let left = most;
    for (let index = this.#settled; index < this.group.cursor && left > 0; index += 1) {
      if (states[index] !== RUNNING || this.#held.has(index)) continue;
      left -= 1;
      yield index;
    }
  }

  /** What has changed, once. */
  message(base: MessageBase): GroupMessage {
    this.changed = false;
    if (!this.ended) this.#spread();
    const { group, node, limit } = this;
    const members = this.#changes();
    const notes = this.#notes.size === 0 ? undefined : Object.fromEntries(this.#notes);
    this.#notes.clear();
    return {
      ...base, type: '@taskchart.group', group: group.id, node, key: executionKey(group.parent), size: group.size, limit, ...this.counts,
      open: !this.ended, startedAt: this.startedAt, ...(this.#endedAt === undefined ? {} : { endedAt: this.#endedAt }),
      ...(members && { members }), ...(notes && { notes }),
    };
  }

  #takeReport(report: Report, memberOf: MemberOf, take: (index: number, cell: Cell | undefined) => void): void {
    if ('cells' in report) {
      const { group, indexes, cells } = report as RangeReport;
      if (group === this.id) indexes.forEach((index, at) => take(index, cells[at]));
      return;
    }
    const { end } = report;
    if (end === undefined) return;
    const of = 'id' in report ? memberOf(report.id) : undefined;
    const index = of?.index ?? ('group' in report && report.group === this.id ? report.index : undefined);
    if (index === undefined) return;
    // Who moved on by itself stands somewhere else by now.
    const place: Record<string, string> = of === undefined || ('moves' in report && report.moves !== undefined) ? {} : { taskId: of.node };
    if (end.kind === 'failed') take(index, { error: { ...end.error, details: { ...place, ...end.error.details } } });
    else if (end.kind === 'ended') take(index, end.cell);
    else if (end.kind === 'value') take(index, end.value === undefined ? [] : [end.value]);
  }

  /** Invariant 2. */
  #spread(): void {
    const states = this.#states;
    if (states === undefined || !this.#stale) return;
    this.#stale = false;
    let free = this.limit - this.#heldBy.running;
    let first = true;
    for (let index = this.#settled; index < this.group.cursor; index += 1) {
      const state = states[index] as number;
      const over = state === DONE || state === FAILED;
      if (over && first) this.#settled = index + 1;
      if (over) continue;
      first = false;
      if (this.#held.has(index)) continue;
      if (Vec.get(this.group.apart, index) !== undefined) {
        // It has a token, which is queued.
        this.#leavesRange(index);
        this.#set(index, QUEUED);
        continue;
      }
      this.#set(index, free > 0 ? RUNNING : QUEUED);
      if (this.#distinct !== undefined && free > 0 && !this.#ranged.has(index)) {
        this.#ranged.add(index);
        this.#distinct(index, 1);
      }
      free -= 1;
    }
  }

  #leavesRange(index: number): void {
    if (this.#distinct !== undefined && this.#ranged.delete(index)) this.#distinct(index, -1);
  }

  #countHeld(state: number, by: 1 | -1): void {
    if (state === RUNNING) this.#heldBy.running += by;
    else if (state === WAITING) this.#heldBy.waiting += by;
    else if (state === RETRYING) this.#heldBy.retrying += by;
  }

  #unlisted(index: number): number {
    const cell = Vec.get(this.group.outcomes, index);
    if (cell !== undefined) return failureOf(cell) === undefined ? DONE : FAILED;
    return this.#held.get(index) ?? (index < this.group.cursor ? QUEUED : PENDING);
  }

  #set(index: number, state: number): void {
    const states = this.#states;
    if (states === undefined || states[index] === state) return;
    states[index] = state;
    if (index < this.#low) this.#low = index;
    if (index >= this.#high) this.#high = index + 1;
  }

  #changes(): MemberRange[] | undefined {
    const states = this.#states;
    const sent = this.#sent;
    if (states === undefined || sent === undefined || this.#high <= this.#low) return undefined;
    const list: MemberRange[] = [];
    for (let from = this.#low; from < this.#high; ) {
      const state = states[from] as number;
      let to = from + 1;
      if (state === sent[from]) {
        from = to;
        continue;
      }
      while (to < this.#high && states[to] === state && sent[to] !== state) to += 1;
      list.push([from, to, CODES[state] as MemberCode]);
      from = to;
    }
    sent.set(states.subarray(this.#low, this.#high), this.#low);
    this.#low = Infinity;
    this.#high = 0;
    return list.length === 0 ? undefined : list;
  }
}
