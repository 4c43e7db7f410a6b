/**
 * Pretended workers: what they know of the members that are away, how these could come back, and what must then be so.
 *
 * Owns: outcomes of whole members, and the rules of one event that concerns them. Does not own: the rules of a context by
 * itself (invariants.ts), when what happens (world.ts).
 *
 * Rules checked with every event
 * 1. A member leaves with what it came back with: its branch, how often it was away, and the signals that came meanwhile.
 * 2. One that comes back waiting takes the early signals that it waits for and leaves again; without one it is stood for by a
 *    token for each wait, and one for its due time.
 * 3. A signal goes to the oldest wait, and a due time to its member; either way nothing stands for the member any more.
 * 4. A member's outcome is what it came back with; its counts and channel operations are the run's, and a signal that it had
 *    no use for is the oldest wait's, or is kept.
 */
import { isDeepStrictEqual } from 'node:util';
import type { GroupNode, NodeId } from '../../src/core/graph.ts';
import type { Json } from '../../src/core/json.ts';
import { boxed, cellOf, isFailure, type Boxed } from '../../machines/execution-context/cells.ts';
import { groupKey } from '../../machines/execution-context/context.ts';
import { Fifo, Vec, type ExecutionContext, type ExecutionEvent, type Group, type Handed, type MemberReport, type Outcome, type Plan, type RangeStart, type Start, type Step, type TokenReport, type UnitOutcome, type Waiting } from '../../machines/index.ts';

/** A member in the hands of a worker. */
export interface AwayMember {
  readonly entry: NodeId;
  readonly batch: number;
  readonly generation: number;
  readonly signals: Handed['signals'];
  readonly stepsLeft: number | undefined;
  /** Executions that the run has taken from its limit for it. */
  readonly paid: number;
}

/** One random decision on how it comes back. */
export interface Way {
  readonly outcome: 'value' | 'fail' | 'fatal' | 'goto' | 'iterate' | 'terminate' | 'cancel' | 'spawn';
  readonly pick: number;
  readonly also: number;
}

type Parked = Extract<UnitOutcome, { kind: 'parked' }>;
type Ended = Extract<UnitOutcome, { kind: 'ended' }>;

export function remoteGroup(plan: Plan, { groups }: ExecutionContext, id: number | undefined): (GroupNode & { readonly group: Group }) | undefined {
  const group = id === undefined ? undefined : Vec.get(groups, id);
  const node = group && plan.graph.nodes[group.parent.node];
  return group?.batch !== undefined && node !== undefined && 'execution' in node ? { ...node, group } : undefined;
}

export function entryOf(node: GroupNode, index: number): NodeId {
  return node.kind === 'each' ? node.body : (node.members[index]?.entry ?? '');
}

/** What a token takes with it that leaves as a whole member; nothing where it is executed here. */
export function leavesAlone(plan: Plan, context: ExecutionContext, { group: id, index = -1, unit }: Start): AwayMember | undefined {
  const node = remoteGroup(plan, context, id);
  if (node === undefined || unit === undefined) return undefined;
  const entry = entryOf(node, index);
  const paid = unit.branch === undefined && plan.graph.nodes[entry]?.kind === 'task' ? 1 : 0;
  return { entry, batch: 1, generation: unit.generation, signals: unit.signals ?? [], stepsLeft: unit.stepsLeft, paid };
}

/** The same for a member of a range. */
export function leavesTogether(plan: Plan, context: ExecutionContext, { group: id, units }: RangeStart, index: number): AwayMember | undefined {
  const node = remoteGroup(plan, context, id);
  if (node === undefined || units === undefined) return undefined;
  const entry = entryOf(node, index);
  return { entry, batch: units.batch, generation: 0, signals: [], stepsLeft: units.stepsLeft, paid: plan.graph.nodes[entry]?.kind === 'task' ? 1 : 0 };
}

