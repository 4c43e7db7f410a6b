/** The machine by all its paths: every state that a small alphabet of events can reach, and every step between them. */
import { createActor, initialTransition, transition, type SnapshotFrom } from 'xstate';
import { adjacencyMapToArray, getAdjacencyMap, getShortestPaths } from 'xstate/graph';
import { describe, expect, it } from 'vitest';
import { each, dag, node, parallel, sequence, sleep, task, waitFor, workflow } from 'taskchart';
import { Vec, createExecutionContextMachine, planOf, type ExecutionContextMachine, type ExecutionEvent, type Outcome, type Plan, type Report, type UnitOutcome } from '../../machines/index.ts';
import { isTaskchartError } from '../../src/core/errors.ts';
import { problemsOf } from './invariants.ts';

type State = SnapshotFrom<ExecutionContextMachine>;

const step = async () => 1;
const noise: ExecutionEvent[] = [
  { type: 'CONCLUDED' }, { type: 'PARKED' }, { type: 'UNPARKED' },
  { type: 'SETTLED', at: 5, reports: [{ id: 999, end: { kind: 'value', value: 1 } }, { group: 999, indexes: [0], cells: [[]] }, { group: 1, index: 0, end: { kind: 'terminate' } }] },
  { type: 'DUE', at: 5, ids: [0, 999] },
];
const value: Outcome = { kind: 'value', value: 1 };
const failed: Outcome = { kind: 'failed', error: { name: 'Error', message: 'no' }, random: 0 };
const iterate: Outcome = { kind: 'iterate', input: 1 };
const terminate: Outcome = { kind: 'terminate', output: 'early' };
const cancel: Outcome = { kind: 'cancel', error: { name: 'WorkflowCancelledError', code: 'run/cancelled', message: 'stop' } };

const branch = { stay: 1 };
const waits = (node: string, ...signals: string[]) => signals.map((signal) => ({ node, signal, since: 5 }));
const endsElsewhere: UnitOutcome = { kind: 'ended', cell: [1], steps: 1 };
const failsElsewhere: UnitOutcome = { kind: 'ended', cell: { error: { name: 'Error', message: 'no' } }, steps: 1 };
const elsewhere = (concurrency: number) => ({ backend: 'redis', backendConfig: { url: 'redis://127.0.0.1:6379' }, concurrency }) as const;

interface Model {
  readonly graph: ReturnType<typeof workflow>['graph'];
  readonly input?: unknown;
  readonly concurrency?: number;
  readonly outcomes: readonly Outcome[];
  /** How members come back that are executed elsewhere. */
  readonly units?: readonly UnitOutcome[];
  /** How far a model goes that never ends by itself. */
  readonly steps?: number;
  /** Pauses double the states: only where they are the subject. */
  readonly pauses?: boolean;
  /** Also two reports in one batch, in both orders. */
  readonly pairs?: boolean;
}

