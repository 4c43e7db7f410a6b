/** Random walks: no call, nor its repetition, loses or doubles a unit; and the simulated server does what a real one does. */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sharedServer } from '../../redis/server.ts';
import type { SharedServer } from '../../redis/server.ts';
import { realLists } from './real.ts';
import { simulatedLists } from './simulated.ts';
import { walk, WALK_STARTS_AT } from './walk.ts';

let server: SharedServer;
let raw: Redis;

beforeAll(async () => {
  server = await sharedServer();
  raw = server.client();
});

afterAll(async () => {
  await server.dispose();
});

const make = realLists(() => ({ url: server.url, namespace: server.namespace, raw }), undefined, { now: () => WALK_STARTS_AT });

test.each([1, 2, 3, 4, 5, 6, 7, 8])('seed %i', async (seed) => {
  const [simulated, real] = [await simulatedLists(WALK_STARTS_AT), await make()];
  try {
    const expected = await walk(simulated, seed, 150);
    const found = await walk(real, seed, 150);
    const keys = (text: string): string => text.replaceAll(real.keys.control.slice(0, -3), simulated.keys.control.slice(0, -3));
    for (const [at, step] of expected.entries()) expect(JSON.parse(keys(JSON.stringify(found[at]))), `seed ${seed}, step ${at + 1}: ${step.call}`).toEqual(JSON.parse(JSON.stringify(step)));
  } finally {
    await simulated.dispose();
    await real.dispose();
  }
});
