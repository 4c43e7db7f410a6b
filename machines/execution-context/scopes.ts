/**
 * Where control goes when a step has ended: along the graph, into the queue of its scope, or out of the scope.
 *
 * Owns: completing and failing steps, ending scopes, dropping what is left of something that ended early.
 * Does not own: starting anything (admit.ts), group policies (groups.ts).
 *
 * Invariants
 * 1. Spawned tokens are queued before the static successor.
 * 2. A scope is done when nothing of it is queued, running or parked; its output is that of its main path.
 * 3. Nothing of an ended scope or group stays open: its tokens leave every collection in the same event.
 */
import type { GraphNode, GroupNode } from '../../src/core/graph.ts';
import type { SerializedError } from '../../src/core/errors.ts';
import type { Json } from '../../src/core/json.ts';
import { boxed, cellOf, type Boxed } from './cells.ts';
import { spawnedPath, type Token, type Verdict } from './context.ts';
import { moved, type Draft, type OpenGroup, type OpenScope } from './draft.ts';
import type { Target } from './events.ts';
import { recoverInput } from './failures.ts';
import { memberEnded } from './members.ts';
import { emptyFifo, push } from './queue.ts';

/** Puts a token at the back of its scope's queue (or of its group's, where it has no scope). */
export function enqueue(draft: Draft, token: Token): void {
  const scope = draft.scope(token.scope);
  const group = scope === undefined ? token.group : slotless(scope);
  if (group !== undefined) {
    const home = draft.group(group);
    if (home === undefined) return;
    home.ready = push(home.ready, token);
    // Until the group has a slot for it, the branch is as parked as it was.
    if (scope !== undefined) scope.parked += 1;
    draft.agenda.add(home);
  } else if (scope !== undefined) {
    scope.queue = push(scope.queue, token);
    holdRunner(draft, scope);
    draft.agenda.add(scope);
  }
}

/** The group that must give a parked branch its slot back first. */
function slotless(scope: OpenScope): number | undefined {
  return scope.slot || scope.owner.kind !== 'member' ? undefined : scope.owner.group;
}

/** Whoever runs ahead must not overtake what is queued now. */
function holdRunner(draft: Draft, scope: OpenScope): void {
  if (scope.runner === undefined) return;
  const runner = draft.inFlight.get(scope.runner);
  if (runner !== undefined) draft.inFlight.set(runner.id, { ...runner, ahead: false });
  draft.hold.push(scope.runner);
  scope.runner = undefined;
}

/** A token's step does not hold its slot any more. */
export function leave(draft: Draft, token: Token): void {
  const scope = draft.scope(token.scope);
  if (scope === undefined) return;
  scope.running -= 1;
  if (scope.runner === token.id) scope.runner = undefined;
  draft.agenda.add(scope);
}

/** Gives a group member of one task a scope of its own, so that more than one token can live there. */
export function withScope(draft: Draft, token: Token): Token {
  if (token.group === undefined || token.index === undefined) return token;
  const group = draft.group(token.group);
  const slot = group === undefined || !isOverfull(draft, group);
  if (group !== undefined && !slot) group.active -= 1;
  const scope: OpenScope = {
    id: draft.newId(),
    owner: { kind: 'member', group: token.group, index: token.index },
    queue: emptyFifo(),
    running: 0,
    parked: 0,
    slot,
    within: group?.parent.node,
  };
  draft.addScope(scope);
  draft.agenda.add(scope);
  return { ...token, scope: scope.id, group: undefined, index: undefined };
}

/** Members that were only granted ahead fill the group: whoever leaves the range must wait for a slot like the others. */
function isOverfull(draft: Draft, group: OpenGroup): boolean {
  return group.active > (draft.node(group.parent.node) as GroupNode).execution.concurrency;
}

/** The step at which a token stands has ended with a value. */
export function completeStep(draft: Draft, token: Token, node: GraphNode, value: Json | undefined, spawned: readonly Target[] = []): void {
  if (token.group !== undefined && token.index !== undefined && spawned.length === 0 && node.next === undefined) {
    memberEnded(draft, token.group, token.index, cellOf(value));
    return;
  }
  const here = withScope(draft, token);
  spawn(draft, here, spawned);
  if (node.next !== undefined) enqueue(draft, moved(here, node.next, value));
  else endOfPath(draft, here, value);
}

/** A task sent control elsewhere: its static successors are skipped. */
export function goTo(draft: Draft, token: Token, target: Target, spawned: readonly Target[] = []): void {
  const here = withScope(draft, token);
  spawn(draft, here, spawned);
  enqueue(draft, moved(here, target.node, target.input));
}

export function spawn(draft: Draft, from: Token, targets: readonly Target[]): void {
  targets.forEach((target, nth) => {
    enqueue(draft, { id: draft.newId(), node: target.node, scope: from.scope, input: target.input, attempt: 1, iteration: 0, hop: 0, path: spawnedPath(from, nth), main: false });
  });
}

