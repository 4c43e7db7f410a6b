/**
 * Lines that sources send: whose they are, and whether they are what they say.
 *
 * Owns: the check. What passes it can be folded (fold.ts) and shown without another look. Does not own: size limits of whole
 * requests (server.ts).
 *
 * Invariants
 * 1. A source speaks of its own actors alone: every session begins with the source's id.
 * 2. What does not fit is left out and counted; it never ends the source.
 */
import type { InspectorMessage } from '../messages.ts';
import type { CommandAnswer, SourceLine } from '../protocol.ts';

export const LINE_MOST = 4_000_000;
const EVENT_MOST = 100_000;
const ID_MOST = 300;

type Fields = Readonly<Record<string, unknown>>;

const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): boolean => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);
const isRecord = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

/** What has to be there for each type. */
const shapes: Readonly<Record<string, (fields: Fields) => boolean>> = {
  '@xstate.actor': ({ name, definition, snapshot }) => isText(name) && (definition === undefined || isText(definition)) && isSnapshot(snapshot),
  '@xstate.event': ({ event }) => isRecord(event) && isText(event['type']),
  '@xstate.snapshot': ({ event, snapshot }) => isRecord(event) && isSnapshot(snapshot),
  '@taskchart.run': ({ workflow, state, at, counts, control, steps, revision }) => isText(workflow) && isText(state) && isNumber(at) && isCount(steps) && isCount(revision) && isRecord(counts) && Object.values(counts).every(isNumber) && isList(control),
  '@taskchart.graph': ({ workflow, root, uses, nodes }) => isText(workflow) && isText(root) && isList(uses) && isRecord(nodes) && Object.values(nodes).every((node) => isRecord(node) && isText(node['id']) && isText(node['kind'])),
  '@taskchart.tasks': ({ nodes }) => isRecord(nodes) && Object.values(nodes).every((node) => isRecord(node) && isText(node['state'])),
  '@taskchart.group': ({ group, node, size, members, notes }) => isCount(group) && isText(node) && isCount(size) && (members === undefined || (isList(members) && members.every(isRange))) && (notes === undefined || isRecord(notes)),
  '@taskchart.status': ({ queue, inFlight, waitsFor, keptSignals, channel }) => [queue, inFlight, waitsFor].every((list) => isRecord(list) && isList(list['first']) && isCount(list['total'])) && isRecord(keptSignals) && isRecord(channel),
  '@taskchart.values': ({ nodes }) => isRecord(nodes) && Object.values(nodes).every((values) => isRecord(values) && [values['input'], values['output']].every((value) => value === undefined || isValueText(value))),
  '@taskchart.log': ({ entries }) => isList(entries) && entries.every((entry) => isRecord(entry) && isText(entry['message'])),
};

function isSnapshot(value: unknown): boolean {
  return isRecord(value) && isText(value['status']);
}

function isValueText(value: unknown): boolean {
  return isRecord(value) && isText(value['text']);
}

function isRange(value: unknown): boolean {
  return isList(value) && value.length === 3 && isCount(value[0]) && isCount(value[1]) && isText(value[2]);
}

export type Checked = { readonly kind: 'message'; readonly message: InspectorMessage } | { readonly kind: 'line'; readonly line: SourceLine };

/** The line, if it is one of ours; nothing for what does not fit. */
export function checkLine(text: string, source: string): Checked | undefined {
  if (text.length > LINE_MOST) return undefined;
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(fields) || !isText(fields['type'])) return undefined;
  const { type } = fields;
  if (type === 'hello' || type === 'answer' || type === 'bye') return sourceLine(type, fields);
  if (!isOwn(fields['sessionId'], source) || !isOwn(fields['rootId'], source) || !isText(fields['createdAt']) || !isText(fields['_version'])) return undefined;
  if (type === '@xstate.event' && text.length > EVENT_MOST) return undefined;
  const fits = Object.hasOwn(shapes, type) && shapes[type]?.(fields) === true;
  return fits ? { kind: 'message', message: fields as unknown as InspectorMessage } : undefined;
}

function isOwn(session: unknown, source: string): boolean {
  return isText(session) && session.length <= ID_MOST && session.startsWith(`${source}/`);
}

function sourceLine(type: SourceLine['type'], fields: Fields): Checked | undefined {
  if (type === 'bye') return { kind: 'line', line: { type } };
  if (type === 'answer') {
    const { id, answer } = fields;
    if (!isText(id) || !isRecord(answer) || typeof answer['ok'] !== 'boolean') return undefined;
    return { kind: 'line', line: { type, id, answer: answer as unknown as CommandAnswer } };
  }
  const { version, kind, host, pid, title, dropped } = fields;
  if (!isText(version) || (kind !== 'node' && kind !== 'browser')) return undefined;
  return {
    kind: 'line',
    line: {
      type: 'hello', version, kind, fresh: true, dropped: isCount(dropped) ? (dropped as number) : 0,
      ...(isText(host) ? { host: host.slice(0, 200) } : {}), ...(isCount(pid) ? { pid: pid as number } : {}), ...(isText(title) ? { title: title.slice(0, 200) } : {}),
    },
  };
}
