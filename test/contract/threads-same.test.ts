/**
 * The backend `threads` gives what `local` gives: values, errors to the letter, steering, the channel, keys and events.
 * The graphs stand in fixtures/threads/same.ts.
 */
import { describe, expect, it } from 'vitest';
import { sequence, task, workflow, type RunEvent } from '../../src/index.ts';
import { serializeError } from '../../src/core/errors.ts';
import { cases, libraries, type Case, type Flow } from '../fixtures/threads/same.ts';

interface Ended { readonly output?: unknown; readonly error?: unknown; readonly events: readonly string[] }

async function ending(flow: Flow, input: unknown): Promise<Ended> {
  const run = flow.start(input as never, { runId: 'run-1' });
  const events: string[] = [];
  run.on((event) => { if (/^task|failed$|completed$/.test(event.type)) events.push(described(event)); });
  const result = await run.result.then((output) => ({ output }), (error: unknown) => ({ error: serializeError(error) }));
  return { ...result, events: events.sort() };
}

/** Without the time and the numbers of tokens: the order of members that run side by side is nobody's promise. */
function described(event: RunEvent): string {
  const { at: _, durationMs: __, key: ___, ...rest } = event as RunEvent & { durationMs?: number; key?: string };
  return JSON.stringify(rest, (_key, value: unknown) => (value instanceof Error ? serializeError(value) : value));
}

/** The two differ in the name of the workflow alone. */
function unnamed(ended: Ended): Ended {
  return JSON.parse(JSON.stringify(ended, (_, value: unknown) => (value === undefined ? '(undefined)' : value)).replaceAll(/-(local|threads)\b/g, '')) as Ended;
}

async function compare({ local, threads, input }: Case): Promise<Ended> {
  const expected = unnamed(await ending(local, input));
  const found = unnamed(await ending(threads, input));
  expect(found.error ?? null).toEqual(expected.error ?? null);
  expect(found.output).toEqual(expected.output);
  expect(found.events).toEqual(expected.events);
  return found;
}

describe('threads and local end in the same way', () => {
  it('has cases', () => expect(Object.keys(cases).length).toBeGreaterThan(15));

  it.each(Object.keys(cases))('%s', async (name) => {
    await compare(cases[name] as Case);
  });

  it.each(['unfit', 'thrown', 'rejected', 'wrong steering', 'endless', 'cancel', 'channel misuse', 'contract', 'policy'])('%s fails at all', async (name) => {
    const { threads, input } = cases[name] as Case;
    expect((await ending(threads, input)).error).toBeDefined();
  });

  it('the channel adds up: ten members that add 1 make 10 (case 26)', async () => {
    const { threads, input } = cases['channel'] as Case;
    expect((await ending(threads, input)).output).toMatchObject({ seen: 10, third: [3], gone: null });
  });

  it('a workflow that is embedded in one that its module does not know', async () => {
    const outer = (name: 'local' | 'threads') => workflow(`book-${name}`, sequence(task('prepare', (list: number[]) => list), libraries[name], task('done', (all: unknown) => ({ all }) as never)));
    const { output } = await compare({ local: outer('local') as never, threads: outer('threads') as never, input: [1, 2, 3] });
    expect(output).toEqual({ all: [{ tool: 1 }, { undeclared: 2, id: 'undeclared' }, 3] });
  });
});
