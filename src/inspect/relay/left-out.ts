/**
 * The actor systems of one source that the relay does not show: there was no room for them, or they were forgotten.
 *
 * Invariants
 * 1. A system that is left out comes back as a whole, or not at all: with what its source tells of it from the beginning.
 * 2. What has ended is not asked for, and the same thing is not asked for twice without news of it.
 * 3. Memory is bounded: the oldest is no longer known then, and its next message makes it a new system.
 */
import type { InspectorMessage } from '../messages.ts';

const MOST = 1000;

type Standing = 'wanted' | 'asked' | 'ended';

export class LeftOut {
  readonly #systems = new Map<string, Standing>();

  /** Whether the message cannot be taken in, because what came before it is missing. Notes that there is news. */
  lacks(message: InspectorMessage): boolean {
    const { rootId } = message;
    const standing = this.#systems.get(rootId);
    if (standing === undefined || begins(message)) return false;
    if (standing !== 'ended') this.#systems.set(rootId, hasEnded(message) ? 'ended' : 'wanted');
    return true;
  }

  /** There is no room for the system that begins with this message. */
  refuse(message: InspectorMessage): void {
    this.#note(message.rootId, hasEnded(message) ? 'ended' : 'wanted');
  }

  forgotten(rootId: string, ended: boolean): void {
    this.#note(rootId, ended ? 'ended' : 'asked');
  }

  admit(rootId: string): void {
    this.#systems.delete(rootId);
  }

  get wants(): boolean {
    for (const standing of this.#systems.values()) if (standing === 'wanted') return true;
    return false;
  }

  /** The source tells everything again, or was asked to. */
  asked(): void {
    for (const [rootId, standing] of this.#systems) if (standing === 'wanted') this.#systems.set(rootId, 'asked');
  }

  #note(rootId: string, standing: Standing): void {
    this.#systems.delete(rootId);
    this.#systems.set(rootId, standing);
    if (this.#systems.size > MOST) for (const oldest of this.#systems.keys()) return void this.#systems.delete(oldest);
  }
}

function begins({ type, sessionId, rootId }: InspectorMessage): boolean {
  return type === '@xstate.actor' && sessionId === rootId;
}

function hasEnded(message: InspectorMessage): boolean {
  return (message.type === '@xstate.actor' || message.type === '@xstate.snapshot') && message.sessionId === message.rootId && message.snapshot.status !== 'active';
}
