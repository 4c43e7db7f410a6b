/**
 * The group backend `threads`, as far as it is needed before the first task runs on it: nothing of Node is loaded here.
 *
 * In a thread of ours, a run that a task starts has its groups executed by that thread itself: threads do not start
 * threads. A run that the module starts by itself is refused, because every thread would repeat it.
 */
import { DefinitionError } from '../../core/errors.ts';
import type { BackendFactory } from '../../ports.ts';
import { threadMark } from './mark.ts';
import type * as PoolModule from './pool.ts';

let loading: Promise<typeof PoolModule> | undefined;

export const threads: BackendFactory = (settings) => {
  const mark = threadMark();
  if (mark?.inTask() === true) return undefined;
  return {
    async run(call) {
      if (mark !== undefined) throw startedByModule(call.workflow);
      const { poolFor } = await (loading ??= import('./pool.ts'));
      const pool = await poolFor(settings as PoolModule.ThreadSettings);
      return pool.run(call);
    },
  };
};

function startedByModule(workflow: string): DefinitionError {
  return new DefinitionError('definition/backend-unavailable', `A worker thread loaded the module of workflow "${workflow}", and the module started a run by itself, so every thread would repeat it.`, {
    hint: "Start runs in another module than the one that defines the workflow, or only if (isMainThread), from 'node:worker_threads'.",
    details: { workflow },
  });
}
