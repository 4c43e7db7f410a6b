/**
 * One run, made into messages from the contexts that its ExecutionContext goes through.
 *
 * Owns: when a context is looked at, and what the differences mean. Does not own: the single ledgers (tokens, nodes, groups,
 * values), sending, XState's events.
 *
 * It never listens to single tasks, which would make the run slower: it compares contexts, whose equal parts are shared, so that
 * a look costs what has changed since the last one. Contexts are immutable, so looking waits for the frame: while little happens
 * every context is looked at, and the times are those of the machine's events; of a busy run a frame sees a few.
 *
 * Invariants
 * 1. `see` costs a few comparisons, and keeps at most STEPS_PER_FRAME references.
 * 2. What a frame tells follows from the contexts alone: looking changes nothing, and nothing is asked of the run.
 * 3. A group's last members are known although no context shows them: what the last step was told is kept with it.
 */
import { Vec, type ExecutionContext, type ExecutionEvent, type Token } from '../../machines/index.ts';
import { toSerializedError, type SerializedError } from '../core/errors.ts';
import type { Json } from '../core/json-type.ts';
import type { NodeId } from '../core/graph.ts';
import type { NoteEvent } from '../runtime/observer.ts';
import type { RemoteWait } from '../runtime/remote/dispatch.ts';
import { GraphIndex } from './graph-index.ts';
import { GroupLedger, type GroupEnd, type MemberEnded } from './group-ledger.ts';
import type { ControlKind, GraphMessage, InspectorMessage, LogEntry, MessageBase, RunMessage, RunState } from './messages.ts';
import { NodeLedger } from './nodes.ts';
import { REDACTED, type Redactor } from './redact.ts';
import { tellSame } from './same-values.ts';
import { statusOf } from './status-lists.ts';
import { TokenLedger, type Left, type Place, type PlaceChange } from './tokens.ts';
import { ValueLedger } from './value-ledger.ts';
import { errorSummary, valueText } from './values.ts';
import { diffVec } from './vec-diff.ts';

/** Contexts per frame that are looked at. */
const STEPS_PER_FRAME = 24;
/** Besides, those in which groups open or end: one that does both between two looks leaves no trace but its counts. */
const TURNS_PER_FRAME = 100;
const LOGS_PER_FRAME = 50;
const LOG_MOST = 1000;

/** The graph as far as it is known: without the workflow only ids are. */
export interface KnownGraph extends Pick<GraphMessage, 'workflow' | 'graphHash' | 'root' | 'uses' | 'nodes' | 'complete'> {}

export interface TrackedRun {
  readonly graph: KnownGraph;
  readonly redactor: Redactor;
  readonly origin: RunMessage['origin'];
  readonly control: readonly ControlKind[];
}

interface Step {
  readonly context: ExecutionContext;
  readonly before?: ExecutionContext | undefined;
  readonly event?: ExecutionEvent | undefined;
}

export class RunTracker {
  readonly #run: TrackedRun;
  readonly index: GraphIndex;
  readonly tokens: TokenLedger;
  readonly nodes: NodeLedger;
  readonly groups: GroupLedger;
  readonly values: ValueLedger;
  /** The newest context, and the one that was looked at last. */
  #newest: ExecutionContext | undefined;
  #looked: ExecutionContext | undefined;
  #inferred: ExecutionContext | undefined;
  #state: RunState = 'starting';
  #told: ExecutionContext | undefined;
  #toldState: RunState | undefined;
  #toldWaits = '';
  #graphTold = false;
  #endedAt: number | undefined;
  /** What is to be looked at; with `before` and `event` where a group has ended. */
  #steps: Step[] = [];
  readonly #ends = new Map<number, GroupEnd>();
  #logs: LogEntry[] = [];
  #logsSkipped = 0;

