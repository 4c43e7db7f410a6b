/** `taskchart inspect` and `taskchart top`, as processes: what they print, what they refuse, and that they end. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { sequence, task, waitFor, workflow } from 'taskchart';
import { RelayStream } from '../../src/cli/relay-stream.ts';
import { screen } from '../../src/cli/top.ts';
import { STREAM_VERSION, type RunMessage, type SystemMessage } from '../../src/inspect/messages.ts';
import { Bench } from '../cli/workbench.ts';
import { members, states } from './support/stream.ts';
import { TestViewer, command } from './support/viewer.ts';

const flow = `
import { each, sequence, task, waitFor, workflow } from 'taskchart';
export const shop = workflow('shop', sequence(
  task('list', async () => [1, 2, 3, 4]),
  each(task('ship', async (n: number) => { if (n === 3) throw new Error('lost at sea'); return n; })).withPolicy('bestEffort').as('all'),
  waitFor('paid'),
  task('thank', async (word: unknown) => 'thanks for ' + String(word)),
));
`;

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function bench(): Bench {
  const made = new Bench();
  cleanups.push(() => made.remove());
  return made;
}

/** A relay, its address, and a viewer of everything. */
async function inspecting(made: Bench, ...args: string[]): Promise<{ readonly url: string; readonly viewer: TestViewer; readonly stop: () => Promise<number | null> }> {
  const { child, finished } = made.start('inspect', ...args);
  cleanups.push(() => child.kill('SIGKILL'));
  const url = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (part: string) => {
      text += part;
      if (text.includes('\n')) resolve(text.split('\n')[0] as string);
    });
    void finished.then((end) => reject(new Error(JSON.stringify(end))));
  });
  const viewer = new TestViewer({ url });
  cleanups.push(() => viewer.close());
  return { url, viewer, stop: async () => (child.kill('SIGINT'), (await finished).code) };
}

