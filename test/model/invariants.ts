/**
 * What must hold for every context of a run, between any two events.
 *
 * Owns: the checks of a context by itself, given the plan that it runs. Does not own: how contexts come about.
 *
 * Invariants checked
 * 1. A context is plain JSON (a property may be undefined: JSON drops it).
 * 2. Every open token is in exactly one place, its node exists, and its scope or group is open.
 * 3. Counters say what is there: a scope's `running` and `parked`, a group's `active`, `open` and `failed`, `openMembers`.
 * 4. No limit is exceeded: the run's and a group's concurrency, one token at a time in a branch.
 * 5. Nothing is open after a verdict.
 * 6. Nothing is stuck: what could start has started, and a run without a verdict has something to wait for.
 * 7. A member that is executed elsewhere is in one place: in the range or in flight while it is away, in `ready` while it
 *    waits for a slot, or stood for by the tokens that `handed` names, and then by all of them. It never has a scope.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ExecutionContext, Group, Plan, Scope, Token } from '../../machines/index.ts';
import { Fifo, Vec } from '../../machines/index.ts';
import { isFailure } from '../../machines/execution-context/cells.ts';
import { memberPath } from '../../machines/execution-context/context.ts';
import type { Fragment, GraphNode, GroupNode } from '../../src/core/graph.ts';
import type { Json } from '../../src/core/json.ts';

type Say = (problem: string) => void;

interface Open {
  readonly plan: Plan;
  readonly context: ExecutionContext;
  readonly scopes: ReadonlyMap<number, Scope>;
  readonly groups: ReadonlyMap<number, Group>;
  readonly say: Say;
}

/** Everything that is wrong with a context; empty when nothing is. */
export function problemsOf(plan: Plan, context: ExecutionContext): string[] {
  const problems: string[] = [];
  const say: Say = (problem) => void problems.push(problem);
  for (const found of notPlain(context)) say(found);
  const scopes = new Map<number, Scope>([[0, context.root], ...Vec.entries(context.branches)]);
  const groups = new Map<number, Group>(Vec.entries(context.groups));
  const open: Open = { plan, context, scopes, groups, say };
  checkSizes(open);
  checkTokens(open);
  for (const [id, scope] of scopes) checkScope(open, id, scope);
  for (const [id, group] of groups) checkGroup(open, id, group);
  for (const group of groups.values()) checkAway(open, group);
  const members = sum([...groups.values()].map((group) => group.open));
  if (context.openMembers !== members) say(`openMembers is ${context.openMembers}, the groups hold ${members}`);
  if (context.verdict === null) checkNotStuck(open);
  else checkNothingOpen(open);
  return problems;
}

/** Throws when a context breaks an invariant. `trail` says how it came about. */
export function assertInvariants(plan: Plan, context: ExecutionContext, trail: unknown = ''): void {
  const problems = problemsOf(plan, context);
  if (problems.length > 0) throw new Error(`${problems.join('\n')}\nafter ${JSON.stringify(trail)}\ncontext ${JSON.stringify(context)}`);
}

/** Freezes a value and everything in it, so that a change of it throws. */
export function deepFreeze<T>(value: T): T {
  const waiting: unknown[] = [value];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next !== 'object' || next === null || Object.isFrozen(next)) continue;
    Object.freeze(next);
    for (const child of Object.values(next)) if (child !== undefined) waiting.push(child);
  }
  return value;
}

/** Paths at which a value is not plain JSON. Absent values in arrays are null, never undefined or holes. */
export function notPlain(value: unknown, path = 'context', above: readonly unknown[] = []): string[] {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return [];
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0) ? [] : [`${path} is ${value}`];
  if (typeof value !== 'object') return [`${path} is a ${typeof value}`];
  if (above.includes(value)) return [`${path} is a cycle`];
  const inside = [...above, value];
  if (Object.getOwnPropertySymbols(value).length > 0) return [`${path} has symbol keys`];
  if (Array.isArray(value)) {
    if (Object.keys(value).length !== value.length) return [`${path} has holes or extra keys`];
    return value.flatMap((item, at) => notPlain(item, `${path}[${at}]`, inside));
  }
  const prototype = Object.getPrototypeOf(value) as unknown;
  if (prototype !== Object.prototype && prototype !== null) return [`${path} has a prototype`];
  return Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : notPlain(item, `${path}.${key}`, inside)));
}

