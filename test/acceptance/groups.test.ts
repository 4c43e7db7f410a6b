/** ACCEPTANCE 1–5, 7–27, 33: what groups do, on every backend. */
import { describe, expect, it } from 'vitest';
import { ParallelGroupError, StepLimitError, WorkflowCancelledError } from 'taskchart';
import { groups } from './fixtures/groups.ts';
import { serveRedis } from './support/redis-workers.ts';
import { rejection, Watched } from './support/watch.ts';

serveRedis(new URL('fixtures/groups.ts', import.meta.url).href);

describe.each(groups)('on $name', ({ flows, execution, here }) => {
  it('1. a sequence inside a group keeps its order', async () => {
    expect(await flows.branches.run(1)).toEqual({ b: [1, 'a', 'b'], d: [1, 'c', 'd'], e: true });
  });

  it('2. what follows a group runs once, after all of its members, with their outputs', async () => {
    const run = flows.store.start(undefined);
    const seen = new Watched(run);
    expect(await run.result).toEqual({ ta: 6, tb: 10 });
    expect(seen.count('store')).toBe(1);
    expect(seen.at('task.started', 'store')).toBeGreaterThan(seen.at('task.completed', 'ta'));
    expect(seen.at('task.started', 'store')).toBeGreaterThan(seen.at('task.completed', 'tb'));
    expect(seen.at('task.completed', 'fetch')).toBeLessThan(seen.at('task.started', 'ta'));
  });

  it('3. sequences side by side, then one step after both', async () => {
    const run = flows.branches.start(1);
    const seen = new Watched(run);
    await run.result;
    expect(seen.at('task.started', 'b')).toBeGreaterThan(seen.at('task.completed', 'a'));
    expect(seen.at('task.started', 'd')).toBeGreaterThan(seen.at('task.completed', 'c'));
    expect(seen.started.at(-1)).toBe('e');
    expect(seen.started.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('4. a dag runs each node once, when all that it needs is done', async () => {
    const run = flows.diamond.start(1);
    const seen = new Watched(run);
    expect(await run.result).toEqual({ d: { b: 20, c: 200 } });
    expect(seen.started.toSorted()).toEqual(['a', 'b', 'c', 'd']);
    expect(seen.started[0]).toBe('a');
    expect(seen.started[3]).toBe('d');
    expect(seen.at('task.started', 'd')).toBeGreaterThan(Math.max(seen.at('task.completed', 'b'), seen.at('task.completed', 'c')));
    // Side by side: both are under way before either is done. (When a thread begins is its own affair, and a worker tells when a member has ended.)
    const overlap = Math.max(seen.at('task.started', 'b'), seen.at('task.started', 'c')) < Math.min(seen.at('task.completed', 'b'), seen.at('task.completed', 'c'));
    if (here && execution.backend !== 'redis') expect(overlap).toBe(execution.backend !== 'direct');
  });

  it.skipIf(execution.backend === 'direct' || execution.backend === 'threads')('4. nodes that do not need each other are under way at the same time', async () => {
    expect(Object.values(await flows.beside.run(undefined)).toSorted()).toEqual(['met', 'met c']);
  });

  it('5. a member that returns null hands null on', async () => {
    expect(await flows.nulls.run([1, 2])).toEqual([[null], [null]]);
  });

  it('7. nextTask in a member: main, the added step, the successor', async () => {
    expect(await flows.spawns.run([1, 2, 3])).toEqual([['main', 'side', 'succ'], ['main', 'side', 'succ'], ['main', 'side', 'succ']]);
  });

  it('8. goto in a member skips its static successor', async () => {
    const run = flows.goes.start([0, 1, 2]);
    const seen = new Watched(run);
    expect(await run.result).toEqual({ outputs: ['succ 0', 'special 1', 'special 2'], side: ['side'] });
    expect(seen.count('succ')).toBe(1);
    expect(seen.count('special')).toBe(2);
  });

  it('9. an agent and its tool by contracts in each member, until the third call terminates', async () => {
    expect(await flows.agents.run([['a'], ['b'], ['c', 'c1']])).toEqual({ answers: ['a,q1,q2', 'b,q1,q2', 'c,c1,q2'], agent: 8, tool: 5 });
  });

  it('10. nextIteration in a member: the successor runs once for each, with the last value', async () => {
    expect(await flows.iterates.run([0, 1, 2])).toEqual({ outputs: [30, 30, 30], a: 4 + 3 + 2, b: 3 });
  });

  it('11. a member that iterates too often fails with IterationLimitError', async () => {
    const error = (await rejection(flows.endless.run(0))) as unknown as ParallelGroupError;
    expect(error).toBeInstanceOf(ParallelGroupError);
    expect(error.failed.map(({ id }) => id)).toEqual(['loop']);
    expect(error.failed[0]?.error.name).toBe('IterationLimitError');
    expect(error.message).toContain('"loop"');
    expect(error.message).toContain('3 iterations');
    expect(error.succeeded).toEqual(['fine']);
  });

  it('12. maxSteps counts the tasks of members; an endless loop in one ends there', async () => {
    expect(await flows.stepping.with({ maxSteps: 6 }).run([1, 2, 3])).toEqual([2, 3, 4]);
    expect(await rejection(flows.stepping.with({ maxSteps: 5 }).run([1, 2, 3]))).toBeInstanceOf(StepLimitError);
    const run = flows.circle.with({ maxSteps: 5 }).start(1);
    const seen = new Watched(run);
    expect(await rejection(run.result)).toMatchObject({ name: 'StepLimitError', maxSteps: 5 });
    expect(seen.started).toEqual(['round', 'andRound', 'backRound', 'andRound', 'backRound']);
  });

  it('13. terminate in a member ends only that branch', async () => {
    const run = flows.terminates.start(1);
    const seen = new Watched(run);
    expect(await run.result).toEqual({ one: 'hit', two: 2, short: 'short' });
    expect(seen.count('never')).toBe(0);
    expect(seen.count('end')).toBe(1);
    expect(seen.count('after')).toBe(1);
  });

  it('14. cancel in a member of a bestEffort group ends the whole run', async () => {
    const run = flows.cancels.start(undefined);
    const seen = new Watched(run);
    const error = await rejection(run.result);
    expect(error).toBeInstanceOf(WorkflowCancelledError);
    expect(error).toMatchObject({ code: 'run/cancelled', taskId: 'stop', reason: 'enough' });
    expect(seen.completed).not.toContain('stop');
    expect(seen.started).not.toContain('after');
    expect(run.status().state).toBe('cancelled');
  });

  it('14. cancel deep inside a member of a bestEffort group ends the whole run', async () => {
    const run = flows.cancelsDeep.start([1, 2, 3]);
    const seen = new Watched(run);
    expect(await rejection(run.result)).toMatchObject({ name: 'WorkflowCancelledError', taskId: 'stop', reason: 'deep' });
    expect(seen.started).not.toContain('after');
  });

  it('15. cancel and terminate in one member: cancel wins', async () => {
    expect(await rejection(flows.cancelAndTerminate.run([1]))).toMatchObject({ name: 'WorkflowCancelledError', reason: 'wins', taskId: 'both' });
  });

  it('16. a failed attempt in a member goes to the back of its queue', async () => {
    const run = flows.requeued.start([1]);
    const seen = new Watched(run);
    await run.result;
    expect(seen.started).toEqual(['s', 'queuedFirst', 'queuedSecond', 'queuedFirst']);
  });

  it('17. a member that always fails uses all attempts, one that says so only one', async () => {
    const run = flows.exhausted.start(undefined);
    const seen = new Watched(run);
    const error = (await rejection(run.result)) as unknown as ParallelGroupError;
    expect(seen.count('always')).toBe(3);
    expect(seen.count('never')).toBe(1);
    expect(error.failed.map(({ id, error: inner }) => [id, inner.name])).toEqual([['always', 'RetryLimitError'], ['never', 'TaskError']]);
    expect(error.failed[0]?.error.message).toMatch(/failed 3 times.*still broken/);
    expect(error.failed[1]?.error.message).toContain('useless');
  });

  it('18. a member waits longer from attempt to attempt, up to its limit', async () => {
    const run = flows.patient.start(1);
    const seen = new Watched(run);
    expect(await run.result).toEqual({ bad: 5, fine: 1 });
    const began = seen.events.flatMap((event) => (event.type === 'task.started' && event.task === 'bad' ? [event.at] : []));
    const failed = seen.events.flatMap((event) => (event.type === 'task.failed' ? [event.at] : []));
    for (const [at, delay] of [10, 20, 30, 30].entries()) expect((began[at + 1] ?? 0) - (failed[at] ?? 0), `delay ${at + 1}`).toBeGreaterThanOrEqual(delay - 2);
  });

  it('19. members whose every pass fails once complete, as the attempts count for one pass', async () => {
    const run = flows.passes.start([1, 5]);
    const seen = new Watched(run);
    expect(await run.result).toEqual([10, 10]);
    expect(seen.count('pass')).toBe(20 + 12);
  });

  it('20. a member that outlives its timeout has failed; its late result is dropped', async () => {
    const run = flows.slow.start(undefined);
    const seen = new Watched(run);
    expect(await run.result).toEqual({ after: { quick: 1 } });
    const failed = seen.events.find((event) => event.type === 'task.failed');
    expect(failed?.type === 'task.failed' && failed.error.name).toBe('TaskTimeoutError');
    expect(seen.completed).not.toContain('slow');
  });

  it('21. strict: the error names who failed, with their messages, and who succeeded', async () => {
    const run = flows.strict.start(undefined);
    const seen = new Watched(run);
    const error = (await rejection(run.result)) as unknown as ParallelGroupError;
    expect(error).toBeInstanceOf(ParallelGroupError);
    expect(error.failed.map(({ id }) => id)).toEqual(['b', 'c']);
    expect(error.failed.map((member) => member.error.message)).toEqual([expect.stringContaining('b broke'), expect.stringContaining('c broke')]);
    expect(error.succeeded).toEqual(['a']);
    expect(error.groupId).toBe('parallel@1');
    expect(seen.completed).toContain('a');
    expect(seen.started).not.toContain('after');
  });

  it('22. bestEffort: the successor runs, the failed member is absent', async () => {
    expect(await flows.bestEffort.run(undefined)).toEqual({ after: { a: 1 } });
  });

  it('22. atLeast 3 of 4: one failure is borne, two are not', async () => {
    expect(await flows.atLeastMet.run(undefined)).toEqual({ after: { t0: 0, t1: 1, t3: 3 } });
    const error = await rejection(flows.atLeastMissed.run(undefined));
    expect(error).toBeInstanceOf(ParallelGroupError);
    expect(error.message).toContain('2 of 4 succeeded, at least 3 needed');
  });

  it('23. critical: only a critical member stops the run', async () => {
    expect(await flows.criticalMet.run(undefined)).toEqual({ after: { t1: 1 } });
    const error = (await rejection(flows.criticalMissed.run(undefined))) as unknown as ParallelGroupError;
    expect(error).toBeInstanceOf(ParallelGroupError);
    expect(error.failed.map(({ id }) => id)).toEqual(['t1']);
  });

  it('23. a policy function decides over the results', async () => {
    expect(await flows.custom.run([1, 2, 3])).toEqual([1, null, 3]);
    expect((await rejection(flows.custom.run([1, 2, 4]))).message).toContain('more than half failed');
  });

  it('24. a member that fails once runs twice, its sibling once', async () => {
    const run = flows.retries.start(undefined);
    const seen = new Watched(run);
    expect(await run.result).toEqual({ flaky: 1, sibling: 2 });
    expect([seen.count('flaky'), seen.count('sibling')]).toEqual([2, 1]);
  });

  it('24. a branch that waits for its retry goes on where it was', async () => {
    const run = flows.retriesLate.start([1, 2, 3]);
    const seen = new Watched(run);
    expect(await run.result).toEqual([20, 30, 40]);
    expect([seen.count('before'), seen.count('flaky'), seen.count('end')]).toEqual([3, 9, 3]);
  });

  it('25. failFast ends the group without waiting for the members that are running', async () => {
    const error = (await rejection(flows.failFast.run(undefined))) as unknown as ParallelGroupError;
    expect(error).toBeInstanceOf(ParallelGroupError);
    expect(error.failed.map(({ id }) => id)).toEqual(['bad']);
    expect(error.succeeded).toEqual([]);
  });

  it('25. failFast: what is still queued does not start', async () => {
    const run = flows.failFastQueued.start(Array.from({ length: 50 }, (_, index) => index));
    const seen = new Watched(run);
    expect(await rejection(run.result)).toBeInstanceOf(ParallelGroupError);
    expect(seen.started.length).toBeLessThan(6);
  });

  it('26. ten members that add 1 make 10', async () => {
    expect(await flows.adds.run([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])).toEqual({ seen: true, n: 10, list: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] });
  });

  it('27. outputs that JSON cannot carry are refused with their paths, the same on every backend', async () => {
    const { message } = await rejection(flows.badValues.run(undefined));
    for (const text of [
      'output.at is a Date', 'output.m is a Map', 'output.id is a BigInt', 'output[1] is NaN', 'output.value.again', 'output.a has an own __proto__ key',
      'output.actor has the keys sessionId, send and ref', 'good ok',
    ]) expect(message).toContain(text);
    expect(({} as { polluted?: unknown }).polluted).toBe(undefined);
  });

  it('33. a member that waits for a person: nothing behind it runs before the answer', async () => {
    const run = flows.approval.start(7);
    const seen = new Watched(run);
    await new Promise<void>((resolve) => run.on((event) => event.type === 'run.waiting' && resolve()));
    expect(run.status()).toMatchObject({ state: 'waiting', waitsFor: [{ kind: 'signal', name: 'approval' }] });
    expect(seen.started.toSorted()).toEqual(['ask', 'free']);
    run.signal('approval', 'yes');
    expect(await run.result).toEqual({ gated: { answer: 'yes' }, free: 1 });
  });

  it('groups of all kinds nest', async () => {
    expect(await flows.nested.run(4)).toEqual([
      { doubled: [8], graph: { q: 2 }, deep: { y: 1, z: -1 } },
      { doubled: [8, 10], graph: { q: 3 }, deep: { y: 2, z: -2 } },
      { doubled: [8, 10, 12], graph: { q: 4 }, deep: { y: 3, z: -3 } },
    ]);
    expect(await flows.embedded.run([1, 2])).toEqual([6, 9]);
  });
});

it('27. the texts are the same on every backend', async () => {
  const texts = await Promise.all(groups.map(async ({ flows, name }) => (await rejection(flows.badValues.run(undefined))).message.replaceAll(`-${name}`, '')));
  for (const [at, text] of texts.entries()) expect(text, groups[at]?.name).toBe(texts[0]);
});
