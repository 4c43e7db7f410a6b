/**
 * Entries of the registry of workers: `<worker>|<slots>|<queue>`, and once the worker has gone `|<at>` behind it.
 *
 * A worker that has gone stays listed for a while: a blocking move that it had sent may be executed later than anybody
 * expects, and what lands in a slot of a worker that nobody lists would be lost.
 */

/** How long the slots of a worker that has gone are still looked at. */
export const GONE_MS = 600_000;

/** A worker may have so many slots; a registry that says more is not believed. */
export const MAX_SLOTS = 10_000;

export interface Entry {
  readonly text: string;
  readonly worker: string;
  readonly slots: number;
  readonly queue: string;
  /** Milliseconds since the epoch; absent while the worker counts as live. */
  readonly goneAt?: number | undefined;
}

export function entryText(worker: string, slots: number, queue: string, goneAt?: number): string {
  return `${worker}|${slots}|${queue}${goneAt === undefined ? '' : `|${goneAt}`}`;
}

/** Nothing for a text that is no entry. */
export function parseEntry(text: string): Entry | undefined {
  const parts = /^([^|]+)\|(\d{1,5})\|([^|]+)(?:\|(\d{1,15}))?$/.exec(text);
  if (parts === null) return undefined;
  const [, worker, slots, queue, goneAt] = parts as unknown as [string, string, string, string, string | undefined];
  if (Number(slots) > MAX_SLOTS) return undefined;
  return { text, worker, slots: Number(slots), queue, ...(goneAt === undefined ? {} : { goneAt: Number(goneAt) }) };
}

/** The entries of a registry; what is none is left out. */
export function parseEntries(texts: readonly string[]): readonly Entry[] {
  return texts.flatMap((text) => parseEntry(text) ?? []);
}
