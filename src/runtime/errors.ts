/** Errors of the runtime that more than one file gives. */
import { DefinitionError } from '../core/errors.ts';
import type { WorkflowCode } from './code.ts';

export function unknownTask(code: WorkflowCode, task: string): DefinitionError {
  return new DefinitionError('definition/unknown-task', `workflow "${code.workflow}" stands at the task "${task}", whose code is not loaded in this process`, {
    hint: `import the module that defines it, or declare it: workflow("${code.workflow}", root, { uses: [step] })`,
  });
}
