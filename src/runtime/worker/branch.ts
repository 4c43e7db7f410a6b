/**
 * One member's branch as an ExecutionContext of its own: everything that is more than one plain execution of one task.
 *
 * Owns: starting it from the beginning, from an execution that has taken place, or from where it stood; when it is parked;
 * what is told of it. Does not own: the rules by which it moves (the machine, which is the same as everywhere).
 *
 * Invariants
 * 1. It ends once: with an outcome for the run, with word of a task that is not known here, or stopped, and then nothing is said.
 * 2. A branch that waits for a signal, or for a time that is not near, is parked: its slot is worth more than its stay.
 * 3. What has been completed is never taken back: a branch that is handed over goes on from there.
 */
import { createActor, type Actor } from 'xstate';
import { isTaskchartError, reviveError, serializeError } from '../../core/errors.ts';
import type { Json } from '../../core/json.ts';
import type { MemberEnd } from '../../core/messages.ts';
import { isRetryable } from '../../core/retry.ts';
import {
  Vec, branchContext, branchOutcome, revivedBranch, step, type Delayed, type ExecutionContext, type ExecutionContextMachine, type ExecutionEvent, type Outcome, type UnitOutcome,
} from '../../../machines/index.ts';
import type { Environment } from '../../ports.ts';
import { attach, type Attachment } from '../actors.ts';
import type { EventSink } from '../event-sink.ts';
import { harmless, type Inspect } from '../inspection.ts';
import { Observers, type NoteEvent } from '../observer.ts';
import { encodeEnd } from '../remote/ends.ts';
import { Told } from '../remote/told.ts';
import type { RunCode, UnknownTask } from './run-code.ts';

/** A branch is not parked for a time that is nearer than this. */
const NEAR_MS = 1000;
/** How often a branch that is to be handed over is looked at while its last executions end. */
const LOOK_EVERY_MS = 100;

export interface BranchPlace {
  readonly code: RunCode;
  readonly runId: string;
  /** The member's structural path in the run. */
  readonly path: string;
  readonly entry: string;
  readonly input: Json | undefined;
  readonly channel: Readonly<Record<string, Json>>;
  readonly stepsLeft: number | undefined;
  /** Of the run's graph now: that of a branch that comes back may be an older one. */
  readonly graphHash: string;
  /** Someone watches the run. */
  readonly watched: boolean;
  /** Where it stood, and what has come in for it since. */
  readonly stood?: { readonly branch: Json; readonly signals: readonly (readonly [name: string, ...value: readonly [] | readonly [Json]])[] } | undefined;
}

export interface BranchHost {
  readonly environment: Environment;
  readonly inspect?: Inspect | undefined;
  hears(note: NoteEvent): void;
}

export interface FirstExecution {
  readonly outcome: Outcome;
  readonly startedAt: number;
}

export type BranchEnd = { readonly kind: 'end'; readonly end: MemberEnd; readonly parked: boolean } | { readonly kind: 'unknown'; readonly task: UnknownTask };

type Sent = ReturnType<typeof branchOutcome>;

export class Branch {
  readonly #place: BranchPlace;
  readonly #host: BranchHost;
  readonly #ended: (end: BranchEnd) => void;
  #told: BranchEnd | undefined;
  readonly #events = new Told();
  #actor: Actor<ExecutionContextMachine> | undefined;
  #attachment: Attachment | undefined;
  #checkpoint = false;
  /** It has come back, and has not moved yet. */
  #still = false;
  #handingOver = false;
  #looking = false;
  #over = false;

  constructor(place: BranchPlace, host: BranchHost, ended: (end: BranchEnd) => void) {
    this.#place = place;
    this.#host = host;
    this.#ended = ended;
  }

  /** `first`: the first execution of its entry, which has taken place already. */
  begin(first?: FirstExecution): void {
    const { stood, stepsLeft, channel, runId, graphHash } = this.#place;
    const at = this.#host.environment.clock.now();
    const fresh = stood === undefined ? this.#fresh(first, at) : revivedBranch(stood.branch as unknown as ExecutionContext, channel, stepsLeft, { id: runId, graphHash });
    if (fresh.verdict !== null) return this.#tell(branchOutcome(this.#place.code.plan, fresh));
    if (first !== undefined) this.#tellFirst(first, at);
    this.#start(fresh);
    this.#still = stood !== undefined && stood.signals.length === 0;
    for (const [name, ...value] of stood?.signals ?? []) this.#send({ type: 'SIGNAL', at, name, ...(value.length === 0 ? {} : { value: value[0] }) });
  }

