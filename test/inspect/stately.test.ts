/** Stately's own inspector and receiver (`@statelyai/inspect`), from Node: over a run unchanged, and fed by our summaries. */
import { createServer } from 'node:http';
import { createInspector as createStatelyInspector, createWebSocketInspector, createWebSocketReceiver, type StatelyInspectionEvent } from '@statelyai/inspect';
import { createInspectorServer } from '@statelyai/inspect/server';
import { createActor, createMachine, toPromise } from 'xstate';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { each, sequence, task, workflow } from 'taskchart';
import { createInspector } from 'taskchart/inspect';

const flow = workflow('stately', sequence(
  task('list', async (n: number) => Array.from({ length: n }, (_, at) => at)),
  each(task('double', async (n: number) => n * 2)).as('all'),
  task('sum', async (list: number[]) => list.reduce((a, b) => a + b, 0)),
));

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** Stately's relay and its receiver, as its own package makes them. */
async function receiving(): Promise<{ readonly url: string; readonly got: StatelyInspectionEvent[] }> {
  const probe = createServer();
  await new Promise<void>((resolve) => void probe.listen(0, resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => void probe.close(resolve));
  const server = createInspectorServer({ port, autoOpen: false });
  const url = `ws://127.0.0.1:${port}`;
  const got: StatelyInspectionEvent[] = [];
  createWebSocketReceiver({ server: url }).subscribe((event) => void got.push(event));
  cleanups.push(() => server.stop());
  return { url, got };
}

const lastSnapshot = (got: readonly StatelyInspectionEvent[], session: string) => got.findLast((event) => event.type === '@xstate.snapshot' && event.sessionId === session) as { readonly snapshot: { readonly status: string; readonly value: unknown } } | undefined;

describe('@statelyai/inspect', () => {
  it.each(['createActor(workflow.machine, { inspect })', 'workflow.start(input, { inspect })'])('gets a run by its own socket and receiver: %s', async (how) => {
    const { url, got } = await receiving();
    const inspector = createWebSocketInspector({ url });
    cleanups.push(() => inspector.stop());
    let session: string;
    if (how.startsWith('createActor')) {
      const actor = createActor(flow.machine, { input: 5, inspect: inspector.inspect });
      const ended = toPromise(actor);
      actor.start();
      expect(await ended).toBe(20);
      session = actor.sessionId;
    } else {
      const run = flow.start(5, { inspect: inspector.inspect });
      expect(await run.result).toBe(20);
      session = run.actor.sessionId;
    }
    await vi.waitUntil(() => lastSnapshot(got, session)?.snapshot.status === 'done', { timeout: 8000 });
    expect(lastSnapshot(got, session)?.snapshot.value).toBe('completed');
    expect(got.filter(({ type }) => type === '@xstate.actor').map((event) => (event as { readonly name: string }).name)).toEqual(expect.arrayContaining(['executor']));
  });

  it('shows the states of the tasks natively: the derived statechart goes through the same receiver', async () => {
    const { url, got } = await receiving();
    const socket = createWebSocketInspector({ url });
    cleanups.push(() => socket.stop());
    // What is ours alone, viewers that do not know it pass by; here it is left out.
    const inspect = createInspector((messages) => {
      for (const message of messages) if (message.type.startsWith('@xstate.')) socket.adapter.send(message as unknown as StatelyInspectionEvent);
    });
    const run = flow.start(5, { inspect });
    await run.result;
    inspect.flush();
    const tasks = `${run.actor.sessionId}#tasks`;
    await vi.waitUntil(() => lastSnapshot(got, tasks)?.snapshot.status === 'done', { timeout: 8000 });
    expect(lastSnapshot(got, tasks)?.snapshot.value).toEqual({ list: 'done', all: { '(group)': 'done', double: 'done' }, sum: 'done' });
    const chart = got.find((event) => event.type === '@xstate.actor' && event.sessionId === tasks) as unknown as { readonly definition: string; readonly parentId: string };
    expect(chart.parentId).toBe(run.actor.sessionId);
    expect(createMachine(JSON.parse(chart.definition) as never).resolveState({ value: lastSnapshot(got, tasks)?.snapshot.value as never }).value).toBeDefined();
  });

  it('has the same fields, message by message', async () => {
    const theirs: StatelyInspectionEvent[] = [];
    const stately = createStatelyInspector({ send: (event: StatelyInspectionEvent) => void theirs.push(JSON.parse(JSON.stringify(event)) as StatelyInspectionEvent) });
    await flow.start(2, { inspect: stately.inspect }).result;
    await vi.waitUntil(() => theirs.some((event) => event.type === '@xstate.snapshot' && (event.snapshot as { status: string }).status === 'done'));
    const ours: Record<string, unknown>[] = [];
    const inspect = createInspector((messages) => void ours.push(...(JSON.parse(JSON.stringify(messages)) as Record<string, unknown>[])));
    await flow.start(2, { inspect }).result;
    inspect.flush();
    for (const type of ['@xstate.actor', '@xstate.event', '@xstate.snapshot']) {
      const kinds = (list: readonly object[]) => list.filter((event) => (event as { type: string }).type === type);
      expect(kinds(ours).length, type).toBeGreaterThan(0);
      for (const own of kinds(ours) as Record<string, unknown>[]) {
        for (const [key, value] of Object.entries(kinds(theirs)[0] as object)) {
          const optional = ['parentId', 'sourceId', 'definition'].includes(key);
          if (!optional) expect([type, key, typeof own[key]]).toEqual([type, key, typeof value]);
        }
      }
    }
  });
});
