/**
 * Lines that sources send: whose they are, and whether they are what they say.
 *
 * Owns: the check. What passes it can be folded (fold.ts) and shown without another look. Does not own: size limits of whole
 * requests (server.ts).
 *
 * Invariants
 * 1. A source speaks of its own actors alone: every session begins with the source's id.
 * 2. What does not fit is left out and counted; it never ends the source.
 * 3. Nested shapes are checked as deeply as a viewer reads them, or one line would break the page of every viewer. Words such as
 *    states are any text: viewers pass by those that they do not know.
 */
import type { InspectorMessage } from '../messages.ts';
import type { CommandAnswer, SourceLine } from '../protocol.ts';

export const LINE_MOST = 4_000_000;
const EVENT_MOST = 100_000;
const ID_MOST = 300;
/** More than a source sends at once, and few enough to be arguments of one call. */
const LOGS_MOST = 1000;
const CAUSES_MOST = 20;

type Fields = Readonly<Record<string, unknown>>;

const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): boolean => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);
const isRecord = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

type Check = (value: unknown) => boolean;

const optional = (check: Check): Check => (value) => value === undefined || check(value);
const listOf = (check: Check): Check => (value) => isList(value) && value.every(check);
const recordOf = (check: Check): Check => (value) => isRecord(value) && Object.values(value).every(check);
const isRange: Check = (value) => isList(value) && value.length === 3 && isCount(value[0]) && isCount(value[1]) && isText(value[2]);

/** A record with these fields, and any others. */
function fields(checks: Readonly<Record<string, Check>>): Check {
  const list = Object.entries(checks);
  return (value) => isRecord(value) && list.every(([name, check]) => check(value[name]));
}

function each(names: readonly string[], check: Check): Readonly<Record<string, Check>> {
  return Object.fromEntries(names.map((name) => [name, check]));
}

const errorFields = fields({ name: isText, message: isText, ...each(['code', 'hint'], optional(isText)) });

/** Not by recursion: a line may nest deeper than the stack is. */
function isError(value: unknown): boolean {
  let error = value;
  for (let depth = 0; depth < CAUSES_MOST; depth += 1) {
    if (!errorFields(error)) return false;
    error = (error as Fields)['cause'];
    if (error === undefined) return true;
  }
  return false;
}

const isSnapshot = fields({ status: isText, tags: optional(listOf(isText)) });
const isEvent = fields({ type: isText });
const isValueText = fields({ text: isText });
const isValues = fields({ ...each(['input', 'output'], optional(isValueText)), error: optional(isError) });
const isNote = fields({ error: optional(isError), ...each(['attempt', 'dueAt'], optional(isNumber)) });
const isTask = fields({
  state: isText, ...each(['running', 'waiting', 'retrying', 'done', 'failed', 'attempt', 'iteration', 'startedAt', 'endedAt'], optional(isNumber)),
  progress: optional(fields({ done: isNumber, total: optional(isNumber), note: optional(isText) })), members: optional(fields(each(['size', 'done', 'failed', 'running'], isNumber))),
});
const isLogEntry = fields({ message: isText, at: isNumber, ...each(['node', 'key', 'level'], isText), data: optional(isValueText) });

const placeFields = { ...each(['node', 'key'], isText), attempt: isNumber };
const listed = (check: Check): Check => fields({ first: listOf(check), total: isCount });
const isWait = fields({
  ...each(['kind', 'node'], isText), ...each(['key', 'queue', 'reason', 'signal'], optional(isText)), ...each(['group', 'count', 'attempt', 'since', 'dueAt'], optional(isNumber)),
  error: optional(isError), question: optional(isValueText),
});

const isPolicy: Check = (value) => fields({ kind: isText, count: optional(isNumber), ids: optional(listOf(isText)) })(value) && ((value as Fields)['kind'] !== 'critical' || isList((value as Fields)['ids'])) && ((value as Fields)['kind'] !== 'atLeast' || isNumber((value as Fields)['count']));
const isExecution = fields({ backend: isText, concurrency: isNumber });
const isMember = fields(each(['id', 'entry'], isText));
const isNeedy = fields({ ...each(['id', 'entry'], isText), needs: listOf(isText) });
const isAnyNode = fields({ ...each(['id', 'kind'], isText), ...each(['next', 'recover'], optional(isText)), timeoutMs: optional(isNumber) });
/** Of the kinds that there are; a page cannot draw another one. */
const nodeShapes: Readonly<Record<string, Check>> = {
  task: fields({ retry: optional(fields({ backoff: isText, ...each(['attempts', 'delayMs'], isNumber) })), maxIterations: optional(isNumber) }),
  parallel: fields({ members: listOf(isMember), policy: isPolicy, execution: isExecution }),
  each: fields({ body: isText, batch: optional(isNumber), policy: isPolicy, execution: isExecution }),
  dag: fields({ members: listOf(isNeedy), execution: isExecution }),
  scope: fields({ entry: isText, workflow: optional(isText) }),
  wait: fields({ signal: isText }),
  sleep: fields({ delayMs: isNumber }),
};