/** A random way to come back. */
export function comesBack(plan: Plan, away: AwayMember, { outcome, pick, also }: Way, at: number): UnitOutcome | Extract<Outcome, { kind: 'cancel' }> {
  const steps = Math.min(away.paid + (also % 3), away.stepsLeft ?? Infinity);
  const nodes = Object.keys(plan.graph.nodes);
  const counts = also % 5 < 3 ? { counts: { [away.entry]: also % 2, [nodes[pick % nodes.length] as NodeId]: steps } } : {};
  const channel = also % 3 === 0 ? { channel: [{ op: 'add' as const, key: 'n', value: 1 }, { op: 'set' as const, key: 'm', value: [pick] }] } : also % 7 === 0 ? { channel: [{ op: 'set' as const, key: 'm', value: null }, { op: 'append' as const, key: 'n', value: 1 }] } : {};
  const [[given] = []] = away.signals.length > 0 && also % 4 < 2 ? away.signals : [];
  const all = { steps, ...counts, ...channel, ...(given !== undefined ? unused(away.signals) : {}) };
  // Nobody gives back what he waits for.
  const names = ['stop', 'go'].filter((name) => name !== given);
  const branch = { stay: away.generation + 1, pick, fragments: { late: { entry: 'late', nodes: { late: { kind: 'wait', id: 'late', signal: 'go' } } } } };
  const node = pick % 7 === 0 ? 'late' : (nodes[also % nodes.length] as NodeId);
  const waits = Array.from({ length: 1 + (pick % 3) }, (_, nth) => ({
    node, signal: names[(pick + nth + also) % 3 === 0 ? 0 : names.length - 1] ?? 'go', since: at - ((pick + nth) % 30), ...(also % 2 === 0 ? { asked: true as const, question: [pick] } : {}),
  }));
  const due = { due: { node, dueAt: at + (pick % 60) - 5, why: (['retry', 'sleep', 'wait-timeout'] as const)[pick % 3] ?? 'sleep', attempt: 1 + (pick % 2), ...(pick % 3 === 0 ? { error: { name: 'Error', message: 'no' } } : {}) } };
  switch (outcome) {
    case 'value':
    case 'terminate':
      return { kind: 'ended', cell: cellOf([pick, `${pick}`, [pick], { pick }, true, null, undefined][pick % 7]), ...all };
    case 'fail':
    case 'fatal':
      return { kind: 'ended', cell: { error: { name: 'Error', message: 'no' } }, ...all, ...(steps === away.stepsLeft && pick % 2 === 0 ? { over: true } : {}) };
    case 'goto':
      return { kind: 'parked', branch, waits, ...all };
    case 'iterate':
      return { kind: 'parked', branch, waits, ...due, ...all };
    case 'spawn':
      return { kind: 'parked', branch, waits: [], ...(pick % 2 === 0 ? due : {}), ...all };
    case 'cancel':
      return { kind: 'cancel', error: { name: 'WorkflowCancelledError', code: 'run/cancelled', message: 'stop' } };
  }
}

/** The first of the signals that a member was given, as ones that it had no use for. */
function unused([first]: Handed['signals']): { readonly signals?: Readonly<Record<string, readonly Boxed[]>> } {
  if (first === undefined) return {};
  const [name, ...value] = first;
  return { signals: { [name]: [value] } };
}

/** Everything that one step does wrong to members that are executed elsewhere. */
export function wrongAway(plan: Plan, before: ExecutionContext, event: ExecutionEvent, { context: after, execute }: Step): string[] {
  const wrong: string[] = [];
  const say = (problem: string): void => void wrong.push(problem);
  for (const group of Vec.values(after.groups)) if (Vec.get(before.groups, group.id) === undefined) checkBegun(plan, after, group, say);
  for (const start of execute?.start ?? []) checkStart(plan, after, start, say);
  for (const range of execute?.ranges ?? []) checkRange(plan, after, range, say);
  const [report, ...more] = event.type === 'SETTLED' ? event.reports : [];
  const back = report !== undefined && more.length === 0 && 'end' in report && report.end !== undefined ? (report as Back) : undefined;
  const end = back?.end;
  if (end?.kind === 'ended' && end.over === true && placeOf(plan, before, back) !== undefined && after.verdict?.kind !== 'failed') say('a member took all steps that were left, and the run has not ended');
  if (before.verdict !== null || after.verdict !== null) return wrong;
  if (event.type === 'SIGNAL' && (event.post === undefined || event.post > before.posted)) checkSignal(plan, before, after, event, say);
  if (event.type === 'DUE') for (const id of event.ids) checkDue(plan, before, after, id, say);
  if (back !== undefined) checkBack(plan, before, after, back, say);
  if (back !== undefined) checkSteps(plan, [before, after], back, execute, say);
  return wrong;
}

/** The member that a report is about, if it is away. */
function placeOf(plan: Plan, before: ExecutionContext, report: Back | undefined): { readonly group: number; readonly index: number; readonly paid: number } | undefined {
  const place = report !== undefined && 'id' in report ? Vec.get(before.inFlight, report.id) : report;
  const node = remoteGroup(plan, before, place?.group);
  const index = place?.index ?? -1;
  if (node === undefined || report === undefined || (!('id' in report) && !isOut(node.group, index))) return undefined;
  const first = handedOf(plan, before, { group: node.group.id, index }) === undefined;
  return { group: node.group.id, index, paid: first && plan.graph.nodes[entryOf(node, index)]?.kind === 'task' ? 1 : 0 };
}

