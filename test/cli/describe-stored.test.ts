/** describeStored, checkStoredSignal and forkStored, on a store in memory. Invariant numbers are those of inspect-stored.ts and fork-stored.ts. */
import { describe, expect, it } from 'vitest';
import { each, isTaskchartError, task, waitFor, workflow } from '../../src/index.ts';
import { checkStoredSignal } from '../../src/runtime/inspect-stored.ts';
import { describeStored, forkStored, memoryStore } from '../../src/stores.ts';

const owner = { host: 'h', pid: 1, since: 1 };
const codeOf = (thrown: unknown): string => (isTaskchartError(thrown) ? thrown.code : String(thrown));

const flow = workflow('flow', task('a', () => 1).to(waitFor('go')).to('b', (value) => value));

/** A run that waits, with everything but its first state in the journal. */
async function waiting(runId = 'r') {
  const store = memoryStore();
  const run = flow.start(undefined, { store, runId });
  await new Promise<void>((done) => run.on(({ type }) => type === 'run.waiting' && done()));
  await expect.poll(async () => (await store.load(runId))?.journal.length).toBe(2);
  return { store, run };
}

describe('describeStored', () => {
  it('knows no unknown run, and takes nothing from an owner', async () => {
    const { store, run } = await waiting();
    expect(await describeStored(store, 'nobody')).toBeUndefined();
    await describeStored(store, 'r', flow);
    run.signal('go', 5);
    expect(await run.result).toBe(5);
    expect(await describeStored(store, 'r')).toMatchObject({ exact: true, output: [5], status: { state: 'completed', waitsFor: [] } });
  });

  it('is exact with the workflow, and says when it is not (1, 2)', async () => {
    const { store } = await waiting();
    expect(await describeStored(store, 'r')).toMatchObject({ exact: false, shown: 0, revision: 2, status: { state: 'running', waitsFor: [] } });
    expect(await describeStored(store, 'r', flow)).toMatchObject({ exact: true, shown: 2, revision: 2, status: { state: 'waiting', waitsFor: [{ kind: 'signal', name: 'go' }] } });
    const [note] = await store.list();
    expect(note && (await describeStored(store, note, flow))).toMatchObject({ runId: 'r', workflow: 'flow', owner: { pid: process.pid } });
  });

  it('knows messages, and failures while the run has them', async () => {
    const { store, run } = await waiting();
    await store.post('r', JSON.stringify({ kind: 'signal', name: 'nonsense' }));
    await expect.poll(async () => (await describeStored(store, 'r'))?.refused).toEqual([1]);
    expect(await describeStored(store, 'r')).toMatchObject({ posted: 1 });
    run.cancel('enough');
    await run.result.catch(() => undefined);
    expect(await describeStored(store, 'r')).toMatchObject({ status: { state: 'cancelled' }, error: { code: 'run/cancelled' } });
    const fails = workflow('fails', task('list', () => [1, 2]).to(each(task('n', () => { throw new Error('no'); })).withPolicy('bestEffort')).to(waitFor('more')));
    fails.start(undefined, { store, runId: 'f' });
    await expect.poll(async () => (await describeStored(store, 'f', fails))?.lastFailure?.error.message).toBe('no');
  });

  it('refuses another workflow, another graph, and what is no state of a run', async () => {
    const { store } = await waiting();
    const refused = async (other: { readonly definition: typeof flow.definition }): Promise<string> => codeOf(await describeStored(store, 'r', other).catch((thrown: unknown) => thrown));
    expect(await refused(workflow('other', task('a', () => 1)))).toBe('checkpoint/wrong-workflow');
    expect(await refused(workflow('flow', task('a', () => 1)))).toBe('checkpoint/graph-mismatch');
    const stored = await store.load('r');
    const writer = await store.open('bad', owner);
    await writer.save((stored?.checkpoint ?? '').replace(/"root":\{.*?\},"branches"/, '"root":7,"branches"'), 0);
    expect(codeOf(await describeStored(store, 'bad').catch((thrown: unknown) => thrown))).toBe('checkpoint/invalid');
  });

  it('checks a signal as the run would', async () => {
    const { store } = await waiting();
    expect(await checkStoredSignal(store, 'r', flow, 'go', { a: 1 })).toEqual({ a: 1 });
    expect(codeOf(await checkStoredSignal(store, 'r', flow, 'stop', 1).catch((thrown: unknown) => thrown))).toBe('run/unknown-signal');
    expect(codeOf(await checkStoredSignal(store, 'r', flow, 'go', new Date()).catch((thrown: unknown) => thrown))).toMatch(/^value\//);
    expect(codeOf(await checkStoredSignal(store, 'x', flow, 'go', 1).catch((thrown: unknown) => thrown))).toBe('checkpoint/unknown-run');
  });
});

describe('forkStored', () => {
  it('copies a run under another id, and leaves the original alone (1, 2)', async () => {
    const { store, run } = await waiting();
    run.signal('go', 'first');
    await run.result;
    const revisions = await store.revisions('r');
    expect(await forkStored(store, 'r', flow, { at: 0, as: 'f', owner })).toBe(0);
    const forked = await flow.resume(store, 'f');
    forked.signal('go', 'forked');
    expect(await forked.result).toBe('forked');
    expect(await store.revisions('r')).toEqual(revisions);
    expect(await describeStored(store, 'r')).toMatchObject({ output: ['first'] });
    // With what the journal says behind the snapshot.
    const { store: other } = await waiting();
    expect(await forkStored(other, 'r', flow, { as: 'w', owner })).toBe(2);
    expect(await describeStored(other, 'w')).toMatchObject({ revision: 2, exact: true, status: { waitsFor: [{ kind: 'signal', name: 'go' }] } });
    expect(codeOf(await forkStored(store, 'r', flow, { as: 'g', owner }).catch((thrown: unknown) => thrown))).toBe('run/ended');
    expect(codeOf(await forkStored(store, 'r', flow, { at: 0, as: 'f', owner }).catch((thrown: unknown) => thrown))).toBe('checkpoint/exists');
    expect(codeOf(await forkStored(store, 'x', flow, { as: 'g', owner }).catch((thrown: unknown) => thrown))).toBe('checkpoint/unknown-run');
    expect(codeOf(await forkStored(store, 'r', flow, { at: 0, as: '../g', owner }).catch((thrown: unknown) => thrown))).toBe('definition/bad-id');
  });
});
