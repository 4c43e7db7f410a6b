/** Contracts at run time: inputs and outputs are checked by their schemas on both sides of the function. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ValueError } from '../core/errors.ts';
import type { TaskImplementation } from '../define/definition.ts';

/** Runs an implementation between its schemas. What a schema refuses is a ValueError with the paths. */
export async function validated(implementation: TaskImplementation, node: string, input: unknown, ctx: object): Promise<unknown> {
  const given = implementation.input === undefined ? input : await check(implementation.input, input, `input of "${node}"`);
  const result = await implementation.run?.(given as never, ctx as never);
  if (implementation.output === undefined || isControl(result)) return result;
  return check(implementation.output, result, `output of "${node}"`);
}

/** The value as the schema gives it back. */
export async function check(schema: StandardSchemaV1, value: unknown, where: string): Promise<unknown> {
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return result.value;
  throw refusal(where, result.issues);
}

/** What a schema says against a value, with the paths. */
export function refusal(where: string, found: readonly StandardSchemaV1.Issue[]): ValueError {
  const issues = found.map((issue) => ({ path: pathOf(issue.path), message: issue.message }));
  const told = issues.slice(0, 3).map(({ path, message }) => `${path === '' ? where : `${where} at ${path}`}: ${message}`).join('; ');
  return new ValueError('value/schema', told, {
    hint: 'the value does not fit the schema; the details name every issue',
    details: { path: `${where}${issues[0] === undefined || issues[0].path === '' ? '' : `.${issues[0].path}`}`, issues },
  });
}

function pathOf(path: StandardSchemaV1.Issue['path']): string {
  return (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
}

function isControl(value: unknown): boolean {
  return typeof value === 'object' && value !== null && '~control' in value;
}