/** Exact while everything that was open still is: what starts and is dropped in one event is counted, and nobody is told. */
function checkSteps(plan: Plan, [before, after]: readonly [ExecutionContext, ExecutionContext], report: Back, execute: Step['execute'], say: Say): void {
  const place = placeOf(plan, before, report);
  const { end } = report;
  const open = ({ groups, branches }: ExecutionContext): string => [...Vec.entries(groups), ...Vec.entries(branches)].map(([id]) => id).join();
  if (place === undefined || (end.kind !== 'ended' && end.kind !== 'parked') || open(before) !== open(after)) return;
  let expected = Math.max(0, end.steps - place.paid);
  for (const start of execute?.start ?? []) expected += leavesAlone(plan, after, start)?.paid ?? (start.attempt === 1 && start.answers === undefined ? 1 : 0);
  for (const range of execute?.ranges ?? []) for (let index = range.from; index < range.to; index += 1) expected += leavesTogether(plan, after, range, index)?.paid ?? 1;
  if (after.steps - before.steps !== expected) say(`${after.steps - before.steps} steps were counted, expected ${expected}`);
}

type Say = (problem: string) => void;
type Back = (TokenReport | MemberReport) & { readonly end: Outcome };

function checkBegun(plan: Plan, { run }: ExecutionContext, { id, parent, batch }: Group, say: Say): void {
  const node = plan.graph.nodes[parent.node];
  if (node === undefined || !('execution' in node)) return;
  const expected = !plan.isRemote(node) ? undefined : node.kind === 'each' && run?.maxSteps === undefined ? (node.batch ?? 1) : 1;
  if (batch !== expected) say(`group ${id} begins with batches of ${batch}, expected ${expected}`);
}

/** Rule 1. */
function checkStart(plan: Plan, context: ExecutionContext, start: Start, say: Say): void {
  const node = remoteGroup(plan, context, start.group);
  const { unit, index = -1 } = start;
  if ((unit !== undefined) !== (node !== undefined)) return say(`token ${start.id} of ${node === undefined ? 'no' : 'a'} group that is executed elsewhere leaves ${unit === undefined ? 'without' : 'with'} a unit`);
  if (unit === undefined || node === undefined) return;
  const { group } = node;
  const handed = group.handed && Vec.get(group.handed, index);
  const expected = handed === undefined ? { generation: 0 } : { generation: handed.generation, branch: handed.branch, signals: handed.signals };
  const { key, size, stepsLeft, input, ...told } = unit;
  // What the members of a parallel share is told with each that leaves alone: the first of the group may be one.
  if (!isDeepStrictEqual(input, node.kind === 'parallel' ? group.parent.input : undefined)) say(`member ${index} leaves with the common input ${JSON.stringify(input)}`);
  if (!isDeepStrictEqual(told, expected)) say(`member ${index} leaves with ${JSON.stringify(told)}, expected ${JSON.stringify(expected)}`);
  if (key !== groupKey(group.parent) || size !== group.size) say(`member ${index} leaves as one of ${size} under ${key}`);
  if (start.within !== node.id || start.path !== `${key}.${index}` || start.member?.id !== node.id || start.member.index !== index) say(`member ${index} of "${node.id}" leaves as ${JSON.stringify(start)}`);
  checkStepsLeft(context, stepsLeft, leavesAlone(plan, context, start)?.paid ?? 0, say);
}

function checkRange(plan: Plan, context: ExecutionContext, range: RangeStart, say: Say): void {
  const { group: id, key, from, to, size, units, items, input } = range;
  const node = remoteGroup(plan, context, id);
  if ((units !== undefined) !== (node !== undefined)) return say(`members of ${node === undefined ? 'no' : 'a'} group that is executed elsewhere leave ${units === undefined ? 'without' : 'with'} units`);
  if (units === undefined || node === undefined) return;
  const { parent } = node.group;
  const { batch = 1 } = node.group;
  if (units.batch !== batch || from % batch !== 0 || (to % batch !== 0 && to !== size)) say(`members ${from} to ${to} of ${size} leave in batches of ${units.batch}, expected ${batch}`);
  if (key !== groupKey(parent) || size !== node.group.size) say(`members leave as some of ${size} under ${key}`);
  if (!isDeepStrictEqual(node.kind === 'each' ? [items, input] : [input, items], [parent.input, undefined])) say(`members leave with the items ${JSON.stringify(items)}, the input ${JSON.stringify(input)}`);
  for (let index = from; index < to; index += 1) checkStepsLeft(context, units.stepsLeft, leavesTogether(plan, context, range, index)?.paid ?? 0, say);
}

