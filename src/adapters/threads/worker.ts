/**
 * What runs in a worker thread: finds a task by workflow and node id, and executes it as the main thread would.
 *
 * An entry file of its own: the pool starts threads with it. Does not own: the line to the pool (thread.ts).
 *
 * Invariants
 * 1. The outcome is made by the same Invocation that executes local tasks, so it is the same outcome.
 * 2. A workflow that is embedded in one that this thread does not know is found by its own id, and everything that is
 *    said of its nodes carries the outer path.
 */
import { DefinitionError } from '../../core/errors.ts';
import type { NodeId } from '../../core/graph.ts';
import type { Json } from '../../core/json.ts';
import { cut, preview } from '../../core/preview.ts';
import type { Definition, TaskImplementation } from '../../define/definition.ts';
import { findWorkflow, knownIds, type RegisteredWorkflow } from '../../define/registry.ts';
import { WorkflowCode } from '../../runtime/code.ts';
import { Invocation, type Resolved, type Spot } from '../../runtime/invocation.ts';
import type { ThreadCall } from './messages.ts';
import { threadHandler, type Line } from './thread.ts';

/** A task's code, and the way from its steps to nodes of the run's graph. */
interface Found {
  readonly implementation: TaskImplementation;
  resolve(step: object): Resolved;
}

const codes = new Map<string, WorkflowCode>();
const strays = new Map<string, WorkflowCode>();
/** The registry's references are weak, and a module need not export what it defines. */
const kept = new Set<RegisteredWorkflow>();

export default threadHandler(async (module, call, line) => {
  const { implementation, resolve } = find(module, call);
  const invocation = new ThreadInvocation(call, line, resolve);
  if (line.onAbort((reason) => invocation.abort(reason))) return undefined;
  line.send({ kind: 'started' });
  try {
    return invocation.settle(await invocation.begin(implementation));
  } catch (thrown) {
    return invocation.fail(thrown, 0);
  }
});

class ThreadInvocation extends Invocation {
  readonly #key: string;

  constructor(call: ThreadCall, line: Line, resolve: Found['resolve']) {
    const { runId, workflow, node, attempt, iteration } = call;
    const scene = { runId, workflow, channel: call.channel as Readonly<Record<string, Json>>, resolve };
    const spot: Spot = { scene, node, attempt, iteration, id: 0, hop: 0, answers: call.answers as Spot['answers'], note: (note) => line.note(note) };
    super(spot, call.input as Json | undefined, undefined);
    this.#key = call.idempotencyKey;
  }

  override get idempotencyKey(): string {
    return this.#key;
  }
}

function find(module: string, call: ThreadCall): Found {
  for (const name of [call, ...call.embedded]) {
    const code = codeOf(module, name.workflow);
    if (code === undefined) continue;
    const implementation = implementationOf(code, name.node, call.declared);
    if (implementation === undefined) throw unknownNode(module, code, name.node);
    const path = call.node.slice(0, call.node.length - name.node.length);
    return { implementation, resolve: (step) => outside(path, code.resolve(step, name.node)) };
  }
  const code = call.declared ? undefined : strayCode(call.workflow);
  const implementation = code && implementationOf(code, call.node, false);
  if (code === undefined || implementation === undefined) throw unknownWorkflow(module, call);
  return { implementation, resolve: (step) => code.resolve(step, call.node) };
}

function codeOf(module: string, workflow: string): WorkflowCode | undefined {
  const known = codes.get(workflow);
  if (known !== undefined) return known;
  for (const id of knownIds('workflows')) keep(findWorkflow(id));
  const step = findWorkflow(workflow);
  if (step === undefined) return undefined;
  if (step === 'ambiguous') throw ambiguous(module, workflow);
  const code = new WorkflowCode(step.definition);
  codes.set(workflow, code);
  return code;
}

/** For steps that a run met on its way, where the workflow around it is not known: to such a step, every other is one too. */
function strayCode(workflow: string): WorkflowCode {
  let code = strays.get(workflow);
  if (code === undefined) {
    const graph = { format: 'taskchart/graph', version: 1, workflow, root: '', uses: [], nodes: {} } as const;
    const nothing: Definition = { graph, graphHash: '', tasks: new Map(), policies: new Map(), settings: new Map(), signals: new Map(), targetOf: () => undefined };
    code = new WorkflowCode(nothing);
    strays.set(workflow, code);
  }
  return code;
}

function keep(step: RegisteredWorkflow | 'ambiguous' | undefined): void {
  if (typeof step === 'object') kept.add(step);
}

/** A step that the run met on its way is known by its own id, or that of the workflow that it is. */
function implementationOf(code: WorkflowCode, node: NodeId, declared: boolean): TaskImplementation | undefined {
  if (!declared && code.implementation(node) === undefined) {
    code.loadById(node.split('/', 1)[0] ?? node);
  }
  return code.implementation(node);
}

function outside(path: string, { node, fragments }: Resolved): Resolved {
  return fragments === undefined ? { node: `${path}${node}` } : { node, fragments };
}

function unknownWorkflow(module: string, call: ThreadCall): DefinitionError {
  const known = knownIds('workflows').map((id) => `"${id}"`).join(', ');
  return new DefinitionError('definition/unknown-task', `The module ${preview(module)}, loaded in a worker thread, does not define the workflow "${call.workflow}"; it defines ${known === '' ? 'no workflow' : cut(known, 200)}.`, {
    hint: 'Name the module that calls workflow(): { module: import.meta.url } in that very file. It must define the same workflows when it is loaded in a thread.',
    details: { module, workflow: call.workflow, task: call.node },
  });
}

function unknownNode(module: string, code: WorkflowCode, node: NodeId): DefinitionError {
  return new DefinitionError('definition/unknown-task', `The workflow "${code.workflow}" of the module ${preview(module)}, loaded in a worker thread, has no task "${node}".`, {
    hint: 'The module must define the same workflow in every thread; a step that tasks steer to must be imported by it, or declared in { uses }.',
    details: { module, workflow: code.workflow, task: node },
  });
}

function ambiguous(module: string, workflow: string): DefinitionError {
  return new DefinitionError('definition/ambiguous-step', `The module ${preview(module)}, loaded in a worker thread, brings two workflows with the id "${workflow}".`, {
    hint: 'Give one of them another id.',
    details: { module, workflow },
  });
}
