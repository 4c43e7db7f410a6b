/**
 * Dispatches the units of one run to workers, and collects their results.
 *
 * Owns: the coordinator machine's actor, and the way between it and the run. Does not own: the protocol (the machine and its
 * actors), turning members into units (groups.ts).
 *
 * Invariants
 * 1. It opens no connection before something is planned, or is to be cleared.
 * 2. After it has failed, was fenced or closed it does nothing more, and its connections are given up.
 * 3. It shows as a child of the run's actor, and tells that nothing: the run hears by the host.
 */
import { createActor, type ActorRefFrom, type AnyActorRef } from 'xstate';
import type { Graph } from '../../core/graph.ts';
import { decodeHint, parseUnitId } from '../../core/messages.ts';
import { Vec, createCoordinatorMachine, unitsWaiting, type CoordinatorEvent, type CoordinatorMachine, type CoordinatorSettings, type UnitRef } from '../../../machines/index.ts';
import type { Environment, Logger, Transport } from '../../ports.ts';
import { coordinatorActors, equip } from './coordinator-actors.ts';
import type { DispatchHost, Dispatcher, PlannedGroup, PlannedUnit, RemoteWait } from './dispatch.ts';

export interface CoordinatorOptions {
  /** The key of the run: its id, and what tells it from others of that id; without a journal also its lives from each other. */
  readonly run: string;
  /** With a journal nothing leaves before it is durable; without one everything is durable at once. */
  readonly journalled: boolean;
  /** The run has just begun, so nothing in the lists can be its own. */
  readonly fresh?: boolean | undefined;
  /** The revision that is durable already. */
  readonly durable?: number | undefined;
  /** Stored once, for workers that do not have the workflow. */
  readonly graph?: Graph | undefined;
  /** Its own: closed with it. */
  readonly transport: Transport;
  readonly environment: Pick<Environment, 'clock' | 'random' | 'newId'>;
  readonly host: DispatchHost;
  /** Queues that an earlier life of the run may have pushed to, besides those of the groups that are planned. */
  readonly queues?: readonly string[] | undefined;
  readonly settings?: Partial<CoordinatorSettings> | undefined;
  readonly logger?: Logger | undefined;
  /** The actor that it belongs to, in whose system it is seen. */
  readonly parent?: AnyActorRef | undefined;
}

let machine: CoordinatorMachine | undefined;
const machineOfAll = (): CoordinatorMachine => (machine ??= createCoordinatorMachine().provide({ actors: coordinatorActors() }));

interface Plan {
  readonly revision: number;
  readonly groups: Map<number, PlannedGroup>;
  readonly units: PlannedUnit[];
}

export class RedisCoordinator implements Dispatcher {
  readonly #options: CoordinatorOptions;
  readonly #actor: ActorRefFrom<CoordinatorMachine>;
  readonly #over: Promise<void>;
  #isOver = false;
  #plan: Plan | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(options: CoordinatorOptions) {
    const { run, journalled, fresh, durable, graph, transport, environment, host, queues, settings, logger, parent } = options;
    const { clock, random } = environment;
    this.#options = options;
    this.#actor = createActor(machineOfAll(), {
      id: 'coordinator',
      input: { run, nonce: nonceOf(environment), journalled, confirms: journalled && host.confirm !== undefined, fresh, durable, graph: graph !== undefined, queues, settings },
      ...(parent !== undefined && { parent: silent(parent) }),
    });
    equip(this.#actor, { lists: transport.lists, clock, random, host, graph, logger });
    this.#over = new Promise((resolve) => {
      const leave = (): void => resolve(this.#leave());
      this.#actor.subscribe({
        complete: leave,
        error: (error) => {
          leave();
          host.failed(error as Error);
        },
      });
    });
    this.#actor.start();
  }

  /** The actor of the machine: for tools that look at it. */
  get actor(): AnyActorRef {
    return this.#actor;
  }

  /** What is planned in one turn leaves together. */
  plan(revision: number, groups: readonly PlannedGroup[], units: readonly PlannedUnit[]): void {
    if (this.#isOver) return;
    this.#unsubscribe ??= this.#options.transport.signals.subscribe((text) => this.#heard(text));
    if (this.#plan?.revision !== revision) this.#flush();
    if (this.#plan === undefined) {
      this.#plan = { revision, groups: new Map(), units: [] };
      queueMicrotask(() => this.#flush());
    }
    for (const group of groups) this.#plan.groups.set(group.id, group);
    for (const unit of units) this.#plan.units.push(unit);
  }

  durable(revision: number): void {
    this.#send({ type: 'DURABLE', revision });
  }

  accepted(delivery: number, revision: number): void {
    this.#send({ type: 'ACCEPTED', delivery, revision });
  }

  abort(groups: readonly number[], units: readonly { readonly group: number; readonly index: number; readonly generation: number }[], revision = 0): void {
    this.#send({ type: 'ABORTED', revision, groups, units: units.map(({ group, index, generation }): UnitRef => [group, index, generation]) });
  }

  ended(groups: readonly number[], revision = 0): void {
    this.#send({ type: 'ENDED', revision, groups });
  }

  waitsFor(): readonly RemoteWait[] {
    this.#flush();
    return this.#isOver ? [] : unitsWaiting(this.#actor.getSnapshot().context);
  }

  close(how: 'ended' | 'left'): Promise<void> {
    this.#send({ type: 'CLOSE', how });
    return this.#over;
  }

  #flush(): void {
    const plan = this.#plan;
    if (plan === undefined) return;
    this.#plan = undefined;
    this.#send({ type: 'PLANNED', at: this.#options.environment.clock.now(), revision: plan.revision, groups: [...plan.groups.values()], units: plan.units });
  }

  /** Everything reaches the machine in the order in which it was said. */
  #send(event: CoordinatorEvent): void {
    this.#flush();
    if (!this.#isOver) this.#actor.send(event);
  }

  async #leave(): Promise<void> {
    this.#isOver = true;
    this.#plan = undefined;
    this.#unsubscribe?.();
    await this.#options.transport.lists.close().catch(() => undefined);
  }

  /** A hint is passed on if it is about a unit that is open. Anyone may publish. */
  #heard(text: string): void {
    const hint = decodeHint(text);
    if (this.#isOver || hint?.kind !== 'note' || hint.run !== this.#options.run) return;
    const unit = parseUnitId(hint.id);
    if (unit === undefined) return;
    const { groups } = this.#actor.getSnapshot().context;
    const open = Vec.get(Vec.get(groups, unit.group)?.units ?? Vec.emptyVec<never>(), unit.index) as { readonly generation: number; readonly phase: string } | undefined;
    if (open?.generation === unit.generation && open.phase === 'pushed') this.#options.host.note({ group: unit.group, index: hint.index }, hint.note);
  }
}

/** Letters and digits; differs from that of every other coordinator. */
function nonceOf(environment: CoordinatorOptions['environment']): string {
  return `${environment.newId().replace(/[^A-Za-z0-9]/g, '')}${Math.floor(environment.random.next() * 2 ** 32).toString(36)}`;
}

/** Stands for the parent: whatever a child says at its end, it is said to nobody. */
function silent(parent: AnyActorRef): AnyActorRef {
  return Object.create(parent, { _send: { value: () => undefined } }) as AnyActorRef;
}
