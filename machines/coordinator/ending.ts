/** Leaving: what is out there is cancelled, then everything of the run is removed. */
import type { SerializedError } from '../../src/core/errors.ts';
import { items } from '../execution-context/queue.ts';
import type { Draft } from './draft.ts';

export function startClosing(draft: Draft): void {
  const { now } = draft;
  if (now.closing) return;
  now.closing = true;
  draft.timers = { ...draft.timers, type: 'ARM', closeMs: now.settings.closeMs };
}

/** The next command of the end, once the lists have answered the one before. */
export function end(draft: Draft): void {
  const { now } = draft;
  const { run, cancelledAll, settings } = now;
  if (now.command !== null) return;
  const queues = draft.queues.map(({ name }) => name);
  // What is to be cancelled by itself is with workers that have not heard of it.
  if (!cancelledAll && (now.pushed > 0 || now.cancels.size > 0 || !now.audited)) {
    now.cancelledAll = true;
    return draft.command({ type: 'CANCEL', run, fence: draft.fence, entries: ['*'], queues, forMs: settings.cancelMs });
  }
  const open = draft.allGroups().flatMap(({ plan: { id, beside } }) => (beside === undefined || draft.storedAt(id) === undefined ? [] : beside));
  const shared = [...open, ...[...items(now.unneeded)].map(({ name }) => name)];
  // Where nothing was ever uncertain, nothing is left in the queues by now: to look through them takes the longer the more others have there.
  draft.command({ type: 'RELEASE', run, fence: draft.fence, queues: now.resets === 0 ? [] : queues, shared: now.graph.wanted ? [...shared, 'graph'] : shared });
}

export function answered({ now }: Draft): void {
  now.command = null;
}

export function tellFenced(draft: Draft): void {
  draft.host = { type: 'FAIL', error: fenced(draft.now.run) };
}

function fenced(run: string): SerializedError {
  return {
    name: 'TaskchartError',
    code: 'run/fenced',
    message: `another coordinator has taken run "${run}" over, so this one dispatches nothing any more`,
    hint: 'the run goes on in the other process; where that was not meant, look for two processes that resume the same run',
  };
}

/** Units and results have the same ids in both: nothing that is there may be taken for this run's. The other one takes the token back. */
export function noteForeign({ now }: Draft): void {
  now.error = {
    name: 'TaskchartError',
    code: 'run/fenced',
    message: `the lists hold another run "${now.run}" already, so this new one of the same id cannot use them`,
    hint: 'give it another runId or namespace; to go on with the other one, resume it from its own store',
  };
}

export function tellFailed(draft: Draft): void {
  draft.host = { type: 'FAIL', error: draft.now.error ?? { name: 'TransportError', code: 'transport/failed', message: 'the lists cannot be used' } };
}
