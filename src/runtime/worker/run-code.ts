/**
 * The code with which a worker executes the branches of a run: its own, where that is the same graph, else the run's graph
 * with the tasks that this process knows by their ids.
 *
 * Owns: graph, plan and implementations for one graph hash; which tasks of a branch are not known here. Does not own: finding
 * single tasks (runtime/find.ts), executing (branch.ts).
 *
 * Invariants
 * 1. What executes is always what this process has loaded; from the lists come names and links alone.
 * 2. Inner `redis` groups are executed by the worker itself, unless they name another queue: a parent that holds a slot must
 *    not wait for slots.
 */
import { createActor, type Snapshot } from 'xstate';
import { DefinitionError, ProtocolError } from '../../core/errors.ts';
import type { Graph, GraphNode, NodeId, TaskNode } from '../../core/graph.ts';
import type { Json } from '../../core/json.ts';
import type { SharedBody } from '../../core/messages.ts';
import type { Definition, TaskImplementation } from '../../define/definition.ts';
import { hashGraph } from '../../define/graph-hash.ts';
import { keyOf, specOf } from '../../define/spec.ts';
import { createExecutionContextMachine, planOf, type ExecutionContext, type ExecutionContextMachine, type Plan } from '../../../machines/index.ts';
import type { Environment } from '../../ports.ts';
import { createActors, recorded } from '../actors.ts';
import { WorkflowCode } from '../code.ts';
import { embeddedNames, type TaskFinder } from '../find.ts';
import { defaultQueue } from '../group-executor.ts';
import { markMachine } from '../inspected.ts';
import { persistedFrom } from '../replay.ts';

/** A member that is one task, looked up once. */
export interface EntryTask {
  readonly node: TaskNode;
  readonly implementation: TaskImplementation;
}

/** A task of a branch that this process cannot execute. */
export interface UnknownTask {
  readonly task: NodeId;
  readonly why: string;
}

export class RunCode {
  readonly code: WorkflowCode;
  readonly plan: Plan;
  readonly #environment: Environment;
  readonly #entries = new Map<NodeId, EntryTask | null>();
  /** Entries from which every task is known. */
  readonly #complete = new Set<NodeId>();
  #machine: ExecutionContextMachine | undefined;
  #base: Json | undefined;

  constructor(code: WorkflowCode, queue: string, environment: Environment) {
    this.code = code;
    this.#environment = environment;
    const elsewhere = (group: NodeId): boolean => environment.connect !== undefined && environment.remote !== undefined && queueOf(code.settings(group)) !== undefined && queueOf(code.settings(group)) !== queue;
    const { graph, graphHash } = code.definition;
    this.plan = planOf(graph, graphHash, { get: (node) => code.policy(node) }, (group) => !elsewhere(group));
  }

