/**
 * Values as the stream carries them: texts and summaries of bounded size, with what is redacted left out.
 *
 * Owns: writing JSON up to a limit, summarising what may be no JSON (contexts and events of any machine), errors. Does not own:
 * which paths are redacted (redact.ts), what a value is called.
 *
 * Invariants
 * 1. The cost is bounded by the limit and not by the value.
 * 2. Never throws, whatever it is given: proxies, getters, cycles.
 * 3. What stands at a redacted path is in no text and no summary.
 */
import { errorCodes, type SerializedError } from '../core/errors.ts';
import type { Json } from '../core/json-type.ts';
import { cut } from '../core/preview.ts';
import type { ErrorSummary, ValueText } from './messages.ts';
import { REDACTED, type Redactor } from './redact.ts';

/** Far more than the stack takes is refused by the runtime; contexts of other machines are not that deep. */
const DEEPEST = 500;

/** The beginning of the value's JSON; `path` is what the value is called. */
export function valueText(value: unknown, most: number, redactor: Redactor, path: readonly string[]): ValueText {
  const writer = new Writer(most, redactor, [...path]);
  try {
    writer.write(value, 0);
  } catch {
    return { text: '(a value that cannot be read)', cut: true };
  }
  return { text: writer.text, ...(writer.full && { cut: true }), ...(writer.redacted && { redacted: true }) };
}

class Writer {
  text = '';
  full = false;
  redacted = false;
  readonly #most: number;
  readonly #redactor: Redactor;
  readonly #path: string[];

  constructor(most: number, redactor: Redactor, path: string[]) {
    this.#most = most;
    this.#redactor = redactor;
    this.#path = path;
  }

  write(value: unknown, depth: number): void {
    if (this.full) return;
    if (this.#redactor.conceals(value, this.#path)) {
      this.redacted = true;
      return this.#put(JSON.stringify(REDACTED));
    }
    if (typeof value === 'string') return this.#put(JSON.stringify(value.length > this.#most ? value.slice(0, this.#most) : value), value.length > this.#most);
    if (typeof value !== 'object' || value === null) return this.#put(JSON.stringify(value) ?? 'null');
    if (depth > DEEPEST) return this.#put('"(too deep)"', true);
    if (Array.isArray(value)) this.#writeArray(value, depth);
    else this.#writeObject(value as Readonly<Record<string, unknown>>, depth);
  }

  #writeArray(list: readonly unknown[], depth: number): void {
    this.#put('[');
    for (let at = 0; at < list.length && !this.full; ) {
      if (at > 0) this.#put(',');
      const plain = this.#redactor.hides(this.#path) ? at : plainUntil(list, at, this.#most - this.text.length);
      if (plain > at + 1) this.#put(JSON.stringify(list.slice(at, plain)).slice(1, -1));
      else this.write(list[at], depth + 1);
      at = Math.max(plain, at + 1);
    }
    this.#put(']');
  }

  #writeObject(value: Readonly<Record<string, unknown>>, depth: number): void {
    this.#put('{');
    let first = true;
    for (const key in value) {
      if (this.full) return;
      if (value[key] === undefined || !Object.hasOwn(value, key)) continue;
      this.#put(`${first ? '' : ','}${JSON.stringify(key)}:`);
      first = false;
      this.#path.push(key);
      this.write(value[key], depth + 1);
      this.#path.pop();
    }
    this.#put('}');
  }

  #put(text: string, ends = false): void {
    if (this.full) return;
    if (this.text.length + text.length > this.#most) {
      this.text += text.slice(0, this.#most - this.text.length);
      this.full = true;
    } else this.text += text;
    if (ends) this.full = true;
  }
}

/** Numbers and the like in a row are written at once: long lists of them are common. Each takes two characters at least. */
function plainUntil(list: readonly unknown[], from: number, left: number): number {
  let at = from;
  for (const to = Math.min(list.length, from + 1 + left / 2); at < to; at += 1) {
    const value = list[at];
    if (typeof value !== 'number' && typeof value !== 'boolean' && value !== null) break;
  }
  return at;
}

const TEXT_MOST = 500;
const ENTRIES_MOST = 30;
const LEVELS_MOST = 6;

interface Budget {
  left: number;
  /** The texts are names of states, and no values that may have been hidden elsewhere. */
  readonly names?: true;
}

