/**
 * `taskchart top`: everything that a relay sees, as a table that is drawn again every second.
 *
 * Owns: the table, the screen, coming back when the relay does. Does not own: the stream (relay-stream.ts).
 *
 * Invariants
 * 1. Without a terminal, or with --once, it prints once and ends; with --json it writes lines of JSON instead.
 * 2. The terminal is given back on every way out.
 * 3. What runs call themselves cannot move the cursor.
 */
import { relayFromEnvironment } from '../inspect/relay-address.ts';
import type { RunMessage, SystemMessage } from '../inspect/messages.ts';
import { writeLines, type Host } from './follow.ts';
import { RelayStream, follow, type SeenRun } from './relay-stream.ts';
import { tableLines } from './table.ts';
import { duration, fit, grouped, oneLine, plural } from './text.ts';
import { untilSignal } from './until-signal.ts';
import { RefusedError, UsageError, exitCodes } from './usage.ts';

const FRAME_MS = 1000;
const RETRY_MS = 1000;
const CONNECT_MS = 5000;
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';

export interface TopFlags {
  readonly url?: string;
  readonly once?: boolean;
  readonly json?: boolean;
}

export async function top(flags: TopFlags, host: Host): Promise<number> {
  const address = addressOf(flags.url);
  const stream = new RelayStream();
  const first = await connected(address, stream);
  const terminal = host.process.stdout.isTTY === true && host.process.env['TERM'] !== 'dumb';
  if (flags.once === true || (!terminal && flags.json !== true)) {
    first.stop();
    await writeLines(flags.json === true ? [jsonLine(stream, Date.now())] : screen(stream, Date.now()), host);
    return exitCodes.ok;
  }
  await watching(first, address, stream, flags.json === true ? jsonOutput(host) : screenOutput(host), host);
  return exitCodes.ok;
}

function addressOf(given: string | undefined): URL {
  const text = given ?? relayFromEnvironment();
  if (text === undefined) throw new UsageError('which relay? Give --url the address that taskchart inspect has printed, or set TASKCHART_INSPECT to it');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || !url.searchParams.has('token')) throw new UsageError('--url must be the address that taskchart inspect has printed: http://127.0.0.1:<port>/?token=<token>');
  return url;
}

interface Connection {
  readonly stop: () => void;
  /** Resolves when the connection is gone. */
  readonly gone: Promise<void>;
}

/** The first connection has to work. */
function connected(address: URL, stream: RelayStream): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let gone: () => void = () => undefined;
    const over = new Promise<void>((done) => (gone = done));
    const timer = setTimeout(() => (stop(), reject(new RefusedError(`the relay at ${address.host} does not answer`))), CONNECT_MS);
    const stop = follow(address, stream, () => {
      if (!stream.live) return;
      clearTimeout(timer);
      resolve({ stop, gone: over });
    }, (status) => {
      clearTimeout(timer);
      gone();
      reject(new RefusedError(status === 403 ? `the relay at ${address.host} does not know this token: take the address that it has printed` : `no relay answers at ${address.host}: start one with taskchart inspect`));
    });
  });
}

interface Output {
  begin(): void;
  frame(stream: RelayStream, now: number, lost: boolean): void;
  end(): void;
}

/** What is shown: the newest picture, also while the relay is gone. */
interface Shown {
  stream: RelayStream;
  lost: boolean;
}

async function watching(first: Connection, address: URL, stream: RelayStream, output: Output, host: Host): Promise<void> {
  const shown: Shown = { stream, lost: false };
  const stop = new AbortController();
  output.begin();
  const draw = (): void => output.frame(shown.stream, Date.now(), shown.lost);
  const timer = setInterval(draw, FRAME_MS);
  draw();
  void comingBack(first, address, shown, stop.signal);
  await untilSignal(host.process);
  clearInterval(timer);
  stop.abort();
  output.end();
}

/** Connects again, for as long as it takes. */
async function comingBack(first: Connection, address: URL, shown: Shown, over: AbortSignal): Promise<void> {
  let current: Connection | undefined = first;
  over.addEventListener('abort', () => current?.stop());
  while (!over.aborted) {
    if (current !== undefined) await current.gone;
    if (over.aborted) return;
    shown.lost = true;
    await new Promise((resolve) => void setTimeout(resolve, RETRY_MS));
    const stream = new RelayStream();
    current = await connected(address, stream).catch(() => undefined);
    if (current !== undefined) Object.assign(shown, { stream, lost: false });
  }
  current?.stop();
}

