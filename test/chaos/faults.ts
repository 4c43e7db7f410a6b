/** The faults of chaos: what each does to the cast, and when everybody should have got over it. */
import type { Random } from '../../src/ports.ts';
import type { Proxy } from '../redis/proxy.ts';
import type { TestServer } from '../redis/server.ts';
import type { Ended, OwnProcess, WorkerProcess } from '../redis/worker-process.ts';

export interface Cast {
  readonly server: TestServer;
  readonly proxy: Proxy;
  readonly workers: WorkerProcess[];
  readonly coordinators: OwnProcess[];
  readonly random: Random;
  startWorker(place: number): void;
  startCoordinator(place: number): void;
  /** Milliseconds of real time: chaos is timed by nature. */
  pause(ms: number): Promise<void>;
  say(text: string): void;
}

export type Fault = (cast: Cast) => Promise<void>;

/** How a worker should end after SIGTERM. One that was still loading is ended by the signal itself: it had nothing. */
export function isDrained({ code, signal, stdout }: Ended): boolean {
  return code === 0 || (signal === 'SIGTERM' && stdout === '');
}

/** In the order in which a round of chaos draws from them; the numbers say how often. */
export const faults: readonly (readonly [name: string, weight: number, fault: Fault])[] = [
  ['worker killed', 4, async (cast) => {
    const place = pick(cast, cast.workers.length);
    await cast.workers[place]?.kill();
    cast.startWorker(place);
  }],
  ['worker frozen past its lease', 2, async (cast) => {
    const worker = cast.workers[pick(cast, cast.workers.length)];
    worker?.signal('SIGSTOP');
    await cast.pause(2500);
    worker?.signal('SIGCONT');
  }],
  ['worker drained', 2, async (cast) => {
    const place = pick(cast, cast.workers.length);
    const worker = cast.workers[place];
    worker?.signal('SIGTERM');
    cast.startWorker(place);
    const ended = await worker?.ended;
    // 1: it could not give back what it had, since Redis was away as well.
    if (ended !== undefined && !isDrained(ended) && ended.code !== 1) throw new Error(`a drained worker ended with ${ended.code} ${ended.signal}: ${ended.stderr.slice(-2000)}`);
    cast.say(`the drained worker ended with ${ended?.code}`);
  }],
  ['coordinator killed', 3, async (cast) => {
    const place = pick(cast, cast.coordinators.length);
    await cast.coordinators[place]?.kill();
    cast.startCoordinator(place);
  }],
  ['two owners', 1, async (cast) => {
    const place = pick(cast, cast.coordinators.length);
    const old = cast.coordinators[place];
    old?.signal('SIGSTOP');
    cast.startCoordinator(place);
    await cast.pause(3000);
    old?.signal('SIGCONT');
    const ended = await old?.ended;
    if (ended !== undefined && ended.code !== 7 && ended.code !== 0) throw new Error(`a coordinator that lost its run ended with ${ended.code} ${ended.signal}: ${ended.stderr.slice(-2000)}`);
    cast.say(`the frozen coordinator ended with ${ended?.code}`);
  }],
  ['redis killed and restarted', 2, async ({ server, pause, random }) => {
    await server.kill();
    await pause(200 + random.next() * 800);
    await server.restart();
  }],
  ['redis frozen', 1, async ({ server, pause }) => {
    server.pause();
    await pause(1200);
    server.resume();
  }],
  ['redis emptied', 1, async ({ server }) => {
    await server.client().flushall();
  }],
  ['connections killed by the server', 2, async ({ server }) => {
    await server.client().call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  }],
  ['connections cut', 2, async ({ proxy }) => proxy.cut()],
  ['network black-holed', 2, async ({ proxy, pause, random }) => {
    proxy.stall();
    await pause(800 + random.next() * 1500);
    proxy.flow();
  }],
  ['network refuses', 1, async ({ proxy, pause }) => {
    proxy.refuse();
    proxy.cut();
    await pause(1500);
    proxy.accept();
  }],
  ['reply lost', 4, async ({ proxy }) => proxy.loseReply()],
  ['command lost', 2, async ({ proxy }) => proxy.loseCommand()],
];

function pick({ random }: Cast, count: number): number {
  return Math.floor(random.next() * count);
}
