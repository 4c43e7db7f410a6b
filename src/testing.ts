/** For tests: virtual time and seeded randomness, to hand to `workflow.start(input, { clock, random })`, and the contract that stores are held to. */
export { VirtualClock } from './testing/virtual-clock.ts';
export { seededRandom } from './testing/seeded-random.ts';
export { checkpointStoreContract } from './testing/store-contract.ts';
export type { StoreContractCase, StoreUnderTest } from './testing/store-contract.ts';