describe('taskchart inspect', () => {
  it('a run of the command line is seen, answered from afar, and seen to its end; top shows it; Ctrl-C ends the relay', async () => {
    const made = bench();
    const file = made.write('shop.ts', flow);
    const { url, viewer, stop } = await inspecting(made);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]+$/);
    const finished = made.runUnder({ TASKCHART_INSPECT: url }, 'run', file, '--store', join(made.folder, 'runs'), '--run-id', 'order-1');
    const seen = await viewer.until(() => (viewer.run('shop')?.run?.state === 'stopped' ? viewer.run('shop') : undefined), 'the run, which is stored and stopped', 30_000);
    expect(seen.status?.waitsFor.first).toMatchObject([{ kind: 'signal', signal: 'paid' }]);
    expect(states(seen)).toEqual({ list: 'done', all: 'done', ship: 'failed', paid: 'waiting', thank: 'pending' });
    expect(members(seen, 'all')).toBe('ddfd');
    expect((await finished).code).toBe(4);
    await viewer.until(() => [...viewer.sources.values()].every(({ state }) => state === 'ended'));
    const answering = made.runUnder({ TASKCHART_INSPECT: url }, 'signal', file, 'order-1', 'paid', '"the ring"', '--store', join(made.folder, 'runs'));
    await viewer.until(() => viewer.run('shop')?.run?.state === 'completed', 'its end', 30_000);
    expect((await answering).stdout).toContain('thanks for the ring');
    expect(viewer.run('shop')?.run?.runId).toBe('order-1');
    const top = await made.run('top', '--url', url);
    expect(top.code).toBe(0);
    expect(top.stdout).toMatch(/^2 runs \(/);
    expect(top.stdout).toMatch(/order-1\s+shop\s+completed/);
    expect(top.stdout).toMatch(/order-1\s+shop\s+stopped/);
    const json = JSON.parse((await made.run('top', '--url', url, '--once', '--json')).stdout) as { runs: { run: string; counts: { done: number } }[] };
    expect(json.runs.map(({ run }) => run)).toEqual(['order-1', 'order-1']);
    expect(await stop()).toBe(0);
  }, 90_000);

  it('a checkpoint is shown without a process: with its workflow as a graph, else by its ids', async () => {
    const made = bench();
    const file = made.write('shop.ts', flow);
    const stored = await made.run('run', file, '--store', join(made.folder, 'runs'), '--run-id', 'order-1');
    expect(stored.code).toBe(4);
    const folder = join(made.folder, 'runs', 'order-1');
    const snapshot = join(folder, readdirSync(folder).findLast((name) => name.endsWith('.snapshot')) as string);
    const { viewer, url } = await inspecting(made, file, '--checkpoint', snapshot);
    const seen = await viewer.until(() => viewer.run('shop'), 'the run', 30_000);
    expect(seen.run).toMatchObject({ origin: 'checkpoint', runId: 'order-1', control: [] });
    expect(seen.graph).toMatchObject({ complete: true, root: 'list' });
    expect([...viewer.sources.values()]).toMatchObject([{ kind: 'file', state: 'ended' }]);
    expect(await command({ url }, seen.run?.sessionId as string, { kind: 'cancel' })).toMatchObject({ ok: false });

    const own = workflow('plain', sequence(task('one', async (n: number) => ({ n, secret: 's3cret' })), waitFor('go'), task('two', async () => 1)));
    const run = own.start(7);
    await new Promise((resolve) => void setTimeout(resolve, 20));
    const path = join(made.folder, 'plain.json');
    writeFileSync(path, JSON.stringify(run.snapshot()));
    run.actor.stop();
    const bare = await inspecting(made, '--checkpoint', path);
    const plain = await bare.viewer.until(() => bare.viewer.run('plain'), 'the run', 30_000);
    expect(plain.graph).toMatchObject({ complete: false });
    expect(states(plain)).toEqual({ one: 'done', go: 'waiting', two: 'pending' });
    expect(plain.status?.waitsFor.first).toMatchObject([{ kind: 'signal', signal: 'go' }]);
  }, 90_000);

  it('the address of TASKCHART_INSPECT is taken, so that it can be started again', async () => {
    const made = bench();
    const { url, stop } = await inspecting(made);
    await stop();
    const again = made.runUnder({ TASKCHART_INSPECT: 'http://127.0.0.1/nonsense' }, 'inspect');
    expect(await again).toMatchObject({ code: 2, stderr: expect.stringMatching(/^taskchart: TASKCHART_INSPECT is no address/) });
    const top = await made.runUnder({ TASKCHART_INSPECT: url }, 'top');
    expect(top).toMatchObject({ code: 1, stderr: expect.stringContaining('no relay answers') });
  }, 60_000);

  it('says in one line what is wrong, and never a token', async () => {
    const made = bench();
    writeFileSync(join(made.folder, 'bad.json'), '{"format":"other"}');
    const held = workflow('held', waitFor('go')).start(0);
    const checkpoint = JSON.parse(JSON.stringify(held.snapshot())) as { snapshot: { context: { groups: { depth: number } } } };
    checkpoint.snapshot.context.groups.depth = 1e9;
    writeFileSync(join(made.folder, 'deep.json'), JSON.stringify(checkpoint));
    const { url } = await inspecting(made);
    const wrong = url.replace(/token=.*/, 'token=geheimgeheimgeheim');
    for (const [args, code, text] of [
      [['inspect', 'flow.ts'], 2, '--checkpoint'], [['inspect', '--port', '70000'], 2, 'port'], [['inspect', '--checkpoint', 'missing.json'], 2, 'no such file'], [['inspect', '--checkpoint', 'bad.json'], 2, 'no checkpoint'],
      [['inspect', '--checkpoint', 'deep.json'], 2, 'snapshot.context.groups.depth is 1000000000'],
      [['inspect', '--allow-origin', 'app.example'], 2, 'origin'], [['inspect', '--port', new URL(url).port], 1, 'another process'], [['top'], 2, 'TASKCHART_INSPECT'], [['top', '--url', 'nonsense'], 2, '--url'], [['top', '--url', wrong], 1, 'token'],
    ] as const) {
      const end = await made.run(...args);
      expect([args, end.code, end.stdout], end.stderr).toEqual([args, code, '']);
      expect(end.stderr.trim().split('\n').length).toBe(1);
      expect(end.stderr).toContain(text);
      expect(end.stderr).not.toContain('geheim');
    }
  }, 120_000);
});

