/** Random workflow graphs, grown from shapes: every kind of node in every kind of place. */
import * as fc from 'fast-check';
import type { DagMember, ExecutionPlan, Graph, GraphNode, Member, NodeId, PolicyPlan, RetryPlan } from '../../src/core/graph.ts';
import { planOf, type Plan } from '../../machines/index.ts';

export type Shape = Leaf | Composite;

type Leaf =
  | { readonly kind: 'task'; readonly attempts: number; readonly delayMs: number; readonly maxIterations: number; readonly recover: boolean }
  | { readonly kind: 'wait'; readonly signal: string; readonly timeoutMs: number | undefined; readonly recover: boolean }
  | { readonly kind: 'sleep'; readonly delayMs: number };

type Composite =
  | { readonly kind: 'sequence'; readonly parts: readonly Shape[] }
  | { readonly kind: 'parallel'; readonly parts: readonly Shape[]; readonly policy: PolicyPlan; readonly concurrency: number; readonly recover: boolean; readonly elsewhere?: boolean }
  | { readonly kind: 'each'; readonly body: Shape; readonly policy: PolicyPlan; readonly concurrency: number; readonly recover: boolean; readonly elsewhere?: boolean; readonly batch?: number | undefined }
  | { readonly kind: 'dag'; readonly parts: readonly Shape[]; readonly needs: readonly (readonly boolean[])[]; readonly concurrency: number; readonly recover: boolean; readonly elsewhere?: boolean }
  | { readonly kind: 'scope'; readonly body: Shape; readonly recover: boolean };

const recover = fc.boolean();
const concurrency = fc.constantFrom(1, 2, 3, 64);

const policy: fc.Arbitrary<PolicyPlan> = fc.constantFrom<PolicyPlan>(
  { kind: 'strict' }, { kind: 'strict', failFast: true }, { kind: 'bestEffort' }, { kind: 'critical', ids: ['m0'] }, { kind: 'critical', ids: ['m0'], failFast: true },
  { kind: 'atLeast', count: 1 }, { kind: 'atLeast', count: 1, failFast: true }, { kind: 'custom' },
);

const task: fc.Arbitrary<Shape> = fc.record({
  kind: fc.constant('task' as const), attempts: fc.constantFrom(1, 1, 2, 3), delayMs: fc.constantFrom(0, 50), maxIterations: fc.constantFrom(1, 3), recover: fc.constantFrom(false, false, true),
});
const wait: fc.Arbitrary<Shape> = fc.record({ kind: fc.constant('wait' as const), signal: fc.constantFrom('go', 'stop'), timeoutMs: fc.constantFrom(undefined, 70), recover });
const sleep: fc.Arbitrary<Shape> = fc.record({ kind: fc.constant('sleep' as const), delayMs: fc.constantFrom(0, 30) });

/** Shapes of any nesting up to a few levels. */
export const shapes: fc.Arbitrary<Shape> = fc.letrec<{ shape: Shape; leaf: Shape }>((tie) => ({
  leaf: fc.oneof({ weight: 5, arbitrary: task }, { weight: 1, arbitrary: wait }, { weight: 1, arbitrary: sleep }),
  shape: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'shape' },
    { weight: 2, arbitrary: tie('leaf') },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('sequence' as const), parts: fc.array(tie('shape'), { minLength: 1, maxLength: 4, depthIdentifier: 'shape' }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('parallel' as const), parts: fc.array(tie('shape'), { minLength: 1, maxLength: 4, depthIdentifier: 'shape' }), policy, concurrency, recover }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('each' as const), body: tie('shape'), policy: policy.filter(({ kind }) => kind !== 'critical'), concurrency, recover }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('dag' as const), parts: fc.array(tie('shape'), { minLength: 1, maxLength: 4, depthIdentifier: 'shape' }),
        needs: fc.array(fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), { minLength: 4, maxLength: 4 }), concurrency, recover,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('scope' as const), body: tie('shape'), recover }) },
  ),
})).shape;

const elsewhere = fc.constant(true as const);

/**
 * Groups whose members are executed elsewhere, and what stands around them. Their members are never executed here, so most
 * of them are small; what counts of one is whether it begins with a task.
 */
