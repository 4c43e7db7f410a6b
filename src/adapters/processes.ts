/** Whether a process of this host is still the one that it was. */
import { readFileSync } from 'node:fs';

/** Linux counts in ticks of this length wherever Node runs. */
const TICK_MS = 10;
/** Clocks are set, and start times are rounded. */
const SLACK_MS = 5000;

/**
 * True while the process with this id lives. Ids are given again, in containers often: where the system tells (Linux),
 * one that has started after `since` (milliseconds since the epoch) is another process, and a dead one that nobody has
 * waited for is dead.
 */
export function isAlive(pid: number, since: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // EPERM: it lives, and belongs to someone else.
    if ((thrown as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const told = facts(pid);
  return told === undefined || (!told.dead && told.startedAt <= since + SLACK_MS);
}

function facts(pid: number): { readonly dead: boolean; readonly startedAt: number } | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program stands in brackets and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const booted = /^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1];
    const ticks = Number(fields[19]);
    if (booted === undefined || !Number.isFinite(ticks)) return undefined;
    return { dead: fields[0] === 'Z' || fields[0] === 'X', startedAt: Number(booted) * 1000 + ticks * TICK_MS };
  } catch {
    return undefined;
  }
}
