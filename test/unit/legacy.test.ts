/** Checkpoints of the older Python system: what they become, what is said about the rest, what is refused. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { each, parallel, sequence, task, waitFor, workflow, type Json, type TaskContext } from '../../src/index.ts';
import { parseCheckpoint, serializeCheckpoint, type Checkpoint } from '../../src/core/checkpoint.ts';
import { CheckpointError } from '../../src/core/errors.ts';
import { memoryStore } from '../../src/adapters/memory-store.ts';
import { convertLegacyCheckpoint, type LegacyFiles, type LegacyOptions, type LegacyTarget } from '../../src/runtime/legacy.ts';
import { Fifo, type ExecutionContext } from '../../machines/index.ts';

const file = (name: string): string => readFileSync(fileURLToPath(new URL(`../fixtures/legacy/${name}`, import.meta.url)), 'utf8');
const contextOf = (checkpoint: Checkpoint): ExecutionContext => (checkpoint.snapshot as unknown as { context: ExecutionContext }).context;
const queued = (checkpoint: Checkpoint): object[] => [...Fifo.items(contextOf(checkpoint).root.queue)];

/** What ran, in order: `id(input) attempt/iteration`. */
const seen: string[] = [];
const note = (id: string, input: unknown, ctx: TaskContext): void => void seen.push(`${id}(${JSON.stringify(input) ?? ''}) ${ctx.attempt}/${ctx.iteration}`);
const step = (id: string, options = {}) =>
  task(id, (input: Json, ctx) => {
    note(id, input, ctx);
    return id as Json;
  }, options);

const chain = () => workflow('chain', sequence(step('fetch'), step('clean'), step('store', { retry: { attempts: 4, delay: 0 } }), step('report')));
const sequenceFiles: LegacyFiles = { state: file('sequence.state.json'), meta: file('sequence.meta.json'), base: 'old/run' };

const refusal = (files: LegacyFiles, options?: LegacyOptions, target: { readonly definition: LegacyTarget } = chain()): CheckpointError => {
  try {
    convertLegacyCheckpoint(files, target.definition, options);
  } catch (thrown) {
    expect(thrown, String(thrown)).toBeInstanceOf(CheckpointError);
    return thrown as CheckpointError;
  }
  throw new Error('it was converted');
};