function isNode(value: unknown): boolean {
  if (!isAnyNode(value)) return false;
  const kind = (value as Fields)['kind'] as string;
  return Object.hasOwn(nodeShapes, kind) && nodeShapes[kind]?.(value) === true;
}

/** What has to be there for each type. */
const shapes: Readonly<Record<string, Check>> = {
  '@xstate.actor': fields({ name: isText, ...each(['definition', 'parentId'], optional(isText)), snapshot: isSnapshot }),
  '@xstate.event': fields({ event: isEvent, sourceId: optional(isText), skipped: optional(isNumber) }),
  '@xstate.snapshot': fields({ event: isEvent, snapshot: isSnapshot }),
  '@taskchart.run': fields({
    ...each(['workflow', 'state'], isText), ...each(['runId', 'origin'], optional(isText)), at: isNumber, ...each(['startedAt', 'endedAt'], optional(isNumber)), ...each(['steps', 'revision'], isCount),
    counts: fields(each(['queued', 'running', 'waiting', 'retrying', 'done', 'failed'], isNumber)), control: listOf(isText), error: optional(isError),
  }),
  '@taskchart.graph': fields({ ...each(['workflow', 'root'], isText), graphHash: optional(isText), uses: listOf(isText), nodes: recordOf(isNode) }),
  '@taskchart.tasks': fields({ nodes: recordOf(isTask) }),
  '@taskchart.group': fields({
    group: isCount, node: isText, size: isCount, key: optional(isText), ...each(['limit', 'running', 'waiting', 'retrying', 'done', 'failed', 'startedAt', 'endedAt'], optional(isNumber)),
    members: optional(listOf(isRange)), notes: optional(recordOf(isNote)),
  }),
  '@taskchart.status': fields({
    queue: listed(fields(placeFields)), inFlight: listed(fields({ ...placeFields, ...each(['iteration', 'since'], isNumber), ...each(['token', 'group', 'index'], optional(isCount)) })), waitsFor: listed(isWait),
    keptSignals: recordOf(isNumber), channel: recordOf(isValueText),
  }),
  '@taskchart.values': fields({ nodes: recordOf(isValues), ...each(['input', 'output'], optional(isValueText)) }),
  '@taskchart.log': fields({ entries: (value) => isList(value) && value.length <= LOGS_MOST && value.every(isLogEntry), skipped: optional(isNumber) }),
};

export type Checked = { readonly kind: 'message'; readonly message: InspectorMessage } | { readonly kind: 'line'; readonly line: SourceLine };

/** The line, if it is one of ours; nothing for what does not fit. */
export function checkLine(text: string, source: string): Checked | undefined {
  if (text.length > LINE_MOST) return undefined;
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(given) || !isText(given['type'])) return undefined;
  const { type } = given;
  if (type === 'hello' || type === 'answer' || type === 'bye') return sourceLine(type, given);
  if (!isOwn(given['sessionId'], source) || !isOwn(given['rootId'], source) || !isText(given['createdAt']) || !isText(given['_version'])) return undefined;
  if (type === '@xstate.event' && text.length > EVENT_MOST) return undefined;
  const fits = Object.hasOwn(shapes, type) && shapes[type]?.(given) === true;
  return fits ? { kind: 'message', message: given as unknown as InspectorMessage } : undefined;
}

function isOwn(session: unknown, source: string): boolean {
  return isText(session) && session.length <= ID_MOST && session.startsWith(`${source}/`);
}

function sourceLine(type: SourceLine['type'], given: Fields): Checked | undefined {
  if (type === 'bye') return { kind: 'line', line: { type } };
  if (type === 'answer') {
    const { id, answer } = given;
    if (!isText(id) || !isRecord(answer) || typeof answer['ok'] !== 'boolean') return undefined;
    return { kind: 'line', line: { type, id, answer: answer as unknown as CommandAnswer } };
  }
  const { version, kind, host, pid, title, dropped } = given;
  if (!isText(version) || (kind !== 'node' && kind !== 'browser')) return undefined;
  return {
    kind: 'line',
    line: {
      type: 'hello', version, kind, fresh: true, dropped: isCount(dropped) ? (dropped as number) : 0,
      ...(isText(host) ? { host: host.slice(0, 200) } : {}), ...(isCount(pid) ? { pid: pid as number } : {}), ...(isText(title) ? { title: title.slice(0, 200) } : {}),
    },
  };
}
