/** The context of a run in a few numbers: for viewers of statecharts. What is in it is told by other messages. */
import type { ExecutionContext } from '../../machines/index.ts';
import type { Json } from '../core/json-type.ts';

export function contextSummary(context: ExecutionContext): Json {
  const { workflow, run, revision, steps, paused, root, branches, groups, inFlight, openMembers, delayed, waits, signals, channel, verdict } = context;
  return {
    workflow, run: run?.id ?? null, revision, steps, paused,
    queue: root.queue.size, inFlight: inFlight.size, openMembers, groups: groups.size, branches: branches.size, delayed: delayed.size, waits: waits.size,
    signals: Object.keys(signals).length, channel: Object.keys(channel).length, verdict: verdict?.kind ?? null,
  };
}
