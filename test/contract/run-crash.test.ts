/** A whole run on the file store, its process stopped at every call to the file system: the resumed run ends like one that nobody stopped. */
import { describe, expect, it } from 'vitest';
import { each, isTaskchartError, sequence, task, waitFor, workflow, type Run } from 'taskchart';
import { Disk } from './store/disk.ts';
import { store } from './store/script.ts';

/** What a task function has done in the world, over all processes: key and result. */
type Effects = [key: string, result: string][];

function flowWith(effects: Effects) {
  const note = <T>(ctx: { readonly idempotencyKey: string }, result: T): T => {
    effects.push([ctx.idempotencyKey, JSON.stringify(result)]);
    return result;
  };
  const attempts = new Map<number, number>();
  const list = task('list', (n: number, ctx) => note(ctx, Array.from({ length: n }, (_, index) => index)));
  const square = task('square', async (n: number, ctx) => {
    attempts.set(n, (attempts.get(n) ?? 0) + 1);
    if (n === 2 && ctx.attempt === 1) throw new Error('once');
    return note(ctx, n * n);
  }, { retry: { attempts: 2 } });
  const half = task('half', async (n: number, ctx) => {
    ctx.channel.add('sum', n);
    return note(ctx, n / 2);
  });
  const loop = task('loop', async (all: readonly number[], ctx) => {
    await ctx.checkpoint();
    return all.length < 6 ? ctx.nextIteration([...all, all.length]) : note(ctx, all);
  });
  const end = task('end', async (given: string, ctx) => note(ctx, `${given} ${ctx.channel.get('sum') ?? 0}`));
  return workflow('crashes', sequence(list, each(sequence(square, half)).withExecution({ backend: 'local', concurrency: 2 }), loop, waitFor('go'), task('name', (go: unknown) => String(go)), end));
}

async function finish(run: Run<string>): Promise<string> {
  run.on((event) => {
    if (event.type === 'run.waiting') run.signal('go', 'went');
  });
  if (run.status().state === 'waiting') run.signal('go', 'went');
  return run.result;
}

/** Starts the run, or goes on with what the disk has of it. */
async function live(disk: Disk, effects: Effects): Promise<string> {
  const flow = flowWith(effects);
  const files = store(disk);
  try {
    return await finish(await flow.resume(files, 'r'));
  } catch (thrown) {
    if (!isTaskchartError(thrown) || thrown.code !== 'checkpoint/unknown-run') throw thrown;
  }
  return finish(flow.start(4, { store: files, runId: 'r' }));
}

describe('a run whose process stops at any call to the file system', { timeout: 120_000 }, () => {
  it.each(['none', 'all'] as const)('ends like an uninterrupted one (lost of what was not synced: %s)', async (loss) => {
    const whole = new Disk();
    const wanted: Effects = [];
    const output = await live(whole, wanted);
    const calls = whole.calls;
    expect(calls).toBeGreaterThan(20);
    for (let stopAt = 1; stopAt <= calls; stopAt += 1) {
      const where = `stopped at call ${stopAt} of ${calls}`;
      const disk = new Disk();
      disk.plan({ stopAt, share: 0.5 });
      const effects: Effects = [];
      await Promise.race([live(disk, effects).catch((thrown: unknown) => {
        if (!disk.hasStopped) throw thrown;
      }), disk.stopped]);
      const survivor = disk.survivor(loss);
      const stored = await store(survivor).load('r');
      const before = effects.length;
      expect(await live(survivor, effects), where).toBe(output);
      const results = new Map<string, string>();
      for (const [key, result] of effects) {
        expect(results.get(key) ?? result, `${where}: ${key} names one execution`).toBe(result);
        results.set(key, result);
      }
      expect([...results].toSorted(), where).toEqual([...wanted].toSorted());
      if (stored === undefined) expect(effects.length - before, where).toBe(wanted.length);
    }
  });
});
