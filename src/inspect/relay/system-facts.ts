/** One actor system in a line, for lists of them. */
import type { SystemPicture } from '../fold.ts';
import type { ActorMessage, MessageBase, SystemMessage } from '../messages.ts';

const FACTS_MOST = 30;
const TEXT_MOST = 100;

export function systemFacts(root: ActorMessage | undefined, picture: SystemPicture): Omit<SystemMessage, keyof MessageBase | 'type' | 'source'> {
  const snapshot = picture.actors.get(picture.rootId)?.last?.snapshot ?? root?.snapshot;
  const machine = root && machineOf(root);
  return {
    name: root?.name ?? picture.rootId,
    ...(machine === undefined ? {} : { machine }),
    status: snapshot?.status ?? 'active',
    ...(snapshot?.value === undefined ? {} : { value: snapshot.value }),
    facts: factsIn(snapshot?.context),
    actors: picture.actors.size,
    runs: [...picture.runs.keys()],
  };
}

const machines = new WeakMap<ActorMessage, { readonly id: string | undefined }>();

/** The id in the definition; read once. */
function machineOf(actor: ActorMessage): string | undefined {
  let known = machines.get(actor);
  if (known === undefined) machines.set(actor, (known = { id: idIn(actor.definition ?? '') }));
  return known.id;
}

function idIn(definition: string): string | undefined {
  try {
    const { id } = JSON.parse(definition) as { readonly id?: unknown };
    return typeof id === 'string' ? id.slice(0, 200) : undefined;
  } catch {
    return undefined;
  }
}

function factsIn(context: unknown): Record<string, number | string> {
  if (typeof context !== 'object' || context === null || Array.isArray(context)) return {};
  const facts: [string, number | string][] = [];
  for (const [key, value] of Object.entries(context)) {
    if (facts.length >= FACTS_MOST) break;
    if (typeof value === 'number' || (typeof value === 'string' && value.length <= TEXT_MOST)) facts.push([key, value]);
  }
  return Object.fromEntries(facts);
}
