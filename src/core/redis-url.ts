/**
 * Redis URLs: `redis://user:password@host:6379/0`.
 *
 * Owns: reading one. Does not own: what its parts may be combined with (redis-config.ts).
 *
 * A reader of our own, because that of the platform ends the password at the first `/`, `?` or `#`: people paste passwords
 * as they are.
 *
 * Invariant: a refusal names what is wrong, and shows no part of the URL: any part may be a secret that was put there by mistake.
 */

export interface RedisUrl {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls: boolean;
  /** Absent where the URL does not say it. */
  readonly db?: number;
}

const DEFAULT_PORT = 6379;
const schemes: Readonly<Record<string, boolean>> = { 'redis://': false, 'rediss://': true, 'valkey://': false, 'valkeys://': true };

/** The parts of the URL, or in words why it is none. */
export function parseRedisUrl(text: string): RedisUrl | string {
  const scheme = /^[a-z]+:\/\//i.exec(text.trim())?.[0].toLowerCase() ?? '';
  const tls = Object.hasOwn(schemes, scheme) ? schemes[scheme] : undefined;
  if (tls === undefined) return 'it must begin with redis:// or rediss://';
  const rest = text.trim().slice(scheme.length);
  // A raw password may hold an @, a host never does.
  const at = rest.lastIndexOf('@');
  const access = at < 0 ? {} : accessOf(rest.slice(0, at));
  const address = addressOf(rest.slice(at + 1));
  if (typeof access === 'string' || typeof address === 'string') return typeof access === 'string' ? access : String(address);
  return { ...address, ...access, tls };
}

function accessOf(text: string): Pick<RedisUrl, 'username' | 'password'> | string {
  const colon = text.indexOf(':');
  if (colon < 0 && /[/?#]/.test(text)) return 'it is not clear where its host begins; an @ behind the host must be written as %40';
  const username = decoded(colon < 0 ? text : text.slice(0, colon));
  const password = colon < 0 ? '' : decoded(text.slice(colon + 1));
  return { ...(username === '' ? {} : { username }), ...(password === '' ? {} : { password }) };
}

function addressOf(text: string): Pick<RedisUrl, 'host' | 'port' | 'db'> | string {
  const parts = /^(\[[^\]]*\]|[^:/?#]*)(?::([^/?#]*))?(?:\/([^?#]*))?(.*)$/su.exec(text);
  const [, given = '', port, path = '', more = ''] = parts ?? [];
  if (more !== '') return 'it has something behind the number of the database; parameters are given as options';
  const host = hostOf(given);
  if (host === undefined) return given === '' ? 'it names no host' : 'its host has a character that no host has';
  if (port !== undefined && !isPort(port)) return 'its port is no number from 1 to 65535';
  if (path !== '' && !/^\d{1,4}$/.test(path)) return 'the part behind its host is no number of a database';
  return { host, port: port === undefined ? DEFAULT_PORT : Number(port), ...(path === '' ? {} : { db: Number(path) }) };
}

/** The host without the brackets of an IPv6 address. */
function hostOf(text: string): string | undefined {
  if (text.startsWith('[')) return /^\[[0-9a-f:.]+(?:%[\w.]+)?\]$/i.test(text) ? text.slice(1, -1) : undefined;
  return isHost(text) ? text : undefined;
}

/** A name or an address, without a port. */
export function isHost(text: string): boolean {
  return text !== '' && text.length <= 255 && /^[\p{L}\p{N}._~:%-]+$/u.test(text);
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

/** Percent-encoded where it is well-formed as a whole, else as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
