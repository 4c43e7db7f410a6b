/**
 * Journals and snapshots as files: reading one of them, whole or refused.
 *
 * Owns: the fields of their headers. Does not own: how journals make a chain (chain.ts), writing (writer.ts).
 */
import type { Json } from '../../core/json-type.ts';
import { preview } from '../../core/json.ts';
import { refusal } from './failures.ts';
import { checkPlace, field, seal, type Sealed, unseal, unsealLine } from './format.ts';
import { scanLines, type Scan } from './journal-lines.ts';
import { byAge, type JournalKey, journalName, parseName, parseSnapshotName, type SnapshotKey, snapshotName } from './names.ts';
import { pathIn, readFile, type RunFolder } from './run-folder.ts';

/** How far a journal counts: what its writer wrote behind that was never acknowledged. */
export interface Cut {
  readonly journal: string;
  readonly bytes: number;
  /** The running checksum there. */
  readonly crc: number;
  /** The revision there. */
  readonly revision: number;
}

export interface JournalHead {
  /** The revision that its first entry follows. */
  readonly start: number;
  /** The newest snapshot when the journal was begun; nothing in a run that has none yet. */
  readonly snapshot: SnapshotKey | undefined;
  /** What this journal goes on from. */
  readonly from: Cut | undefined;
}

export function sealJournal(runId: string, key: JournalKey, { start, snapshot, from }: JournalHead): Sealed {
  return seal('journal', { run: runId, file: journalName(key), start, snapshot: snapshot === undefined ? null : snapshotName(snapshot), from: from === undefined ? null : { ...from } });
}

export interface Journal extends JournalHead, Scan {
  readonly key: JournalKey;
  /** Of the file as it was read, what does not count included. */
  readonly size: number;
}

/** Reads a journal, up to the cut where there is one. What is behind a damaged line is left out, with `damage` set. */
export async function readJournal(folder: RunFolder, key: JournalKey, cut?: Cut): Promise<Journal> {
  const name = journalName(key);
  const path = pathIn(folder, name);
  const bytes = await readFile(folder, name);
  const { fields, crc, end } = unsealLine('journal', bytes, path);
  checkPlace(fields, folder.runId, name, path);
  const head: JournalHead = { start: field(fields, 'start', 'number', path), snapshot: snapshotOf(fields['snapshot'], path), from: cutOf(fields['from'], path) };
  if (head.from !== undefined && !isOlder(head.from.journal, key)) throw refusal('checkpoint/invalid', path, `goes on from ${preview(head.from.journal, 60)}, which is no older journal`);
  const size = bytes.length;
  const scan = scanLines(cut === undefined ? bytes : bytes.subarray(0, cut.bytes), end, crc, head.start, path);
  if (cut === undefined || scan.damage !== undefined || (scan.end === cut.bytes && scan.crc === cut.crc)) return { ...head, ...scan, key, size };
  const damage = refusal('checkpoint/torn', path, `ends after ${scan.end} bytes, but a later journal goes on from byte ${cut.bytes}`);
  return { ...head, ...scan, key, size, damage };
}

function isOlder(name: string, than: JournalKey): boolean {
  const file = parseName(name);
  return file?.kind === 'journal' && byAge(file, than) < 0;
}

function snapshotOf(name: Json | undefined, path: string): SnapshotKey | undefined {
  if (name === null) return undefined;
  const key = typeof name === 'string' ? parseSnapshotName(name) : undefined;
  if (key === undefined) throw refusal('checkpoint/invalid', path, `has a field snapshot that is ${preview(name, 60)}`);
  return key;
}

function cutOf(value: Json | undefined, path: string): Cut | undefined {
  if (value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw refusal('checkpoint/invalid', path, `has a field from that is ${preview(value, 60)}`);
  const fields = value as Readonly<Record<string, Json>>;
  return { journal: field(fields, 'journal', 'string', path), bytes: field(fields, 'bytes', 'number', path), crc: field(fields, 'crc', 'number', path), revision: field(fields, 'revision', 'number', path) };
}

export interface SnapshotFacts {
  readonly workflow: string;
  readonly savedAt: number;
}

export function sealSnapshot(runId: string, key: SnapshotKey, { workflow, savedAt }: SnapshotFacts, checkpoint: string): Sealed {
  return seal('snapshot', { run: runId, file: snapshotName(key), workflow, savedAt }, checkpoint);
}

export interface Snapshot {
  readonly key: SnapshotKey;
  readonly checkpoint: string;
  readonly savedAt: number;
  readonly bytes: number;
}

export async function readSnapshot(folder: RunFolder, key: SnapshotKey): Promise<Snapshot> {
  const name = snapshotName(key);
  const path = pathIn(folder, name);
  const bytes = await readFile(folder, name);
  const { fields, end } = unseal('snapshot', bytes, path);
  checkPlace(fields, folder.runId, name, path);
  return { key, checkpoint: bytes.toString('utf8', end), savedAt: field(fields, 'savedAt', 'number', path), bytes: bytes.length - end };
}

/** The workflow's id out of an envelope; it stands in the beginning, so that big ones need not be parsed. */
export function workflowOf(checkpoint: string): string {
  const [, quoted] = /"workflow"\s*:\s*("(?:[^"\\]|\\.){1,1200}")/.exec(checkpoint.slice(0, 4096)) ?? [];
  try {
    const workflow: unknown = quoted === undefined ? (JSON.parse(checkpoint) as { workflow?: unknown } | null)?.workflow : JSON.parse(quoted);
    return typeof workflow === 'string' ? workflow : '';
  } catch {
    return '';
  }
}
