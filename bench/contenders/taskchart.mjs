/** taskchart, as built into dist/: what a user installs, not the sources through a loader. */
import { dag, each, node, task, workflow } from '../../dist/index.js';
import { deferred, range, timed, verify, verifyChain, verifyFanOut } from '../lib/measure.mjs';

const addOne = async (x) => x + 1;
const local = (concurrency) => ({ backend: 'local', concurrency });

export async function fanOut({ n, concurrency, warm = 0 }) {
  const items = range(n);
  const build = await timed(() => workflow('fan-out', each(task('add', addOne)).withExecution(local(concurrency))));
  for (let i = 0; i < warm; i += 1) await build.value.run(items);
  const { ms, value } = await timed(() => build.value.run(items));
  verifyFanOut(value, n);
  return { ms, buildMs: build.ms };
}

function linked(n) {
  let step = task('t0', addOne);
  for (let i = 1; i < n; i += 1) step = step.to(`t${i}`, addOne);
  return step;
}

/** One graph node per step, linked with `.to`. */
export async function chain({ n }) {
  const build = await timed(() => workflow('chain', linked(n)));
  const { ms, value } = await timed(() => build.value.run(0));
  verifyChain(value, n);
  return { ms, buildMs: build.ms };
}

/** One task that asks for itself again. */
export async function loop({ n }) {
  const build = await timed(() =>
    workflow(
      'loop',
      task('step', async (x, ctx) => (x + 1 < n ? ctx.nextIteration(x + 1) : x + 1), { maxIterations: n + 1 }),
    ),
  );
  const { ms, value } = await timed(() => build.value.run(0));
  verifyChain(value, n);
  return { ms, buildMs: build.ms };
}

/** A chain of `n` steps whose last output is a list of `members` items, each of which runs a step: all in one run. */
export async function chainThenFanOut({ n, members, concurrency }) {
  const build = await timed(() =>
    workflow(
      'chain-then-fan-out',
      linked(n - 1)
        .to('list', async (x) => Array.from({ length: members }, (_, i) => x + 1 - n + i))
        .to(each(task('add', addOne)).withExecution(local(concurrency))),
    ),
  );
  const { ms, value } = await timed(() => build.value.run(0));
  verifyFanOut(value, members);
  return { ms, buildMs: build.ms };
}

const diamondTasks = () => ({
  a: task('a', async (x) => x + 1),
  b: async (x) => x * 2,
  c: async (x) => x * 3,
  d: async ({ b, c }) => b + c,
  e: async (x) => x - 5,
});

export async function diamond({ runs, warm }) {
  const { a, b, c, d, e } = diamondTasks();
  return manyRuns(runs, warm, () => workflow('diamond', a.fork({ b, c }).to('d', d).to('e', e)), (output) => output);
}

/** The same diamond, written as a `dag`. */
export async function diamondDag({ runs, warm }) {
  const t = diamondTasks();
  const build = () =>
    workflow(
      'diamond-dag',
      dag({
        a: node(t.a),
        b: node(task('b', async ({ a }) => t.b(a)), { needs: ['a'] }),
        c: node(task('c', async ({ a }) => t.c(a)), { needs: ['a'] }),
        d: node(task('d', t.d), { needs: ['b', 'c'] }),
        e: node(task('e', async ({ d }) => t.e(d)), { needs: ['d'] }),
      }),
    );
  return manyRuns(runs, warm, build, (output) => output.e);
}

async function manyRuns(runs, warm, make, read) {
  const build = await timed(make);
  for (let i = 0; i < (warm ?? 0); i += 1) await build.value.run(i);
  const { ms } = await timed(async () => {
    for (let i = 0; i < runs; i += 1) {
      const output = read(await build.value.run(i));
      verify(output === 5 * i, `run ${i} gave ${output}`);
    }
  });
  return { ms, buildMs: build.ms };
}

/** Every member fails once and waits for its backoff. */
export async function retrying({ n, delayMs, jitter, concurrency }) {
  const retry = { attempts: 2, backoff: 'fixed', delay: delayMs, jitter };
  const member = task(
    'member',
    async (x, ctx) => {
      if (ctx.attempt === 1) throw new Error('first attempt');
      return x + 1;
    },
    { retry },
  );
  const build = await timed(() => workflow('retrying', each(member).withExecution(local(concurrency))));
  const { ms, value } = await timed(() => build.value.run(range(n)));
  verifyFanOut(value, n);
  return { ms, buildMs: build.ms };
}

/** A fan-out of which nothing is finished: `concurrency` members in flight, the others not started. */
export async function snapshotOfMembers({ n, concurrency }) {
  const held = holdable(Math.min(n, concurrency));
  const wf = workflow('open-members', each(task('item', held.run)).withExecution(local(concurrency)));
  return saveAndResume(wf, range(n), held, (output) => verifyFanOut(output, n));
}

/** A queue of `n` tokens made by `nextTask`, the first of them in flight. */
export async function snapshotOfQueue({ n }) {
  const held = holdable(1);
  const side = task('side', held.run);
  const root = task('root', async (count, ctx) => {
    for (let i = 0; i < count; i += 1) ctx.nextTask(side, i);
    return count;
  });
  const wf = workflow('open-queue', root, { uses: [side] });
  return saveAndResume(wf, n, held, (output) => verify(output === n && held.finished() === n, `${held.finished()} of ${n} tokens ran`));
}

/** A task that hangs while it is held, and tells when `inFlight` calls of it hang. */
function holdable(inFlight) {
  let hold = true;
  let started = 0;
  let finished = 0;
  const full = deferred();
  const resumed = deferred();
  const run = async (x) => {
    if (!hold) {
      if (finished === 0) resumed.resolve(process.hrtime.bigint());
      finished += 1;
      return x + 1;
    }
    started += 1;
    if (started === inFlight) full.resolve();
    return new Promise(() => {});
  };
  return { run, full: full.promise, resumed: resumed.promise, finished: () => finished, release: () => (hold = false) };
}

async function saveAndResume(wf, input, held, check) {
  const first = wf.start(input);
  first.result.catch(() => {});
  await held.full;
  const taken = await timed(() => first.snapshot());
  const text = await timed(() => JSON.stringify(taken.value));
  first.cancel('the bench has its snapshot');
  await first.result.catch(() => {});
  held.release();
  const start = process.hrtime.bigint();
  const second = wf.resume(text.value);
  const resumeMs = Number((await held.resumed) - start) / 1e6;
  const rest = await timed(() => second.result);
  check(rest.value);
  return { ms: taken.ms + text.ms, snapshotMs: taken.ms, stringifyMs: text.ms, resumeMs, restMs: rest.ms, bytes: Buffer.byteLength(text.value) };
}

