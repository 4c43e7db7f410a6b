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
import type { Json, Run, RunOptions, StartOptions, Workflow } from 'taskchart';
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
  /** Where tasks run elsewhere: the keys of executions of which the run has told that they were over. */
  readonly told: readonly string[];
}

export const RUN_ID = 'cut';

/** Where the runs of a case take place. */
export interface Home {
  /** Time for one life of a run, and whatever else it needs. */
  enter(startAt?: number): Promise<TestClock>;
  flow(test: CutCase, trace: Trace): Workflow<string, never, unknown>;
  readonly options: Pick<StartOptions, 'inspect'>;
  /** The life is over. */
  leave(): Promise<void>;
  /** Cuts of one case that are gone on with. */
  readonly most: number;
  /** Tasks run elsewhere: a run that is watched says what it has heard of them. */
  readonly remote: boolean;
  readonly checkExecutions: typeof checkExecutions;
}

/** In this process. */
export const atHome: Home = {
  enter: async (startAt) => new TestClock(startAt),
  flow: (test, trace) => test.make(trace),
  options: {},
  leave: async () => undefined,
  most: Infinity,
  remote: false,
  checkExecutions,
};

/** One life of a run: from its start, or from a cut, to its end. `look` sees it before anything happens, and what it returns is called at the end. */
async function live(test: CutCase, home: Home, cut: Cut | undefined, startAt: number | undefined, look?: (life: Life) => () => void): Promise<Life & { readonly ending: Ending }> {
  const clock = await home.enter(startAt);
  const trace = new Trace();
  trace.tick = () => void clock.next();
  const flow = home.flow(test, trace);
  // Options are part of the code that resumes: a run that has not begun yet takes them from there.
  const run = cut === undefined
    ? flow.start(test.input as never, { clock, runId: RUN_ID, ...home.options, ...test.options })
    : flow.with(test.options ?? {}).resume(cut.text, { clock, ...home.options });
  const broken = watchInvariants(flow, run);
  const life = { run, trace, clock };
  const atEnd = look?.(life);
  if (cut === undefined) test.prepare?.(run);
  const ending = await drive(run, clock, test);
  if (broken.error !== undefined) throw broken.error;
  atEnd?.();
  await home.leave();
  return { ...life, ending };
}

interface Life {
  readonly run: Run<unknown>;
  readonly trace: Trace;
  readonly clock: TestClock;
}

/** Invariant 5. What a subscriber throws would be nobody's failure, so it is kept. */
function watchInvariants(flow: Workflow<string, never, unknown>, run: Run<unknown>): { error?: unknown } {
  const plan: Plan = planOf(flow.graph, flow.definition.graphHash, flow.definition.policies);
  const broken: { error?: unknown } = {};
  run.actor.subscribe({
    next: ({ context }) => {
      try {
        assertInvariants(plan, context as ExecutionContext);
      } catch (error) {
        broken.error = error;
      }
    },
    error: () => undefined,
  });
  return broken;
}

/** Runs a case to its end without a cut. */
export async function whole(test: CutCase, home = atHome): Promise<{ readonly ending: Ending; readonly trace: Trace }> {
  return live(test, home, undefined, undefined);
}

/** Runs a case, or goes on with it from a cut, and takes a snapshot at every revision of the machine and inside every task. */
export async function cutsOf(test: CutCase, from?: Cut, home = atHome): Promise<{ readonly ending: Ending; readonly cuts: readonly Cut[] }> {
  const cuts = new Map<string, Cut>();
  const { ending } = await live(test, home, from, from?.at, ({ run, trace, clock }) => {
    const told: string[] = [];
    const take = (atWork: boolean): void => {
      const checkpoint = run.snapshot();
      const { seq: _, savedAt: __, ...rest } = checkpoint;
      const text = JSON.stringify(rest);
      if (!cuts.has(text)) cuts.set(text, { text: JSON.stringify(checkpoint), at: clock.now(), turn: turnNumber(), atWork, before: [...trace.entries], told: [...told] });
    };
    if (home.remote) run.on((event) => {
      if (event.type === 'task.completed' || (event.type === 'task.failed' && event.final)) told.push(`${RUN_ID}/${event.key}`);
    });
    take(false);
    // A task may begin within the very step of the machine that starts it.
    trace.onTask = (_, __, beginning) => take(beginning);
    run.actor.subscribe({ next: () => take(true), error: () => undefined });
    return () => take(false);
  });
  return { ending, cuts: [...cuts.values()] };
}

/** Goes on from a cut, `later` milliseconds after it. */
export async function resumed(test: CutCase, cut: Cut, later: number, home = atHome): Promise<{ readonly ending: Ending; readonly trace: Trace }> {
  return live(test, home, cut, cut.at + later);
}

/** All invariants for every cut of a case. Returns how many cuts there were. */
export async function everyCut(test: CutCase, home = atHome): Promise<number> {
  const { ending } = await whole(test, home);
  if (test.expected !== undefined) expect(ending).toMatchObject(test.expected as object);
  const probed = await cutsOf(test, undefined, home);
  expect(probed.ending, 'the run that was looked into').toEqual(ending);
  const picked = some(probed.cuts, home.most);
  for (const [number, cut] of picked.entries()) {
    const later = number % 3 === 1 ? 3000 : 0;
    const after = await resumed(test, cut, later, home);
    const place = `cut ${number} of ${picked.length} (${createHash('md5').update(cut.text).digest('hex').slice(0, 8)}), ${later} ms later: ${describeCut(cut)}`;
    expect(after.ending, place).toEqual(ending);
    if (test.asks !== true) home.checkExecutions(cut, after.trace.entries, test.drops === true, place);
  }
  return picked.length;
}

/** At most so many of them, from the first to the last. */
function some<T>(all: readonly T[], most: number): readonly T[] {
  if (all.length <= most) return all;
  return Array.from({ length: most }, (_, at) => all[Math.round((at * (all.length - 1)) / (most - 1))] as T);
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
