/**
 * A run cut at every point: stored as text, and gone on with from there by another instance of its graph.
 *
 * Owns: taking the cuts, resuming each, comparing with the run that nobody cut. Does not own: the workflows.
 *
 * Invariants that every cut must hold
 * 1. The resumed run ends as the uninterrupted one: with the same output, or with the same error.
 * 2. An execution that had ended before the cut does not run again. (One that ended in the very turn of the cut may. So may
 *    one that ended in the turn before, where the cut was made while the machine was at work: it could not take it in.)
 * 3. An execution that runs again has the same idempotency key, attempt, iteration and input as before.
 * 4. An execution in flight at the cut runs again, unless the run is one that drops what is in flight.
 * 5. The context at the cut holds the invariants of test/model, and the resumed run keeps them to its end.
 */
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Json, Run, RunOptions, Workflow } from 'taskchart';
import { planOf, type ExecutionContext, type Plan } from 'taskchart/machines';
import { assertInvariants } from '../../model/invariants.ts';
import { drive, TestClock, turnNumber, type Driving, type Ending } from './clock.ts';
import { Trace, type TraceEntry } from './trace.ts';

export interface CutCase extends Driving {
  readonly name: string;
  readonly input?: Json;
  /** Compiles the graph anew: no two runs share an object. */
  readonly make: (trace: Trace) => Workflow<string, never, unknown>;
  readonly options?: RunOptions;
  /** Called when the run starts; not when it goes on from a cut. */
  readonly prepare?: (run: Run<unknown>) => void;
  /** Set where a run ends while tasks are in flight: fail-fast groups, cancels, terminate beside others. */
  readonly drops?: true;
  /** Set where tasks ask people: they run from their top for each answer, under the same key, so executions are not counted. */
  readonly asks?: true;
  /** What the run must end with, beside being equal for every cut. */
  readonly expected?: unknown;
}

export interface Cut {
  readonly text: string;
  readonly at: number;
  readonly turn: number;
  /** Made while the machine was at work on an event. */
  readonly atWork: boolean;
  /** What had begun and ended until then. */
  readonly before: readonly TraceEntry[];
}

export const RUN_ID = 'cut';

/** Runs a case to its end without a cut. */
export async function whole(test: CutCase): Promise<{ readonly ending: Ending; readonly trace: Trace }> {
  const trace = new Trace();
  const clock = new TestClock();
  const ending = await toItsEnd(start(test, trace, clock), clock, test);
  return { ending, trace };
}

function start(test: CutCase, trace: Trace, clock: TestClock): Run<unknown> {
  trace.tick = () => void clock.next();
  const flow = test.make(trace);
  const run = flow.start(test.input as never, { clock, runId: RUN_ID, ...test.options });
  watchInvariants(flow, run);
  test.prepare?.(run);
  return run;
}

function goOn(test: CutCase, cut: Cut, trace: Trace, clock: TestClock): Run<unknown> {
  trace.tick = () => void clock.next();
  const flow = test.make(trace);
  // Options are part of the code that resumes: a run that has not begun yet takes them from there.
  const run = flow.with(test.options ?? {}).resume(cut.text, { clock });
  watchInvariants(flow, run);
  return run;
}

/** Invariant 5. What a subscriber throws would be nobody's failure, so it is kept for `drive` to throw. */
function watchInvariants(flow: Workflow<string, never, unknown>, run: Run<unknown>): void {
  const plan: Plan = planOf(flow.graph, flow.definition.graphHash, flow.definition.policies);
  run.actor.subscribe({
    next: ({ context }) => {
      try {
        assertInvariants(plan, context as ExecutionContext);
      } catch (error) {
        broken.set(run, error);
      }
    },
    error: () => undefined,
  });
}
const broken = new WeakMap<Run<unknown>, unknown>();

async function toItsEnd(run: Run<unknown>, clock: TestClock, test: CutCase): Promise<Ending> {
  const ending = await drive(run, clock, test);
  if (broken.has(run)) throw broken.get(run);
  return ending;
}

