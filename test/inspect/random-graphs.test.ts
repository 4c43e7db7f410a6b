/**
 * What an inspector tells of random graphs, looked at in every frame and in hardly any, against the contexts themselves.
 *
 * A failure prints its seed; `SEED=<seed> npx vitest run test/inspect/random-graphs.test.ts` repeats it. `RUNS` is the number of graphs.
 */
import * as fc from 'fast-check';
import type { InspectionEvent } from 'xstate';
import { describe, expect, it } from 'vitest';
import { SystemPicture, type RunPicture } from 'taskchart/inspect';
import { Vec, type ExecutionContext } from 'taskchart/machines';
import type { Run } from 'taskchart';
import { checkLine } from '../../src/inspect/relay/check-line.ts';
import { drive, TestClock } from '../acceptance/support/clock.ts';
import { caseOf, specs, type Spec, type Variant } from '../acceptance/support/random-graphs.ts';
import { Trace } from '../acceptance/support/trace.ts';
import { watch, type Watching } from './support/stream.ts';

const variants: readonly Variant[] = [
  { name: 'local', execution: { backend: 'local' } },
  { name: 'local, 2 at a time, root 3', execution: { backend: 'local', concurrency: 2 }, concurrency: 3 },
];
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

interface Told {
  readonly watching: Watching;
  readonly run: Run<unknown>;
  readonly started: ReadonlySet<string>;
}

/** Runs the graph; `looks`: a frame at every change of the machine. */
async function told(spec: Spec, variant: Variant, looks: boolean): Promise<Told> {
  const trace = new Trace();
  const clock = new TestClock();
  const test = caseOf(spec, 7, variant, false);
  const watching = watch();
  trace.tick = () => void clock.next();
  const flow = test.make(trace);
  let broken: unknown;
  const inspect = (event: InspectionEvent): void => {
    watching.inspect.next(event);
    if (!looks || broken !== undefined || event.type !== '@xstate.snapshot' || event.rootId !== event.actorRef.sessionId) return;
    try {
      agreesNow(watching.run(), (event.snapshot as unknown as { readonly context: ExecutionContext }).context);
    } catch (thrown) {
      broken = thrown;
    }
  };
  const run = flow.start(7 as never, { clock, inspect, ...test.options });
  await drive(run, clock, test);
  watching.inspect.flush();
  if (broken !== undefined) throw broken;
  return { watching, run, started: new Set(trace.started) };
}

/** What holds at any moment. */
function agreesNow(seen: RunPicture, context: ExecutionContext): void {
  const nodes = Object.keys(seen.graph?.nodes ?? {});
  expect(seen.run).toMatchObject({ revision: context.revision, steps: context.steps });
  for (const [at, count] of Vec.entries(context.completions)) expect(seen.tasks.get(nodes[at] as string)?.done, `${nodes[at]} at revision ${context.revision}`).toBe(count);
  if (context.verdict !== null) return;
  const kinds = seen.graph?.nodes ?? {};
  let running = 0;
  for (const [id, { running: count }] of seen.tasks) if (kinds[id]?.kind === 'task') running += count;
  let open = 0;
  for (const group of Vec.values(context.groups)) open += Math.min(group.open, limitOf(kinds[group.parent.node]));
  expect(running, `running at revision ${context.revision}`).toBe(context.inFlight.size + open);
  expect(seen.run?.counts.running).toBe(running);
  expect(seen.status?.waitsFor.total).toBeGreaterThanOrEqual(context.waits.size + context.delayed.size);
  const queued = context.root.queue.size + sum(context.branches, ({ queue }) => queue.size) + sum(context.groups, ({ ready }) => ready.size);
  expect(seen.run?.counts.queued, `queued at revision ${context.revision}`).toBe(queued);
}

function limitOf(node: unknown): number {
  return (node as { readonly execution?: { readonly concurrency: number } } | undefined)?.execution?.concurrency ?? Infinity;
}

function sum<T>(vec: Vec.Vec<T>, of: (value: T) => number): number {
  let total = 0;
  for (const value of Vec.values(vec)) total += of(value);
  return total;
}

/** What holds when the run has ended. */
function agreesAtEnd({ watching, run, started }: Told, place: string): void {
  const seen = watching.run();
  const { context } = run.actor.getSnapshot();
  agreesNow(seen, context as ExecutionContext);
  expect(seen.run?.state).toBe((context as ExecutionContext).verdict?.kind);
  for (const [id, node] of Object.entries(seen.graph?.nodes ?? {})) {
    const task = seen.tasks.get(id);
    const where = `${place}: ${id} ${JSON.stringify(task)}`;
    expect(['done', 'failed', 'skipped', 'stopped'], where).toContain(task?.state);
    // The steps that mend are not traced.
    // One that was handed out when the run ended may not have begun.
    if (/(^|\/)t\d+$/.test(id) && !started.has(id)) expect(['skipped', 'stopped'], where).toContain(task?.state);
    if (node.kind === 'task' && task?.state === 'skipped') expect(task.done, where).toBe(0);
  }
  for (const group of seen.groups.values()) {
    const where = `${place}: group ${group.last.group} of ${group.last.node}`;
    expect(group.last.open, where).toBe(false);
    const counts = group.members?.counts() ?? {};
    expect([counts.d ?? 0, counts.f ?? 0], where).toEqual([group.last.done, group.last.failed]);
    expect((counts.q ?? 0) + (counts.r ?? 0) + (counts.w ?? 0) + (counts.t ?? 0), where).toBe(0);
  }
}

/** A relay takes what an inspector tells. */
function passesRelay({ watching }: Told): void {
  for (const message of watching.messages) {
    const text = JSON.stringify({ ...message, sessionId: `source/${message.sessionId}`, rootId: `source/${message.rootId}` });
    expect(checkLine(text, 'source')?.kind, text).toBe('message');
  }
}

/** Telling it again as a whole tells the same. */
function foldsAgain({ watching }: Told): void {
  const system = watching.system();
  const again = new SystemPicture(system.rootId);
  for (const message of JSON.parse(JSON.stringify(system.messages())) as ReturnType<SystemPicture['messages']>) again.take(message);
  expect(again.messages()).toEqual(system.messages());
}

const holds = async (spec: Spec): Promise<void> => {
  for (const variant of variants) {
    const often = await told(spec, variant, true);
    agreesAtEnd(often, `${variant.name}, every frame`);
    foldsAgain(often);
    passesRelay(often);
    const seldom = await told(spec, variant, false);
    agreesAtEnd(seldom, `${variant.name}, one frame`);
    const counts = ({ watching }: Told): unknown => Object.fromEntries([...watching.run().tasks].map(([id, { done, failed, state }]) => [id, { done, failed, state }]).toSorted());
    expect(Object.keys(counts(seldom) as object)).toEqual(Object.keys(counts(often) as object));
  }
};

describe('random graphs, inspected', () => {
  it('agree with their contexts in every frame, without lasting failures', async () => {
    await fc.assert(fc.asyncProperty(specs(false), holds), { seed, numRuns: Number(process.env['RUNS'] ?? 25) });
  }, 120_000);

  it('agree with their contexts in every frame, with tasks that fail for good', async () => {
    await fc.assert(fc.asyncProperty(specs(true), holds), { seed, numRuns: Number(process.env['RUNS'] ?? 25) });
  }, 120_000);
});
