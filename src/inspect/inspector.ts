/**
 * The summarising inspector: an observer for XState's `inspect` that sends little, however busy the actors are.
 *
 * Owns: which actors there are, frames, what is sent for late viewers. Does not own: what a run's contexts mean (run-tracker.ts),
 * how messages travel (connection.ts, or whatever `send` does).
 *
 * Invariants
 * 1. It never disturbs the actors: `next` does not throw, and keeps references and counts, no copies; the rest happens in a frame.
 * 2. Per frame and actor at most one snapshot and EVENTS_PER_FRAME events are sent.
 * 3. What it holds is bounded: SYSTEMS actor systems, ACTORS actors in each; of systems that have ended the newest only.
 * 4. A frame is due as long as there is anything to tell; a process that has nothing else to do ends after the frame that follows
 *    its last event. Of a system that has ended that frame tells what DRAIN_ROUNDS frames would; who stays alive hears the rest.
 */
import type { AnyActorRef, InspectionEvent, Observer } from 'xstate';
import type { ExecutionContext, ExecutionEvent } from '../../machines/index.ts';
import { booleanOption, integerOption, optionsObject, badOption } from '../core/options.ts';
import { answer, refusal } from './answers.ts';
import { Definitions } from './definitions.ts';
import { System } from './inspected-system.ts';
import type { ControlKind, InspectorMessage } from './messages.ts';
import type { Command, CommandAnswer } from './protocol.ts';
import { Redactor, type RedactPattern } from './redact.ts';

const FRAME_MS = 100;
const SYSTEMS = 200;
/** Frames' worth of what is left of systems that have ended, told at once. */
const DRAIN_ROUNDS = 16;
/** Of a system that has ended, but may still be asked for values. */
const ENDED_ASKABLE = 10;

const controls = ['signal', 'pause', 'resume', 'cancel'] as const satisfies readonly ControlKind[];

export interface InspectorOptions {
  /** Milliseconds between two frames; default 100. */
  readonly frameMs?: number | undefined;
  /** What is left out of everything that is sent: paths such as `password`, `card.number`, `login.output`. */
  readonly redact?: readonly RedactPattern[] | undefined;
  /** Whether viewers may steer the runs, or by what; default true. It needs the relay's token either way. */
  readonly control?: boolean | readonly ControlKind[] | undefined;
  /** Also draw each workflow as a statechart of its tasks; default true. */
  readonly statechart?: boolean | undefined;
}

/** Gets what is new, once per frame. The messages are plain JSON and belong to whoever gets them. */
export type Send = (messages: readonly InspectorMessage[]) => void;

export interface Inspector extends Observer<InspectionEvent> {
  next(event: InspectionEvent): void;
  /** Sends what there is, now. */
  flush(): void;
  /** No more frames; what is new is sent first. */
  close(): void;
}

/** An inspector that gives its messages to `send`: `createActor(machine, { inspect: createInspector(send) })`. */
export function createInspector(send: Send, options: InspectorOptions = {}): Inspector {
  const { next, flush, close } = new SummarisingInspector(send, options);
  return { next, flush, close };
}

export class SummarisingInspector implements Inspector {
  readonly #send: Send;
  readonly #prefix: string;
  readonly #frameMs: number;
  readonly #redactor: Redactor;
  readonly #definitions: Definitions;
  readonly #control: readonly ControlKind[];
  readonly #statechart: boolean;
  readonly #systems = new Map<string, System>();
  readonly #changed = new Set<System>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The process waits for the timer. */
  #held = false;
  /** There is no room for another system before the next frame. */
  #full = false;
  #broken = false;
  #sendFailed = false;
  #closed = false;

  /** `prefix` stands before every session id, so that those of several processes differ. */
  constructor(send: Send, options: InspectorOptions, prefix = '') {
    const { frameMs, redact, control, statechart } = optionsObject('inspector', options, ['frameMs', 'redact', 'control', 'statechart']) as InspectorOptions;
    this.#send = send;
    this.#prefix = prefix;
    this.#frameMs = frameMs === undefined ? FRAME_MS : integerOption('frameMs', frameMs, 10, 60_000);
    this.#redactor = new Redactor(redact);
    this.#definitions = new Definitions(this.#redactor);
    this.#control = control === undefined || control === true ? controls : control === false ? [] : checkControls(control);
    this.#statechart = statechart === undefined || booleanOption('statechart', statechart);
  }

  readonly next = (event: InspectionEvent): void => {
    if (this.#broken || this.#closed) return;
    try {
      this.#see(event);
    } catch (thrown) {
      this.#breaks(thrown);
    }
  };

  readonly flush = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#frame();
  };

  readonly close = (): void => {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#systems.clear();
    this.#changed.clear();
  };

