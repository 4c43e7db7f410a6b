/** The process-wide table of tasks and workflows. */
import { expect, test } from 'vitest';
import { contract, task, workflow } from '../../src/index.ts';
import { findTask, findWorkflow, knownIds, registerTask } from '../../src/define/registry.ts';
import { z } from 'zod';

test('tasks, contracts and workflows are found by id; two live ones are ambiguous', () => {
  const one = task('registry.one', () => 1);
  const second = contract('registry.contract', { input: z.string(), output: z.string() });
  const flow = workflow('registry.flow', one);
  expect(findTask('registry.one')).toBe(one);
  expect(findTask('registry.contract')).toBe(second);
  expect(findWorkflow('registry.flow')).toBe(flow);
  expect(findTask('registry.flow')).toBeUndefined();
  expect(knownIds('tasks')).toContain('registry.one');
  const other = task('registry.one', () => 2);
  expect(findTask('registry.one')).toBe('ambiguous');
  expect(other.id).toBe(one.id);
  registerTask(second);
  expect(findTask('registry.contract')).toBe(second);
});

test('tasks written in place are not registered', () => {
  const flow = task('registry.first', () => 1).to('registry.inline', (n) => n);
  expect(flow.kind).toBe('flow');
  expect(findTask('registry.inline')).toBeUndefined();
});
