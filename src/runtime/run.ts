/**
 * A run handle: one started ExecutionContext actor, with words for what people do to it.
 *
 * Owns: the result promise, the run's listeners, taking snapshots. Does not own: the run itself (the actor), starting it
 * (workflow.ts).
 *
 * Invariants
 * 1. `result` settles once: with the output, or with the run's error.
 * 2. A snapshot holds every outcome that is known at that moment.
 */
import type { Actor, Snapshot } from 'xstate';
import { CHECKPOINT_FORMAT, CHECKPOINT_VERSION, type Checkpoint } from '../core/checkpoint.ts';
import { TaskchartError, isTaskchartError } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import { nodeHash } from '../define/graph-hash.ts';
import { MACHINE_VERSION, type ExecutionContext, type ExecutionContextMachine } from '../../machines/index.ts';
import type { Attachment } from './actors.ts';
import type { WorkflowCode } from './code.ts';
import type { RunEvent, RunListener } from './observer.ts';
import { checkSignal } from './signals.ts';
import { whatItWaitsFor, type RunStatus } from './status.ts';

/** Above this many nodes a checkpoint holds the graph's hash alone, and a mismatch cannot list the differences. */
const NODES_LISTED = 5000;

export interface Run<O> {
  readonly id: string;
  /** The output; rejects with the run's error. */
  readonly result: Promise<O>;
  /** The XState actor, for everything that XState can do with one. */
  readonly actor: Actor<ExecutionContextMachine>;
  /** The whole run as plain JSON. */
  snapshot(): Checkpoint;
  /** Where it stands, and what it waits for. */
  status(): RunStatus;
  /** Answers a wait. Early signals are kept until someone waits; a value that does not fit the wait's schema is refused. */
  signal(name: string, value?: unknown): void;
  /** What is in flight may end; nothing new starts. */
  pause(): void;
  resume(): void;
  /** Ends the run: tasks in flight are aborted, and `result` rejects with WorkflowCancelledError. */
  cancel(reason?: string): void;
  /** Calls `listener` for everything that happens from now on; returns the way to stop. */
  on(listener: RunListener): () => void;
  /** The same as an async iterable; it ends with the run. */
  events(): AsyncIterableIterator<RunEvent>;
}

export class ActorRun<O> implements Run<O> {
  readonly id: string;
  readonly result: Promise<O>;
  readonly actor: Actor<ExecutionContextMachine>;
  readonly #code: WorkflowCode;
  readonly #attachment: Attachment;
  #seq: number;

  constructor(id: string, actor: Actor<ExecutionContextMachine>, code: WorkflowCode, attachment: Attachment, seq: number) {
    this.id = id;
    this.actor = actor;
    this.#code = code;
    this.#attachment = attachment;
    this.#seq = seq;
    this.result = new Promise<O>((resolve, reject) => {
      actor.subscribe({
        error: (error) => {
          this.#ended(error);
          reject(error);
        },
        complete: () => {
          this.#tell('run.completed');
          resolve(actor.getSnapshot().output as O);
        },
      });
    });
    // Whoever only listens or polls has not asked for the result: that must not end the process.
    this.result.catch(() => undefined);
    this.#watchStates();
  }

  snapshot(): Checkpoint {
    this.#attachment.flush?.();
    // Each value in it was checked on its way in; the limits of one value do not hold for the whole run.
    const snapshot = JSON.parse(JSON.stringify(this.actor.getPersistedSnapshot())) as Json;
    const { graph, graphHash } = this.#code.definition;
    const ids = Object.keys(graph.nodes);
    return {
      format: CHECKPOINT_FORMAT,
      version: CHECKPOINT_VERSION,
      workflow: graph.workflow,
      graphHash,
      machineVersion: MACHINE_VERSION,
      runId: this.id,
      seq: (this.#seq += 1),
      savedAt: this.#attachment.environment.clock.now(),
      ...(ids.length > NODES_LISTED ? {} : { nodes: Object.fromEntries(ids.map((node) => [node, nodeHash(graph.nodes[node] as never)])) }),
      snapshot,
    };
  }

  status(): RunStatus {
    const snapshot = this.actor.getSnapshot();
    return whatItWaitsFor(String(snapshot.value), snapshot.context);
  }

  signal(name: string, value?: unknown): void {
    this.#open('signal');
    const json = checkSignal(this.#code, this.actor.getSnapshot().context, name, value);
    this.#send({ type: 'SIGNAL', at: this.#attachment.environment.clock.now(), name, ...(json === undefined ? {} : { value: json }) });
  }

  pause(): void {
    this.#open('pause');
    this.#send({ type: 'PAUSE' });
  }

  resume(): void {
    this.#open('resume');
    this.#send({ type: 'RESUME' });
  }

  cancel(reason?: string): void {
    if (this.actor.getSnapshot().status !== 'active') return;
    this.#send({ type: 'CANCEL', ...(reason === undefined ? {} : { reason }) });
  }

  on(listener: RunListener): () => void {
    return this.#attachment.observers.add(listener);
  }

  async *events(): AsyncIterableIterator<RunEvent> {
    const waiting: RunEvent[] = [];
    let wake: (() => void) | undefined;
    const stop = this.on((event) => {
      waiting.push(event);
      wake?.();
    });
    try {
      for (;;) {
        for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) {
          yield event;
          if (ends(event)) return;
        }
        if (this.actor.getSnapshot().status !== 'active') return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      stop();
    }
  }

  #send(event: Parameters<Actor<ExecutionContextMachine>['send']>[0]): void {
    this.#attachment.flush?.();
    this.actor.send(event);
  }

  #open(what: string): void {
    if (this.actor.getSnapshot().status === 'active') return;
    throw new TaskchartError('run/ended', `run "${this.id}" of workflow "${this.#code.workflow}" has ended, so ${what}() can do nothing`, {
      hint: 'look at run.status() first',
    });
  }

  #tell(type: 'run.started' | 'run.paused' | 'run.resumed' | 'run.waiting' | 'run.completed'): void {
    this.#attachment.observers.tell({ type, at: this.#attachment.environment.clock.now() });
  }

  #ended(thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const cancelled = isTaskchartError(thrown) && thrown.code === 'run/cancelled';
    this.#attachment.observers.tell({ type: cancelled ? 'run.cancelled' : 'run.failed', at: this.#attachment.environment.clock.now(), error });
  }

  #watchStates(): void {
    let before = String(this.actor.getSnapshot().value);
    let started = false;
    this.actor.subscribe({
      next: (snapshot) => {
        if (!started && (snapshot.context as ExecutionContext).run !== null) {
          started = true;
          this.#tell('run.started');
        }
        const now = String(snapshot.value);
        if (now === before) return;
        if (now === 'waiting') this.#tell('run.waiting');
        else if (now === 'paused') this.#tell('run.paused');
        else if (now === 'running') this.#tell('run.resumed');
        before = now;
      },
      error: () => undefined,
    });
  }
}

function ends(event: RunEvent): boolean {
  return event.type === 'run.completed' || event.type === 'run.failed' || event.type === 'run.cancelled';
}

/** What `getPersistedSnapshot` gives and `createActor` takes. */
export type PersistedRun = Snapshot<unknown>;
