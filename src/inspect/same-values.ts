/** Which values of a graph's steps are one and the same: what a step gives is what the next one takes, and so on inwards. */
import type { GraphNode, NodeId } from '../core/graph.ts';
import type { GraphIndex } from './graph-index.ts';
import { entriesOf } from './graph-index.ts';
import type { Redactor } from './redact.ts';

/** Tells it to the redactor. Items of arrays are called as the array is, so a body's output is that of its `each`. Members of a group have one input: they are not told of each other. */
export function tellSame({ nodes, root, parents }: GraphIndex, redactor: Redactor): void {
  if (redactor.idle) return;
  const input = (id: NodeId): readonly string[] => [id, 'input'];
  const output = (id: NodeId): readonly string[] => [id, 'output'];
  redactor.same(input(root), ['run', 'input']);
  for (const end of endsOf(nodes, root)) redactor.same(['run', 'output'], output(end));
  for (const node of Object.values(nodes)) {
    const { id, next, recover } = node;
    if (next !== undefined) redactor.same(input(next), output(id));
    if (recover !== undefined) redactor.same(input(recover), [id, 'error']);
    if (node.kind === 'wait') redactor.same(output(id), [node.signal, 'signal']);
    if (node.kind === 'sleep') redactor.same(output(id), input(id));
    if (parents.size === 0) continue;
    for (const entry of entriesOf(node)) redactor.same(input(entry), input(id), node.kind === 'parallel' || node.kind === 'dag');
    if (node.kind === 'each') for (const end of endsOf(nodes, node.body)) redactor.same(output(id), output(end));
    if (node.kind === 'scope') for (const end of endsOf(nodes, node.entry)) redactor.same(output(id), output(end));
    if (node.kind !== 'parallel' && node.kind !== 'dag') continue;
    for (const member of node.members) {
      for (const end of endsOf(nodes, member.entry)) redactor.same([...output(id), member.id], output(end));
      if ('needs' in member && Array.isArray(member.needs)) for (const need of member.needs as readonly string[]) redactor.same([...input(member.entry), need], [...output(id), need]);
    }
  }
}

/** The last steps of a region: those that no other one follows. */
function endsOf(nodes: Readonly<Record<NodeId, GraphNode>>, entry: NodeId): NodeId[] {
  const ends: NodeId[] = [];
  const seen = new Set<NodeId>();
  const stack: NodeId[] = [entry];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    const node = nodes[id];
    if (node === undefined || seen.has(id)) continue;
    seen.add(id);
    if (node.next === undefined) ends.push(id);
    for (const after of [node.next, node.recover]) if (after !== undefined) stack.push(after);
  }
  return ends;
}
