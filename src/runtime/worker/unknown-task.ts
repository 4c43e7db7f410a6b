/** Units whose tasks a worker does not know: others may know them, so they go back, until there is nobody left to ask. */
import { TaskError } from '../../core/errors.ts';
import type { UnitBody } from '../../core/messages.ts';
import { cut } from '../../core/preview.ts';
import { knownIds } from '../../define/registry.ts';
import type { WorkerNote } from '../../ports.ts';
import type { UnknownTask } from './run-code.ts';

export interface Refusing {
  readonly worker: string;
  readonly queue: string;
  readonly now: number;
  readonly unknownTaskMs: number;
  readonly workers: () => Promise<readonly WorkerNote[]>;
}

/** The unit's body as it goes back, or nothing when every live worker of the queue has seen it, and for long enough. */
export async function refused(body: UnitBody, { worker, queue, now, unknownTaskMs, workers }: Refusing): Promise<UnitBody | undefined> {
  const refusedBy = [...new Set([...(body.refusedBy ?? []), worker])];
  const { refusedAt = now } = body;
  if (now - refusedAt >= unknownTaskMs) {
    const live = (await workers()).filter((other) => other.alive && other.queue === queue);
    if (live.every((other) => refusedBy.includes(other.worker))) return undefined;
  }
  return { ...body, refusedBy, refusedAt };
}

export function unknownTaskError({ task, why }: UnknownTask, workflow: string, { worker, queue }: Pick<Refusing, 'worker' | 'queue'>): TaskError {
  return new TaskError('task/unknown-task', `no worker of the queue "${queue}" knows task "${task}" of workflow "${workflow}": worker "${worker}" knows ${served()}; ${why}`, {
    hint: 'let a worker of this queue load the module that defines the task: taskchart worker ./tasks.js',
    details: { task, workflow, worker, queue, workflows: some(knownIds('workflows')), tasks: some(knownIds('tasks')) },
  });
}

function served(): string {
  const listed = (ids: readonly string[]): string => (ids.length === 0 ? 'none' : cut(ids.join(', '), 200));
  return `the workflows ${listed(knownIds('workflows'))} and the tasks ${listed(knownIds('tasks'))}`;
}

function some(ids: readonly string[]): string[] {
  return ids.slice(0, 50);
}
