/** A stored run meets another graph: what docs/durability.md says of `allowAdditions`, `migrate` and tuning. */
import { describe, expect, it } from 'vitest';
import { GraphMismatchError, task, waitFor, workflow, type Checkpoint, type Run } from 'taskchart';
import { VirtualClock } from 'taskchart/testing';
import { StrictStore } from './support/strict-store.ts';

const step = (id: string, options = {}) => task(id, (value: unknown) => `${id}(${String(value)})`, options);
const base = () => workflow('changing', step('a').to(waitFor('go')).to(step('b')));
const withMore = () => workflow('changing', step('a').to(waitFor('go')).to(step('b')), { uses: [step('c')] });
const renamed = () => workflow('changing', step('a').to(waitFor('go')).to(step('better')));

/** A run of `base` that waits; with `checkpointed`, its store holds a snapshot and no journal. */
async function waiting({ checkpointed = false } = {}): Promise<StrictStore> {
  const store = new StrictStore();
  const clock = new VirtualClock();
  const run = base().start('x', { store, clock, runId: 'r' });
  await clock.settle();
  if (checkpointed) await run.checkpoint();
  store.kill('r');
  return store;
}

async function answered(run: Run<unknown>): Promise<unknown> {
  run.signal('go', 'yes');
  return run.result;
}

describe('another graph than the one that stored the run', () => {
  it('is refused with what was added, removed and changed, and the run stays as it is', async () => {
    const store = await waiting();
    const before = await store.load('r');
    const error: unknown = await renamed().resume(store, 'r').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(GraphMismatchError);
    expect(error).toMatchObject({ code: 'checkpoint/graph-mismatch', details: { added: ['better'], removed: ['b'], changed: ['go'] } });
    expect(await store.load('r')).toEqual(before);
    expect(await answered(await base().resume(store, 'r'))).toBe('b(yes)');
  });

  it('may differ in retries, timeouts and limits', async () => {
    const tuned = workflow('changing', step('a', { retry: { attempts: 3 } }).to(waitFor('go', { timeout: 60_000 })).to(step('b', { timeout: 1000 })));
    expect(await answered(await tuned.resume(await waiting(), 'r'))).toBe('b(yes)');
  });

  it('may have more steps with allowAdditions, also twice, with what has happened in between', async () => {
    const store = await waiting();
    await expect(withMore().resume(store, 'r')).rejects.toMatchObject({ details: { added: ['c'], removed: [], changed: [] } });
    const clock = new VirtualClock();
    const first = await withMore().resume(store, 'r', { allowAdditions: true, clock });
    await clock.settle();
    expect(first.status()).toMatchObject({ state: 'waiting', waitsFor: [{ name: 'go' }] });
    store.kill('r');
    // The new graph is the run's graph from now on.
    expect(await answered(await withMore().resume(store, 'r'))).toBe('b(yes)');
  });

  it('is not let in by allowAdditions where a step that was there has changed', async () => {
    const appended = workflow('changing', step('a').to(waitFor('go')).to(step('b')).to(step('c')));
    await expect(appended.resume(await waiting(), 'r', { allowAdditions: true })).rejects.toMatchObject({ details: { added: ['c'], changed: ['b'] } });
  });
});

describe('migrate', () => {
  const migrate = (checkpoint: Checkpoint, difference: { readonly removed: readonly string[] }, current: string): Checkpoint => {
    expect(difference.removed).toEqual(['b']);
    return { ...checkpoint, graphHash: current };
  };

  it('rewrites a checkpoint of another graph', async () => {
    const store = await waiting({ checkpointed: true });
    expect(await answered(await renamed().resume(store, 'r', { migrate }))).toBe('better(yes)');
  });

  it('is refused where a journal follows the checkpoint: only the old graph can say what that means', async () => {
    const store = await waiting();
    await expect(renamed().resume(store, 'r', { migrate })).rejects.toMatchObject({ code: 'checkpoint/graph-mismatch', hint: expect.stringContaining('run.checkpoint()') });
    const old = await base().resume(store, 'r');
    await old.checkpoint();
    store.kill('r');
    expect(await answered(await renamed().resume(store, 'r', { migrate }))).toBe('better(yes)');
  });

  it('must give a checkpoint of the graph in the code', async () => {
    const store = await waiting({ checkpointed: true });
    await expect(renamed().resume(store, 'r', { migrate: (checkpoint) => checkpoint })).rejects.toMatchObject({ code: 'checkpoint/graph-mismatch' });
  });
});

it('a stored run that has ended gives its end again', async () => {
  const store = new StrictStore();
  const flow = base();
  const run = flow.start('x', { store, runId: 'r' });
  expect(await answered(run)).toBe('b(yes)');
  expect(await (await flow.resume(store, 'r')).result).toBe('b(yes)');
});
