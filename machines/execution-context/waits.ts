/** Steps that take no slot while they last: a sleep until a time, a wait until a signal. */
import type { SleepNode, WaitNode } from '../../src/core/graph.ts';
import type { Boxed } from './cells.ts';
import type { Delayed, Token, Waiting } from './context.ts';
import type { Draft, OpenScope } from './draft.ts';
import { completeStep, enqueue, failStep } from './scopes.ts';
import { takeEarly } from './early.ts';
import { taskProblem } from './failures.ts';
import { revive } from './units.ts';

export function startSleep(draft: Draft, scope: OpenScope, token: Token, node: SleepNode): void {
  scope.parked += 1;
  park(draft, token, node.delayMs, 'sleep');
}

/** Takes the oldest signal of that name that is already there, or waits for one. */
export function startWait(draft: Draft, scope: OpenScope, token: Token, node: WaitNode): void {
  const early = takeEarly(draft, node.signal);
  if (early !== undefined) {
    completeStep(draft, token, node, early[0]);
    return;
  }
  scope.parked += 1;
  draft.waits.set(token.id, { token, signal: node.signal, since: draft.at });
  if (node.timeoutMs !== undefined) park(draft, token, node.timeoutMs, 'wait-timeout');
}

/** Parks a token until a time; the timers are told. */
export function park(draft: Draft, token: Token, delayMs: number, why: Delayed['why'], error?: Delayed['error']): void {
  const dueAt = draft.at + delayMs;
  draft.delayed.set(token.id, { token, dueAt, why, ...(error && { error }) });
  draft.arm.push([token.id, dueAt]);
}

/** A signal came in: the oldest wait of that name goes on with it; without one the signal is kept. */
export function signalled(draft: Draft, name: string, value: Boxed): void {
  let wait: Waiting | undefined;
  draft.waits.forEach((waiting) => {
    if (waiting.signal === name && (wait === undefined || waiting.since < wait.since)) wait = waiting;
  });
  if (wait === undefined) draft.signals = { ...draft.signals, [name]: [...(draft.signals[name] ?? []), value] };
  else answered(draft, wait.token.id, value);
}

/** Whoever waits under this id goes on: a wait step with the value, a task that asked from its top. */
export function answered(draft: Draft, id: number, value: Boxed): void {
  const wait = draft.waits.get(id);
  if (wait === undefined) return;
  draft.waits.delete(id);
  draft.forgetTime(id);
  const { token } = wait;
  if (revive(draft, token, [wait.signal, value])) return;
  unpark(draft, token);
  if (wait.asked === true) enqueue(draft, { ...token, answers: { ...token.answers, [wait.signal]: value } });
  else completeStep(draft, token, draft.node(token.node), value[0]);
}

/** Due times have passed. Ids that are not parked any more are stale and change nothing. */
export function due(draft: Draft, ids: readonly number[]): void {
  for (const id of ids) {
    const delayed = draft.delayed.get(id);
    if (delayed === undefined || draft.verdict !== null) continue;
    const { token, dueAt, why } = delayed;
    if (dueAt > draft.at) {
      // Said of an earlier time that was parked under this id, or by a clock that has gone back since.
      draft.arm.push([id, dueAt]);
      continue;
    }
    draft.delayed.delete(id);
    if (revive(draft, token)) continue;
    unpark(draft, token);
    if (why === 'retry') enqueue(draft, token);
    else if (why === 'sleep') completeStep(draft, token, draft.node(token.node), token.input);
    else waitTimedOut(draft, token);
  }
}

function waitTimedOut(draft: Draft, token: Token): void {
  const node = draft.node(token.node);
  draft.waits.delete(token.id);
  const signal = node.kind === 'wait' ? node.signal : node.id;
  const message = `workflow "${draft.before.workflow}" waited too long for the signal "${signal}"`;
  failStep(draft, token, node, taskProblem(draft, token, 'task/wait-timeout', message, 'send the signal in time, raise the timeout, or give the wait a .recover()'));
}

function unpark(draft: Draft, token: Token): void {
  const scope = draft.scope(token.scope);
  if (scope === undefined) return;
  scope.parked -= 1;
  draft.agenda.add(scope);
}
