/** Stately's own inspector, unchanged, over a run: the messages that it makes of ours, and that all of them can be sent. */
import { createInspector, type StatelyInspectionEvent } from '@statelyai/inspect';
import { createActor, toPromise } from 'xstate';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { each, parallel, sequence, sleep, task, waitFor, workflow } from 'taskchart';

type Message = Record<string, unknown> & { readonly type: string; readonly sessionId: string };

const flow = workflow('watched', sequence(
  task('list', async (n: number) => Array.from({ length: n }, (_, at) => at)),
  each(task('double', async (n: number) => ({ n: n * 2 }), { retry: { attempts: 2 } })),
  parallel(task('sum', async (list: unknown) => (list as { n: number }[]).reduce((sum, { n }) => sum + n, 0)), sequence(task('first', async (list: unknown) => (list as unknown[])[0] as { n: number }), sleep(1)).as('slept')),
  waitFor('go'),
  task('end', async (word: unknown) => ({ word: String(word) })),
));

/** Watches as a remote viewer does: what cannot be made text cannot be sent. */
function watch() {
  const messages: Message[] = [];
  const failures: unknown[] = [];
  const inspector = createInspector({
    send(event: StatelyInspectionEvent) {
      try {
        messages.push(JSON.parse(JSON.stringify(event)) as Message);
      } catch (thrown) {
        failures.push(thrown);
      }
    },
  });
  return { inspect: inspector.inspect, messages, failures };
}

const lastOf = (messages: Message[], sessionId: string) => messages.filter((message) => message.type === '@xstate.snapshot' && message.sessionId === sessionId).at(-1) as { snapshot: Record<string, unknown> } | undefined;

afterEach(() => vi.restoreAllMocks());

describe('@statelyai/inspect over a run', () => {
  it('gets the shapes that its viewers know, with the definition of the chart', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const { inspect, messages, failures } = watch();
    const actor = createActor(flow.machine, { input: 5, inspect });
    const ended = toPromise(actor);
    actor.start();
    actor.send({ type: 'SIGNAL', name: 'go', value: 'went' });
    expect(await ended).toEqual({ word: 'went' });
    const { sessionId } = actor;
    await vi.waitUntil(() => lastOf(messages, sessionId)?.snapshot['status'] === 'done');

    expect(failures).toEqual([]);
    expect(warn).not.toHaveBeenCalled();
    for (const message of messages) {
      expect(message).toMatchObject({ type: expect.stringMatching(/^@xstate\.(actor|event|snapshot)$/), sessionId: expect.any(String), createdAt: expect.stringMatching(/^\d+$/), _version: expect.any(String) });
      expect(message).toHaveProperty('id');
      expect(message['rootId']).toBe(sessionId);
    }

    const actors = messages.filter(({ type }) => type === '@xstate.actor');
    expect(actors.map(({ name, parentId }) => [name, parentId])).toEqual([['watched', undefined], ['executor', sessionId], ['timers', sessionId]]);
    const root = actors.find((message) => message.sessionId === sessionId);
    const definition = JSON.parse(root?.['definition'] as string) as { id: string; initial: string; states: object; invoke: unknown };
    expect(definition).toMatchObject({ id: 'watched', initial: 'running', invoke: { src: 'executor', id: 'executor' } });
    expect(Object.keys(definition.states).toSorted()).toEqual(['cancelled', 'completed', 'failed', 'paused', 'running', 'waiting']);

    const events = messages.filter(({ type }) => type === '@xstate.event') as (Message & { event: { type: string }; sourceId?: string })[];
    const executor = actors.find(({ name }) => name === 'executor')?.sessionId;
    expect(new Set(events.map(({ event }) => event.type).filter((type) => !type.startsWith('xstate.')))).toEqual(new Set(['READY', 'SIGNAL', 'EXECUTE', 'ARM', 'SETTLED', 'DUE']));
    expect(events.filter(({ event }) => event.type === 'SETTLED').every(({ sourceId }) => sourceId === executor)).toBe(true);

    const snapshots = messages.filter((message) => message.type === '@xstate.snapshot' && message.sessionId === sessionId) as (Message & { snapshot: object })[];
    for (const { snapshot, event } of snapshots) {
      expect(Object.keys(snapshot)).toEqual(expect.arrayContaining(['status', 'value', 'context', 'children', 'historyValue', 'tags']));
      expect(event).toHaveProperty('type');
    }
    expect(lastOf(messages, sessionId)?.snapshot).toMatchObject({ status: 'done', value: 'completed', output: { word: 'went' }, context: { workflow: 'watched', steps: 9 } });
  });

  it.each([
    ['a failed run', workflow('fails', task('a', async () => Promise.reject(new Error('no', { cause: new Map() })))), 'failed'],
    ['a cancelled run', workflow('cancels', task('a', async (_: unknown, ctx) => ctx.cancel('enough'))), 'cancelled'],
  ] as const)('shows %s with its state', async (_name, broken, value) => {
    const { inspect, messages, failures } = watch();
    const run = broken.start(undefined, { inspect });
    await run.result.catch(() => undefined);
    await vi.waitUntil(() => lastOf(messages, run.actor.sessionId)?.snapshot['status'] === 'error');
    expect(failures).toEqual([]);
    expect(lastOf(messages, run.actor.sessionId)?.snapshot).toMatchObject({ status: 'error', value, context: { verdict: { kind: value, error: { message: expect.any(String) } } } });
  });

  it('shows a restored run, with the snapshot that it goes on from', async () => {
    const first = flow.start(3);
    await vi.waitUntil(() => first.actor.getSnapshot().matches('waiting'));
    const text = JSON.stringify(first.snapshot());
    first.actor.stop();
    const { inspect, messages, failures } = watch();
    const again = flow.resume(text, { inspect });
    again.signal('go', 'on');
    expect(await again.result).toEqual({ word: 'on' });
    await vi.waitUntil(() => lastOf(messages, again.actor.sessionId)?.snapshot['status'] === 'done');
    expect(failures).toEqual([]);
    const root = messages.find((message) => message.type === '@xstate.actor' && message.sessionId === again.actor.sessionId);
    expect(root).toMatchObject({ name: first.id, snapshot: { context: { run: { id: first.id } } } });
  });

  it('sanitizers of its own are called for machines and for plain actors alike, and may look at what we have', async () => {
    const seen = new Set<string>();
    const messages: StatelyInspectionEvent[] = [];
    const inspector = createInspector({ send: (event: StatelyInspectionEvent) => void messages.push(event) }, {
      sanitizeContext: (context) => ({ steps: (context as { steps?: number } | undefined)?.steps ?? null }) as never,
      sanitizeEvent: (event) => (seen.add(event.type), { type: event.type }),
    });
    const run = flow.start(2, { inspect: inspector.inspect });
    run.signal('go', 1);
    expect(await run.result).toEqual({ word: '1' });
    await vi.waitUntil(() => messages.some((message) => message.type === '@xstate.snapshot' && (message.snapshot as { status: string }).status === 'done'));
    expect([...seen]).toEqual(expect.arrayContaining(['READY', 'SETTLED', 'SIGNAL']));
    const contexts = messages.flatMap((message) => (message.type === '@xstate.snapshot' && message.sessionId === run.actor.sessionId ? [(message.snapshot as unknown as { context: { steps: number } }).context.steps] : []));
    expect(Math.max(...contexts)).toBe(6);
  });
});
