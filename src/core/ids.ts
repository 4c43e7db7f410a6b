/** The grammar of ids: what a task, group, workflow, signal or member may be called. */
import { DefinitionError } from './errors.ts';
import { preview } from './json.ts';

const plain = /^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/;
const grammar = /^[\p{L}\p{N}_][\p{L}\p{N}_.@-]*$/u;
const maxLength = 200;

/** Ids become keys of records, so the names that every object has are taken. */
const taken: ReadonlySet<string> = new Set(['prototype', ...Object.getOwnPropertyNames(Object.prototype)]);

const grammarText =
  'An id has 1 to 200 characters: letters, digits and _ . @ -, and begins with a letter, a digit or _. ' +
  'Names that every object has, such as constructor, are not allowed.';

/** Returns the id, or throws a DefinitionError that shows it and the grammar. `kind` says whose id it is: `task`, `workflow`. */
export function checkId(kind: string, id: unknown): string {
  const problem = problemOf(id);
  if (problem === undefined) return id as string;
  throw new DefinitionError('definition/bad-id', `The id of a ${kind} ${problem}: ${preview(id, 60)}.`, {
    hint: grammarText,
    details: { kind, id: preview(id, 60) },
  });
}

export function isId(id: unknown): id is string {
  return problemOf(id) === undefined;
}

function problemOf(id: unknown): string | undefined {
  if (typeof id !== 'string') return `must be a string, not ${id === null ? 'null' : typeof id}`;
  if (id === '') return 'is empty';
  if (id.length > maxLength) return `has ${id.length} characters, more than ${maxLength}`;
  if (!plain.test(id) && !grammar.test(id)) return 'has a character that is not allowed';
  if (taken.has(id)) return 'is a name that every object has';
  return undefined;
}
