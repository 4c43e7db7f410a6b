/**
 * What can go wrong with a Redis, in our words.
 *
 * Owns: turning what the client library throws into TransportErrors. Does not own: what is done about it.
 *
 * Invariants
 * 1. An error names host and port at most: no user, no password, no URL, no argument of a command. The library's own error
 *    is not kept as a cause, because it carries the arguments of the command, those of AUTH included.
 * 2. `retryable` says whether the same call can succeed later without anybody changing a setting.
 */
import { TransportError, isTaskchartError, type ErrorCode } from '../../core/errors.ts';
import { cut } from '../../core/preview.ts';
import type { RedisSettings } from './settings.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** The sentence's end, behind "Redis at host:port". Without: what the server said is shown. */
  readonly says?: string;
  readonly hint: string;
}

const trySoon = 'It is tried again. If that goes on, look at the log of the server.';
const checkRights = 'Give the user the rights that docs/operations.md lists.';
const primaryOnly = 'Connect to the primary; through Sentinel or Cluster a failover is followed.';

/** By the first word of a server's error. */
const replies: Readonly<Record<string, Meaning>> = {
  WRONGPASS: { code: 'transport/auth', retryable: false, says: 'refused the user name or the password', hint: 'Check both; in a URL, special characters of a password may be percent-encoded.' },
  NOAUTH: { code: 'transport/auth', retryable: false, says: 'wants a password, and was given none', hint: 'Give a password, and a user name where the server has users.' },
  DENIED: { code: 'transport/auth', retryable: false, says: 'runs in protected mode and takes no connections from other hosts', hint: 'Set a password on the server, or bind it to an address that is safe.' },
  NOPERM: { code: 'transport/forbidden', retryable: false, hint: checkRights },
  WRONGTYPE: { code: 'transport/wrong-type', retryable: false, says: 'holds something else than a list under one of our keys', hint: 'Another program uses the key. Choose another namespace or prefix.' },
  READONLY: { code: 'transport/read-only', retryable: true, says: 'is a replica and takes no writes', hint: primaryOnly },
  UNBLOCKED: { code: 'transport/read-only', retryable: true, says: 'ended a wait, because it is not the primary any more', hint: primaryOnly },
  OOM: { code: 'transport/out-of-memory', retryable: true, says: 'has no memory left for this write', hint: 'Raise maxmemory, and set maxmemory-policy noeviction. What is stored stays; the write is tried again.' },
  LOADING: { code: 'transport/loading', retryable: true, says: 'is still loading its data', hint: 'Wait until it has; it is tried again.' },
  BUSY: { code: 'transport/failed', retryable: true, says: 'is busy with a script', hint: trySoon },
  MISCONF: { code: 'transport/failed', retryable: true, says: 'takes no writes, because it cannot save its data to disk', hint: 'Make space on its disk, and look at its log.' },
  NOREPLICAS: { code: 'transport/failed', retryable: true, says: 'takes no writes, because too few of its replicas answer', hint: 'Look at its replicas.' },
  MASTERDOWN: { code: 'transport/failed', retryable: true, says: 'is a replica that has lost its primary', hint: primaryOnly },
  CLUSTERDOWN: { code: 'transport/failed', retryable: true, says: 'belongs to a cluster that is down', hint: trySoon },
  TRYAGAIN: { code: 'transport/failed', retryable: true, says: 'is moving our keys to another node', hint: trySoon },
  MOVED: { code: 'transport/failed', retryable: true, says: 'is part of a cluster, and our keys are on another node', hint: 'Give the nodes as { cluster: [{ host, port }] }.' },
  ASK: { code: 'transport/failed', retryable: true, says: 'is moving our keys to another node', hint: trySoon },
  CROSSSLOT: { code: 'transport/failed', retryable: false, says: 'refused keys of different slots', hint: 'The prefix must hold no braces.' },
};