export const groupsElsewhere: fc.Arbitrary<Shape> = fc.letrec<{ shape: Shape; around: Shape; group: Shape; member: Shape }>((tie) => ({
  member: fc.oneof({ weight: 3, arbitrary: task }, { weight: 1, arbitrary: wait }, { weight: 1, arbitrary: sleep }, { weight: 1, arbitrary: fc.record({ kind: fc.constant('sequence' as const), parts: fc.array(fc.oneof(task, wait), { minLength: 2, maxLength: 3 }) }) }, { weight: 1, arbitrary: fc.record({ kind: fc.constant('scope' as const), body: task, recover }) }),
  group: fc.oneof(
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('parallel' as const), parts: fc.array(tie('member'), { minLength: 1, maxLength: 4 }), policy, concurrency, recover, elsewhere }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('each' as const), body: tie('member'), policy: policy.filter(({ kind }) => kind !== 'critical'), concurrency, recover, elsewhere, batch: fc.constantFrom(undefined, undefined, 1, 2, 3, 5) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('dag' as const), parts: fc.array(tie('member'), { minLength: 1, maxLength: 4 }),
        needs: fc.array(fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), { minLength: 4, maxLength: 4 }), concurrency, recover, elsewhere,
      }),
    },
  ),
  around: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'around' },
    { weight: 1, arbitrary: fc.oneof({ weight: 3, arbitrary: task }, { weight: 1, arbitrary: wait }, { weight: 1, arbitrary: sleep }) },
    { weight: 4, arbitrary: tie('group') },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('sequence' as const), parts: fc.array(tie('around'), { minLength: 1, maxLength: 3, depthIdentifier: 'around' }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('parallel' as const), parts: fc.array(tie('around'), { minLength: 1, maxLength: 3, depthIdentifier: 'around' }), policy, concurrency, recover }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('each' as const), body: tie('around'), policy: policy.filter(({ kind }) => kind !== 'critical'), concurrency, recover }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('scope' as const), body: tie('around'), recover }) },
  ),
  shape: fc.oneof(
    { weight: 3, arbitrary: tie('group') },
    { weight: 3, arbitrary: fc.tuple(tie('around'), tie('group'), tie('around')).map(([before, group, after]): Shape => ({ kind: 'sequence', parts: [before, group, after] })) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('parallel' as const), parts: fc.array(fc.oneof(tie('around'), tie('group')), { minLength: 1, maxLength: 3 }), policy, concurrency, recover }) },
    { weight: 1, arbitrary: tie('around') },
  ),
})).shape;

/** Flat chains of tasks with waits and sleeps between them: where tokens run ahead, and are held back. */
export const chains: fc.Arbitrary<Shape> = fc.record({ kind: fc.constant('sequence' as const), parts: fc.array(fc.oneof({ weight: 4, arbitrary: task }, { weight: 1, arbitrary: wait }, { weight: 1, arbitrary: sleep }), { minLength: 3, maxLength: 9 }) });

/** The plan of one shape. Custom policies want at least half of the members. */
export function planOfShape(shape: Shape): Plan {
  const grower = new Grower();
  const root = grower.grow(shape, undefined);
  const uses = grower.task({ kind: 'task', attempts: 1, delayMs: 0, maxIterations: 1, recover: false }, undefined);
  const graph: Graph = { format: 'taskchart/graph', version: 1, workflow: 'model', root, uses: [uses], nodes: grower.nodes };
  return planOf(graph, 'hash', { get: () => (results) => results.filter((result) => result.ok).length * 2 >= results.length });
}

class Grower {
  readonly nodes: Record<NodeId, GraphNode> = {};
  #next = 0;

  /** Adds the nodes of a shape; control goes on to `next` behind it. */
  grow(shape: Shape, next: NodeId | undefined): NodeId {
    switch (shape.kind) {
      case 'task':
        return this.task(shape, next);
      case 'sequence':
        return shape.parts.reduceRight<NodeId | undefined>((after, part) => this.grow(part, after), next) as NodeId;
      case 'wait':
        return this.#add('wait', next, shape.recover, { kind: 'wait', signal: shape.signal, ...(shape.timeoutMs === undefined ? {} : { timeoutMs: shape.timeoutMs }) });
      case 'sleep':
        return this.#add('sleep', next, false, { kind: 'sleep', delayMs: shape.delayMs });
      case 'scope':
        return this.#add('scope', next, shape.recover, { kind: 'scope', entry: this.grow(shape.body, undefined) });
      case 'each':
        return this.#add('each', next, shape.recover, { kind: 'each', body: this.grow(shape.body, undefined), policy: shape.policy, execution: planned(shape), ...(shape.batch === undefined ? {} : { batch: shape.batch }) });
      case 'parallel':
        return this.#add('parallel', next, shape.recover, { kind: 'parallel', members: this.#members(shape.parts), policy: shape.policy, execution: planned(shape) });
      case 'dag': {
        const members: DagMember[] = this.#members(shape.parts).map((member, at, all) => ({
          ...member, needs: all.slice(0, at).filter((_, earlier) => shape.needs[at]?.[earlier] === true).map(({ id }) => id),
        }));
        return this.#add('dag', next, shape.recover, { kind: 'dag', members, execution: planned(shape) });
      }
    }
  }

  task({ attempts, delayMs, maxIterations, recover }: Extract<Shape, { kind: 'task' }>, next: NodeId | undefined): NodeId {
    const retry: RetryPlan = { attempts, backoff: 'linear', delayMs, factor: 2, maxDelayMs: 1000, jitter: 0.5 };
    return this.#add('task', next, recover, { kind: 'task', maxIterations, ...(attempts > 1 ? { retry } : {}) });
  }

  #members(parts: readonly Shape[]): Member[] {
    return parts.map((part, at) => ({ id: `m${at}`, entry: this.grow(part, undefined) }));
  }

  #add(name: string, next: NodeId | undefined, recover: boolean, node: Bare): NodeId {
    const id = `${name}${this.#next++}`;
    const handler = recover ? this.#add('task', next, false, { kind: 'task' }) : undefined;
    this.nodes[id] = { id, ...(next === undefined ? {} : { next }), ...(handler === undefined ? {} : { recover: handler }), ...node } as GraphNode;
    return id;
  }
}

type Bare = GraphNode extends infer N ? (N extends GraphNode ? Omit<N, 'id' | 'next' | 'recover'> : never) : never;

function planned({ concurrency, elsewhere }: Extract<Composite, { concurrency: number }>): ExecutionPlan {
  return { backend: elsewhere === true ? 'redis' : 'local', concurrency };
}
