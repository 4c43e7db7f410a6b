/**
 * A file to which every package task appends what it does, so that nobody has to take the library's word for it.
 *
 * Owns: the lines. Without `openWitness` nothing is written. Each line is one write that the system has before the task
 * goes on, so it is there even when the process is killed a moment later.
 */
import { appendFileSync, readFileSync } from 'node:fs';

export interface Witnessed {
  /** `ended` without having `failed` means: the work was done. */
  readonly what: 'began' | 'ended' | 'failed';
  readonly task: string;
  readonly path: string;
  /** The idempotency key that the task was given. */
  readonly key: string;
  readonly pid: number;
}

let file: string | undefined;

export function openWitness(path: string): void {
  file = path;
}

/** Does the work of a package task, and has it witnessed. */
export async function witnessed<T>(ctx: { taskId: string; idempotencyKey: string }, path: string, work: () => Promise<T>): Promise<T> {
  const note = (what: Witnessed['what']): void => {
    const line: Witnessed = { what, task: ctx.taskId, path, key: ctx.idempotencyKey, pid: process.pid };
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`);
  };
  note('began');
  try {
    const result = await work();
    note('ended');
    return result;
  } catch (error) {
    note('failed');
    throw error;
  }
}

export function readWitness(path: string): Witnessed[] {
  return readFileSync(path, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as Witnessed);
}