function jsonOutput(host: Host): Output {
  return { begin: () => undefined, frame: (stream, now) => void host.process.stdout.write(`${jsonLine(stream, now)}\n`), end: () => undefined };
}

function screenOutput({ process }: Host): Output {
  const { stdout } = process;
  return {
    begin: () => void stdout.write(ENTER),
    frame(stream, now, lost) {
      const [columns, rows] = [Math.max(20, (stdout.columns ?? 80) - 1), Math.max(4, (stdout.rows ?? 24) - 1)];
      const lines = [...(lost ? ['the relay is gone; trying again …'] : []), ...screen(stream, now)];
      const shown = lines.length > rows ? [...lines.slice(0, rows - 1), `… ${plural(lines.length - rows + 1, 'more line')}`] : lines;
      stdout.write(`\u001b[H${shown.map((line) => `${fit(line, columns)}\u001b[K\n`).join('')}\u001b[J`);
    },
    end: () => void stdout.write(LEAVE),
  };
}

/** The whole table; the first line is a summary. */
export function screen(stream: RelayStream, now: number): string[] {
  const seen = stream.runs(now);
  const runs = seen.filter(({ run }) => !isBranch(run));
  const branches = branchesOf(seen, stream);
  const workers = [...stream.systems.values()].filter(isWorker);
  const lines = [summary(stream, runs, workers)];
  if (runs.length > 0) lines.push('', ...tableLines([['RUN', 'WORKFLOW', 'STATE', 'TASKS/S', 'DONE', 'FAILED', 'RUNNING', 'WAITING', 'QUEUED', 'AGE', 'PROCESS'], ...runs.map((each) => runRow(each, stream, now))]));
  if (workers.length > 0 || branches.size > 0) lines.push('', ...workerLines(workers, branches, stream, now));
  if (workers.length > 0) lines.push('', ...queueLines(workers, stream, now));
  if (seen.length === 0 && workers.length === 0) lines.push('', "nothing has connected yet: set TASKCHART_INSPECT for a process, or give a run { inspect: connectInspector(address) }");
  return lines;
}

function summary({ sources }: RelayStream, runs: readonly SeenRun[], workers: readonly SystemMessage[]): string {
  const states = new Map<string, number>();
  for (const { run } of runs) states.set(run.state, (states.get(run.state) ?? 0) + 1);
  const rate = runs.reduce((sum, seen) => sum + seen.rate, 0);
  const processes = [...sources.values()].filter(({ state }) => state === 'connected').length;
  const counts = [...states].map(([name, count]) => `${grouped(count)} ${name}`).join(', ');
  return `${plural(runs.length, 'run')}${counts === '' ? '' : ` (${counts})`}, ${perSecond(rate)} tasks/s, ${processes === 1 ? '1 process' : `${grouped(processes)} processes`}, ${plural(workers.length, 'worker')}`;
}

function runRow({ run, rate }: SeenRun, stream: RelayStream, now: number): string[] {
  const { runId, workflow, counts, startedAt, endedAt } = run;
  const age = startedAt === undefined ? '-' : duration((endedAt ?? now) - startedAt);
  return [runId ?? '-', workflow, stateOf(run, stream), perSecond(rate), grouped(counts.done), grouped(counts.failed), grouped(counts.running), grouped(counts.waiting + counts.retrying), grouped(counts.queued), age, processOf(run.sessionId, stream)];
}

/** A run whose process has gone is not what it says. */
function stateOf({ state, sessionId }: RunMessage, { sources }: RelayStream): string {
  const source = sources.get(sourceOf(sessionId));
  return source?.state === 'lost' && !['completed', 'failed', 'cancelled', 'stopped'].includes(state) ? 'lost' : state;
}

/** What a worker executes of another run. There are as many as the worker has units, so they are counted, not listed. */
function isBranch({ origin }: RunMessage): boolean {
  return origin === 'branch';
}

/** For each process, how many of its branches are in which state. */
type Branches = ReadonlyMap<string, ReadonlyMap<string, number>>;

function branchesOf(seen: readonly SeenRun[], stream: RelayStream): Branches {
  const branches = new Map<string, Map<string, number>>();
  for (const { run } of seen) {
    if (!isBranch(run)) continue;
    const source = sourceOf(run.sessionId);
    const states = branches.get(source) ?? new Map<string, number>();
    const state = stateOf(run, stream);
    branches.set(source, states.set(state, (states.get(state) ?? 0) + 1));
  }
  return branches;
}

function branchesText(states: ReadonlyMap<string, number>): string {
  const total = [...states.values()].reduce((sum, count) => sum + count, 0);
  return [`${grouped(total)} ${total === 1 ? 'branch' : 'branches'}`, ...[...states].filter(([name]) => name !== 'completed').map(([name, count]) => `${grouped(count)} ${name}`)].join(', ');
}

/** Which of the workers of one process executes a branch is not told, so a line stands under the last of them. */
function workerLines(workers: readonly SystemMessage[], branches: Branches, stream: RelayStream, now: number): string[] {
  const [head = '', ...rows] = tableLines([['WORKER', 'QUEUE', 'STATE', 'SLOTS', 'PENDING', 'SERVED', 'UNITS/S', 'PROCESS'], ...workers.map((worker) => workerRow(worker, stream, now))]);
  const lastOf = new Map(workers.map(({ rootId }, at) => [sourceOf(rootId), at]));
  const lines = workers.length === 0 ? [] : [head];
  rows.forEach((row, at) => {
    lines.push(row);
    const source = sourceOf(workers[at]?.rootId ?? '');
    const states = branches.get(source);
    if (states !== undefined && lastOf.get(source) === at) lines.push(`  ${oneLine(branchesText(states))}`);
  });
  // The worker itself may have been forgotten before they were.
  for (const [source, states] of branches) if (!lastOf.has(source)) lines.push(oneLine(`${branchesText(states)}, in the process ${processOf(`${source}/`, stream)}`));
  return lines;
}

function isWorker({ machine, facts }: SystemMessage): boolean {
  return machine === 'worker' && typeof facts['queue'] === 'string';
}

function workerRow({ rootId, facts, value, status }: SystemMessage, stream: RelayStream, now: number): string[] {
  const number = (key: string): string => (typeof facts[key] === 'number' ? grouped(facts[key]) : '-');
  const state = status === 'active' && typeof value === 'string' ? value : status;
  return [String(facts['worker'] ?? rootId), String(facts['queue']), state, number('slots'), number('pending'), number('served'), perSecond(stream.rate(rootId, now)), processOf(rootId, stream)];
}

/** What workers say of their queues: the length that was seen last, and all rates together. */
function queueLines(workers: readonly SystemMessage[], stream: RelayStream, now: number): string[] {
  const queues = new Map<string, { pending: number; slots: number; rate: number; at: number; workers: number }>();
  for (const { rootId, facts, createdAt } of workers) {
    const name = String(facts['queue']);
    const queue = queues.get(name) ?? { pending: 0, slots: 0, rate: 0, at: 0, workers: 0 };
    if (Number(createdAt) >= queue.at) Object.assign(queue, { at: Number(createdAt), pending: Number(facts['pending'] ?? 0) });
    queue.slots += Number(facts['slots'] ?? 0);
    queue.rate += stream.rate(rootId, now);
    queue.workers += 1;
    queues.set(name, queue);
  }
  return tableLines([['QUEUE', 'PENDING', 'WORKERS', 'SLOTS', 'UNITS/S'], ...[...queues].map(([name, { pending, workers: count, slots, rate }]) => [name, grouped(pending), grouped(count), grouped(slots), perSecond(rate)])]);
}

function sourceOf(session: string): string {
  return session.slice(0, session.indexOf('/'));
}

function processOf(session: string, { sources }: RelayStream): string {
  const source = sources.get(sourceOf(session));
  if (source === undefined) return '-';
  return oneLine([source.title, source.pid === undefined ? source.kind : String(source.pid), source.state === 'connected' ? undefined : source.state].filter((part) => part !== undefined).join(' '));
}

function perSecond(rate: number): string {
  return rate === 0 ? '0' : rate < 10 ? rate.toFixed(1) : grouped(Math.round(rate));
}

function jsonLine(stream: RelayStream, now: number): string {
  const seen = stream.runs(now);
  return JSON.stringify({
    at: now,
    runs: seen.filter(({ run }) => !isBranch(run)).map(({ run: { sessionId, runId, workflow, state, counts, startedAt, endedAt }, rate }) => ({ session: sessionId, run: runId, workflow, state, counts, startedAt, endedAt, tasksPerSecond: rate })),
    workers: [...stream.systems.values()].filter(isWorker).map(({ rootId, facts, value, status }) => ({ session: rootId, state: value ?? status, ...facts, unitsPerSecond: stream.rate(rootId, now) })),
    branches: [...branchesOf(seen, stream)].map(([source, states]) => ({ source, states: Object.fromEntries(states) })),
    processes: [...stream.sources.values()].map(({ sessionId, state, kind, host, pid, title, dropped }) => ({ source: sessionId, state, kind, host, pid, title, dropped })),
  });
}
