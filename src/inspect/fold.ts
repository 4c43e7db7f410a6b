/**
 * What someone who reads the stream knows: messages folded into a picture, and the picture as messages again.
 *
 * Owns: keeping what still matters, within bounds. Pure and without Node, so that relay, page and terminal share it. Does not
 * own: drawing, sending, asking.
 *
 * Invariants
 * 1. Folding `messages()` of a picture gives the same picture: that is how a late viewer, or one that was too slow, catches up.
 * 2. The memory of a picture is bounded: by the graph, the actors, and the constants below; not by how long the run takes.
 * 3. A message that does not fit what is known (a group's member beyond its size, an unknown type) changes nothing.
 */
import type { NodeId } from '../core/graph.ts';
import {
  MEMBERS_LISTED, MEMBER_NOTES, type ActorMessage, type EventMessage, type GraphMessage, type GroupMessage, type InspectorMessage, type LogEntry, type MemberCode,
  type MemberNote, type MemberRange, type RunMessage, type RunState, type SnapshotMessage, type StatusMessage, type SystemMessage, type TaskState, type TaskValues, type ValueText,
} from './messages.ts';

/** Of one actor system. */
const EVENTS_KEPT = 600;
const LOGS_KEPT = 200;
const GROUPS_KEPT = 300;
const ACTORS_KEPT = 500;
const RUNS_KEPT = 500;
const MEMBERS_KEPT = 1_000_000;
/** Of the values of one run; beyond it the oldest are cut to their first words. */
const CHARACTERS_KEPT = 2_000_000;
const FIRST_WORDS = 200;

const ENDED: ReadonlySet<RunState> = new Set<RunState>(['completed', 'failed', 'cancelled', 'stopped']);
const CODES = 'pqrwtdfx';

/** The states of a group's members, one byte each. */
export class Members {
  readonly #states: Uint8Array;

  constructor(size: number) {
    this.#states = new Uint8Array(size);
  }

  get size(): number {
    return this.#states.length;
  }