/** What starts later in the same event is not known yet when one leaves; what is left is never told too low. */
function checkStepsLeft({ run, steps }: ExecutionContext, stepsLeft: number | undefined, paid: number, say: Say): void {
  const limit = run?.maxSteps;
  if ((limit === undefined) !== (stepsLeft === undefined)) return say(`${stepsLeft} steps are left, the limit is ${limit}`);
  if (limit !== undefined && stepsLeft !== undefined && (stepsLeft < Math.max(0, limit - steps) + paid || stepsLeft > limit)) say(`${stepsLeft} steps are left of ${limit}, ${steps} were taken`);
}

/** Rule 3. */
function checkSignal(plan: Plan, before: ExecutionContext, after: ExecutionContext, { name, value }: Extract<ExecutionEvent, { type: 'SIGNAL' }>, say: Say): void {
  const oldest = [...Vec.values(before.waits)].filter(({ signal }) => signal === name).reduce<Waiting | undefined>((first, wait) => (first === undefined || wait.since < first.since ? wait : first), undefined);
  const handed = oldest && handedOf(plan, before, oldest.token);
  if (oldest === undefined || handed === undefined) return;
  checkRevived(plan, after, oldest.token, { ...handed, signals: [[name, ...boxed(value)]], waiting: [] }, say);
  if (!isDeepStrictEqual(after.signals, before.signals)) say(`the signal "${name}" was kept although a member waited for it`);
}

function checkDue(plan: Plan, before: ExecutionContext, after: ExecutionContext, id: number, say: Say): void {
  const delayed = Vec.get(before.delayed, id);
  const handed = delayed && handedOf(plan, before, delayed.token);
  if (delayed === undefined || handed === undefined) return;
  if (delayed.dueAt <= after.at) checkRevived(plan, after, delayed.token, { ...handed, waiting: [] }, say);
  else if (handedOf(plan, after, delayed.token)?.waiting.includes(id) === false) say(`member ${delayed.token.index} goes on before its time`);
}

function handedOf(plan: Plan, context: ExecutionContext, { group, index }: { readonly group?: number | undefined; readonly index?: number | undefined }): Handed | undefined {
  const handed = remoteGroup(plan, context, group)?.group.handed;
  return handed && Vec.get(handed, index ?? -1);
}

/** Nothing stands for the member any more: it leaves again, at once or when a slot is free. */
function checkRevived(plan: Plan, after: ExecutionContext, { group: id, index }: { readonly group?: number | undefined; readonly index?: number | undefined }, expected: Handed, say: Say): void {
  const node = remoteGroup(plan, after, id);
  if (node === undefined) return;
  const handed = handedOf(plan, after, { group: id, index });
  if (!isDeepStrictEqual(handed, expected)) say(`member ${index} goes on with ${JSON.stringify(handed)}, expected ${JSON.stringify(expected)}`);
  const own = (token: { readonly group?: number | undefined; readonly index?: number | undefined }): boolean => token.group === id && token.index === index;
  if (![...Fifo.items(node.group.ready), ...Vec.values(after.inFlight)].some(own)) say(`member ${index} has what it waits for, but does not go on`);
}

/** Rules 2 and 4. */
function checkBack(plan: Plan, before: ExecutionContext, after: ExecutionContext, report: Back, say: Say): void {
  const { end } = report;
  const place = placeOf(plan, before, report);
  if (place === undefined || (end.kind !== 'ended' && end.kind !== 'parked')) return;
  const { group: id, index } = place;
  const node = remoteGroup(plan, after, id);
  const cell = node && Vec.get(node.group.outcomes, index);
  const misfit = end.channel !== undefined && isDeepStrictEqual(after.channel, before.channel);
  for (const [counted, times] of Object.entries(end.counts ?? {})) if (completed(plan, after, counted) - completed(plan, before, counted) < times) say(`${times} completions of "${counted}" were not counted`);
  if (misfit) {
    if (node !== undefined && !(cell !== undefined && isFailure(cell) && cell.error.code === 'task/channel')) say(`the channel operations of member ${index} were not applied, but it has not failed`);
  } else if (end.kind === 'ended') {
    if (node !== undefined && !isDeepStrictEqual(cell, end.cell)) say(`the outcome of member ${index} is ${JSON.stringify(cell)}, it came back with ${JSON.stringify(end.cell)}`);
  } else if (node === undefined) say(`group ${id} has ended although member ${index} has not`);
  else checkParked(plan, [before, after], { group: id, index }, end, say);
  // Once the group has ended, the steps behind it may have taken the signal.
  if (node !== undefined) for (const [name, [value]] of Object.entries(end.signals ?? {})) checkUnused(plan, [before, after], { group: id, index }, [name, ...(value ?? [])], say);
}

