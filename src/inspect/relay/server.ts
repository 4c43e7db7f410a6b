/**
 * The relay's HTTP: requests in, the hub behind, answers out.
 *
 * Owns: paths, sizes, headers, open connections. Does not own: who is let in (guard.ts), what is known (hub.ts).
 *
 * Invariants
 * 1. It listens on this machine's loopback alone, and nothing is served without the token.
 * 2. No request is read beyond its limit; what is too large or malformed ends the request, and not the relay.
 * 3. No answer can be kept, framed or sniffed by a browser, and the page can reach nothing but the relay.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../adapters/system.ts';
import { TaskchartError } from '../../core/errors.ts';
import { badOption, booleanOption, integerOption, optionsObject, textOption } from '../../core/options.ts';
import { refusal } from '../answers.ts';
import { paths, type CommandRequest } from '../protocol.ts';
import { checkLine } from './check-line.ts';
import { Guard } from './guard.ts';
import { Hub } from './hub.ts';
import { contentPolicy, pageText, plainPage } from './page-file.ts';

const BODY_MOST = 16_000_000;
const COMMAND_MOST = 2_000_000;
const VIEWERS_MOST = 50;
const BEAT_MS = 10_000;
/** A viewer that takes nothing for so long is let go. */
const STUCK_MS = 60_000;
const ROOTS_MOST = 50;

export interface RelayOptions {
  /** Default 0: any free one. */
  readonly port?: number | undefined;
  /** Of loopback: `127.0.0.1` (default), `::1` or `localhost`. */
  readonly host?: string | undefined;
  /** What every request has to carry; default: a new random one. At least 16 characters. */
  readonly token?: string | undefined;
  /** Viewers may look and not steer. */
  readonly readOnly?: boolean | undefined;
  /** Origins, besides those of this machine, whose pages may send their runs here. */
  readonly allowOrigins?: readonly string[] | undefined;
  /** The HTML of the page; default: the one that belongs to this package. */
  readonly page?: string | undefined;
}

export interface Relay {
  /** For people and for TASKCHART_INSPECT: with the token. */
  readonly url: string;
  readonly port: number;
  /** Ends all connections. */
  close(): Promise<void>;
}

/** A relay with its hub: what the command line adds to. */
export interface OpenRelay extends Relay {
  readonly hub: Hub;
}

/** Starts a relay: runs send to it, viewers look at it, on this machine alone. */
export async function startRelay(options: RelayOptions = {}): Promise<Relay> {
  const { url, port, close } = await openRelay(options);
  return { url, port, close };
}

export async function openRelay(options: RelayOptions = {}): Promise<OpenRelay> {
  const { port, host, token, readOnly, origins, page } = await checked(options);
  const hub = new Hub(systemClock, !readOnly);
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 60_000, keepAliveTimeout: 30_000 });
  server.maxHeadersCount = 100;
  const actualPort = (): number => (server.address() as AddressInfo | null)?.port ?? 0;
  const desk = new Desk(hub, new Guard(token, origins, actualPort), page);
  server.on('request', (request, response) => void desk.serve(request, response));
  await listening(server, port, host);
  const name = host === '::1' ? '[::1]' : host;
  return {
    hub, url: `http://${name}:${actualPort()}/?token=${token}`, port: actualPort(),
    async close() {
      hub.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function checked(options: RelayOptions) {
  const given = optionsObject('relay', options, ['port', 'host', 'token', 'readOnly', 'allowOrigins', 'page']) as RelayOptions;
  const { port = 0, host = '127.0.0.1', token = randomBytes(18).toString('base64url'), readOnly = false, allowOrigins = [], page } = given;
  integerOption('port', port, 0, 65_535);
  if (host !== '127.0.0.1' && host !== '::1' && host !== 'localhost') throw badOption('host', host, '127.0.0.1, ::1 or localhost', 'the relay is for this machine alone; a tunnel (ssh -L) brings it to another one');
  // The token is not shown in an error.
  if (typeof token !== 'string' || !/^[\w.~-]{16,200}$/.test(token)) throw badOption('token', '…', 'a text of 16 to 200 letters, digits, and _ . ~ -');
  booleanOption('readOnly', readOnly);
  const origins = allowOrigins.map((origin, at) => {
    if (typeof origin === 'string' && URL.canParse(origin) && new URL(origin).origin === origin) return origin;
    throw badOption(`allowOrigins[${at}]`, origin, 'an origin such as https://app.example');
  });
  return { port, host, token, readOnly, origins, page: page === undefined ? await pageText() : textOption('page', page) };
}

function listening(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      reject(new TaskchartError('inspect/relay', taken ? `the relay cannot listen on port ${port} of ${host}: another process does` : `the relay cannot listen on port ${port} of ${host}: ${cause.message}`, { hint: 'leave the port out to take any free one', cause }));
    });
    server.listen(port, host, () => resolve());
  });
}

/** Serves single requests. */
class Desk {
  readonly #hub: Hub;
  readonly #guard: Guard;
  readonly #page: string;
  readonly #policy: string;

