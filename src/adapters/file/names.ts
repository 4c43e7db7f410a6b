/**
 * The names of a run's files.
 *
 * Owns: which names there are and what they say. Does not own: what is in the files.
 *
 *   <run>/3.epoch           the third writer that opened the run
 *   <run>/3-2.journal       the second journal of that writer
 *   <run>/3-2-57.snapshot   the snapshot of revision 57 that it saved when it began that journal
 *   <run>/….tmp             not finished
 *   <run>/posts/12.post     the twelfth message
 *
 * Invariants
 * 1. A run id that passes `checkRunId` names an entry of the store's folder: no separator, no dot in front.
 * 2. Files with other names are none of ours and are never opened.
 */
import { CheckpointError } from '../../core/errors.ts';
import { preview } from '../../core/json.ts';

export interface JournalKey {
  readonly epoch: number;
  readonly number: number;
}

export interface SnapshotKey extends JournalKey {
  readonly revision: number;
}

export type RunFile =
  | { readonly kind: 'epoch'; readonly epoch: number }
  | ({ readonly kind: 'journal' } & JournalKey)
  | ({ readonly kind: 'snapshot' } & SnapshotKey)
  | { readonly kind: 'temporary'; readonly epoch: number };

export const POSTS = 'posts';
/** Where removed runs wait for their deletion. No run id begins with a dot. */
export const REMOVED = '.removed';

/** The file of a writer's claim. */
export const epochName = (epoch: number): string => `${epoch}.epoch`;
export const journalName = ({ epoch, number }: JournalKey): string => `${epoch}-${number}.journal`;
export const snapshotName = ({ epoch, number, revision }: SnapshotKey): string => `${epoch}-${number}-${revision}.snapshot`;
export const postName = (number: number): string => `${number}.post`;
export const temporaryName = (name: string): string => `${name}.tmp`;

const pattern = /^([1-9]\d{0,14})(?:-([1-9]\d{0,14})(?:-(0|[1-9]\d{0,15}))?)?\.(epoch|journal|snapshot)(\.tmp)?$/;

/** What a name says; nothing for names that are none of ours. */
export function parseName(name: string): RunFile | undefined {
  const [, first, second, third, kind, temporary] = pattern.exec(name) ?? [];
  if (first === undefined) return undefined;
  const epoch = Number(first);
  const number = Number(second);
  const revision = Number(third);
  if (temporary !== undefined) return { kind: 'temporary', epoch };
  if (kind === 'epoch' && second === undefined) return { kind, epoch };
  if (kind === 'journal' && second !== undefined && third === undefined) return { kind, epoch, number };
  if (kind === 'snapshot' && third !== undefined && Number.isSafeInteger(revision)) return { kind, epoch, number, revision };
  return undefined;
}

/** The snapshot that a file name means; nothing for other names. */
export function parseSnapshotName(name: string): SnapshotKey | undefined {
  const file = parseName(name);
  return file?.kind === 'snapshot' ? file : undefined;
}

/** In the order in which journals continue each other. */
export function byAge(a: JournalKey, b: JournalKey): number {
  return a.epoch - b.epoch || a.number - b.number;
}

const runIds = /^[\p{L}\p{N}_-][\p{L}\p{N}_.@-]*$/u;

export function isRunId(runId: unknown): runId is string {
  return typeof runId === 'string' && runId.length <= 200 && runIds.test(runId);
}

/** Refuses an id that would lead out of the store's folder or cannot be a file's name. */
export function checkRunId(runId: string): void {
  if (isRunId(runId)) return;
  throw new CheckpointError('checkpoint/bad-run-id', `The run id ${preview(runId, 60)} cannot be the name of a folder.`, {
    hint: 'A run id has 1 to 200 characters: letters, digits and _ . @ -, with no dot in front.',
    details: { runId: preview(runId, 60) },
  });
}
