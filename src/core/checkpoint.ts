/**
 * The envelope around a persisted snapshot.
 *
 * Owns: the envelope's shape and its check, the comparison of graphs. Does not own: the snapshot's inside, but that its
 * collections can be walked (context-shape.ts), files and checksums (stores have them).
 *
 * Invariants
 * 1. parseCheckpoint throws nothing but CheckpointError, whatever it is given, and shares nothing with its argument.
 * 2. A checkpoint is taken whole or refused: no field is guessed or defaulted.
 * 3. No data of the checkpoint is echoed beyond 100 characters.
 */
import { contextFault } from './context-shape.ts';
import { CheckpointError, GraphMismatchError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { NodeId } from './graph.ts';
import { preview } from './json.ts';
import type { Json } from './json-type.ts';

export const CHECKPOINT_FORMAT = 'taskchart/checkpoint';
export const CHECKPOINT_VERSION = 1;

export interface Checkpoint {
  readonly format: typeof CHECKPOINT_FORMAT;
  readonly version: typeof CHECKPOINT_VERSION;
  /** The workflow's id. */
  readonly workflow: string;
  readonly graphHash: string;
  /** The version of the machine that wrote the snapshot. */
  readonly machineVersion: number;
  readonly runId: string;
  /** Grows with every checkpoint of the run. */
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
  /** Node id → hash of the node, for the list of differences. May be absent for large graphs. */
  readonly nodes?: Readonly<Record<NodeId, string>>;
  readonly snapshot: Json;
}

/** How the graph in the code differs from the one that wrote a checkpoint. */
export interface GraphDiff {
  /** Only in the code. */
  readonly added: readonly NodeId[];
  /** Only in the checkpoint. */
  readonly removed: readonly NodeId[];
  readonly changed: readonly NodeId[];
}

/** Reads a checkpoint from its JSON text or from the object that `run.snapshot()` gave; the result is a private copy. */
export function parseCheckpoint(input: unknown): Checkpoint {
  const value = parseText(textOf(input));
  checkEnvelope(value);
  checkTree(value);
  checkCollections((value['snapshot'] as Readonly<Record<string, unknown>>)['context']);
  return value as unknown as Checkpoint;
}

/** The text that a store keeps. */
export function serializeCheckpoint(checkpoint: Checkpoint): string {
  return JSON.stringify(checkpoint);
}

const freshHint = 'Use an older checkpoint, or start a new run.';

function textOf(input: unknown): string {
  if (typeof input === 'string') return input;
  if (input === undefined || input === null) fail('checkpoint/empty', `There is no checkpoint: it is ${input}.`);
  if (typeof input !== 'object') {
    fail('checkpoint/not-text', `A checkpoint is a text or an object, not ${preview(input, 60)} (${typeof input}).`);
  }
  let text: string | undefined;
  try {
    if (ArrayBuffer.isView(input) || input instanceof ArrayBuffer) text = undefined;
    // The way through text makes an object that never left memory the same as one that did.
    else text = JSON.stringify(input) as string | undefined;
  } catch (cause) {
    fail('checkpoint/not-json', 'The checkpoint object holds something that JSON cannot carry.', undefined, cause);
  }
  if (text !== undefined) return text;
  return fail('checkpoint/not-text', `A checkpoint is a text or an object, not ${preview(input, 60)}.`, 'Decode bytes as UTF-8 text first.');
}

function parseText(text: string): Readonly<Record<string, unknown>> {
  if (text.trim() === '') fail('checkpoint/empty', 'There is no checkpoint: the text is empty.', freshHint);
  if (text.charCodeAt(0) === 0xfeff) {
    fail('checkpoint/not-json', 'The checkpoint begins with a byte order mark, which JSON does not allow.', 'Save the file as UTF-8 without one.');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    fail('checkpoint/not-json', `The checkpoint ${tornOrJunk(text, error)}.`, freshHint);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  return fail('checkpoint/foreign', `The data is no checkpoint: it is ${preview(value, 60)}, not an object.`);
}

/** The parser's own message holds pieces of the data, so only its kind and position are used. */
function tornOrJunk(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  const position = /position (\d+)/.exec(message)?.[1];
  if (/end of (JSON|data|input)|unterminated|EOF/i.test(message) || Number(position) >= text.length) {
    return `is torn: its text ends in the middle, after ${text.length} characters`;
  }
  if (/after JSON|non-whitespace/i.test(message)) return `has something behind its end${position === undefined ? '' : `, at character ${position}`}`;
  return `is not JSON${position === undefined ? '' : `: it is broken at character ${position} of ${text.length}`}`;
}

interface Field {
  readonly test: (value: unknown) => boolean;
  readonly expected: string;
}

const anyText: Field = { test: (value) => typeof value === 'string' && value !== '' && value.length <= 200, expected: 'a text of 1 to 200 characters' };
const count: Field = { test: (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0, expected: 'a whole number from 0' };

/** Everything but format and version, which are looked at first. */
const fields: ReadonlyMap<string, Field> = new Map<string, Field>([
  ['workflow', anyText],
  ['graphHash', { test: isHash, expected: '32 hex characters' }],
  ['machineVersion', count],
  ['runId', { test: (value) => anyText.test(value) && !/[\p{Cc}|]/u.test(value as string), expected: 'a text without control characters and |' }],
  ['seq', count],
  ['savedAt', { test: (value) => typeof value === 'number' && value >= 0 && value <= 8.64e15, expected: 'a time in milliseconds since 1970' }],
  ['snapshot', { test: isRecord, expected: 'an object' }],
]);

function checkEnvelope(value: Readonly<Record<string, unknown>>): void {
  const { format, version } = value;
  if (format !== CHECKPOINT_FORMAT) {
    const found = format === undefined ? 'it has no field format' : `its format is ${preview(format, 60)}`;
    fail('checkpoint/foreign', `The data is no checkpoint: ${found}, not "${CHECKPOINT_FORMAT}".`, 'Check that this is the right file.');
  }
  if (!count.test(version)) fail('checkpoint/invalid', `The checkpoint's field version is ${preview(version, 60)}, not a whole number.`, freshHint);
  if (version !== CHECKPOINT_VERSION) {
    const newer = (version as number) > CHECKPOINT_VERSION;
    const hint = newer ? 'Update the package to the version that wrote it, or a later one.' : freshHint;
    fail('checkpoint/version', `The checkpoint has version ${preview(version, 60)}; this package reads version ${CHECKPOINT_VERSION}.`, hint);
  }
  for (const [name, field] of fields) {
    if (!Object.hasOwn(value, name)) failField(name, 'is missing');
    if (!field.test(value[name])) failField(name, `is ${preview(value[name], 60)}, not ${field.expected}`);
  }
  for (const name of Object.keys(value)) {
    if (name !== 'format' && name !== 'version' && name !== 'nodes' && !fields.has(name)) failField(preview(name, 60), 'is unknown');
  }
  if (Object.hasOwn(value, 'nodes')) checkNodes(value['nodes']);
}

function checkNodes(nodes: unknown): void {
  if (!isRecord(nodes)) failField('nodes', `is ${preview(nodes, 60)}, not an object`);
  for (const id of Object.keys(nodes)) {
    if (!isHash(nodes[id])) failField(`nodes[${preview(id, 60)}]`, `is ${preview(nodes[id], 60)}, not 32 hex characters`);
  }
}

/** Far above what a run can reach, far below what would overflow the stack of code that walks it. */
const maxDepth = 1000;

/** Deep or poisoned data is refused here, so that what follows may recurse and copy. */
function checkTree(root: object): void {
  let level: object[] = [root];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > maxDepth) failField('snapshot', `is nested deeper than ${maxDepth} levels`);
    const below: object[] = [];
    for (const holder of level) {
      if (Object.hasOwn(holder, '__proto__')) failField('snapshot', 'has an own __proto__ key somewhere');
      for (const item of Object.values(holder)) if (typeof item === 'object' && item !== null) below.push(item as object);
    }
    level = below;
  }
}

/** A map that says that it is deeper than its text could ever be would be walked without end. */
function checkCollections(context: unknown): void {
  const fault = context === undefined ? undefined : contextFault(context);
  if (fault !== undefined) failField(`snapshot.context${fault.path}`, `is ${preview(fault.found, 60)}, not ${fault.wanted}`);
}

function isHash(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function failField(name: string, problem: string): never {
  return fail('checkpoint/invalid', `The checkpoint's field ${name} ${problem}.`, freshHint);
}

function fail(code: ErrorCode, message: string, hint?: string, cause?: unknown): never {
  throw new CheckpointError(code, message, { hint, cause });
}

/** What changed between the checkpoint's graph and the code's. All lists are empty where the checkpoint has no node hashes. */
export function diffGraphs(checkpoint: Pick<Checkpoint, 'nodes'>, currentNodes: Readonly<Record<NodeId, string>>): GraphDiff {
  const before = checkpoint.nodes;
  if (before === undefined) return { added: [], removed: [], changed: [] };
  const now = Object.keys(currentNodes);
  return {
    added: now.filter((id) => !Object.hasOwn(before, id)),
    removed: Object.keys(before).filter((id) => !Object.hasOwn(currentNodes, id)),
    changed: now.filter((id) => Object.hasOwn(before, id) && before[id] !== currentNodes[id]),
  };
}

/** The error for a checkpoint whose graph is not the one in the code. */
export function graphMismatch(workflow: string, diff: GraphDiff): GraphMismatchError {
  const parts = [listed('added', diff.added), listed('removed', diff.removed), listed('changed', diff.changed)].filter((part) => part !== '');
  const what = parts.length === 0 ? '' : ` Since then: ${parts.join('; ')}.`;
  return new GraphMismatchError('checkpoint/graph-mismatch', `The checkpoint was written by another graph of workflow "${workflow}".${what}`, {
    hint: 'Resume it with the code that wrote it, or start a new run.',
    details: { workflow, added: diff.added, removed: diff.removed, changed: diff.changed },
  });
}

const maxListed = 10;

function listed(word: string, ids: readonly NodeId[]): string {
  if (ids.length === 0) return '';
  const more = ids.length > maxListed ? ` and ${ids.length - maxListed} more` : '';
  return `${word} ${ids.slice(0, maxListed).map((id) => preview(id, 60)).join(', ')}${more}`;
}
