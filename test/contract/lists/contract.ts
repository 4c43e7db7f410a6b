/** The contract of TaskLists and Signals, for every implementation. */
import { runCases } from './run-cases.ts';
import type { ListsUnderTest, MakeLists } from './subject.ts';
import { workerCases } from './worker-cases.ts';

/** To be called inside a `describe`. */
export function listsContract(make: MakeLists): void {
  const use = (check: (subject: ListsUnderTest) => Promise<void>) => async (): Promise<void> => {
    const subject = await make();
    try {
      await check(subject);
    } finally {
      await subject.dispose();
    }
  };
  runCases(use);
  workerCases(use);
}
