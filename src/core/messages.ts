/**
 * What coordinators and workers write into the lists: units, results, notices. Texts with a plain header, so that a script
 * can fence and count without decoding, and a JSON body.
 *
 * Owns: the shapes, encoding, and judging what comes in. Does not own: the lists, what a body means to a run.
 *
 * Invariants
 * 1. Ids, run keys and attempts never contain `|`; a body may.
 * 2. Nothing that is read here is trusted: whatever is no message of this version is a ProtocolError that says why.
 */
import { contextFault } from './context-shape.ts';
import { ProtocolError } from './errors.ts';
import type { SerializedError } from './errors.ts';
import type { Graph, NodeId } from './graph.ts';
import { parseUnitId, readResultHeader, unitHeader, type UnitNumbers } from './headers.ts';
import type { Json } from './json-type.ts';
import { preview } from './preview.ts';

export { parseUnitId, unitHeader };

export const MESSAGE_VERSION = 1;

/** A value where JSON has no "no value". */
type Boxed = readonly [] | readonly [Json];

/** One unit: members `index` and on of a group, as many as `inputs` says; the body of `attempt|run|id|<json>`. */
export interface UnitBody {
  readonly v: typeof MESSAGE_VERSION;
  /** The name of the shared part. */
  readonly group: string;
  readonly index: number;
  /** The node at which each member begins. */
  readonly entry: NodeId;
  /** One for each member; absent: one member, whose input is the group's common one. */
  readonly inputs?: readonly Boxed[] | undefined;
  /** The run's channel, where it is not that of the shared part any more. */
  readonly channel?: Readonly<Record<string, Json>> | undefined;
  /** A branch that was under way before: the context of its ExecutionContext. */
  readonly branch?: Json | undefined;
  /** What has come in for it meanwhile, in order. */
  readonly signals?: readonly (readonly [name: string, ...Boxed])[] | undefined;
  /** Task executions that the run has left for it, where it has a limit. */
  readonly stepsLeft?: number | undefined;
  /** The group's shared part itself, where that is smaller than the way to it. */
  readonly shared?: SharedBody | undefined;
  /** Workers that know no such task. */
  readonly refusedBy?: readonly string[] | undefined;
  /** When the first of them said so, in milliseconds since the epoch. */
  readonly refusedAt?: number | undefined;
}

/** What a group's units share. */
export interface SharedBody {
  readonly v: typeof MESSAGE_VERSION;
  /** The run's own id, as tasks see it. */
  readonly runId: string;
  readonly workflow: string;
  readonly graphHash: string;
  readonly startedAt: number;
  /** The group's node, the path that its members' keys begin with, and how many members it has. */
  readonly node: NodeId;
  readonly key: string;
  readonly size: number;
  /** The queue that its units are in. */
  readonly queue: string;
  readonly input?: Boxed | undefined;
  readonly channel: Readonly<Record<string, Json>>;
  /** Someone watches the run: what happens inside a branch is told with its end. */
  readonly watched?: true | undefined;
}

/** The shared part `graph` of a run: for workers that do not have the workflow. */
export interface SharedGraph {
  readonly v: typeof MESSAGE_VERSION;
  readonly graph: Graph;
}

export interface Unit {
  /** Deliveries, from 1. */
  readonly attempt: number;
  /** The key of the run: its id, and what tells it from others of that id; without a journal also its lives from each other. */
  readonly run: string;
  readonly id: string;
  readonly body: UnitBody;
}

/** How one member's branch has ended, or where it stands. A plain array is a value, boxed. */
export type MemberEnd = Boxed | { readonly kind: string } & Readonly<Record<string, unknown>>;

export interface ResultBody {
  readonly v: typeof MESSAGE_VERSION;
  /** One for each member of the unit. */
  readonly ends: readonly MemberEnd[];
  readonly worker: string;
  /** By the worker's clock, in milliseconds since the epoch, and how long it took. */
  readonly startedAt: number;
  readonly durationMs: number;
}

