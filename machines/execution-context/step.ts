/** One event → one new context → at most one command for each I/O actor. Pure. */
import type { SerializedError } from '../../src/core/errors.ts';
import { toJson } from '../../src/core/json.ts';
import { admit } from './admit.ts';
import { boxed } from './cells.ts';
import type { ExecutionContext, RunFacts } from './context.ts';
import { Draft } from './draft.ts';
import type { ArmCommand, ExecuteCommand, ExecutionEvent } from './events.ts';
import { cancelled } from './failures.ts';
import { rearm, restart } from './inflight.ts';
import type { Plan } from './plan.ts';
import { conclude } from './scopes.ts';
import { settle } from './settle.ts';
import { due, signalled } from './waits.ts';

export interface Step {
  readonly context: ExecutionContext;
  readonly execute: ExecuteCommand | undefined;
  readonly arm: ArmCommand | undefined;
  /** Nothing is being executed; the run goes on when a time or a signal comes. */
  readonly waiting: boolean;
}

/** Applies one event. Events after the verdict change nothing. */
export function step(plan: Plan, context: ExecutionContext, event: ExecutionEvent): Step {
  const draft = new Draft(plan, context, 'at' in event ? event.at : undefined);
  const ready = event.type === 'READY' && event.from === 'executor';
  if (draft.verdict === null) {
    apply(draft, event);
    if (draft.run !== null && draft.verdict === null) admit(draft);
  }
  const fragments = ready ? { fragments: draft.fragments } : {};
  const command = draft.executeCommand(ready && draft.verdict === null);
  return {
    context: draft.done(),
    execute: command && { ...command, ...fragments },
    arm: draft.armCommand(),
    waiting: draft.verdict === null && draft.run !== null && !draft.busy,
  };
}

function apply(draft: Draft, event: ExecutionEvent): void {
  switch (event.type) {
    case 'READY':
      if (event.from === 'timers') rearm(draft);
      else ready(draft, event.run);
      break;
    case 'SETTLED':
      settle(draft, event.reports);
      break;
    case 'DUE':
      due(draft, event.ids);
      break;
    case 'SIGNAL':
      if (isOldPost(draft, event.post)) return;
      signalled(draft, event.name, boxed(toJson(event.value, `signal "${event.name}"`)));
      break;
    case 'REFUSED':
      isOldPost(draft, event.post);
      break;
    case 'PAUSE':
      draft.paused = true;
      break;
    case 'RESUME':
      draft.paused = false;
      reconsider(draft);
      break;
    case 'CANCEL':
      if (isOldPost(draft, event.post)) return;
      conclude(draft, { kind: 'cancelled', error: cancelled(draft, event.reason) });
      break;
    case 'CONCLUDED':
    case 'PARKED':
    case 'UNPARKED':
      break;
  }
}

/** A store's mailbox may show a message again after a crash; it is taken in once. */
function isOldPost(draft: Draft, post: number | undefined): boolean {
  if (post === undefined) return false;
  if (post <= draft.posted) return true;
  draft.posted = post;
  return false;
}

function ready(draft: Draft, facts: RunFacts): void {
  if (draft.run === null) {
    draft.run = { ...facts, ...draft.before.limits };
  } else if (draft.run.graphHash !== facts.graphHash) {
    conclude(draft, { kind: 'failed', error: graphMismatch(draft, facts.graphHash) });
    return;
  } else {
    restart(draft);
  }
  reconsider(draft);
}

/** Puts everything that could start something on the agenda. */
function reconsider(draft: Draft): void {
  const root = draft.scope(0);
  if (root !== undefined) draft.agenda.add(root);
  for (const scope of draft.openScopes()) draft.agenda.add(scope);
  for (const group of draft.openGroups()) draft.agenda.add(group);
}

function graphMismatch(draft: Draft, hash: string): SerializedError {
  return {
    name: 'GraphMismatchError',
    code: 'checkpoint/graph-mismatch',
    message: `run "${draft.run?.id}" of workflow "${draft.before.workflow}" was stored by another graph (hash ${draft.run?.graphHash}) than this code's (hash ${hash})`,
    hint: 'restore it with the code that stored it; workflow.resume(checkpoint) says what was added, removed and changed',
    details: { runId: draft.run?.id ?? null, stored: draft.run?.graphHash ?? null, current: hash },
  };
}