function endOfPath(draft: Draft, token: Token, value: Json | undefined): void {
  const scope = draft.scope(token.scope);
  if (scope === undefined) return;
  if (token.main) scope.output = boxed(value);
  draft.agenda.add(scope);
}

/** The step at which a token stands has failed for good. */
export function failStep(draft: Draft, token: Token, node: GraphNode, error: SerializedError): void {
  if (node.recover !== undefined) {
    const here = withScope(draft, token);
    enqueue(draft, moved(here, node.recover, recoverInput(token, error)));
  } else if (token.group !== undefined && token.index !== undefined) {
    memberEnded(draft, token.group, token.index, { error });
  } else {
    failScope(draft, token.scope, error);
  }
}

function failScope(draft: Draft, id: number, error: SerializedError): void {
  const scope = draft.scope(id);
  if (scope === undefined) return;
  if (scope.owner.kind === 'run') return conclude(draft, { kind: 'failed', error });
  endScope(draft, scope);
  if (scope.owner.kind === 'member') return memberEnded(draft, scope.owner.group, scope.owner.index, { error }, scope.slot);
  const { token } = scope.owner;
  leave(draft, token);
  failStep(draft, token, draft.node(token.node), error);
}

/** The scope ends now, with this output; what is left of it is dropped. */
export function completeScope(draft: Draft, scope: OpenScope, output: Boxed): void {
  if (scope.owner.kind === 'run') return conclude(draft, { kind: 'completed', output });
  endScope(draft, scope);
  if (scope.owner.kind === 'member') return memberEnded(draft, scope.owner.group, scope.owner.index, cellOf(output[0]), scope.slot);
  const { token } = scope.owner;
  leave(draft, token);
  completeStep(draft, token, draft.node(token.node), output[0]);
}

function endScope(draft: Draft, scope: OpenScope): void {
  const empty = scope.running === 0 && scope.parked === 0;
  draft.removeScope(scope.id);
  draft.agenda.delete(scope);
  if (!empty) drop(draft, new Set([scope.id]), new Set());
}

/** The run is over; whatever is open is aborted and forgotten. */
export function conclude(draft: Draft, verdict: Verdict): void {
  if (draft.verdict !== null) return;
  draft.verdict = verdict;
  draft.agenda.clear();
  const root = draft.scope(0) as OpenScope;
  const scopes = new Set([0, ...draft.openScopes().map((scope) => scope.id)]);
  drop(draft, scopes, new Set(draft.openGroups().map((group) => group.id)));
  root.queue = emptyFifo();
  root.running = 0;
  root.parked = 0;
  root.runner = undefined;
}

/**
 * Forgets everything inside the given scopes and groups, at any depth, and has it aborted.
 * Linear in what is open, so callers use it for what ends early, never on the common path.
 */
export function drop(draft: Draft, scopes: Set<number>, groups: Set<number>): void {
  const inside = (token: Token): boolean => scopes.has(token.scope) || (token.group !== undefined && groups.has(token.group));
  for (let grown = true; grown; ) {
    grown = false;
    for (const scope of draft.openScopes()) {
      if (scopes.has(scope.id) || scope.owner.kind === 'run') continue;
      if (scope.owner.kind === 'member' ? !groups.has(scope.owner.group) : !inside(scope.owner.token)) continue;
      scopes.add(scope.id);
      grown = true;
    }
    for (const group of draft.openGroups()) {
      if (groups.has(group.id) || !inside(group.parent)) continue;
      groups.add(group.id);
      grown = true;
    }
  }
  for (const id of groups) dropGroup(draft, id);
  for (const id of scopes) {
    const scope = draft.scope(id);
    if (scope === undefined || id === 0) continue;
    draft.agenda.delete(scope);
    draft.removeScope(id);
  }
  for (const running of draft.inFlight.values()) {
    if (!inside(running)) continue;
    draft.inFlight.delete(running.id);
    draft.abort.push(running.id);
  }
  for (const { token } of draft.delayed.values()) {
    if (!inside(token)) continue;
    draft.delayed.delete(token.id);
    draft.disarm.push(token.id);
  }
  for (const { token } of draft.waits.values()) if (inside(token)) draft.waits.delete(token.id);
  unstart(draft);
}

function dropGroup(draft: Draft, id: number): void {
  const group = draft.group(id);
  if (group === undefined) return;
  // Of members that are with workers the group's executor knows more than how many are open here: what has come back from a wait.
  if (group.open > 0 || group.batch !== undefined) draft.abortGroups.push(id);
  draft.openMembers -= group.open;
  draft.agenda.delete(group);
  draft.removeGroup(id);
}

/** What this very event wanted started, and nobody has heard of yet. */
function unstart(draft: Draft): void {
  const aborted = new Set(draft.abort);
  keep(draft.start, (start) => !aborted.has(start.id));
  keep(draft.arm, ([id]) => draft.delayed.get(id) !== undefined);
  keep(draft.ranges, (range) => draft.group(range.group) !== undefined);
}

function keep<T>(list: T[], wanted: (item: T) => boolean): void {
  let kept = 0;
  for (const item of list) if (wanted(item)) list[kept++] = item;
  list.length = kept;
}