const models: Record<string, Model> = {
  'one task that is tried again, at once and later': {
    graph: workflow('again', task('a', step, { retry: { attempts: 3, delay: 10 } }).to('b', step, { retry: { attempts: 2 } })).graph, outcomes: [value, failed], pauses: true,
  },
  'a loop, an early end, a cancel': { graph: workflow('loop', task('a', step, { maxIterations: 2 }).to('b', step)).graph, outcomes: [value, iterate, terminate, cancel], pauses: true },
  'tasks side by side outside groups': {
    graph: workflow('side', task('a', step).to('b', step)).graph, concurrency: 2, steps: 4, outcomes: [value, failed, { kind: 'value', value: 2, spawned: [{ node: 'b', input: 2 }] }], pauses: true,
  },
  'a strict group beside a wait, failing fast': {
    graph: workflow('fast', parallel(task('a', step, { maxIterations: 1 }), sequence(task('b', step, { maxIterations: 1 }), waitFor('go'), task('c', step, { maxIterations: 1 }))).withPolicy({ failFast: true }).withExecution({ backend: 'local', concurrency: 1 })).graph,
    outcomes: [value, failed, iterate], pauses: true,
  },
  'a wait that times out and recovers, after a sleep': {
    graph: workflow('waits', sequence(sleep(5), waitFor('go', { timeout: 20 }).recover('late', step), waitFor('go').as('again'))).graph, outcomes: [value, failed], pauses: true,
  },
  'a failure in one batch with a sleep that begins, and others after it': {
    graph: workflow('batch', parallel(sequence(task('a', step), sleep(5)).as('sa'), task('b', step, { retry: { attempts: 2, delay: 5 } })).withPolicy({ failFast: true }).recover('r', step).to(sleep(10)).to('c', step)).graph,
    outcomes: [value, failed], pairs: true,
  },
  'a side chain that runs ahead beside a wait': {
    graph: workflow('side', task('a', step).to(waitFor('go')).to('c', step), { uses: [task('x', step, { maxIterations: 1 }).to('y', step).to('z', step)] }).graph,
    outcomes: [value, iterate, { kind: 'value', value: 2, spawned: [{ node: 'x', input: 2 }] }], steps: 6,
  },
  'a fan-out of branches with fewer lanes than items': {
    graph: workflow('fan', each(task('a', step, { retry: { attempts: 2, delay: 5 } }).to('b', step)).withExecution({ backend: 'local', concurrency: 2 }).withPolicy('bestEffort')).graph, input: [1, 2, 3], outcomes: [value, failed],
  },
  'a fan-out of single tasks': {
    graph: workflow('range', each(task('a', step, { retry: { attempts: 2 } }).recover('r', step)).withExecution({ backend: 'local', concurrency: 1 }).withPolicy({ atLeast: 2, failFast: true })).graph, input: [1, 2, 3], steps: 5,
    outcomes: [value, failed, terminate, { kind: 'value', value: 2, spawned: [{ node: 'r', input: 2 }] }],
  },
  'a diamond': {
    graph: workflow('diamond', dag({ a: node(task('a', step)), b: node(task('b', step), { needs: ['a'] }), c: node(sequence(task('c', step), sleep(5)), { needs: ['a'] }), d: node(task('d', step), { needs: ['b', 'c'] }) }).recover('r', step)).graph,
    outcomes: [value, failed, terminate], pauses: true,
  },
  'a workflow inside a group inside a workflow': {
    graph: workflow('outer', parallel(workflow('inner', task('a', step).to(waitFor('go'))).recover('r', step), task('b', step)).to('c', step)).graph, outcomes: [value, failed, terminate, cancel],
  },
};

const modelsElsewhere: Record<string, Model> = {
  'members elsewhere that wait, for a signal or a time': {
    graph: workflow('units', each(task('a', step)).withExecution(elsewhere(1))).graph, input: [1, 2], steps: 2, outcomes: [cancel], pauses: true,
    units: [endsElsewhere, { kind: 'parked', branch, waits: waits('a', 'go'), due: { node: 'a', dueAt: 30, why: 'wait-timeout', attempt: 1 }, steps: 1 }],
  },
  'a member elsewhere with two waits, handed over at any time, and a signal that nobody used': {
    graph: workflow('several', each(task('a', step)).withExecution(elsewhere(2)).to(waitFor('go'))).graph, input: [1], steps: 4, outcomes: [],
    units: [endsElsewhere, { ...endsElsewhere, signals: { go: [[1]] } }, { kind: 'parked', branch, waits: waits('a', 'go', 'go'), steps: 1 }, { kind: 'parked', branch, waits: [], steps: 1, counts: {} }],
  },
  'a parallel elsewhere beside a wait, failing fast': {
    graph: workflow('fast', parallel(parallel(task('a', step), sequence(task('b', step), waitFor('go'))).withExecution(elsewhere(2)).as('far'), waitFor('go').as('here')).withPolicy({ failFast: true }).recover('r', step)).graph,
    outcomes: [value], steps: 3, units: [endsElsewhere, failsElsewhere, { kind: 'parked', branch, waits: waits('go', 'go'), steps: 1 }],
  },
  'a diamond elsewhere': {
    graph: workflow('diamond', dag({ a: node(task('a', step)), b: node(task('b', step), { needs: ['a'] }), c: node(waitFor('go'), { needs: ['a'] }) }).withExecution(elsewhere(2)).recover('r', step)).graph,
    outcomes: [value], steps: 3, units: [endsElsewhere, failsElsewhere, { kind: 'parked', branch, waits: waits('go', 'go'), due: { node: 'go', dueAt: 20, why: 'sleep', attempt: 1 }, steps: 2 }],
  },
};

