/**
 * From a checkpoint of the older Python system to one that a workflow here can go on from.
 *
 * What was there is a queue of task names with counters; inputs and results were in a pickle, which is never opened. So
 * the tasks that were waiting are queued again at their places in the graph, with the attempts and iterations they had
 * used, and with the inputs that the caller gives.
 *
 * Owns: the meaning of the old files for a graph, the notes. Does not own: reading the files (legacy-files.ts).
 *
 * Invariants
 * 1. Pure: the same files, graph and options give the same checkpoint.
 * 2. What cannot be carried over is either an error or a note; nothing is dropped in silence.
 * 3. A task inside a group, a dag or an embedded workflow stands for the whole of it: results of its siblings were in
 *    the pickle, so it starts anew.
 */
import { CHECKPOINT_FORMAT, CHECKPOINT_VERSION, parseCheckpoint, type Checkpoint } from '../core/checkpoint.ts';
import { CheckpointError, isTaskchartError } from '../core/errors.ts';
import { defaultMaxIterations, type Graph, type GraphNode, type NodeId } from '../core/graph.ts';
import { checkId } from '../core/ids.ts';
import { preview, toJson } from '../core/json.ts';
import type { Json, JsonObject } from '../core/json-type.ts';
import { parseLegacyMeta, parseLegacyState, type LegacyMeta, type LegacyState, type LegacyTask } from './legacy-files.ts';
import { nodeHash } from '../define/graph-hash.ts';
import { Fifo, MACHINE_VERSION, Vec, initialContext, type ExecutionContext, type Token } from '../../machines/index.ts';
import { LegacyGraph, type LegacyPlace } from './legacy-graph.ts';
import { persistedFrom } from './replay.ts';

export interface LegacyFiles {
  /** `<base>.state.json`: its text, or what it says. */
  readonly state: unknown;
  /** `<base>.meta.json`, where there is one. */
  readonly meta?: unknown;
  /** The files' common path, for messages. */
  readonly base?: string | undefined;
}

export interface LegacyOptions {
  /** Inputs of tasks that were waiting, by their ids: the files do not have them. */
  readonly inputs?: Readonly<Record<string, Json>> | undefined;
  /** Old ids of tasks that are called otherwise here: old id → id in the graph. */
  readonly rename?: Readonly<Record<string, string>> | undefined;
  /** Default: the old session id. */
  readonly runId?: string | undefined;
  /** The time of the checkpoint where there is no meta file, in milliseconds since the epoch. Default: 0. */
  readonly savedAt?: number | undefined;
}

export interface LegacyConversion {
  readonly checkpoint: Checkpoint;
  /** What was not carried over, and what to look at before the run goes on. */
  readonly notes: readonly string[];
  /** What the user had stored with the old checkpoint; nothing here has a place for it. */
  readonly userMetadata: JsonObject | undefined;
}

/** The graph to continue on: a workflow's `definition`. */
export interface LegacyTarget {
  readonly graph: Graph;
  readonly graphHash: string;
}

/** Converts an old checkpoint. Throws CheckpointError, naming file and field, for what cannot be continued. */
export function convertLegacyCheckpoint(files: LegacyFiles, target: LegacyTarget, options: LegacyOptions = {}): LegacyConversion {
  const base = files.base ?? '';
  const state = parseLegacyState(files.state, `${base}.state.json`);
  const meta = files.meta === undefined ? undefined : parseLegacyMeta(files.meta, `${base}.meta.json`, state);
  const conversion = new Conversion(`${base}.state.json`, state, meta, target, options);
  return conversion.result();
}

/** More nodes than this, and the envelope holds the graph's hash alone. */
const NODES_LISTED = 5000;
const NAMES_LISTED = 20;

class Conversion {
  readonly #file: string;
  readonly #state: LegacyState;
  readonly #meta: LegacyMeta | undefined;
  readonly #target: LegacyTarget;
  readonly #options: LegacyOptions;
  readonly #graph: LegacyGraph;
  readonly #notes: string[] = [];
  readonly #tokens: Token[] = [];
  readonly #usedInputs = new Set<string>();
  readonly #withoutInput: string[] = [];
  readonly #otherRetries: string[] = [];

