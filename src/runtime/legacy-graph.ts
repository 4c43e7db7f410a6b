/** Where the old ids stand in a graph. */
import type { Graph, NodeId } from '../core/graph.ts';

export interface LegacyPlace {
  readonly node: NodeId;
  /** The step of the run's own scope that the node is, or that it stands inside of. */
  readonly top: NodeId;
  /** Reached from the root by static successors; others are reached by goto and nextTask only. */
  readonly main: boolean;
  /** Of a repetition that the old system had queued under an id of its own. */
  readonly iteration: number | undefined;
}

/** How the old system named the repetitions of a task: `<task>_cycle_<count>_<random>`, once or nested. */
const repetition = /(?:_cycle_(\d{1,9})_[0-9a-f]+)+$/;

export class LegacyGraph {
  readonly #graph: Graph;
  readonly #rename: ReadonlyMap<string, string>;
  readonly #places = new Map<NodeId, { readonly top: NodeId; readonly main: boolean }>();

  constructor(graph: Graph, rename: Readonly<Record<string, string>>) {
    this.#graph = graph;
    this.#rename = new Map(Object.entries(rename));
    this.#walk(graph.root, true);
    for (const entry of graph.uses) this.#walk(entry, false);
  }

  /** The ids that a user has given. */
  get ids(): readonly NodeId[] {
    return Object.keys(this.#graph.nodes);
  }

  /** Whether other steps run inside the node. */
  isContainer(id: NodeId): boolean {
    const kind = this.#graph.nodes[id]?.kind;
    return kind === 'parallel' || kind === 'each' || kind === 'dag' || kind === 'scope';
  }

  find(id: string): LegacyPlace | undefined {
    const direct = this.#named(id);
    if (direct !== undefined) return { ...direct, iteration: undefined };
    const match = repetition.exec(id);
    const task = match === null ? undefined : this.#named(id.slice(0, match.index));
    return task === undefined ? undefined : { ...task, iteration: Number(match?.[1]) };
  }

  #named(id: string): { readonly node: NodeId; readonly top: NodeId; readonly main: boolean } | undefined {
    const node = this.#rename.get(id) ?? id;
    const place = this.#places.get(node);
    return place === undefined ? undefined : { node, ...place };
  }

  /** A region and everything inside it; iterative, because graphs may be deep. */
  #walk(entry: NodeId, main: boolean): void {
    const stack: { readonly id: NodeId; readonly within: NodeId | undefined }[] = [{ id: entry, within: undefined }];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const { id, within } = at;
      const node = this.#graph.nodes[id];
      if (node === undefined || this.#places.has(id)) continue;
      const top = within ?? id;
      this.#places.set(id, { top, main });
      for (const next of [node.next, node.recover]) if (next !== undefined) stack.push({ id: next, within });
      if (node.kind === 'parallel' || node.kind === 'dag') for (const member of node.members) stack.push({ id: member.entry, within: top });
      else if (node.kind === 'each') stack.push({ id: node.body, within: top });
      else if (node.kind === 'scope') stack.push({ id: node.entry, within: top });
    }
  }
}