/** What may happen next in a state; the same places are told apart by nothing but what the context says. */
function eventsOf({ outcomes, units = [], pauses = false, pairs = false }: Model, plan: Plan, run: { concurrency: number }): (state: State) => ExecutionEvent[] {
  const ready: ExecutionEvent[] = [
    { type: 'READY', from: 'executor', at: 5, run: { id: 'r', startedAt: 5, graphHash: plan.graphHash, ...run } },
    { type: 'READY', from: 'timers', at: 5 },
    { type: 'READY', from: 'executor', at: 5, run: { id: 'r', startedAt: 5, graphHash: 'another', ...run } },
  ];
  return ({ context }) => {
    const reports: Report[] = [];
    const isElsewhere = (id: number | undefined): boolean => id !== undefined && Vec.get(context.groups, id)?.batch !== undefined;
    const endsOf = (group: number | undefined): readonly Outcome[] => (isElsewhere(group) ? [...units, ...outcomes.filter(({ kind }) => kind === 'cancel')] : outcomes);
    for (const token of Vec.values(context.inFlight)) for (const end of endsOf(token.group)) reports.push({ id: token.id, end });
    // What a token may do by itself before anyone hears of it, one move at a time.
    for (const token of Vec.values(context.inFlight)) {
      if (!token.ahead) continue;
      const here = plan.graph.nodes[token.node];
      if (here?.next !== undefined && plan.graph.nodes[here.next]?.kind === 'task') reports.push({ id: token.id, moves: [1], input: 1 }, { id: token.id, moves: [1], input: 1, end: value });
      if (here?.kind === 'task' && token.iteration < (here.maxIterations ?? 0)) reports.push({ id: token.id, moves: [-1], input: 1 });
    }
    for (const group of Vec.values(context.groups)) for (let index = 0; index < group.cursor; index += 1) {
      if (Vec.get(group.outcomes, index) !== undefined || Vec.get(group.apart, index) !== undefined) continue;
      reports.push({ group: group.id, indexes: [index], cells: [[1]] });
      for (const end of endsOf(group.id)) reports.push({ group: group.id, index, end });
    }
    return [
      ...(context.run === null ? ready.slice(0, 2) : ready), ...noise, { type: 'CANCEL', reason: 'enough' },
      ...(pauses ? [{ type: 'PAUSE' } as const, { type: 'RESUME' } as const] : []),
      ...reports.map((report): ExecutionEvent => ({ type: 'SETTLED', at: 5, reports: [report] })),
      ...(pairs ? reports.flatMap((one) => reports.map((two): ExecutionEvent => ({ type: 'SETTLED', at: 5, reports: [one, two] }))) : []),
      ...[...Vec.values(context.delayed)].map(({ token, dueAt }): ExecutionEvent => ({ type: 'DUE', at: dueAt, ids: [token.id] })),
      ...(context.signals['go'] === undefined ? [{ type: 'SIGNAL', name: 'go', value: 'yes' } as const] : []),
    ];
  };
}

/** States that differ in nothing but counters and the time are one. */
function keyOf({ value: at, status, context }: State): string {
  const { revision: _, at: __, ...rest } = context;
  return JSON.stringify([at, status, { ...rest, delayed: [...Vec.values(context.delayed)].map(({ token, why }) => [token, why]), waits: [...Vec.values(context.waits)].map(({ token }) => token) }]);
}