  /** Everything that still matters, for a viewer that knows nothing. */
  everything(): InspectorMessage[] {
    return [...this.#systems.values()].flatMap((system) => system.picture.messages());
  }

  /** Carries out what a viewer asks of a run. */
  ask(session: string, command: Command): CommandAnswer {
    for (const system of this.#systems.values()) {
      const run = system.find(session);
      if (run === undefined) continue;
      const answered = answer(run, command);
      this.#changed.add(system);
      this.#schedule();
      return answered;
    }
    return refusal('this run is not known here any more');
  }

  #see(event: InspectionEvent): void {
    if (event.type === '@xstate.microstep' || event.type === '@xstate.action') return;
    const system = this.#systemOf(event);
    if (system === undefined) return;
    const actor = event.actorRef as AnyActorRef;
    if (event.type === '@xstate.actor') system.appears(actor);
    else if (event.type === '@xstate.event') system.sent(actor, event.sourceRef as AnyActorRef | undefined, event.event);
    else if (event.type === '@xstate.snapshot') system.stands(actor, event.snapshot as { readonly status: string; readonly context?: ExecutionContext }, event.event as ExecutionEvent);
    this.#changed.add(system);
    this.#schedule();
  }

  readonly #touched = (system: System): void => {
    if (this.#closed) return;
    this.#changed.add(system);
    this.#schedule();
  };

  #systemOf({ rootId, actorRef }: InspectionEvent): System | undefined {
    const known = this.#systems.get(rootId);
    if (known !== undefined) return known;
    if (this.#full || (this.#systems.size >= SYSTEMS && !this.#forgetOne())) return undefined;
    const system = new System(this.#prefix, rootId, { redactor: this.#redactor, definitions: this.#definitions, control: this.#control, statechart: this.#statechart, touched: this.#touched });
    this.#systems.set(rootId, system);
    // Someone began to watch when the actors were there already.
    const root = rootOf(actorRef as AnyActorRef);
    if (root !== actorRef) system.appears(root);
    return system;
  }

  #forgetOne(): boolean {
    for (const [id, system] of this.#systems) {
      if (!system.ended || this.#changed.has(system)) continue;
      this.#systems.delete(id);
      return true;
    }
    this.#full = true;
    return false;
  }

  /** `held`: the process has to wait for it. */
  #schedule(held = true): void {
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#frame();
      }, this.#frameMs);
      this.#held = true;
      if (!held) this.#hold(false);
    } else if (held && !this.#held) this.#hold(true);
  }

  #hold(held: boolean): void {
    this.#held = held;
    // In browsers a timer is a number.
    const timer = this.#timer as unknown as { readonly ref?: () => void; readonly unref?: () => void };
    if (held) timer.ref?.();
    else timer.unref?.();
  }

  #frame(): void {
    if (this.#broken || this.#closed) return;
    const now = Date.now();
    this.#full = false;
    const messages: InspectorMessage[] = [];
    let rounds = DRAIN_ROUNDS;
    try {
      const systems = [...this.#changed];
      this.#changed.clear();
      for (const system of systems) {
        messages.push(...system.frame(now));
        for (; system.ended && system.unfinished && rounds > 0; rounds -= 1) messages.push(...system.frame(now).filter(({ type }) => type !== '@taskchart.run'));
        if (system.unfinished) this.#changed.add(system);
      }
      if (systems.some(({ ended }) => ended)) this.#releaseEnded();
    } catch (thrown) {
      this.#breaks(thrown);
      return;
    }
    this.#give(messages);
    // Events come with a frame of their own: what is left here is old.
    if (this.#changed.size > 0) this.#schedule(false);
  }

  #give(messages: readonly InspectorMessage[]): void {
    if (messages.length === 0) return;
    try {
      this.#send(messages);
    } catch (thrown) {
      if (this.#sendFailed) return;
      this.#sendFailed = true;
      console.error('taskchart: what an inspector sends was refused; the run goes on:', thrown);
    }
  }

  #releaseEnded(): void {
    let askable = 0;
    for (const system of [...this.#systems.values()].toReversed()) if (system.ended && (askable += 1) > ENDED_ASKABLE && !this.#changed.has(system)) system.release();
  }

  #breaks(thrown: unknown): void {
    this.#broken = true;
    console.error('taskchart: an inspector has failed and is switched off; the run goes on:', thrown);
  }
}

function rootOf(actor: AnyActorRef): AnyActorRef {
  let root = actor;
  for (let parent = (actor as { _parent?: AnyActorRef })._parent; parent !== undefined; parent = (parent as { _parent?: AnyActorRef })._parent) root = parent;
  return root;
}

function checkControls(given: unknown): readonly ControlKind[] {
  if (Array.isArray(given) && given.every((kind): kind is ControlKind => (controls as readonly unknown[]).includes(kind))) return given;
  throw badOption('control', given, `true, false, or a list of ${controls.map((kind) => `"${kind}"`).join(', ')}`);
}