  constructor(file: string, state: LegacyState, meta: LegacyMeta | undefined, target: LegacyTarget, options: LegacyOptions) {
    this.#file = file;
    this.#state = state;
    this.#meta = meta;
    this.#target = target;
    this.#options = options;
    this.#graph = new LegacyGraph(target.graph, options.rename ?? {});
  }

  result(): LegacyConversion {
    const id = this.#runId();
    this.#checkNames();
    this.#checkStart();
    this.#queue();
    this.#checkInputs();
    const context = this.#context(id);
    this.#noteRest();
    const { graph, graphHash } = this.#target;
    const ids = Object.keys(graph.nodes);
    const checkpoint = parseCheckpoint({
      format: CHECKPOINT_FORMAT,
      version: CHECKPOINT_VERSION,
      workflow: graph.workflow,
      graphHash,
      machineVersion: MACHINE_VERSION,
      runId: id,
      seq: context.revision,
      savedAt: this.#savedAt(),
      ...(ids.length > NODES_LISTED ? {} : { nodes: Object.fromEntries(ids.map((node) => [node, nodeHash(graph.nodes[node] as GraphNode)])) }),
      snapshot: persistedFrom({ historyValue: {} }, context),
    });
    return { checkpoint, notes: this.#notes, userMetadata: this.#userMetadata() };
  }

  #runId(): string {
    const id = this.#options.runId ?? this.#state.sessionId;
    try {
      return checkId('run', id);
    } catch (cause) {
      const where = this.#options.runId === undefined ? `field session_id of ${this.#file}` : 'option runId';
      throw this.#problem(`${where} cannot be a run id: ${preview(id, 60)}`, `Give the run another id (runId). ${isTaskchartError(cause) ? (cause.hint ?? '') : ''}`.trim());
    }
  }

