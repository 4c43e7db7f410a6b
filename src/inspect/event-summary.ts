/** Events in a few words: those of our own machines by what matters in them, others by their beginnings. */
import type { ArmCommand, ExecuteCommand, ExecutionEvent, Report } from '../../machines/index.ts';
import type { Json } from '../core/json-type.ts';
import { cut } from '../core/preview.ts';
import type { EventSummary } from './messages.ts';
import { REDACTED, type Redactor } from './redact.ts';
import { summarise } from './values.ts';

const NAMED = 5;

type OwnEvent = ExecutionEvent | ExecuteCommand | ArmCommand;

/** `own`: the event goes to or comes from an ExecutionContext. */
export function eventSummary(event: { readonly type: string }, own: boolean, redactor: Redactor): EventSummary {
  const ours = own ? ownSummary(event as OwnEvent, redactor) : undefined;
  if (ours !== undefined) return ours;
  const small = summarise(event, redactor, ['event'], { left: 100 });
  return { ...(typeof small === 'object' && small !== null && !Array.isArray(small) ? (small as Record<string, Json>) : {}), type: cut(String(event.type), 200) };
}

function ownSummary(event: OwnEvent | { readonly type: 'xstate.init' | 'xstate.stop' }, redactor: Redactor): EventSummary | undefined {
  switch (event.type) {
    case 'xstate.init':
    case 'xstate.stop':
    case 'PAUSE':
    case 'RESUME':
    case 'CONCLUDED':
    case 'PARKED':
    case 'UNPARKED':
      return { type: event.type };
    case 'READY':
      return { type: event.type, from: event.from };
    case 'SETTLED':
      return settled(event.reports);
    case 'DUE':
      return { type: event.type, tokens: event.ids.length };
    case 'SIGNAL':
      return { type: event.type, name: event.name, ...(event.value === undefined ? {} : { value: summarise(event.value, redactor, [event.name, 'signal'], { left: 50 }) }) };
    case 'REFUSED':
      return { type: event.type, post: event.post };
    case 'CANCEL':
      return { type: event.type, ...(event.reason === undefined ? {} : { reason: reasonOf(event.reason, redactor) }) };
    case 'EXECUTE':
      return execute(event);
    case 'ARM':
      return { type: event.type, arm: event.arm.length, disarm: event.disarm.length };
    default:
      return undefined;
  }
}

/** The run's error quotes it. */
function reasonOf(reason: string, redactor: Redactor): string {
  redactor.learnQuoted(reason, ['run', 'cancel']);
  return redactor.conceals(reason, ['run', 'cancel']) ? REDACTED : cut(reason, 200);
}

function settled(reports: readonly Report[]): EventSummary {
  let members = 0;
  const ends: Record<string, number> = {};
  for (const report of reports) {
    if ('cells' in report) members += report.cells.length;
    else ends[report.end?.kind ?? 'moved'] = (ends[report.end?.kind ?? 'moved'] ?? 0) + 1;
  }
  return { type: 'SETTLED', ...(members > 0 ? { members } : {}), ...ends };
}

function execute({ start, ranges, abort, abortGroups, hold, paused }: ExecuteCommand): EventSummary {
  const nodes = start.slice(0, NAMED).map(({ node, attempt }) => (attempt > 1 ? `${node} (attempt ${attempt})` : node));
  const counts = { abort: abort.length + abortGroups.length, hold: hold.length };
  return {
    type: 'EXECUTE',
    ...(start.length > 0 ? { start: start.length > NAMED ? [...nodes, `and ${start.length - NAMED} more`] : nodes } : {}),
    ...(ranges.length > 0 ? { ranges: ranges.slice(0, NAMED).map(({ node, from, to, size }) => `${node} ${from} to ${to} of ${size}`) } : {}),
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    ...(paused ? { paused } : {}),
  };
}
