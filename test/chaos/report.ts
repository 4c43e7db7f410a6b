/** What chaos has to say in the end. */
import type { ChaosReport } from './chaos.ts';

export function reportLines(report: ChaosReport): string[] {
  const faults = Object.entries(report.faults).toSorted(([, a], [, b]) => b - a);
  return [
    ...faults.map(([kind, times]) => `${String(times).padStart(6)}  ${kind}`),
    `${String(report.runs).padStart(6)}  runs, ${report.executions} executions, of which ${report.repeated} were repeats of others`,
    `${(report.slowestRecoveryMs / 1000).toFixed(1).padStart(6)}  seconds from the last fault until every run had ended`,
  ];
}

/** Everything that must not be; empty when all is well. */
export function verdictOf({ lost, unexpected, unexplained, wrong, left, runs, executions, seed }: ChaosReport): string[] {
  const some = (list: readonly string[]): string => `${list.slice(0, 5).join(', ')}${list.length > 5 ? `, and ${list.length - 5} more` : ''}`;
  const problems: string[] = [];
  if (runs === 0 || executions === 0) problems.push('no run ended, so nothing is proved');
  if (lost.length > 0) problems.push(`${lost.length} executions were lost: ${some(lost)}`);
  if (unexpected.length > 0) problems.push(`${unexpected.length} executions that no run should have: ${some(unexpected)}`);
  if (unexplained.length > 0) problems.push(`${unexplained.length} repeats that no fault explains: ${some(unexplained)}`);
  if (wrong.length > 0) problems.push(`${wrong.length} wrong outputs: ${some(wrong)}`);
  if (left.length > 0) problems.push(`${left.length} keys stay for ever: ${some(left)}`);
  return problems.map((problem) => `seed ${seed}: ${problem}`);
}
