/** One fan-out of taskchart, watched by nobody, by its own inspector, and by Stately's; the viewer is in another process. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createWebSocketInspector } from '@statelyai/inspect';
import { each, task, workflow } from '../../dist/index.js';
import { connectInspector } from '../../dist/inspect.js';
import { range, timed, verifyFanOut } from '../lib/measure.mjs';

const addOne = async (x) => x + 1;
const flow = (concurrency) => workflow('fan-out', each(task('add', addOne)).withExecution({ backend: 'local', concurrency }));

async function measured({ n, concurrency, warm = 0 }, inspect, told = async () => {}) {
  const items = range(n);
  const wf = flow(concurrency);
  for (let i = 0; i < warm; i += 1) {
    await wf.start(items, { inspect }).result;
    await told(i + 1);
  }
  const { ms, value } = await timed(() => wf.start(items, { inspect }).result);
  verifyFanOut(value, n);
  const after = await timed(() => told(warm + 1));
  return { ms, toldMs: ms + after.ms };
}

export const unwatched = (params) => measured(params, undefined);

export async function own(params) {
  const viewer = await watcher('relay.mjs');
  const inspector = connectInspector(viewer.url);
  return measured(params, inspector, async (runs) => {
    await inspector.settle();
    await viewer.seen(runs);
  });
}

export async function stately(params) {
  const viewer = await watcher('stately.mjs');
  const inspector = createWebSocketInspector({ url: viewer.url });
  await new Promise((resolve) => setTimeout(resolve, 300));
  return measured(params, inspector.inspect, viewer.seen);
}

/** Starts the other process; it has a viewer open when this resolves. */
async function watcher(file) {
  const child = fork(new URL(`../watchers/${file}`, import.meta.url), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  let ended = 0;
  let wake = () => {};
  child.on('message', (message) => {
    ended = message.ended ?? ended;
    wake();
  });
  const [{ url }] = await once(child, 'message');
  return {
    url,
    async seen(runs) {
      while (ended < runs) await new Promise((resolve) => (wake = resolve));
    },
  };
}
