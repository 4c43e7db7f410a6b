/**
 * HTTP as a source needs it: a request that is answered, and one that stays open.
 *
 * Owns: the two ways, by Node's own client and by `fetch`. Does not own: what is sent, and when again (connection.ts).
 *
 * Node's client is found without an import, so that a bundle for browsers has nothing of it. It is preferred where there is one:
 * its requests do not keep the process alive, and those of `fetch` do.
 *
 * Invariants
 * 1. A post is answered or fails within ANSWER_MS, and so long at most it is open: an answer is its status, nobody reads the rest.
 * 2. No request keeps the process alive; who needs an answer has to (connection.ts).
 * 3. A line longer than LINE_MOST is dropped, not kept.
 */
import type * as http from 'node:http';

export interface Wire {
  /** Resolves with the status; rejects when there is no answer in time. */
  post(url: URL, token: string, body: string): Promise<number>;
  /** Calls `line` for each line that comes, and `ended` once, with the status if there was an answer. Returns the way to stop. */
  listen(url: URL, token: string, line: (text: string) => void, ended: (status: number | undefined) => void): () => void;
}

const ANSWER_MS = 3000;
/** In either direction: a relay drops longer ones too (relay/check-line.ts). */
export const LINE_MOST = 4_000_000;
/** Of an answer, in bytes. */
const ANSWER_MOST = 10_000;

/** Cuts a stream of text into lines; the empty ones only keep the connection alive. */
export function lineReader(line: (text: string) => void): (chunk: string) => void {
  let rest = '';
  return (chunk) => {
    const parts = `${rest}${chunk}`.split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > LINE_MOST) rest = '';
    for (const text of parts) if (text.trim() !== '') line(text);
  };
}

export function platformWire(): Wire {
  const node = (globalThis as { readonly process?: { readonly getBuiltinModule?: (name: string) => unknown } }).process;
  const plain = node?.getBuiltinModule?.('node:http') as NodeHttp | undefined;
  return plain === undefined ? fetchWire : nodeWire(plain, node?.getBuiltinModule?.('node:https') as NodeHttp | undefined);
}

type NodeHttp = Pick<typeof http, 'request' | 'Agent'>;

function nodeWire(plain: NodeHttp, secure: NodeHttp | undefined): Wire {
  const clientFor = (url: URL): NodeHttp => (url.protocol === 'https:' && secure !== undefined ? secure : plain);
  let agent: InstanceType<NodeHttp['Agent']> | undefined;
  const open = (url: URL, token: string, options: http.RequestOptions, answered: (response: http.IncomingMessage) => void) => {
    const client = clientFor(url);
    return client.request(url, { ...options, headers: { ...options.headers, authorization: `Bearer ${token}` } }, answered);
  };
  return {
    post: (url, token, body) =>
      new Promise((resolve, reject) => {
        agent ??= new (clientFor(url).Agent)({ keepAlive: true, maxSockets: 1 });
        const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body) };
        let read = 0;
        const request = open(url, token, { method: 'POST', agent, headers }, (response) => {
          resolve(response.statusCode ?? 0);
          response.on('data', (part: Buffer) => (read += part.length) > ANSWER_MOST && request.destroy());
          response.on('error', reject);
        });
        // Over all: one that is never silent for long would keep it open for good.
        const timer = setTimeout(() => request.destroy(new Error('no answer in time')), ANSWER_MS);
        timer.unref();
        request.once('socket', (socket) => socket.unref());
        request.on('error', reject);
        request.once('close', () => {
          clearTimeout(timer);
          reject(new Error('no answer'));
        });
        request.end(body);
      }),
    listen(url, token, line, ended) {
      let over = false;
      const end = (status: number | undefined): void => {
        if (over) return;
        over = true;
        ended(status);
      };
      const read = lineReader(line);
      const request = open(url, token, { method: 'GET', agent: false }, (response) => {
        const status = response.statusCode ?? 0;
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => status === 200 && !over && read(chunk));
        response.once('error', () => end(status));
        response.once('close', () => end(status));
      });
      request.once('socket', (socket) => socket.unref());
      request.on('error', () => end(undefined));
      request.end();
      return () => {
        over = true;
        request.destroy();
      };
    },
  };
}

/** The token goes in the address: a header of that kind would make the browser ask first, for every request. */
const fetchWire: Wire = {
  async post(url, token, body) {
    const response = await fetch(withToken(url, token), { method: 'POST', body, signal: AbortSignal.timeout(ANSWER_MS), credentials: 'omit' });
    return response.status;
  },
  listen(url, token, line, ended) {
    const stop = new AbortController();
    void follow(withToken(url, token), stop.signal, lineReader(line)).then(
      (status) => stop.signal.aborted || ended(status),
      () => stop.signal.aborted || ended(undefined),
    );
    return () => stop.abort();
  },
};

async function follow(url: URL, signal: AbortSignal, read: (chunk: string) => void): Promise<number> {
  const response = await fetch(url, { signal, credentials: 'omit' });
  const body = response.body;
  if (response.status !== 200 || body === null) return response.status;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) read(part.value);
  return response.status;
}

function withToken(url: URL, token: string): URL {
  const full = new URL(url);
  full.searchParams.set('token', token);
  return full;
}
