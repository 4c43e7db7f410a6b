/** Values that the command is given: JSON on the command line, in a file, or on stdin. */
import { TextFileError, readTextFile } from '../adapters/text-file.ts';
import { cut } from '../core/preview.ts';
import { UsageError } from './usage.ts';

export interface Stdin extends AsyncIterable<unknown> {
  readonly isTTY?: boolean;
  setEncoding(encoding: 'utf8'): unknown;
}

/** `name` is what the value is called in messages; `tell` is given a line for people, where something is waited for. */
export async function readInput(name: string, given: string | undefined, stdin: Stdin, tell: (line: string) => void): Promise<unknown> {
  if (given === undefined) return undefined;
  if (given.startsWith('@')) return readJsonFile(`${name} @${cut(given.slice(1), 200)}`, given.slice(1));
  if (given !== '-') return parse(given, name, true);
  if (stdin.isTTY === true) tell(`taskchart: reading ${name} from stdin, as JSON; Ctrl-D ends it`);
  stdin.setEncoding('utf8');
  let text = '';
  for await (const part of stdin) text += String(part);
  return parse(text, `${name} -`, false);
}

/** The value of a file that holds JSON; `where` names it in messages. */
export async function readJsonFile(where: string, path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readTextFile(path);
  } catch (thrown) {
    if (thrown instanceof TextFileError) throw new UsageError(`${where}: ${thrown.message}`);
    throw thrown;
  }
  return parse(text, where, false);
}

function parse(text: string, where: string, typed: boolean): unknown {
  const json = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  if (json.trim() === '') throw new UsageError(`${where} is empty: give JSON, such as '{"city":"Oslo"}'`);
  try {
    return JSON.parse(json);
  } catch (thrown) {
    const why = thrown instanceof Error ? cut(thrown.message, 150) : 'it cannot be read';
    const hint = !typed ? '' : json.startsWith('--') ? ' (is its value missing?)' : /^[\w .,-]*$/.test(json) ? ` (a string needs quotes: '"text"')` : '';
    throw new UsageError(`${where} is no valid JSON: ${why}${hint}`);
  }
}
