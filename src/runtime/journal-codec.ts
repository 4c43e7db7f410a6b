/**
 * Journal entries: accepted events as short single lines of JSON.
 *
 * Owns: the form of an entry. Does not own: when one is written (recorder.ts), what it does (replay.ts).
 *
 * Invariants
 * 1. decode(encode(event)) is the event, but for properties that are undefined.
 * 2. An entry is small: names of one letter, times as the difference to the time before, runs of indexes as one pair.
 *    Most of a journal is SETTLED, so that is what is short; the others are rare and stay as they are.
 */
import type { ExecutionEvent, MemberReport, Outcome, RangeReport, Report, TokenReport, Value } from '../../machines/index.ts';
import type { Json } from '../core/json-type.ts';

/** `v` a plain value (boxed, as it may be none), else `o` the whole outcome. */
type ShortEnd = { readonly v: readonly [] | readonly [Json] } | { readonly o: Outcome };
type ShortReport =
  | { readonly i: number; readonly m?: readonly number[]; readonly x?: Json; readonly e?: ShortEnd }
  | { readonly g: number; readonly r: readonly number[]; readonly c: readonly Value[] }
  | { readonly g: number; readonly n: number; readonly e: ShortEnd };

/** `[revision, elapsed, reports]` for SETTLED, `[revision, event]` for all others. */
export function encodeEntry(event: ExecutionEvent, revision: number, before: number): string {
  if (event.type !== 'SETTLED') return JSON.stringify([revision, event]);
  return JSON.stringify([revision, event.at - before, event.reports.map(shortReport)]);
}

export interface DecodedEntry {
  readonly revision: number;
  readonly event: ExecutionEvent;
}

/** The event of an entry; `before` is the time of the context that it is applied to. Throws for what is no entry. */
export function decodeEntry(entry: string, before: number): DecodedEntry {
  const value: unknown = JSON.parse(entry);
  if (!Array.isArray(value)) throw new TypeError('it is no array');
  const [revision, second, third] = value as readonly unknown[];
  if (!Number.isSafeInteger(revision)) throw new TypeError('it has no revision');
  if (Array.isArray(third)) {
    if (typeof second !== 'number') throw new TypeError('it has no time');
    return { revision: revision as number, event: { type: 'SETTLED', at: before + second, reports: third.map(longReport) } };
  }
  const type = typeof second === 'object' && second !== null ? (second as { readonly type?: unknown }).type : undefined;
  if (typeof type !== 'string' || !plainTypes.has(type)) throw new TypeError('it is no event of a run');
  return { revision: revision as number, event: second as ExecutionEvent };
}

const plainTypes: ReadonlySet<string> = new Set<ExecutionEvent['type']>(['READY', 'DUE', 'SIGNAL', 'REFUSED', 'PAUSE', 'RESUME', 'CANCEL']);

function shortReport(report: Report): ShortReport {
  if ('cells' in report) return { g: report.group, r: runsOf(report.indexes), c: report.cells };
  if ('group' in report) return { g: report.group, n: report.index, e: shortEnd(report.end) };
  const { id, moves, input, end } = report;
  return { i: id, ...(moves && { m: moves }), ...(input === undefined ? {} : { x: input }), ...(end && { e: shortEnd(end) }) };
}

function longReport(short: unknown): Report {
  const report = short as Partial<Record<'i' | 'g' | 'n', number>> & { m?: readonly number[]; x?: Json; e?: ShortEnd; r?: readonly number[]; c?: readonly Value[] };
  if (report.r !== undefined && report.c !== undefined) return { group: report.g, indexes: indexesOf(report.r), cells: report.c } as RangeReport;
  if (report.g !== undefined && report.e !== undefined) return { group: report.g, index: report.n, end: longEnd(report.e) } as MemberReport;
  if (typeof report.i !== 'number') throw new TypeError('it has a report of nothing');
  const { i: id, m: moves, x: input, e } = report;
  return { id, ...(moves && { moves }), ...(input === undefined ? {} : { input }), ...(e && { end: longEnd(e) }) } satisfies TokenReport;
}

function shortEnd(end: Outcome): ShortEnd {
  if (end.kind !== 'value' || end.spawned !== undefined || end.channel !== undefined || end.fragments !== undefined || end.checkpoint !== undefined) return { o: end };
  return { v: end.value === undefined ? [] : [end.value] };
}

function longEnd(short: ShortEnd): Outcome {
  if ('o' in short) return short.o;
  return short.v.length === 1 ? { kind: 'value', value: short.v[0] } : { kind: 'value' };
}

/** 4, 5, 6, 9 becomes 4, -3, 9: an index, and how many follow one another from it where there are several. */
function runsOf(indexes: readonly number[]): number[] {
  const runs: number[] = [];
  for (let at = 0; at < indexes.length; ) {
    const first = indexes[at] as number;
    let length = 1;
    while (indexes[at + length] === first + length) length += 1;
    runs.push(first);
    if (length > 1) runs.push(-length);
    at += length;
  }
  return runs;
}

function indexesOf(runs: readonly number[]): number[] {
  const indexes: number[] = [];
  runs.forEach((value, at) => {
    if (value >= 0) indexes.push(value);
    else for (let more = 1; more < -value; more += 1) indexes.push((runs[at - 1] as number) + more);
  });
  return indexes;
}
