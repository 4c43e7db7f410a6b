/**
 * Ties a run to its remote groups: which run key they use, when what they do may leave the process, how they end.
 *
 * Invariants
 * 1. With a journal the run's id and the moment when it began are its key, in all its lives, and nothing leaves before the
 *    revision that planned it is durable: another run of the same id, whose store was lost or emptied, meets nothing of it.
 *    Without one a crash may bring back an older state that plans other work under the same ids, so each life has a key of
 *    its own.
 * 2. `leave` takes effect once.
 * 3. Each place has a run key of its own, by its number in the graph: two may turn out to be the same lists under two names
 *    (localhost, 127.0.0.1), where two coordinators of one run would take it from each other for ever.
 */
import type { AnyActorRef } from 'xstate';
import { Vec, type CoordinatorSettings, type ExecutionContext } from '../../../machines/index.ts';
import type { EventSink } from '../event-sink.ts';
import type { Site } from '../execution.ts';
import type { GroupExecutor } from '../group-executor.ts';
import type { Outbox } from '../outbox.ts';
import { RedisCoordinator } from './coordinator.ts';
import { RemoteGroups } from './groups.ts';

export interface Link {
  readonly site: Site;
  readonly groups: GroupExecutor;
  readonly outbox: Outbox;
  readonly recorder: EventSink | undefined;
  /** The run's actor, and the executor's, whose child a coordinator becomes. */
  readonly run: AnyActorRef | undefined;
  readonly executor: AnyActorRef;
  failed(error: Error): void;
}

/** The remote groups of a run, and the way to end them. */
export class RemoteLink {
  readonly #link: Link;
  readonly #settings: Partial<CoordinatorSettings> | undefined;
  readonly #restored: boolean;
  #groups: RemoteGroups | undefined;
  #stopListening: (() => void) | undefined;
  #left: Promise<void> | undefined;

  /** `settings`: of its coordinators, where they are not the standard ones. */
  constructor(link: Link, settings?: Partial<CoordinatorSettings>) {
    this.#link = link;
    this.#settings = settings;
    this.#restored = (contextOf(link.run)?.run ?? null) !== null;
  }

  get groups(): RemoteGroups {
    return (this.#groups ??= this.#open());
  }

  get opened(): RemoteGroups | undefined {
    return this.#groups;
  }

  /** Nothing where there is nothing to leave. */
  leave(how: 'ended' | 'left'): Promise<void> | undefined {
    // What an earlier process has left in the lists goes with the run: it may have been in places that this one never reached.
    if (how === 'ended' && this.#left === undefined && this.#hasEarlierLife) this.groups.reach();
    const groups = this.#groups;
    if (groups === undefined) return undefined;
    return (this.#left ??= groups.close(how).finally(() => this.#stopListening?.()));
  }

  /** An earlier process may have used the same run key. */
  get #hasEarlierLife(): boolean {
    return this.#restored && this.#link.recorder?.journalled === true;
  }

  #earlierQueues(place: string): readonly string[] {
    return this.#hasEarlierLife ? this.#link.groups.remotePlaces().flatMap(({ transport, queues }) => (transport.key === place ? queues : [])) : [];
  }

  /** Invariant 3. What the graph does not name shares the key of its first place. */
  #keyAt(place: string, runKey: string): string {
    const number = this.#link.groups.remotePlaces().findIndex(({ transport }) => transport.key === place);
    return number <= 0 ? runKey : `${runKey}~${number + 1}`;
  }

  #open(): RemoteGroups {
    const { site, groups, outbox, recorder, run, executor, failed } = this.#link;
    const journalled = recorder?.journalled === true;
    const facts = contextOf(run)?.run;
    const startedAt = facts?.startedAt ?? site.environment.clock.now();
    const runKey = `${site.runId}~${journalled ? startedAt.toString(36) : site.environment.newId()}`;
    const remote: RemoteGroups = new RemoteGroups({
      site, outbox, groups, failed,
      confirm: journalled ? recorder.confirm?.bind(recorder) : undefined,
      startedAt,
      graphHash: site.code.definition.graphHash,
      revision: () => contextOf(run)?.revision ?? 0,
      isOpen: (group) => Vec.get(contextOf(run)?.groups ?? Vec.emptyVec<never>(), group) !== undefined,
      coordinate: (transport, host) =>
        new RedisCoordinator({
          run: this.#keyAt(transport.key, runKey), journalled, fresh: journalled && !this.#restored, durable: recorder?.durable ?? 0, graph: site.code.definition.graph, transport, environment: site.environment, host,
          queues: this.#earlierQueues(transport.key), settings: this.#settings, parent: executor,
        }),
    });
    if (journalled) this.#stopListening = recorder.onDurable((revision) => remote.durable(revision));
    return remote;
  }
}

/** For `Environment.remote`. */
export const linkRemote = (link: Link): RemoteLink => new RemoteLink(link);

function contextOf(run: AnyActorRef | undefined): ExecutionContext | undefined {
  return (run?.getSnapshot() as { readonly context?: ExecutionContext } | undefined)?.context;
}