/** Any value, made small: beginnings of collections and texts, names in place of functions and actors. */
export function summarise(value: unknown, redactor: Redactor, path: readonly string[], budget: Budget = { left: 400 }): Json {
  try {
    return small(value, redactor, [...path], 0, path.length === 0 ? { ...budget, names: true } : budget);
  } catch {
    return '(a value that cannot be read)';
  }
}

function small(value: unknown, redactor: Redactor, path: string[], level: number, budget: Budget): Json {
  if (budget.names === true ? redactor.hides(path) : redactor.conceals(value, path)) return REDACTED;
  budget.left -= 1;
  switch (typeof value) {
    case 'string':
      return cut(value, TEXT_MOST);
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    case 'bigint':
    case 'symbol':
      return cut(String(value), 100);
    case 'function':
      return `(function ${cut(value.name, 60)})`;
    case 'undefined':
      return null;
    default:
      return value === null ? null : smallObject(value as object, redactor, path, level, budget);
  }
}

function smallObject(value: object, redactor: Redactor, path: string[], level: number, budget: Budget): Json {
  if (Array.isArray(value)) return smallList(value, redactor, path, level, budget);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (value instanceof Error) return `${cut(value.name, 60)}: ${hiddenMessage(value as ErrorParts, redactor, path) ? REDACTED : cut(value.message, TEXT_MOST)}`;
  const { sessionId, send } = value as { readonly sessionId?: unknown; readonly send?: unknown };
  if (typeof sessionId === 'string' && typeof send === 'function') return `(actor ${sessionId})`;
  if (value instanceof Map || value instanceof Set) return `(${value.constructor.name} of ${value.size})`;
  if (level >= LEVELS_MOST || budget.left <= 0) return '(more)';
  const entries: [string, Json][] = [];
  for (const key in value) {
    if (!Object.hasOwn(value, key)) continue;
    const property = Object.getOwnPropertyDescriptor(value, key);
    if (entries.length >= ENTRIES_MOST || budget.left <= 0) {
      entries.push(['…', `${Object.keys(value).length - entries.length} more`]);
      break;
    }
    path.push(key);
    entries.push([cut(key, 100), property !== undefined && 'value' in property ? small(property.value, redactor, path, level + 1, budget) : '(getter)']);
    path.pop();
  }
  return Object.fromEntries(entries);
}

function smallList(list: readonly unknown[], redactor: Redactor, path: string[], level: number, budget: Budget): Json {
  if (level >= LEVELS_MOST || budget.left <= 0) return `(${list.length} items)`;
  const items: Json[] = [];
  for (let at = 0; at < list.length; at += 1) {
    if (items.length >= ENTRIES_MOST || budget.left <= 0) {
      items.push(`… ${list.length - at} more`);
      break;
    }
    items.push(small(list[at], redactor, path, level + 1, budget));
  }
  return items;
}

const MESSAGE_MOST = 2000;

type ErrorParts = Pick<SerializedError, 'name' | 'message'> & Partial<SerializedError>;

/**
 * An error for people to read; its causes are called as it is. `path` is what it is called: `[task, 'error']`. Where the message is
 * hidden the hint is as well, and the code unless it is one of ours: whoever made the error wrote all three.
 */
export function errorSummary(error: ErrorParts, redactor: Redactor, path: readonly string[], causes = 3): ErrorSummary {
  redactor.settle();
  redactor.learnError(error, path);
  return summaryOf(error, redactor, path, causes);
}

function summaryOf(error: ErrorParts, redactor: Redactor, path: readonly string[], causes: number, inSilent = false): ErrorSummary {
  if (redactor.hidesError(error, path)) return { name: 'Error', message: REDACTED };
  const { code, message, hint, cause } = error;
  const silent = inSilent || hiddenMessage(error, redactor, path);
  const text = (key: 'hint' | 'code', value: string, most: number): string => (silent || redactor.hidesText(error, path, key, value) ? REDACTED : cut(value, most));
  return {
    name: cut(error.name, 100),
    ...(code === undefined ? {} : { code: Object.hasOwn(errorCodes, code) ? code : text('code', code, 100) }),
    message: silent ? REDACTED : cut(message, MESSAGE_MOST),
    ...(hint === undefined ? {} : { hint: text('hint', hint, MESSAGE_MOST) }),
    ...(cause === undefined || causes === 0 ? {} : { cause: summaryOf(cause, redactor, path, causes - 1, silent) }),
  };
}

function hiddenMessage(error: ErrorParts, redactor: Redactor, path: readonly string[]): boolean {
  return redactor.hidesError(error, path) || redactor.hidesText(error, path, 'message', error.message);
}