describe('a sequence', () => {
  const { checkpoint, notes, userMetadata } = convertLegacyCheckpoint(sequenceFiles, chain().definition, { inputs: { store: { rows: 3 } } });

  test('becomes an envelope with the task queued, its attempts and what was done', () => {
    expect(parseCheckpoint(serializeCheckpoint(checkpoint))).toEqual(checkpoint);
    expect(checkpoint).toMatchObject({ workflow: 'chain', graphHash: chain().definition.graphHash, runId: '5f2c9a7e41d84c03a6b1f0d2c3e4b5a6', savedAt: Date.UTC(2025, 0, 1, 0, 0, 0, 250) });
    expect(queued(checkpoint)).toEqual([{ id: 1, node: 'store', scope: 0, input: { rows: 3 }, attempt: 2, iteration: 0, hop: 0, main: true }]);
    expect(contextOf(checkpoint)).toMatchObject({ steps: 2, revision: 1, completions: { size: 2 } });
  });

  test('goes on where it stood', async () => {
    seen.length = 0;
    const run = chain().resume(checkpoint);
    expect(await run.result).toBe('report');
    expect(seen).toEqual(['store({"rows":3}) 2/0', 'report("store") 1/0']);
    expect(run.status().steps).toBe(3);
  });

  test('goes on from a store, and again from there', async () => {
    const store = memoryStore();
    const writer = await store.open(checkpoint.runId, { host: 'h', pid: 1, since: 1 });
    await writer.save(serializeCheckpoint(checkpoint), checkpoint.seq);
    await writer.close();
    seen.length = 0;
    expect(await (await chain().resume(store, checkpoint.runId)).result).toBe('report');
    expect(seen).toEqual(['store({"rows":3}) 2/0', 'report("store") 1/0']);
    expect(await (await chain().resume(store, checkpoint.runId)).result).toBe('report');
    expect(seen).toHaveLength(2);
  });

  test('says what was not carried over', () => {
    expect(notes).toEqual([
      'The last error of "store" is not kept: "ConnectionError: größe 0".',
      'The times at which waiting tasks were queued are not kept; their order is.',
      'Results and channel values were in the pickle (or in Redis), which is never opened: the channel begins empty.',
      'Fields that have no place here: trace_id.',
      'Old checkpoint "5f2c9a7e41d84c03a6b1f0d2c3e4b5a6_2_1735689600".',
      'user_metadata is not part of the checkpoint: { task_id: "clean", cycle_count: 0, elapsed_time: 0.125, mode: "deferred", ticket: "OPS-17" }',
    ]);
    expect(userMetadata).toMatchObject({ ticket: 'OPS-17' });
  });

  test('without the input that was in the pickle the task gets none, and a note', async () => {
    const bare = convertLegacyCheckpoint(sequenceFiles, chain().definition);
    expect(bare.notes).toContain('Run without an input, because the files have none: store. Give it with inputs where it is needed.');
    seen.length = 0;
    await chain().resume(bare.checkpoint).result;
    expect(seen[0]).toBe('store() 2/0');
  });

  test('without the meta file, with parsed objects, and under another id it is the same', () => {
    const bare = convertLegacyCheckpoint({ state: JSON.parse(file('sequence.state.json')) }, chain().definition, { runId: 'other', savedAt: 7, inputs: { store: { rows: 3 } } });
    expect(bare.checkpoint).toMatchObject({ runId: 'other', savedAt: 7 });
    expect(queued(bare.checkpoint)).toEqual(queued(checkpoint));
    expect(bare.notes).toContain('There was no .meta.json: the time of the checkpoint is not known.');
  });

  test('is pure: the same again, and nothing given is changed', () => {
    const state = JSON.parse(file('sequence.state.json')) as object;
    const before = JSON.stringify(state);
    const convert = () => convertLegacyCheckpoint({ ...sequenceFiles, state }, chain().definition, { inputs: { store: { rows: 3 } } });
    expect(convert()).toEqual(convert());
    expect(convert().checkpoint).toEqual(checkpoint);
    expect(JSON.stringify(state)).toBe(before);
  });
});

describe('a loop', () => {
  const loop = (most?: number) =>
    workflow('loop', sequence(step('start'), task('converge', (given: Json, ctx): Json => {
      const n = given as number;
      note('converge', n, ctx);
      return ctx.iteration < 5 ? (ctx.nextIteration(n + 1) as never) : n;
    }, { ...(most === undefined ? {} : { maxIterations: most }) }), step('after')));

  test('keeps its iterations, whatever name the repetition had', async () => {
    const { checkpoint } = convertLegacyCheckpoint({ state: file('loop.state.json') }, loop().definition, { inputs: { converge: 30 } });
    expect(queued(checkpoint)).toMatchObject([{ node: 'converge', iteration: 3, attempt: 1, input: 30 }]);
    seen.length = 0;
    expect(await loop().resume(checkpoint).result).toBe('after');
    expect(seen).toEqual(['converge(30) 1/3', 'converge(31) 1/4', 'converge(32) 1/5', 'after(32) 1/0']);
  });

  test('interrupted in the middle of a repetition takes the count', () => {
    const state = { ...JSON.parse(file('loop.state.json')), pending_tasks: [], resuming_task_id: 'converge' };
    expect(queued(convertLegacyCheckpoint({ state }, loop().definition).checkpoint)).toMatchObject([{ node: 'converge', iteration: 3 }]);
  });

  test('that has no iterations left says so', () => {
    const { notes } = convertLegacyCheckpoint({ state: file('loop.state.json') }, loop(3).definition);
    expect(notes.join('\n')).toContain('"converge" has used up its 3 iterations');
  });
});

