/**
 * What of a run is durable: every write to the store is taken in by the pure machine at once.
 *
 * Owns: the durable context of one run, and what must hold of it. Does not own: the lists (ledger.ts).
 *
 * Invariants checked
 * 1. The journal has no gap, and every entry can be applied.
 * 2. Every context is sound (test/model/invariants.ts).
 * 3. A member's outcome is taken in for the generation that is away, once, and only if its result was ever in the lists.
 */
import { parseCheckpoint } from '../../src/core/checkpoint.ts';
import { unitId } from '../../src/core/messages.ts';
import { WorkflowCode } from '../../src/runtime/code.ts';
import { eventsOf } from '../../src/runtime/replay.ts';
import { contextIn, planFor } from '../../src/runtime/stored-context.ts';
import { Vec, step, type ExecutionContext, type ExecutionEvent, type Group, type Plan, type Report } from '../../machines/index.ts';
import { groupKey } from '../../machines/execution-context/context.ts';
import { problemsOf } from '../model/invariants.ts';
import type { SimWorkflow } from './graphs.ts';

export interface OracleHost {
  readonly say: (problem: string) => void;
  /** Whether a result for the unit was ever in the lists. */
  readonly hasResult: (unit: string) => boolean;
  /** Whether this context is to be looked at from all sides: that takes time. */
  readonly looks: () => boolean;
}

export class Oracle {
  readonly plan: Plan;
  readonly #host: OracleHost;
  readonly #name: string;
  readonly #accepted = new Set<string>();
  /** Groups that were open at some time: what their members' keys begin with, how many travel together. */
  readonly #groups = new Map<number, { readonly path: string; readonly batch: number }>();
  context: ExecutionContext | undefined;

  constructor(name: string, workflow: SimWorkflow, host: OracleHost) {
    this.#name = name;
    this.#host = host;
    this.plan = planFor(new WorkflowCode(workflow.definition));
  }

  saved(checkpoint: string, revision: number): void {
    const context = contextIn(parseCheckpoint(checkpoint));
    if (context.revision !== revision) this.#say(`the snapshot of revision ${revision} holds revision ${context.revision}`);
    if (this.context !== undefined && revision < this.context.revision) this.#say(`a snapshot of revision ${revision} follows revision ${this.context.revision}`);
    this.#take(context);
  }

  appended(entries: readonly string[]): void {
    let { context } = this;
    if (context === undefined) return this.#say('entries were appended before the first snapshot');
    try {
      for (const { revision, event } of eventsOf(entries, context.at, this.#name)) {
        if (revision !== context.revision + 1) this.#say(`entry ${revision} follows revision ${context.revision}`);
        if (event.type === 'SETTLED') this.#accepts(context, event);
        context = step(this.plan, context, event).context;
        this.#take(context);
      }
    } catch (thrown) {
      this.#say(`the journal cannot be applied: ${String(thrown)}`);
    }
  }

  /** `unplanned`: the durable run has not handed it out. `over`: it has what came of it, or wants nothing of it. */
  stateOf(group: number, index: number, generation: number): 'unplanned' | 'open' | 'over' {
    const { context } = this;
    if (context === undefined) return 'unplanned';
    const open = Vec.get(context.groups, group);
    if (open === undefined) return this.#groups.has(group) ? 'over' : 'unplanned';
    if (Vec.get(open.outcomes, index) !== undefined) return 'over';
    const now = generationOf(open, index);
    if (generation < now) return 'over';
    if (generation > now) return 'unplanned';
    return this.#isAway(context, open, index) ? 'open' : 'unplanned';
  }

  /** The structural paths of a unit's members. */
  pathsOf(group: number, index: number, generation: number): readonly string[] {
    const known = this.#groups.get(group);
    if (known === undefined) return [];
    return Array.from({ length: generation === 0 ? known.batch : 1 }, (_, at) => `${known.path}.${index + at}`);
  }

  get isOver(): boolean {
    return this.context !== undefined && this.context.verdict !== null;
  }

  #isAway(context: ExecutionContext, group: Group, index: number): boolean {
    for (const token of Vec.values(context.inFlight)) if (token.group === group.id && token.index === index) return true;
    const node = this.plan.graph.nodes[group.parent.node];
    return node?.kind !== 'dag' && index < group.cursor && Vec.get(group.apart, index) === undefined;
  }

  #take(context: ExecutionContext): void {
    this.context = context;
    for (const [id, { parent }] of Vec.entries(context.groups)) {
      if (this.#groups.has(id)) continue;
      const node = this.plan.graph.nodes[parent.node];
      this.#groups.set(id, { path: groupKey(parent), batch: node?.kind === 'each' ? (node.batch ?? 1) : 1 });
    }
    if (this.#host.looks()) for (const problem of problemsOf(this.plan, context)) this.#say(`revision ${context.revision}: ${problem}`);
  }

  /** Invariant 3. */
  #accepts(context: ExecutionContext, { reports }: Extract<ExecutionEvent, { type: 'SETTLED' }>): void {
    for (const report of reports) {
      for (const [id, index] of membersOf(context, report)) {
        const group = Vec.get(context.groups, id);
        const node = group && this.plan.graph.nodes[group.parent.node];
        if (group === undefined || node === undefined || !('execution' in node) || !this.plan.isRemote(node)) continue;
        const generation = generationOf(group, index);
        const batch = generation === 0 ? (this.#groups.get(id)?.batch ?? 1) : 1;
        const key = `${unitId(id, index, generation)}`;
        if (Vec.get(group.outcomes, index) !== undefined || !this.#isAway(context, group, index)) {
          if (this.#accepted.has(`${id}.${index}`)) this.#say(`member ${index} of group ${id} is reported again, though it is not away`);
          continue;
        }
        if (this.#accepted.has(key)) this.#say(`unit ${key} is accepted twice`);
        this.#accepted.add(key).add(`${id}.${index}`);
        const unit = unitId(id, Math.floor(index / batch) * batch, generation);
        if (!this.#host.hasResult(unit)) this.#say(`member ${index} of group ${id} has an outcome in generation ${generation}, but the lists never had a result of unit ${unit}`);
      }
    }
  }

  #say(problem: string): void {
    this.#host.say(`run ${this.#name}: ${problem}`);
  }
}

function generationOf(group: Group, index: number): number {
  return (group.handed && Vec.get(group.handed, index)?.generation) ?? 0;
}

/** The group members that a report is about. */
function membersOf(context: ExecutionContext, report: Report): readonly (readonly [group: number, index: number])[] {
  if ('cells' in report) return report.indexes.map((index) => [report.group, index]);
  if ('index' in report) return [[report.group, report.index]];
  const token = 'id' in report && report.end !== undefined ? Vec.get(context.inFlight, report.id) : undefined;
  return token?.group === undefined || token.index === undefined ? [] : [[token.group, token.index]];
}
