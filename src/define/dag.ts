/**
 * `dag` and `node`: an arbitrary acyclic graph, each node run once when all it needs is done.
 *
 * Owns: the types that tie needs to inputs, and the checks. Does not own: the order in which nodes run (the machine's).
 *
 * Invariants
 * 1. Every need names a node of the same dag, and there is no circle: a dag that exists can finish.
 * 2. A node without needs gets the dag's input; one with needs gets exactly their outputs, by name.
 * 3. The output holds the nodes that nobody needs.
 */
import { DefinitionError } from '../core/errors.ts';
import { checkId } from '../core/ids.ts';
import { badOption, nearestName, optionsObject } from '../core/options.ts';
import { preview } from '../core/preview.ts';
import { defaultExecution, type ExecutionOptions } from './execution.ts';
import { GroupStep } from './flow.ts';
import type { Flow } from './links.ts';
import { needSpec, type MemberSpec, type Spec } from './spec.ts';
import type { AnyStep, Pretty, Step, StepInput, StepOutput, Through } from './step.ts';

/** A step and the names of the nodes whose outputs it gets. */
export interface DagNode<S extends AnyStep, Needs extends string> {
  readonly step: S;
  readonly needs: readonly Needs[];
}
export type AnyDagNode = DagNode<AnyStep, string>;

/** A node without needs gets the dag's own input; one with needs gets an object of their outputs. */
export function node<S extends AnyStep, const Needs extends string = never>(step: S, options: { readonly needs?: readonly Needs[] } = {}): DagNode<S, Needs> {
  needSpec(step, 'The argument of node');
  const { needs = [] } = optionsObject('node', options, ['needs']);
  if (!Array.isArray(needs)) throw badOption('node.needs', needs, 'an array of node names');
  return Object.freeze({ step, needs: Object.freeze([...needs]) as readonly Needs[] });
}

type NeedsOf<N> = N extends DagNode<AnyStep, infer Needs> ? Needs : never;
type StepOf<N> = N extends { readonly step: infer S } ? S : never;
type FreeNodes<G> = { [K in keyof G]: [NeedsOf<G[K]>] extends [never] ? K : never }[keyof G];
type NodeOutputs<G> = { [K in keyof G]: Through<StepOutput<StepOf<G[K]>>, unknown> };
type Needed<G> = { [K in keyof G]: NeedsOf<G[K]> }[keyof G];

/** The input that satisfies every node without needs. */
export type DagInput<G> = ({ [K in FreeNodes<G>]: (input: StepInput<StepOf<G[K]>>) => void }[FreeNodes<G>]) extends infer F
  ? [F] extends [never]
    ? unknown
    : (F extends unknown ? F : never) extends (input: infer X) => void
      ? X
      : never
  : never;

/** The outputs of the nodes that nobody needs. */
export type DagOutput<G> = Pretty<{ -readonly [K in keyof G as K extends Needed<G> ? never : K]: NodeOutputs<G>[K] }>;

type InputFrom<G, Needs extends keyof G> = Pretty<{ [K in Needs]: NodeOutputs<G>[K] }>;

/** Every node itself where its needs exist and fit, else the node that would fit. */
export type DagCheck<G> = {
  readonly [K in keyof G]: [NeedsOf<G[K]>] extends [never]
    ? G[K]
    : [Exclude<NeedsOf<G[K]>, keyof G>] extends [never]
      ? [InputFrom<G, NeedsOf<G[K]> & keyof G>] extends [StepInput<StepOf<G[K]>>]
        ? G[K]
        : DagNode<Step<InputFrom<G, NeedsOf<G[K]> & keyof G>, StepOutput<StepOf<G[K]>>>, NeedsOf<G[K]>>
      : DagNode<AnyStep, Exclude<keyof G & string, K>>;
};

/** A dag has an execution, but no policy: a node cannot run without what it needs. */
export interface Dag<in I, out O, out K extends string> extends Flow<I, O, K> {
  as<const Id extends string>(id: Id): Dag<I, O, Id>;
  /** Where and how many at a time. Default: `local`, 64 at a time. */
  withExecution(execution: ExecutionOptions): Dag<I, O, K>;
}

