/** Example 10 with --live: the address that it prints serves a viewer, and the run goes on when that viewer answers. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { Viewer } from '../browser/support/viewer.ts';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');

let child: ChildProcess | undefined;
afterEach(() => child?.kill());

it('waits for the approval, and goes on with it', async () => {
  child = spawn(process.execPath, ['--import', 'tsx', join(repository, 'examples/10-inspect-live.ts'), '--live'], { cwd: repository, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const address = /^open (http:\/\/127\.0\.0\.1:\S+)$/.exec(String((await lines.next()).value))?.[1] ?? '';
  expect((await fetch(new URL('/', address))).status).toBe(403);
  expect(await (await fetch(address)).text()).toMatch(/^<!doctype html>/i);

  const viewer = new Viewer(address);
  const { session, seen } = await viewer.untilWaitingFor('approval');
  const resized = seen.flatMap((message) => (message.type === '@taskchart.group' && message.size === 1000 ? [message.done] : []));
  expect(resized.at(-1)).toBe(1000);
  // It was seen while it happened.
  expect(new Set(resized).size).toBeGreaterThan(5);

  expect(await viewer.command(session, { kind: 'signal', name: 'approval', value: 'by the test' })).toMatchObject({ ok: true });
  expect((await lines.next()).value).toBe('published: by the test');

  const ended = new Promise((done) => child?.once('exit', done));
  child.stdin?.write('\n');
  expect(await ended).toBe(0);
}, 60_000);