function checkSizes({ context, groups, scopes, say }: Open): void {
  const vecs: [string, Vec.Vec<unknown>][] = [
    ['branches', context.branches], ['groups', context.groups], ['inFlight', context.inFlight], ['delayed', context.delayed],
    ['waits', context.waits], ['completions', context.completions],
  ];
  for (const [id, group] of groups) vecs.push([`group ${id}.outcomes`, group.outcomes], [`group ${id}.apart`, group.apart], [`group ${id}.handed`, group.handed ?? Vec.emptyVec()]);
  for (const [name, vec] of vecs) {
    const there = [...Vec.values(vec)].length;
    if (vec.size !== there) say(`${name}.size is ${vec.size}, but ${there} values are there`);
  }
  const queues = [...[...scopes].map(([id, scope]) => [`scope ${id}.queue`, scope.queue] as const), ...[...groups].map(([id, group]) => [`group ${id}.ready`, group.ready] as const)];
  for (const [name, queue] of queues) {
    const there = [...Fifo.items(queue)].length;
    if (queue.size !== there) say(`${name}.size is ${queue.size}, but ${there} items are there`);
  }
}

/** Each place in which a token can be, and the tokens there. */
function* places(open: Open): Generator<readonly [place: string, token: Token]> {
  const { context, scopes, groups } = open;
  for (const [id, scope] of scopes) {
    for (const token of Fifo.items(scope.queue)) yield [`queue of scope ${id}`, token];
    if (scope.owner.kind === 'step') yield [`owner of scope ${id}`, scope.owner.token];
  }
  for (const [id, group] of groups) {
    for (const token of Fifo.items(group.ready)) yield [`ready of group ${id}`, token];
    yield [`parent of group ${id}`, group.parent];
  }
  for (const token of Vec.values(context.inFlight)) yield ['inFlight', token];
  for (const { token, why } of Vec.values(context.delayed)) if (why !== 'wait-timeout' || isAway(open, token)) yield [`delayed (${why})`, token];
  for (const { token } of Vec.values(context.waits)) yield ['waits', token];
}

function checkTokens(open: Open): void {
  const { context, scopes, groups, say } = open;
  const seen = new Map<number, string>();
  for (const [place, token] of places(open)) {
    const other = seen.get(token.id);
    if (other !== undefined) say(`token ${token.id} is twice: ${other}, and ${place}`);
    seen.set(token.id, place);
    checkToken(open, place, token);
  }
  for (const id of [...scopes.keys(), ...groups.keys()]) {
    if (seen.has(id)) say(`${id} is a token (${seen.get(id)}) and a scope or group`);
    if (id >= context.nextId) say(`id ${id} was never given out`);
  }
  for (const [id, scope] of scopes) for (const token of Fifo.items(scope.queue)) if (token.scope !== id) say(`token ${token.id} of scope ${token.scope} is queued in scope ${id}`);
  for (const [id, group] of groups) for (const token of Fifo.items(group.ready)) if (groupOf(open, token) !== id) say(`token ${token.id} of group ${groupOf(open, token)} is in ready of group ${id}`);
  for (const [key, token] of Vec.entries(context.inFlight)) if (key !== token.id) say(`inFlight ${key} holds token ${token.id}`);
  for (const [key, { token, why }] of Vec.entries(context.delayed)) {
    if (key !== token.id) say(`delayed ${key} holds token ${token.id}`);
    if (why === 'wait-timeout' && !isAway(open, token) && Vec.get(context.waits, key) === undefined) say(`token ${key} has a wait's timeout but does not wait`);
  }
  if (context.delayed.size > 0 && !context.timed) say('there are due times, but `timed` is false');
}

function checkToken(open: Open, place: string, token: Token): void {
  const { context, scopes, groups, say } = open;
  if (!Number.isInteger(token.id) || token.id < 1 || token.id >= context.nextId) say(`token ${token.id} (${place}) has an id that was never given out`);
  if (nodeOf(open, token.node) === undefined && !isOfBranch(open, token)) say(`token ${token.id} (${place}) stands at "${token.node}", which is no node`);
  if (token.attempt < 1 || token.iteration < 0 || token.hop < 0) say(`token ${token.id} (${place}) has attempt ${token.attempt}, iteration ${token.iteration}, hop ${token.hop}`);
  if (token.group === undefined) {
    if (!scopes.has(token.scope)) say(`token ${token.id} (${place}) is in scope ${token.scope}, which is not open`);
    return;
  }
  const group = groups.get(token.group);
  if (group === undefined) say(`token ${token.id} (${place}) belongs to group ${token.group}, which is not open`);
  else if (token.index === undefined || token.index < 0 || token.index >= group.size) say(`token ${token.id} (${place}) is member ${token.index} of group ${group.id}, which has ${group.size}`);
  if (token.scope !== -1) say(`token ${token.id} (${place}) has a scope and a group`);
}

