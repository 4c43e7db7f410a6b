/** The simulated server under the contract suite. */
import { SimulatedServer } from '../../../src/adapters/simulated/lists.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import type { ListsUnderTest } from './subject.ts';

export async function simulatedLists(startAt = 1_000_000): Promise<ListsUnderTest> {
  const clock = new VirtualClock(startAt);
  const server = new SimulatedServer({ clock });
  return {
    keys: server.keys,
    connect: () => server.connect(),
    list: async (key) => server.list(key),
    all: async () => server.all(),
    put: async (key, texts) => server.put(key, texts),
    timeLeft: async (key) => server.timeLeft(key),
    pass: (ms) => clock.advance(ms),
    dispose: async () => server.stop(),
  };
}
