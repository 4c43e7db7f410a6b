/**
 * Short, safe pictures of values for messages.
 *
 * Owns: text of bounded length for any value. Does not own: the check whether a value is allowed.
 *
 * Invariants
 * 1. Never throws, never runs a getter, never returns more than `max` characters.
 * 2. Looks at a bounded part of the value, however large it is.
 */

/** The value as short text for a message. */
export function preview(value: unknown, max = 200): string {
  try {
    return cut(draw(value, max, 0), max);
  } catch {
    return cut('(a value that cannot be read)', max);
  }
}

/** The first `max` characters, with `…` in the last place where something was left out. Never splits a surrogate pair. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  const end = text.charCodeAt(max - 2);
  return `${text.slice(0, end >= 0xd800 && end < 0xdc00 ? max - 2 : max - 1)}…`;
}

/** The name of the class that made the object; never runs user code except proxy traps. */
export function className(value: object): string {
  let prototype: unknown = Object.getPrototypeOf(value);
  for (let level = 0; level < 20 && typeof prototype === 'object' && prototype !== null; level++) {
    const maker: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
    if (typeof maker === 'function') {
      const name: unknown = Object.getOwnPropertyDescriptor(maker, 'name')?.value;
      if (typeof name === 'string' && name !== '') return name === 'Object' && level > 0 ? 'object with a prototype' : cut(name, 60);
    }
    prototype = Object.getPrototypeOf(prototype);
  }
  return 'object with a prototype';
}

const maxItems = 20;

function draw(value: unknown, max: number, level: number): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(cut(value, Math.max(max, 2)));
    case 'bigint':
      return `${value}n`;
    case 'symbol':
      return value.toString();
    case 'function':
      return 'a function';
    case 'object':
      return value === null ? 'null' : drawObject(value, max, level);
    default:
      return Object.is(value, -0) ? '-0' : String(value);
  }
}

function drawObject(value: object, max: number, level: number): string {
  const list = Array.isArray(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  const plain = list || prototype === Object.prototype || prototype === null;
  const name = plain ? '' : className(value);
  if (name !== '' && value instanceof Error) return `${name} ${drawMessage(value)}`;
  if (level >= 3) return list ? '[…]' : '{…}';
  const parts: string[] = [];
  let length = name.length + 4;
  for (const key of keysOf(value)) {
    if (parts.length >= maxItems || length > max) {
      parts.push('…');
      break;
    }
    const property = Object.getOwnPropertyDescriptor(value, key);
    const item = property === undefined || 'value' in property ? draw(property?.value, max - length, level + 1) : '(getter)';
    const part = list ? item : `${/^[\w$]+$/.test(key) ? key : JSON.stringify(cut(key, 40))}: ${item}`;
    parts.push(part);
    length += part.length + 2;
  }
  const body = parts.join(', ');
  const text = list ? `[${body}]` : body === '' ? '{}' : `{ ${body} }`;
  if (name === '') return text;
  return body === '' ? name : `${name} ${text}`;
}

/** A lazy list of keys: a huge array must not be listed to show its beginning. */
function* keysOf(value: object): Generator<string> {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) yield String(i);
  } else yield* Object.keys(value);
}

/** Own data only: `message` may be a getter in a hostile subclass. */
function drawMessage(error: Error): string {
  const message: unknown = Object.getOwnPropertyDescriptor(error, 'message')?.value;
  return JSON.stringify(typeof message === 'string' ? cut(message, 200) : '');
}
