/**
 * The Redis that the fixtures of this process name in their workflows, and workers for them.
 *
 * Owns: one server and namespace for a test file, found before any workflow is built. Does not own: finding a server
 * (test/redis/server.ts).
 *
 * Invariants
 * 1. Threads and processes that a test starts load the same fixtures and name the same place: it is in their environment.
 * 2. Only the main thread of the test's own process starts a server, and ends it.
 */
import { isMainThread } from 'node:worker_threads';
import type { Redis } from 'ioredis';
import type { RedisConfig } from 'taskchart';
import { sharedServer, type SharedServer } from '../../redis/server.ts';

const VARIABLE = 'TASKCHART_TEST_PLACE';

interface Place {
  readonly url: string;
  readonly namespace: string;
}

async function findPlace(): Promise<{ readonly place: Place; readonly server?: SharedServer }> {
  const given = process.env[VARIABLE];
  if (given !== undefined) return { place: JSON.parse(given) as Place };
  if (!isMainThread) throw new Error(`${VARIABLE} is not set in this thread`);
  const server = await sharedServer();
  const place = { url: server.url, namespace: server.namespace };
  process.env[VARIABLE] = JSON.stringify(place);
  return { place, server };
}

const { place, server } = await findPlace();

/** A queue of the place. */
export function redisConfig(queue: string): RedisConfig & Place {
  return { ...place, queue };
}

/** A plain connection; closed with the place. */
export function placeClient(): Redis {
  if (server === undefined) throw new Error('only the test itself looks into the server');
  return server.client();
}

/** To be called when the tests of the file are over. */
export async function leavePlace(): Promise<void> {
  await server?.dispose();
}
