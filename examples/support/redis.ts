/**
 * A Redis for the examples: that of REDIS_URL, an installed redis-server or valkey-server, or the one that the tests use.
 * Processes that an example starts find the same place in their environment.
 */
import { sharedServer } from '../../test/redis/server.ts';

export interface ExampleRedis {
  /** For `backendConfig` and for workers. */
  readonly connection: { readonly url: string; readonly namespace: string };
  /** Removes what the example has left, and ends the server if it was started for it. */
  close(): Promise<void>;
}

export async function exampleRedis(): Promise<ExampleRedis> {
  const { TASKCHART_REDIS: url, TASKCHART_NAMESPACE: namespace, EXAMPLE_REDIS } = process.env;
  if (EXAMPLE_REDIS === 'inherited' && url !== undefined && namespace !== undefined) return { connection: { url, namespace }, close: async () => undefined };
  const server = await sharedServer();
  Object.assign(process.env, { TASKCHART_REDIS: server.url, TASKCHART_NAMESPACE: server.namespace, EXAMPLE_REDIS: 'inherited' });
  return { connection: { url: server.url, namespace: server.namespace }, close: () => server.dispose() };
}