  constructor(run: TrackedRun) {
    this.#run = run;
    this.index = new GraphIndex(run.graph);
    this.nodes = new NodeLedger(this.index);
    this.tokens = new TokenLedger();
    this.groups = new GroupLedger(this.index, this.nodes, this.tokens);
    this.values = new ValueLedger(run.redactor);
    tellSame(this.index, run.redactor);
  }

  get context(): ExecutionContext | undefined {
    return this.#newest;
  }

  get state(): RunState {
    return this.#state;
  }

  /** What viewers may ever ask of it. */
  get allowed(): readonly ControlKind[] {
    return this.#run.control;
  }

  get over(): boolean {
    return this.#endedAt !== undefined;
  }

  /** A snapshot of the run's actor, with the event that led to it. */
  see(context: ExecutionContext, value: unknown, status: string, event?: ExecutionEvent): void {
    const before = this.#newest;
    this.#newest = context;
    this.#state = stateOf(context, value, status);
    if (context === before) return;
    this.#run.redactor.awaits(this.#learn);
    const opened = before === undefined ? 0 : context.groups.size - before.groups.size;
    // A group that is replaced by another one in the same step keeps the number.
    const turns = opened !== 0 || (before !== undefined && context.nextId !== before.nextId && context.groups !== before.groups);
    if (this.#steps.length < (turns ? STEPS_PER_FRAME + TURNS_PER_FRAME : STEPS_PER_FRAME)) this.#steps.push(turns ? { context, before, event } : { context });
  }

  /** Looks at everything that was seen. */
  catchUp(): void {
    this.#run.redactor.done(this.#learn);
    for (const { context, before, event } of this.#steps.splice(0)) {
      if (before !== undefined) {
        this.#look(before);
        this.#keepEnds(before, context, event);
      }
      this.#look(context);
    }
    const newest = this.#newest;
    if (newest === undefined || newest === this.#inferred) return;
    this.#look(newest);
    this.#inferred = newest;
    this.nodes.infer(newest.at, newest.verdict?.kind === 'completed');
  }

  /** For those who are told something before this run's frame. */
  readonly #learn = (): void => this.catchUp();

  hear(event: NoteEvent): void {
    const { redactor } = this.#run;
    if (event.type === 'task.progress') {
      const { done, total, note } = event;
      // JSON would make nothing of it.
      if (!Number.isFinite(done)) return;
      this.nodes.progress(event.task, { done, ...(total === undefined || !Number.isFinite(total) ? {} : { total }), ...(note === undefined ? {} : { note: redactor.conceals(String(note), [event.task, 'progress']) ? REDACTED : String(note).slice(0, 200) }) }, event.at);
    } else if (this.#logs.length < LOGS_PER_FRAME) {
      const { at, task, key, level, message, data } = event;
      this.#logs.push({ at, node: task, key, level, message: redactor.conceals(message, [task, 'log']) ? '' : message.slice(0, LOG_MOST), ...(data === undefined ? {} : { data: valueText(data, LOG_MOST, redactor, [task, 'log']) }) });
    } else this.#logsSkipped += 1;
  }

  /** Everything that is new since the last frame. */
  frame(base: MessageBase, remote: readonly RemoteWait[] = []): InspectorMessage[] {
    const context = this.#newest;
    if (context === undefined) return [];
    this.catchUp();
    // What other runs have hidden may be told here.
    this.#run.redactor.settle();
    const list: InspectorMessage[] = [];
    const newState = this.#toldState !== this.#state;
    const waits = remote.map(({ queue, units, since, reason }) => `${queue} ${units} ${since} ${reason}`).join('\n');
    if (this.#told === context && !newState && waits === this.#toldWaits && !this.nodes.hasChanged && !this.values.hasChanged && this.#logs.length === 0) return [...list, ...this.groups.take(base)];
    list.push(this.#runMessage(base, context));
    if (!this.#graphTold) list.push(this.#graphMessage(base));
    this.#graphTold = true;
    const nodes = this.nodes.take();
    if (nodes !== undefined) list.push({ ...base, type: '@taskchart.tasks', nodes });
    list.push(...this.groups.take(base));
    if (this.#told !== context || newState || waits !== this.#toldWaits) list.push(statusOf(base, context, { index: this.index, tokens: this.tokens, groups: this.groups, redactor: this.#run.redactor, remote }));
    const values = this.values.take(base);
    if (values !== undefined) list.push(values);
    if (this.#logs.length > 0) list.push({ ...base, type: '@taskchart.log', entries: this.#logs, skipped: this.#logsSkipped });
    this.#logs = [];
    this.#logsSkipped = 0;
    this.#told = context;
    this.#toldState = this.#state;
    this.#toldWaits = waits;
    return list;
  }

  /** Something is left for the next frame although nothing has happened. */
  get unfinished(): boolean {
    return this.values.hasChanged || this.groups.hasChanged;
  }

  /** Invariant 3. */
  #keepEnds(before: ExecutionContext, context: ExecutionContext, event: ExecutionEvent | undefined): void {
    const reports = event?.type === 'SETTLED' ? event.reports : [];
    for (const id of this.groups.trackers.keys()) {
      if (Vec.get(context.groups, id) !== undefined) continue;
      const group = Vec.get(before.groups, id);
      if (group !== undefined) this.#ends.set(id, { group, reports, before });
    }
  }

  /** Takes in what has changed since the last look. */
  #look(after: ExecutionContext): void {
    const before = this.#looked;
    // One that was looked at as what came before another.
    if (before !== undefined && after.revision <= before.revision) return;
    this.#looked = after;
    const { at } = after;
    if (this.index.add(after.fragments)) {
      this.#graphTold = false;
      tellSame(this.index, this.#run.redactor);
    }
    const first = before === undefined ? firstToken(after) : undefined;
    if (first !== undefined) this.#ofRun('input', first.input);
    const { moved, arrived } = this.tokens.update(before, after);
    const settled = new Set<NodeId>();
    const completions = this.#complete(before, after, settled);
    for (const { token, from } of arrived) this.#reached(token, from, at, settled);
    for (const change of moved) this.#take(change, at, settled);
    const ended = this.groups.update(before, after, moved, this.#ends, completions);
    this.#ends.clear();
    for (const end of ended) this.#memberEnded(end, at, settled);
    if (after.verdict !== null && before?.verdict !== after.verdict) this.#conclude(after, moved, settled);
    else for (const { before: was, after: is } of moved) if (was !== undefined) this.#leave(was, is?.token, before, after, settled);
  }

  #complete(before: ExecutionContext | undefined, after: ExecutionContext, settled: Set<NodeId>): Map<NodeId, number> {
    const completions = new Map<NodeId, number>();
    diffVec(before?.completions ?? Vec.emptyVec<number>(), after.completions, (ordinal, was = 0, is = 0) => {
      const node = this.index.counted[ordinal];
      if (node === undefined || is <= was) return;
      completions.set(node, is - was);
      settled.add(node);
      this.nodes.completed(node, is - was, after.at);
    });
    return completions;
  }

  /** A token stands somewhere else, or in another state. */
  #take({ before, after, from }: PlaceChange, at: number, settled: Set<NodeId>): void {
    if (before !== undefined) this.nodes.moved(before, before.token.node, -1);
    if (after === undefined) return;
    const { token } = after;
    this.nodes.moved(after, token.node, 1);
    const isNew = from === undefined || from.node !== token.node || from.hop !== token.hop;
    if (isNew) {
      this.nodes.begun(token.node, after.since);
      this.#reached(token, from, at, settled);
    }
    this.nodes.latest(token.node, token.attempt, token.iteration);
    if (after.state === 'retrying' && after.delayed?.error !== undefined) this.#retries(token, after.delayed.error, after.delayed.dueAt);
    const stoodFor = from === undefined ? undefined : this.index.nodes[from.node]?.kind;
    if (from !== undefined && before === undefined && from.node !== token.node && stoodFor === 'scope') this.nodes.left(from.node, at);
  }

  #retries(token: Token, error: SerializedError, dueAt: number): void {
    this.#error(token.node, error);
    const note = { error: errorSummary(error, this.#run.redactor, [token.node, 'error']), attempt: token.attempt, dueAt };
    if (token.group !== undefined && token.index !== undefined) this.groups.find(token.group)?.note(token.index, note);
  }

  /** A token has come to a step: what it brings is that step's input, and most often the output of the one before. */
  #reached(token: Token, from: Left | undefined, at: number, settled: Set<NodeId>): void {
    const { node, input, hop } = token;
    const kind = this.index.nodes[node]?.kind;
    if (kind !== 'wait' && kind !== 'sleep' && !this.index.inFanOut.has(node)) this.#took(node, input);
    if (from === undefined || from.node === node || hop !== from.hop + 1) return;
    const { next, recover } = this.index.nodes[from.node] ?? {};
    if (next === node) this.#gave(from.node, input);
    if (recover !== node) return;
    const error = toSerializedError(input);
    this.#error(from.node, error);
    this.#failed(error, from.node, at, settled);
  }

  #gave(node: NodeId, value: Json | undefined): void {
    if (this.index.inFanOut.has(node)) return;
    this.#run.redactor.learn(value, [node, 'output']);
    this.values.output(node, value);
  }

  #took(node: NodeId, value: unknown): void {
    this.#run.redactor.learn(value, [node, 'input']);
    this.values.input(node, value);
  }

  #error(node: NodeId, error: SerializedError): void {
    this.#run.redactor.learnError(error, [node, 'error']);
    this.values.error(node, error);
  }

  #ofRun(which: 'input' | 'output', value: unknown): void {
    this.#run.redactor.learn(value, ['run', which]);
    this.values.ofRun(which, value);
  }

  /** A token has left its place: aborted with what it belonged to, or done with a step whose completions nobody counts. */
  #leave({ token: was, state, wait }: Place, is: Token | undefined, before: ExecutionContext | undefined, context: ExecutionContext, settled: ReadonlySet<NodeId>): void {
    const { node, hop, group, scope } = was;
    if (settled.has(node)) return;
    const home = group === undefined ? scope === 0 || Vec.get(context.branches, scope) !== undefined : Vec.get(context.groups, group) !== undefined;
    const owner = home || before === undefined ? undefined : Vec.get(before.branches, scope)?.owner;
    // The last step of a branch that went well.
    const ended = owner?.kind === 'member' && this.groups.find(owner.group)?.stateOf(owner.index) === 'd';
    if (is === undefined && !home && !ended) this.nodes.stopped(node, context.at);
    else if (!this.index.isCounted(node) && state !== 'retrying' && wait?.asked !== true && (is === undefined || (is.hop !== hop && is.node !== this.index.nodes[node]?.recover))) this.nodes.left(node, context.at);
  }

