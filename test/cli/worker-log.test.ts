/** What a worker writes to stderr. */
import { expect, it } from 'vitest';
import { jsonLines } from '../../src/cli/worker.ts';

it('is JSON, one line per entry, without those for debugging', () => {
  const lines: unknown[] = [];
  const logger = jsonLines({ process: { stderr: { write: (text: string) => lines.push(JSON.parse(text)) } } as unknown as NodeJS.Process });
  for (const level of ['debug', 'info', 'warn', 'error'] as const) logger.log(level, `at ${level}`, { failures: 2 });
  expect(lines).toMatchObject([{ level: 'info', message: 'at info', failures: 2 }, { level: 'warn' }, { level: 'error' }]);
  expect(lines).toHaveLength(3);
});