/** A signal comes back from a member that does not wait for it. */
function checkUnused(plan: Plan, [before, after]: readonly [ExecutionContext, ExecutionContext], place: { readonly group: number; readonly index: number }, signal: Handed['signals'][number], say: Say): void {
  const [name, ...value] = signal;
  const waits = [...Vec.values(before.waits)].filter((wait) => wait.signal === name);
  const own = [...Vec.values(after.waits)].some(({ token, signal: other }) => token.group === place.group && token.index === place.index && other === name);
  if (own) say(`member ${place.index} waits for "${name}", which it gave back`);
  const oldest = waits.reduce<Waiting | undefined>((first, wait) => (first === undefined || wait.since < first.since ? wait : first), undefined);
  if (oldest !== undefined && !isDeepStrictEqual(after.signals[name], before.signals[name])) say(`the signal "${name}" was kept although someone waited for it`);
  const handed = oldest && handedOf(plan, after, oldest.token);
  if (handed !== undefined && handedOf(plan, before, oldest?.token ?? {}) !== undefined && !isDeepStrictEqual(handed.signals, [signal])) say(`the signal "${name}" came back, but the member that waits for it has ${JSON.stringify(handed.signals)}`);
  const last = [name, ...(after.signals[name]?.at(-1) ?? ['absent'])];
  if (oldest === undefined && !isDeepStrictEqual(last, signal)) say(`the signal "${name}" came back and is lost: ${JSON.stringify(value)}`);
}

/** Whether a range member is away. */
function isOut({ cursor, outcomes, apart }: Group, index: number): boolean {
  return index < cursor && Vec.get(outcomes, index) === undefined && Vec.get(apart, index) === undefined;
}

function checkParked(plan: Plan, [before, after]: readonly [ExecutionContext, ExecutionContext], place: { readonly group: number; readonly index: number }, end: Parked, say: Say): void {
  const early = Object.fromEntries(Object.entries(before.signals).map(([name, values]) => [name, [...values]]));
  const taken: Handed['signals'] = end.waits.flatMap(({ signal }) => early[signal]?.splice(0, 1).map((value): Handed['signals'][number] => [signal, ...value]) ?? []);
  const generation = (handedOf(plan, before, place)?.generation ?? 0) + 1;
  const handed = handedOf(plan, after, place);
  const next = { generation, branch: end.branch, signals: taken, waiting: [] };
  if (taken.length > 0 || (end.waits.length === 0 && end.due === undefined)) return checkRevived(plan, after, place, next, say);
  const waiting = handed?.waiting ?? [];
  if (!isDeepStrictEqual(handed, { ...next, waiting })) say(`member ${place.index} waits with ${JSON.stringify(handed)}, expected ${JSON.stringify(next)}`);
  const waits = waiting.flatMap((id) => Vec.get(after.waits, id) ?? []).map(({ token, ...wait }) => ({ ...wait, node: token.node }));
  const due = waiting.flatMap((id) => Vec.get(after.delayed, id) ?? []).map(({ token, ...delayed }) => ({ ...delayed, node: token.node, attempt: token.attempt }));
  if (!isDeepStrictEqual([waits, due], [end.waits, end.due === undefined ? [] : [end.due]])) say(`member ${place.index} waits for ${JSON.stringify([waits, due])}, expected ${JSON.stringify([end.waits, end.due])}`);
}

function completed(plan: Plan, { completions }: ExecutionContext, node: NodeId): number {
  return Vec.get(completions, plan.ordinal.get(node) ?? -1) ?? 0;
}

/** How much a place's outcome adds to what the run has counted for it. */
export function moreSteps({ paid }: AwayMember, end: Outcome): number {
  return end.kind === 'ended' || end.kind === 'parked' ? Math.max(0, end.steps - paid) : 0;
}

/** A plain value of one step may come as a cell alone. */
export function isBare(end: Outcome): end is Ended & { readonly cell: Exclude<Ended['cell'], { readonly error: unknown }> } {
  return end.kind === 'ended' && !isFailure(end.cell) && end.steps === 1 && end.counts === undefined && end.channel === undefined && end.signals === undefined;
}

/** For those who want a member to end well. */
export function endsWell({ paid }: AwayMember, value: Json): UnitOutcome {
  return { kind: 'ended', cell: cellOf(value), steps: paid };
}
