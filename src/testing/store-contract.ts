/**
 * The contract of `CheckpointStore` as a list of cases, for stores of your own and for ours.
 *
 *   for (const { name, run } of checkpointStoreContract(make)) test(name, run);
 *
 * Owns: the cases' list and their fresh stores. Does not own: the cases (store-cases-*.ts). Needs no test runner: a case
 * that rejects has failed, and its message begins with what was expected.
 */
import { durabilityCases } from './store-cases-durability.ts';
import { messageCases } from './store-cases-messages.ts';
import { ownershipCases } from './store-cases-ownership.ts';
import type { Case, StoreUnderTest } from './store-cases.ts';

export type { StoreUnderTest } from './store-cases.ts';

export interface StoreContractCase {
  /** Begins with the number of the contract's point. */
  readonly name: string;
  run(): Promise<void>;
}

/** One case for each thing that the contract of `CheckpointStore` promises. `make` gives each case an empty store. */
export function checkpointStoreContract(make: () => Promise<StoreUnderTest>): readonly StoreContractCase[] {
  const cases: Readonly<Record<string, Case>> = { ...ownershipCases, ...durabilityCases, ...messageCases };
  return Object.entries(cases).map(([name, check]) => ({
    name,
    async run() {
      const subject = await make();
      try {
        await check(subject);
      } finally {
        await subject.dispose();
      }
    },
  }));
}
