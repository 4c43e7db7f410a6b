/** Checks a signal before it reaches the machine: its name must be one that the graph waits for, its value must fit. */
import { DefinitionError, TaskchartError } from '../core/errors.ts';
import { preview, toJson, type Json } from '../core/json.ts';
import { nearestName } from '../core/options.ts';
import { Vec, type ExecutionContext } from '../../machines/index.ts';
import type { WorkflowCode } from './code.ts';
import { refusal } from './contracts.ts';

/** The value as JSON. Schemas of signals must answer at once: a signal is accepted or refused, never in between. */
export function checkSignal(code: WorkflowCode, context: ExecutionContext, name: string, value: unknown): Json | undefined {
  const waits = [...waitsOf(code, context)].filter(([, signal]) => signal === name);
  if (waits.length === 0) {
    const known = [...new Set([...waitsOf(code, context)].map(([, signal]) => signal))];
    const nearest = nearestName(name, known);
    const names = known.length === 0 ? 'it has no wait at all' : `it waits for ${known.join(', ')}`;
    throw new TaskchartError('run/unknown-signal', `workflow "${code.workflow}" never waits for a signal ${preview(name)}: ${names}`, {
      hint: nearest === undefined ? 'a question of ctx.ask can be answered once it has been asked' : `did you mean "${nearest}"?`,
      details: { name: preview(name), known },
    });
  }
  let json = toJson(value, `signal "${name}"`);
  for (const [node] of waits) {
    const schema = code.signalSchema(node);
    if (schema === undefined) continue;
    const result = schema['~standard'].validate(json);
    if (result instanceof Promise) throw new DefinitionError('definition/bad-schema', `the schema of the signal "${name}" answers later; schemas of signals must answer at once`);
    if (result.issues !== undefined) throw refusal(`signal "${name}"`, result.issues);
    json = toJson(result.value, `signal "${name}"`);
    break;
  }
  return json;
}

/** Node ids and signal names: of the waits of graphs, of the questions that tasks have asked, and of waits that only a branch at a worker knows. */
function* waitsOf(code: WorkflowCode, context: ExecutionContext): Generator<readonly [string, string]> {
  const graphs = [code.definition.graph.nodes, ...Object.values(context.fragments).map((fragment) => fragment.nodes)];
  for (const nodes of graphs) for (const id in nodes) {
    const node = nodes[id];
    if (node?.kind === 'wait') yield [id, node.signal];
  }
  for (const { token, signal } of Vec.values(context.waits)) yield [token.node, signal];
}