function checkScope(open: Open, id: number, scope: Scope): void {
  const { context, groups, scopes, say } = open;
  const running =
    count(Vec.values(context.inFlight), (token) => token.scope === id) +
    count(groups.values(), (group) => group.parent.scope === id) +
    count(scopes.values(), (inner) => inner.owner.kind === 'step' && inner.owner.token.scope === id);
  const parked =
    sum([...groups.values()].map((group) => count(Fifo.items(group.ready), (token) => token.scope === id))) +
    count(Vec.values(context.delayed), ({ token, why }) => token.scope === id && why !== 'wait-timeout') +
    count(Vec.values(context.waits), ({ token }) => token.scope === id);
  if (scope.id !== id) say(`scope ${id} says it is ${scope.id}`);
  if (scope.running !== running) say(`scope ${id} counts ${scope.running} running, ${running} are there`);
  if (scope.parked !== parked) say(`scope ${id} counts ${scope.parked} parked, ${parked} are there`);
  const limit = id === 0 ? (context.run?.concurrency ?? 1) : 1;
  if (scope.running > limit) say(`scope ${id} has ${scope.running} running, its limit is ${limit}`);
  const runners = [...Vec.values(context.inFlight)].filter((token) => token.scope === id && token.ahead).map((token) => token.id);
  if (runners.length > 1 || runners[0] !== scope.runner) say(`scope ${id} names runner ${scope.runner}, running ahead are [${runners.join()}]`);
  if (scope.runner !== undefined && scope.queue.size > 0) say(`scope ${id} has a runner ahead of its queue`);
  if (!scope.slot && scope.owner.kind !== 'member') say(`scope ${id} has no slot but is no member`);
  if (!scope.slot && running > 0) say(`scope ${id} runs without a slot`);
  if (!scope.slot && scope.queue.size > 0) say(`scope ${id} has a queue but no slot`);
  if (scope.owner.kind === 'run' && id !== 0) say(`scope ${id} says it is the run`);
  if (scope.owner.kind === 'member' && !groups.has(scope.owner.group)) say(`scope ${id} belongs to group ${scope.owner.group}, which is not open`);
  if (scope.owner.kind === 'step' && nodeOf(open, scope.owner.token.node)?.kind !== 'scope') say(`scope ${id} stands for a step that is no scope`);
}

function checkGroup(open: Open, id: number, group: Group): void {
  const { context, scopes, say } = open;
  const node = nodeOf(open, group.parent.node);
  if (node === undefined || !('execution' in node)) return say(`group ${id} stands for "${group.parent.node}", which is no group`);
  const failed = count(Vec.values(group.outcomes), isFailure);
  if (group.failed !== failed) say(`group ${id} counts ${group.failed} failed, ${failed} are there`);
  if (group.outcomes.size >= group.size) say(`group ${id} has all its outcomes but has not ended`);
  if (group.cursor < 0 || group.cursor > group.size) say(`group ${id} has its cursor at ${group.cursor} of ${group.size}`);
  const inRange = [];
  for (let index = 0; index < group.size; index += 1) {
    // All tokens that stand for one member count as one.
    const stands = standsFor(group, index).length;
    const members = membersAt(open, group, index) - Math.max(0, stands - 1);
    const ended = Vec.get(group.outcomes, index) !== undefined;
    const range = !ended && index < group.cursor && members === 0 && isRanged(open, group, node, index) && Vec.get(group.apart, index) === undefined;
    if (range) inRange.push(index);
    const started = node.kind === 'dag' ? needsDone(group, node, index, say) : index < group.cursor;
    const expected = started && !ended && !range ? 1 : 0;
    if (members !== expected) say(`group ${id} has ${members} tokens or branches for member ${index}, expected ${expected}`);
    if (!started && ended) say(`group ${id} has an outcome for member ${index}, which was never started`);
  }
  if (group.open !== inRange.length) say(`group ${id} counts ${group.open} open, in the range are ${inRange.length}`);
  const active = group.open + count(Vec.values(context.inFlight), (token) => token.group === id) + count(scopes.values(), (scope) => scope.owner.kind === 'member' && scope.owner.group === id && scope.slot);
  if (group.active !== active) say(`group ${id} counts ${group.active} active, ${active} hold a slot`);
  const limit = node.execution.concurrency;
  // Batches are whole: the last one that leaves may go beyond the limit.
  const most = node.kind !== 'each' ? limit : group.batch !== undefined ? limit - 1 + group.batch : Infinity;
  if (active - group.open > limit || active > most) say(`group ${id} has ${active} active, its limit is ${limit}`);
}

