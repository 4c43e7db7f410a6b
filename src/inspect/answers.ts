/**
 * Commands of viewers, carried out on a run of this process.
 *
 * Owns: the checks, the answers. Does not own: the way that a command takes to get here (connection.ts), what a run does with it.
 *
 * Invariants
 * 1. Never throws: what cannot be done is an answer with an error.
 * 2. A run is steered only where its inspector was given leave, and only by what `RunMessage.control` offers at that moment.
 * 3. Answers are bounded: a value's text to VALUE_MOST characters, a page of members to PAGE_MOST.
 */
import { Vec } from '../../machines/index.ts';
import type { SerializedError } from '../core/errors.ts';
import { serializeError } from '../core/errors.ts';
import { preview } from '../core/json.ts';
import type { Json } from '../core/json-type.ts';
import type { InspectedRun } from '../runtime/inspected.ts';
import { failureOf } from './groups.ts';
import type { ErrorSummary, ValueText } from './messages.ts';
import type { Command, CommandAnswer, MemberPage, ValueOf } from './protocol.ts';
import type { Redactor } from './redact.ts';
import type { RunTracker } from './run-tracker.ts';
import { errorSummary, valueText } from './values.ts';

const VALUE_MOST = 1_000_000;
const PAGE_MOST = 1000;

/** A run as commands find it. */
export interface Answering {
  readonly tracker: RunTracker;
  readonly redactor: Redactor;
  /** Absent: nobody runs it. */
  readonly hands: InspectedRun | undefined;
}

export function answer(run: Answering, command: Command): CommandAnswer {
  try {
    run.tracker.catchUp();
    switch (command?.kind) {
      case 'value':
        return valueAnswer(run, command.of, command.which);
      case 'members':
        return { ok: true, members: membersPage(run, command) };
      case 'signal':
      case 'pause':
      case 'resume':
      case 'cancel':
        return steer(run, command);
      default:
        return refusal(`a run cannot be asked for ${preview((command as { readonly kind?: unknown } | null)?.kind)}`, 'the viewer may belong to another version');
    }
  } catch (thrown) {
    return { ok: false, error: errorSummary(serializeError(thrown), run.redactor, ['error']) };
  }
}

export function refusal(message: string, hint?: string): CommandAnswer {
  const error: ErrorSummary = { name: 'Refused', message, ...(hint === undefined ? {} : { hint }) };
  return { ok: false, error };
}

function steer({ tracker, hands }: Answering, command: Extract<Command, { kind: 'signal' | 'pause' | 'resume' | 'cancel' }>): CommandAnswer {
  if (hands === undefined) return refusal('no process runs this run', 'taskchart resume goes on with a stored one');
  if (!tracker.allowed.includes(command.kind)) return refusal('this run does not let viewers steer it', "it was started with an inspector that has { control: false }, or without this kind of control");
  if (!tracker.control().includes(command.kind)) return refusal(`the run cannot be asked for this now: ${tracker.over ? 'it has ended' : `it is ${tracker.state}`}`);
  switch (command.kind) {
    case 'signal':
      if (typeof command.name !== 'string') return refusal('a signal needs a name');
      hands.signal(command.name, command.value);
      break;
    case 'cancel':
      hands.cancel(typeof command.reason === 'string' ? command.reason.slice(0, 500) : undefined);
      break;
    default:
      hands[command.kind]();
  }
  return { ok: true };
}

interface Found {
  readonly path: readonly string[];
  readonly value?: unknown;
  readonly error?: SerializedError | undefined;
}

function valueAnswer(run: Answering, of: ValueOf, which: 'input' | 'output' | 'error'): CommandAnswer {
  if (which !== 'input' && which !== 'output' && which !== 'error') return refusal('a value is an input, an output or an error');
  const found = find(run.tracker, of, which);
  if (found === undefined) return refusal('this value is not kept any more, or was never seen', 'values are kept while the run works with them; a run that is fast is not seen value by value');
  return { ok: true, value: which === 'error' ? errorText(found, run.redactor) : valueText(found.value, VALUE_MOST, run.redactor, found.path) };
}

function errorText({ error, path }: Found, redactor: Redactor): ValueText {
  if (error === undefined) return { text: 'null' };
  const { details, ...rest } = error;
  const full = { ...errorSummary(rest, redactor, path, 10), ...(details === undefined ? {} : { details }) };
  return valueText(full, VALUE_MOST, redactor, path);
}

function find(tracker: RunTracker, of: ValueOf, which: 'input' | 'output' | 'error'): Found | undefined {
  const { context, values } = tracker;
  if (context === undefined || typeof of !== 'object' || of === null) return undefined;
  if ('run' in of) {
    const path = ['run', which];
    if (which !== 'error') return values.run[which] && { path, value: values.run[which].value };
    const { verdict } = context;
    return verdict === null || verdict.kind === 'completed' ? undefined : { path, error: verdict.error };
  }
  if ('group' in of) return findMember(tracker, of.group, of.index, which);
  if ('token' in of) {
    const token = Vec.get(context.inFlight, of.token) ?? Vec.get(context.waits, of.token)?.token ?? Vec.get(context.delayed, of.token)?.token;
    return token === undefined || which !== 'input' ? undefined : { path: [token.node, which], value: token.input };
  }
  if (typeof of.node !== 'string') return undefined;
  const path = [of.node, which];
  if (which === 'error') {
    const error = values.findError(of.node);
    return error && { path, error };
  }
  const seen = values.find(of.node, which);
  return seen && { path, value: seen.value };
}

function findMember({ groups, index: graph }: RunTracker, id: number, at: number, which: 'input' | 'output' | 'error'): Found | undefined {
  const tracker = groups.find(id);
  if (tracker === undefined || !Number.isInteger(at) || at < 0 || at >= tracker.group.size) return undefined;
  const { group } = tracker;
  const path = [graph.entryOf(tracker.node, at) ?? tracker.node, which];
  if (which === 'input') {
    const { input } = group.parent;
    return { path, value: graph.nodes[tracker.node]?.kind === 'each' ? (input as readonly Json[])[at] : input };
  }
  const cell = tracker.outcomeOf(at);
  if (cell === undefined) return undefined;
  const error = failureOf(cell);
  if (which === 'error') return error && { path, error };
  return error === undefined ? { path, value: typeof cell === 'object' ? (cell as readonly Json[])[0] : cell } : undefined;
}

function membersPage({ tracker, redactor }: Answering, command: Extract<Command, { kind: 'members' }>): MemberPage {
  const group = tracker.groups.find(command.group);
  if (group === undefined) return { members: [] };
  const { size } = group.group;
  const most = Math.min(PAGE_MOST, Math.max(1, Math.trunc(command.count) || 1));
  const members: MemberPage['members'][number][] = [];
  let at = Math.max(0, Math.trunc(command.from) || 0);
  for (; at < size && members.length < most; at += 1) {
    const state = group.stateOf(at);
    if (typeof command.states === 'string' && !command.states.includes(state)) continue;
    const cell = state === 'f' ? group.outcomeOf(at) : undefined;
    const error = cell === undefined ? undefined : failureOf(cell);
    const note = error && { error: errorSummary(error, redactor, [tracker.index.entryOf(group.node, at) ?? group.node, 'error'], 0) };
    members.push({ index: at, id: tracker.index.memberId(group.node, at), state, ...(note && { note }) });
  }
  return { members, ...(at < size ? { next: at } : {}) };
}
