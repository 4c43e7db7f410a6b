/** What a viewer would know: the messages of an inspector, folded as a viewer folds them. */
import { createInspector, SystemPicture, type InspectorOptions, type RunPicture } from 'taskchart/inspect';
import type { InspectorMessage } from '../../../src/inspect/messages.ts';

export interface Watching {
  readonly inspect: ReturnType<typeof createInspector>;
  /** In the order in which they came, as text would carry them. */
  readonly messages: InspectorMessage[];
  readonly frames: (readonly InspectorMessage[])[];
  /** Sends what there is, and gives the picture of the system with this root; default: the first one. */
  system(rootId?: string): SystemPicture;
  /** The only run of the system. */
  run(rootId?: string): RunPicture;
}

/** Frames come only when they are asked for. */
export function watch(options: InspectorOptions = {}): Watching {
  const messages: InspectorMessage[] = [];
  const frames: (readonly InspectorMessage[])[] = [];
  const pictures = new Map<string, SystemPicture>();
  const inspect = createInspector((batch) => {
    const copies = JSON.parse(JSON.stringify(batch)) as InspectorMessage[];
    frames.push(copies);
    messages.push(...copies);
    for (const message of copies) {
      if (!pictures.has(message.rootId)) pictures.set(message.rootId, new SystemPicture(message.rootId));
      pictures.get(message.rootId)?.take(message);
    }
  }, { frameMs: 60_000, ...options });
  const system = (rootId?: string): SystemPicture => {
    inspect.flush();
    const found = rootId === undefined ? [...pictures.values()][0] : pictures.get(rootId);
    if (found === undefined) throw new Error(`nothing was told of ${rootId ?? 'any system'}`);
    return found;
  };
  return {
    inspect, messages, frames, system,
    run(rootId) {
      const [run] = system(rootId).runs.values();
      if (run === undefined) throw new Error('there is no run in it');
      return run;
    },
  };
}

/** `task state` for every node, in the order of the graph. */
export function states(run: RunPicture): Record<string, string> {
  return Object.fromEntries(Object.keys(run.graph?.nodes ?? {}).map((id) => [id, run.tasks.get(id)?.state ?? 'pending']));
}

/** The states of a group's members in one word. */
export function members(run: RunPicture, node: string): string {
  const group = [...run.groups.values()].findLast(({ last }) => last.node === node);
  if (group?.members === undefined) throw new Error(`no group of ${node} was told`);
  return Array.from({ length: group.members.size }, (_, at) => group.members?.at(at)).join('');
}

/** A promise that a test keeps open. */
export function gate<T = void>(): { readonly promise: Promise<T>; readonly open: (value: T) => void } {
  let open: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => (open = resolve));
  return { promise, open };
}

/** Lets everything happen that needs no time. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
}
