/** A workflow's machine in the hands of XState's own tools, and inside a user's own machine. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { assign, createActor, sendTo, setup, toPromise, waitFor as until, type SnapshotFrom } from 'xstate';
import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { RetryLimitError, TaskError, WorkflowCancelledError, isTaskchartError, parallel, sequence, sleep, task, waitFor, workflow } from 'taskchart';
import { VirtualClock } from 'taskchart/testing';
import { problemsOf } from '../model/invariants.ts';
import { planOf, type ExecutionContext } from '../../machines/index.ts';
import { ran, twoProcesses } from '../fixtures/embedding/flow.ts';

const run = promisify(execFile);

interface Gate<T = void> {
  readonly opened: Promise<T>;
  open(value: T): void;
}

function gate<T = void>(): Gate<T> {
  let open: (value: T) => void = () => undefined;
  const opened = new Promise<T>((resolve) => (open = resolve));
  return { opened, open: (value) => open(value) };
}

async function other(script: string, ...args: string[]): Promise<string> {
  const path = fileURLToPath(new URL(`../fixtures/embedding/${script}`, import.meta.url));
  const { stdout } = await run(process.execPath, ['--import', 'tsx', path, ...args], { timeout: 30_000 });
  return stdout.trim();
}

function stored(actor: { getPersistedSnapshot(): unknown }): never {
  return JSON.parse(JSON.stringify(actor.getPersistedSnapshot())) as never;
}

afterEach(() => vi.restoreAllMocks());

describe('createActor(workflow.machine)', () => {
  it('toPromise resolves with the typed output', async () => {
    const flow = workflow('sum', task('a', async (n: number) => ({ n })).to('b', async ({ n }) => `${n}!`));
    const actor = createActor(flow.machine, { input: 4 });
    const output = toPromise(actor);
    expectTypeOf(output).resolves.toEqualTypeOf<string>();
    actor.start();
    expect(await output).toBe('4!');
    expect(actor.getSnapshot()).toMatchObject({ status: 'done', value: 'completed', output: '4!' });
  });

  it('toPromise rejects with our error, and the state says how the run ended', async () => {
    const fails = workflow('fails', task('f', async () => Promise.reject(new RangeError('too far')), { retry: { attempts: 2 } }));
    const actor = createActor(fails.machine, { input: undefined }).start();
    const error = await toPromise(actor).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RetryLimitError);
    expect(isTaskchartError(error)).toBe(true);
    expect(error).toMatchObject({ code: 'task/retry-limit', details: { taskId: 'f', attempts: 2 }, cause: { name: 'RangeError', message: 'too far' } });
    expect(actor.getSnapshot()).toMatchObject({ status: 'error', value: 'failed' });

    const waits = createActor(workflow('waits', waitFor('go')).machine, { input: undefined }).start();
    const rejected = toPromise(waits).catch((thrown: unknown) => thrown);
    waits.send({ type: 'CANCEL', reason: 'enough' });
    expect(await rejected).toBeInstanceOf(WorkflowCancelledError);
    expect(waits.getSnapshot()).toMatchObject({ status: 'error', value: 'cancelled' });
  });

  it('refuses an input that JSON cannot carry', async () => {
    const flow = workflow('refuses', task('a', async (input: { at: string }) => input.at));
    const actor = createActor(flow.machine, { input: { at: new Date(0) as never } });
    actor.subscribe({ error: () => undefined });
    const rejected = toPromise(actor).catch((thrown: unknown) => thrown);
    actor.start();
    expect(await rejected).toMatchObject({ code: 'value/not-json', details: { path: 'input.at' } });
  });

  it('waitFor sees the states, and a signal goes in as an event', async () => {
    const actor = createActor(workflow('approve', task('a', async (n: number) => n).to(waitFor('approval')).to('b', async (word: unknown) => [word as { by: string }])).machine, { input: 1 }).start();
    const snapshot = await until(actor, (state) => state.matches('waiting'));
    expect(snapshot.can({ type: 'SIGNAL', name: 'approval' })).toBe(true);
    actor.send({ type: 'SIGNAL', name: 'approval', value: { by: 'me' } });
    expect((await until(actor, (state) => state.matches('completed'))).output).toEqual([{ by: 'me' }]);
  });

  it('PAUSE and RESUME as bare events: what is in flight ends, nothing new starts', async () => {
    const [begun, release] = [gate(), gate()];
    const second = vi.fn<(n: number) => Promise<number>>(async (n) => n + 1);
    const flow = workflow('pauses', task('a', async (n: number) => (begun.open(), await release.opened, n)).to('b', second));
    const actor = createActor(flow.machine, { input: 1 }).start();
    await begun.opened;
    actor.send({ type: 'PAUSE' });
    expect(actor.getSnapshot().value).toBe('paused');
    release.open();
    await until(actor, ({ context }) => context.inFlight.size === 0);
    expect(second).not.toHaveBeenCalled();
    expect(actor.getSnapshot()).toMatchObject({ status: 'active', value: 'paused', context: { root: { queue: { size: 1 } } } });
    actor.send({ type: 'RESUME' });
    expect(await toPromise(actor)).toBe(2);
  });

  it('a fresh process goes on from the persisted snapshot: finished tasks do not run again, keys stay', async () => {
    const actor = createActor(twoProcesses.machine, { input: 1 }).start();
    await until(actor, ({ context }) => context.delayed.size === 1 && context.openMembers === 0);
    const text = JSON.stringify(actor.getPersistedSnapshot());
    actor.stop();
    const here = ran.splice(0);
    const there = JSON.parse(await other('goes-on.ts', text)) as { output: unknown; ran: string[] };
    expect(there.output).toBe('went');
    expect(here.map((line) => line.split(' ')[0]).sort()).toEqual(['a', 'b', 'c']);
    expect(there.ran.map((line) => line.split(' ')[0])).toEqual(['d', 'e']);
    expect(new Set([...here, ...there.ran]).size).toBe(5);
  });
});

describe('inside a user\'s own machine', () => {
  const release = { gate: gate() };
  const enrich = workflow('enrich', task('fetch', async (region: string) => {
    await release.gate.opened;
    if (region === 'nowhere') throw new Error('no such region');
    return { region, rows: 3 };
  }).to(waitFor('go')).to('store', async (word) => ({ stored: word as string })));

  const parent = setup({
    types: { context: {} as { stored?: string; error?: unknown }, input: {} as { region: string }, events: {} as { type: 'APPROVED'; word: string } },
    actors: { enrich: enrich.machine },
  }).createMachine({
    id: 'parent',
    context: {},
    initial: 'enriching',
    states: {
      enriching: {
        invoke: {
          id: 'run', src: 'enrich', input: ({ event }) => (event as unknown as { input: { region: string } }).input.region,
          onDone: {
            target: 'happy',
            actions: assign({ stored: ({ event }) => {
              expectTypeOf(event.output).toEqualTypeOf<{ stored: string }>();
              return event.output.stored;
            } }),
          },
          onError: { target: 'sad', actions: assign({ error: ({ event }) => event.error }) },
        },
        on: { APPROVED: { actions: sendTo('run', ({ event }) => ({ type: 'SIGNAL' as const, name: 'go', value: event.word })) } },
      },
      happy: { type: 'final' },
      sad: { type: 'final' },
    },
  });
  const childOf = (actor: { getSnapshot(): unknown }) => (actor.getSnapshot() as { children: { run?: { getSnapshot(): SnapshotFrom<typeof enrich.machine> } } }).children.run?.getSnapshot();

  it('onDone has the output', async () => {
    release.gate = gate();
    release.gate.open();
    const actor = createActor(parent, { input: { region: 'eu' } }).start();
    await vi.waitUntil(() => childOf(actor)?.matches('waiting'));
    actor.send({ type: 'APPROVED', word: 'yes' });
    expect((await until(actor, (state) => state.status === 'done')).context.stored).toBe('yes');
  });

  it('onError has our error, as a failed task gives it', async () => {
    release.gate = gate();
    release.gate.open();
    const actor = createActor(parent, { input: { region: 'nowhere' } }).start();
    const { value, context } = await until(actor, (state) => state.status === 'done');
    expect(value).toBe('sad');
    expect(context.error).toBeInstanceOf(TaskError);
    expect(context.error).toMatchObject({ code: 'task/failed', details: { taskId: 'fetch' }, cause: { message: 'no such region' } });
  });

  it('goes on inside the parent\'s own restored snapshot, cut in a task and cut in a wait', async () => {
    release.gate = gate();
    const first = createActor(parent, { input: { region: 'eu' } }).start();
    await vi.waitUntil(() => childOf(first)?.context.inFlight.size === 1);
    const inTask = JSON.stringify(first.getPersistedSnapshot());
    first.stop();

    release.gate = gate();
    release.gate.open();
    const second = createActor(parent, { snapshot: JSON.parse(inTask), input: { region: 'unused' } }).start();
    await vi.waitUntil(() => childOf(second)?.matches('waiting'));
    const inWait = JSON.stringify(second.getPersistedSnapshot());
    const runId = childOf(second)?.context.run?.id;
    second.stop();

    const third = createActor(parent, { snapshot: JSON.parse(inWait), input: { region: 'unused' } }).start();
    third.send({ type: 'APPROVED', word: 'later' });
    expect((await until(third, (state) => state.status === 'done')).context.stored).toBe('later');
    expect(JSON.stringify(third.getPersistedSnapshot())).toContain('"stored":"later"');
    expect(runId).toBe((JSON.parse(inTask) as { children: { run: { snapshot: { context: ExecutionContext } } } }).children.run.snapshot.context.run?.id);
  });

  it('several runs in one system do not hear each other', async () => {
    const flow = workflow('one', task('a', async (n: number, ctx) => `${n} ${ctx.runId}`).to(sleep(1)).to('b', async (text) => text as string));
    const many = setup({ types: { context: {} as { out: string[] } }, actors: { one: flow.machine } }).createMachine({
      context: { out: [] },
      invoke: [1, 2, 3, 4].map((n) => ({ id: `run${n}`, src: 'one' as const, input: n, onDone: { actions: assign({ out: ({ context, event }) => [...context.out, event.output as string] }) } })),
    });
    const actor = createActor(many).start();
    const { context } = await until(actor, (state) => state.context.out.length === 4);
    expect(context.out.map((text) => text.split(' ')[0]).sort()).toEqual(['1', '2', '3', '4']);
    expect(new Set(context.out.map((text) => text.split(' ')[1])).size).toBe(4);
    actor.stop();
  });
});

describe('a run that is stopped or badly watched', () => {
  it('stop() in mid-run aborts the signals of tasks, and sends nothing later', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const begun = [gate(), gate()];
    const ended = gate<unknown>();
    const after = vi.fn<() => void>();
    const flow = workflow('stops', parallel(
      task('listens', async (_: null, ctx) => {
        begun[0]?.open();
        await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }));
        ended.open(ctx.signal.reason);
        return 1;
      }),
      sequence(task('waits', async () => (begun[1]?.open(), 1), {}), sleep(5), task('never', after)),
    ));
    const clock = new VirtualClock();
    const { actor, result } = flow.start(null, { clock });
    const seen: unknown[] = [];
    await Promise.all(begun.map(({ opened }) => opened));
    await until(actor, ({ context }) => context.delayed.size === 1);
    expect(clock.nextDueAt).toBe(5);
    actor.subscribe((snapshot) => void seen.push(snapshot.value));
    actor.stop();
    expect(await ended.opened).toBeInstanceOf(WorkflowCancelledError);
    // A timer that was left would fire now, and XState warns of events that are sent to a stopped actor.
    expect(clock.nextDueAt).toBeUndefined();
    await clock.advance(1000);
    await expect(result).rejects.toMatchObject({ code: 'run/stopped' });
    expect(after).not.toHaveBeenCalled();
    expect(seen).toEqual([]);
    expect(warn).not.toHaveBeenCalled();
  });

  it('stop() is no end of the run: the handle says so, its events end, and its snapshot goes on', async () => {
    const flow = workflow('stopped', waitFor('go'));
    const run = flow.start();
    const types: string[] = [];
    const listened = (async () => {
      for await (const event of run.events()) types.push(event.type);
    })();
    await until(run.actor, (state) => state.matches('waiting'));
    run.actor.stop();
    await expect(run.result).rejects.toMatchObject({ code: 'run/stopped', details: { runId: run.id } });
    await listened;
    expect(types).toEqual(['run.started', 'run.waiting', 'run.failed']);
    const again = flow.resume(JSON.stringify(run.snapshot()));
    again.signal('go', 'on');
    expect(await again.result).toBe('on');
  });

  it('stopping a parent stops its runs', async () => {
    const begun = gate();
    const aborted = gate();
    const flow = workflow('child', task('a', async (_: null, ctx) => {
      ctx.signal.addEventListener('abort', () => aborted.open());
      begun.open();
      await aborted.opened;
    }));
    const actor = createActor(setup({ actors: { child: flow.machine } }).createMachine({ invoke: { src: 'child', input: null } })).start();
    await begun.opened;
    actor.stop();
    await aborted.opened;
    expect(actor.getSnapshot().status).toBe('stopped');
  });

  it('an `inspect` that throws is reported once, and the run goes on as if nobody had watched', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const flow = workflow('inspected', task('a', async (n: number) => n + 1).to(sleep(1)).to('b', async (n) => (n as number) * 2));
    for (const at of [1, 2, 5, 9, 14]) {
      let calls = 0;
      const given = (): void => {
        calls += 1;
        if (calls === at) throw new Error('inspect threw');
      };
      const started = flow.start(1, { inspect: at % 2 === 0 ? given : { next: given } });
      expect(await started.result).toBe(4);
      expect(calls).toBe(at);
      expect(problemsOf(planOf(flow.graph, 'any', { get: () => undefined }), started.actor.getSnapshot().context)).toEqual([]);
    }
    expect(log).toHaveBeenCalledTimes(5);
  });

  it('watchers of a bare actor that throw are XState\'s to report; the stored state is whole and goes on', async () => {
    const lines = (await other('watchers-throw.ts')).split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toHaveLength(5);
    expect(lines[0]).toEqual({ watcher: 'observer', output: 4, uncaught: ['an observer threw'] });
    for (const line of lines.slice(1)) expect(line).toMatchObject({ output: 4 });
  });

  it('a signal that JSON cannot carry, sent past the run handle, ends the actor with its reason; a snapshot from before goes on', async () => {
    const flow = workflow('signalled', waitFor('go'));
    const actor = createActor(flow.machine, { input: undefined }).start();
    await until(actor, (state) => state.matches('waiting'));
    const before = stored(actor);
    const rejected = toPromise(actor).catch((thrown: unknown) => thrown);
    actor.send({ type: 'SIGNAL', name: 'go', value: new Date(0) as never });
    expect(await rejected).toMatchObject({ code: 'value/not-json', details: { path: 'signal "go"' } });
    const again = createActor(flow.machine, { snapshot: before, input: undefined }).start();
    again.send({ type: 'SIGNAL', name: 'go', value: 1 });
    expect(await toPromise(again)).toBe(1);
  });
});
