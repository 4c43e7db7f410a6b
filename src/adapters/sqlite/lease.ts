/**
 * Which process may have a database file open.
 *
 * The file system of the WebAssembly build locks with a folder beside the file. A killed process leaves that folder
 * behind, and nobody can tell whose it was. So this lease comes first, and says who holds it.
 *
 * Owns: the lease files, judging whether a holder still lives. Does not own: waiting for a lease (shared.ts), the
 * database.
 *
 * Invariants
 * 1. The lease file with the highest number is the lease. Numbers only grow: the highest file is never removed, and a
 *    lease is taken by creating the next number, which one process can do.
 * 2. A lease is taken only from a holder that gave it up or is dead. A process of this host is dead when its id is
 *    gone or belongs to a younger process; one of another host when it gave no sign of life for DEAD_AFTER_MS.
 * 3. A holder that was taken for dead by mistake finds a higher number, and writes nothing more (`lost`).
 */
import { closeSync, existsSync, openSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname } from 'node:path';
import { isAlive } from '../processes.ts';

/** Without a sign of life for so long, a holder on another host counts as dead. */
export const DEAD_AFTER_MS = 60_000;
const BEAT_MS = 5000;
/** A lease file without content is being written just now, or its writer died in between. */
const UNWRITTEN_MS = 10_000;
const FREE = 'free\n';

export interface Holder {
  readonly host: string;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Process ids mean something only within one of these. */
  readonly space: string;
}

/** What `takeLease` found instead of a free lease. */
export interface Held {
  /** Unknown while it is being written. */
  readonly holder: Holder | undefined;
  readonly silentMs: number;
}

export class Lease {
  readonly #base: string;
  readonly #number: number;
  #beatAt = Date.now();

  constructor(base: string, number: number) {
    this.#base = base;
    this.#number = number;
  }

  /** Another process has taken it. */
  get lost(): boolean {
    return existsSync(leaseFile(this.#base, this.#number + 1)) || !existsSync(leaseFile(this.#base, this.#number));
  }

  /** A sign of life, where the last one is old. */
  beat(): void {
    const now = Date.now();
    if (now - this.#beatAt < BEAT_MS) return;
    this.#beatAt = now;
    try {
      utimesSync(leaseFile(this.#base, this.#number), now / 1000, now / 1000);
    } catch {
      // A folder that is gone is found by the next write.
    }
  }

  release(): void {
    try {
      if (!this.lost) writeFileSync(leaseFile(this.#base, this.#number), FREE);
    } catch {
      // Then the others see a dead process later.
    }
  }
}

/** The lease of `base`, or who holds it. Throws what the file system throws. */
export function takeLease(base: string): Lease | Held {
  const top = highest(base);
  if (top > 0) {
    const held = judge(leaseFile(base, top));
    if (held !== undefined) return held;
  }
  const mine = top + 1;
  try {
    create(leaseFile(base, mine), JSON.stringify(thisProcess()));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return { holder: undefined, silentMs: 0 };
    throw error;
  }
  // The number may have been passed since: what was just created was then an old one.
  if (highest(base) !== mine) {
    rmSync(leaseFile(base, mine), { force: true });
    return { holder: undefined, silentMs: 0 };
  }
  for (const number of numbers(base)) if (number < mine) rmSync(leaseFile(base, number), { force: true });
  return new Lease(base, mine);
}

function leaseFile(base: string, number: number): string {
  return `${base}.lease-${number}`;
}

function numbers(base: string): number[] {
  const prefix = `${basename(base)}.lease-`;
  const found = readdirSync(dirname(base)).filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,14}$/.test(name.slice(prefix.length)));
  return found.map((name) => Number(name.slice(prefix.length)));
}

function highest(base: string): number {
  return Math.max(0, ...numbers(base));
}

function create(file: string, text: string): void {
  const fd = openSync(file, 'wx', 0o600);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

/** Nothing if the lease can be taken. */
function judge(file: string): Held | undefined {
  let text: string;
  let silentMs: number;
  try {
    text = readFileSync(file, 'utf8');
    silentMs = Math.max(0, Date.now() - statSync(file).mtimeMs);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { holder: undefined, silentMs: 0 };
    throw error;
  }
  if (text === FREE) return undefined;
  const holder = parse(text);
  if (holder === undefined) return silentMs > UNWRITTEN_MS ? undefined : { holder, silentMs };
  return isDead(holder, silentMs) ? undefined : { holder, silentMs };
}

function parse(text: string): Holder | undefined {
  try {
    const { host, pid, since, space } = JSON.parse(text) as Partial<Holder>;
    if (typeof host !== 'string' || !Number.isSafeInteger(pid) || typeof since !== 'number') return undefined;
    return { host, pid: pid as number, since, space: String(space) };
  } catch {
    return undefined;
  }
}

function isDead(holder: Holder, silentMs: number): boolean {
  if (holder.host !== hostname() || holder.space !== pidSpace()) return silentMs > DEAD_AFTER_MS;
  return !isAlive(holder.pid, holder.since);
}

function thisProcess(): Holder {
  return { host: hostname(), pid: process.pid, since: Date.now(), space: pidSpace() };
}

/** Containers may share a host name and a folder, but not their process ids. */
function pidSpace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}