  #memberEnded({ group, index, error, cell }: MemberEnded, at: number, settled: Set<NodeId>): void {
    const entry = this.index.entryOf(group.parent.node, index);
    if (entry === undefined) return;
    const own = !this.index.inFanOut.has(entry) && this.index.nodes[entry]?.kind === 'task' && this.index.nodes[entry]?.next === undefined;
    if (own) this.#took(entry, group.parent.input);
    if (error !== undefined) {
      this.#failed(error, entry, at, settled);
      this.groups.find(group.id)?.note(index, { error: errorSummary(error, this.#run.redactor, [entry, 'error']) });
    } else if (own && cell !== undefined) this.#gave(entry, typeof cell === 'object' ? (cell as readonly Json[])[0] : cell);
  }

  /** Puts a failure where it happened, and on the scopes that fell with it. */
  #failed(error: SerializedError, fallback: NodeId, at: number, settled: Set<NodeId>): void {
    const named = [error.details?.['groupId'], error.details?.['taskId']].find((id): id is string => typeof id === 'string' && this.index.nodes[id] !== undefined);
    for (let id: NodeId | undefined = named ?? fallback; id !== undefined; id = this.index.parents.get(id)) {
      const node = this.index.nodes[id];
      const falls = id === (named ?? fallback) || node?.kind === 'scope' || node?.kind === 'dag';
      // One that another step recovers is counted by that step's executions.
      if (!falls || node?.recover !== undefined) return;
      this.nodes.failedFor(id, 1, at);
      this.#error(id, error);
      settled.add(id);
    }
  }

  #conclude(context: ExecutionContext, moved: readonly PlaceChange[], settled: Set<NodeId>): void {
    const { verdict, at } = context;
    this.#endedAt = at;
    if (verdict?.kind === 'failed') this.#failed(verdict.error, '', at, settled);
    if (verdict?.kind === 'completed') this.#ofRun('output', verdict.output[0]);
    else if (verdict?.kind === 'cancelled') this.#run.redactor.learnQuoted(verdict.error.details?.['reason'], ['run', 'cancel']);
    for (const { before, after } of moved) {
      if (before === undefined || after !== undefined || settled.has(before.token.node)) continue;
      const { node, main, scope, group } = before.token;
      if (verdict?.kind === 'completed' && main && scope === 0 && group === undefined && !this.index.isCounted(node)) this.nodes.left(node, at);
      else this.nodes.stopped(node, at);
    }
    const last = [...this.index.mainPath].at(-1);
    if (verdict?.kind === 'completed' && last !== undefined && settled.has(last)) this.#gave(last, verdict.output[0]);
    this.nodes.end();
  }

