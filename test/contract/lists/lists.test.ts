/** TaskLists and Signals: one contract, held by the simulated server and by a real one. */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe } from 'vitest';
import { sharedServer, startServer } from '../../redis/server.ts';
import type { SharedServer, TestServer } from '../../redis/server.ts';
import { listsContract } from './contract.ts';
import { realLists } from './real.ts';
import { simulatedLists } from './simulated.ts';

describe('the simulated server', () => {
  listsContract(simulatedLists);
});

describe('a real server', () => {
  let server: SharedServer;
  let raw: Redis;

  beforeAll(async () => {
    server = await sharedServer();
    raw = server.client();
  });

  afterAll(async () => {
    await server.dispose();
  });

  listsContract(realLists(() => ({ url: server.url, namespace: server.namespace, raw })));
});

describe('a cluster, with a prefix', () => {
  let server: TestServer;
  let raw: Redis;

  beforeAll(async () => {
    server = await startServer({ cluster: true });
    raw = server.client();
  });

  afterAll(async () => {
    await server.dispose();
  });

  const settings = (): Readonly<Record<string, unknown>> => ({ cluster: [{ host: server.host, port: server.port }], prefix: 'app:' });
  listsContract(realLists(() => ({ url: server.url, namespace: 'clustered', raw }), settings));
});