/** Invariant 7. */
function checkAway(open: Open, group: Group): void {
  const { context, scopes, say } = open;
  const node = nodeOf(open, group.parent.node);
  if (node === undefined || !('execution' in node)) return;
  if (group.batch === undefined) {
    if (group.handed !== undefined) say(`group ${group.id} is executed here, but has members that came back`);
    return;
  }
  if (group.handed?.size === 0) say(`group ${group.id} keeps an empty \`handed\``);
  for (const { id, owner } of scopes.values()) if (owner.kind === 'member' && owner.group === group.id) say(`scope ${id} belongs to member ${owner.index} of group ${group.id}, which is executed elsewhere`);
  for (let index = 0; index < group.size; index += 1) {
    const own = ({ token }: { readonly token: Token }): boolean => token.group === group.id && token.index === index;
    const here = [...Fifo.items(group.ready), ...Vec.values(context.inFlight)].filter((token) => own({ token }));
    const parked = [...Vec.values(context.waits), ...Vec.values(context.delayed)].filter(own).map(({ token }) => token.id);
    checkMember(open, group, node, index, { here, parked });
  }
}

function checkMember({ say }: Open, group: Group, node: GroupNode, index: number, { here, parked }: { readonly here: readonly Token[]; readonly parked: readonly number[] }): void {
  const member = `member ${index} of group ${group.id}`;
  const handed = group.handed && Vec.get(group.handed, index);
  const fresh = node.kind === 'dag' ? here.length : 0;
  if (handed === undefined) {
    if (parked.length > 0 || here.length > fresh) say(`${member} never came back, but has tokens`);
    if (Vec.get(group.apart, index) !== undefined && Vec.get(group.outcomes, index) === undefined) say(`${member} never came back, but is set apart`);
  } else {
    const { generation, signals, waiting } = handed;
    if (Vec.get(group.outcomes, index) !== undefined) say(`${member} has an outcome and a branch to go on from`);
    if (Vec.get(group.apart, index) === undefined) say(`${member} came back but is not set apart`);
    if (!Number.isInteger(generation) || generation < 1) say(`${member} came back ${generation} times`);
    if (waiting.toSorted().join() !== parked.toSorted().join()) say(`${member} waits by [${waiting.join()}], there are [${parked.join()}]`);
    if (here.length !== (waiting.length > 0 ? 0 : 1)) say(`${member} waits by ${waiting.length} tokens, and has ${here.length} that could go on`);
    if (waiting.length > 0 && signals.length > 0) say(`${member} waits although signals have come for it`);
  }
  for (const token of here) {
    const whole = token.attempt === 1 && token.iteration === 0 && token.hop === 0 && token.answers === undefined && token.main;
    const entry = node.kind === 'each' ? node.body : node.members[index]?.entry;
    const input = node.kind === 'each' ? (group.parent.input as Json[])[index] : node.kind === 'dag' ? token.input : group.parent.input;
    if (!whole || token.node !== entry || token.path !== memberPath(group.parent, index)) say(`${member} does not leave as a whole, from its beginning: ${JSON.stringify(token)}`);
    if (!isDeepStrictEqual(token.input, input)) say(`${member} leaves with another input: ${JSON.stringify(token.input)}`);
    if ('ahead' in token && token.ahead === true) say(`${member} runs ahead, elsewhere`);
  }
}

/** The tokens that stand for what a member waits for. */
function standsFor(group: Group, index: number): readonly number[] {
  return (group.handed && Vec.get(group.handed, index)?.waiting) ?? [];
}

/** Whether a token belongs to a member that is executed elsewhere. */
function isAway(open: Open, token: Token): boolean {
  return token.group !== undefined && open.groups.get(token.group)?.batch !== undefined;
}