  constructor(hub: Hub, guard: Guard, page: string) {
    this.#hub = hub;
    this.#guard = guard;
    this.#page = page;
    this.#policy = contentPolicy(page);
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (thrown) {
      if (response.headersSent) {
        response.destroy();
        return;
      }
      // What was not read of the request must not be taken for the next one.
      response.setHeader('connection', 'close');
      end(response, thrown instanceof TooLarge ? 413 : 400, thrown instanceof TooLarge ? 'This is more than the relay takes at once.' : 'The relay does not understand this request.');
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://relay');
    const isSource = url.pathname.startsWith(paths.source);
    secure(response, isSource);
    const { host, origin, authorization } = request.headers;
    if (origin !== undefined && this.#guard.mayCome(origin, isSource)) response.setHeader('access-control-allow-origin', origin);
    if (request.method === 'OPTIONS') return preflight(response);
    const refused = this.#guard.refuses({ host, origin, authorization, url }, isSource);
    if (refused !== undefined) return this.#refuse(url.pathname, response, refused);
    if (isSource) return this.#source(request, response, url.pathname.slice(paths.source.length));
    if (url.pathname === paths.command) return this.#command(request, response);
    // HEAD has an answer without a body, and so none that stays open.
    if (request.method !== 'GET' && (request.method !== 'HEAD' || url.pathname !== paths.page)) return end(response, 405, 'This path is only read.');
    if (url.pathname === paths.page) return html(response, 200, this.#page, this.#policy);
    if (url.pathname === paths.stream) return this.#stream(request, response, url.searchParams.getAll('root'));
    if (url.pathname === paths.history) return this.#history(response, url.searchParams.get('root') ?? '');
    return end(response, 404, 'There is nothing here.');
  }

  #refuse(path: string, response: ServerResponse, why: string): void {
    if (path !== paths.page) return end(response, 403, why);
    const page = plainPage('taskchart', why);
    html(response, 403, page, contentPolicy(page));
  }

  async #source(request: IncomingMessage, response: ServerResponse, id: string): Promise<void> {
    if (!/^[0-9a-z]{8,40}$/.test(id)) return end(response, 400, 'This is no id of a source.');
    if (request.method === 'GET') return this.#listen(response, id);
    if (request.method !== 'POST') return end(response, 405, 'A source posts or listens.');
    const lines = (await readBody(request, BODY_MOST)).split('\n').filter((line) => line !== '');
    const sound = lines.flatMap((text) => {
      const checked = checkLine(text, id);
      // The text is passed on as it is, and a line break of any kind would end it there.
      return checked === undefined ? [] : [{ text: text.includes('\r') ? JSON.stringify(JSON.parse(text)) : text, checked }];
    });
    if (this.#hub.receive(id, sound)) end(response, 200, '');
    else end(response, 404, 'The relay does not know this source; say hello first.');
  }

  #listen(response: ServerResponse, id: string): void {
    if (!this.#hub.knows(id)) return end(response, 404, 'The relay does not know this source; say hello first.');
    response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
    response.write('\n');
    const closed = this.#hub.listen(id, (command) => response.write(`${JSON.stringify(command)}\n`));
    const beat = setInterval(() => response.write('\n'), BEAT_MS).unref();
    response.once('close', () => {
      clearInterval(beat);
      closed();
    });
  }

  #stream(request: IncomingMessage, response: ServerResponse, roots: readonly string[]): void {
    if (this.#hub.viewers >= VIEWERS_MOST) return end(response, 503, `The relay has ${VIEWERS_MOST} viewers already.`);
    if (roots.length > ROOTS_MOST) return end(response, 400, `A stream holds ${ROOTS_MOST} systems at most; root=* is all of them.`);
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.write(': taskchart\n\n');
    let movedAt = Date.now();
    const outlet = { get waiting() { return response.writableLength; }, write: (text: string) => void response.write(text) };
    const viewer = this.#hub.view(outlet, roots);
    response.on('drain', () => {
      movedAt = Date.now();
      viewer.catchUp();
    });
    const beat = setInterval(() => {
      if (response.writableLength === 0) movedAt = Date.now();
      if (Date.now() - movedAt > STUCK_MS) response.destroy();
      else if (response.writableLength === 0) response.write(': \n\n');
    }, BEAT_MS).unref();
    response.once('close', () => {
      clearInterval(beat);
      this.#hub.leave(viewer);
    });
    request.resume();
  }

  async #history(response: ServerResponse, rootId: string): Promise<void> {
    const lines = this.#hub.history(rootId);
    if (lines === undefined) return end(response, 404, 'The relay does not know this system.');
    response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
    for (const line of lines) {
      if (response.destroyed) return;
      if (!response.write(line)) await drained(response);
    }
    response.end();
  }

  async #command(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') return end(response, 405, 'Commands are posted.');
    const given = JSON.parse(await readBody(request, COMMAND_MOST)) as Partial<CommandRequest> | null;
    const known = typeof given?.session === 'string' && typeof given.command === 'object' && given.command !== null;
    const answer = known ? await this.#hub.command(given.session as string, given.command as CommandRequest['command']) : refusal('this is no command');
    response.writeHead(known ? 200 : 400, { 'content-type': 'application/json; charset=utf-8' });
    response.end(JSON.stringify(answer));
  }
}

/** Resolves when more can be written, or never will be. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });
}

class TooLarge extends Error {}

async function readBody(request: IncomingMessage, most: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > most) throw new TooLarge();
    parts.push(part);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
}

function secure(response: ServerResponse, source: boolean): void {
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('cross-origin-opener-policy', 'same-origin');
  response.setHeader('cross-origin-resource-policy', source ? 'cross-origin' : 'same-origin');
  response.setHeader('vary', 'origin');
}

/** A browser asks whether it may ask. It may where the origin may come; what it asks then is looked at as always. */
function preflight(response: ServerResponse): void {
  response.writeHead(204, { 'access-control-allow-methods': 'GET, POST', 'access-control-allow-headers': 'authorization, content-type', 'access-control-max-age': '600', 'access-control-allow-private-network': 'true' });
  response.end();
}

function html(response: ServerResponse, status: number, page: string, policy: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy, 'x-frame-options': 'DENY' });
  response.end(page);
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(text);
}