  #runMessage(base: MessageBase, context: ExecutionContext): RunMessage {
    const { run, at, revision, steps, verdict } = context;
    const { graph, origin, redactor } = this.#run;
    const counts = this.nodes.summary(context.root.queue.size + this.groups.queued, context.inFlight.size + this.groups.running, this.tokens.waiting, this.tokens.retrying);
    return {
      ...base, type: '@taskchart.run', workflow: graph.workflow, state: this.#state, origin, at, revision, steps, counts, control: this.control(),
      ...(run === null ? {} : { runId: run.id, startedAt: run.startedAt }),
      ...(this.#endedAt === undefined ? {} : { endedAt: this.#endedAt }),
      ...(verdict === null || verdict.kind === 'completed' ? {} : { error: errorSummary(verdict.error, redactor, ['run', 'error']) }),
    };
  }

  /** What can be asked of it now. */
  control(): readonly ControlKind[] {
    const now: readonly ControlKind[] = this.#state === 'paused' ? ['signal', 'resume', 'cancel'] : this.#state === 'running' || this.#state === 'waiting' ? ['signal', 'pause', 'cancel'] : [];
    return now.filter((kind) => this.#run.control.includes(kind));
  }

  #graphMessage(base: MessageBase): GraphMessage {
    const { workflow, graphHash, complete } = this.#run.graph;
    return { ...base, type: '@taskchart.graph', workflow, graphHash, root: this.index.root, uses: this.index.uses, nodes: this.index.nodes, complete };
  }
}

function stateOf({ run, verdict }: ExecutionContext, value: unknown, status: string): RunState {
  if (verdict !== null) return verdict.kind;
  if (status === 'stopped' || status === 'error' || status === 'done') return 'stopped';
  if (run === null) return 'starting';
  return value === 'waiting' || value === 'paused' ? value : 'running';
}

/** The input of the workflow: that of the token with which a run begins, as long as it stands there. */
function firstToken(context: ExecutionContext): Token | undefined {
  const first = Vec.get(context.inFlight, 1) ?? context.root.queue.tail[context.root.queue.head];
  return first?.id === 1 && first.hop === 0 ? first : undefined;
}