/** For what has no word of its own. */
const phrases: readonly (readonly [words: RegExp, meaning: Meaning])[] = [
  [/invalid password|without any password configured|AUTH.*(?:failed|incorrect)/i, replies['WRONGPASS'] as Meaning],
  [/max number of clients reached/i, { code: 'transport/unreachable', retryable: true, says: 'has as many connections as it takes', hint: 'Raise maxclients on the server, or look for connections that nobody closes.' }],
  [/DB index is out of range|SELECT is not allowed/i, { code: 'transport/failed', retryable: false, says: 'has no database of that number', hint: 'Leave db out: 0 is there always, and the only one in a cluster.' }],
  [/can't run this command or subcommand|can't access at least one of the keys/i, replies['NOPERM'] as Meaning],
  [/unknown command|unknown subcommand/i, { code: 'transport/failed', retryable: false, says: 'does not know a command that is needed', hint: 'taskchart needs Redis 6.2 or later, or Valkey. Managed services and proxies may lack commands.' }],
];

/** By the code that Node gives. */
const network: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'the name of the host is unknown',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was reset',
  ETIMEDOUT: 'the host does not answer',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to the host',
  EADDRNOTAVAIL: 'there is no way to the host',
};
const checkAddress = 'Check host and port, that the server runs, and that nothing between keeps connections out.';

/** Any error of the client library. Ours pass unchanged. */
export function transportError(thrown: unknown, settings: RedisSettings): TransportError {
  if (isTaskchartError(thrown) && thrown.name === 'TransportError') return thrown as TransportError;
  const error = innermost(thrown);
  const message = textOf(error);
  const word = wordOf(message);
  if (nameOf(error) === 'ReplyError' || word in replies) return replyError(message, word, settings);
  const code = String((error as { readonly code?: unknown } | null)?.code ?? '');
  const reason = network[code] ?? Object.entries(network).find(([name]) => message.includes(name))?.[1];
  if (reason !== undefined) return unreachable(settings, reason);
  if (/CERT|SELF_SIGNED|ERR_TLS|ERR_SSL|UNABLE_TO|EPROTO|certificate/.test(`${code} ${message}`)) return noTls(settings, code, message);
  if (/Unknown RESP type|Protocol error|reply type byte/.test(message)) return unreachable(settings, 'what answers there does not speak the protocol of Redis', false, 'Check the port. A rediss:// URL is for TLS, redis:// for none.');
  if (/All sentinels are unreachable/.test(message)) {
    return unreachable(settings, /No such master|disabled\.$/.test(message) ? 'no sentinel knows a primary of that name' : 'no sentinel answers', true, 'Check the sentinels, their password, and the name of the primary.');
  }
  return unreachable(settings, 'the connection was closed', true);
}

/** No answer within the deadline of a call. */
export function timeoutError(settings: RedisSettings, command: string, afterMs: number): TransportError {
  return failure(settings, 'transport/timeout', `did not answer ${command} within ${afterMs / 1000} s`, true, 'It is tried again over a new connection. Look at the load of the server and at the network.');
}

/** No greeting within the deadline of a new connection. */
export function mutedError(settings: RedisSettings, afterMs: number): TransportError {
  const hint = 'It is tried again. Check host and port, and whether that port is one with TLS (rediss://, tls: true) or without; look at the load of the server and at the network.';
  return failure(settings, 'transport/timeout', `did not greet a new connection within ${afterMs / 1000} s`, true, hint);
}

export function closedError(settings: RedisSettings): TransportError {
  return failure(settings, 'transport/unreachable', 'was left: the connection was closed here', false, 'Make a new connection.');
}

/** The client library cannot be loaded. Nothing was sent to anybody, so what it says holds no secret. */
export function noClient(settings: RedisSettings, thrown: unknown): TransportError {
  const reason = cut(textOf(thrown).split(/[\r\n]/, 1)[0] ?? '', 160).replace(/\.$/, '');
  const missing = /Cannot find (?:package|module) 'ioredis'/.test(reason);
  const why = missing ? 'is not installed' : `cannot be loaded (${reason === '' ? 'unknown reason' : reason})`;
  return failure(settings, 'transport/no-client', `cannot be used: the package ioredis ${why}`, false, `Install it${missing ? '' : ' again'}: npm install ioredis@6`);
}

