import { describe, expect, it } from 'vitest';
import { Bench } from './support/bench.ts';

describe('smoke', () => {
  it('dispatches and collects', async () => {
    const bench = new Bench();
    const run = bench.run();
    run.plan(1, [0, 1, 2]);
    await bench.pass(0);
    expect(run.state).toBe('working.collect');
    expect(run.pending.length).toBe(3);
    const worker = await bench.worker().register(0);
    await worker.claim();
    await worker.finish();
    await bench.pass(0);
    expect(run.ids()).toEqual(['1.0.0', '1.1.0', '1.2.0']);
    await bench.pass(10_000);
    expect(run.taken).toEqual([]);
    await run.coordinator.close('ended');
    expect(bench.keys()).toEqual([]);
    expect(bench.problems).toEqual([]);
    console.log(bench.calls);
  });
});