/** A wait or a due time of a branch may be at a step that only the branch has met. */
function isOfBranch(open: Open, token: Token): boolean {
  const group = token.group === undefined ? undefined : open.groups.get(token.group);
  const handed = group?.handed && Vec.get(group.handed, token.index ?? -1);
  const fragments = (handed?.branch as { readonly fragments?: Readonly<Record<string, Fragment>> } | undefined)?.fragments ?? {};
  return Object.values(fragments).some(({ nodes }) => nodes[token.node] !== undefined);
}

/** Tokens and branches that one member has. */
function membersAt(open: Open, group: Group, index: number): number {
  const { context, scopes } = open;
  const own = (token: Token): boolean => token.group === group.id && token.index === index;
  return (
    count(Vec.values(context.inFlight), own) +
    count(Fifo.items(group.ready), own) +
    count(Vec.values(context.delayed), ({ token, why }) => own(token) && (why !== 'wait-timeout' || isAway(open, token))) +
    count(Vec.values(context.waits), ({ token }) => own(token)) +
    count(scopes.values(), ({ owner }) => owner.kind === 'member' && owner.group === group.id && owner.index === index)
  );
}

function needsDone(group: Group, node: Extract<GroupNode, { kind: 'dag' }>, index: number, say: Say): boolean {
  const needs = node.members[index]?.needs ?? [];
  const left = needs.filter((need) => {
    const cell = Vec.get(group.outcomes, node.members.findIndex((member) => member.id === need));
    return cell === undefined || isFailure(cell);
  }).length;
  const counted = (group.needs && Vec.get(group.needs, index)) ?? needs.length;
  if (counted !== left) say(`dag ${group.id} counts ${counted} needs open for member ${index}, ${left} are`);
  return left === 0;
}

function checkNothingOpen({ context, say }: Open): void {
  const { root, branches, groups, inFlight, delayed, waits, openMembers } = context;
  const left = { queue: root.queue.size, running: root.running, parked: root.parked, branches: branches.size, groups: groups.size, inFlight: inFlight.size, delayed: delayed.size, waits: waits.size, openMembers };
  for (const [name, size] of Object.entries(left)) if (size !== 0) say(`after the verdict ${name} is ${size}`);
}

function checkNotStuck(open: Open): void {
  const { context, scopes, groups, say } = open;
  if (context.run === null) return;
  const { inFlight, openMembers, delayed, waits, paused } = context;
  if (inFlight.size + openMembers + delayed.size + waits.size === 0 && !paused) say('the run has no verdict and nothing to wait for');
  for (const { signal } of Vec.values(waits)) if (Object.hasOwn(context.signals, signal)) say(`a signal "${signal}" is kept although someone waits for it`);
  for (const [id, scope] of scopes) {
    if (scope.running + scope.parked + scope.queue.size === 0) say(`scope ${id} has nothing left but has not ended`);
    if (!paused && scope.queue.size > 0 && scope.running < (id === 0 ? (context.run?.concurrency ?? 1) : 1)) say(`scope ${id} could start a token but has not`);
  }
  for (const [id, group] of groups) {
    const node = nodeOf(open, group.parent.node);
    if (node === undefined || !('execution' in node) || paused) continue;
    const free = group.active < node.execution.concurrency;
    if (free && (group.ready.size > 0 || (node.kind !== 'dag' && group.cursor < group.size))) say(`group ${id} could start a member but has not`);
  }
}

function groupOf({ scopes }: Open, token: Token): number | undefined {
  if (token.group !== undefined) return token.group;
  const owner = scopes.get(token.scope)?.owner;
  return owner?.kind === 'member' ? owner.group : undefined;
}

function nodeOf({ plan, context }: Open, id: string): GraphNode | undefined {
  return plan.graph.nodes[id] ?? Object.values(context.fragments).map((fragment) => fragment.nodes[id]).find((node) => node !== undefined);
}

/** Whether a member starts as part of a range. */
function isRanged(open: Open, { batch }: Group, node: GroupNode, index: number): boolean {
  if (node.kind === 'dag') return false;
  if (batch !== undefined) return true;
  const entry = nodeOf(open, node.kind === 'each' ? node.body : (node.members[index]?.entry ?? ''));
  return entry?.kind === 'task' && entry.next === undefined;
}

function count<T>(items: Iterable<T>, wanted: (item: T) => boolean): number {
  let found = 0;
  for (const item of items) if (wanted(item)) found += 1;
  return found;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
