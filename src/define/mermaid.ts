/**
 * A graph as a Mermaid flowchart.
 *
 * Owns: the text. Does not own: drawing it.
 *
 * Invariants
 * 1. Ids in the text are our own (`n0`, `n1` …), and labels are escaped: no id or name can change the chart's structure.
 * 2. Linear, without recursion.
 */
import type { DagMember, Graph, GraphNode, NodeId } from '../core/graph.ts';

type Region = { readonly entry: NodeId; readonly depth: number } | { readonly close: number };

export function mermaid(graph: Graph): string {
  const chart = new Chart(graph);
  const stack: Region[] = [...graph.uses].reverse().map((entry) => ({ entry, depth: 1 }));
  stack.push({ entry: graph.root, depth: 1 });
  for (let region = stack.pop(); region !== undefined; region = stack.pop()) {
    if ('close' in region) chart.close(region.close);
    else chart.node(region.entry, region.depth, stack);
  }
  return chart.text();
}

class Chart {
  readonly #graph: Graph;
  /** Names are given at the first mention; a node is drawn once. */
  readonly #names = new Map<NodeId, string>();
  readonly #drawn = new Set<NodeId>();
  readonly #lines: string[] = ['flowchart TD'];
  readonly #arrows: string[] = [];

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** Draws a node, and puts what follows and what is inside it on the stack. */
  node(id: NodeId, depth: number, stack: Region[]): void {
    const node = this.#graph.nodes[id];
    if (node === undefined || this.#drawn.has(id)) return;
    this.#drawn.add(id);
    const name = this.#reference(id);
    const pad = indent(depth);
    if (node.next !== undefined) this.#arrows.push(`  ${name} --> ${this.#reference(node.next)}`);
    if (node.recover !== undefined) this.#arrows.push(`  ${name} -. failure .-> ${this.#reference(node.recover)}`);
    for (const follower of [node.recover, node.next]) if (follower !== undefined) stack.push({ entry: follower, depth });
    const inside = entriesOf(node);
    if (inside.length === 0) {
      this.#lines.push(`${pad}${name}${shape(node)}`);
      return;
    }
    this.#lines.push(`${pad}subgraph ${name}["${escapeLabel(titleOf(node))}"]`);
    stack.push({ close: depth });
    for (const entry of [...inside].reverse()) stack.push({ entry, depth: depth + 1 });
    if (node.kind === 'dag') this.#needs(node.members);
  }

  close(depth: number): void {
    this.#lines.push(`${indent(depth)}end`);
  }

  text(): string {
    return `${[...this.#lines, ...this.#arrows].join('\n')}\n`;
  }

  #needs(members: readonly DagMember[]): void {
    const entries = new Map(members.map((member) => [member.id, member.entry]));
    for (const { entry, needs } of members) {
      for (const need of needs) this.#arrows.push(`  ${this.#reference(entries.get(need) as NodeId)} --> ${this.#reference(entry)}`);
    }
  }

  #reference(id: NodeId): string {
    const name = this.#names.get(id) ?? `n${this.#names.size}`;
    this.#names.set(id, name);
    return name;
  }
}

function entriesOf(node: GraphNode): readonly NodeId[] {
  switch (node.kind) {
    case 'parallel':
    case 'dag':
      return node.members.map((member) => member.entry);
    case 'each':
      return [node.body];
    case 'scope':
      return [node.entry];
    default:
      return [];
  }
}

function shape(node: GraphNode): string {
  if (node.kind === 'wait') return `{{"${escapeLabel(`wait: ${node.signal}`)}"}}`;
  if (node.kind === 'sleep') return `(["sleep ${node.delayMs} ms"])`;
  return `["${escapeLabel(node.id)}"]`;
}

function titleOf(node: GraphNode): string {
  if (node.kind === 'scope') return node.workflow === undefined ? node.id : `${node.id} (workflow ${node.workflow})`;
  return node.kind === 'each' ? `${node.id} (for each item)` : node.id;
}

/** Mermaid reads `#34;` as a character code; every character that could end or mark up a label is written that way. */
function escapeLabel(text: string): string {
  return text.replace(/[^\p{L}\p{N} _.,:@/()-]/gu, (character) => `#${character.codePointAt(0)};`);
}

function indent(depth: number): string {
  return '  '.repeat(Math.min(depth, 40));
}
