/** Leaving a message for the process that owns a run, and seeing that it is taken in. */
import { describeStored } from '../runtime/inspect-stored.ts';
import { postMessage, type Message } from '../runtime/mailbox.ts';
import { ownershipOf } from './owner.ts';
import { asking, type GivenStore } from './store.ts';

/** An owner looks twice a second. */
const TAKEN_WITHIN_MS = 5000;
const LOOK_FIRST_MS = 100;
const LOOK_MOST_MS = 800;

/** `gone`: the owner ended before it took the message in. `late`: it lives, and has not taken it in yet. */
export type Fate = 'taken' | 'refused' | 'gone' | 'late';

export async function leaveMessage(given: GivenStore, runId: string, message: Message): Promise<number> {
  return asking(() => postMessage(given.store, runId, message));
}

/** Waits until the stored run has taken the message in, for as long as its owner may still do so. */
export async function fateOf(given: GivenStore, runId: string, post: number): Promise<Fate> {
  const until = Date.now() + TAKEN_WITHIN_MS;
  for (let pause = LOOK_FIRST_MS; ; pause = Math.min(pause * 2, LOOK_MOST_MS)) {
    // In this order: an owner that ends after the first look may have taken it in before.
    const found = await asking(() => describeStored(given.store, runId));
    const owned = ownershipOf(found?.owner).kind;
    const fate = found === undefined ? 'gone' : found.refused.includes(post) ? 'refused' : found.posted >= post ? 'taken' : undefined;
    if (fate !== undefined) return fate;
    if (owned === 'gone' || owned === 'none') return 'gone';
    if (Date.now() >= until) return 'late';
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