/** Runs a case, or goes on with it from a cut, and takes a snapshot at every revision of the machine and inside every task. */
export async function cutsOf(test: CutCase, from?: Cut): Promise<{ readonly ending: Ending; readonly cuts: readonly Cut[] }> {
  const trace = new Trace();
  const clock = new TestClock(from?.at);
  const run = from === undefined ? start(test, trace, clock) : goOn(test, from, trace, clock);
  const cuts = new Map<string, Cut>();
  const take = (atWork: boolean): void => {
    const checkpoint = run.snapshot();
    const { seq: _, savedAt: __, ...rest } = checkpoint;
    const text = JSON.stringify(rest);
    if (!cuts.has(text)) cuts.set(text, { text: JSON.stringify(checkpoint), at: clock.now(), turn: turnNumber(), atWork, before: [...trace.entries] });
  };
  take(false);
  // A task may begin within the very step of the machine that starts it.
  trace.onTask = (_, __, beginning) => take(beginning);
  run.actor.subscribe({ next: () => take(true), error: () => undefined });
  const ending = await toItsEnd(run, clock, test);
  take(false);
  return { ending, cuts: [...cuts.values()] };
}

/** Goes on from a cut, `later` milliseconds after it. */
export async function resumed(test: CutCase, cut: Cut, later: number): Promise<{ readonly ending: Ending; readonly trace: Trace }> {
  const trace = new Trace();
  const clock = new TestClock(cut.at + later);
  const ending = await toItsEnd(goOn(test, cut, trace, clock), clock, test);
  return { ending, trace };
}

/** All invariants for every cut of a case. Returns how many cuts there were. */
export async function everyCut(test: CutCase): Promise<number> {
  const { ending } = await whole(test);
  if (test.expected !== undefined) expect(ending).toMatchObject(test.expected as object);
  const probed = await cutsOf(test);
  expect(probed.ending, 'the run that was looked into').toEqual(ending);
  let number = 0;
  for (const cut of probed.cuts) {
    const later = number % 3 === 1 ? 3000 : 0;
    const after = await resumed(test, cut, later);
    const place = `cut ${number} of ${probed.cuts.length} (${createHash('md5').update(cut.text).digest('hex').slice(0, 8)}), ${later} ms later: ${describeCut(cut)}`;
    expect(after.ending, place).toEqual(ending);
    if (test.asks !== true) checkExecutions(cut, after.trace.entries, test.drops === true, place);
    number += 1;
  }
  return number;
}

const identity = ({ key, attempt }: TraceEntry): string => `${key} #${attempt}`;

/** Invariants 2, 3 and 4. */
export function checkExecutions(cut: Cut, after: readonly TraceEntry[], drops: boolean, place: string): void {
  const again = new Map(after.filter(({ what }) => what === 'start').map((entry) => [identity(entry), entry]));
  const ended = new Map(cut.before.filter(({ what }) => what === 'end').map((entry) => [identity(entry), entry]));
  const attempts = lastAttempts(cut.before);
  // A task whose time was up may never end by itself; then its next attempt tells that it is over.
  const last = lastAttempts([...cut.before, ...after]);
  for (const entry of cut.before) {
    if (entry.what === 'end') continue;
    const same = again.get(identity(entry));
    const end = ended.get(identity(entry));
    const where = `${place}: ${entry.task} ${identity(entry)}`;
    if (same !== undefined) {
      const { task, input, iteration } = entry;
      expect({ task: same.task, input: same.input, iteration: same.iteration }, where).toEqual({ task, input, iteration });
      if (end !== undefined && cut.turn - end.turn > (cut.atWork ? 1 : 0)) expect.fail(`${where} had ended ${cut.turn - end.turn} turns before the cut, and ran again`);
    } else if (end === undefined && !drops && (last.get(entry.key) ?? 0) <= entry.attempt) expect.fail(`${where} was in flight at the cut, and did not run again`);
  }
  for (const entry of after) {
    const known = attempts.get(entry.key);
    if (known !== undefined && entry.attempt < known) expect.fail(`${place}: ${entry.task} ${identity(entry)} ran again though attempt ${known} had begun`);
  }
  const starts = after.filter(({ what }) => what === 'start').map(identity);
  expect(starts.length, `${place}: an execution ran twice after the cut`).toBe(new Set(starts).size);
}

function lastAttempts(entries: readonly TraceEntry[]): Map<string, number> {
  const last = new Map<string, number>();
  for (const { key, attempt } of entries) last.set(key, Math.max(attempt, last.get(key) ?? 0));
  return last;
}

function describeCut(cut: Cut): string {
  return cut.before.slice(-8).map(({ what, task }) => `${what} ${task}`).join(', ');
}
