/**
 * Files that can be trusted: a header line with format, version, checksum and fields, and what follows it.
 *
 * Owns: the header and the checksum over a file. Does not own: the lines of a journal, what the fields mean.
 *
 *   {"format":"taskchart/snapshot","version":1,"crc32":"0a1b2c3d","run":"r1","bytes":1234,…}
 *
 * Invariants
 * 1. The checksum covers every byte behind itself, up to the end of the file (of a journal: of the line).
 * 2. Reading throws nothing but CheckpointError, whatever the bytes, and says which: empty, torn, foreign, another
 *    version, damaged.
 */
import { crc32 } from 'node:zlib';
import type { Json, JsonObject } from '../../core/json-type.ts';
import { preview } from '../../core/json.ts';
import { refusal } from './failures.ts';

export type FileFormat = 'epoch' | 'journal' | 'snapshot' | 'post';

const VERSION = 1;
const NEWLINE = 10;
const opening = (format: FileFormat): string => `{"format":"taskchart/${format}","version":`;
const words: Readonly<Record<FileFormat, string>> = { epoch: 'an owner file', journal: 'a journal', snapshot: 'a snapshot', post: 'a message' };

export interface Sealed {
  readonly bytes: Buffer;
  readonly crc: number;
}

/** The bytes of a file. `body` follows the header line; its length becomes the field `bytes`. */
export function seal(format: FileFormat, fields: JsonObject, body?: string): Sealed {
  const content = body === undefined ? undefined : Buffer.from(body);
  const all = content === undefined ? fields : { ...fields, bytes: content.length };
  const rest = `,${JSON.stringify(all).slice(1)}\n`;
  const crc = content === undefined ? crc32(rest) : crc32(content, crc32(rest));
  const head = Buffer.from(`${opening(format)}${VERSION},"crc32":"${hex(crc)}"${rest}`);
  return { bytes: content === undefined ? head : Buffer.concat([head, content]), crc };
}

export interface Unsealed {
  readonly fields: Readonly<Record<string, Json>>;
  readonly crc: number;
  /** Where what follows the header line begins. */
  readonly end: number;
}

/** Checks a file whose checksum covers all of it. */
export function unseal(format: FileFormat, bytes: Buffer, path: string): Unsealed {
  const header = openHeader(format, bytes, path);
  if (crc32(bytes.subarray(header.sealed)) !== header.crc) throw misfit(bytes, header, path);
  const fields = parseFields(bytes, header, path);
  if (fields['bytes'] !== undefined && fields['bytes'] !== bytes.length - header.end) throw misfit(bytes, header, path);
  return { fields, crc: header.crc, end: header.end };
}

/** Checks a header line whose checksum covers the line alone. */
export function unsealLine(format: FileFormat, bytes: Buffer, path: string): Unsealed {
  const header = openHeader(format, bytes, path);
  if (crc32(bytes.subarray(header.sealed, header.end)) !== header.crc) throw refusal('checkpoint/damaged', path, 'has a first line that does not match its checksum');
  return { fields: parseFields(bytes, header, path), crc: header.crc, end: header.end };
}

/** The fields of a header whose file is not read to its end: hints for lists, not to be relied on. */
export function peek(format: FileFormat, bytes: Buffer, path: string): Readonly<Record<string, Json>> {
  return parseFields(bytes, openHeader(format, bytes, path), path);
}

interface Header {
  /** Where the bytes under the checksum begin. */
  readonly sealed: number;
  /** Behind the line. */
  readonly end: number;
  readonly crc: number;
}

