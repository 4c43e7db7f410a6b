/** Who owns a stored run, and whether that process still lives. */
import { isAlive } from '../adapters/processes.ts';
import { systemEnvironment } from '../adapters/system.ts';
import type { RunOwner } from '../ports.ts';
import { duration } from './text.ts';

/** `elsewhere`: on another host, which cannot be asked from here. */
export type Ownership = { readonly kind: 'none' } | { readonly kind: 'alive' | 'gone' | 'elsewhere'; readonly owner: RunOwner };

export function ownershipOf(owner: RunOwner | undefined): Ownership {
  if (owner === undefined) return { kind: 'none' };
  const { host, pid } = systemEnvironment.owner;
  if (owner.host !== host) return { kind: 'elsewhere', owner };
  return { kind: owner.pid !== pid && isAlive(owner.pid, owner.since) ? 'alive' : 'gone', owner };
}

/** This process, as the owner of what it opens. */
export function thisOwner(): RunOwner {
  return { ...systemEnvironment.owner, since: Date.now() };
}

/** For a table: `123`, `123 (gone)`, `123 on other-host`, `-`. */
export function ownerWord(ownership: Ownership): string {
  if (ownership.kind === 'none') return '-';
  const { host, pid } = ownership.owner;
  return ownership.kind === 'alive' ? String(pid) : ownership.kind === 'gone' ? `${pid} (gone)` : `${pid} on ${host}`;
}

/** For a sentence: `process 123 on this host, which is alive`. */
export function ownerText(ownership: Ownership, now: number): string {
  if (ownership.kind === 'none') return 'nobody';
  const { host, pid, since } = ownership.owner;
  const took = `it took the run ${duration(now - since)} ago`;
  if (ownership.kind === 'alive') return `process ${pid} on this host, which is alive; ${took}`;
  if (ownership.kind === 'gone') return `process ${pid} on this host, which is gone; ${took}`;
  return `process ${pid} on the host ${host}, which cannot be asked from here; ${took}`;
}
