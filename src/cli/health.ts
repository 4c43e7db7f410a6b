/** Whether a worker lives, over HTTP: 200 while its last successful step is recent, else 503; the body says more, as JSON. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { WorkerStatus } from '../runtime/worker/worker.ts';
import { UsageError } from './usage.ts';

export interface Health {
  readonly port: number;
  close(): void;
}

/** Listens on all addresses, as probes come from elsewhere. What it tells is no secret. */
export async function serveHealth(port: number, status: () => WorkerStatus): Promise<Health> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, { error: 'only GET and HEAD' });
    const { healthy, lastStepAt, running, workflows: _, tasks: __, ...rest } = status();
    answer(response, healthy ? 200 : 503, { healthy, ...rest, running: running.length, lastStepAt: lastStepAt ?? null, ageMs: lastStepAt === undefined ? null : Date.now() - lastStepAt });
  });
  server.requestTimeout = 5000;
  await listen(server, port);
  // A reason to answer, and none to stay.
  server.unref();
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new UsageError(`--health-port ${port} cannot be used: ${error.code === 'EADDRINUSE' ? 'another program listens there' : error.message}`)));
    server.listen(port, resolve);
  });
}

function answer(response: ServerResponse, code: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store' });
  response.end(text);
}
