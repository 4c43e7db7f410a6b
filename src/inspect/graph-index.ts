/**
 * What follows from a graph alone, looked up once per run: who stands inside whom, and what the machine does not count.
 *
 * Owns: the index, also over steps that a run has met on its way. Does not own: any state of a run.
 *
 * Invariants
 * 1. Linear in the graph, without recursion.
 * 2. Steps are added, and never changed or taken away.
 */
import type { Fragment, Graph, GraphNode, NodeId } from '../core/graph.ts';

export class GraphIndex {
  readonly workflow: string;
  readonly nodes: Record<NodeId, GraphNode>;
  /** By the ordinal under which the machine counts completions: the nodes of the graph, without fragments. */
  readonly counted: readonly NodeId[];
  /** The group or scope that a node stands directly inside. */
  readonly parents = new Map<NodeId, NodeId>();
  /** Nodes whose completions the machine does not count, followers before those that they follow. */
  uncounted: readonly NodeId[] = [];
  /** Nodes that another step recovers. */
  recovering: readonly NodeId[] = [];
  /** The root and its static successors, where they stand in no group and no scope. */
  readonly mainPath = new Set<NodeId>();
  /** Nodes that are executed once per member of a fan-out: they stand for many. */
  readonly inFanOut = new Set<NodeId>();
  readonly root: NodeId;
  readonly uses: NodeId[];
  #uncounted: ReadonlySet<NodeId> = new Set();
  #fragments: Readonly<Record<string, Fragment>> = {};

  constructor(graph: Pick<Graph, 'workflow' | 'nodes' | 'root' | 'uses'>) {
    this.workflow = graph.workflow;
    this.nodes = { ...graph.nodes };
    this.counted = Object.keys(graph.nodes);
    this.root = graph.root;
    this.uses = [...graph.uses];
    this.#index([graph.root, ...graph.uses]);
    for (let id: NodeId | undefined = graph.root; id !== undefined && !this.mainPath.has(id); id = this.nodes[id]?.next) this.mainPath.add(id);
    this.#derive();
  }

  /** Steps that the run has met on its way; says whether there are new ones. */
  add(fragments: Readonly<Record<string, Fragment>>): boolean {
    if (fragments === this.#fragments) return false;
    this.#fragments = fragments;
    let changed = false;
    for (const { entry, nodes } of Object.values(fragments)) {
      if (this.nodes[entry] !== undefined) continue;
      changed = true;
      for (const id in nodes) this.nodes[id] ??= nodes[id] as GraphNode;
      this.uses.push(entry);
      this.#index([entry]);
    }
    if (changed) this.#derive();
    return changed;
  }

  /** The machine counts the completions of this node. */
  isCounted(id: NodeId): boolean {
    return !this.#uncounted.has(id);
  }

  /** The node at which a group's member begins. */
  entryOf(group: NodeId, index: number): NodeId | undefined {
    const node = this.nodes[group];
    if (node?.kind === 'each') return node.body;
    return node?.kind === 'parallel' || node?.kind === 'dag' ? node.members[index]?.entry : undefined;
  }

  /** What a member is called: its id, or its place. */
  memberId(group: NodeId, index: number): string {
    const node = this.nodes[group];
    return (node?.kind === 'parallel' || node?.kind === 'dag' ? node.members[index]?.id : undefined) ?? String(index);
  }

  #index(entries: readonly NodeId[]): void {
    const stack: { id: NodeId; parent: NodeId | undefined; many: boolean }[] = entries.map((id) => ({ id, parent: undefined, many: false }));
    const seen = new Set<NodeId>();
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const node = this.nodes[at.id];
      if (node === undefined || seen.has(at.id)) continue;
      seen.add(at.id);
      if (at.parent !== undefined) this.parents.set(at.id, at.parent);
      if (at.many) this.inFanOut.add(at.id);
      for (const id of [node.next, node.recover]) if (id !== undefined) stack.push({ ...at, id });
      const many = at.many || node.kind === 'each';
      for (const id of entriesOf(node)) stack.push({ id, parent: at.id, many });
    }
  }

  #derive(): void {
    const counted = new Set(this.counted);
    const nodes = Object.values(this.nodes);
    this.uncounted = nodes.filter(({ id, kind }) => kind === 'wait' || kind === 'sleep' || kind === 'scope' || !counted.has(id)).map(({ id }) => id).toReversed();
    this.#uncounted = new Set(this.uncounted);
    this.recovering = nodes.filter(({ recover }) => recover !== undefined).map(({ id }) => id);
  }
}

/** Where what is inside a node begins. */
export function entriesOf(node: GraphNode): readonly NodeId[] {
  switch (node.kind) {
    case 'parallel':
    case 'dag':
      return node.members.map(({ entry }) => entry);
    case 'each':
      return [node.body];
    case 'scope':
      return [node.entry];
    default:
      return [];
  }
}
