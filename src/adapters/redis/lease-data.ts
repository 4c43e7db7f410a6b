/** What the thread that keeps a lease is given. */
import type { RedisTarget } from '../../core/redis-config.ts';
import type { WorkerIdentity } from '../../ports.ts';

export interface LeaseThreadData {
  readonly target: RedisTarget;
  readonly worker: WorkerIdentity;
  readonly leaseMs: number;
  readonly blockedMs: number;
  /** One 64-bit number: when the worker was last heard of, in milliseconds since the epoch; 0 before the first time. */
  readonly beats: SharedArrayBuffer;
}