describe('the table of top', () => {
  const base = (sessionId: string) => ({ sessionId, rootId: sessionId, createdAt: '1000', id: null, _version: STREAM_VERSION });
  const run = (session: string, fields: Partial<RunMessage>): RunMessage => ({ ...base(session), type: '@taskchart.run', workflow: 'w', state: 'running', origin: 'live', at: 0, revision: 1, steps: 1, control: [], counts: { queued: 0, running: 0, waiting: 0, retrying: 0, done: 0, failed: 0 }, ...fields });
  const worker = (session: string, facts: SystemMessage['facts']): SystemMessage => ({ ...base(session), type: '@taskchart.system', source: 'b', name: 'w1', machine: 'worker', status: 'active', value: 'working', facts, actors: 6, runs: [] });

  it('has rates, queues and workers, what is under way first, and no control characters', () => {
    const stream = new RelayStream();
    const at = 10_000;
    stream.take({ ...base('a'), type: '@taskchart.source', state: 'connected', kind: 'node', pid: 7, title: 'evil\u001b[2J\nname', dropped: 0 }, at);
    stream.take({ ...base('b'), type: '@taskchart.source', state: 'lost', kind: 'node', pid: 8, dropped: 0 }, at);
    stream.take(run('a/x:0', { runId: 'r1', startedAt: 9000, counts: { queued: 5, running: 4, waiting: 1, retrying: 2, done: 1000, failed: 3 } }), at);
    stream.take(run('a/x:0', { runId: 'r1', startedAt: 9000, counts: { queued: 5, running: 4, waiting: 1, retrying: 2, done: 3000, failed: 3 } }), at + 2000);
    stream.take(run('a/x:1', { runId: 'old', state: 'completed', startedAt: 9500, endedAt: 9700 }), at);
    stream.take(run('b/x:0', { runId: 'gone', startedAt: 8000 }), at);
    stream.take(worker('b/x:5', { worker: 'w1', queue: 'mail', slots: 8, pending: 120, served: 100 }), at);
    stream.take(worker('b/x:5', { worker: 'w1', queue: 'mail', slots: 8, pending: 90, served: 150 }), at + 2000);
    const lines = screen(stream, at + 2000);
    expect(lines[0]).toBe('3 runs (2 running, 1 completed), 1,000 tasks/s, 1 process, 1 worker');
    expect(lines.find((line) => line.startsWith('r1'))).toMatch(/^r1\s+w\s+running\s+1,000\s+3,000\s+3\s+4\s+3\s+5\s+3\.0 s\s+evil name 7$/);
    expect(lines.find((line) => line.startsWith('gone'))).toMatch(/lost/);
    expect(lines.findIndex((line) => line.startsWith('old'))).toBeGreaterThan(lines.findIndex((line) => line.startsWith('gone')));
    expect(lines.find((line) => line.startsWith('w1'))).toMatch(/^w1\s+mail\s+working\s+8\s+90\s+150\s+25\s+8 lost$/);
    expect(lines.find((line) => line.startsWith('mail'))).toMatch(/^mail\s+90\s+1\s+8\s+25$/);
    // eslint-disable-next-line no-control-regex
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f]/);
    expect(screen(new RelayStream(), at).join('\n')).toContain('nothing has connected yet');
  });

  it('folds the branches that a worker executes under it, and never lists them as runs', () => {
    const stream = new RelayStream();
    const at = 10_000;
    stream.take({ ...base('b'), type: '@taskchart.source', state: 'connected', kind: 'node', pid: 8, dropped: 0 }, at);
    stream.take({ ...base('c'), type: '@taskchart.source', state: 'lost', kind: 'node', pid: 9, dropped: 0 }, at);
    stream.take(run('a/x:0', { runId: 'r1', startedAt: 9000 }), at);
    for (const [session, queue] of [['b/x:0', 'mail'], ['b/x:1', 'print']] as const) stream.take(worker(session, { worker: session, queue, slots: 8 }), at);
    for (let each = 2; each < 14; each += 1) stream.take(run(`b/x:${each}`, { runId: 'r1', origin: 'branch', workflow: 'payments', state: each < 5 ? 'running' : each === 5 ? 'failed' : 'completed' }), at);
    stream.take(run('c/x:0', { runId: 'r1', origin: 'branch', workflow: 'payments' }), at);
    const lines = screen(stream, at);
    expect(lines[0]).toBe('1 run (1 running), 0 tasks/s, 1 process, 2 workers');
    expect(lines.join('\n')).not.toContain('payments');
    const second = lines.findIndex((line) => line.startsWith('b/x:1'));
    expect(lines[second + 1]).toBe('  12 branches, 3 running, 1 failed');
    expect(lines[second + 2]).toBe('1 branch, 1 lost, in the process 9 lost');
    expect(lines.filter((line) => line.includes('branch'))).toHaveLength(2);
  });
});
