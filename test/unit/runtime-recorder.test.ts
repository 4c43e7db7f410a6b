/** The recorder's promise that nothing accepted is left unwritten, at every moment of its own loop. */
import { expect, it } from 'vitest';
import { Recorder } from '../../src/runtime/recorder.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { RunWriter } from '../../src/ports.ts';

const ticks = Array.from({ length: 12 }, (_, n) => n);

function setUp() {
  const written: string[] = [];
  const writer: RunWriter = {
    stored: undefined,
    append: async (entries) => void written.push(...entries),
    save: async (checkpoint) => void written.push(checkpoint),
    close: async () => undefined,
  };
  const start = { revision: 0, snapshotBytes: 0, journalBytes: 0, posted: 0 };
  const recorder = new Recorder(writer, 'journal', start, () => ({ checkpoint: { snapshot: 'all' } as unknown as Checkpoint, revision: 9 }), (error) => {
    throw error;
  });
  return { written, recorder };
}

it.each(ticks)('writes what is accepted %i microtasks after something else', async (count) => {
  const { written, recorder } = setUp();
  recorder.accept({ type: 'PAUSE' }, 1, 0);
  for (let tick = 0; tick < count; tick += 1) await Promise.resolve();
  recorder.accept({ type: 'RESUME' }, 2, 0);
  await new Promise<void>((resolve) => void setImmediate(resolve));
  expect(written).toEqual(['[1,{"type":"PAUSE"}]', '[2,{"type":"RESUME"}]']);
});

it.each(ticks)('a checkpoint that is asked for %i microtasks after something else is written when its promise resolves', async (count) => {
  const { written, recorder } = setUp();
  recorder.accept({ type: 'PAUSE' }, 1, 0);
  for (let tick = 0; tick < count; tick += 1) await Promise.resolve();
  await recorder.save();
  expect(written.at(-1)).toBe('{"snapshot":"all"}');
});
