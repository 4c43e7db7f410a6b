/**
 * What the units of a group share, as a worker keeps it: the shared part, the code, the scene that tasks see.
 *
 * Owns: fetching shared parts, once for all who ask at the same time, and keeping as many as are in use. Does not own: the
 * lists, the code itself (run-code.ts).
 *
 * Invariants
 * 1. What is kept is bounded, by number and by length, and found by run and name: a part that changes has another name.
 * 2. A failure that may pass is tried again until it has passed or nobody asks any more.
 */
import { TaskError, isTaskchartError } from '../../core/errors.ts';
import type { NodeId } from '../../core/graph.ts';
import type { Json } from '../../core/json.ts';
import { decodeGraph, decodeShared, type SharedBody, type Unit } from '../../core/messages.ts';
import type { Clock, Random, TaskLists } from '../../ports.ts';
import type { WorkflowCode } from '../code.ts';
import type { Resolved, Scene } from '../invocation.ts';
import type { RunCode, RunCodes } from './run-code.ts';

/** All units of one group of one run. */
export class GroupPlace {
  readonly shared: SharedBody;
  readonly run: RunCode;
  /** The code of this run: what it meets on its way is not taken from another run. */
  readonly #code: WorkflowCode;
  readonly #scene: Scene;

  constructor(shared: SharedBody, run: RunCode) {
    this.shared = shared;
    this.run = run;
    this.#code = run.code.forRun();
    this.#scene = this.#sceneWith(shared.channel);
  }

  /** What the tasks of a unit see; `channel` where it is not that of the shared part any more. */
  scene(channel: Readonly<Record<string, Json>> | undefined): Scene {
    return channel === undefined ? this.#scene : this.#sceneWith(channel);
  }

  #sceneWith(channel: Readonly<Record<string, Json>>): Scene {
    const { runId, workflow } = this.shared;
    return { runId, workflow, channel, resolve: (step: object, from: NodeId): Resolved => this.#code.resolve(step, from) };
  }
}

export interface PlacesSetup {
  readonly lists: Pick<TaskLists, 'shared'>;
  readonly codes: RunCodes;
  readonly clock: Clock;
  readonly random: Random;
}

/** Somebody who waits for a place, and may give up. */
export interface Asker {
  readonly stopped: boolean;
}

const MOST_PLACES = 256;
const MOST_CHARS = 16_000_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;

export class Places {
  readonly #setup: PlacesSetup;
  /** Two generations: what was not asked for while the younger one filled up is forgotten. */
  #young = new Map<string, GroupPlace>();
  #old = new Map<string, GroupPlace>();
  #youngChars = 0;
  /** The last one that was found: most units come with others of their group. */
  #last: { readonly run: string; readonly group: string; readonly place: GroupPlace } | undefined;
  readonly #loading = new Map<string, Promise<GroupPlace>>();

  constructor(setup: PlacesSetup) {
    this.#setup = setup;
  }

  /** Where nothing has to be fetched. */
  known(unit: Unit): GroupPlace | undefined {
    const { shared, group } = unit.body;
    // It travels with its units where it is short, and is the newest then.
    if (shared !== undefined) {
      const run = this.#setup.codes.known(shared);
      return run && new GroupPlace(shared, run);
    }
    if (this.#last?.run === unit.run && this.#last.group === group) return this.#last.place;
    const key = `${unit.run}|${group}`;
    const place = this.#young.get(key) ?? this.#older(key);
    if (place !== undefined) this.#last = { run: unit.run, group, place };
    return place;
  }

  #older(key: string): GroupPlace | undefined {
    const old = this.#old.get(key);
    return old && this.#keep(key, old, 0);
  }

  /** Throws TaskchartError where there is nothing to be had, or where trying again is useless. */
  async fetch(unit: Unit, asker: Asker): Promise<GroupPlace> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.#load(unit);
      } catch (thrown) {
        if (asker.stopped || !mayPass(thrown)) throw thrown;
      }
      await this.#pause(failures);
    }
  }

  #load(unit: Unit): Promise<GroupPlace> {
    const { run, body } = unit;
    if (body.shared !== undefined) return this.#placeOf(run, body.shared);
    const key = `${run}|${body.group}`;
    let loading = this.#loading.get(key);
    if (loading === undefined) {
      loading = this.#loadPart(key, run, body.group).finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  async #loadPart(key: string, run: string, group: string): Promise<GroupPlace> {
    const text = await this.#part(run, group);
    return this.#keep(key, await this.#placeOf(run, decodeShared(text)), text.length);
  }

  async #placeOf(run: string, shared: SharedBody): Promise<GroupPlace> {
    const { codes } = this.#setup;
    return new GroupPlace(shared, codes.known(shared) ?? codes.borrow(shared, decodeGraph(await this.#part(run, 'graph'))));
  }

  async #part(run: string, name: string): Promise<string> {
    const text = await this.#setup.lists.shared({ run, name });
    if (text === undefined) throw gone(run, name);
    return text;
  }

  #keep(key: string, place: GroupPlace, chars: number): GroupPlace {
    this.#young.set(key, place);
    this.#youngChars += chars;
    if (this.#young.size > MOST_PLACES || this.#youngChars > MOST_CHARS) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngChars = 0;
    }
    return place;
  }

  #pause(failures: number): Promise<void> {
    const { clock, random } = this.#setup;
    const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10)) * (0.5 + random.next() / 2);
    return new Promise((resolve) => void clock.after(delayMs, resolve));
  }
}

function mayPass(thrown: unknown): boolean {
  return isTaskchartError(thrown) && thrown.details?.['retryable'] === true;
}

/** Its run has ended, and then nobody wants to know; or Redis has thrown it away, and then the run must hear of it. */
function gone(run: string, name: string): TaskError {
  return new TaskError('task/dead-unit', `what the units of run "${run}" share ("${name}") is not in Redis any more`, {
    hint: 'Redis must not throw keys away: set maxmemory-policy noeviction, and enough memory',
    details: { run, name },
  });
}
