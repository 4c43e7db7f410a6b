/**
 * Where the tokens of a run stand, as one context after another is shown.
 *
 * Owns: the places of tokens that are executed or parked, and what has changed about them. Does not own: members of a range (they
 * have no token), what a change means for nodes and groups (nodes.ts, groups.ts).
 *
 * Invariants
 * 1. The cost of an update is that of what has changed since the one before.
 * 2. A token that is queued has no place; where it stood is remembered for a while, so that a retry is not taken for a new execution.
 */
import { Vec, type Delayed, type ExecutionContext, type Group, type Scope, type Token, type Waiting } from '../../machines/index.ts';
import type { NodeId } from '../core/graph.ts';
import { diffVec } from './vec-diff.ts';

export interface Place {
  readonly token: Token;
  readonly state: 'running' | 'waiting' | 'retrying';
  /** When it was first seen in this state. */
  readonly since: number;
  readonly wait?: Waiting | undefined;
  readonly delayed?: Delayed | undefined;
}

export interface Left {
  readonly node: NodeId;
  readonly hop: number;
  readonly since: number;
}

export interface PlaceChange {
  readonly id: number;
  readonly before: Place | undefined;
  readonly after: Place | undefined;
  /** Where it stood before it was queued, or before it moved. */
  readonly from: Left | undefined;
}

/** A token has reached a step for which it stands, as long as that is open: a group or a scope. */
export interface Arrival {
  readonly token: Token;
  readonly from: Left | undefined;
}

type Collections = Pick<ExecutionContext, 'inFlight' | 'delayed' | 'waits'>;

const NOTHING: Collections = { inFlight: Vec.emptyVec(), delayed: Vec.emptyVec(), waits: Vec.emptyVec() };

const LEFT_KEPT = 2000;

export class TokenLedger {
  readonly places = new Map<number, Place>();
  /** Parked tokens by scope: how many retry, how many wait for anything else. */
  readonly parked = new Map<number, { retrying: number; waiting: number }>();
  waiting = 0;
  retrying = 0;
  readonly #left = new Map<number, Left>();

  update(before: ExecutionContext | undefined, after: ExecutionContext): { readonly moved: PlaceChange[]; readonly arrived: Arrival[] } {
    // First who has left: their tokens are somewhere else by now.
    const arrived = this.#standing(before, after);
    const ids = new Set<number>();
    const last: Collections = before ?? NOTHING;
    const note = (id: number): void => void ids.add(id);
    diffVec(last.inFlight, after.inFlight, note);
    diffVec(last.delayed, after.delayed, note);
    diffVec(last.waits, after.waits, note);
    const changes: PlaceChange[] = [];
    for (const id of ids) changes.push(this.#change(id, after));
    for (const id of arrived.keys()) this.#left.delete(id);
    return { moved: changes, arrived: [...arrived.values()] };
  }

  #standing(before: ExecutionContext | undefined, after: ExecutionContext): Map<number, Arrival> {
    const arrived = new Map<number, Arrival>();
    const note = (was: Token | undefined, is: Token | undefined): void => {
      if (is === undefined) {
        if (was !== undefined) this.#remember(was, after.at);
      } else if (was === undefined) arrived.set(is.id, { token: is, from: this.#whereWas(is.id) });
    };
    diffVec<Group>(before?.groups ?? Vec.emptyVec(), after.groups, (_id, was, is) => note(was?.parent, is?.parent));
    diffVec<Scope>(before?.branches ?? Vec.emptyVec(), after.branches, (_id, was, is) => note(stepOf(was), stepOf(is)));
    return arrived;
  }

  #whereWas(id: number): Left | undefined {
    const place = this.places.get(id);
    return place === undefined ? this.#left.get(id) : { node: place.token.node, hop: place.token.hop, since: place.since };
  }

  #change(id: number, context: ExecutionContext): PlaceChange {
    const before = this.places.get(id);
    const from = this.#whereWas(id);
    const after = placeOf(id, context, before, from);
    if (before !== undefined) this.#count(before, -1);
    if (after !== undefined) {
      this.places.set(id, after);
      this.#left.delete(id);
      this.#count(after, 1);
    } else if (before !== undefined) {
      this.places.delete(id);
      this.#remember(before.token, before.since);
    }
    return { id, before, after, from };
  }

  #count({ token, state }: Place, by: 1 | -1): void {
    if (state === 'running') return;
    this[state] += by;
    const counts = this.parked.get(token.scope) ?? { retrying: 0, waiting: 0 };
    counts[state] += by;
    if (counts.retrying + counts.waiting > 0) this.parked.set(token.scope, counts);
    else this.parked.delete(token.scope);
  }

  #remember({ id, node, hop }: Token, since: number): void {
    this.#left.delete(id);
    this.#left.set(id, { node, hop, since });
    if (this.#left.size <= LEFT_KEPT) return;
    for (const oldest of this.#left.keys()) {
      this.#left.delete(oldest);
      break;
    }
  }
}

function stepOf(scope: Scope | undefined): Token | undefined {
  return scope?.owner.kind === 'step' ? scope.owner.token : undefined;
}

function placeOf(id: number, context: ExecutionContext, before: Place | undefined, from: Left | undefined): Place | undefined {
  const running = Vec.get(context.inFlight, id);
  const wait = Vec.get(context.waits, id);
  const delayed = Vec.get(context.delayed, id);
  const token = running ?? wait?.token ?? delayed?.token;
  if (token === undefined) return undefined;
  const state = running !== undefined ? 'running' : wait === undefined && delayed?.why === 'retry' ? 'retrying' : 'waiting';
  // A later attempt of an execution counts from its first one.
  const same = from !== undefined && from.hop === token.hop && from.node === token.node;
  const since = same && (state === 'running' || before?.state === state) ? from.since : context.at;
  return { token, state, since, wait, delayed };
}
