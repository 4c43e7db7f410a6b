/** What is hidden in one place is hidden wherever it appears: in other steps, in errors that quote it, in what the run and its parents say. */
import { createActor, setup, toPromise, type InspectionEvent } from 'xstate';
import { describe, expect, it } from 'vitest';
import { dag, each, node, parallel, sequence, task, waitFor, workflow } from 'taskchart';
import { Redactor } from '../../src/inspect/redact.ts';
import { SummarisingInspector } from '../../src/inspect/inspector.ts';
import type { InspectorMessage } from '../../src/inspect/messages.ts';
import { gate, settled } from './support/stream.ts';

const SECRET = 'S3CR3T-of-mine';

/** `often`: a frame after every event, or one at the end. */
function watching(redact: readonly string[], often = false) {
  const messages: InspectorMessage[] = [];
  const inspector = new SummarisingInspector((list) => messages.push(...(JSON.parse(JSON.stringify(list)) as InspectorMessage[])), { redact, frameMs: 60_000 });
  const next = (event: InspectionEvent): void => {
    inspector.next(event);
    if (often) queueMicrotask(inspector.flush);
  };
  const values = (id: string) => messages.flatMap((message) => (message.type === '@taskchart.values' && message.nodes[id] !== undefined ? [message.nodes[id]] : []));
  const ofRun = () => messages.findLast((message) => message.type === '@taskchart.run');
  return { messages, often, inspector, inspect: { ...inspector, next }, values, ofRun };
}

/** They take a turn, so that what they get and give is seen. */
const says = async (): Promise<string> => (await settled(), SECRET);
const fails = async (): Promise<never> => (await settled(), Promise.reject(Object.assign(new Error(`no ${SECRET}`, { cause: Object.assign(new Error(SECRET), { code: SECRET, hint: SECRET }) }), { hint: SECRET, code: SECRET })));
const takes = async (): Promise<string> => (await settled(), 'public text');
const same = async <T>(x: T): Promise<T> => (await settled(), x);

interface Steered {
  signal(name: string, value?: unknown): void;
  cancel(reason?: string): void;
}

interface Startable {
  start(input: never, options: { readonly inspect: ReturnType<typeof watching>['inspect'] }): Steered & { readonly result: Promise<unknown> };
}

interface Case {
  readonly flow: unknown;
  readonly input?: unknown;
  readonly redact: readonly string[];
  readonly act?: (run: Steered) => void;
}

const never = gate();

const cases: Record<string, Case> = {
  'an output and the next input': { flow: workflow('w', task('login', says).to('use', takes)), redact: ['login.output'] },
  'a part of an output': { flow: workflow('w', task('login', async () => (await settled(), { token: SECRET, more: 1 })).to('use', async ({ token }) => same([token]))), redact: ['login.output.token'] },
  'an output that goes through a scope and a group': {
    flow: workflow('w', sequence(sequence(task('login', async () => (await settled(), { a: SECRET })), task('on', same)).recover('r', async () => ({ a: '' })), parallel(task('x', same), task('y', takes)), task('z', takes))), redact: ['login.output'],
  },
  'the outputs of a fan-out': { flow: workflow('w', sequence(task('list', async () => [1, 2]), each(task('login', says)), task('use', takes))), redact: ['login.output'] },
  'the outputs of a dag': { flow: workflow('w', dag({ login: node(task('login', says)), use: node(task('use', takes), { needs: ['login'] }) })), redact: ['login.output'] },
  'the input of the run': { flow: workflow('w', task('use', takes)), input: SECRET, redact: ['run.input'] },
  'the input of a task': { flow: workflow('w', task('use', takes)), input: SECRET, redact: ['use.input'] },
  'the output of the run': { flow: workflow('w', task('login', says)), redact: ['run.output'] },
  'a signal': { flow: workflow('w', waitFor('sig').to('use', takes)), redact: ['sig.signal'], act: (run) => run.signal('sig', { a: [SECRET] }) },
  'an error': { flow: workflow('w', task('login', fails)), redact: ['login.error'] },
  'an error after attempts': { flow: workflow('w', task('login', fails, { retry: { attempts: 2, delay: 0 } })), redact: ['login.error'] },
  'an error of a group': { flow: workflow('w', parallel(task('login', fails), task('other', takes))), redact: ['login.error'] },
  'an error of a fan-out': { flow: workflow('w', each(task('login', fails))), input: [1, 2], redact: ['login.error'] },
  'an error that a handler gets': { flow: workflow('w', task('login', fails).recover('r', takes)), redact: ['login.error'] },
  'an error that the handler of a group gets': { flow: workflow('w', sequence(parallel(task('login', fails), task('other', takes))).recover('r', takes)), redact: ['login.error'] },
  'the messages of errors': { flow: workflow('w', task('login', fails)), redact: ['error.message'] },
  'the messages of errors in a group': { flow: workflow('w', parallel(task('login', fails), task('other', takes))), redact: ['login.error.message'] },
  'the reason of a cancellation': { flow: workflow('w', task('login', async () => never.promise)), redact: ['run.cancel'], act: (run) => run.cancel(SECRET) },
};

async function runs({ flow, input, act }: Case, watched: ReturnType<typeof watching>): Promise<void> {
  const run = (flow as Startable).start(input as never, { inspect: watched.inspect });
  const result = run.result.catch(() => undefined);
  await settled();
  if (watched.often) watched.inspector.flush();
  if (act !== undefined) act(run);
  await result;
  watched.inspector.flush();
}

