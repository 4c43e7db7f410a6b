/** Members' ends between the machine's outcomes and the wire. A plain value travels bare. */
import { contextFault } from '../../core/context-shape.ts';
import { ProtocolError, toSerializedError } from '../../core/errors.ts';
import { isId } from '../../core/ids.ts';
import { isJsonArray, preview, toJson, type Json } from '../../core/json.ts';
import type { MemberEnd } from '../../core/messages.ts';
import { cellOf, isValue, type ChannelOperation, type Outcome, type UnitOutcome } from '../../../machines/index.ts';

type Sent = UnitOutcome | Extract<Outcome, { kind: 'cancel' }>;
type Fields = Readonly<Record<string, unknown>>;

/** A branch holds values, and branches that it has handed out itself. Within what a checkpoint may be (core/checkpoint.ts). */
const branchLimits = { maxDepth: 500, maxChars: Number.POSITIVE_INFINITY };

/** What a worker writes. */
export function encodeEnd(end: Sent): MemberEnd {
  const bare = end.kind === 'ended' && end.steps === 1 && end.counts === undefined && end.channel === undefined && end.signals === undefined && end.checkpoint === undefined;
  if (!bare || !isValue(end.cell)) return end as unknown as MemberEnd;
  return typeof end.cell === 'object' ? end.cell : [end.cell];
}

/**
 * What a run takes in. Nothing that comes out of a list is trusted: values are copied as any task's output is, so that a
 * forged one cannot become part of a snapshot. Throws ProtocolError, ValueError.
 */
export function decodeEnd(end: MemberEnd): Sent {
  if (isBoxed(end)) return { kind: 'ended', cell: cellOf(checked(end[0])), steps: 1 };
  const { kind, steps, channel, counts, checkpoint } = end as Fields;
  if (kind === 'cancel') return { kind, error: toSerializedError(end['error'] as Json | undefined) };
  if (kind !== 'ended' && kind !== 'parked') throw bad('kind', kind);
  const away = {
    steps: countOf('steps', steps),
    ...(channel !== undefined && { channel: operations(channel) }),
    ...(counts !== undefined && { counts: numbers('counts', counts) }),
    ...(end['signals'] !== undefined && { signals: kept(end['signals']) }),
    ...(checkpoint === true && { checkpoint: true as const }),
  };
  if (kind === 'parked') return parked(end, away);
  const { cell, over } = end as Fields;
  if (isRecord(cell) && 'error' in cell) return { kind, cell: { error: toSerializedError(cell['error'] as Json | undefined) }, ...away, ...(over === true && { over: true as const }) };
  if (!isValue(cell)) throw bad('cell', cell);
  return { kind, cell: typeof cell === 'object' ? cellOf(checked(cell[0])) : cell, ...away };
}

function parked(end: Fields, away: Pick<UnitOutcome, 'steps' | 'channel' | 'counts' | 'signals' | 'checkpoint'>): Sent {
  const { branch, waits, due } = end;
  if (!isRecord(branch)) throw bad('branch', branch);
  if (!Array.isArray(waits)) throw bad('waits', waits);
  const copy = toJson(branch, 'branch', branchLimits) as Json;
  // It becomes part of the run's checkpoints, which must be readable.
  const fault = contextFault(copy);
  if (fault !== undefined) throw bad(`branch${fault.path}`, fault.found);
  return { kind: 'parked', branch: copy, waits: waits.map(wait), ...(due !== undefined && { due: dueOf(due) }), ...away };
}

function wait(given: unknown): Extract<UnitOutcome, { kind: 'parked' }>['waits'][number] {
  if (!isRecord(given) || typeof given['node'] !== 'string' || typeof given['signal'] !== 'string' || typeof given['since'] !== 'number') throw bad('waits', given);
  const { node, signal, since, question, asked } = given as Fields & { node: string; signal: string; since: number };
  return { node, signal, since, ...(question !== undefined && { question: checked(question) as Json }), ...(asked === true && { asked }) };
}

function dueOf(given: unknown): NonNullable<Extract<UnitOutcome, { kind: 'parked' }>['due']> {
  if (!isRecord(given) || typeof given['node'] !== 'string' || typeof given['dueAt'] !== 'number') throw bad('due', given);
  const { node, dueAt, why, attempt, error } = given as Fields & { node: string; dueAt: number };
  if (why !== 'retry' && why !== 'sleep' && why !== 'wait-timeout') throw bad('due', given);
  const shown = isRecord(error) ? { error: { name: String(error['name']), message: String(error['message']), ...(typeof error['code'] === 'string' && { code: error['code'] }) } } : {};
  return { node, dueAt, why, attempt: countOf('attempt', attempt), ...shown };
}

function operations(given: unknown): readonly ChannelOperation[] {
  if (!Array.isArray(given)) throw bad('channel', given);
  return given.map((operation: unknown) => {
    if (!isRecord(operation) || typeof operation['key'] !== 'string') throw bad('channel', operation);
    const { op, key, value } = operation as Fields & { key: string };
    if (op === 'delete') return { op, key };
    if (op === 'add' && typeof value === 'number') return { op, key, value };
    if ((op === 'set' || op === 'append') && value !== undefined) return { op, key, value: checked(value) as Json };
    throw bad('channel', operation);
  });
}

function kept(given: unknown): Record<string, readonly (readonly [] | readonly [Json])[]> {
  if (!isRecord(given)) throw bad('signals', given);
  return Object.fromEntries(Object.entries(given).map(([name, values]) => {
    if (!Array.isArray(values) || !isId(name)) throw bad('signals', given);
    return [name, values.map((value: unknown) => (Array.isArray(value) && value.length === 1 ? [checked(value[0]) as Json] : []))];
  }));
}

function numbers(name: string, given: unknown): Record<string, number> {
  if (!isRecord(given)) throw bad(name, given);
  for (const key of Object.keys(given)) countOf(name, given[key]);
  return given as Record<string, number>;
}

function countOf(name: string, given: unknown): number {
  if (typeof given !== 'number' || !Number.isSafeInteger(given) || given < 0) throw bad(name, given);
  return given;
}

function checked(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null ? toJson(value, 'output') : (value as Json | undefined);
}

function isBoxed(end: MemberEnd): end is readonly [] | readonly [Json] {
  return isJsonArray(end as Json);
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function bad(field: string, given: unknown): ProtocolError {
  return new ProtocolError('protocol/bad-result', `a worker's result has an impossible "${field}": ${preview(given)}`, {
    hint: 'give coordinators and workers the same version of taskchart',
  });
}
