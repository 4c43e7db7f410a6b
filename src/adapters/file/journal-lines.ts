/**
 * The lines of a journal.
 *
 * Owns: an entry as a line, and reading lines back. Does not own: the journal's header, which journals there are.
 *
 *   crc6, a blank, entry             an entry
 *   crc6, `:57`, a blank, entry      the last entry of a write: with it the run is at revision 57, and the write counts
 *
 * Invariants
 * 1. Each checksum runs on from the line before, from the header on: a line that was lost, moved or repeated is noticed
 *    as one that was changed. It costs eight bytes for each entry, the end of the line included.
 * 2. Only what a crash can leave is left out: a last write whose last line has no end. A line that lacks nothing but the
 *    end is whole. Everything else that does not match is damage.
 */
import { crc32 } from 'node:zlib';
import type { CheckpointError } from '../../core/errors.ts';
import { refusal } from './failures.ts';

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const digitCodes = Uint8Array.from(digits, (digit) => digit.charCodeAt(0));
const CRC_LENGTH = 6;
const NEWLINE = 10;
const BLANK = 32;
const COLON = 58;

export interface Batch {
  readonly bytes: Buffer;
  readonly crc: number;
}

/** The lines of the writes, whose checksums go on from `crc`. */
export function encodeLines(writes: readonly { readonly entries: readonly string[]; readonly revision: number }[], crc: number): Batch {
  let text = '';
  let running = crc;
  for (const { entries, revision } of writes) {
    const last = entries.length - 1;
    for (let at = 0; at <= last; at++) {
      const body = at === last ? `:${revision} ${entries[at]}` : ` ${entries[at]}`;
      running = crc32(body, running);
      text += `${crcText(running)}${body}\n`;
    }
  }
  return { bytes: Buffer.from(text), crc: running };
}

/** A revision, and how many entries lead to it. */
export interface Mark {
  readonly entries: number;
  readonly revision: number;
}

export interface Scan {
  readonly entries: readonly string[];
  readonly marks: readonly Mark[];
  /** The revision that the last mark names, or the one at the start. */
  readonly revision: number;
  /** Behind the last write that counts. */
  readonly end: number;
  /** The checksum there. */
  readonly crc: number;
  /** Why the lines behind `end` cannot be used. */
  readonly damage: CheckpointError | undefined;
}

/** Reads the lines from `from` on, where the checksum is `crc` and the run is at `revision`. */
export function scanLines(bytes: Buffer, from: number, crc: number, revision: number, path: string): Scan {
  const entries: string[] = [];
  const marks: Mark[] = [];
  let running = crc;
  let start = from;
  let whole = { revision, end: from, crc };
  let damage: CheckpointError | undefined;
  while (start < bytes.length) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    const next = crcOf(bytes, start, end, running);
    if (!hasCrc(bytes, start, end, next)) {
      if (newline < 0 && !hasCrc(bytes, start, end - 1, crcOf(bytes, start, end - 1, running))) break;
      damage = refusal('checkpoint/damaged', path, `has a line ${entries.length + 2} that does not match its checksum`);
      break;
    }
    const line = readLine(bytes, start + CRC_LENGTH, end);
    if (line === undefined || (line.revision !== undefined && !(line.revision > whole.revision))) {
      damage = refusal('checkpoint/invalid', path, `has a line ${entries.length + 2} that is no entry after revision ${whole.revision}`);
      break;
    }
    entries.push(line.entry);
    running = next;
    start = newline < 0 ? end : end + 1;
    if (line.revision === undefined) continue;
    marks.push({ entries: entries.length, revision: line.revision });
    whole = { revision: line.revision, end: start, crc: running };
  }
  entries.length = marks.at(-1)?.entries ?? 0;
  return { entries, marks, ...whole, damage };
}

function readLine(bytes: Buffer, from: number, end: number): { entry: string; revision: number | undefined } | undefined {
  if (bytes[from] === BLANK) return { entry: bytes.toString('utf8', from + 1, end), revision: undefined };
  const blank = bytes[from] === COLON ? bytes.indexOf(BLANK, from) : -1;
  if (blank < 0 || blank >= end) return undefined;
  const revision = Number(bytes.toString('latin1', from + 1, blank));
  return Number.isSafeInteger(revision) ? { entry: bytes.toString('utf8', blank + 1, end), revision } : undefined;
}

function crcOf(bytes: Buffer, start: number, end: number, running: number): number {
  return end - start <= CRC_LENGTH ? -1 : crc32(bytes.subarray(start + CRC_LENGTH, end), running);
}

function hasCrc(bytes: Buffer, start: number, end: number, crc: number): boolean {
  if (crc < 0 || end - start <= CRC_LENGTH) return false;
  for (let at = 0; at < CRC_LENGTH; at++) {
    if (bytes[start + at] !== digitCodes[digitAt(crc, at)]) return false;
  }
  return true;
}

function crcText(crc: number): string {
  let text = '';
  for (let at = 0; at < CRC_LENGTH; at++) text += digits[digitAt(crc, at)];
  return text;
}

/** Six digits of six bits; the first has the two that are left. */
function digitAt(crc: number, at: number): number {
  return (crc >>> (30 - 6 * at)) & 63;
}
