/** Inspected processes: what the environment asks for, that a process ends when it is done, and what is seen of one that is killed. */
import { spawn } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { startRelay, type Relay } from 'taskchart/inspect';
import { TestViewer } from './support/viewer.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const program = fileURLToPath(new URL('../fixtures/inspect/run.ts', import.meta.url));

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function watched(): Promise<{ readonly relay: Relay; readonly viewer: TestViewer }> {
  const relay = await startRelay({ page: 'x' });
  const viewer = new TestViewer(relay);
  cleanups.push(() => relay.close(), () => viewer.close());
  return { relay, viewer };
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], inspect?: string): { readonly pid: number; readonly kill: () => void; readonly ended: Promise<Ended> } {
  const { TASKCHART_INSPECT: _, NODE_OPTIONS: __, ...env } = process.env;
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], { cwd: repository, env: { ...env, ...(inspect === undefined ? {} : { TASKCHART_INSPECT: inspect }) } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (part: Buffer) => (stdout += String(part)));
  child.stderr.on('data', (part: Buffer) => (stderr += String(part)));
  const ended = new Promise<Ended>((resolve) => void child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })));
  cleanups.push(() => child.kill('SIGKILL'));
  return { pid: child.pid ?? 0, kill: () => void child.kill('SIGKILL'), ended };
}

describe('a process with one run', () => {
  it.each(['the environment', 'connectInspector(url)'])('is seen to its end, and ends by itself: %s', async (how) => {
    const { relay, viewer } = await watched();
    const child = how === 'the environment' ? start([], relay.url) : start([relay.url]);
    const seen = await viewer.until(() => (viewer.run('outside')?.run?.state === 'completed' ? viewer.run('outside') : undefined), 'the end of the run', 20_000);
    expect(seen.run).toMatchObject({ runId: 'outside-1' });
    expect(seen.output?.text).toBe('2');
    expect(await child.ended).toMatchObject({ code: 0, stdout: '2\n', stderr: '' });
    await viewer.until(() => [...viewer.sources.values()][0]?.state === 'ended');
    expect([...viewer.sources.values()]).toMatchObject([{ kind: 'node', pid: child.pid, title: how === 'the environment' ? 'run.ts' : 'a child' }]);
  }, 40_000);

  it('that is killed is lost', async () => {
    const { relay, viewer } = await watched();
    const child = start([relay.url, 'hang']);
    await viewer.until(() => viewer.run('outside')?.run?.state === 'running' && [...viewer.sources.values()][0]?.state === 'connected', 'the run', 20_000);
    // It has to listen before its end can be noticed.
    await viewer.until(() => viewer.run('outside')?.tasks.get('one')?.state === 'running');
    child.kill();
    expect((await child.ended).signal).toBe('SIGKILL');
    await viewer.until(() => [...viewer.sources.values()][0]?.state === 'lost');
    expect(viewer.run('outside')?.run?.state).toBe('running');
  }, 40_000);

  it('ends although the relay goes on answering for good', async () => {
    const asked: string[] = [];
    const trickles = createHttpServer((request, response) => {
      asked.push(request.method ?? '');
      request.resume();
      response.writeHead(200);
      const drip = setInterval(() => response.write('\n'), 100);
      response.once('close', () => clearInterval(drip));
    });
    await new Promise<void>((resolve) => void trickles.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => (trickles.closeAllConnections(), trickles.close()));
    const child = start([`http://127.0.0.1:${(trickles.address() as { port: number }).port}/?token=x`]);
    expect(await child.ended).toMatchObject({ code: 0, stdout: '2\n', stderr: '' });
    expect(asked).toContain('POST');
  }, 40_000);

  it('runs and ends as ever where nothing listens, something hangs, or the address is wrong', async () => {
    const held: Socket[] = [];
    const silent = createServer((socket) => void held.push(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => (held.forEach((socket) => socket.destroy()), silent.close()));
    const hangs = `http://127.0.0.1:${(silent.address() as { port: number }).port}/?token=x`;
    const [nobody, hanging, wrong] = await Promise.all([start([], 'http://127.0.0.1:9/?token=x').ended, start([hangs]).ended, start([], 'http://127.0.0.1:9/').ended]);
    expect(nobody).toMatchObject({ code: 0, stdout: '2\n', stderr: '' });
    expect(hanging).toMatchObject({ code: 0, stdout: '2\n', stderr: '' });
    expect(wrong).toMatchObject({ code: 0, stdout: '2\n' });
    expect(wrong.stderr).toContain('TASKCHART_INSPECT');
    expect(wrong.stderr.trim().split('\n').length).toBe(1);
  }, 60_000);
});
