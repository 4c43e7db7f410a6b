/**
 * The inspector that the variable TASKCHART_INSPECT asks for: every run of the process is inspected, without a line of code.
 *
 * Owns: loading the inspector when the first run starts, and what happens until it is there. Does not own: the inspector itself. It
 * is not imported before, as most processes are not inspected.
 *
 * Invariant: it never throws. What is wrong with the address is said once on stderr, and the run goes on.
 */
import type { InspectionEvent } from 'xstate';
import type { ConnectedInspector } from './connection.ts';
import { relayFromEnvironment } from './relay-address.ts';

/** What comes while the inspector is loaded; of more than that only where the actors stand. */
const EVENTS_MOST = 20_000;
const SETTLE_MS = 1500;

/** Stands for an inspector that is being loaded: keeps what it is to be told. Snapshots are immutable, so nothing is copied. */
class Awaited {
  #events: InspectionEvent[] = [];
  readonly #snapshots = new Map<object, InspectionEvent>();
  #inspector: ConnectedInspector | undefined;
  #failed = false;
  readonly loaded: Promise<void>;

  constructor() {
    this.loaded = this.#load();
  }

  readonly next = (event: InspectionEvent): void => {
    if (this.#inspector !== undefined) this.#inspector.next(event);
    else if (this.#failed || event.type === '@xstate.microstep' || event.type === '@xstate.action') return;
    else if (this.#events.length < EVENTS_MOST) this.#events.push(event);
    else if (event.type === '@xstate.snapshot') this.#snapshots.set(event.actorRef, event);
  };

  async settle(): Promise<void> {
    await this.loaded;
    await this.#inspector?.settle();
  }

  async #load(): Promise<void> {
    try {
      const { connectInspector } = await import('./connection.ts');
      const inspector = connectInspector();
      for (const event of this.#events) inspector.next(event);
      for (const event of this.#snapshots.values()) inspector.next(event);
      this.#inspector = inspector;
    } catch (thrown) {
      this.#failed = true;
      console.error('taskchart: the runs of this process cannot be inspected:', thrown instanceof Error ? thrown.message : thrown);
    }
    this.#events = [];
    this.#snapshots.clear();
  }
}

/** One for the process: the command line and the module that it loads may hold two copies of this package. */
const mark = Symbol.for('taskchart.inspection');
const shared = globalThis as { [mark]?: Pick<Awaited, 'next' | 'settle'> };

/** The observer for a run that is about to start, where the environment asks for one. */
export function inspectFromEnvironment(): ((event: InspectionEvent) => void) | undefined {
  if (shared[mark] === undefined && relayFromEnvironment() === undefined) return undefined;
  return (shared[mark] ??= new Awaited()).next;
}

/** Before the process is ended: what is new is sent, if that takes no long time. */
export async function settleInspection(): Promise<void> {
  const awaited = shared[mark];
  if (awaited === undefined) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, SETTLE_MS)));
  await Promise.race([awaited.settle(), enough]);
  clearTimeout(timer);
}
