/** What a server answers, checked: something that speaks Redis but is none, or another version of our scripts, must not get through. */
import { ProtocolError } from '../../core/errors.ts';
import { preview } from '../../core/preview.ts';
import type { Reply } from './client.ts';

/** `what` names the operation in errors. */
export function badReply(what: string, reply: unknown): ProtocolError {
  return new ProtocolError('protocol/bad-message', `Redis answered ${what} with what is no answer to it: ${preview(reply)}`, {
    hint: 'check that the address is that of a Redis server, and that nobody changes its commands',
  });
}

/** The parts of a script's reply; the first is its status. */
export function statusOf(what: string, reply: Reply): readonly [string, ...Reply[]] {
  if (!Array.isArray(reply) || typeof reply[0] !== 'string') throw badReply(what, reply);
  return reply as unknown as [string, ...Reply[]];
}

export function countOf(what: string, reply: Reply | undefined): number {
  if (typeof reply !== 'number' || !Number.isInteger(reply) || reply < 0) throw badReply(what, reply);
  return reply;
}

export function textOf(what: string, reply: Reply | undefined): string {
  if (typeof reply !== 'string') throw badReply(what, reply);
  return reply;
}

export function optionalText(what: string, reply: Reply | undefined): string | undefined {
  return reply === null ? undefined : textOf(what, reply);
}

export function listOf(what: string, reply: Reply | undefined): readonly Reply[] {
  if (!Array.isArray(reply)) throw badReply(what, reply);
  return reply as readonly Reply[];
}

export function textsOf(what: string, reply: Reply | undefined): readonly string[] {
  const list = listOf(what, reply);
  if (!list.every((item) => typeof item === 'string')) throw badReply(what, reply);
  return list as readonly string[];
}

export function countsOf(what: string, reply: Reply | undefined): readonly number[] {
  return listOf(what, reply).map((item) => countOf(what, item));
}