  /** The task, where a branch that begins there is just that: known, without a successor and without a time limit. */
  entry(id: NodeId): EntryTask | undefined {
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      const node = this.code.node(id);
      const implementation = this.code.implementation(id);
      const quick = node?.kind === 'task' && node.next === undefined && node.timeoutMs === undefined && implementation?.run !== undefined;
      entry = quick ? { node, implementation } : null;
      // A contract may get its function later.
      if (quick) this.#entries.set(id, entry);
    }
    return entry ?? undefined;
  }

  /** The first task on the ways of a branch that this process cannot execute. */
  unknown(entry: NodeId): UnknownTask | undefined {
    if (this.#complete.has(entry)) return undefined;
    const seen = new Set<NodeId>();
    const stack: NodeId[] = [entry];
    for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
      if (seen.has(id)) continue;
      seen.add(id);
      const node = this.code.node(id);
      if (node === undefined) return { task: id, why: `the graph of workflow "${this.code.workflow}" has no such step` };
      if (node.kind === 'task') {
        const implementation = this.code.implementation(id);
        if (implementation === undefined) return { task: id, why: 'no module that this worker has loaded defines it' };
        if (implementation.run === undefined) return { task: id, why: 'this worker knows its contract, and no implementation of it' };
      }
      stack.push(...behind(node));
    }
    this.#complete.add(entry);
    return undefined;
  }

  /** The machine of a branch; one for all of them, as a branch carries its limits in its context. */
  get machine(): ExecutionContextMachine {
    return (this.#machine ??= recorded(
      markMachine(createExecutionContextMachine(this.plan, { concurrency: 1 }).provide({ actors: createActors(this.code, { concurrency: 1 }, this.#environment) }), this.code),
    ) as unknown as ExecutionContextMachine);
  }

  /** The persisted snapshot of an actor whose context this is. */
  snapshot(context: ExecutionContext): Snapshot<unknown> {
    this.#base ??= createActor(this.machine, { input: undefined }).getPersistedSnapshot() as unknown as Json;
    return persistedFrom(this.#base, context) as unknown as Snapshot<unknown>;
  }
}

function behind(node: GraphNode): readonly NodeId[] {
  const ids: NodeId[] = [];
  if (node.next !== undefined) ids.push(node.next);
  if (node.recover !== undefined) ids.push(node.recover);
  if (node.kind === 'scope') ids.push(node.entry);
  else if (node.kind === 'each') ids.push(node.body);
  else if (node.kind === 'parallel' || node.kind === 'dag') for (const member of node.members) ids.push(member.entry);
  return ids;
}

function queueOf(settings: unknown): string | undefined {
  if (typeof settings !== 'object' || settings === null) return undefined;
  const { queue } = settings as { readonly queue?: unknown };
  return typeof queue === 'string' ? queue : defaultQueue;
}

/** The code of the runs that come by, by workflow and graph hash. */
export class RunCodes {
  readonly #finder: TaskFinder;
  readonly #queue: string;
  readonly #environment: Environment;
  readonly #own = new Map<string, RunCode>();
  /** Other graphs than ours, the least used first. */
  readonly #borrowed = new Map<string, RunCode>();

  constructor(finder: TaskFinder, queue: string, environment: Environment) {
    this.#finder = finder;
    this.#queue = queue;
    this.#environment = environment;
  }

  /** Where this process has the very graph, or has met it before. */
  known({ workflow, graphHash }: Pick<SharedBody, 'workflow' | 'graphHash'>): RunCode | undefined {
    const own = this.#own.get(workflow);
    if (own?.plan.graphHash === graphHash) return own;
    const code = own === undefined ? this.#finder.codeOf(workflow) : undefined;
    if (typeof code === 'object') {
      const made = new RunCode(code, this.#queue, this.#environment);
      this.#own.set(workflow, made);
      if (made.plan.graphHash === graphHash) return made;
    }
    return this.#touch(`${workflow} ${graphHash}`);
  }

  /** For a run's graph that is not ours. Throws ProtocolError where it is not the one that was spoken of. */
  borrow({ workflow, graphHash }: Pick<SharedBody, 'workflow' | 'graphHash'>, graph: Graph): RunCode {
    if (graph.workflow !== workflow || hashGraph(graph) !== graphHash) {
      throw new ProtocolError('protocol/bad-unit', `the graph that travels with a run of workflow "${workflow}" is not the run's`, { hint: 'give coordinators and workers the same version of taskchart' });
    }
    const code = new RunCode(new WorkflowCode(borrowed(this.#finder, graph, graphHash)), this.#queue, this.#environment);
    this.#borrowed.set(`${workflow} ${graphHash}`, code);
    if (this.#borrowed.size > MOST_BORROWED) this.#borrowed.delete(this.#borrowed.keys().next().value as string);
    return code;
  }

  #touch(key: string): RunCode | undefined {
    const found = this.#borrowed.get(key);
    if (found === undefined) return undefined;
    this.#borrowed.delete(key);
    this.#borrowed.set(key, found);
    return found;
  }
}

const MOST_BORROWED = 50;

/** A definition of the run's graph with what this process knows of it. */
function borrowed(finder: TaskFinder, graph: Graph, graphHash: string): Definition {
  const { workflow, nodes } = graph;
  const tasks = new Map<NodeId, TaskImplementation>();
  for (const id in nodes) {
    if (nodes[id]?.kind !== 'task') continue;
    const found = finder.find({ workflow, node: id }, embeddedNames((node) => nodes[node], id), true);
    const own = 'missing' in found ? finder.stray({ workflow, node: id.slice(id.lastIndexOf('/') + 1) }) : found;
    if (!('missing' in own)) tasks.set(id, own.implementation);
  }
  const code = finder.codeOf(workflow);
  const same = typeof code === 'object' ? code.definition : undefined;
  const { policies = new Map(), settings = new Map(), signals = new Map() } = same ?? {};
  return { graph, graphHash, tasks, policies, settings, signals, targetOf: (step, from) => targetIn(graph, same, step, from) };
}

/** Where a step stands in a graph that is not that of its own process: as ours has it, else by its id, from the inside out. */
function targetIn(graph: Graph, same: Definition | undefined, step: object, from: NodeId | undefined): NodeId | undefined {
  const ours = same === undefined || (from !== undefined && same.graph.nodes[from] === undefined) ? undefined : same.targetOf(step, from);
  if (ours !== undefined && graph.nodes[ours] !== undefined) return ours;
  const spec = specOf(step);
  const id = spec === undefined ? undefined : keyOf(spec);
  if (spec === undefined) throw new DefinitionError('definition/not-a-step', 'a task steers to something that is not a step');
  if (id === undefined || spec.kind === 'chain' || spec.kind === 'list' || spec.kind === 'named') return undefined;
  for (let path = from ?? ''; ; path = path.slice(0, Math.max(0, path.lastIndexOf('/')))) {
    const slash = path.lastIndexOf('/');
    const candidate = slash < 0 ? id : `${path.slice(0, slash)}/${id}`;
    if (graph.nodes[candidate] !== undefined) return candidate;
    if (slash < 0) return undefined;
  }
}