describe('a group over Redis, an interrupted task, and one beside the main path', () => {
  const group = () => workflow('group', sequence(step('fetch'), parallel(step('geo'), step('score')), step('review', { retry: { attempts: 4 } })), { uses: [step('audit')] });
  const files: LegacyFiles = { state: file('redis-group.state.json'), base: 'g' };

  test('the interrupted one comes first, the group runs as a whole, the other stays beside', async () => {
    const { checkpoint, notes } = convertLegacyCheckpoint(files, group().definition, { inputs: { 'parallel@1': 'all', review: 'seen' } });
    expect(queued(checkpoint)).toMatchObject([
      { node: 'review', input: 'seen', main: true },
      { node: 'parallel@1', input: 'all', attempt: 1, main: true },
      { node: 'audit', main: false },
    ]);
    expect(notes).toContain('"score" stands inside "parallel@1", which runs again from its beginning: the results of its other tasks were in the pickle.');
    expect(notes).toContain('"score" was marked running; it was still in the queue, so it runs.');
    seen.length = 0;
    expect(await group().resume(checkpoint).result).toBe('review');
    expect(seen).toEqual(['review("seen") 1/0', 'geo("all") 1/0', 'score("all") 1/0', 'audit() 1/0', 'review({"geo":"geo","score":"score"}) 1/0']);
  });

  test('Redis metadata is dropped with a note that shows no address', () => {
    const { notes, checkpoint } = convertLegacyCheckpoint(files, group().definition);
    expect(notes).toContain('Redis queue metadata is dropped (backend, queue_metadata); the old keys in Redis are left as they are.');
    expect(JSON.stringify([notes, checkpoint])).not.toMatch(/hunter2|10\.0\.0\.1/);
  });

  test('two members that wait are one group; members\' own inputs are refused with the group\'s name', () => {
    const state = JSON.parse(file('redis-group.state.json')) as { pending_tasks: { task_id: string }[] };
    state.pending_tasks.push({ ...state.pending_tasks[0], task_id: 'geo' });
    expect(queued(convertLegacyCheckpoint({ state }, group().definition).checkpoint).map((token) => (token as { node: string }).node)).toEqual(['review', 'parallel@1', 'audit']);
    const error = refusal({ state }, { inputs: { score: 1 } }, group());
    expect(error.message).toContain('it stands inside "parallel@1"');
    expect(error.hint).toContain('Give the input of "parallel@1"');
  });

  test('old names are carried over by rename', () => {
    const other = workflow('group', sequence(step('fetchAll'), step('review')));
    const state = { ...JSON.parse(file('redis-group.state.json')), pending_tasks: [] };
    const { checkpoint } = convertLegacyCheckpoint({ state }, other.definition, { rename: { fetch: 'fetchAll' } });
    expect(contextOf(checkpoint).completions.size).toBe(1);
    expect(refusal({ state }, {}, other).message).toContain('field start_node names "fetch"');
  });

  test('nobody on the main path: the first is taken for it', () => {
    const state = { ...JSON.parse(file('redis-group.state.json')), resuming_task_id: null };
    const audit = { ...state, pending_tasks: [state.pending_tasks[1]] };
    const { checkpoint, notes } = convertLegacyCheckpoint({ state: audit }, group().definition);
    expect(queued(checkpoint)).toMatchObject([{ node: 'audit', main: true }]);
    expect(notes.join('\n')).toContain('"audit" is taken for the main path');
  });
});

test('nothing was waiting: the run completes at once', async () => {
  const state = { ...JSON.parse(file('sequence.state.json')), pending_tasks: [] };
  const { checkpoint, notes } = convertLegacyCheckpoint({ state }, chain().definition);
  expect(notes[0]).toBe('No task was waiting, so the run completes at once, without an output.');
  expect(await chain().resume(checkpoint).result).toBeUndefined();
});

test('a wait that was interrupted waits again, and the run says so', async () => {
  const asks = () => workflow('asks', sequence(step('fetch'), waitFor('approval'), task('store', (_: Json | undefined) => 'store')));
  const state = { ...JSON.parse(file('sequence.state.json')), pending_tasks: [], resuming_task_id: 'ask' };
  const run = asks().resume(convertLegacyCheckpoint({ state }, asks().definition, { rename: { ask: 'approval', clean: 'fetch' } }).checkpoint);
  await expect.poll(() => run.status().waitsFor).toMatchObject([{ kind: 'signal', name: 'approval' }]);
  expect(run.status().state).toBe('waiting');
  run.signal('approval', 'yes');
  expect(await run.result).toBe('store');
});