describe('what is hidden once is hidden wherever it appears', () => {
  it.each(Object.keys(cases))('%s', async (name) => {
    const one = cases[name] as Case;
    const told = async (redact: readonly string[], often: boolean): Promise<InspectorMessage[]> => {
      const watched = watching(redact, often);
      await runs(one, watched);
      expect(watched.ofRun()).toBeDefined();
      return watched.messages.filter((message) => JSON.stringify(message).includes(SECRET));
    };
    expect((await told([], true)).length + (await told([], false)).length).toBeGreaterThan(0);
    expect(await told(one.redact, true)).toEqual([]);
    expect(await told(one.redact, false)).toEqual([]);
  });

  it.each([[[], SECRET], [['login.progress'], '[redacted]']])('with %j a note of progress is %s', async (redact, note) => {
    const [first, second] = [gate(), gate()];
    const flow = workflow('w', task('login', async (_: unknown, ctx) => {
      ctx.progress(1, 2, SECRET);
      await first.promise;
      ctx.progress(2, 2, SECRET);
      return second.promise;
    }));
    const watched = watching(redact);
    const run = flow.start(undefined, { inspect: watched.inspect });
    await settled();
    watched.inspector.flush();
    first.open();
    await settled();
    watched.inspector.flush();
    second.open();
    await run.result;
    const notes = watched.messages.flatMap((message) => (message.type === '@taskchart.tasks' ? [message.nodes['login']?.progress?.note] : []));
    expect(new Set(notes.filter((told) => told !== undefined))).toEqual(new Set([note]));
  });

  it('the answers to viewers as well', async () => {
    const watched = watching(['login.error']);
    await runs(cases['an error of a group'] as Case, watched);
    const session = watched.ofRun()?.sessionId as string;
    const answers = [{ run: true } as const, { node: 'login' }, { node: 'parallel@1' }, { group: 1, index: 0 }].map((of) => watched.inspector.ask(session, { kind: 'value', which: 'error', of }));
    expect(answers.filter(({ ok }) => ok).length).toBeGreaterThanOrEqual(3);
    expect(JSON.stringify(answers)).not.toContain(SECRET);
  });

  it('numbers and short texts where the graph says that they are the same, and only there', async () => {
    const watched = watching(['pin.output']);
    await runs({ flow: workflow('w', sequence(task('pin', async () => same(42)), task('use', async () => same(42)), task('last', async () => same(1)))), redact: [] }, watched);
    expect(watched.values('use')).toMatchObject([{ input: { text: '"[redacted]"', redacted: true }, output: { text: '42' } }]);
    expect(watched.values('last')).toMatchObject([{ input: { text: '42' } }]);
  });

  it('also where a parent is told of it before the run', async () => {
    const flow = workflow('w', task('login', says));
    const app = setup({ actors: { flow: flow.machine } }).createMachine({ initial: 'busy', states: { busy: { invoke: { src: 'flow', input: undefined, onDone: 'ended' } }, ended: { type: 'final' } } });
    const watched = watching(['login.output']);
    const actor = createActor(app, { inspect: watched.inspect });
    const ended = toPromise(actor);
    actor.start();
    await ended;
    watched.inspector.flush();
    expect(JSON.stringify(watched.messages)).toContain('xstate.done.actor');
    expect(JSON.stringify(watched.messages)).not.toContain(SECRET);
  });

  it('and nothing else', async () => {
    const watched = watching(['login.error']);
    await runs({ flow: workflow('w', parallel(task('login', fails), task('other', async () => Promise.reject(new Error('plain'))), task('good', takes)).withPolicy('bestEffort').to('use', async () => 'told')), redact: [] }, watched);
    expect(watched.values('login')).toMatchObject([{ error: { name: 'Error', message: '[redacted]' } }]);
    expect(watched.values('other')).toMatchObject([{ error: { message: expect.stringContaining('plain') } }]);
    expect(watched.values('good')).toMatchObject([{ output: { text: '"public text"' } }]);
    expect(watched.values('use')).toMatchObject([{ output: { text: '"told"' } }]);
  });
});

describe('the redactor', () => {
  it('1. without patterns it looks at nothing and keeps nothing', () => {
    const idle = new Redactor();
    const untouchable = new Proxy({}, { get: () => expect.unreachable(), ownKeys: () => expect.unreachable() });
    idle.awaits(() => expect.unreachable());
    idle.learn(untouchable, ['a', 'output']);
    expect(idle.conceals(untouchable, ['a', 'output'])).toBe(false);
    idle.settle();
  });

  it('2. what is still to be learned is learned first, once', () => {
    const redactor = new Redactor(['a.output']);
    let times = 0;
    redactor.awaits(() => {
      times += 1;
      redactor.learn({ deep: [SECRET] }, ['a', 'output']);
    });
    expect(redactor.conceals(SECRET, ['b', 'input'])).toBe(true);
    expect(redactor.conceals('another text', ['b', 'input'])).toBe(false);
    expect(times).toBe(1);
  });

  it('ends where values are called in circles, and forgets the oldest texts', () => {
    const redactor = new Redactor(['c.output', 'list']);
    redactor.same(['a', 'input'], ['b', 'output']);
    redactor.same(['b', 'output'], ['a', 'input']);
    expect(redactor.hides(['a', 'input'])).toBe(false);
    redactor.same(['b', 'output', 'key'], ['c', 'output']);
    expect([redactor.hides(['a', 'input', 'key']), redactor.hides(['a', 'input', 'other'])]).toEqual([true, false]);
    redactor.learn({ list: Array.from({ length: 3000 }, (_, at) => `text ${at}`) }, ['x', 'output']);
    expect([redactor.conceals('text 2999', ['y', 'input']), redactor.conceals('text 0', ['y', 'input'])]).toEqual([true, false]);
  });
});