  /** Nobody wants its outcome any more. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#close('left');
  }

  /** What is being executed may end; nothing new begins, and then it goes back as it stands. */
  handOver(): void {
    if (this.#handingOver || this.#over) return;
    this.#handingOver = true;
    this.#look();
  }

  /** It ends here and now. The outcome is where it stands, if it has come some way in this place. */
  giveBack(): BranchEnd | undefined {
    this.#attachment?.flush?.();
    // Everything known was taken in: it may have ended by that.
    if (this.#over) return this.#told;
    const context = this.#actor?.getSnapshot().context;
    const end: BranchEnd | undefined = context === undefined || context.completions.size === 0 ? undefined : { kind: 'end', end: this.#encoded(this.#standing(context)), parked: true };
    this.stop();
    return end;
  }

  #isOver(): boolean {
    return this.#over;
  }

  /** The context after its first execution, by the rules of the machine itself. */
  #fresh(first: FirstExecution | undefined, at: number): ExecutionContext {
    const { code, runId, ...start } = this.#place;
    const { plan } = code;
    const context = branchContext({ workflow: plan.graph.workflow, ...start });
    if (first === undefined) return context;
    const begun = step(plan, context, { type: 'READY', from: 'executor', at, run: { id: runId, startedAt: at, graphHash: plan.graphHash, concurrency: 1 } }).context;
    this.#notice(first.outcome);
    return step(plan, begun, { type: 'SETTLED', at, reports: [{ id: 1, end: first.outcome }] }).context;
  }

  #tellFirst({ outcome, startedAt }: FirstExecution, at: number): void {
    const place = { task: this.#place.entry, key: this.#place.path, attempt: 1, iteration: 0 };
    const durationMs = at - startedAt;
    const node = this.#place.code.code.node(place.task);
    const attempts = node?.kind === 'task' ? (node.retry?.attempts ?? 1) : 1;
    this.#events.listener({ type: 'task.started', at: startedAt, ...place });
    if (outcome.kind === 'failed') this.#events.listener({ type: 'task.failed', at, ...place, error: reviveError(outcome.error), final: attempts === 1 || !isRetryable(outcome.error), durationMs });
    else this.#events.listener({ type: 'task.completed', at, ...place, durationMs });
  }

  #start(context: ExecutionContext): void {
    const { code, runId } = this.#place;
    const { environment, inspect } = this.#host;
    const observers = new Observers();
    observers.hear((note) => this.#host.hears(note));
    if (this.#place.watched) observers.add(this.#events.listener);
    const attachment: Attachment = { runId, observers, environment, recorder: this.#sink() };
    const actor = createActor(code.machine, { id: `${runId}/${this.#place.path}`, snapshot: code.snapshot(context), ...(inspect && { inspect: harmless(inspect) }) }) as unknown as Actor<ExecutionContextMachine>;
    this.#actor = actor;
    this.#attachment = attachment;
    attach(actor, attachment);
    actor.subscribe({ next: () => this.#look(), error: (error) => this.#concluded(error), complete: () => this.#concluded(undefined) });
    actor.start();
  }

  /** Sees what its tasks ask of a store that is elsewhere. */
  #sink(): EventSink {
    return {
      accept: (event) => {
        if (event.type !== 'SETTLED') return;
        for (const report of event.reports) if ('end' in report && report.end !== undefined) this.#notice(report.end);
      },
      congestion: undefined,
      journalled: false,
      durable: 0,
      onDurable: () => () => undefined,
    };
  }

  #notice(outcome: Outcome): void {
    if ('checkpoint' in outcome && outcome.checkpoint === true) this.#checkpoint = true;
  }

  #send(event: ExecutionEvent): void {
    if (!this.#over) this.#actor?.send(event);
  }

  /** Something has happened. Whether it can go on here is seen once everything else of this turn has happened too. */
  #look(): void {
    const snapshot = this.#actor?.getSnapshot();
    if (snapshot?.value === 'waiting' || snapshot?.value === 'paused') return this.#lookSoon();
    this.#still = false;
    // Something of it must have begun: it would go back as it came.
    if (this.#handingOver && snapshot !== undefined && snapshot.context.inFlight.size + snapshot.context.openMembers > 0) this.#send({ type: 'PAUSE' });
  }

  #lookSoon(): void {
    if (this.#looking || this.#over) return;
    this.#looking = true;
    this.#host.environment.clock.soon(() => {
      this.#looking = false;
      if (this.#over) return;
      this.#attachment?.flush?.();
      const snapshot = this.#actor?.getSnapshot();
      if (this.#isOver() || snapshot?.status !== 'active') return;
      if (snapshot.value === 'waiting') this.#waits(snapshot.context);
      else if (snapshot.value === 'paused') this.#pauses(snapshot.context);
    });
  }

  #waits(context: ExecutionContext): void {
    const { clock } = this.#host.environment;
    const first = earliest(context);
    // Its time has come where it waited, whatever the clock of this place says.
    if (first !== undefined && this.#still && first.dueAt > clock.now()) {
      this.#still = false;
      return this.#send({ type: 'DUE', at: first.dueAt, ids: [first.token.id] });
    }
    if (first !== undefined && first.dueAt - clock.now() <= NEAR_MS) return;
    this.#handed(branchOutcome(this.#place.code.plan, context));
  }

  /** Between two executions, or as near to it as it comes. */
  #pauses(context: ExecutionContext): void {
    const idle = context.inFlight.size === 0 && (context.openMembers === 0 || this.#attachment?.idle?.() === true);
    if (idle) return this.#handed(this.#standing(context));
    this.#host.environment.clock.after(LOOK_EVERY_MS, () => this.#lookSoon(), true);
  }

  /** Where it stands. What could go on at once waits for nothing. */
  #standing(context: ExecutionContext): UnitOutcome {
    const { plan } = this.#place.code;
    const { waiting } = step(plan, { ...context, paused: true }, { type: 'RESUME', at: this.#host.environment.clock.now() });
    const { due, waits, ...outcome } = branchOutcome(plan, { ...context, paused: false }) as Extract<UnitOutcome, { kind: 'parked' }>;
    return waiting ? { ...outcome, waits, ...(due && { due }) } : { ...outcome, waits: [] };
  }

  #handed(outcome: Sent): void {
    this.#over = true;
    this.#close('left');
    this.#tell(outcome);
  }

  #concluded(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const context = this.#actor?.getSnapshot().context;
    this.#close('ended');
    if (context !== undefined && context.verdict !== null) return this.#tell(branchOutcome(this.#place.code.plan, context));
    if (isTaskchartError(error) && error.code === 'definition/unknown-task') return this.#say({ kind: 'unknown', task: { task: this.#place.entry, why: error.message } });
    this.#tell({ kind: 'ended', steps: context?.steps ?? 1, cell: { error: serializeError(error ?? new Error('the branch was stopped')) } });
  }

  #close(how: 'ended' | 'left'): void {
    this.#attachment?.close?.();
    this.#actor?.stop();
    void this.#attachment?.leave?.(how)?.catch(() => undefined);
  }

  #tell(outcome: Sent): void {
    this.#over = true;
    this.#say({ kind: 'end', end: this.#encoded(outcome), parked: outcome.kind === 'parked' });
  }

  #say(end: BranchEnd): void {
    this.#told = end;
    this.#ended(end);
  }

  #encoded(outcome: Sent): MemberEnd {
    return this.#events.addTo(encodeEnd(this.#checkpoint && outcome.kind !== 'cancel' ? { ...outcome, checkpoint: true } : outcome));
  }
}

function earliest(context: ExecutionContext): Delayed | undefined {
  let first: Delayed | undefined;
  for (const delayed of Vec.values(context.delayed)) if (first === undefined || delayed.dueAt < first.dueAt) first = delayed;
  return first;
}
