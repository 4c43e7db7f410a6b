/** For tests: virtual time and seeded randomness, to hand to `workflow.start(input, { clock, random })`. */
export { VirtualClock } from './testing/virtual-clock.ts';
export { seededRandom } from './testing/seeded-random.ts';
