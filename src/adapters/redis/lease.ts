/** The lease of a worker, kept from another thread. The thread is loaded and started when it is first asked for. */
import type { LeaseKeeper, Transport } from '../../ports.ts';
import { RedisSettings } from './settings.ts';

type KeepLease = NonNullable<Transport['keepLease']>;

/** Nothing for a client of the user's own, which no other thread can have. */
export function leaseKeeping(settings: RedisSettings): KeepLease | undefined {
  const target = RedisSettings.targetOf(settings);
  if (target.kind === 'client') return undefined;
  return (worker): LeaseKeeper => {
    let keeper: LeaseKeeper | undefined;
    let closed = false;
    const start = async (): Promise<void> => {
      const { startLeaseThread } = await import('./lease-keeper.ts');
      if (closed) return;
      keeper = startLeaseThread(target, worker);
      await keeper.ready;
    };
    return {
      // Where threads are not to be had, only a blocked event loop costs the worker its units.
      ready: start().catch(() => undefined),
      beat: () => keeper?.beat(),
      close: () => {
        closed = true;
        keeper?.close();
      },
    };
  };
}
