/**
 * Steps whose replies are lost, or that are executed when nobody expects them any more, on a real server: each unit has one
 * result in the end, and is in one list all the time. Here the way to the server is the test's own, so that it decides what
 * is executed and when.
 */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Reply } from '../../../src/adapters/redis/client.ts';
import { keysOf } from '../../../src/adapters/redis/keys.ts';
import type { Keys } from '../../../src/adapters/redis/keys.ts';
import { redisSettings } from '../../../src/adapters/redis/settings.ts';
import { step } from '../../../src/adapters/redis/scripts/step.ts';
import { sayStep, WorkerSlots } from '../../../src/adapters/redis/step-call.ts';
import { connectTransport } from '../../../src/adapters/redis/transport.ts';
import { unitHeader } from '../../../src/core/messages.ts';
import type { Ack, StepReply, StepRequest, Transport } from '../../../src/ports.ts';
import { seededRandom } from '../../../src/testing/seeded-random.ts';
import { sharedServer } from '../../redis/server.ts';
import type { SharedServer } from '../../redis/server.ts';
import { done, ids, unit } from './subject.ts';

let server: SharedServer;
let raw: Redis;

beforeAll(async () => {
  server = await sharedServer();
  raw = server.client();
});

afterAll(async () => {
  await server.dispose();
});

/** The caller hears nothing. */
class Lost extends Error {}

const identity = { worker: 'w', nonce: 'n', queue: 'q', slots: 4, leaseMs: 60_000 };
const UNITS = 60;

class Late {
  readonly keys: Keys;
  readonly transport: Transport;
  readonly #slots = new WorkerSlots('n');
  readonly #late: (() => Promise<unknown>)[] = [];
  readonly held = new Map<number, string>();
  trusted = 0;

  constructor(namespace: string) {
    this.keys = keysOf(namespace);
    this.transport = connectTransport(redisSettings({ url: server.url, namespace }, 'test'));
  }

  /** One attempt of a call. */
  async attempt(request: StepRequest, fate: 'ok' | 'reply lost' | 'late'): Promise<StepReply | undefined> {
    const row = this.#slots.begin(request);
    const said = sayStep(this.keys, request, 1, row, async ({ keys, args }) => {
      const execute = (): Promise<unknown> => raw.eval(step.lua, keys.length, ...keys, ...(args as string[]));
      if (fate === 'late') this.#late.push(execute);
      else {
        const answer = await execute();
        if (row.trusted.includes(true) && (answer as unknown[])[5] === 1) this.trusted += 1;
        if (fate === 'ok') return answer as Reply;
      }
      throw new Lost();
    });
    return said.catch((thrown: unknown) => {
      if (thrown instanceof Lost) return undefined;
      throw thrown;
    });
  }

  async arrive(at: number): Promise<void> {
    const [execute] = this.#late.splice(Math.floor(at * this.#late.length), 1);
    await execute?.();
  }

  /** Where every unit is, sorted. */
  async present(): Promise<readonly string[]> {
    const slots = Array.from({ length: identity.slots }, (_, slot) => this.keys.slot('w', slot));
    const texts = await Promise.all([this.keys.queue('q'), this.keys.results('r'), ...slots].map((key) => raw.lrange(key, 0, -1)));
    return texts.flat().map((text) => unitHeader(text)?.id ?? (text.split('|')[1] as string)).sort();
  }
}

test.each([1, 2, 3, 4, 5, 6])('seed %i', async (seed) => {
  const random = seededRandom(seed);
  const late = new Late(`${server.namespace}-${seed}`);
  const { lists } = late.transport;
  const acquired = await lists.acquire({ run: 'r', nonce: 'a' });
  if (acquired.status !== 'acquired') throw new Error(acquired.status);
  const all = ids(1, UNITS);
  await lists.push({ run: 'r', fence: acquired.fence, batch: 1, queue: 'q', units: all.map((id) => unit('r', id)) });
  await lists.register({ ...identity, deliveries: 1000, at: 1 });
  const said: string[] = [];
  const check = async (what: string): Promise<void> => {
    said.push(what);
    expect(await late.present(), `seed ${seed}, after ${said.slice(-6).join(', ')}`).toEqual([...all].sort());
  };
  for (let turn = 0; (await raw.llen(late.keys.results('r'))) < UNITS; turn += 1) {
    if (turn > 2000) throw new Error(`seed ${seed}: it does not end`);
    // What goes wrong stops after a while, so that it can end.
    const trouble = turn < 150;
    const acks: Ack[] = [...late.held].filter(() => random.next() < 0.6).map(([slot, text]) => done(slot, text));
    const free = [0, 1, 2, 3].filter((slot) => !late.held.has(slot) || acks.some((ack) => ack.slot === slot));
    const request: StepRequest = { ...identity, acks, claims: free.filter(() => random.next() < 0.8), runs: ['r'] };
    let reply: StepReply | undefined;
    while (reply === undefined) {
      const fate = !trouble || random.next() < 0.6 ? 'ok' : random.next() < 0.5 ? 'reply lost' : 'late';
      reply = await late.attempt(request, fate);
      await check(`step (${fate})`);
      if (trouble && random.next() < 0.3) {
        await late.arrive(random.next());
        await check('a late step');
      }
    }
    for (const { slot } of acks) late.held.delete(slot);
    for (const { slot, unit: text } of reply.claimed) late.held.set(slot, text);
    if (trouble && random.next() < 0.1) {
      await raw.lmove(late.keys.queue('q'), late.keys.slot('w', Math.floor(random.next() * 4)), 'LEFT', 'RIGHT');
      await check('a late wait');
    }
    if (trouble && random.next() < 0.1) {
      await raw.del(late.keys.lease('w'));
      if (random.next() < 0.5) await lists.reap({ deliveries: 1000, at: 1 });
      await check('a lease lost');
    }
  }
  expect(late.trusted, 'steps that took the worker at its word').toBeGreaterThan(5);
  await lists.close();
});