function wrongWith(plan: Plan, { value: at, status, context, error, output, children }: State): string[] {
  const { verdict, paused, run } = context;
  const waits = run !== null && verdict === null && context.inFlight.size === 0 && context.openMembers === 0;
  const expected = verdict?.kind ?? (paused ? 'paused' : waits ? 'waiting' : 'running');
  const ends = verdict === null ? 'active' : verdict.kind === 'completed' ? 'done' : 'error';
  const wrong = problemsOf(plan, context);
  if (at !== expected) wrong.push(`the state is ${String(at)}, the context says ${expected}`);
  if (status !== ends) wrong.push(`the status is ${status}, the verdict says ${ends}`);
  if (ends === 'error' && !isTaskchartError(error)) wrong.push('a failed run has no error of ours');
  if (verdict?.kind === 'completed' && output !== verdict.output[0]) wrong.push('the output is not that of the verdict');
  if (ends === 'active' && (children['timers'] !== undefined) !== context.timed) wrong.push(`timed is ${context.timed}, but there ${context.timed ? 'are no' : 'are'} timers`);
  return wrong;
}

describe.each(Object.entries({ ...models, ...modelsElsewhere }))('%s', (_name, model) => {
  const plan = planOf(model.graph, 'hash', { get: () => undefined });
  const machine = createExecutionContextMachine(plan) as unknown as ExecutionContextMachine;
  const options = { input: model.input, serializeState: keyOf, events: eventsOf(model, plan, { concurrency: model.concurrency ?? 1 }), stopWhen: (state: State) => state.status !== 'active' || state.context.steps > (model.steps ?? 8), limit: 50_000 };

  it('keeps every invariant on every step to every state', { timeout: 120_000 }, () => {
    const steps = adjacencyMapToArray(getAdjacencyMap(machine as never, options as never) as never) as unknown as { state: State; event: ExecutionEvent; nextState: State }[];
    const kinds = new Set<string>();
    const problems = new Set<string>();
    for (const { state, event, nextState } of steps) {
      kinds.add(String(nextState.value));
      for (const wrong of wrongWith(plan, nextState)) problems.add(`${wrong} after ${JSON.stringify(event)} in ${keyOf(state)}`);
      // Invariant 3: what the machine raises for itself does nothing when it comes from outside.
      const internal = event.type === 'CONCLUDED' || event.type === 'PARKED' || event.type === 'UNPARKED';
      if (internal && (nextState.context !== state.context || nextState.value !== state.value)) problems.add(`${event.type} from outside changed ${keyOf(state)}`);
    }
    expect([...problems].slice(0, 3)).toEqual([]);
    for (const kind of ['running', 'completed', 'cancelled']) expect(kinds, `of ${steps.length} steps`).toContain(kind);
    expect(kinds.has('paused')).toBe(model.pauses === true);
  });

  it('reaches every state again by its shortest path, through JSON and a restore before each event', { timeout: 120_000 }, () => {
    const paths = getShortestPaths(machine as never, options as never) as unknown as { state: State; steps: { event: ExecutionEvent & { type: string } }[] }[];
    const every = Math.ceil(paths.length / 150);
    let walked = 0;
    for (const path of paths.filter((_, at) => at % every === 0)) {
      let [state] = initialTransition(machine, model.input as never) as unknown as [State];
      for (const { event } of path.steps) {
        if ((event.type as string) === 'xstate.init') continue;
        const stored = JSON.parse(JSON.stringify(machine.getPersistedSnapshot(state as never))) as never;
        [state] = transition(machine, createActor(machine, { snapshot: stored, input: undefined }).getSnapshot() as never, event) as unknown as [State];
        expect(wrongWith(plan, state)).toEqual([]);
      }
      expect(JSON.parse(keyOf(state))).toEqual(JSON.parse(keyOf(path.state)));
      walked += 1;
    }
    expect(walked).toBeGreaterThan(10);
  });
});