function openHeader(format: FileFormat, bytes: Buffer, path: string): Header {
  if (bytes.length === 0) throw refusal('checkpoint/empty', path, 'is empty');
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw refusal('checkpoint/damaged', path, 'begins with a byte order mark, so another program has saved it', 'Save it again without the mark, or load an earlier revision.');
  }
  const expected = opening(format);
  const text = bytes.toString('latin1', 0, expected.length + 40);
  if (!text.startsWith(expected)) {
    if (expected.startsWith(text)) throw torn(bytes, path);
    throw refusal('checkpoint/foreign', path, `is not ${words[format]} of this library: it begins with ${preview(text.slice(0, 30), 60)}`, 'Check what put it there. The file was left as it is.');
  }
  const rest = text.slice(expected.length);
  const version = /^(\d+)[,}]/.exec(rest)?.[1];
  if (version !== undefined && version !== String(VERSION)) throw otherVersion(version, path);
  const seal = /^\d+,"crc32":"([0-9a-f]{8})"/.exec(rest);
  if (seal?.[1] === undefined) {
    if (`${VERSION},"crc32":"`.startsWith(rest) || /^\d+,"crc32":"[0-9a-f]{0,8}$/.test(rest)) throw torn(bytes, path);
    throw refusal('checkpoint/damaged', path, 'has a first line that cannot be read');
  }
  const line = bytes.indexOf(NEWLINE, expected.length);
  if (line < 0) throw torn(bytes, path);
  return { sealed: expected.length + seal[0].length, end: line + 1, crc: Number.parseInt(seal[1], 16) };
}

function otherVersion(version: string, path: string): Error {
  const newer = Number(version) > VERSION;
  const hint = newer ? 'Update the package to the version that wrote it, or a later one.' : undefined;
  return refusal('checkpoint/version', path, `has version ${preview(Number(version), 20)}; this package reads version ${VERSION}`, hint);
}

function torn(bytes: Buffer, path: string): Error {
  return refusal('checkpoint/torn', path, `ends in the middle, after ${bytes.length} bytes`);
}

/** Why the checksum does not fit, as far as the header's count of bytes tells. */
function misfit(bytes: Buffer, header: Header, path: string): Error {
  let count: Json | undefined;
  try {
    count = parseFields(bytes, header, path)['bytes'];
  } catch {
    // The header itself is damaged.
  }
  const found = bytes.length - header.end;
  if (typeof count === 'number' && found < count) return refusal('checkpoint/torn', path, `ends after ${found} of ${count} bytes`);
  if (typeof count === 'number' && found > count) return refusal('checkpoint/damaged', path, `has ${found - count} bytes behind its end`);
  return refusal('checkpoint/damaged', path, 'does not match its checksum');
}

function parseFields(bytes: Buffer, header: Header, path: string): Readonly<Record<string, Json>> {
  try {
    // Behind the checksum stands `,"first":…}` and the end of the line.
    return JSON.parse(`{${bytes.toString('utf8', header.sealed + 1, header.end - 1)}`) as Record<string, Json>;
  } catch {
    throw refusal('checkpoint/damaged', path, 'has a first line that cannot be read');
  }
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

/** A field that must be there; a right checksum over wrong fields means another program wrote the file. */
export function field<K extends 'string' | 'number'>(from: Readonly<Record<string, Json>>, name: string, kind: K, path: string): K extends 'string' ? string : number {
  const value = from[name];
  const fits = kind === 'number' ? Number.isSafeInteger(value) && (value as number) >= 0 : typeof value === 'string';
  if (!fits) throw refusal('checkpoint/invalid', path, `has a field ${name} that is ${preview(value, 60)}`);
  return value as K extends 'string' ? string : number;
}

/** Refuses a file that was copied here from another run, or that stands under another name than it was written under. */
export function checkPlace(fields: Readonly<Record<string, Json>>, runId: string, name: string, path: string): void {
  checkRun(fields, runId, path);
  const written = field(fields, 'file', 'string', path);
  if (written !== name) throw refusal('checkpoint/foreign', path, `was written as ${preview(written, 60)}`);
}

/** Refuses a file that was copied here from another run. */
export function checkRun(fields: Readonly<Record<string, Json>>, runId: string, path: string): void {
  const run = field(fields, 'run', 'string', path);
  if (run !== runId) throw refusal('checkpoint/foreign', path, `belongs to run ${preview(run, 60)}, not to ${preview(runId, 60)}`);
}