export type Result = UnitNumbers & { readonly id: string; readonly attempt: number; /** `R|id|attempt` */ readonly header: string } & (
  | { readonly kind: 'ended' | 'parked'; readonly body: ResultBody }
  | { readonly kind: 'dead'; readonly reason: string }
);

/** A unit's id: its group, its first member, and how often the branch was handed out before. */
export function unitId(group: number, index: number, generation: number): string {
  return `${group}.${index}.${generation}`;
}

export function headerOf(unit: Pick<Unit, 'attempt' | 'run' | 'id'>): string {
  return `${unit.attempt}|${unit.run}|${unit.id}`;
}

export function encodeUnit(unit: Unit): string {
  return `${headerOf(unit)}|${JSON.stringify(unit.body)}`;
}

/** Throws ProtocolError `protocol/bad-unit`. */
export function decodeUnit(text: string): Unit {
  const header = unitHeader(text);
  if (header === undefined) throw bad('unit', 'it has no header attempt|run|id', text);
  const { attempt, run, id } = header;
  const body = parseBody('unit', text, header.text.length + 1) as UnitBody & Readonly<Record<string, unknown>>;
  const { group, index, entry, inputs, channel, signals, refusedBy, stepsLeft } = body;
  if (typeof group !== 'string' || typeof entry !== 'string' || !isCount(index)) throw bad('unit', 'group, index or entry is not what it should be', text);
  if (inputs !== undefined && !(Array.isArray(inputs) && inputs.length > 0 && inputs.every(isBoxed))) throw bad('unit', 'its inputs are not a list of boxed values', text);
  if (channel !== undefined && !isRecord(channel)) throw bad('unit', 'its channel is no object', text);
  if (signals !== undefined && !(Array.isArray(signals) && signals.every(isSignal))) throw bad('unit', 'its signals are not a list of names and values', text);
  if (refusedBy !== undefined && !(Array.isArray(refusedBy) && refusedBy.every((name) => typeof name === 'string'))) throw bad('unit', 'refusedBy is not a list of names', text);
  if (stepsLeft !== undefined && !isCount(stepsLeft)) throw bad('unit', 'stepsLeft is no number', text);
  const fault = body.branch === undefined ? undefined : contextFault(body.branch);
  if (fault !== undefined) throw bad('unit', `its branch${fault.path} is not ${fault.wanted}`, text);
  if (body.shared !== undefined) checkShared(body.shared, text);
  return { attempt, run, id, body };
}

export function decodeShared(text: string): SharedBody {
  const body = parseBody('shared part', text, 0) as unknown as SharedBody;
  checkShared(body, text);
  return body;
}

export function decodeGraph(text: string): Graph {
  const { graph } = parseBody('graph', text, 0) as unknown as SharedGraph;
  if (!isRecord(graph) || graph.format !== 'taskchart/graph' || graph.version !== 1 || !isRecord(graph.nodes)) throw bad('graph', 'it is no graph of this version', text);
  return graph;
}

export function encodeResult(unit: Pick<Unit, 'id' | 'attempt'>, kind: 'ended' | 'parked', body: ResultBody): string {
  return `${kind === 'parked' ? 'P' : 'R'}|${unit.id}|${unit.attempt}|${JSON.stringify(body)}`;
}

export function encodeDead(id: string, attempt: number, reason: string): string {
  return `D|${id}|${attempt}|${JSON.stringify(reason)}`;
}

/** The header of a result, by which a trim is verified; empty where it has none: what is no text is not read as it was written. */
export function resultHeader(text: string): string {
  return readResultHeader(text)?.text ?? '';
}

