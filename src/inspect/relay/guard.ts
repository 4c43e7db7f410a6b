/**
 * Who may talk to the relay: whoever has the token, and in a browser only pages that are meant to.
 *
 * Owns: the checks of host, origin and token. Pure. Does not own: answering.
 *
 * Invariants
 * 1. A request whose Host is not a name of this machine's loopback is refused: a page elsewhere may have pointed its own name here.
 * 2. Viewers are served to the relay's own pages alone; sources may also be pages of other local servers, and origins that were allowed.
 * 3. Comparing a token takes the same time wherever it differs.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

export interface Asking {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly authorization: string | undefined;
  readonly url: URL;
}

export class Guard {
  readonly #token: Uint8Array;
  readonly #origins: ReadonlySet<string>;
  readonly #port: () => number;

  constructor(token: string, origins: readonly string[], port: () => number) {
    this.#token = digest(token);
    this.#origins = new Set(origins);
    this.#port = port;
  }

  /** What is wrong with a request, or nothing. */
  refuses(asking: Asking, source: boolean): string | undefined {
    if (!this.#isOwnHost(asking.host)) return 'This address is none of the relay: use the one that it has printed.';
    if (asking.origin !== undefined && !this.mayCome(asking.origin, source)) return 'Pages of this origin may not talk to the relay.';
    const given = asking.authorization?.match(/^Bearer (\S+)$/i)?.[1] ?? asking.url.searchParams.get('token') ?? '';
    return timingSafeEqual(digest(given), this.#token) ? undefined : 'The token is missing or wrong: open the address that the relay has printed when it started.';
  }

  /** Whether a page of this origin may talk to the relay at all. */
  mayCome(origin: string, source: boolean): boolean {
    if (!URL.canParse(origin)) return false;
    const { protocol, hostname, port, origin: plain } = new URL(origin);
    if (this.#origins.has(plain) && source) return true;
    if (!loopback.has(hostname) || (protocol !== 'http:' && protocol !== 'https:')) return false;
    return source || Number(port) === this.#port();
  }

  #isOwnHost(host: string | undefined): boolean {
    if (host === undefined || !URL.canParse(`http://${host}`)) return false;
    const { hostname, port } = new URL(`http://${host}`);
    return loopback.has(hostname) && Number(port === '' ? 80 : port) === this.#port();
  }
}

function digest(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}