  #savedAt(): number {
    return this.#meta?.createdAt ?? this.#options.savedAt ?? 0;
  }

  #checkNames(): void {
    for (const [before, now] of Object.entries(this.#options.rename ?? {})) {
      if (this.#graph.find(now)?.node === now) continue;
      throw this.#problem(`rename says that ${preview(before, 60)} is now ${preview(now, 60)}, which workflow "${this.#target.graph.workflow}" does not have`, `Its steps are: ${names(this.#graph.ids)}.`);
    }
  }

  #checkStart(): void {
    const { startNode } = this.#state;
    if (startNode === undefined) return;
    const place = this.#graph.find(startNode);
    if (place === undefined) throw this.#unknown('start_node', startNode);
    if (place.top !== this.#target.graph.root) this.#note(`The old run began at "${startNode}"; workflow "${this.#target.graph.workflow}" begins at "${this.#target.graph.root}".`);
  }

  /** The task that was interrupted comes first, as it did there. */
  #queue(): void {
    const { pendingTasks, resumingTaskId } = this.#state;
    const at = pendingTasks.findIndex((task) => task.taskId === resumingTaskId);
    const list = pendingTasks.map((task, index) => ({ task, field: `pending_tasks[${index}].task_id` }));
    const first = at === -1 ? undefined : list.splice(at, 1)[0];
    if (first !== undefined) list.unshift(first);
    else if (resumingTaskId !== undefined) {
      list.unshift({ task: { taskId: resumingTaskId, status: 'ready', retryCount: 0, maxRetries: undefined, lastError: undefined }, field: 'resuming_task_id' });
    }
    const places = list.map(({ task, field }) => {
      const place = this.#graph.find(task.taskId);
      if (place === undefined) throw this.#unknown(field, task.taskId);
      return place;
    });
    const onMain = places.some((place) => place.main);
    places.forEach((place, index) => this.#enqueue((list[index] as (typeof list)[number]).task, place, onMain ? place.main : index === 0));
    if (list.length === 0) this.#note('No task was waiting, so the run completes at once, without an output.');
    if (places.length > 0 && !onMain) this.#note(`"${places[0]?.top}" is taken for the main path: what it leads to becomes the output.`);
  }

  #enqueue(task: LegacyTask, place: LegacyPlace, main: boolean): void {
    const { top, node, iteration } = place;
    const inside = top !== node;
    if (inside) this.#note(`"${task.taskId}" stands inside "${top}", which runs again from its beginning: the results of its other tasks were in the pickle.`);
    if (this.#graph.isContainer(top) && this.#tokens.some((token) => token.node === top)) return;
    const input = this.#inputOf(task, place);
    const kept = inside ? { attempt: 1, iteration: 0 } : { attempt: task.retryCount + 1, iteration: iteration ?? this.#cyclesOf(task.taskId) };
    this.#tokens.push({ id: this.#tokens.length + 1, node: top, scope: 0, ...(input === undefined ? {} : { input }), ...kept, hop: 0, main });
    if (!inside) this.#noteLimits(task, top, kept);
    if (task.status !== 'ready') this.#note(`"${task.taskId}" was marked ${task.status}; it was still in the queue, so it runs.`);
    if (task.lastError !== undefined) this.#note(`The last error of "${task.taskId}" is not kept: ${preview(task.lastError, 100)}.`);
  }

  #cyclesOf(id: string): number {
    const { cycleCounts } = this.#state;
    return Object.hasOwn(cycleCounts, id) ? (cycleCounts[id] as number) : 0;
  }

  #inputOf(task: LegacyTask, { top, node }: LegacyPlace): Json | undefined {
    const inputs = this.#options.inputs ?? {};
    const key = [task.taskId, top].find((id) => Object.hasOwn(inputs, id) && (node === top || id === top));
    const input = key === undefined ? undefined : this.#checkedInput(key, inputs[key]);
    if (this.#target.graph.nodes[top]?.kind === 'each' && !Array.isArray(input)) {
      throw this.#problem(`"${top}" runs a step for every item of an array, which is not in the files`, `Give the array: inputs { "${top}": [...] }.`);
    }
    if (input === undefined) this.#withoutInput.push(top);
    return input;
  }

  #checkedInput(key: string, value: unknown): Json {
    this.#usedInputs.add(key);
    try {
      return toJson(value, `inputs.${key}`) as Json;
    } catch (cause) {
      throw this.#problem(isTaskchartError(cause) ? cause.message.replace(/\.$/, '') : `inputs.${key} is not JSON`, 'Give inputs as plain JSON.');
    }
  }

  #checkInputs(): void {
    for (const key of Object.keys(this.#options.inputs ?? {})) {
      if (this.#usedInputs.has(key)) continue;
      const place = this.#graph.find(key);
      const within = place !== undefined && place.top !== place.node && this.#tokens.some((token) => token.node === place.top);
      const why = within ? `it stands inside "${place.top}", which runs again as a whole` : 'no task of that id was waiting';
      throw this.#problem(`inputs has ${preview(key, 60)}, but ${why}`, within ? `Give the input of "${place.top}".` : `Waiting are: ${names(this.#tokens.map((token) => token.node))}.`);
    }
  }

  #context(id: string): ExecutionContext {
    const { graph, graphHash } = this.#target;
    const first = initialContext(graph.workflow, graph.root, null);
    const at = this.#savedAt();
    return {
      ...first,
      run: { id, startedAt: at, graphHash, concurrency: 1 },
      at,
      revision: 1,
      nextId: this.#tokens.length + 1,
      steps: this.#state.steps,
      root: { ...first.root, queue: Fifo.pushAll(Fifo.emptyFifo<Token>(), this.#tokens) },
      completions: this.#completions(),
    };
  }

  /** How often each task had run, as far as the list of completed ones tells. */
  #completions(): ExecutionContext['completions'] {
    const ordinal = new Map(Object.keys(this.#target.graph.nodes).map((node, at) => [node, at]));
    const counts = new Vec.VecDraft<number>(Vec.emptyVec<number>());
    const unknown: string[] = [];
    for (const id of this.#state.completedTasks) {
      const at = ordinal.get(this.#graph.find(id)?.node ?? '');
      if (at === undefined) unknown.push(id);
      else counts.set(at, (counts.get(at) ?? 0) + 1);
    }
    if (unknown.length > 0 && unknown.length === this.#state.completedTasks.length) throw this.#unknown('completed_tasks[0]', unknown[0] as string);
    if (unknown.length > 0) this.#note(`Completed tasks that the graph does not have are not counted: ${names(unknown)}.`);
    const cycles = Object.keys(this.#state.cycleCounts).filter((id) => this.#graph.find(id) === undefined);
    if (cycles.length > 0) this.#note(`Cycle counts of tasks that the graph does not have are dropped: ${names(cycles)}.`);
    return counts.done();
  }

  #noteLimits(task: LegacyTask, node: NodeId, { attempt, iteration }: { readonly attempt: number; readonly iteration: number }): void {
    const found = this.#target.graph.nodes[node];
    if (found?.kind !== 'task') return;
    const attempts = found.retry?.attempts ?? 1;
    if (attempt > attempts) this.#note(`"${node}" has used up the ${attempts} attempt(s) that the graph gives it; it runs once more.`);
    if (task.maxRetries !== undefined && task.maxRetries + 1 !== attempts) this.#otherRetries.push(node);
    const most = found.maxIterations ?? defaultMaxIterations;
    if (iteration >= most) this.#note(`"${node}" has used up its ${most} iterations; another one ends the run with IterationLimitError.`);
  }

  #noteRest(): void {
    const { backend, unknown, pendingTasks } = this.#state;
    if (this.#withoutInput.length > 0) this.#note(`Run without an input, because the files have none: ${names(this.#withoutInput)}. Give it with inputs where it is needed.`);
    if (this.#otherRetries.length > 0) this.#note(`max_retries is not kept; the retry options of the graph hold for ${names(this.#otherRetries)}.`);
    if (pendingTasks.length > 0) this.#note('The times at which waiting tasks were queued are not kept; their order is.');
    this.#note('Results and channel values were in the pickle (or in Redis), which is never opened: the channel begins empty.');
    const queue = unknown.filter((name) => /redis|queue|key_prefix/i.test(name));
    if (queue.length > 0 || backend.some((name) => /redis/i.test(name))) {
      const fields = [...(backend.some((name) => /redis/i.test(name)) ? ['backend'] : []), ...queue];
      this.#note(`Redis queue metadata is dropped (${names(fields)}); the old keys in Redis are left as they are.`);
    }
    const others = [...unknown.filter((name) => !queue.includes(name)), ...(this.#meta?.unknown ?? [])];
    if (others.length > 0) this.#note(`Fields that have no place here: ${names(others)}.`);
    if (this.#meta === undefined) this.#note('There was no .meta.json: the time of the checkpoint is not known.');
    else {
      this.#note(`Old checkpoint ${preview(this.#meta.checkpointId, 100)}.`);
      if (this.#meta.steps !== this.#state.steps) this.#note(`.meta.json counts ${this.#meta.steps} steps, .state.json ${this.#state.steps}; the latter is taken.`);
    }
    const metadata = this.#userMetadata();
    if (metadata !== undefined) this.#note(`user_metadata is not part of the checkpoint: ${preview(metadata, 200)}`);
  }

  #userMetadata(): JsonObject | undefined {
    const metadata = this.#meta?.userMetadata ?? {};
    return Object.keys(metadata).length === 0 ? undefined : metadata;
  }

  #note(text: string): void {
    if (!this.#notes.includes(text)) this.#notes.push(text);
  }

  #unknown(field: string, id: string): CheckpointError {
    return this.#problem(`field ${field} names ${preview(id, 60)}, which workflow "${this.#target.graph.workflow}" does not have`, `Give the step that id (.as), or say what it is called now (rename). Its steps are: ${names(this.#graph.ids)}.`);
  }

  #problem(what: string, hint: string): CheckpointError {
    return new CheckpointError('checkpoint/invalid', `The older system's file ${this.#file} cannot be converted: ${what}.`, { hint, details: { file: this.#file } });
  }
}

function names(ids: readonly string[]): string {
  const shown = ids.slice(0, NAMES_LISTED).map((id) => preview(id, 60).slice(1, -1)).join(', ');
  return ids.length > NAMES_LISTED ? `${shown} and ${ids.length - NAMES_LISTED} more` : shown;
}
