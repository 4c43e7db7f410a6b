/** The contract of CheckpointStore, against each store of ours. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fileStore, memoryStore } from '../../src/stores.ts';
import { checkpointStoreContract, type StoreUnderTest } from '../../src/testing/store-contract.ts';

async function memory(): Promise<StoreUnderTest> {
  const store = memoryStore();
  return { store, reopen: async () => store, dispose: async () => undefined };
}

async function file(options?: { sync: boolean }): Promise<StoreUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'taskchart-store-'));
  const path = join(folder, 'runs');
  return { store: fileStore(path, options), reopen: async () => fileStore(path, options), dispose: () => rm(folder, { recursive: true }) };
}

describe.each([
  ['memoryStore', memory],
  ['fileStore', () => file()],
  ['fileStore without sync', () => file({ sync: false })],
])('%s', (_, make) => {
  it.each(checkpointStoreContract(make).map(({ name, run }) => [name, run] as const))('%s', async (_name, run) => {
    await expect(run()).resolves.toBe(undefined);
  });
});
