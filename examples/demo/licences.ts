/** Judges what a manifest says about its licence against a list of allowed ones. Pure. */

/**
 * `allowed`: on the list. `refused`: a licence expression that the list does not cover. `unknown`: text that is no
 * licence expression, such as "SEE LICENSE IN LICENSE.md". `missing`: nothing stated.
 */
export type Verdict = 'allowed' | 'refused' | 'unknown' | 'missing';

export const usuallyAllowed = [
  '0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'CC0-1.0', 'ISC', 'MIT', 'MIT-0', 'Python-2.0',
  'Unlicense', 'Zlib',
];

export function judge(licence: string | null, allowed: readonly string[]): Verdict {
  if (licence === null) return 'missing';
  const list = new Set(allowed.map((id) => id.toLowerCase()));
  const tokens = licence.match(/[()]|[^\s()]+/g) ?? [];
  const at = { tokens, next: 0 };
  const covered = anyOf(at, list);
  if (covered === undefined || at.next < tokens.length) return 'unknown';
  return covered ? 'allowed' : 'refused';
}

interface Cursor { readonly tokens: readonly string[]; next: number }

/** `A OR B`: one of them is enough. undefined: this is no licence expression. */
function anyOf(at: Cursor, list: ReadonlySet<string>): boolean | undefined {
  return chain(at, 'OR', () => chain(at, 'AND', () => single(at, list), (a, b) => a && b), (a, b) => a || b);
}

function chain(at: Cursor, word: string, part: () => boolean | undefined, join: (a: boolean, b: boolean) => boolean): boolean | undefined {
  let result = part();
  while (result !== undefined && at.tokens[at.next]?.toUpperCase() === word) {
    at.next++;
    const right = part();
    result = right === undefined ? undefined : join(result, right);
  }
  return result;
}

function single(at: Cursor, list: ReadonlySet<string>): boolean | undefined {
  const token = at.tokens[at.next++];
  if (token === '(') {
    const inner = anyOf(at, list);
    return at.tokens[at.next++] === ')' ? inner : undefined;
  }
  if (token === undefined || !isId(token)) return undefined;
  // An exception only widens a licence, so the licence itself decides.
  if (at.tokens[at.next]?.toUpperCase() === 'WITH' && isId(at.tokens[at.next + 1] ?? '')) at.next += 2;
  return list.has(token.toLowerCase());
}

function isId(token: string): boolean {
  return /^[A-Za-z0-9.:-]+\+?$/.test(token) && !['AND', 'OR', 'WITH'].includes(token.toUpperCase());
}