/**
 * Runs each node once, when all it needs is done; independent nodes run side by side. The output holds the nodes that nobody needs.
 *
 * @example dag({ a: node(load), b: node(left, { needs: ['a'] }), c: node(right, { needs: ['a'] }), d: node(join, { needs: ['b', 'c'] }) })
 */
export function dag<const G extends Readonly<Record<string, AnyDagNode>>>(nodes: G & DagCheck<G>): Dag<DagInput<G>, DagOutput<G>, never> {
  const members = memberSpecs(nodes);
  refuseCycle(members);
  return new GroupStep({ kind: 'dag', members, execution: defaultExecution }) as never;
}

function memberSpecs(nodes: unknown): readonly MemberSpec[] {
  if (typeof nodes !== 'object' || nodes === null || Array.isArray(nodes)) throw badOption('dag', nodes, 'an object of nodes');
  const names = Object.keys(nodes);
  if (names.length === 0) throw new DefinitionError('definition/empty-group', 'A dag needs at least one node.');
  const known = new Set(names);
  return Object.entries(nodes as Readonly<Record<string, unknown>>).map(([id, given]) => {
    checkId('dag node', id);
    const { step, needs } = nodeParts(id, given);
    return { id, step, needs: Object.freeze([...new Set(needs.map((need) => checkNeed(id, need, known)))]) };
  });
}

function nodeParts(id: string, given: unknown): { step: Spec; needs: readonly unknown[] } {
  const hint = typeof given === 'object' && given !== null ? (given as Partial<AnyDagNode>) : {};
  if (!Array.isArray(hint.needs)) {
    throw new DefinitionError('definition/not-a-step', `Node "${id}" of the dag must be made by node(step), but is ${preview(given, 60)}.`, {
      hint: "Write dag({ a: node(first), b: node(second, { needs: ['a'] }) }).",
    });
  }
  return { step: needSpec(hint.step, `The step of dag node "${id}"`), needs: hint.needs };
}

function checkNeed(id: string, need: unknown, known: ReadonlySet<string>): string {
  if (typeof need === 'string' && known.has(need)) return need;
  const nearest = typeof need === 'string' ? nearestName(need, [...known]) : undefined;
  throw new DefinitionError('definition/unknown-need', `Dag node "${id}" needs ${preview(need, 60)}, which is no node of this dag.`, {
    hint: nearest === undefined ? `Nodes: ${preview([...known].join(', '))}.` : `Did you mean ${nearest}?`,
    details: { node: id, need: preview(need, 60) },
  });
}

/** Takes away nodes whose needs are gone until none is left (Kahn); what remains holds a circle. */
function refuseCycle(members: readonly MemberSpec[]): void {
  const open = new Map(members.map((member) => [member.id, member.needs?.length ?? 0]));
  const users = new Map<string, string[]>();
  for (const { id, needs = [] } of members) for (const need of needs) users.set(need, [...(users.get(need) ?? []), id]);
  const ready = [...open].filter(([, count]) => count === 0).map(([id]) => id);
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    open.delete(id);
    for (const user of users.get(id) ?? []) {
      const left = (open.get(user) ?? 0) - 1;
      open.set(user, left);
      if (left === 0) ready.push(user);
    }
  }
  if (open.size === 0) return;
  const cycle = oneCycle(members, open);
  throw new DefinitionError('definition/cycle', `The nodes of a dag need each other in a circle: ${preview(cycle.join(' → '))}.`, {
    hint: 'Remove one of these needs. A loop is made with ctx.nextIteration or ctx.goto.',
    details: { cycle: cycle.slice(0, 50) },
  });
}

/** Follows needs among the nodes that are left until one comes up again. */
function oneCycle(members: readonly MemberSpec[], left: ReadonlyMap<string, number>): string[] {
  const byId = new Map(members.map((member) => [member.id, member]));
  const seen = new Map<string, number>();
  const path: string[] = [];
  let at = [...left.keys()][0] as string;
  while (!seen.has(at)) {
    seen.set(at, path.length);
    path.push(at);
    at = byId.get(at)?.needs?.find((need) => left.has(need)) as string;
  }
  return [...path.slice(seen.get(at)), at];
}
