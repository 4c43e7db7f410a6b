/** The `--input` of a run: JSON on the command line, in a file, or on stdin. */
import { cut } from '../core/preview.ts';
import { loadJson } from './load.ts';
import { UsageError } from './usage.ts';

export interface Stdin extends AsyncIterable<unknown> {
  readonly isTTY?: boolean;
  setEncoding(encoding: 'utf8'): unknown;
}

/** `tell` is given a line for people, where something is waited for. */
export async function readInput(given: string | undefined, stdin: Stdin, tell: (line: string) => void): Promise<unknown> {
  if (given === undefined) return undefined;
  if (given.startsWith('@')) return loadJson(given.slice(1));
  if (given !== '-') return parse(given, '--input');
  if (stdin.isTTY === true) tell('taskchart: reading the input from stdin, as JSON; Ctrl-D ends it');
  stdin.setEncoding('utf8');
  let text = '';
  for await (const part of stdin) text += String(part);
  return parse(text, '--input -');
}

function parse(text: string, where: string): unknown {
  const json = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  if (json.trim() === '') throw new UsageError(`${where} is empty: give JSON, such as '{"city":"Oslo"}'`);
  try {
    return JSON.parse(json);
  } catch (thrown) {
    const why = thrown instanceof Error ? cut(thrown.message, 150) : 'it cannot be read';
    const hint = json.startsWith('--') ? ' (is its value missing?)' : where === '--input' && /^[\w .,-]*$/.test(json) ? ` (a string needs quotes: '"text"')` : '';
    throw new UsageError(`${where} is no valid JSON: ${why}${hint}`);
  }
}
