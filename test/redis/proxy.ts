/** A TCP proxy that misbehaves on demand: between a client and its server connections break at the worst moments. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';

export interface Proxy {
  readonly port: number;
  /** Cuts all connections now. */
  cut(): void;
  /** The next reply of the server is swallowed and its connection cut: the command ran, and nobody hears. */
  loseReply(): void;
  /** The next command is swallowed and its connection cut: it never ran. */
  loseCommand(): void;
  /** Passes nothing on, in neither direction, until `flow`: connections stay open. */
  stall(): void;
  flow(): void;
  /** Refuses connections until `accept`; those that are there stay. */
  refuse(): void;
  accept(): void;
  /** How many replies and commands were lost so far. */
  readonly lost: number;
  close(): Promise<void>;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** In front of `port` of this machine. */
export async function startProxy(port: number): Promise<Proxy> {
  const pairs = new Set<Pair>();
  let losing: 'reply' | 'command' | undefined;
  let refusing = false;
  let stalled = false;
  let lost = 0;
  const cut = (pair: Pair): void => {
    pairs.delete(pair);
    pair.near.destroy();
    pair.far.destroy();
  };
  const server = createServer((near) => {
    if (refusing) return void near.destroy();
    const pair: Pair = { near, far: createConnection({ host: '127.0.0.1', port }) };
    pairs.add(pair);
    for (const socket of [pair.near, pair.far]) {
      socket.on('error', () => cut(pair));
      socket.on('close', () => cut(pair));
      if (stalled) socket.pause();
    }
    const pass = (to: Socket, kind: 'reply' | 'command') => (chunk: Buffer) => {
      if (losing !== kind) return void to.write(chunk);
      losing = undefined;
      lost += 1;
      cut(pair);
    };
    near.on('data', pass(pair.far, 'command'));
    pair.far.on('data', pass(near, 'reply'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const flowing = (on: boolean): void => {
    stalled = !on;
    for (const { near, far } of pairs) for (const socket of [near, far]) void (on ? socket.resume() : socket.pause());
  };
  return {
    port: (server.address() as { port: number }).port,
    cut: () => [...pairs].forEach(cut),
    loseReply: () => void (losing = 'reply'),
    loseCommand: () => void (losing = 'command'),
    stall: () => flowing(false),
    flow: () => flowing(true),
    refuse: () => void (refusing = true),
    accept: () => void (refusing = false),
    get lost() {
      return lost;
    },
    async close() {
      [...pairs].forEach(cut);
      server.close();
      await once(server, 'close');
    },
  };
}
