/**
 * What an inspector may find behind an actor that it was shown: the workflow's code behind a machine, the hands behind a run.
 *
 * Owns: the two marks. Registered symbols, so that an inspector of another copy of the package finds them too; properties and no
 * WeakMap, as with many runs weak tables cost the collector more than the runs.
 */
import type { Graph } from '../core/graph.ts';
import { TaskchartError } from '../core/errors.ts';
import type { ExecutionContext } from '../../machines/index.ts';
import type { WorkflowCode } from './code.ts';
import type { NoteEvent } from './observer.ts';
import { checkSignal } from './signals.ts';

/** The part of a workflow's code that explains a run. */
export interface InspectedWorkflow {
  readonly graph: Graph;
  readonly graphHash: string;
  /** The value as JSON; throws what `run.signal` throws. */
  checkSignal(context: ExecutionContext, name: string, value: unknown): unknown;
}

/** What can be asked of a run. */
export interface InspectedRun {
  signal(name: string, value?: unknown): void;
  pause(): void;
  resume(): void;
  cancel(reason?: string): void;
}

/** Lets an inspector hear what the tasks of a run say; nothing is slower for it. */
export interface InspectedNotes {
  hear(listener: (event: NoteEvent) => void): void;
}

const codeMark = Symbol.for('taskchart.inspected-workflow');
const runMark = Symbol.for('taskchart.inspected-run');
const notesMark = Symbol.for('taskchart.inspected-notes');

/** On the config: that is what all copies of a machine (`provide`) share. */
export function markMachine<M extends { readonly config: object }>(machine: M, code: WorkflowCode): M {
  const { graph, graphHash } = code.definition;
  const inspected: InspectedWorkflow = {
    graph,
    graphHash,
    checkSignal: (context, name, value) => checkSignal(code, context, name, value),
  };
  markConfig(machine.config, inspected);
  return machine;
}

/** For a machine that is shown and not run. */
export function markConfig(config: object, inspected: InspectedWorkflow): void {
  Object.defineProperty(config, codeMark, { value: inspected });
}

export function markRun(actor: object, run: InspectedRun): void {
  (actor as { [runMark]?: InspectedRun })[runMark] = run;
}

export function markNotes(actor: object, notes: InspectedNotes): void {
  (actor as { [notesMark]?: InspectedNotes })[notesMark] = notes;
}

/** The workflow whose machine this actor runs, if it is one of ours. */
export function workflowBehind(actor: { readonly logic?: unknown }): InspectedWorkflow | undefined {
  const { config } = (actor.logic ?? {}) as { readonly config?: { readonly [codeMark]?: InspectedWorkflow } };
  return config?.[codeMark];
}

/** The hands of a run: those of its handle, or, where it was made by `createActor`, the events of its machine. */
export function handsOf(actor: { readonly send: (event: never) => void; readonly getSnapshot: () => unknown }): InspectedRun {
  const handle = (actor as { readonly [runMark]?: InspectedRun })[runMark];
  if (handle !== undefined) return handle;
  const send = actor.send as (event: object) => void;
  const context = (): ExecutionContext => {
    const { status, context: seen } = actor.getSnapshot() as { readonly status: string; readonly context: ExecutionContext };
    if (status !== 'active') throw new TaskchartError('run/ended', `run "${seen.run?.id ?? ''}" of workflow "${seen.workflow}" has ended, so nothing can be asked of it`);
    return seen;
  };
  return {
    signal(name, value) {
      const seen = context();
      const json = workflowBehind(actor as { readonly logic?: unknown })?.checkSignal(seen, name, value) ?? value;
      send({ type: 'SIGNAL', at: Date.now(), name, ...(json === undefined ? {} : { value: json }) });
    },
    pause: () => (context(), send({ type: 'PAUSE' })),
    resume: () => (context(), send({ type: 'RESUME', at: Date.now() })),
    cancel: (reason) => (context(), send({ type: 'CANCEL', ...(reason === undefined ? {} : { reason }) })),
  };
}

export function notesOf(actor: object): InspectedNotes | undefined {
  return (actor as { readonly [notesMark]?: InspectedNotes })[notesMark];
}
