/**
 * A failed run, told to people and to programs.
 *
 * Owns: how an error and its causes are written. Does not own: where that goes, the exit code (usage.ts).
 *
 * Invariants
 * 1. Never throws, whatever was thrown, and prints no stack.
 * 2. Of a message that is not ours, and of the part of ours that quotes one, at most 200 characters are shown.
 */
import { errorCodes, serializeError, type SerializedError } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import { cut } from '../core/preview.ts';
import { oneLine } from './text.ts';

const MEMBERS_SHOWN = 5;
const FOREIGN_MOST = 200;
const OWN_MOST = 800;

/** Name, message, hint, failed members and the chain of causes, a line each. */
export function failureLines(thrown: unknown): string[] {
  const lines: string[] = [];
  let indent = '';
  let lead = '';
  for (let at: SerializedError | undefined = serializeError(thrown); at !== undefined; at = at.cause) {
    lines.push(`${indent}${lead}${headOf(at)}`);
    for (const member of failedMembers(at)) lines.push(`${indent}  ${member}`);
    if (at.hint !== undefined) lines.push(`${indent}  hint: ${oneLine(cut(at.hint, 400))}`);
    if (lead !== '') indent += '  ';
    else indent = '  ';
    lead = 'caused by ';
  }
  return lines;
}

/** The same for programs: a bounded object. */
export function failureJson(thrown: unknown): Json {
  return bounded(serializeError(thrown));
}

/** The error in one line, for usage errors. */
export function failureLine(thrown: unknown): string {
  const error = serializeError(thrown);
  const message = messageOf(error);
  const hint = error.hint === undefined ? '' : `${/[.!?]$/.test(message) ? '' : ';'} ${oneLine(cut(error.hint, 300))}`;
  return `${error.name}: ${message}${hint}`;
}

function bounded(error: SerializedError): { [key: string]: Json } {
  return {
    name: oneLine(error.name),
    ...(error.code === undefined ? {} : { code: cut(error.code, 100) }),
    message: messageOf(error),
    ...(error.hint === undefined ? {} : { hint: cut(error.hint, 400) }),
    ...(error.cause === undefined ? {} : { cause: bounded(error.cause) }),
  };
}

function headOf(error: SerializedError): string {
  const code = error.code === undefined ? '' : ` [${oneLine(cut(error.code, 60))}]`;
  return `${oneLine(error.name)}: ${messageOf(error)}${code}`;
}

function messageOf(error: SerializedError): string {
  if (!isOurs(error)) return oneLine(cut(error.message, FOREIGN_MOST));
  let { message } = error;
  for (const inner of innerMessages(error)) {
    const at = message.indexOf(inner.slice(0, FOREIGN_MOST));
    if (at >= 0) message = message.slice(0, at) + cut(inner, FOREIGN_MOST);
  }
  return oneLine(cut(message, OWN_MOST));
}

/** Long messages of others that ours may quote. */
function innerMessages(error: SerializedError): string[] {
  const long: string[] = [];
  const stack: SerializedError[] = [...membersOf(error).map((member) => member.error)];
  if (error.cause !== undefined) stack.push(error.cause);
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (at.message.length > FOREIGN_MOST && !isOurs(at)) long.push(at.message);
    if (at.cause !== undefined) stack.push(at.cause);
  }
  return long;
}

function isOurs({ code }: SerializedError): boolean {
  return code !== undefined && Object.hasOwn(errorCodes, code);
}

/** Failed members of a group that its message does not tell of. */
function failedMembers(error: SerializedError): string[] {
  const untold = membersOf(error).filter((member) => !error.message.includes(member.error.message));
  const lines = untold.slice(0, MEMBERS_SHOWN).map((member) => `failed ${oneLine(cut(member.id, 100))}: ${headOf(member.error)}`);
  if (untold.length > MEMBERS_SHOWN) lines.push(`… and ${untold.length - MEMBERS_SHOWN} more`);
  return lines;
}

function membersOf(error: SerializedError): { id: string; error: SerializedError }[] {
  const failed = isOurs(error) ? error.details?.['failed'] : undefined;
  if (!Array.isArray(failed)) return [];
  return failed.flatMap((member: unknown) => {
    const { id, error: why } = (typeof member === 'object' && member !== null ? member : {}) as { id?: unknown; error?: unknown };
    return why === undefined ? [] : [{ id: String(id), error: serializeError(why) }];
  });
}
