/**
 * A graph as an indented outline for people.
 *
 * Owns: the wording. Does not own: the graph's meaning; programs read the graph itself.
 *
 * Invariants
 * 1. Every node that can be reached has one line.
 * 2. Linear in the number of nodes, without recursion.
 */
import type { Graph, GraphNode, NodeId, PolicyPlan } from '../core/graph.ts';

interface Line {
  readonly depth: number;
  readonly label: string;
  readonly node: NodeId | undefined;
}

/** One line per node, in the order in which they run; what runs inside a group is indented. Linear, without recursion. */
export function describe(graph: Graph): string {
  const lines = [`workflow ${graph.workflow}`];
  const stack: Line[] = [...graph.uses].reverse().map((id) => ({ depth: 1, label: 'on demand: ', node: id }));
  stack.push({ depth: 1, label: '', node: graph.root });
  const seen = new Set<NodeId>();
  for (let line = stack.pop(); line !== undefined; line = stack.pop()) {
    const node = line.node === undefined ? undefined : graph.nodes[line.node];
    if (node === undefined || seen.has(node.id)) continue;
    seen.add(node.id);
    lines.push(`${indent(line.depth)}${line.label}${textOf(node)}`);
    if (node.next !== undefined) stack.push({ depth: line.depth, label: '', node: node.next });
    if (node.recover !== undefined) stack.push({ depth: line.depth + 1, label: 'on failure: ', node: node.recover });
    for (const inner of insideOf(node).reverse()) stack.push({ depth: line.depth + 1, ...inner });
  }
  return `${lines.join('\n')}\n`;
}

/** Very deep groups stay readable, and the text stays linear in the number of nodes. */
function indent(depth: number): string {
  return depth <= 40 ? '  '.repeat(depth) : `${'  '.repeat(40)}[${depth}] `;
}

function textOf(node: GraphNode): string {
  switch (node.kind) {
    case 'task':
      return `task ${node.id}${taskOptions(node)}`;
    case 'parallel':
      return `parallel ${node.id} (${node.members.length} members, ${policyText(node.policy)}, ${executionText(node)})`;
    case 'each':
      return `each ${node.id} (${policyText(node.policy)}, ${executionText(node)}${node.batch === undefined ? '' : `, batches of ${node.batch}`})`;
    case 'dag':
      return `dag ${node.id} (${node.members.length} nodes, ${executionText(node)})`;
    case 'scope':
      return node.workflow === undefined ? `scope ${node.id}` : `workflow ${node.workflow} as ${node.id}`;
    case 'wait':
      return `wait ${node.id} for the signal ${node.signal}${node.timeoutMs === undefined ? '' : ` (at most ${node.timeoutMs} ms)`}`;
    case 'sleep':
      return `sleep ${node.id} (${node.delayMs} ms)`;
  }
}

function taskOptions(node: Extract<GraphNode, { kind: 'task' }>): string {
  const parts: string[] = [];
  if (node.retry !== undefined) parts.push(`${node.retry.attempts} attempts, ${node.retry.backoff} backoff`);
  if (node.timeoutMs !== undefined) parts.push(`timeout ${node.timeoutMs} ms`);
  if (node.maxIterations !== undefined) parts.push(`at most ${node.maxIterations} iterations`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

function policyText(policy: PolicyPlan): string {
  const fast = 'failFast' in policy ? ', fail fast' : '';
  switch (policy.kind) {
    case 'strict':
      return `all must succeed${fast}`;
    case 'bestEffort':
      return 'best effort';
    case 'critical':
      return `critical: ${policy.ids.join(', ')}${fast}`;
    case 'atLeast':
      return `at least ${policy.count}${fast}`;
    case 'custom':
      return 'own policy';
  }
}

function executionText(node: Extract<GraphNode, { kind: 'parallel' | 'each' | 'dag' }>): string {
  const { backend, concurrency } = node.execution;
  return backend === 'direct' ? 'one at a time' : `${backend}, ${concurrency} at a time`;
}

function insideOf(node: GraphNode): { label: string; node: NodeId }[] {
  switch (node.kind) {
    case 'parallel':
      return node.members.map(({ id, entry }) => ({ label: id === entry ? '' : `${id}: `, node: entry }));
    case 'dag':
      return node.members.map(({ id, entry, needs }) => ({ label: `${id}${needs.length === 0 ? '' : ` (needs ${needs.join(', ')})`}: `, node: entry }));
    case 'each':
      return [{ label: 'for each: ', node: node.body }];
    case 'scope':
      return [{ label: '', node: node.entry }];
    default:
      return [];
  }
}
