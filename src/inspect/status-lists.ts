/**
 * The beginnings of a run's lists: its queue, what is in flight, and what it waits for.
 *
 * Owns: their order, their totals. Does not own: the places of tokens and members (tokens.ts, groups.ts).
 *
 * Invariants
 * 1. The cost is bounded by LISTED and by the number of groups that are followed, whatever the run holds.
 * 2. What people can do something about comes first: signals, then times, then what is being executed.
 */
import { Fifo, Vec, executionKey, type ExecutionContext, type Token } from '../../machines/index.ts';
import type { GroupLedger } from './group-ledger.ts';
import type { GraphIndex } from './graph-index.ts';
import { LISTED, type MessageBase, type PlaceInFlight, type PlaceInQueue, type StatusMessage, type ValueText, type Wait } from './messages.ts';
import type { Redactor } from './redact.ts';
import type { Place, TokenLedger } from './tokens.ts';
import type { RemoteWait } from '../runtime/remote/dispatch.ts';
import { errorSummary, valueText } from './values.ts';

const QUESTION_MOST = 4000;
const CHANNEL_MOST = 1000;

export interface Ledgers {
  readonly index: GraphIndex;
  readonly tokens: TokenLedger;
  readonly groups: GroupLedger;
  readonly redactor: Redactor;
  /** What coordinators wait for. */
  readonly remote: readonly RemoteWait[];
}

export function statusOf(base: MessageBase, context: ExecutionContext, ledgers: Ledgers): StatusMessage {
  const { groups, redactor } = ledgers;
  const waits = waitsOf(context, ledgers);
  return {
    ...base,
    type: '@taskchart.status',
    queue: { first: queueOf(context), total: context.root.queue.size + groups.queued },
    inFlight: { first: inFlightOf(context, ledgers), total: context.inFlight.size + groups.running },
    waitsFor: { first: waits.slice(0, LISTED), total: waitCount(context, groups) + ledgers.remote.length },
    keptSignals: Object.fromEntries(Object.entries(context.signals).slice(0, LISTED).map(([name, values]) => [name, values.length])),
    channel: Object.fromEntries(Object.entries(context.channel).slice(0, LISTED).map(([key, value]): [string, ValueText] => [key, valueText(value, CHANNEL_MOST, redactor, ['channel', key])])),
  };
}

function queueOf(context: ExecutionContext): PlaceInQueue[] {
  const list: PlaceInQueue[] = [];
  const add = (tokens: Iterable<Token>): void => {
    for (const token of tokens) {
      if (list.length >= LISTED) return;
      list.push({ node: token.node, key: executionKey(token), attempt: token.attempt });
    }
  };
  add(Fifo.items(context.root.queue));
  for (const collection of [context.branches, context.groups] as const) {
    let seen = 0;
    for (const one of Vec.values<{ readonly queue: Fifo.Fifo<Token> } | { readonly ready: Fifo.Fifo<Token> }>(collection as Vec.Vec<never>)) {
      if (list.length >= LISTED || (seen += 1) > 200) break;
      add(Fifo.items('queue' in one ? one.queue : one.ready));
    }
  }
  return list;
}

function inFlightOf(context: ExecutionContext, { tokens, groups, index }: Ledgers): PlaceInFlight[] {
  const list: PlaceInFlight[] = [];
  for (const [id, token] of Vec.entries(context.inFlight)) {
    if (list.length >= LISTED) return list;
    const { node, attempt, iteration, group, index: at } = token;
    const since = tokens.places.get(id)?.since ?? context.at;
    list.push({ node, key: executionKey(token), attempt, iteration, since, token: id, ...(group === undefined ? {} : { group, index: at }) });
  }
  for (const tracker of groups.trackers.values()) {
    const key = executionKey(tracker.group.parent);
    for (const at of tracker.running(LISTED - list.length)) {
      list.push({ node: index.entryOf(tracker.node, at) ?? tracker.node, key: `${key}.${at}`, attempt: 1, iteration: 0, since: tracker.startedAt, group: tracker.id, index: at });
    }
    if (list.length >= LISTED) break;
  }
  return list;
}

function waitCount(context: ExecutionContext, groups: GroupLedger): number {
  let open = 0;
  if (context.openMembers > 0) for (const tracker of groups.trackers.values()) if (tracker.group.open > 0) open += 1;
  // A wait with a timeout stands in both.
  return context.waits.size + context.delayed.size + context.inFlight.size + open;
}

/** Signals first: they are what people can do something about. */
function waitsOf(context: ExecutionContext, { tokens, groups, redactor, remote }: Ledgers): Wait[] {
  const list: Wait[] = [];
  for (const { token, signal, since, asked, question } of firstOf(context.waits)) {
    const text = question === undefined ? undefined : valueText(question, QUESTION_MOST, redactor, [signal, 'question']);
    list.push({ kind: 'signal', node: token.node, key: executionKey(token), signal, since, asked: asked === true, ...(text && { question: text }) });
  }
  for (const { queue, units, since, reason } of remote) list.push({ kind: 'units', node: '', key: queue, queue, count: units, since, ...(reason === undefined ? {} : { reason }) });
  for (const { token, why, dueAt, error } of firstOf(context.delayed)) {
    const { node, attempt } = token;
    list.push({ kind: why, node, key: executionKey(token), dueAt, attempt, ...(error && { error: errorSummary(error, redactor, [node, 'error']) }) });
  }
  for (const { id, node, attempt, ...token } of firstOf(context.inFlight)) list.push({ kind: 'task', node, key: executionKey({ id, ...token }), attempt, since: sinceOf(tokens.places.get(id), context) });
  let seen = 0;
  for (const tracker of groups.trackers.values()) {
    if (tracker.group.open > 0 && (seen += 1) <= LISTED) list.push({ kind: 'members', node: tracker.node, group: tracker.id, count: tracker.group.open });
  }
  return list;
}

function sinceOf(place: Place | undefined, { at }: ExecutionContext): number {
  return place?.since ?? at;
}

function* firstOf<T>(vec: Vec.Vec<T>): Generator<T> {
  let left = LISTED;
  for (const value of Vec.values(vec)) {
    if ((left -= 1) < 0) return;
    yield value;
  }
}