  at(index: number): MemberCode {
    return (CODES[this.#states[index] ?? 0] ?? 'p') as MemberCode;
  }

  set(from: number, to: number, state: MemberCode): void {
    const code = CODES.indexOf(state);
    if (code >= 0) this.#states.fill(code, Math.max(0, from), Math.max(0, to));
  }

  /** Everything but pending, in order. */
  ranges(): MemberRange[] {
    const list: MemberRange[] = [];
    const states = this.#states;
    for (let from = 0; from < states.length; ) {
      const code = states[from] as number;
      let to = from + 1;
      while (to < states.length && states[to] === code) to += 1;
      if (code !== 0) list.push([from, to, this.at(from)]);
      from = to;
    }
    return list;
  }

  /** How many are in each state that occurs. */
  counts(): Partial<Record<MemberCode, number>> {
    const counts: Partial<Record<MemberCode, number>> = {};
    for (const code of this.#states) {
      const state = CODES[code] as MemberCode;
      counts[state] = (counts[state] ?? 0) + 1;
    }
    return counts;
  }
}

export class GroupPicture {
  /** The newest message, without what changes. */
  last: GroupMessage;
  readonly members: Members | undefined;
  readonly notes = new Map<number, MemberNote>();

  constructor(first: GroupMessage) {
    this.last = first;
    this.members = first.size <= MEMBERS_LISTED ? new Members(first.size) : undefined;
  }

  take(message: GroupMessage): void {
    const { members, notes, ...rest } = message;
    this.last = rest;
    for (const [from, to, state] of members ?? []) this.members?.set(from, to, state);
    for (const [index, note] of Object.entries(notes ?? {})) {
      if (this.notes.size < MEMBER_NOTES || this.notes.has(Number(index))) this.notes.set(Number(index), note);
    }
  }

  message(): GroupMessage {
    return {
      ...this.last,
      ...(this.members && { members: this.members.ranges() }),
      ...(this.notes.size > 0 && { notes: Object.fromEntries(this.notes) }),
    };
  }
}

/** One run, as far as it is known. */
export class RunPicture {
  run: RunMessage | undefined;
  graph: GraphMessage | undefined;
  status: StatusMessage | undefined;
  input: ValueText | undefined;
  output: ValueText | undefined;
  readonly tasks = new Map<NodeId, TaskState>();
  readonly groups = new Map<number, GroupPicture>();
  readonly values = new Map<NodeId, TaskValues>();
  /** The newest, oldest first. */
  readonly logs: LogEntry[] = [];
  #members = 0;
  #characters = 0;

  take(message: InspectorMessage): void {
    switch (message.type) {
      case '@taskchart.run':
        this.run = message;
        break;
      case '@taskchart.graph':
        this.graph = message;
        break;
      case '@taskchart.status':
        this.status = message;
        break;
      case '@taskchart.tasks':
        for (const [id, state] of Object.entries(message.nodes)) this.tasks.set(id, state);
        break;
      case '@taskchart.values':
        for (const [id, values] of Object.entries(message.nodes)) this.#takeValues(id, values);
        this.input = message.input ?? this.input;
        this.output = message.output ?? this.output;
        break;
      case '@taskchart.log':
        this.logs.push(...message.entries);
        if (this.logs.length > LOGS_KEPT) this.logs.splice(0, this.logs.length - LOGS_KEPT);
        break;
      case '@taskchart.group':
        this.#takeGroup(message);
        break;
      default:
    }
  }

  messages(): InspectorMessage[] {
    const { run } = this;
    if (run === undefined) return [];
    const { sessionId, rootId, createdAt, id, _version } = run;
    const base = { sessionId, rootId, createdAt, id, _version };
    const list: InspectorMessage[] = [run];
    if (this.graph !== undefined) list.push(this.graph);
    if (this.tasks.size > 0) list.push({ ...base, type: '@taskchart.tasks', nodes: recordOf(this.tasks) });
    for (const group of this.groups.values()) list.push(group.message());
    if (this.status !== undefined) list.push(this.status);
    if (this.values.size > 0 || this.input !== undefined || this.output !== undefined) {
      list.push({ ...base, type: '@taskchart.values', nodes: recordOf(this.values), ...(this.input && { input: this.input }), ...(this.output && { output: this.output }) });
    }
    if (this.logs.length > 0) list.push({ ...base, type: '@taskchart.log', entries: this.logs.slice(), skipped: 0 });
    return list;
  }

  #takeValues(id: NodeId, values: TaskValues): void {
    const before = this.values.get(id);
    const after = { ...before, ...values };
    this.#characters += charactersOf(after) - charactersOf(before);
    this.values.delete(id);
    this.values.set(id, after);
    if (this.#characters <= CHARACTERS_KEPT) return;
    for (const [oldest, known] of this.values) {
      if (this.#characters <= CHARACTERS_KEPT) return;
      const { input, output } = known;
      const short = { ...known, ...(input && { input: shortened(input) }), ...(output && { output: shortened(output) }) };
      this.#characters += charactersOf(short) - charactersOf(known);
      this.values.set(oldest, short);
    }
  }

  #takeGroup(message: GroupMessage): void {
    const known = this.groups.get(message.group);
    if (known !== undefined && known.last.size === message.size) {
      known.take(message);
      return;
    }
    if (!Number.isInteger(message.size) || message.size < 0) return;
    const group = new GroupPicture(message);
    group.take(message);
    this.groups.set(message.group, group);
    this.#members += group.members?.size ?? 0;
    this.#makeRoom(message.group);
  }

  /** Forgets groups that have ended, oldest first; then open ones. */
  #makeRoom(newest: number): void {
    for (const ended of [true, false]) {
      for (const [id, group] of this.groups) {
        if (this.groups.size <= GROUPS_KEPT && this.#members <= MEMBERS_KEPT) return;
        if (id === newest || group.last.open === ended) continue;
        this.groups.delete(id);
        this.#members -= group.members?.size ?? 0;
      }
    }
  }
}

/** One actor: what it is, and its newest state. */
export interface ActorPicture {
  readonly actor: ActorMessage;
  last: SnapshotMessage | undefined;
}

/** One actor system: its actors, and the runs among them. */
export class SystemPicture {
  readonly rootId: string;
  system: SystemMessage | undefined;
  readonly actors = new Map<string, ActorPicture>();
  readonly runs = new Map<string, RunPicture>();
  /** The newest of all its actors, oldest first. */
  readonly events: EventMessage[] = [];

  constructor(rootId: string) {
    this.rootId = rootId;
  }

  take(message: InspectorMessage): void {
    if (message.type.startsWith('@taskchart.')) this.#run(message)?.take(message);
    else this.#takeActor(message as ActorMessage | EventMessage | SnapshotMessage);
  }

  /** All that is known, for one who knows nothing. */
  messages(): InspectorMessage[] {
    const list: InspectorMessage[] = [];
    for (const { actor } of this.actors.values()) list.push(actor);
    for (const run of this.runs.values()) list.push(...run.messages());
    list.push(...this.events);
    for (const { last } of this.actors.values()) if (last !== undefined) list.push(last);
    return list;
  }

  /** The run of a message; none where there is no room for another one. */
  #run({ sessionId, type }: InspectorMessage): RunPicture | undefined {
    const known = this.runs.get(sessionId);
    if (known !== undefined) return known;
    // What comes late of a run that was forgotten is not worth another one.
    if (this.runs.size >= RUNS_KEPT && (type !== '@taskchart.run' || !this.#forgetRun())) return undefined;
    const run = new RunPicture();
    this.runs.set(sessionId, run);
    return run;
  }

  /** The oldest that has ended; what is under way stays. */
  #forgetRun(): boolean {
    for (const [session, { run }] of this.runs) if (run === undefined || ENDED.has(run.state)) return this.runs.delete(session);
    return false;
  }

  #takeActor(message: ActorMessage | EventMessage | SnapshotMessage): void {
    const known = this.actors.get(message.sessionId);
    if (message.type === '@xstate.actor') {
      this.actors.set(message.sessionId, { actor: message, last: undefined });
      if (this.actors.size > ACTORS_KEPT) this.#forgetActor(message.sessionId);
      return;
    }
    if (known === undefined) return;
    if (message.type === '@xstate.snapshot') known.last = message;
    else {
      this.events.push(message);
      if (this.events.length > EVENTS_KEPT * 1.2) this.events.splice(0, this.events.length - EVENTS_KEPT);
    }
  }

  /** The oldest that has ended, else the oldest; never the root. */
  #forgetActor(newest: string): void {
    let victim: string | undefined;
    for (const [id, { last, actor }] of this.actors) {
      if (id === newest || id === this.rootId) continue;
      victim ??= id;
      if ((last?.snapshot ?? actor.snapshot).status === 'active') continue;
      victim = id;
      break;
    }
    if (victim !== undefined) this.actors.delete(victim);
  }
}

function charactersOf(values: TaskValues | undefined): number {
  return (values?.input?.text.length ?? 0) + (values?.output?.text.length ?? 0);
}

function shortened(value: ValueText): ValueText {
  return value.text.length <= FIRST_WORDS ? value : { ...value, text: value.text.slice(0, FIRST_WORDS), cut: true };
}

/** With entries of any name, `__proto__` too. */
function recordOf<T>(map: ReadonlyMap<string, T>): Record<string, T> {
  return Object.fromEntries(map);
}
