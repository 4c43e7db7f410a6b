/**
 * The plain headers of units (`attempt|run|g.i.n|`) and results (`R|g.i.n|attempt|`).
 *
 * Owns: what a header is. Does not own: what stands behind it (messages.ts). Read by hand, without regular expressions: every
 * unit's header is read several times, and matches cost more memory than all the rest of a message.
 *
 * Invariants
 * 1. The scripts judge units alike (`header` in adapters/redis/scripts/common.ts).
 * 2. Attempts have nine digits at most, and do not begin with 0.
 */
const ZERO = 48;
const BAR = 124;
const DOT = 46;
const ATTEMPT_DIGITS = 9;
/** What a number holds without loss. */
const EXACT_DIGITS = 15;

export interface UnitHeader {
  readonly attempt: number;
  readonly run: string;
  readonly id: string;
  readonly text: string;
}

export interface UnitNumbers {
  readonly group: number;
  readonly index: number;
  readonly generation: number;
}

export interface ResultHeader {
  readonly kind: 'R' | 'P' | 'D';
  readonly id: string;
  readonly attempt: number;
  readonly text: string;
}

/** Nothing for a text that has no header of a unit. */
export function unitHeader(text: string): UnitHeader | undefined {
  const attempt = text.indexOf('|');
  if (!isAttempt(text, 0, attempt)) return undefined;
  const run = text.indexOf('|', attempt + 1);
  if (run <= attempt + 1) return undefined;
  const id = idEnd(text, run + 1);
  if (text.charCodeAt(id) !== BAR) return undefined;
  return { attempt: numberIn(text, 0, attempt), run: text.slice(attempt + 1, run), id: text.slice(run + 1, id), text: text.slice(0, id) };
}

/** Nothing for a text that has no header of a result. */
export function readResultHeader(text: string): ResultHeader | undefined {
  const kind = text[0];
  if ((kind !== 'R' && kind !== 'P' && kind !== 'D') || text.charCodeAt(1) !== BAR) return undefined;
  const id = idEnd(text, 2);
  if (text.charCodeAt(id) !== BAR) return undefined;
  const end = digitsEnd(text, id + 1);
  if (text.charCodeAt(end) !== BAR) return undefined;
  return { kind, id: text.slice(2, id), attempt: isAttempt(text, id + 1, end) ? numberIn(text, id + 1, end) : 0, text: text.slice(0, end) };
}

export function parseUnitId(id: string): UnitNumbers | undefined {
  const group = digitsEnd(id, 0);
  const index = digitsEnd(id, group + 1);
  const generation = digitsEnd(id, index + 1);
  if (group < 1 || index < 0 || generation !== id.length || id.charCodeAt(group) !== DOT || id.charCodeAt(index) !== DOT) return undefined;
  return { group: numberIn(id, 0, group), index: numberIn(id, group + 1, index), generation: numberIn(id, index + 1, generation) };
}

/** Where the id ends that begins at `from`; a place outside of the text where there is none. */
function idEnd(text: string, from: number): number {
  const group = digitsEnd(text, from);
  if (text.charCodeAt(group) !== DOT) return -1;
  const index = digitsEnd(text, group + 1);
  if (text.charCodeAt(index) !== DOT) return -1;
  return digitsEnd(text, index + 1);
}

/** Where the digits end that begin at `from`; a place outside of the text where there are none. */
function digitsEnd(text: string, from: number): number {
  let at = from;
  while (isDigit(text.charCodeAt(at))) at += 1;
  return at === from ? -1 : at;
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= ZERO + 9;
}

function isAttempt(text: string, from: number, to: number): boolean {
  return to - from >= 1 && to - from <= ATTEMPT_DIGITS && text.charCodeAt(from) !== ZERO && digitsEnd(text, from) === to;
}

function numberIn(text: string, from: number, to: number): number {
  if (to - from > EXACT_DIGITS) return Number(text.slice(from, to));
  let value = 0;
  for (let at = from; at < to; at += 1) value = value * 10 + text.charCodeAt(at) - ZERO;
  return value;
}
