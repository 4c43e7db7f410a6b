/**
 * What runs in a worker thread: finds a task by workflow and node id, and executes it as the main thread would.
 *
 * An entry file of its own: the pool starts threads with it. Does not own: the line to the pool (thread.ts).
 *
 * Invariant: the outcome is made by the same Invocation that executes local tasks, so it is the same outcome.
 */
import { DefinitionError } from '../../core/errors.ts';
import type { NodeId } from '../../core/graph.ts';
import type { Json } from '../../core/json.ts';
import { cut, preview } from '../../core/preview.ts';
import { knownIds } from '../../define/registry.ts';
import type { WorkflowCode } from '../../runtime/code.ts';
import { TaskFinder, type FoundTask } from '../../runtime/find.ts';
import { Invocation, type Spot } from '../../runtime/invocation.ts';
import type { ThreadCall } from './messages.ts';
import { threadHandler, type Line } from './thread.ts';

const finder = new TaskFinder();

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

  constructor(call: ThreadCall, line: Line, resolve: FoundTask['resolve']) {
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

function find(module: string, call: ThreadCall): FoundTask {
  const found = finder.find(call, call.embedded, call.declared);
  if (!('missing' in found)) return found;
  if (found.missing === 'ambiguous') throw ambiguous(module, found.workflow);
  if (found.missing === 'node') throw unknownNode(module, found.code, found.node);
  throw unknownWorkflow(module, call);
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