test('a fan-out needs its array', async () => {
  const fan = () => workflow('fan', sequence(task('fetch', (): Json[] => []), each(step('clean')).as('all')));
  const state = { ...JSON.parse(file('sequence.state.json')), pending_tasks: [], resuming_task_id: 'clean' };
  const top = Object.values(fan().graph.nodes).find((node) => node.kind === 'each')?.id ?? '';
  const error = refusal({ state }, {}, fan());
  expect(error.hint).toContain(`inputs { "${top}": [...] }`);
  const { checkpoint } = convertLegacyCheckpoint({ state }, fan().definition, { inputs: { [top]: ['x', 'y'] } });
  expect(await fan().resume(checkpoint).result).toEqual(['clean', 'clean']);
});

describe('bad input', () => {
  const state = (change: Record<string, unknown>): LegacyFiles => ({ state: { ...JSON.parse(file('sequence.state.json')), ...change }, base: 'b' });
  const first = (change: Record<string, unknown>): LegacyFiles => state({ pending_tasks: [{ ...JSON.parse(file('sequence.state.json')).pending_tasks[0], ...change }] });
  const meta = (change: Record<string, unknown>): LegacyFiles => ({ ...sequenceFiles, base: 'b', meta: { ...JSON.parse(file('sequence.meta.json')), ...change } });
  const without = (name: string): LegacyFiles => {
    const copy = JSON.parse(file('sequence.state.json')) as Record<string, unknown>;
    delete copy[name];
    return { state: copy, base: 'b' };
  };

  test.each<[string, LegacyFiles, string, RegExp, LegacyOptions?]>([
    ['no state', { state: undefined, base: 'b' }, 'checkpoint/empty', /b\.state\.json .*missing/],
    ['an empty state', { state: ' \n', base: 'b' }, 'checkpoint/empty', /empty/],
    ['a pickle', { state: '\u0080\u0005\u0095', base: 'b' }, 'checkpoint/not-json', /not JSON/],
    ['NaN, which Python writes', { state: '{"steps": NaN}', base: 'b' }, 'checkpoint/not-json', /not JSON/],
    ['a list', { state: '[]', base: 'b' }, 'checkpoint/foreign', /not an object/],
    ['another JSON file', { state: '{"a":1}', base: 'b' }, 'checkpoint/foreign', /schema_version/],
    ['a number as version', state({ schema_version: 1.0 }), 'checkpoint/version', /schema_version is 1;/],
    ['another version', state({ schema_version: '2.0' }), 'checkpoint/version', /"2\.0"/],
    ['no session', without('session_id'), 'checkpoint/invalid', /field session_id is missing/],
    ['no queue', without('pending_tasks'), 'checkpoint/invalid', /field pending_tasks is missing/],
    ['no completed tasks', without('completed_tasks'), 'checkpoint/invalid', /field completed_tasks is missing/],
    ['no steps', without('steps'), 'checkpoint/invalid', /field steps is missing/],
    ['a session that is no run id', state({ session_id: '../../etc' }), 'checkpoint/invalid', /session_id of b\.state\.json cannot be a run id/],
    ['steps of a wrong type', state({ steps: '2' }), 'checkpoint/invalid', /field steps is "2"/],
    ['negative steps', state({ steps: -1 }), 'checkpoint/invalid', /field steps is -1/],
    ['completed tasks that are no list', state({ completed_tasks: { a: 1 } }), 'checkpoint/invalid', /completed_tasks/],
    ['a completed task of a wrong type', state({ completed_tasks: ['fetch', 7] }), 'checkpoint/invalid', /completed_tasks\[1\] is 7/],
    ['only foreign completed tasks', state({ completed_tasks: ['x', 'y'] }), 'checkpoint/invalid', /completed_tasks\[0\] names "x"/],
    ['a cycle count of a wrong type', state({ cycle_counts: { store: 1.5 } }), 'checkpoint/invalid', /cycle_counts\["store"\] is 1\.5/],
    ['a backend of a wrong type', state({ backend: 7 }), 'checkpoint/invalid', /backend is 7/],
    ['a queue of a wrong type', state({ pending_tasks: 'store' }), 'checkpoint/invalid', /pending_tasks is "store"/],
    ['a waiting task of a wrong type', state({ pending_tasks: ['store'] }), 'checkpoint/invalid', /pending_tasks\[0\] is "store"/],
    ['a waiting task without an id', first({ task_id: undefined, status: 'ready' }), 'checkpoint/invalid', /task_id/],
    ['an unknown waiting task', first({ task_id: 'gone' }), 'checkpoint/invalid', /pending_tasks\[0\]\.task_id names "gone"/],
    ['a waiting task named like what every object has', first({ task_id: 'constructor' }), 'checkpoint/invalid', /names "constructor"/],
    ['a repetition of an unknown task', first({ task_id: 'gone_cycle_1_ab' }), 'checkpoint/invalid', /names "gone_cycle_1_ab"/],
    ['an unknown status', first({ status: 'lost' }), 'checkpoint/invalid', /pending_tasks\[0\]\.status is "lost"/],
    ['retries of a wrong type', first({ retry_count: '1' }), 'checkpoint/invalid', /pending_tasks\[0\]\.retry_count is "1"/],
    ['a time of a wrong type', first({ created_at: 'now' }), 'checkpoint/invalid', /pending_tasks\[0\]\.created_at is "now"/],
    ['an error of a wrong type', first({ last_error: {} }), 'checkpoint/invalid', /pending_tasks\[0\]\.last_error/],
    ['an unknown interrupted task', state({ resuming_task_id: 'gone' }), 'checkpoint/invalid', /resuming_task_id names "gone"/],
    ['an unknown start', state({ start_node: 'gone' }), 'checkpoint/invalid', /start_node names "gone"/],
    ['a poisoned key', { state: file('sequence.state.json').replace('"cycle_counts": {}', '"cycle_counts": {"__proto__": 1}'), base: 'b' }, 'checkpoint/invalid', /__proto__/],
    ['the meta file of another run', meta({ session_id: 'other' }), 'checkpoint/invalid', /b\.meta\.json .*session_id/],
    ['a meta file with a bad time', meta({ created_at: 'yesterday' }), 'checkpoint/invalid', /created_at is "yesterday"/],
    ['a meta file with bad user data', meta({ user_metadata: [] }), 'checkpoint/invalid', /user_metadata/],
    ['a torn meta file', { ...sequenceFiles, meta: '{"checkpoint_id": "x' }, 'checkpoint/not-json', /old\/run\.meta\.json .*ends in the middle/],
    ['an input for nobody', sequenceFiles, 'checkpoint/invalid', /inputs has "stroe", but no task of that id was waiting/, { inputs: { stroe: 1 } }],
    ['an input that is no JSON', sequenceFiles, 'checkpoint/invalid', /inputs\.store\.at is a Date/, { inputs: { store: { at: new Date(0) } as never } }],
    ['a rename to nothing', sequenceFiles, 'checkpoint/invalid', /rename says that "x" is now "nothing"/, { rename: { x: 'nothing' } }],
    ['a bad run id', sequenceFiles, 'checkpoint/invalid', /option runId/, { runId: 'a|b' }],
  ])('%s is refused', (_, files, code, words, options) => {
    const error = refusal(files, options);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(words);
    expect(error.message.length).toBeLessThan(400);
    expect(error.hint).toBeTruthy();
  });

  test('cut at any byte it is refused, never half converted', () => {
    const text = file('sequence.state.json').trimEnd();
    for (let at = 0; at < text.length; at += 1) expect(refusal({ state: text.slice(0, at) }).code).toMatch(/^checkpoint\/(empty|not-json)$/);
  });

  test('names without end are cut', () => {
    const many = Array.from({ length: 100 }, (_, at) => `t${at}`);
    const { notes } = convertLegacyCheckpoint(state({ completed_tasks: ['fetch', ...many] }), chain().definition);
    expect(notes.find((one) => one.startsWith('Completed tasks'))).toMatch(/t19 and 80 more\.$/);
    expect(refusal(first({ task_id: `${'_cycle_1_a'.repeat(99)}` })).message.length).toBeLessThan(400);
  });
});
