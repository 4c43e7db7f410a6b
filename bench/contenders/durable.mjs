/** Durable runs: taskchart with its file store (fsync on), a bare append with fdatasync per step, LangGraph with a saver in memory. */
import { closeSync, fdatasyncSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { each, task, workflow } from '../../dist/index.js';
import { fileStore } from '../../dist/stores.js';
import { workDir } from '../lib/places.mjs';
import { deferred, range, timed, verify, verifyChain, verifyFanOut } from '../lib/measure.mjs';

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function inFolder(work) {
  mkdirSync(workDir, { recursive: true });
  const folder = mkdtempSync(join(workDir, 'durable-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function bytesIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    return sum + (entry.isDirectory() ? bytesIn(path) : statSync(path).size);
  }, 0);
}

const wide = (concurrency) => workflow('wide', each(task('add', async (x) => x + 1)).withExecution({ backend: 'local', concurrency }));

export async function fanOutInMemory({ n, concurrency }) {
  const items = range(n);
  const { ms, value } = await timed(() => wide(concurrency).run(items));
  verifyFanOut(value, n);
  return { ms };
}

export async function fanOut({ n, concurrency }) {
  return inFolder(async (folder) => {
    const items = range(n);
    const { ms, value } = await timed(() => wide(concurrency).start(items, { store: fileStore(folder), runId: 'r' }).result);
    verifyFanOut(value, n);
    return { ms, bytes: bytesIn(folder) };
  });
}

/** Each step takes a turn of the event loop, so each is an entry of its own in the journal. */
function stepwise(n) {
  return workflow('stepwise', task('step', async (x, ctx) => {
    await turn();
    return x + 1 < n ? ctx.nextIteration(x + 1) : x + 1;
  }, { maxIterations: n + 1 }));
}

export async function steps({ n }) {
  return inFolder(async (folder) => {
    let journal = 0;
    const store = fileStore(folder);
    const open = async (runId, owner) => {
      const writer = await store.open(runId, owner);
      const append = (entries, revision) => {
        for (const entry of entries) journal += entry.length + 10;
        return writer.append(entries, revision);
      };
      return { stored: writer.stored, append, save: (text, revision) => writer.save(text, revision), close: () => writer.close() };
    };
    const counted = new Proxy(store, { get: (target, name) => (name === 'open' ? open : target[name]?.bind?.(target)) });
    const { ms, value } = await timed(() => stepwise(n).start(0, { store: counted, runId: 'r' }).result);
    verifyChain(value, n);
    return { ms, bytes: journal };
  });
}

export async function stepsInMemory({ n }) {
  const { ms, value } = await timed(() => stepwise(n).run(0));
  verifyChain(value, n);
  return { ms };
}

export async function append({ n }) {
  return inFolder(async (folder) => {
    const file = openSync(join(folder, 'log'), 'a');
    const line = `${'x'.repeat(39)}\n`;
    let x = 0;
    const { ms } = await timed(async () => {
      for (let i = 0; i < n; i += 1) {
        await turn();
        x += 1;
        writeSync(file, line);
        fdatasyncSync(file);
      }
    });
    closeSync(file);
    verifyChain(x, n);
    return { ms, bytes: n * line.length };
  });
}

export async function langgraph({ n }) {
  const { Annotation, END, MemorySaver, START, StateGraph } = await import('@langchain/langgraph');
  const graph = new StateGraph(Annotation.Root({ x: Annotation() }))
    .addNode('step', async ({ x }) => {
      await turn();
      return { x: x + 1 };
    })
    .addEdge(START, 'step')
    .addConditionalEdges('step', ({ x }) => (x < n ? 'step' : END), ['step', END])
    .compile({ checkpointer: new MemorySaver() });
  const { ms, value } = await timed(() => graph.invoke({ x: 0 }, { recursionLimit: n + 10, configurable: { thread_id: 'r' } }));
  verifyChain(value.x, n);
  return { ms };
}

/** A run of `done` finished members and `open` that never end is given up; another takes it over. */
export async function resume({ done, open }) {
  return inFolder(async (folder) => {
    const n = done + open;
    const blocked = deferred();
    let started = 0;
    let first = deferred();
    const flow = workflow('resumed', each(task('item', async (x) => {
      started += 1;
      if (x < open) {
        first.resolve();
        await blocked.promise;
      }
      return x + 1;
    })).withExecution({ backend: 'local', concurrency: open + 64 }));
    const store = fileStore(folder);
    const run = flow.start(range(n), { store, runId: 'r' });
    while (started < n) await turn();
    await turn();
    await run.checkpoint();
    run.actor.stop();
    await run.result.catch(() => undefined);
    first = deferred();
    const before = started;
    const { ms, value } = await timed(async () => {
      const again = await flow.resume(store, 'r');
      await first.promise;
      return again;
    });
    blocked.resolve();
    verifyFanOut(await value.result, n);
    verify(started - before === open, `${started - before} tasks ran again, ${open} were open`);
    return { ms };
  });
}