function replyError(message: string, word: string, settings: RedisSettings): TransportError {
  const meaning = replies[word] ?? phrases.find(([words]) => words.test(message))?.[1];
  if (meaning?.says !== undefined) return failure(settings, meaning.code, meaning.says, meaning.retryable, meaning.hint, word);
  return failure(settings, meaning?.code ?? 'transport/failed', `refused a command: ${said(message, settings)}`, meaning?.retryable ?? false, meaning?.hint ?? 'The words are those of the server.', word);
}

function noTls(settings: RedisSettings, code: string, message: string): TransportError {
  if (/ERR_SSL|EPROTO/.test(`${code} ${message}`)) return unreachable(settings, 'TLS could not be agreed on', false, 'A port without TLS needs redis:// (tls: false), one with TLS rediss:// (tls: true).');
  const reason = /EXPIRED/.test(code) ? 'its certificate has expired' : /ALTNAME/.test(code) ? 'its certificate is for another name' : `its certificate is not trusted (${cut(code === '' ? 'unknown reason' : code, 60)})`;
  return unreachable(settings, reason, false, 'Give the authority that signed it as tls: { ca }, or through NODE_EXTRA_CA_CERTS; its name as tls: { servername }.');
}

export function unreachable(settings: RedisSettings, reason: string, retryable = true, hint = checkAddress): TransportError {
  return failure(settings, 'transport/unreachable', `cannot be reached: ${reason}`, retryable, hint);
}

function failure(settings: RedisSettings, code: ErrorCode, what: string, retryable: boolean, hint: string, reply?: string): TransportError {
  return new TransportError(code, `Redis at ${settings.place} ${what}.`, { hint, details: { retryable, ...settings.address, ...(reply === undefined || reply === '' ? {} : { reply }) } });
}

/** What the server said, without names of users and without the arguments that it repeats. */
function said(message: string, settings: RedisSettings): string {
  const line = (message.split(/[\r\n]/, 1)[0] ?? '').replace(/,? with args beginning with.*$/i, '').replace(/\buser \S+ has/i, 'the user has').replace(/ script: [0-9a-f]{40}.*$/, '');
  return cut(settings.redact(line), 200).replace(/\.$/, '');
}

/** The error's word, also where a script or a sentinel quotes it. */
function wordOf(message: string): string {
  const first = /^-?([A-Z]{2,})\b/.exec(message)?.[1];
  if (first !== undefined && first !== 'ERR') return first;
  return /(?:Error running script.*?: -?|Last error: )([A-Z]{2,})\b/.exec(message)?.[1] ?? first ?? '';
}

/** Of errors that only say that all of them failed, one that says why. */
function innermost(thrown: unknown): unknown {
  let error = thrown;
  for (let depth = 0; depth < 4; depth++) {
    const { lastNodeError, errors, previousErrors } = (typeof error === 'object' && error !== null ? error : {}) as { lastNodeError?: unknown; errors?: unknown; previousErrors?: unknown };
    const inner: unknown = lastNodeError ?? (Array.isArray(errors) ? errors[0] : undefined) ?? (Array.isArray(previousErrors) ? previousErrors[0] : undefined);
    if (inner === undefined || inner === null) return error;
    error = inner;
  }
  return error;
}

function textOf(error: unknown): string {
  const message = typeof error === 'object' && error !== null ? (error as { readonly message?: unknown }).message : error;
  return typeof message === 'string' ? message : '';
}

function nameOf(error: unknown): string {
  const name = typeof error === 'object' && error !== null ? (error as { readonly name?: unknown }).name : '';
  return typeof name === 'string' ? name : '';
}