/** Throws ProtocolError `protocol/bad-result`. */
export function decodeResult(text: string): Result {
  const header = readResultHeader(text);
  const numbers = header && parseUnitId(header.id);
  if (header === undefined || numbers === undefined || header.attempt === 0) throw bad('result', 'it has no header R|id|attempt', text);
  const { kind, id, attempt } = header;
  const { group, index, generation } = numbers;
  const from = header.text.length + 1;
  if (kind === 'D') {
    const reason = parseJson('result', text, from);
    return { kind: 'dead', id, group, index, generation, attempt, header: header.text, reason: typeof reason === 'string' ? reason : 'unknown' };
  }
  const body = parseBody('result', text, from) as unknown as ResultBody;
  if (!Array.isArray(body.ends) || body.ends.length === 0 || !body.ends.every(isEnd)) throw bad('result', 'its ends are not a list of ends', text);
  return { kind: kind === 'P' ? 'parked' : 'ended', id, group, index, generation, attempt, header: header.text, body };
}

/** A hint on the control channel. */
export type Hint = { readonly kind: 'cancelled'; readonly run: string; readonly entry: string } | { readonly kind: 'note'; readonly run: string; readonly id: string; readonly index: number; readonly note: Json };

export function encodeHint(hint: Hint): string {
  return hint.kind === 'cancelled' ? `C|${hint.run}|${hint.entry}` : `N|${hint.run}|${hint.id}|${hint.index}|${JSON.stringify(hint.note)}`;
}

/** Nothing for what is no hint: anyone may publish. */
export function decodeHint(text: string): Hint | undefined {
  const cancelled = /^C\|([^|\s]+)\|(\*|\d+(?:\.\d+\.\d+)?)$/.exec(text);
  if (cancelled !== null) return { kind: 'cancelled', run: cancelled[1] as string, entry: cancelled[2] as string };
  const note = /^N\|([^|\s]+)\|(\d+\.\d+\.\d+)\|(\d{1,9})\|/.exec(text);
  if (note === null) return undefined;
  try {
    return { kind: 'note', run: note[1] as string, id: note[2] as string, index: Number(note[3]), note: JSON.parse(text.slice(note[0].length)) as Json };
  } catch {
    return undefined;
  }
}

function checkShared(body: SharedBody, text: string): void {
  const { runId, workflow, graphHash, startedAt, node, key, size, queue, input, channel } = body;
  const texts = [runId, workflow, graphHash, node, key, queue].every((part) => typeof part === 'string');
  if (!texts || typeof startedAt !== 'number' || !isCount(size) || !isRecord(channel)) throw bad('shared part', 'it is not what it should be', text);
  if (input !== undefined && !isBoxed(input)) throw bad('shared part', 'its input is no boxed value', text);
}

function parseBody(what: string, text: string, from: number): Readonly<Record<string, unknown>> {
  const body = parseJson(what, text, from);
  if (!isRecord(body)) throw bad(what, 'its body is no object', text);
  if (body['v'] !== MESSAGE_VERSION) throw bad(what, `it is of version ${preview(body['v'])}, and this is version ${MESSAGE_VERSION}`, text);
  return body;
}

function parseJson(what: string, text: string, from: number): unknown {
  try {
    return JSON.parse(from === 0 ? text : text.slice(from));
  } catch {
    throw bad(what, 'its body is no JSON', text);
  }
}

function bad(what: string, why: string, text: string): ProtocolError {
  return new ProtocolError(what === 'result' ? 'protocol/bad-result' : 'protocol/bad-unit', `a list holds what is no ${what}: ${why} (${preview(text)})`, {
    hint: 'give coordinators and workers the same version of taskchart, and other programs another namespace',
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

function isBoxed(value: unknown): boolean {
  return Array.isArray(value) && value.length <= 1;
}

function isSignal(value: unknown): boolean {
  return Array.isArray(value) && value.length >= 1 && value.length <= 2 && typeof value[0] === 'string';
}

function isEnd(value: unknown): boolean {
  return isBoxed(value) || (isRecord(value) && typeof value['kind'] === 'string');
}

/** A failure as a member's end: for units that no worker could execute. */
export function failedEnd(error: SerializedError): MemberEnd {
  return { kind: 'ended', cell: { error }, steps: 0 };
}
