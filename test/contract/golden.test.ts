/** Checkpoints that an earlier version wrote must load for ever. Never regenerate the files: add new ones. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseCheckpoint } from 'taskchart';
import { VirtualClock } from 'taskchart/testing';
import { golden } from '../fixtures/golden/workflow.ts';

const text = (name: string): string => readFileSync(new URL(`../fixtures/golden/v1/${name}.json`, import.meta.url), 'utf8');

describe('golden checkpoints of format 1', () => {
  it.each([
    ['before its first task', 'snapshot-0'],
    ['with a question open and a sleep under way', 'snapshot-1'],
    ['with a sleep under way', 'snapshot-2'],
    ['while it waits for a signal', 'snapshot-3'],
    ['when it has ended', 'snapshot-4'],
  ])('resume %s and come to the same output', async (_, name) => {
    const clock = new VirtualClock(1_700_000_100_000);
    const run = golden.resume(text(name), { clock });
    await clock.advance(1000);
    for (const [signal, value] of [['factor', 3], ['go', 20]] as const) {
      const waits = run.status().waitsFor.some((item) => item.kind === 'signal' && item.name === signal);
      if (waits) run.signal(signal, value);
      await clock.advance(61_000);
    }
    expect(await run.result).toBe('19..21');
  });

  it('say who wrote them', () => {
    const checkpoint = parseCheckpoint(text('snapshot-1'));
    expect(checkpoint).toMatchObject({ format: 'taskchart/checkpoint', version: 1, machineVersion: 1, workflow: 'golden', runId: 'golden-start' });
    expect(checkpoint.graphHash).toBe(golden.definition.graphHash);
  });
});
